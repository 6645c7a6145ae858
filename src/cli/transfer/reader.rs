//! Reading the lines of an import, on a thread of its own: from a file or standard input, parsed
//! and in batches, a few ahead of what is written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use tokio::sync::mpsc;

use super::line::{Line, LineFault, parse};
use crate::cli::error::CliError;

/// How many lines are handed on at once, and how many bytes of them, give or take one.
const BATCH_LINES: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// How many batches wait.
const AHEAD: usize = 4;
/// The longest line: far beyond any value that a store takes.
pub(super) const LONGEST: u64 = 1 << 30;

/// A line with its number, the first being 1.
pub(super) type Numbered = (u64, Result<Line, Fault>);

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It can't be understood.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Read(#[from] io::Error),
    /// It does not end.
    #[error("it has more than {LONGEST} bytes")]
    TooLong,
}

/// The lines, as they come.
#[derive(Debug)]
pub(super) struct Lines {
    /// What they are read from, for people.
    pub(super) name: String,
    batches: mpsc::Receiver<Vec<Numbered>>,
}

impl Lines {
    /// The lines of a file, or without one or with `-`, of standard input.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, CliError> {
        let path = path.filter(|path| path.as_os_str() != "-");
        let name = path.map_or_else(
            || "standard input".to_owned(),
            |path| path.display().to_string(),
        );
        let file = match path.map(File::open).transpose() {
            Ok(file) => file,
            Err(error) => return Err(CliError::Input { what: name, error }),
        };
        let (sender, batches) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || match file {
            Some(file) => read(BufReader::with_capacity(256 << 10, file), &sender),
            None => read(io::stdin().lock(), &sender),
        });
        Ok(Self { name, batches })
    }

    /// The next lines; nothing after the last one.
    ///
    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> Vec<Numbered> {
        self.batches.recv().await.unwrap_or_default()
    }
}

/// Reads until the end, the first fault, or until nobody wants any more.
fn read(mut source: impl BufRead, sender: &mpsc::Sender<Vec<Numbered>>) {
    let (mut number, mut bytes) = (0, 0);
    let mut batch = Vec::with_capacity(BATCH_LINES);
    let mut line = Vec::new();
    loop {
        number += 1;
        line.clear();
        let read = source.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        let told = match read {
            Ok(0) => break,
            Ok(read) if read as u64 == LONGEST => Err(Fault::TooLong),
            Ok(_) => match parse(&line) {
                Ok(None) => continue,
                Ok(Some(line)) => Ok(line),
                Err(fault) => Err(fault.into()),
            },
            Err(error) => Err(error.into()),
        };
        let is_last = told.is_err();
        bytes += line.len();
        batch.push((number, told));
        if is_last {
            break;
        }
        if batch.len() >= BATCH_LINES || bytes >= BATCH_BYTES {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_LINES));
            if sender.blocking_send(full).is_err() {
                return;
            }
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        // Nobody wants it any more.
        let _ = sender.blocking_send(batch);
    }
}
