//! A query at work: values are handed to the process that runs it, and it is killed when it takes
//! too long.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Query;
use super::child::{FAILED, NO, NO_JSON, READY, YES};

/// How long a query may take for one value.
pub const TIME_LIMIT: Duration = Duration::from_secs(1);
/// How long the process may take to start.
const START: Duration = Duration::from_secs(20);
/// After so many values that it did not come to an end with, a query is given up.
const STRIKES: u32 = 3;

/// What a value comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The query gives neither `false` nor `null` for it, at least once. With the texts of what it
    /// gives, a line each, where they were asked for.
    Match(String),
    /// It does not.
    NoMatch(String),
    /// It is no JSON.
    NoJson(String),
    /// The query can't be applied to it.
    Failed(String),
    /// The query did not come to an end with it, or took too much memory, and was stopped.
    Stopped(&'static str),
}

/// A query that did not come to an end, again and again.
#[derive(Debug, thiserror::Error)]
pub enum GivenUp {
    /// It did not come to an end with several values.
    #[error("the query {text:?} does not come to an end: it was stopped {STRIKES} times")]
    Loops {
        /// The query.
        text: String,
    },
    /// Its process can't be run.
    #[error("the query can't be run: {0}")]
    Start(#[from] io::Error),
}

/// A query at work.
#[derive(Debug)]
pub struct Sieve {
    program: PathBuf,
    query: Query,
    texts: bool,
    running: Option<Running>,
    strikes: u32,
}

#[derive(Debug)]
struct Running {
    /// Killed when it is dropped.
    _child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Sieve {
    /// A query, run by this very program.
    ///
    /// # Errors
    /// It is not known where the program is.
    pub fn new(query: Query) -> io::Result<Self> {
        // Whatever became of its file.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() {
            own.to_owned()
        } else {
            std::env::current_exe()?
        };
        Ok(Self::run_by(program, query))
    }

    /// A query, run by the `kvscope` that is there.
    pub fn run_by(program: PathBuf, query: Query) -> Self {
        Self {
            program,
            query,
            texts: false,
            running: None,
            strikes: 0,
        }
    }

    /// The same, which also tells what the query gives.
    #[must_use]
    pub fn with_texts(self) -> Self {
        Self {
            texts: true,
            ..self
        }
    }

    /// What the values come to, in their order.
    ///
    /// # Errors
    /// The query was stopped too often, or can't be run.
    pub async fn ask(&mut self, values: &[Bytes]) -> Result<Vec<Answer>, GivenUp> {
        let mut answers = Vec::with_capacity(values.len());
        while answers.len() < values.len() {
            let mut running = match self.running.take() {
                Some(running) => running,
                None => self.start().await?,
            };
            let rest = &values[answers.len()..];
            match running.ask(rest, &mut answers).await {
                Ok(()) => self.running = Some(running),
                Err(why) => {
                    answers.push(Answer::Stopped(why));
                    self.strikes += 1;
                    if self.strikes >= STRIKES {
                        return Err(GivenUp::Loops {
                            text: self.query.to_string(),
                        });
                    }
                }
            }
        }
        Ok(answers)
    }

    async fn start(&self) -> Result<Running, GivenUp> {
        let mut command = Command::new(&self.program);
        command.arg("query-values");
        if self.texts {
            command.arg("--texts");
        }
        command
            .args(["--", self.query.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let no_pipe = || io::Error::other("it has no pipe");
        let input = child.stdin.take().ok_or_else(no_pipe)?;
        let output = child.stdout.take().ok_or_else(no_pipe)?;
        let mut running = Running {
            _child: child,
            input: BufWriter::with_capacity(256 << 10, input),
            output: BufReader::with_capacity(64 << 10, output),
        };
        let ready = tokio::time::timeout(START, running.read()).await;
        match ready.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            (READY, _) => Ok(running),
            _ => Err(io::Error::other("it answers with something else").into()),
        }
    }
}

impl Running {
    /// Adds the answers that come; an error says why there is none for the next value.
    async fn ask(
        &mut self,
        values: &[Bytes],
        answers: &mut Vec<Answer>,
    ) -> Result<(), &'static str> {
        let Self { input, output, .. } = self;
        let write = async {
            for value in values {
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                input.write_all(&length.to_le_bytes()).await?;
                input.write_all(value).await?;
            }
            input.flush().await
        };
        let read = async {
            for _ in values {
                let answer = tokio::time::timeout(TIME_LIMIT, read_frame(output)).await;
                let (code, text) = match answer {
                    Err(_) => return Err("it took longer than a second"),
                    Ok(Err(_)) => return Err("it ended by itself, of too much memory or depth"),
                    Ok(Ok(frame)) => frame,
                };
                answers.push(match code {
                    YES => Answer::Match(text),
                    NO => Answer::NoMatch(text),
                    NO_JSON => Answer::NoJson(text),
                    FAILED => Answer::Failed(text),
                    _ => return Err("it answered with nonsense"),
                });
            }
            Ok(())
        };
        tokio::pin!(write, read);
        let mut is_written = false;
        loop {
            tokio::select! {
                // Whether writing failed shows in the reading.
                _ = &mut write, if !is_written => is_written = true,
                ended = &mut read => return ended,
            }
        }
    }

    async fn read(&mut self) -> io::Result<(u8, String)> {
        read_frame(&mut self.output).await
    }
}

async fn read_frame(output: &mut BufReader<ChildStdout>) -> io::Result<(u8, String)> {
    let code = output.read_u8().await?;
    let length = output.read_u32_le().await?;
    let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
    output.read_exact(&mut text).await?;
    Ok((code, String::from_utf8_lossy(&text).into_owned()))
}
