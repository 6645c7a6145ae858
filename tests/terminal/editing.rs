//! Editing in a real terminal: the built-in editor and the user's own, with another client that
//! writes meanwhile.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use async_nats::jetstream::{self, kv};

use super::file::beside;
use super::pty::{Terminal, program, until};
use super::support::NatsServer;

/// A program that takes the place of the user's editor: it says that it has the terminal, reads a
/// line from there, and puts it in the place of `first`.
fn editor(folder: &Path) -> PathBuf {
    let path = folder.join("editor");
    let script = "#!/bin/sh\nprintf 'the editor has the terminal\\r\\n'\nread line\nsed -i \"s/first/$line/\" \"$1\"\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn the_users_own_editor_gets_the_terminal_and_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("buckets.db");
    beside(&file, &["bucket", "add", "config", "--history", "5"]);
    let value = r#"{"name":"first","token":"s3cret"}"#;
    beside(&file, &["put", "config", "app.limits", value]);
    let editor = editor(dir.path());
    let arguments = ["--local", file.to_str().unwrap(), "config"];
    let variables = [("EDITOR", editor.to_str().unwrap())];
    let mut terminal = Terminal::with(program(), &arguments, &variables);
    terminal.shows("first");
    terminal.is_live();
    terminal.press("E");
    terminal.shows("the editor has the terminal");
    terminal.press("second\n");
    terminal.shows("\"first\" → \"second\"");
    terminal.press("\r");
    terminal.shows("saved: app.limits is at revision 2");
    assert_eq!(
        beside(&file, &["get", "config", "app.limits", "--raw"]),
        value.replace("first", "second")
    );
    let sent = String::from_utf8_lossy(&terminal.sent()).into_owned();
    assert!(!sent.contains("s3cret"));
    // The keys are ours again.
    terminal.press("h");
    terminal.shows("History of app.limits");
    terminal.press("\x1b");
    terminal.until("is back", |screen| {
        !screen.contents().contains("History of")
    });
    terminal.press("q");
    assert!(terminal.ends().success());
    terminal.is_given_back();
}

#[test]
fn what_an_editor_left_that_did_not_end_well_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("buckets.db");
    beside(&file, &["bucket", "add", "config"]);
    beside(&file, &["put", "config", "app.limits", "first"]);
    let editor = editor(dir.path());
    let script = "#!/bin/sh\nsed -i s/first/second/ \"$1\"\nexit 3\n";
    std::fs::write(&editor, script).unwrap();
    let state = dir.path().join("state");
    let arguments = ["--local", file.to_str().unwrap(), "config"];
    let variables = [
        ("EDITOR", editor.to_str().unwrap()),
        ("XDG_STATE_HOME", state.to_str().unwrap()),
    ];
    let mut terminal = Terminal::with(program(), &arguments, &variables);
    terminal.shows("first");
    terminal.is_live();
    terminal.press("E");
    terminal.shows("did not end well: exit status: 3");
    terminal.shows("what it left is");
    let folder = std::fs::read_dir(state.join("kvscope/edits"))
        .unwrap()
        .next();
    let left = folder.unwrap().unwrap().path().join("app.limits.txt");
    assert_eq!(std::fs::read_to_string(left).unwrap(), "second\n");
    terminal.press("\x1b");
    terminal.until("is closed", |screen| !screen.contents().contains(" Edit "));
    terminal.press("q");
    assert!(terminal.ends().success());
    assert_eq!(
        beside(&file, &["get", "config", "app.limits", "--raw"]),
        "first"
    );
}

#[test]
fn the_users_own_editor_ends_with_the_console_and_its_text_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("buckets.db");
    beside(&file, &["bucket", "add", "config"]);
    beside(&file, &["put", "config", "app.limits", "first"]);
    let editor = dir.path().join("editor");
    let script =
        "#!/bin/sh\nsed -i s/first/second/ \"$1\"\nprintf 'the editor is %s ;' $$\nread line\n";
    std::fs::write(&editor, script).unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
    let state = dir.path().join("state");
    let arguments = ["--local", file.to_str().unwrap(), "config"];
    let variables = [
        ("EDITOR", editor.to_str().unwrap()),
        ("XDG_STATE_HOME", state.to_str().unwrap()),
    ];
    for signal in ["-TERM", "-HUP"] {
        let mut terminal = Terminal::with(program(), &arguments, &variables);
        terminal.shows("first");
        terminal.is_live();
        terminal.press("E");
        terminal.shows("the editor is ");
        terminal.shows(" ;");
        let screen = terminal.screen();
        let rest = screen.split("the editor is ").nth(1).unwrap();
        let id = rest.split(' ').next().unwrap().to_owned();
        terminal.signal(signal);
        assert!(terminal.ends().success());
        terminal.is_given_back();
        let is_there = std::process::Command::new("kill")
            .args(["-0", &id])
            .output();
        assert!(!is_there.unwrap().status.success(), "the editor is left");
        let mut terminal = Terminal::with(program(), &arguments, &variables);
        terminal.shows("first");
        terminal.is_live();
        terminal.press("e");
        terminal.shows("A text that was not saved is here");
        terminal.press("t");
        terminal.shows("second");
        terminal.press("\x1b");
        terminal.shows("The text is not saved");
        terminal.press("d");
        terminal.shows("the text was dropped");
        terminal.press("q");
        assert!(terminal.ends().success());
    }
}

#[test]
fn a_console_that_is_killed_loses_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("buckets.db");
    beside(&file, &["bucket", "add", "config"]);
    beside(&file, &["put", "config", "app.limits", "first"]);
    let state = dir.path().join("state");
    let arguments = ["--local", file.to_str().unwrap(), "config"];
    let variables = [("XDG_STATE_HOME", state.to_str().unwrap())];
    for ending in ["-KILL", "-TERM", "closed"] {
        let mut terminal = Terminal::with(program(), &arguments, &variables);
        terminal.shows("first");
        terminal.is_live();
        terminal.press("e");
        terminal.shows(" Edit app.limits");
        terminal.press("unsaved ");
        terminal.shows("unsaved first");
        if ending == "-KILL" {
            // It is on disk soon after it was typed.
            let is_draft = |file: std::io::Result<std::fs::DirEntry>| {
                file.is_ok_and(|file| file.path().extension().is_some_and(|end| end == "json"))
            };
            let folder = state.join("kvscope/drafts");
            let kept = || std::fs::read_dir(&folder).is_ok_and(|mut files| files.any(is_draft));
            until("the text is on disk", kept);
        }
        if ending == "closed" {
            let status = terminal.close().ends().expect("it ends");
            assert_eq!(status.signal(), None, "{status:?}");
        } else {
            terminal.signal(ending);
            terminal.ends();
        }
        let mut terminal = Terminal::with(program(), &arguments, &variables);
        terminal.shows("first");
        terminal.is_live();
        terminal.press("e");
        terminal.shows("A text that was not saved is here");
        terminal.press("t");
        terminal.shows("unsaved first");
        terminal.press("\x1b");
        terminal.shows("The text is not saved");
        terminal.press("d");
        terminal.shows("the text was dropped");
        terminal.press("q");
        assert!(terminal.ends().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_of_a_server_writes_while_it_is_edited() {
    let server = NatsServer::start();
    let client = async_nats::connect(server.url()).await.unwrap();
    let config = kv::Config {
        bucket: "config".to_owned(),
        history: 5,
        ..kv::Config::default()
    };
    let bucket = jetstream::new(client)
        .create_key_value(config)
        .await
        .unwrap();
    let value = "{\n  \"a\": 1,\n  \"b\": 2\n}";
    bucket.put("app.limits", value.into()).await.unwrap();
    let mut terminal = Terminal::run(&["-s", &server.url(), "config"]);
    terminal.shows("\"b\": 2");
    terminal.is_live();
    terminal.press("e");
    terminal.shows(" Edit app.limits");
    // Down, End, Left: before the comma of the second line.
    terminal.press("\x1b[B\x1b[F\x1b[D0");
    terminal.shows("\"a\": 10,");
    bucket
        .put("app.limits", value.replace('2', "3").into())
        .await
        .unwrap();
    terminal.shows("changed by someone else: put at revision 2");
    terminal.press("\x13");
    terminal.shows("Save app.limits on revision 1?");
    terminal.press("\r");
    terminal.shows("app.limits moved from revision 1 to 2");
    terminal.shows("All is joined");
    terminal.press("\x13");
    terminal.shows("Save app.limits on revision 2?");
    terminal.press("\r");
    terminal.shows("app.limits is at revision 3");
    let entry = bucket.entry("app.limits").await.unwrap().unwrap();
    assert_eq!(
        entry.value.as_ref(),
        "{\n  \"a\": 10,\n  \"b\": 3\n}".as_bytes()
    );
    // Undone by the same check.
    terminal.press("u");
    terminal.shows("Undo revision 3 of app.limits?");
    terminal.press("\r");
    terminal.shows("undone: app.limits is at revision 4");
    terminal.press("D");
    terminal.shows("Acts on revision 4");
    terminal.press("\r");
    terminal.shows("deleted app.limits, revision 5");
    terminal.press("\x1b");
    terminal.until("is closed", |screen| {
        !screen.contents().contains("deleted app.limits")
    });
    // So is the deletion, over its marker.
    terminal.press("u");
    terminal.shows("Undo revision 5 of app.limits?");
    terminal.press("\r");
    terminal.shows("undone: app.limits is at revision 6");
    let entry = bucket.entry("app.limits").await.unwrap().unwrap();
    assert_eq!(
        entry.value.as_ref(),
        value.replace('2', "3").as_bytes(),
        "what was there before"
    );
    terminal.press("D");
    terminal.shows("Acts on revision 6");
    terminal.press("\r");
    terminal.shows("deleted app.limits, revision 7");
    terminal.press("\x1b");
    terminal.until("is closed", |screen| {
        !screen.contents().contains("deleted app.limits")
    });
    terminal.press("q");
    assert!(terminal.ends().success());
    terminal.is_given_back();
}
