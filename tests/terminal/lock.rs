//! `lock run` and `lock break` in a terminal: what the keyboard sends, and what is asked.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::pty::{Terminal, program, until};

/// A file with a bucket for locks.
struct Place {
    folder: TempDir,
    file: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("locks.db").display().to_string();
        let place = Self { folder, file };
        let mut add = place.command(&["bucket", "add", "b", "--history", "8"]);
        assert!(add.output().unwrap().status.success());
        place
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["--local", &self.file]).args(words);
        command.env("HOME", self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn shows(&self) -> serde_json::Value {
        let words = ["lock", "show", "b", "r", "--no-shizuku", "--json"];
        let output = self.command(&words).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// A holder of the lock, and its session.
    fn held(&self) -> (Child, String) {
        let words = ["lock", "run", "b", "r", "--", "sleep", "300"];
        let holder = self.command(&words).stdin(Stdio::null()).spawn().unwrap();
        let look = || {
            let lock = self.shows();
            let session = lock["holders"][0]["session"].as_str();
            session.map(str::to_owned)
        };
        let mut session = None;
        until("the lock is held", || {
            session = look();
            session.is_some()
        });
        (holder, session.unwrap())
    }
}

#[test]
fn a_key_reaches_the_command_once_and_a_signal_is_passed_on() {
    let place = Place::new();
    let end = place.folder.path().join("end");
    let script = format!(
        "n=0; trap 'n=$((n+1)); echo caught $n' INT; echo ready; \
         while [ ! -e {} ]; do sleep 0.02; done; echo ends after $n; exit 3",
        end.display()
    );
    let words = ["--local", &place.file, "lock", "run", "b", "r", "--"];
    let mut terminal = Terminal::run(&[&words[..], &["sh", "-c", &script]].concat());
    terminal.shows("ready");
    terminal.press("\u{3}");
    terminal.shows("caught 1");
    terminal.signal("-INT");
    terminal.shows("caught 2");
    std::fs::write(Path::new(&end), "").unwrap();
    terminal.shows("ends after 2");
    assert_eq!(terminal.ends().exit_code(), 3);
    assert_eq!(place.shows()["holders"], serde_json::json!([]));
}

#[test]
fn the_command_has_the_terminal() {
    let place = Place::new();
    let script = "printf 'name? '; read name; test -t 1 && echo hello $name";
    let words = ["--local", &place.file, "lock", "run", "b", "r", "--"];
    let mut terminal = Terminal::run(&[&words[..], &["sh", "-c", script]].concat());
    terminal.shows("name?");
    terminal.press("operator\r");
    terminal.shows("hello operator");
    assert_eq!(terminal.ends().exit_code(), 0);
}

#[test]
fn the_command_and_the_shell_see_one_job() {
    let place = Place::new();
    let count = place.folder.path().join("count");
    let command = format!(
        "{} --local {} lock run b r -- sh -c 'echo re''ady; while :; do echo x >>{}; sleep 0.02; done'",
        program(),
        place.file,
        count.display()
    );
    let counted = || std::fs::read(&count).map_or(0, |bytes| bytes.len());
    let goes_on = |from: usize| until("it goes on", || counted() > from + 6);
    let mut terminal = Terminal::with("sh", &["-i"], &[("PS1", "> ")]);
    terminal.press(&format!("{command}\r"));
    terminal.shows("ready");
    terminal.press("\u{1a}");
    terminal.shows("Stopped");
    // All of it rests, well within the lease.
    let rested = counted();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(counted(), rested);
    terminal.press("fg\r");
    goes_on(rested);
    terminal.press("\u{3}");
    terminal.press("echo ended with $?\r");
    terminal.shows("ended with 130");
    assert_eq!(place.shows()["holders"], serde_json::json!([]));
    terminal.press("exit\r");
    terminal.ends();
}

#[test]
fn a_break_says_what_it_does_and_asks() {
    let place = Place::new();
    let (mut holder, session) = place.held();
    let words = [
        "--local",
        &place.file,
        "lock",
        "break",
        "b",
        "r",
        "--session",
        &session,
    ];
    let mut terminal = Terminal::run(&words);
    terminal.shows("it is ALIVE");
    terminal.shows("after a quarantine of 16 s");
    terminal.shows("acts on revision");
    terminal.shows("[y/N]");
    terminal.press("n\r");
    assert_eq!(terminal.ends().exit_code(), 1);

    let words = [&words[..], &["--force"]].concat();
    let mut terminal = Terminal::run(&words);
    terminal.shows("two may hold for up to 13 s");
    terminal.press("another\r");
    terminal.shows("left as it is");
    assert_eq!(terminal.ends().exit_code(), 1);
    assert_eq!(place.shows()["holders"][0]["session"], session);

    let mut terminal = Terminal::run(&words);
    terminal.shows("Type the resource's name");
    terminal.press("r\r");
    terminal.shows("nobody holds it");
    assert_eq!(terminal.ends().exit_code(), 0);
    assert_eq!(holder.wait().unwrap().code(), Some(5));
}
