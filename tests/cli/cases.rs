//! What every command does, on whatever place: the list that runs on a file and on a server.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::program::{Place, Watching, on_terminal};
use crate::{buckets, completion, cut_off, doctor, examples, locking, locks, query, transfer};

type Case = (&'static str, fn(&Place));

const CASES: &[Case] = &[
    (
        "buckets are made, listed, shown and removed",
        buckets_come_and_go,
    ),
    ("a bucket's settings are changed", buckets::editing),
    ("a bucket is compacted", buckets::compacting),
    ("a value comes back as it went", values),
    ("values come from files and standard input", sources),
    ("keys are listed in order", listing),
    ("create, update, conflict", conflicts),
    ("delete and purge", removal),
    ("what lives longer than it was to", least_life),
    ("history", history),
    ("what is not there", not_found),
    ("read-only", read_only),
    ("usage", usage),
    ("a closed pipe", closed_pipe),
    ("watch", watch),
    ("nothing raw on a terminal", terminal),
    ("what is exported comes back", transfer::there_and_back),
    ("what an import does in each mode", transfer::modes),
    ("an import of history", transfer::history),
    ("lines that are no export", transfer::bad_lines),
    ("times to live are kept", transfer::times_to_live),
    ("an export goes on where it was cut off", cut_off::exports),
    ("keys are chosen by their values", query::choosing),
    ("a query on one value", query::printing),
    ("a shell is told names", completion::live_names),
    ("manual pages", completion::pages),
    ("what is set dangerously is told", doctor::findings),
    ("locks are listed with their verdicts", locks::listing),
    (
        "a lock is shown with its queue and its past",
        locks::showing,
    ),
    ("nothing raw of a lock's names", locks::nothing_raw),
    ("a command under a lock", locking::run),
    ("a lock that is waited for", locking::wait),
    ("signals are passed on", locking::signals),
    ("a holder that is killed", locking::killed),
    ("a supervisor that is killed", locking::supervisor_killed),
    ("ends of children are ignored", locking::ends_ignored),
    ("a lock that can't be let go", locking::not_let_go),
    ("a lock that is lost", locking::lost),
    ("a lock that is broken", locking::broken),
    ("a lock that is broken by force", locking::forced),
    ("a foreign lock is reset", locking::reset),
    (
        "two processes that exclude each other",
        examples::mutual_exclusion,
    ),
    ("a write that comes too late", examples::fenced_write),
];

/// Runs every case on this place.
pub(crate) fn run_all(place: &Place) {
    for (name, case) in CASES {
        eprintln!("{name}");
        case(place);
    }
}

fn buckets_come_and_go(place: &Place) {
    let made = place.run(&[
        "bucket",
        "add",
        "b-made",
        "--history",
        "7",
        "--description",
        "for the test",
        "--json",
    ]);
    let record = made.ends(0).record();
    assert_eq!(record["bucket"], "b-made");
    assert_eq!(record["history"], 7);
    assert_eq!(record["description"], "for the test");
    assert_eq!(record["ttl_ms"], Value::Null);
    assert_eq!(record["storage"], "file");
    assert_eq!(record["replicas"], 1);
    assert_eq!(record["read_only"], false);

    place.put("b-made", "k", "value");
    let info = place.run(&["bucket", "info", "b-made", "--json"]).ends(0);
    let names: Vec<String> = info
        .record()
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    let promised = [
        "bucket",
        "keys",
        "bytes",
        "history",
        "ttl_ms",
        "storage",
        "replicas",
        "read_only",
    ];
    assert_eq!(names[..8], promised);
    assert_eq!(info.record()["keys"], 1);

    place.add("b-also", "1");
    let listed = place.run(&["bucket", "ls", "--json"]).ends(0).records();
    let listed: Vec<&Value> = listed.iter().map(|record| &record["bucket"]).collect();
    assert!(listed.is_sorted_by_key(|name| name.as_str()), "{listed:?}");
    assert!(listed.contains(&&json!("b-made")) && listed.contains(&&json!("b-also")));
    let people = place.run(&["ls"]).ends(0).text();
    assert!(
        people.starts_with("BUCKET") && people.contains("for the test"),
        "{people}"
    );

    // Made again with other settings.
    place
        .run(&["bucket", "add", "b-made", "--history", "3"])
        .ends(1);
    let unasked = place.run(&["bucket", "rm", "b-made"]).ends(2);
    assert!(unasked.stderr.contains("--force"), "{}", unasked.stderr);
    place.run(&["bucket", "info", "b-made"]).ends(0);
    place.run(&["bucket", "rm", "b-made", "--force"]).ends(0);
    place.run(&["bucket", "info", "b-made"]).ends(3);
    place.run(&["bucket", "rm", "b-made"]).ends(3);
}

fn values(place: &Place) {
    place.add("values", "3");
    let text = "line 1\nline 2\t\u{1b}[31m\u{9b}\u{202e} end \"quoted\" \\ 漢";
    let revision = place.put("values", "text", text);
    let got = place.run(&["get", "values", "text"]).ends(0);
    assert_eq!(got.text(), text, "a pipe gets the bytes");
    let got = place.run(&["get", "values", "text", "--json"]).ends(0);
    let fields: Vec<String> = got
        .record()
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        fields,
        ["bucket", "key", "revision", "created", "operation", "value"]
    );
    assert_eq!(got.record()["value"], text);
    assert_eq!(got.record()["revision"], revision);
    assert_eq!(got.record()["operation"], "put");
    let hidden = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(
        !got.text().contains(hidden),
        "JSON is harmless on a terminal"
    );
    let created = got.record()["created"].as_str().expect("a time").to_owned();
    assert!(created.ends_with('Z') && created.contains('T'), "{created}");

    let bytes = [0, 159, 146, 150, 10, 255];
    place
        .run_with(&["put", "values", "bytes", "-"], &bytes, &[])
        .ends(0);
    assert_eq!(place.run(&["get", "values", "bytes"]).ends(0).stdout, bytes);
    assert_eq!(
        place
            .run(&["get", "values", "bytes", "--raw"])
            .ends(0)
            .stdout,
        bytes
    );
    let record = place
        .run(&["get", "values", "bytes", "--json"])
        .ends(0)
        .record();
    assert_eq!(record["value_base64"], "AJ+Slgr/");
    assert_eq!(record.get("value"), None);

    place.put("values", "empty", "");
    assert_eq!(place.run(&["get", "values", "empty"]).ends(0).stdout, b"");
    let record = place
        .run(&["get", "values", "empty", "--json"])
        .ends(0)
        .record();
    assert_eq!(record["value"], "");

    // An older revision, while it is kept.
    place.put("values", "text", "newer");
    let older = place.run(&["get", "values", "text", "--revision", &revision.to_string()]);
    assert_eq!(older.ends(0).text(), text);
    place
        .run(&[
            "get",
            "values",
            "bytes",
            "--revision",
            &revision.to_string(),
        ])
        .ends(3);
}

fn sources(place: &Place) {
    place.add("sources", "1");
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = place.with_file("large.bin", &large);
    let at = format!("@{}", file.display());
    place.run(&["put", "sources", "file", &at]).ends(0);
    assert!(place.run(&["get", "sources", "file"]).ends(0).stdout == large);
    place
        .run_with(&["put", "sources", "stdin"], &large, &[])
        .ends(0);
    assert!(place.run(&["get", "sources", "stdin"]).ends(0).stdout == large);
    place
        .run(&["put", "sources", "literal", "@home", "--literal"])
        .ends(0);
    assert_eq!(
        place.run(&["get", "sources", "literal"]).ends(0).text(),
        "@home"
    );
    place.run(&["put", "sources", "negative", "-12.5"]).ends(0);
    assert_eq!(
        place.run(&["get", "sources", "negative"]).ends(0).text(),
        "-12.5"
    );
    let missing = place
        .run(&["put", "sources", "k", "@/no/such/file"])
        .ends(1);
    assert!(
        missing.stderr.contains("/no/such/file"),
        "{}",
        missing.stderr
    );
    place.run(&["get", "sources", "k"]).ends(3);
}

fn listing(place: &Place) {
    place.add("listing", "5");
    assert_eq!(
        place.run(&["ls", "listing"]).ends(0).text(),
        "",
        "an empty bucket"
    );
    for key in ["b.two", "a", "b.one", "c"] {
        place.put("listing", key, "12345");
    }
    place.put("listing", "a", "1");
    place.run(&["del", "listing", "c", "--force"]).ends(0);
    let records = place.run(&["ls", "listing", "--json"]).ends(0).records();
    let keys: Vec<&Value> = records.iter().map(|record| &record["key"]).collect();
    assert_eq!(keys, ["a", "b.one", "b.two"]);
    let fields: Vec<&String> = records[0].as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["key", "revision", "created", "size", "operation"]);
    assert_eq!(
        (&records[0]["size"], &records[1]["size"]),
        (&json!(1), &json!(5))
    );
    let names = place
        .run(&["ls", "listing", "b.*", "--names"])
        .ends(0)
        .text();
    assert_eq!(names, "b.one\nb.two\n");
    let all = place
        .run(&["ls", "listing", "--all", "--json"])
        .ends(0)
        .records();
    assert_eq!(all.last().expect("a marker")["operation"], "delete");
    let people = place.run(&["ls", "listing", "b.>"]).ends(0).text();
    let lines: Vec<&str> = people.lines().collect();
    assert!(lines[0].starts_with("KEY") && lines.len() == 3, "{people}");
    assert_eq!(
        place.run(&["ls", "listing", "nothing.>"]).ends(0).text(),
        ""
    );
}

fn conflicts(place: &Place) {
    place.add("conflicts", "5");
    let first = place
        .run(&["create", "conflicts", "k", "1", "--json"])
        .ends(0)
        .revision();
    let again = place
        .run(&["create", "conflicts", "k", "2", "--json"])
        .ends(4);
    let told = json!({"error": "conflict", "bucket": "conflicts", "key": "k",
        "expected": 0, "current": first});
    assert_eq!(again.record(), told);
    let fields: Vec<String> = again
        .record()
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(fields, ["error", "bucket", "key", "expected", "current"]);

    let update = |value, revision: u64| {
        place.run(&[
            "update",
            "conflicts",
            "k",
            value,
            &revision.to_string(),
            "--json",
        ])
    };
    let second = update("2", first).ends(0);
    assert_eq!(second.record()["bucket"], "conflicts");
    assert_eq!(second.record()["key"], "k");
    let second = second.revision();
    assert!(second > first);
    let late = update("3", first).ends(4);
    assert_eq!(late.record()["expected"], first);
    assert_eq!(late.record()["current"], second);
    assert!(
        late.stderr
            .contains(&format!("revision {second}, not {first}")),
        "{}",
        late.stderr
    );
    assert_eq!(place.run(&["get", "conflicts", "k"]).ends(0).text(), "2");
    update("3", 0).ends(4);

    // A key that is gone is created anew.
    place.run(&["del", "conflicts", "k", "--force"]).ends(0);
    place.run(&["create", "conflicts", "k", "4"]).ends(0);
    assert_eq!(place.run(&["get", "conflicts", "k"]).ends(0).text(), "4");
}

fn removal(place: &Place) {
    place.add("removal", "5");
    let first = place.put("removal", "k", "1");
    let second = place.put("removal", "k", "2");
    let late = place.run(&[
        "del",
        "removal",
        "k",
        "--revision",
        &first.to_string(),
        "--force",
        "--json",
    ]);
    assert_eq!(late.ends(4).record()["current"], second);
    // What is piped in is no answer to a question that nobody saw.
    for words in [["del", "removal", "k"], ["purge", "removal", "k"]] {
        let unasked = place.run_with(&words, b"y\n", &[]).ends(2);
        assert!(unasked.stderr.contains("--force"), "{}", unasked.stderr);
    }
    let done = place.run(&[
        "del",
        "removal",
        "k",
        "--revision",
        &second.to_string(),
        "--force",
        "--json",
    ]);
    let marker = done.ends(0).revision();
    assert!(marker > second);
    let gone = place.run(&["get", "removal", "k"]).ends(3);
    assert!(gone.stderr.contains("it was deleted"), "{}", gone.stderr);
    assert_eq!(gone.stdout, b"");
    place.run(&["del", "removal", "k"]).ends(3);
    let kept = place
        .run(&["history", "removal", "k", "--json"])
        .ends(0)
        .records();
    assert_eq!(kept.len(), 3);
    place.run(&["purge", "removal", "k", "--force"]).ends(0);
    let kept = place
        .run(&["history", "removal", "k", "--json"])
        .ends(0)
        .records();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["operation"], "purge");
    assert_eq!(kept[0]["value"], Value::Null);
    place.run(&["purge", "removal", "never"]).ends(3);
}

fn least_life(place: &Place) {
    let add = [
        "bucket",
        "add",
        "lives",
        "--history",
        "2",
        "--marker-ttl",
        "10m",
    ];
    place.run(&add).ends(0);
    for asked in ["30s", "20m"] {
        let run = place
            .run(&["put", "lives", "k", "v", "--ttl", asked])
            .ends(0);
        let is_raised = asked == "30s" && place.server.is_some();
        let told = run.stderr.contains("lives for 10m, not for 30s");
        assert_eq!(told, is_raised, "{}", run.stderr);
        assert_eq!(run.stderr.is_empty(), !is_raised, "{}", run.stderr);
    }
}

fn history(place: &Place) {
    place.add("history", "3");
    for value in ["1", "2", "3", "four\u{1b}[2J"] {
        place.put("history", "k", value);
    }
    let records = place
        .run(&["history", "history", "k", "--json"])
        .ends(0)
        .records();
    let values: Vec<&Value> = records.iter().map(|record| &record["value"]).collect();
    assert_eq!(values, ["2", "3", "four\u{1b}[2J"]);
    let people = place.run(&["history", "history", "k"]).ends(0).text();
    assert!(
        people.contains("four␛[2J") && !people.contains('\u{1b}'),
        "{people}"
    );
    place.run(&["history", "history", "none"]).ends(3);

    place.put("history", "db", r#"{"user":"app","password":"hunter2"}"#);
    let words = ["history", "history", "db"];
    let masked = place.run(&words).ends(0).text();
    assert!(
        masked.contains(r#"{"user":"app","password":••••"#) && !masked.contains("hunter2"),
        "{masked}"
    );
    for asked in ["--reveal", "--json"] {
        let open = place.run(&[&words[..], &[asked]].concat()).ends(0).text();
        assert!(open.contains("hunter2"), "{open}");
    }
}

fn not_found(place: &Place) {
    place.add("found", "1");
    for words in [
        &["ls", "nowhere"][..],
        &["get", "nowhere", "k"],
        &["put", "nowhere", "k", "v"],
        &["watch", "nowhere"],
        &["get", "found", "k"],
        &["history", "found", "k"],
        &["del", "found", "k"],
    ] {
        let run = place.run(words).ends(3);
        assert_eq!(run.stdout, b"", "{words:?}");
        assert!(run.stderr.lines().count() <= 2, "{}", run.stderr);
        assert!(run.stderr.starts_with("kvscope: "), "{}", run.stderr);
    }
    // What is advised goes to the same place.
    let run = place.run(&["ls", "nowhere"]).ends(3);
    let advice = format!("`{} bucket ls`", place.program());
    assert!(run.stderr.contains(&advice), "{}", run.stderr);
    place.put("found", "k", "1");
    let run = place.run(&["create", "found", "k", "2"]).ends(4);
    let advice = format!("`{} get found k`", place.program());
    assert!(run.stderr.contains(&advice), "{}", run.stderr);
}

fn read_only(place: &Place) {
    place.add("guarded", "1");
    place.put("guarded", "k", "v");
    for words in [
        &["put", "guarded", "k", "w"][..],
        &["create", "guarded", "l", "w"],
        &["update", "guarded", "k", "w", "1"],
        &["del", "guarded", "k"],
        &["purge", "guarded", "k"],
        &["bucket", "add", "other"],
        &["bucket", "rm", "guarded", "--force"],
    ] {
        let run = place.run(&[words, &["--read-only"]].concat()).ends(6);
        assert!(run.stderr.contains("read-only"), "{}", run.stderr);
        place
            .run_with(words, b"", &[("KVSCOPE_READ_ONLY", "yes")])
            .ends(6);
    }
    assert_eq!(
        place
            .run(&["get", "guarded", "k", "--read-only"])
            .ends(0)
            .text(),
        "v"
    );
    place.run(&["ls", "guarded", "--read-only"]).ends(0);
    // The file says so; the environment says otherwise.
    let config = place.with_file("guard.toml", b"read_only = true\n");
    let config = config.display().to_string();
    let words = ["put", "guarded", "k", "w", "--config", &config];
    place.run(&words).ends(6);
    place
        .run_with(&words, b"", &[("KVSCOPE_READ_ONLY", "0")])
        .ends(0);
    place
        .run_with(&["ls"], b"", &[("KVSCOPE_READ_ONLY", "perhaps")])
        .ends(2);
}

fn usage(place: &Place) {
    place.add("usage", "1");
    for words in [
        &["get", "usage"][..],
        &["put", "usage", "a b", "v"],
        &["put", "usage", "\u{1b}[31m", "v"],
        &["ls", "usage", "a..b"],
        &["ls", "usage", "a*"],
        &["watch", "usage", "a.b>"],
        &["bucket", "add", "no.dots"],
        &["update", "usage", "k", "v", "newest"],
        &["ls", "usage", "--nonsense"],
        &["watch", "usage", "--history", "--updates"],
        &["bucket", "add", "long", "--history", "65"],
        &["put", "usage", "k", "v", "--ttl", "500ms"],
        &["put", "usage", "k", "v", "--ttl", "0s"],
    ] {
        let run = place.run(words).ends(2);
        assert_eq!(run.stdout, b"", "{words:?}");
        assert!(
            !run.stderr.is_empty() && !run.stderr.contains('\u{1b}'),
            "{}",
            run.stderr
        );
    }
}

fn closed_pipe(place: &Place) {
    place.add("pipe", "1");
    let large = vec![b'x'; 1_000_000];
    place
        .run_with(&["put", "pipe", "large"], &large, &[])
        .ends(0);
    for words in [
        &["get", "pipe", "large"][..],
        &["get", "pipe", "large", "--json"],
    ] {
        let mut child = place.command(words).spawn().expect("the program starts");
        let mut some = [0; 10];
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut some).expect("some output");
        drop(stdout);
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

fn watch(place: &Place) {
    place.add("watch", "5");
    place.put("watch", "a.one", "1");
    place.put("watch", "b", "not watched");
    let mut watching = Watching::start(place, &["watch", "watch", "a.>", "--json"]);
    let first = watching.record();
    assert_eq!(
        (&first["key"], &first["value"]),
        (&json!("a.one"), &json!("1"))
    );
    assert_eq!(first["bucket"], "watch");
    // Each change at once, while the watch goes on.
    let revision = place.put("watch", "a.two", "2");
    let second = watching.record();
    assert_eq!(
        (&second["key"], &second["revision"]),
        (&json!("a.two"), &json!(revision))
    );
    place.put("watch", "b", "still not watched");
    place.run(&["del", "watch", "a.one", "--force"]).ends(0);
    let third = watching.record();
    assert_eq!(
        (&third["key"], &third["operation"]),
        (&json!("a.one"), &json!("delete"))
    );
    assert_eq!(watching.interrupt(), Some(0));

    let mut watching = Watching::start(
        place,
        &["watch", "watch", "a.>", "--history", "--no-deletes"],
    );
    let line = watching.line();
    assert!(
        line.contains("  put  ") && line.trim_end().ends_with("a.one  1"),
        "{line}"
    );
    assert!(watching.line().contains("a.two"));
    place.put("watch", "a.esc", "x\u{1b}[2J\ny");
    assert!(watching.line().trim_end().ends_with("a.esc  x␛[2J␊y"));
    place.put("watch", "a.token", "hunter2");
    assert!(watching.line().trim_end().ends_with("a.token  ••••••••"));
    assert_eq!(watching.interrupt(), Some(0));

    let mut watching = Watching::start(place, &["watch", "watch", "a.token", "--reveal"]);
    assert!(watching.line().trim_end().ends_with("a.token  hunter2"));
    assert_eq!(watching.interrupt(), Some(0));
}

fn terminal(place: &Place) {
    place
        .run(&[
            "bucket",
            "add",
            "terminal",
            "--description",
            "\u{1b}[2J\u{7}",
        ])
        .ends(0);
    let nasty = "first\nsecond \u{1b}]0;title\u{7}\u{9b}31m\u{202e}end";
    place.put("terminal", "nasty", nasty);
    for words in [
        &["get", "terminal", "nasty"][..],
        &["get", "terminal", "nasty", "--json"],
        &["history", "terminal", "nasty"],
        &["history", "terminal", "nasty", "--json"],
        &["ls", "terminal"],
        &["bucket", "ls"],
        &["bucket", "info", "terminal"],
        &["bucket", "info", "terminal", "--json"],
    ] {
        let shown = on_terminal(place, words);
        let acts = |c: char| (c.is_control() && c != '\r' && c != '\n') || c == '\u{202e}';
        assert!(
            !shown.is_empty() && !shown.contains(acts),
            "{words:?}: {shown:?}"
        );
    }
    let shown = on_terminal(place, &["get", "terminal", "nasty"]);
    assert!(shown.contains("first\r\nsecond ␛]0;title"), "{shown:?}");
    let raw = on_terminal(place, &["get", "terminal", "nasty", "--raw"]);
    assert!(
        raw.contains("\u{1b}]0;title"),
        "who asks for the bytes gets them"
    );
}
