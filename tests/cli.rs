//! The command line, as a person or a script meets it: the real program, its output, its exit
//! codes. One list of cases runs on a file and on a real nats-server.

#![cfg(feature = "console")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

#[path = "cli/buckets.rs"]
mod buckets;
#[path = "cli/cases.rs"]
mod cases;
#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/connecting.rs"]
mod connecting;
#[path = "cli/cut_off.rs"]
mod cut_off;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/examples.rs"]
mod examples;
#[path = "cli/locking.rs"]
mod locking;
#[path = "cli/locks.rs"]
mod locks;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/query.rs"]
mod query;
#[path = "support/nats.rs"]
mod support;
#[path = "cli/transfer.rs"]
mod transfer;

use std::path::Path;
use std::process::Stdio;

use cases::run_all;
use program::{Place, Run, Watching};
use serde_json::json;
use support::NatsServer;

#[test]
fn on_a_file() {
    run_all(&Place::file());
}

#[test]
fn on_a_server() {
    run_all(&Place::server());
}

#[test]
fn a_server_has_settings_that_a_file_has_not() {
    buckets::every_setting(&Place::server());
    buckets::refused(&Place::file());
}

#[test]
fn the_selected_context_is_where_to_go_and_flags_come_before_it() {
    let place = Place::server();
    place.add("here", "1");
    let url = place.server.as_ref().expect("a server").url();
    let elsewhere = Place::nowhere();
    let context = json!({"url": url, "description": "test"}).to_string();
    elsewhere.with_file(".config/nats/context/test.json", context.as_bytes());
    let dead = json!({"url": "nats://127.0.0.1:1"}).to_string();
    elsewhere.with_file(".config/nats/context/dead.json", dead.as_bytes());
    elsewhere.with_file(".config/nats/context.txt", b"test");
    let names = ["bucket", "ls", "--json"];
    let found = |run: Run| run.ends(0).record()["bucket"].clone();
    assert_eq!(found(elsewhere.run(&names)), "here");
    let away = elsewhere
        .run(&["bucket", "ls", "--context", "dead", "--timeout", "2s"])
        .ends(1);
    assert!(away.stderr.contains("127.0.0.1:1"), "{}", away.stderr);
    elsewhere
        .run_with(
            &["bucket", "ls", "--timeout", "2s"],
            b"",
            &[("NATS_CONTEXT", "dead")],
        )
        .ends(1);
    assert_eq!(
        found(elsewhere.run_with(&names, b"", &[("NATS_CONTEXT", "dead"), ("NATS_URL", &url)])),
        "here"
    );
    let unknown = elsewhere.run(&["ls", "--context", "none"]).ends(1);
    assert!(
        unknown.stderr.contains("no context \"none\""),
        "{}",
        unknown.stderr
    );
    assert_eq!(unknown.stderr.lines().count(), 2);
}

#[test]
fn passwords_get_in_and_stay_out_of_sight() {
    let server =
        NatsServer::with_config("authorization { users: [ {user: op, password: \"hunter2\"} ] }");
    let place = Place::nowhere();
    let url = server.url();
    let names = ["bucket", "ls", "--server", &url, "--timeout", "10s"];
    let log = place.home.path().join("log");
    let log = log.display().to_string();
    let right = [
        ("NATS_USER", "op"),
        ("NATS_PASSWORD", "hunter2"),
        ("KVSCOPE_LOG", &log),
    ];
    let right = place.run_with(&names, b"", &right).ends(0);
    let wrong = [("NATS_USER", "op"), ("NATS_PASSWORD", "hunter3")];
    let wrong = place.run_with(&names, b"", &wrong).ends(1);
    let in_url = format!("nats://op:hunter3@127.0.0.1:{}", server.port());
    let in_url = place
        .run(&["bucket", "ls", "-s", &in_url, "--timeout", "3s"])
        .ends(1);
    let help = place
        .run_with(&["--help"], b"", &[("NATS_PASSWORD", "hunter2")])
        .ends(0);
    let log = std::fs::read_to_string(log).expect("the log");
    for text in [
        &right.stderr,
        &wrong.stderr,
        &in_url.stderr,
        &help.text(),
        &log,
    ] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn a_file_is_made_only_where_a_bucket_is_added() {
    let place = Place::file();
    let path = Path::new(&place.flags[1]);
    for words in [&["ls"][..], &["get", "b", "k"], &["put", "b", "k", "v"]] {
        let run = place.run(words);
        assert_ne!(run.code, 0, "{words:?}");
        assert!(!path.exists(), "{words:?}");
    }
    place.run(&["bucket", "add", "b", "--read-only"]).ends(1);
    assert!(!path.exists());
    place.add("b", "1");
    assert!(path.exists());
}

#[test]
fn a_file_that_is_not_ours_stays_as_it_is() {
    let place = Place::file();
    let path = place.with_file(
        "buckets.db",
        b"somebody's notes, longer than a header of SQLite, \
        which has a hundred bytes: and so this one goes on for a while.",
    );
    let before = std::fs::read(&path).expect("the file");
    let run = place.run(&["bucket", "add", "b"]).ends(1);
    assert!(run.stderr.contains("not a kvscope file"), "{}", run.stderr);
    assert_eq!(std::fs::read(&path).expect("the file"), before);
}

#[test]
fn faults_in_the_configuration_are_told_with_their_place() {
    let place = Place::file();
    let config = place.with_file("bad.toml", b"theme = \"dark\"\nread_onyl = true\n");
    let run = place
        .run(&["ls", "--config", &config.display().to_string()])
        .ends(1);
    assert!(
        run.stderr.contains("bad.toml, line 2, column 1"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stdout, b"");
}

#[test]
fn help_shows_examples_and_closes_quietly() {
    let place = Place::nowhere();
    let help = place.run(&["--help"]).ends(0);
    assert!(help.text().contains("Examples:") && help.text().contains("NATS_URL"));
    place.run(&["--version"]).ends(0);
    place.run(&["--no-such-flag"]).ends(2);
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_can_not_be_written_is_a_failure() {
    let place = Place::file();
    place.add("b", "1");
    place.put("b", "k", "v");
    for words in [
        &["--help"][..],
        &["--version"],
        &["bucket", "ls"],
        &["bucket", "info", "b", "--json"],
        &["ls", "b"],
        &["get", "b", "k"],
        &["history", "b", "k", "--json"],
        &["watch", "b"],
        &["export", "b"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = place.command(words);
        command.stdout(full.expect("a full device"));
        let output = command.output().expect("the program ends");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?} {told}");
        assert!(told.contains("the output can't be written"), "{told}");
    }
}

#[test]
#[cfg(unix)]
fn a_limit_on_the_size_of_files_is_told() {
    let place = Place::file();
    place.add("b", "1");
    place.put("b", "k", "before");
    let value = place.with_file("value", &vec![b'x'; 4 << 20]);
    let script = "ulimit -f 1024; exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_kvscope");
    let value = format!("@{}", value.display());
    let words = [program, "put", "b", "k", &value];
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .args(words)
        .args(&place.flags)
        .output()
        .expect("a shell");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(told.starts_with("kvscope: "), "{told}");
    assert_eq!(place.run(&["get", "b", "k"]).ends(0).text(), "before");
    place.put("b", "k", "after");
}

#[test]
fn a_file_for_the_connection_that_is_missing_is_named() {
    let place = Place::nowhere();
    for flag in ["--creds", "--nkey", "--tlsca", "--tlscert", "--tlskey"] {
        let run = place.run(&["ls", flag, "/no/such/file"]).ends(1);
        assert_eq!(
            run.stderr,
            "kvscope: /no/such/file: it can't be read: No such file or directory (os error 2)\n",
            "{flag}"
        );
    }
}

#[test]
fn a_watch_outlives_its_server_and_says_so() {
    let mut place = Place::server();
    place.add("b", "1");
    place.put("b", "k", "before");
    let mut watching = Watching::start(&place, &["watch", "b", "--json"]);
    assert_eq!(watching.record()["value"], "before");
    let server = place.server.as_mut().expect("a server");
    server.kill();
    server.restart();
    place.put("b", "k", "after");
    // After a gap, what was there comes again.
    while watching.record()["value"] != "after" {}
    let (code, stderr) = watching.interrupt_and_read();
    assert_eq!(code, Some(0));
    assert!(stderr.contains("kvscope: interrupted: "), "{stderr}");
    assert!(stderr.contains("kvscope: resumed"), "{stderr}");
}

#[test]
fn keys_that_are_no_text_are_listed_and_exported() {
    use std::io::{Read as _, Write as _};

    let place = Place::server();
    place.add("evil", "5");
    place.put("evil", "good", "v");
    let port = place.server.as_ref().expect("a server").port();
    let mut wire = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let mut operations = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    operations.extend(b"PUB $KV.evil.bad\xff\xfe 1\r\nx\r\nPUB $KV.evil._lock.\xff 1\r\nx\r\n");
    operations.extend(b"HPUB $KV.evil.strange 22 23\r\nNATS/1.0\r\nno colon\r\n\r\nx\r\n");
    operations.extend("HPUB $KV.evil.wide\u{3000}x 18 19\r\nNATS/1.0\r\nX: y\r\n\r\nx\r\n".bytes());
    operations.extend(b"PING\r\n");
    wire.write_all(&operations).expect("they are sent");
    let mut answers = Vec::new();
    while !answers.ends_with(b"PONG\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).expect("an answer");
        answers.extend(byte);
    }
    let keys = place.run(&["ls", "evil", "--names"]).ends(0).text();
    let names = [
        "_lock.\u{fffd}",
        "bad\u{fffd}\u{fffd}",
        "good",
        "strange",
        "wide⟨U+3000⟩x",
    ];
    assert_eq!(keys.lines().collect::<Vec<_>>(), names);
    place.run(&["bucket", "info", "evil"]).ends(0);
    let lines = place.run(&["export", "evil"]).ends(0).text();
    assert!(
        lines.contains("\"good\"") && lines.contains("\"end\":5"),
        "{lines}"
    );
    place.run(&["lock", "ls"]).ends(0);
    place.run(&["get", "evil", "strange"]).ends(0);
    place.run(&["history", "evil", "strange"]).ends(0);
}

#[test]
fn what_can_not_be_a_place_is_a_usage_error() {
    let place = Place::nowhere();
    for words in [
        &["ls", "-s", "foo bar"][..],
        &["ls", "-s", "nats://h:99999"],
        &["ls", "--timeout", "0s"],
    ] {
        place.run(words).ends(2);
    }
}

#[test]
#[cfg(unix)]
fn where_no_file_can_be_it_is_said_why() {
    let mut place = Place::nowhere();
    let link = place.home.path().join("link");
    std::os::unix::fs::symlink("/no/such/file", &link).expect("a link");
    for (path, words) in [
        (link, "a link to a file that is not there"),
        (place.home.path().join("a/b.db"), "there is no folder"),
    ] {
        place.flags = vec!["--local".to_owned(), path.display().to_string()];
        for command in [&["ls"][..], &["bucket", "add", "b"]] {
            let run = place.run(command).ends(1);
            assert!(run.stderr.contains(words), "{}", run.stderr);
            assert!(!run.stderr.contains("makes the file"), "{}", run.stderr);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_write_that_can_not_be_told_is_told_beside() {
    let place = Place::file();
    place.add("b", "1");
    for words in [
        &["put", "b", "k", "v"][..],
        &["put", "b", "k", "v", "--json"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = place.command(words);
        command.stdout(full.expect("a full device"));
        let run = Run::of(&command.output().expect("the program ends")).ends(1);
        assert!(
            run.stderr.contains("b k put at revision") && run.stderr.contains("can't be written"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn what_the_server_takes_is_not_refused() {
    let place = Place::server();
    place.add("b", "1");
    let value = place.with_file("value", &vec![b'x'; 1 << 20]);
    let value = format!("@{}", value.display());
    place.run(&["put", "b", "k", &value]).ends(0);
    let refused = place.run(&["update", "b", "k", &value, "1"]).ends(1);
    let limit = (1 << 20) - "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 1\r\n\r\n".len();
    assert!(
        refused.stderr.contains(&format!("the limit is {limit}")),
        "{}",
        refused.stderr
    );
}

#[test]
#[cfg(unix)]
fn a_watch_ends_with_its_reader_and_with_its_terminal() {
    let place = Place::file();
    place.add("b", "1");
    place.put("b", "k", "v");
    let mut watching = place.command(&["watch", "b"]).spawn().expect("it starts");
    let mut output = watching.stdout.take().expect("a pipe");
    std::io::Read::read_exact(&mut output, &mut [0; 1]).expect("some output");
    drop(output);
    assert_eq!(watching.wait().expect("it ends").code(), Some(0));

    let mut watching = Watching::start(&place, &["watch", "b", "--json"]);
    assert_eq!(watching.record()["value"], "v");
    let id = rustix::process::Pid::from_child(&watching.child);
    rustix::process::kill_process(id, rustix::process::Signal::HUP).expect("a signal");
    watching.end().ends(0);
}

#[test]
fn a_write_of_which_nothing_is_known_has_its_own_ending() {
    let mut place = Place::server();
    place.add("b", "1");
    let port = place.server.as_ref().expect("a server").port();
    place.flags = vec!["--server".to_owned(), program::losing_writes(port)];
    let run = place.run(&["put", "b", "k", "v", "--json"]).ends(7);
    let told = run.record();
    assert_eq!(told["error"], "unknown");
    assert_eq!((&told["bucket"], &told["key"]), (&json!("b"), &json!("k")));
    assert!(run.stderr.contains("not known"), "{}", run.stderr);
}

#[test]
fn a_command_is_stopped_when_its_server_is_gone_for_too_long() {
    let mut place = Place::server();
    place.add("b", "1");
    // An outage that is shorter than the lease costs nothing.
    let options = ["--timeout", "3s", "--lease", "60s", "b", "r"];
    let script = "echo runs; read line; exit 4";
    let mut command = locking::lock_run(&place, &options, &["sh", "-c", script]);
    let mut running = Watching::of(command.stdin(Stdio::piped()));
    assert_eq!(running.line(), "runs\n");
    let server = place.server.as_mut().expect("a server");
    server.kill();
    server.restart();
    place.put("b", "k", "the server is back");
    assert!(running.child.try_wait().expect("it is asked").is_none());
    drop(running.child.stdin.take());
    running.end().ends(4);

    let options = ["--timeout", "3s", "--lease", "6s", "b", "r"];
    let script = "trap 'echo asked; exit 1' TERM; echo runs; while :; do sleep 0.02; done";
    let mut command = locking::lock_run(&place, &options, &["sh", "-c", script]);
    let mut running = Watching::of(&mut command);
    assert_eq!(running.line(), "runs\n");
    place.server.as_mut().expect("a server").kill();
    let run = running.end().ends(5);
    assert_eq!(run.text(), "asked\n");
    assert!(run.stderr.contains("lease ran out"), "{}", run.stderr);
}
