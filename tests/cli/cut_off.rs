//! Exports and imports that are cut off: by a signal, a kill, a full disk, a store that goes away; and
//! going on with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::program::{Place, Run, Watching, interrupt, until};
use crate::transfer::content;

fn files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder");
    files
        .map(|file| file.expect("a file").file_name().display().to_string())
        .collect()
}

/// Each key that is there and its value. Of several entries of a key the last counts.
fn live(place: &Place, bucket: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for entry in place.run(&["export", bucket]).ends(0).records() {
        let Some(key) = entry["key"].as_str() else {
            continue;
        };
        match entry["value"].as_str() {
            Some(value) => keys.insert(key.to_owned(), value.to_owned()),
            None => keys.remove(key),
        };
    }
    keys
}

/// What is kept of a key: the operations and values, oldest first.
fn past(place: &Place, bucket: &str, key: &str) -> Vec<String> {
    let run = place.run(&["history", bucket, key, "--json"]).ends(0);
    let records = run.records().into_iter();
    records
        .map(|entry| format!("{} {}", entry["operation"], entry["value"]))
        .collect()
}

#[test]
fn an_import_goes_on_where_it_was_stopped() {
    let (server, file) = (Place::server(), Place::file());
    file.add("from", "3");
    let mut lines = String::new();
    for n in 0..60_000 {
        writeln!(lines, "{{\"key\":\"k.{}\",\"value\":\"{n}\"}}", n / 2).expect("a string");
    }
    server.add("to", "5");
    let state = server.home.path().join("state");
    let state = state.display().to_string();
    let words = ["import", "to", "--resume", &state];
    let mut command = server.command(&words);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    let half = lines.len() / 2;
    input
        .write_all(&lines.as_bytes()[..half])
        .expect("it reads");
    // It has written what it has: then it is interrupted in the middle of a line.
    let mut watching = Watching::start(&server, &["watch", "to", "k.10000", "--json"]);
    assert_eq!(watching.record()["key"], "k.10000");
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    let run = Run::of(&output).ends(130);
    assert!(
        run.stderr.contains("interrupted; everything up to line"),
        "{}",
        run.stderr
    );

    let run = server.run_with(&words, lines.as_bytes(), &[]).ends(0);
    assert!(
        !std::path::Path::new(&state).exists(),
        "there is nothing to go on with"
    );
    let keys = content(&server, "to");
    assert_eq!(keys.len(), 30_000, "{}", run.text());
    assert!(keys.iter().all(|(key, value)| {
        let n: u64 = value.parse().expect("a number");
        *key == format!("k.{}", n / 2) && n % 2 == 1
    }));
    // Nothing was written twice.
    let info = server.run(&["bucket", "info", "to", "--json"]).ends(0);
    assert_eq!(info.record()["last_revision"], 60_000);
    // The file is about one import.
    std::fs::write(
        &state,
        "{\"import\":\"another\",\"lines\":1,\"written\":[]}",
    )
    .expect("a file");
    server.run_with(&words, lines.as_bytes(), &[]).ends(2);
}

/// An import that reads `lines` and then waits for more.
fn begun(place: &Place, words: &[&str], lines: &str) -> (Child, std::process::ChildStdin) {
    let mut command = place.command(words);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(lines.as_bytes()).expect("it reads");
    (child, input)
}

fn killed_and_gone_on_with(place: &Place) {
    place
        .run(&["bucket", "add", "from", "--history", "64"])
        .ends(0);
    place
        .run(&["bucket", "add", "to", "--history", "64"])
        .ends(0);
    // Many lines of few keys, so that later ones go over earlier ones.
    let mut lines = String::new();
    for n in 0..1200 {
        let (key, value) = (n % 20, n / 40);
        writeln!(lines, "{{\"key\":\"k.{key}\",\"value\":\"{value}\"}}").expect("a string");
    }
    place
        .run_with(&["import", "from"], lines.as_bytes(), &[])
        .ends(0);
    let state = place.home.path().join("state");
    let name = state.display().to_string();
    let words = ["import", "to", "--resume", &name];
    // The reader hands on 512 lines at once.
    let half = lines
        .lines()
        .take(1024)
        .fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });
    let (mut child, input) = begun(place, &words, &half);
    let info = ["bucket", "info", "to", "--json"];
    until("all of it written", || {
        place.run(&info).ends(0).record()["last_revision"] == 1024
    });
    until("anything kept", || state.exists());
    // As if the kill had come just before: what was written since is in no file.
    let kept = fs::read_to_string(&state).expect("the file");
    let mut kept: serde_json::Value = serde_json::from_str(&kept).expect("an object");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    drop(input);
    // Some lines were done before others in front of them.
    kept["lines"] = 100.into();
    kept["beyond"] = serde_json::json!([[141, 160]]);
    kept["written"] = serde_json::json!([[1, 100], [141, 160]]);
    fs::write(&state, kept.to_string()).expect("a file");

    place.run_with(&words, lines.as_bytes(), &[]).ends(0);
    for key in 0..20 {
        let key = format!("k.{key}");
        assert_eq!(past(place, "to", &key), past(place, "from", &key), "{key}");
    }
}

#[test]
fn an_import_that_was_killed_goes_on_and_repeats_nothing() {
    killed_and_gone_on_with(&Place::file());
    killed_and_gone_on_with(&Place::server());
}

#[test]
fn an_exact_import_that_was_killed_goes_on() {
    let place = Place::file();
    place.add("to", "5");
    let mut lines = String::new();
    for n in 1..=20_000 {
        writeln!(
            lines,
            "{{\"key\":\"k.{}\",\"revision\":{n},\"created\":\"2026-01-02T03:04:05Z\",\"value\":\"{n}\"}}",
            n % 7000
        )
        .expect("a string");
    }
    let state = place.home.path().join("state").display().to_string();
    let words = ["import", "to", "--exact", "--resume", &state];
    let half = &lines[..lines.len() / 2];
    let (mut child, input) = begun(&place, &words, half);
    let info = ["bucket", "info", "to", "--json"];
    until("some of it written", || {
        place.run(&info).ends(0).record()["last_revision"] != 0
    });
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    drop(input);
    let run = place.run_with(&words, lines.as_bytes(), &[]).ends(0);
    assert!(run.text().contains("the same already"), "{}", run.text());
    let info = place.run(&info).ends(0).record();
    // A line that could not be kept as it was is not passed over.
    place.add("other", "1");
    let words = ["import", "other", "--exact"];
    let run = place.run_with(&words, b"{\"key\":\"a\",\"value\":\"1\"}", &[]);
    let run = run.ends(1);
    assert!(
        run.stderr.contains("line 1: it has no revision or no time"),
        "{}",
        run.stderr
    );
    assert_eq!(info["last_revision"], 20_000);
    assert_eq!(
        (&info["keys"], &info["entries"]),
        (&7_000.into(), &20_000.into())
    );
}

#[test]
fn what_an_import_kept_is_of_one_bucket_and_of_no_trial() {
    let place = Place::file();
    place.add("to", "1");
    let state = place.home.path().join("state");
    let name = state.display().to_string();
    let words = ["import", "to", "--resume", &name];
    // A line that can't be taken stops it, and what came before is kept.
    let lines = "{\"key\":\"a\",\"value\":\"1\"}\nnonsense\n";
    place.run_with(&words, lines.as_bytes(), &[]).ends(1);
    assert!(state.exists());
    place.run(&["bucket", "rm", "to", "--force"]).ends(0);
    place.add("to", "1");
    let run = place.run_with(&words, lines.as_bytes(), &[]).ends(2);
    assert!(
        run.stderr.contains("about another import"),
        "{}",
        run.stderr
    );
    let trial = [&words[..], &["--dry-run"]].concat();
    place.run_with(&trial, b"", &[]).ends(2);
}

pub(crate) fn exports(place: &Place) {
    place.add("e-from", "3");
    for n in 0..40 {
        place.put("e-from", &format!("k.{}", n % 30), &n.to_string());
    }
    let path = place.home.path().join("e.jsonl");
    let name = path.display().to_string();
    for history in [&["--history"][..], &[]] {
        let words = [&["export", "e-from", "-o", &name, "--resume"][..], history].concat();
        fs::remove_file(&path).ok();
        place.run(&words).ends(0);
        let whole = fs::read_to_string(&path).expect("the file");
        let run = place.run(&words).ends(0);
        assert!(run.stderr.contains("is whole already"), "{}", run.stderr);
        for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).expect("a file");
            let run = place.run(&words).ends(0);
            let says = run.stderr.contains("going on behind revision");
            assert_eq!(says, cut > 5, "{}", run.stderr);
            let again = fs::read_to_string(&path).expect("the file");
            let entries = |text: &str| {
                let (_, entries) = text.split_once('\n').expect("a head");
                entries.to_owned()
            };
            assert_eq!(entries(&again), entries(&whole), "cut at {cut}");
        }
        // What was written since it was cut off comes too, once.
        fs::write(&path, &whole[..whole.len() * 2 / 3]).expect("a file");
        place.put("e-from", "k.0", "newer");
        let gone = format!("k.{}", 10 + history.len());
        place.run(&["del", "e-from", &gone, "--force"]).ends(0);
        place.run(&words).ends(0);
        let copy = format!("e-copy-{}", history.len());
        place.run(&["import", &copy, &name, "--create"]).ends(0);
        assert_eq!(live(place, &copy), live(place, "e-from"));
    }
    // What is something else is left as it is.
    for (text, words) in [
        ("notes\n", "it is no export"),
        (
            "{\"key\":\"a\",\"value\":\"1\"}\n",
            "the head of an export should come first",
        ),
    ] {
        fs::write(&path, text).expect("a file");
        let run = place
            .run(&["export", "e-from", "-o", &name, "--resume"])
            .ends(2);
        assert!(run.stderr.contains(words), "{}", run.stderr);
        assert_eq!(fs::read_to_string(&path).expect("the file"), text);
    }
    fs::remove_file(&path).ok();
    place
        .run(&["export", "e-from", "-o", &name, "--resume"])
        .ends(0);
    let other = ["export", "e-from", "k.1", "-o", &name, "--resume"];
    let run = place.run(&other).ends(2);
    assert!(
        run.stderr.contains("the newest entries of \"k.1\""),
        "{}",
        run.stderr
    );
    place.run(&["export", "e-from", "--resume"]).ends(2);
}

#[test]
fn an_export_that_is_interrupted_leaves_no_half_file_unless_it_is_to_be_gone_on_with() {
    let place = Place::server();
    place.add("b", "1");
    for n in 0..10 {
        place.put("b", &format!("k.{n}"), "1");
    }
    let server = place.server.as_ref().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.jsonl");
    let name = path.display().to_string();
    for resume in [&[][..], &["--resume"]] {
        let words = [&["export", "b", "-o", &name][..], resume].concat();
        // The server stops answering as soon as the file is there.
        let mut child = place.command(&words).spawn().expect("it starts");
        until("a file", || !files(folder.path()).is_empty());
        server.pause();
        // It may have been quicker.
        if child.try_wait().expect("it is asked").is_none() {
            interrupt(&child);
        }
        let output = child.wait_with_output().expect("it ends");
        server.go_on();
        match output.status.code() {
            Some(0) => assert!(path.exists()),
            code => {
                assert_eq!(code, Some(130));
                assert_eq!(files(folder.path()).len(), resume.len());
            }
        }
        fs::remove_file(&path).ok();
    }
}

#[test]
fn an_export_of_a_bucket_that_goes_away_says_so() {
    let place = Place::server();
    place.add("b", "1");
    let value = "x".repeat(900 << 10);
    let lines: Vec<String> = (0..90)
        .map(|n| format!("{{\"key\":\"k.{n}\",\"value\":\"{value}\"}}\n"))
        .collect();
    place
        .run_with(&["import", "b"], lines.concat().as_bytes(), &[])
        .ends(0);
    // Nobody reads on, so more stays at the store than a watch holds.
    let mut exporting = Watching::start(&place, &["export", "b", "--timeout", "5s"]);
    assert!(exporting.line().contains("\"export\":1"));
    place.run(&["bucket", "rm", "b", "--force"]).ends(0);
    let run = exporting.end().ends(1);
    let words = "b is not exported: the bucket is gone";
    assert!(run.stderr.contains(words), "{}", run.stderr);
}
