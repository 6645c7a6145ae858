//! Changing, showing and compacting buckets.

use serde_json::{Value, json};

use crate::program::{Place, asked_on_terminal};

pub(crate) fn editing(place: &Place) {
    place.add("edited", "1");
    place.put("edited", "k", "value");
    let words = ["bucket", "edit", "edited", "--ttl", "2h", "--history", "4"];
    let dry = place.run(&[&words[..], &["--dry-run", "--json"]].concat());
    let would = dry.ends(0).records();
    let changes: Vec<_> = would
        .iter()
        .map(|record| [&record["setting"], &record["before"], &record["after"]])
        .collect();
    assert_eq!(changes[0], [&json!("history"), &json!("1"), &json!("4")]);
    assert_eq!(changes[1], [&json!("ttl"), &json!(""), &json!("2h")]);
    let info = || {
        place
            .run(&["bucket", "info", "edited", "--json"])
            .ends(0)
            .record()
    };
    assert_eq!(info()["history"], 1, "a dry run changes nothing");

    let edited = place.run(&[&words[..], &["--json"]].concat()).ends(0);
    assert_eq!(edited.record()["history"], 4);
    assert_eq!(info()["ttl_ms"], 7_200_000);
    assert_eq!(info()["keys"], 1);
    assert_eq!(info()["deleted"], 0);
    place
        .run(&["bucket", "edit", "edited", "--ttl", "none"])
        .ends(0);
    assert_eq!(info()["ttl_ms"], Value::Null);
    assert_eq!(info()["history"], 4, "what was not named stays");

    let limited = ["bucket", "edit", "edited", "--max-bucket-size", "1M"];
    let people = place.run(&limited).ends(0).text();
    assert!(people.contains("1.0 M █░░░"), "{people}");
    for words in [
        &["bucket", "edit", "edited", "--history", "0"][..],
        &["bucket", "edit", "edited", "--ttl", "soon"],
        &["bucket", "edit", "edited", "--storage", "tape"],
        &["bucket", "edit", "edited", "--metadata", "nothing"],
        &["bucket", "edit", "edited", "--source", "a b"],
        &["bucket", "edit", "edited", "--republish-source", "x.>"],
    ] {
        let run = place.run(words).ends(2);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    place
        .run(&["bucket", "edit", "none", "--ttl", "1h"])
        .ends(3);
    place
        .run(&["bucket", "edit", "edited", "--ttl", "1h", "--read-only"])
        .ends(6);

    // Only the bucket's own name deletes it.
    let left = asked_on_terminal(place, &["bucket", "rm", "edited"], "yes\n", 1);
    assert!(left.contains("Type edited to do it"), "{left}");
    assert_eq!(info()["keys"], 1);
    asked_on_terminal(place, &["bucket", "rm", "edited"], "edited\n", 0);
    place.run(&["bucket", "info", "edited"]).ends(3);
}

pub(crate) fn compacting(place: &Place) {
    place.add("full", "3");
    for key in ["a", "b", "c"] {
        place.put("full", key, "value");
    }
    for key in ["a", "b"] {
        place.run(&["del", "full", key, "--force"]).ends(0);
    }
    let compact = |words: &[&str]| {
        let words = [&["bucket", "compact", "full", "--force", "--json"], words].concat();
        place.run(&words).ends(0).record()
    };
    let young = compact(&[]);
    assert_eq!((&young["old"], &young["young"]), (&json!(0), &json!(2)));
    let dry = compact(&["--older-than", "0s", "--dry-run"]);
    assert_eq!((&dry["old"], &dry["removed"]), (&json!(2), &json!(0)));
    let info = || {
        place
            .run(&["bucket", "info", "full", "--json"])
            .ends(0)
            .record()
    };
    assert_eq!(
        (&info()["keys"], &info()["deleted"]),
        (&json!(3), &json!(2))
    );
    place
        .run(&["bucket", "compact", "full", "--read-only"])
        .ends(6);
    // The session of a process that was killed just now is kept: it may be heard of yet.
    let session = r#"{"v":1,"host":"h","boot_id":"b","pid":7,"pidns":1,"start":1,"lease_ms":15000,"beat":1,"dead":{"why":"silent","by":"s_1"}}"#;
    place.put("full", "_session.s_killed", session);
    let done = compact(&["--older-than", "0s"]);
    assert_eq!(done["removed"], 2);
    assert_eq!(
        (&done["sessions"], &done["sessions_removed"]),
        (&json!(0), &json!(0))
    );
    place
        .run(&["del", "full", "_session.s_killed", "--force"])
        .ends(0);
    compact(&["--older-than", "0s"]);
    assert!(done["bytes"].as_u64() < done["bytes_before"].as_u64());
    assert_eq!(
        (&info()["keys"], &info()["entries"]),
        (&json!(1), &json!(1))
    );
    let people = place.run(&["bucket", "compact", "full"]).ends(0).text();
    assert!(people.starts_with("0 markers removed"), "{people}");
}

/// Everything that a server has beyond what a file has.
pub(crate) fn every_setting(place: &Place) {
    place.add("original", "1");
    place.put("original", "k", "from afar");
    let made = place.run(&[
        "bucket",
        "add",
        "all",
        "--marker-ttl",
        "1h",
        "--max-value-size",
        "64K",
        "--storage",
        "memory",
        "--compress",
        "--republish-source",
        "$KV.all.>",
        "--republish-destination",
        "told.>",
        "--republish-headers",
        "--source",
        "original",
        "--metadata",
        "team=billing",
        "--metadata",
        "tier=1",
        "--json",
    ]);
    let made = made.ends(0).record();
    assert_eq!(made["storage"], "memory");
    assert_eq!(made["compression"], true);
    assert_eq!(made["max_value_size"], 65_536);
    assert_eq!(made["republish"]["destination"], "told.>");
    assert_eq!(made["republish"]["headers_only"], true);
    assert_eq!(made["sources"][0]["bucket"], "original");
    assert_eq!(made["metadata"], json!({"team": "billing", "tier": "1"}));
    let waited = || place.run(&["get", "all", "k"]);
    while waited().code != 0 {}
    assert_eq!(waited().text(), "from afar", "the keys of the source come");
    let people = place.run(&["bucket", "info", "all"]).ends(0).text();
    assert!(
        people.contains("comes from      original: up to date"),
        "{people}"
    );

    let copy = ["bucket", "add", "copy", "--mirror", "original", "--json"];
    let copy = place.run(&copy).ends(0).record();
    assert_eq!(
        copy["mirror"],
        json!({"bucket": "original", "domain": null})
    );
    // It is listed as what it is, and shows no lock a second time.
    let listed = place.run(&["bucket", "ls"]).ends(0).text();
    assert!(listed.contains("mirror of original"), "{listed}");
    place.put("original", "_lock.r", r#"{"v":1,"next":0,"q":[]}"#);
    while place.run(&["get", "copy", "_lock.r"]).code != 0 {}
    let locks = place.run(&["lock", "ls", "--json"]).ends(0).records();
    let of: Vec<_> = locks.iter().map(|lock| &lock["bucket"]).collect();
    // What comes from a source is a bucket's own.
    assert_eq!(of, ["all", "original"]);
    let there = place
        .run(&["lock", "ls", "copy", "--json"])
        .ends(0)
        .record();
    assert_eq!(there["bucket"], "copy", "by its name it is looked at");

    let edited = place.run(&[
        "bucket",
        "edit",
        "all",
        "--compress=false",
        "--republish-source",
        "none",
        "--metadata",
        "tier=",
        "--source",
        "none",
        "--json",
    ]);
    let edited = edited.ends(0).record();
    assert_eq!(edited["compression"], false);
    assert_eq!(edited["republish"], Value::Null);
    assert_eq!(edited["metadata"], json!({"team": "billing"}));
    assert_eq!(edited["sources"], json!([]));
    // What can't be changed is said before it is tried, also in a dry run.
    for dry in [&[][..], &["--dry-run"]] {
        let words = [&["bucket", "edit", "all", "--storage", "file"], dry].concat();
        let run = place.run(&words).ends(1);
        assert!(
            run.stderr.contains("the storage can't be changed"),
            "{}",
            run.stderr
        );
    }
    let alone = place
        .run(&["bucket", "edit", "all", "--replicas", "3"])
        .ends(1);
    assert!(
        alone.stderr.contains("not in a cluster"),
        "{}",
        alone.stderr
    );
}

/// What a file says of it.
pub(crate) fn refused(place: &Place) {
    for (flag, value, why) in [
        ("--storage", "memory", "keeps its buckets on disk"),
        ("--replicas", "3", "one copy"),
        ("--mirror", "other", "copies from nowhere"),
        ("--republish-source", "a", "publish"),
    ] {
        let mut words = vec!["bucket", "add", "b", flag, value];
        if flag == "--republish-source" {
            words.extend(["--republish-destination", "b"]);
        }
        let run = place.run(&words).ends(1);
        assert!(run.stderr.contains(why), "{flag}: {}", run.stderr);
    }
}
