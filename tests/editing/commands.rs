//! `edit` and `revert` as a script meets them, on a file and on a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::Store;
use kvscope::kv::backend::Backend;
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::nats::{NatsBackend, NatsOptions};
use serde_json::json;

use crate::program::{Place, Run};

#[test]
fn on_a_file() {
    all(&Place::file());
}

#[test]
fn on_a_server() {
    all(&Place::server());
}

fn all(place: &Place) {
    place.add("b", "8");
    only_the_meant_change_differs(place);
    what_is_unchanged_is_not_written(place);
    what_cant_be_edited(place);
    a_text_survives_what_goes_wrong(place);
    a_key_that_moved(place);
    secrets_leave_no_draft(place);
    schemas(place);
    revert(place);
    times_to_live(place);
}

/// Runs `edit` with a shell script for an editor; its `$1` is the file.
fn edit(place: &Place, script: &str, words: &[&str]) -> Run {
    let path = place.with_file("an editor.sh", script.as_bytes());
    let editor = format!("sh '{}'", path.display());
    let mut all = vec!["edit", "b"];
    all.extend(words);
    place.run_with(&all, b"", &environment(&editor))
}

fn environment(editor: &str) -> [(&str, &str); 2] {
    static SEARCHED: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("PATH").unwrap());
    [("EDITOR", editor), ("PATH", &SEARCHED)]
}

fn value(place: &Place, key: &str) -> Vec<u8> {
    place.run(&["get", "b", key, "--raw"]).ends(0).stdout
}

/// The file that the last line names.
fn kept(run: &Run) -> PathBuf {
    let (_, path) = run
        .stderr
        .rsplit_once("Your text is in ")
        .expect(&run.stderr);
    PathBuf::from(path.lines().next().unwrap())
}

fn drafts(place: &Place) -> usize {
    let folder = place.home.path().join(".local/state/kvscope/drafts");
    fs::read_dir(folder).map_or(0, Iterator::count)
}

fn only_the_meant_change_differs(place: &Place) {
    let nasty = r#"{"big":123456789012345678901234567890,"f":1.0,"a":{"x":1},"a":{"x":2},"e":"\u0041\/","z":[1e5,-0,[]]}"#;
    place.put("b", "nasty", nasty);
    let run = edit(
        place,
        r#"sed -i 's/"f": 1.0/"f": 1.50/' "$1""#,
        &["nasty", "--json"],
    )
    .ends(0);
    let record = run.record();
    assert_eq!(
        (&record["bucket"], &record["key"]),
        (&json!("b"), &json!("nasty"))
    );
    assert_eq!(
        value(place, "nasty"),
        nasty.replace("1.0", "1.50").as_bytes()
    );

    // An editor ends a file with a line break; the value has none.
    place.put("b", "text", "a b");
    edit(place, r#"sed -i 's/a/c/' "$1""#, &["text"]).ends(0);
    assert_eq!(value(place, "text"), b"c b");
    edit(place, r#"printf '\n' >>"$1""#, &["text"]).ends(0);
    assert_eq!(value(place, "text"), b"c b\n");

    let bytes = place.with_file("bytes", b"\xff\x00\n");
    let from_file = format!("@{}", bytes.display());
    place.run(&["put", "b", "bytes", &from_file]).ends(0);
    edit(place, r#"sed -i 's/ff 00/fe 00 01/' "$1""#, &["bytes"]).ends(0);
    assert_eq!(value(place, "bytes"), b"\xfe\x00\x01\n");
    edit(place, r#"sed -i 's/62/64/' "$1""#, &["text", "--hex"]).ends(0);
    assert_eq!(value(place, "text"), b"c d\n");
}

fn what_is_unchanged_is_not_written(place: &Place) {
    for value in ["{\n  \"a\": 1\n}", r#"{ "a":1}"#, "text", "text\n", ""] {
        let revision = place.put("b", "same", value);
        for script in ["true", r#"touch "$1""#] {
            let run = edit(place, script, &["same", "--json"]).ends(0);
            assert_eq!(run.revision(), revision, "{value:?}");
        }
    }
    // Other white space in a text that was laid out for editing is no change of the value.
    let revision = place.put("b", "same", r#"{"a":1}"#);
    let run = edit(place, r#"printf '{\n\n"a":     1 }' >"$1""#, &["same"]).ends(0);
    assert_eq!(
        run.text(),
        format!("b same unchanged at revision {revision}\n")
    );
}

fn what_cant_be_edited(place: &Place) {
    edit(place, "exit 0", &["none"]).ends(3);
    edit(place, r#"printf new >"$1""#, &["made", "--create"]).ends(0);
    assert_eq!(value(place, "made"), b"new");
    let started = place.home.path().join("started");
    let script = format!("touch '{}'", started.display());
    let refused = edit(place, &script, &["made", "--read-only"]).ends(6);
    assert!(refused.stderr.contains("read-only"), "{}", refused.stderr);
    place
        .run(&["revert", "b", "made", "1", "--read-only"])
        .ends(6);
    assert!(!started.exists());
    let none = place.run_with(&["edit", "b", "made"], b"", &environment("/no/such/editor"));
    assert!(none.ends(1).stderr.contains("/no/such/editor"));
}

fn a_text_survives_what_goes_wrong(place: &Place) {
    place.put("b", "k", r#"{"a":1}"#);
    let broken = edit(place, r#"printf '{"a": 1,}' >"$1""#, &["k"]).ends(1);
    assert!(
        broken.stderr.contains("line 1, column 9"),
        "{}",
        broken.stderr
    );
    let file = kept(&broken);
    assert_eq!(fs::read(&file).unwrap(), br#"{"a": 1,}"#);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let left = edit(place, r#"printf typed >"$1"; exit 7"#, &["k"]).ends(1);
    assert_eq!(fs::read(kept(&left)).unwrap(), b"typed");
    let no_text = edit(place, r#"printf '\377' >"$1""#, &["k"]).ends(1);
    assert!(no_text.stderr.contains("no UTF-8"), "{}", no_text.stderr);
    assert_eq!(value(place, "k"), br#"{"a":1}"#);
    let hex = edit(place, r#"printf '00\n0g' >"$1""#, &["k", "--hex"]).ends(1);
    assert!(hex.stderr.contains("line 2, column 2"), "{}", hex.stderr);
}

fn a_key_that_moved(place: &Place) {
    let before = place.put("b", "moved", r#"{"a":1,"b":1}"#);
    let script = format!(
        "{} {} put b moved '{{\"a\":1,\"b\":2}}' >/dev/null && sed -i 's/\"a\": 1/\"a\": 9/' \"$1\"",
        env!("CARGO_BIN_EXE_kvscope"),
        place.flags.join(" ")
    );
    let run = edit(place, &script, &["moved", "--json"]).ends(4);
    let record = run.record();
    assert_eq!(
        (&record["error"], &record["expected"]),
        (&json!("conflict"), &json!(before))
    );
    assert_eq!(record["current"], json!(before + 1));
    assert!(fs::read_to_string(kept(&run)).unwrap().contains("\"a\": 9"));
    assert_eq!(value(place, "moved"), br#"{"a":1,"b":2}"#);
    assert!(drafts(place) > 0);
    // What is saved in the end leaves no draft.
    let before = drafts(place);
    edit(place, r#"sed -i 's/"a": 1/"a": 3/' "$1""#, &["moved"]).ends(0);
    assert_eq!(drafts(place), before - 1);
}

fn secrets_leave_no_draft(place: &Place) {
    place.put("b", "db", r#"{"password":"x"}"#);
    let before = drafts(place);
    let broken = edit(place, r#"printf '{"password": "hunter2",}' >"$1""#, &["db"]).ends(1);
    assert_eq!(drafts(place), before);
    assert!(!broken.stderr.contains("hunter2"), "{}", broken.stderr);
    fs::remove_file(kept(&broken)).unwrap();
    let config = place.with_file("kvscope.toml", b"drafts = \"all\"\n");
    let config = config.display().to_string();
    let words = ["db", "--config", &config];
    edit(place, r#"printf '{"password": "hunter2",}' >"$1""#, &words).ends(1);
    assert_eq!(drafts(place), before + 1);
}

fn schemas(place: &Place) {
    place.put("b", "checked", r#"{"max":1}"#);
    let schema = r#"{"properties":{"max":{"type":"integer"}}}"#;
    place.put("b", "_schema.checked", schema);
    let against = edit(place, r#"sed -i 's/: 1/: "x"/' "$1""#, &["checked"]).ends(1);
    assert!(
        against.stderr.contains("against the schema: .max: "),
        "{}",
        against.stderr
    );
    edit(place, r#"sed -i 's/: 1/: 2/' "$1""#, &["checked"]).ends(0);
    // A schema that can't be used is said, not passed over.
    place.put("b", "_schema.checked", r#"{"type": 7}"#);
    let unusable = edit(place, r#"sed -i 's/: 2/: 3/' "$1""#, &["checked"]).ends(1);
    assert!(
        unusable.stderr.contains("not checked: the schema"),
        "{}",
        unusable.stderr
    );
    // The configuration comes first.
    place.with_file("other.json", br#"{"properties":{"max":{"maximum":5}}}"#);
    let config = place.with_file(
        "kvscope.toml",
        b"[schemas]\n\"b/check*\" = \"no.json\"\n\"b/checked\" = \"other.json\"\n",
    );
    let config = config.display().to_string();
    let words = ["checked", "--config", &config];
    edit(place, r#"sed -i 's/: 2/: 3/' "$1""#, &words).ends(0);
    let over = edit(place, r#"sed -i 's/: 3/: 30/' "$1""#, &words).ends(1);
    assert!(over.stderr.contains(".max: "), "{}", over.stderr);
}

/// The time to live that the newest entry of a key has, as the engine reads it.
fn ttl(place: &Place, bucket: &str, key: &str) -> Option<Duration> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let backend: Arc<dyn Backend> = match &place.server {
            Some(server) => {
                let options = NatsOptions::new(server.url());
                NatsBackend::connect(options).await.unwrap()
            }
            None => LocalBackend::open(&place.flags[1], OpenOptions::default())
                .await
                .unwrap(),
        };
        let store = Store::open(&*backend, bucket).await.unwrap();
        let entry = store.get(key).await.unwrap().unwrap();
        backend.close().await;
        entry.ttl
    })
}

fn times_to_live(place: &Place) {
    let hour = Duration::from_secs(3600);
    let words = ["bucket", "add", "t", "--history", "8", "--marker-ttl", "1h"];
    place.run(&words).ends(0);
    let put = |key: &str| {
        let words = ["put", "t", key, r#"{"a": 1}"#, "--ttl", "1h"];
        place.run(&words).ends(0);
    };
    let edit = |key: &str| {
        let path = place.with_file("an editor.sh", br#"sed -i 's/: 1/: 2/' "$1""#);
        let editor = format!("sh '{}'", path.display());
        place.run_with(&["edit", "t", key], b"", &environment(&editor))
    };
    // An edit keeps it, counted anew.
    put("kept");
    edit("kept").ends(0);
    assert_eq!(ttl(place, "t", "kept"), Some(hour));
    assert_eq!(
        place.run(&["get", "t", "kept", "--raw"]).stdout,
        br#"{"a": 2}"#
    );
    // What was reverted has the one that it had.
    place.run(&["put", "t", "kept", "for good"]).ends(0);
    assert_eq!(ttl(place, "t", "kept"), None);
    place.run(&["revert", "t", "kept", "1", "--force"]).ends(0);
    assert_eq!(ttl(place, "t", "kept"), Some(hour));
    // Where it can't be kept any more, that is said, and nothing is written without a yes.
    put("lost");
    let words = ["bucket", "edit", "t", "--marker-ttl", "none"];
    place.run(&words).ends(0);
    let refused = edit("lost").ends(1);
    assert!(
        refused.stderr.contains("its time to live is lost"),
        "{}",
        refused.stderr
    );
    assert_eq!(ttl(place, "t", "lost"), Some(hour));
}

fn revert(place: &Place) {
    let first = place.put("b", "r", "one").to_string();
    place.put("b", "r", "two");
    let run = place
        .run(&["revert", "b", "r", &first, "--json", "--force"])
        .ends(0);
    let reverted = run.revision();
    assert_eq!(value(place, "r"), b"one");
    let again = place.run(&["revert", "b", "r", &first, "--force"]).ends(0);
    assert_eq!(
        again.text(),
        format!("b r is so already, at revision {reverted}\n")
    );
    place.run(&["revert", "b", "r", "99999"]).ends(3);
    // What was deleted comes back, and what is reverted to a deletion is deleted.
    let gone = place
        .run(&["del", "b", "r", "--json", "--force"])
        .ends(0)
        .revision();
    place.run(&["revert", "b", "r", &first, "--force"]).ends(0);
    assert_eq!(value(place, "r"), b"one");
    place
        .run(&["revert", "b", "r", &gone.to_string(), "--force"])
        .ends(0);
    place.run(&["get", "b", "r"]).ends(3);
}
