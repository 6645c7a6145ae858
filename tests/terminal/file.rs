//! On a file that another process writes, and on the demo.

use std::path::Path;
use std::process::Command;

use super::pty::{Terminal, program};

/// Runs the program beside the console, as another process.
pub(crate) fn beside(file: &Path, words: &[&str]) -> String {
    let output = Command::new(program())
        .args(words)
        .arg("--local")
        .arg(file)
        .env_clear()
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// The keys of the bucket and their revisions, as another process reads them.
fn stored(file: &Path) -> Vec<(String, u64)> {
    let lines = beside(file, &["ls", "config", "--json"]);
    let keys = lines.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = entry["key"].as_str().unwrap().to_owned();
        (key, entry["revision"].as_u64().unwrap())
    });
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    keys
}

#[test]
fn another_process_writes_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("buckets.db");
    beside(&file, &["bucket", "add", "config", "--history", "5"]);
    beside(&file, &["put", "config", "app.limits", "first"]);
    let mut terminal = Terminal::run(&["--local", file.to_str().unwrap()]);
    terminal.shows("first");
    terminal.shows_keys(&stored(&file));
    beside(&file, &["put", "config", "app.limits", "second"]);
    terminal.shows("second");
    for n in 0..5 {
        beside(&file, &["put", "config", &format!("key.{n}"), "x"]);
    }
    beside(&file, &["del", "config", "key.3", "--force"]);
    terminal.shows_keys(&stored(&file));
    // Held still, and then equal to the file again.
    terminal.press(" ");
    terminal.shows("‖ paused since");
    beside(&file, &["put", "config", "app.limits", "unseen"]);
    beside(&file, &["purge", "config", "key.1", "--force"]);
    terminal.press(" ");
    terminal.shows("unseen");
    terminal.shows_keys(&stored(&file));
    // Gone and there again, of the same name.
    beside(&file, &["bucket", "rm", "config", "--force"]);
    terminal.shows("stale since");
    beside(&file, &["bucket", "add", "config"]);
    beside(&file, &["put", "config", "fresh", "1"]);
    terminal.shows_keys(&stored(&file));
    terminal.press("q");
    assert!(terminal.ends().success());
    terminal.is_given_back();
}

#[test]
fn the_demo_lives() {
    let mut terminal = Terminal::run(&["demo"]);
    for text in ["demo", "config", "flags", "endpoints", "● live"] {
        terminal.shows(text);
    }
    terminal.press("3");
    terminal.shows(" put ");
    terminal.press("\r");
    terminal.shows("─ rev ");
    terminal.press("q");
    assert!(terminal.ends().success());
    terminal.is_given_back();
}

#[test]
fn without_a_terminal_it_is_a_usage_error() {
    for words in [&["demo"][..], &[], &["config"]] {
        let output = Command::new(program())
            .args(words)
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("needs a terminal"), "{told}");
        assert!(output.stdout.is_empty());
    }
}
