//! Running the program: on a file or a server, on a pipe or a terminal, with a home of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::NatsServer;

/// What a run of the program left.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout.clone(),
            stderr: String::from_utf8(output.stderr.clone()).expect("text"),
        }
    }

    /// The run, which must have ended with that code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.text(), self.stderr);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("text")
    }

    /// The objects on standard output, one a line.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// The only object on standard output.
    #[track_caller]
    pub(crate) fn record(&self) -> Value {
        match self.records().as_slice() {
            [record] => record.clone(),
            other => panic!("{other:?}\n{}", self.stderr),
        }
    }

    /// The revision that was written.
    #[track_caller]
    pub(crate) fn revision(&self) -> u64 {
        self.record()["revision"].as_u64().expect("a revision")
    }
}

/// Where the program is pointed.
pub(crate) struct Place {
    pub(crate) flags: Vec<String>,
    /// The user's home: empty, so that no setting of this machine plays a part.
    pub(crate) home: TempDir,
    pub(crate) server: Option<NatsServer>,
}

impl Place {
    pub(crate) fn file() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("buckets.db");
        Self {
            flags: vec!["--local".to_owned(), path.display().to_string()],
            home,
            server: None,
        }
    }

    pub(crate) fn server() -> Self {
        let server = NatsServer::start();
        Self {
            flags: vec!["--server".to_owned(), server.url()],
            home: tempfile::tempdir().expect("a directory"),
            server: Some(server),
        }
    }

    pub(crate) fn nowhere() -> Self {
        Self {
            flags: Vec::new(),
            home: tempfile::tempdir().expect("a directory"),
            server: None,
        }
    }

    /// A file in the user's home.
    pub(crate) fn with_file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.args(words).args(&self.flags);
        command
    }

    /// The program without any arguments.
    pub(crate) fn bare_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvscope"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join(".config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// How the program is called to come here, in what it advises.
    pub(crate) fn program(&self) -> String {
        let flags = self.flags.join(" ");
        format!("kvscope {}", flags.replace("--server", "-s"))
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        self.run_with(words, b"", &[])
    }

    pub(crate) fn run_with(&self, words: &[&str], stdin: &[u8], variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(words);
        command
            .envs(variables.iter().copied())
            .stdin(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut input = child.stdin.take().expect("a pipe");
        let stdin = stdin.to_owned();
        // The program may end without having read all of it.
        let writer = std::thread::spawn(move || input.write_all(&stdin).ok());
        let output = child.wait_with_output().expect("the program ends");
        writer.join().expect("the writer ends");
        Run::of(&output)
    }

    /// Makes a bucket with that history.
    pub(crate) fn add(&self, bucket: &str, history: &str) {
        self.run(&["bucket", "add", bucket, "--history", history])
            .ends(0);
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, value: &str) -> u64 {
        self.run(&["put", bucket, key, value, "--json"])
            .ends(0)
            .revision()
    }
}

/// A watch whose lines can be taken one by one.
pub(crate) struct Watching {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Watching {
    pub(crate) fn start(place: &Place, words: &[&str]) -> Self {
        Self::of(&mut place.command(words))
    }

    /// Any command of which the lines are wanted one by one.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line
    }

    pub(crate) fn record(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("an object")
    }

    /// Waits until it has ended by itself. Its output is what no line was taken of.
    pub(crate) fn end(mut self) -> Run {
        let mut rest = Vec::new();
        self.lines.read_to_end(&mut rest).expect("the output");
        let mut output = self.child.wait_with_output().expect("the program ends");
        output.stdout = rest;
        Run::of(&output)
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(self) -> Option<i32> {
        self.interrupt_and_read().0
    }

    /// Ends it as Ctrl-C does, and gives what it told beside its output.
    pub(crate) fn interrupt_and_read(self) -> (Option<i32>, String) {
        interrupt(&self.child);
        let output = self.child.wait_with_output().expect("the program ends");
        let told = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), told)
    }
}

/// How long a condition may take. Far more than it needs on a slow machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until something is so, and looks again and again.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tells the program to end, as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
}

/// What the program shows on a terminal.
pub(crate) fn on_terminal(place: &Place, words: &[&str]) -> String {
    asked_on_terminal(place, words, "", 0)
}

/// What the program shows on a terminal where somebody types an answer, and its exit code.
pub(crate) fn asked_on_terminal(place: &Place, words: &[&str], answer: &str, code: u32) -> String {
    let system = portable_pty::native_pty_system();
    let pair = system
        .openpty(portable_pty::PtySize::default())
        .expect("a terminal");
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_kvscope"));
    command.args(words);
    command.args(&place.flags);
    command.env("TERM", "xterm-256color");
    command.env("HOME", place.home.path());
    command.env("XDG_CONFIG_HOME", place.home.path().join(".config"));
    let mut child = pair
        .slave
        .spawn_command(command)
        .expect("the program starts");
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().expect("a reader");
    let mut writer = pair.master.take_writer().expect("a writer");
    // The line waits in the terminal until it is asked for.
    writer.write_all(answer.as_bytes()).expect("it is typed");
    let mut shown = Vec::new();
    // On Linux, a terminal whose other side is closed is an error and not an end.
    let _ = reader.read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let ended = child.wait().expect("the program ends");
    assert_eq!(ended.exit_code(), code, "{words:?}: {shown}");
    shown
}

/// The address of a wire to a server that breaks as soon as it has carried a write of a key.
pub(crate) fn losing_writes(port: u16) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a client");
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server");
            std::thread::spawn(move || carry(client, server));
        }
    });
    format!("nats://{address}")
}

fn carry(mut client: TcpStream, mut server: TcpStream) {
    let mut answers = server.try_clone().expect("a handle");
    let mut back = client.try_clone().expect("a handle");
    std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let sent = &bytes[..length];
        let is_write = sent.windows(8).any(|window| window == b"PUB $KV.");
        if is_write {
            // Before the server has it, or its answer could come through.
            let _ = client.shutdown(Shutdown::Both);
        }
        if server.write_all(sent).is_err() || is_write {
            break;
        }
    }
    // One of them may be closed already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
