//! Export and import: on one place, from one to the other, and when something goes wrong.

use std::process::Command;

use serde_json::{Value, json};

use crate::program::{Place, Run, on_terminal};

/// The lines of an export, its head and its end left out.
fn exported(run: &Run) -> Vec<Value> {
    let records = run.records();
    let entries = records.iter().filter(|record| !record["key"].is_null());
    entries.cloned().collect()
}

/// Each key of a bucket and its value, in the order of keys: many are imported at once.
pub(crate) fn content(place: &Place, bucket: &str) -> Vec<(String, String)> {
    let run = place.run(&["export", bucket]).ends(0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = exported(&run).into_iter();
    let mut content: Vec<_> = entries
        .map(|entry| {
            let value = format!("{}{}", text(&entry["value"]), text(&entry["value_base64"]));
            (text(&entry["key"]), value)
        })
        .collect();
    content.sort();
    content
}

fn import(place: &Place, words: &[&str], lines: &[u8]) -> Run {
    let words: Vec<&str> = ["import"].iter().chain(words).copied().collect();
    place.run_with(&words, lines, &[])
}

fn put_bytes(place: &Place, bucket: &str, key: &str, value: &[u8]) {
    place
        .run_with(&["put", bucket, key, "-"], value, &[])
        .ends(0);
}

pub(crate) fn there_and_back(place: &Place) {
    place.add("x-from", "3");
    let values: [(&str, &[u8]); 5] = [
        ("text", b"line 1\nline 2 \"quoted\" \\ \xe6\xbc\xa2"),
        ("bytes", &[0, 255, 10, 13, 128]),
        ("empty", b""),
        ("escape", b"\x1b[31m\xe2\x80\xae"),
        ("deep.er.key", b"{\"a\": 1.0, \"a\": 2}"),
    ];
    for (key, value) in values {
        put_bytes(place, "x-from", key, value);
    }
    place.put("x-from", "text", "newer");
    put_bytes(place, "x-from", "text", values[0].1);
    place.put("x-from", "gone", "1");
    place.run(&["del", "x-from", "gone", "--force"]).ends(0);

    let run = place.run(&["export", "x-from"]).ends(0);
    assert!(!run.text().contains('\u{1b}') && !run.text().contains('\u{202e}'));
    let records = run.records();
    assert_eq!(records[0]["export"], 1);
    assert_eq!(records[0]["settings"]["history"], 3);
    assert_eq!(records.last().expect("an end")["end"], 6);
    let made = import(
        place,
        &["x-to", "--create", "--json"],
        run.text().as_bytes(),
    );
    let record = made.ends(0).record();
    assert_eq!(
        (&record["written"], &record["nothing_there"]),
        (&json!(5), &json!(1))
    );
    for (key, value) in values {
        let got = place.run(&["get", "x-to", key]).ends(0);
        assert_eq!(got.stdout, value, "{key}");
    }
    let info = place.run(&["bucket", "info", "x-to", "--json"]).ends(0);
    assert_eq!(info.record()["history"], 3);

    let some = place.run(&["export", "x-from", "deep.>"]).ends(0);
    assert_eq!(exported(&some).len(), 1);
    let newest = exported(&run)[4]["revision"].as_u64().expect("a revision");
    let newest = newest.to_string();
    let late = place.run(&["export", "x-from", "--from-revision", &newest]);
    assert_eq!(exported(&late.ends(0)).len(), 2);

    // A file takes its name when it is whole.
    let path = place.home.path().join("x.jsonl");
    let name = path.display().to_string();
    place.run(&["export", "x-from", "--output", &name]).ends(0);
    let again = import(place, &["x-to", &name], b"").ends(0);
    assert_eq!(
        again.text(),
        "x-to: 0 written, 5 the same already, 1 deletions of what is not there\n"
    );
    place.run(&["export", "x-none", "--output", &name]).ends(3);
    place.run(&["import", "x-none", &name]).ends(3);
    import(place, &["x-to", "/no/such/file"], b"").ends(1);
    place
        .run(&[
            "import",
            "x-to",
            &name,
            "--read-only",
            "--mode",
            "overwrite",
        ])
        .ends(6);
}

pub(crate) fn modes(place: &Place) {
    place.add("m-from", "1");
    for (key, value) in [("new", "1"), ("same", "1"), ("other", "1"), ("back", "1")] {
        place.put("m-from", key, value);
    }
    let lines = place.run(&["export", "m-from"]).ends(0).stdout;
    place.add("m-to", "1");
    place.put("m-to", "same", "1");
    place.put("m-to", "other", "2");
    place.put("m-to", "back", "1");
    place.run(&["del", "m-to", "back", "--force"]).ends(0);
    let before = content(place, "m-to");

    let trial = |mode| {
        let words = ["m-to", "--dry-run", "--json", "--mode", mode];
        let run = import(place, &words, &lines).ends(0);
        assert_eq!(
            content(place, "m-to"),
            before,
            "nothing is written on trial"
        );
        run.records().last().expect("a summary").clone()
    };
    let record = trial("create");
    assert_eq!(
        (&record["written"], &record["same"], &record["exists"]),
        (&json!(2), &json!(1), &json!(1)),
        "{record}"
    );
    let record = trial("overwrite");
    assert_eq!(
        (&record["written"], &record["same"]),
        (&json!(3), &json!(1))
    );
    let record = trial("merge");
    assert_eq!(
        (&record["written"], &record["same"], &record["newer"]),
        (&json!(1), &json!(1), &json!(2)),
        "{record}"
    );

    let merged = import(place, &["m-to", "--mode", "merge"], &lines).ends(0);
    assert!(
        merged
            .stderr
            .contains("other: left: it was written later there"),
        "{}",
        merged.stderr
    );
    assert_eq!(
        merged.text(),
        "m-to: 1 written, 1 the same already, 2 left: written later there\n"
    );
    assert_eq!(place.run(&["get", "m-to", "other"]).ends(0).text(), "2");
    place.run(&["get", "m-to", "back"]).ends(3);
    import(place, &["m-to"], &lines).ends(0);
    assert_eq!(place.run(&["get", "m-to", "back"]).ends(0).text(), "1");
    assert_eq!(place.run(&["get", "m-to", "other"]).ends(0).text(), "2");
    import(place, &["m-to", "--mode", "overwrite"], &lines).ends(0);
    assert_eq!(place.run(&["get", "m-to", "other"]).ends(0).text(), "1");

    // What a filter leaves of an export has no head and no end, and is taken all the same.
    let text = String::from_utf8(lines).expect("text");
    let one = text.lines().find(|line| line.contains("other"));
    place.put("m-to", "other", "3");
    let one = format!("{}\n", one.expect("a line"));
    import(place, &["m-to", "--mode", "overwrite"], one.as_bytes()).ends(0);
    assert_eq!(place.run(&["get", "m-to", "other"]).ends(0).text(), "1");
}

pub(crate) fn history(place: &Place) {
    place.add("h-from", "10");
    for value in ["1", "2", "2"] {
        place.put("h-from", "a", value);
        place.put("h-from", "b", value);
    }
    place.run(&["del", "h-from", "a", "--force"]).ends(0);
    place.put("h-from", "a", "4");
    let lines = place.run(&["export", "h-from", "--history"]).ends(0).stdout;
    import(place, &["h-to", "--create"], &lines).ends(0);
    let past = |bucket, key| {
        let records = place.run(&["history", bucket, key, "--json"]).ends(0);
        let records = records.records().into_iter();
        records
            .map(|record| (record["operation"].clone(), record["value"].clone()))
            .collect::<Vec<_>>()
    };
    for key in ["a", "b"] {
        assert_eq!(past("h-to", key), past("h-from", key), "{key}");
    }
    // Once more: the keys are there, and nothing is added to their past.
    import(place, &["h-to"], &lines).ends(0);
    assert_eq!(past("h-to", "a").len(), 5);
}

pub(crate) fn bad_lines(place: &Place) {
    place.add("l", "1");
    let line = |key: &str| format!("{{\"key\":\"{key}\",\"value\":\"1\"}}\n");
    let cut = format!("{}{}{}", line("a"), line("b"), "{\"key\":\"c\",\"val");
    let run = import(place, &["l"], cut.as_bytes()).ends(1);
    assert!(
        run.stderr
            .contains("standard input, line 3: it is cut off, or no JSON")
            && run.stderr.contains("nothing after line 2 was imported"),
        "{}",
        run.stderr
    );
    assert_eq!(run.text(), "l: 2 written\n");
    assert_eq!(content(place, "l").len(), 2);

    let foreign = format!("{}{{\"name\":\"x\"}}\n{}", line("d"), line("e"));
    let run = import(place, &["l", "--dry-run"], foreign.as_bytes()).ends(1);
    assert!(
        run.stderr
            .contains("line 2: it is no line of an export: it has no \"key\"")
    );
    assert_eq!(content(place, "l").len(), 2, "on trial nothing is written");

    let export = place.run(&["export", "l"]).ends(0).text();
    let early: Vec<&str> = export.lines().take(2).collect();
    let run = import(place, &["l"], early.join("\n").as_bytes()).ends(1);
    assert!(
        run.stderr.contains("ends after line 2, and is not whole"),
        "{}",
        run.stderr
    );
    let short: Vec<&str> = export
        .lines()
        .filter(|line| !line.contains("\"b\""))
        .collect();
    let run = import(place, &["l"], short.join("\n").as_bytes()).ends(1);
    assert!(
        run.stderr.contains("it has 1 entries, and had 2"),
        "{}",
        run.stderr
    );

    let unfit = format!("{}{}", line("no blanks"), line("f"));
    let run = import(place, &["l"], unfit.as_bytes()).ends(1);
    assert!(
        run.stderr.contains("only letters, digits"),
        "{}",
        run.stderr
    );
    assert_eq!(run.text(), "l: 1 written, 1 refused\n");
    import(place, &["l"], b"").ends(0);
    import(place, &["no bucket"], b"").ends(2);
}

pub(crate) fn times_to_live(place: &Place) {
    place
        .run(&["bucket", "add", "t-from", "--marker-ttl", "1h"])
        .ends(0);
    place
        .run(&["put", "t-from", "k", "v", "--ttl", "1h"])
        .ends(0);
    let lines = place.run(&["export", "t-from"]).ends(0).text();
    assert!(
        lines.contains("\"ttl_ms\":3600000") && lines.contains("\"expires\":"),
        "{lines}"
    );
    import(place, &["t-to", "--create"], lines.as_bytes()).ends(0);
    let again = place.run(&["export", "t-to"]).ends(0).text();
    assert!(
        again.contains("\"ttl_ms\":3") && again.contains("\"expires\":"),
        "{again}"
    );
    place.add("t-plain", "1");
    let run = import(place, &["t-plain"], lines.as_bytes()).ends(0);
    assert_eq!(
        run.text(),
        "t-plain: 1 written, 1 written without their time to live\n"
    );
    let over =
        "{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":1000,\"expires\":\"2020-01-01T00:00:00Z\"}";
    let run = import(place, &["t-to"], over.as_bytes()).ends(0);
    assert_eq!(
        run.text(),
        "t-to: 0 written, 1 left out: their time was over\n"
    );
}

#[test]
fn a_bar_is_shown_on_a_terminal_alone_and_leaves_nothing() {
    let place = Place::file();
    place.add("b", "1");
    let lines: Vec<String> = (0..20_000)
        .map(|n| format!("{{\"key\":\"k.{n}\",\"value\":\"1\"}}\n"))
        .collect();
    let lines = lines.concat();
    let head = place.run(&["export", "b"]).ends(0).text();
    let head = head.lines().next().expect("a head");
    let head = head.replace("\"expected\":0", "\"expected\":20000");
    let lines = format!("{head}\n{lines}{{\"end\":20000}}\n");
    let path = place.with_file("lines", lines.as_bytes());
    let path = path.display().to_string();
    let sent = on_terminal(&place, &["import", "b", &path]);
    assert!(
        sent.contains("of 20,000") && sent.contains(" left"),
        "{sent}"
    );
    let mut terminal = vt100::Parser::new(24, 80, 0);
    terminal.process(sent.as_bytes());
    assert_eq!(terminal.screen().contents().trim(), "b: 20000 written");

    let run = place.run(&["import", "b", &path]).ends(0);
    assert_eq!(run.stderr, "");
}

/// A shell pipeline of two runs of the program.
fn piped(from: &Place, export: &[&str], to: &Place, words: &[&str]) -> (i32, Run) {
    let mut first = from.command(export);
    let mut first = first.spawn().expect("the program starts");
    let mut second = to.command(words);
    second.stdin(first.stdout.take().expect("a pipe"));
    let output = second.output().expect("the program ends");
    let code = first.wait().expect("the program ends").code();
    (code.unwrap_or(-1), Run::of(&output))
}

#[test]
fn between_a_server_and_a_file_and_back() {
    let (server, file) = (Place::server(), Place::file());
    server.add("config", "5");
    for n in 0..300 {
        server.put("config", &format!("k.{}", n % 100), &n.to_string());
    }
    let (code, run) = piped(
        &server,
        &["export", "config", "--history"],
        &file,
        &["import", "config", "--create"],
    );
    run.ends(0);
    assert_eq!(code, 0);
    assert_eq!(content(&file, "config"), content(&server, "config"));
    let (_, run) = piped(
        &file,
        &["export", "config"],
        &server,
        &["import", "copy", "--create", "--mode", "merge"],
    );
    run.ends(0);
    assert_eq!(content(&server, "copy"), content(&file, "config"));
}

#[test]
fn yesterdays_production_opens_as_it_was() {
    let (server, file) = (Place::server(), Place::file());
    server
        .run(&[
            "bucket",
            "add",
            "locks",
            "--history",
            "8",
            "--marker-ttl",
            "1h",
        ])
        .ends(0);
    for n in 0..5 {
        server.put("locks", "a", &n.to_string());
        server.put("locks", "b", &n.to_string());
    }
    server.run(&["del", "locks", "b", "--force"]).ends(0);
    server
        .run(&["put", "locks", "c", "short", "--ttl", "1s"])
        .ends(0);
    let words = ["import", "locks", "--create", "--exact"];
    let (_, run) = piped(&server, &["export", "locks", "--history"], &file, &words);
    run.ends(0);
    for key in ["a", "b"] {
        let past = |place: &Place| {
            place
                .run(&["history", "locks", key, "--json"])
                .ends(0)
                .text()
        };
        assert_eq!(past(&file), past(&server), "revisions and times too");
    }
    let run = file.run(&["get", "locks", "c", "--json"]).ends(0);
    assert_eq!(run.record()["value"], "short");
    // What is there can't be mixed with another past, and a server gives revisions of its own.
    let (_, run) = piped(&server, &["export", "locks"], &file, &words);
    assert!(run.ends(2).stderr.contains("--exact fills an empty bucket"));
    let (_, run) = piped(
        &file,
        &["export", "locks"],
        &server,
        &["import", "new", "--create", "--exact"],
    );
    assert!(run.ends(1).stderr.contains("only a file can hold them"));
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    let place = Place::file();
    place.add("b", "1");
    let value = place.with_file("value", &vec![b'x'; 900 << 10]);
    for key in ["a", "b", "c"] {
        place
            .run(&["put", "b", key, &format!("@{}", value.display())])
            .ends(0);
    }
    let path = place.home.path().join("out.jsonl");
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 1024; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_kvscope"), "export", "b", "--output"])
        .arg(&path)
        .args(&place.flags)
        .output()
        .expect("a shell");
    let run = Run::of(&output).ends(1);
    assert!(
        run.stderr.contains("the output can't be written"),
        "{}",
        run.stderr
    );
    assert!(!path.exists());
    let left = std::fs::read_dir(place.home.path()).expect("the folder");
    let names: Vec<_> = left.map(|file| file.expect("a file").file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().ends_with(".part")),
        "{names:?}"
    );
}
