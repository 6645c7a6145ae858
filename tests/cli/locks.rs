//! `lock ls` and `lock show`, over records that were written by hand.

use serde_json::{Value, json};

use crate::program::{Place, on_terminal};

/// A claim; `state` is `"held"` with a fence or `"wait"`.
fn claim(ticket: u64, session: &str, mode: &str, held: bool) -> Value {
    let mut claim = json!({
        "id": format!("c{ticket}-{session}"), "sid": session, "k": mode,
        "s": if held { "held" } else { "wait" },
        "tkt": ticket, "own": format!("task-{session}"), "label": "job", "t_ms": 1,
    });
    if held {
        claim["fence"] = json!(1);
    }
    claim
}

fn lock(place: &Place, bucket: &str, resource: &str, claims: &[Value]) -> u64 {
    let record = json!({"v": 1, "next": claims.len(), "q": claims});
    place.put(bucket, &format!("_lock.{resource}"), &record.to_string())
}

fn session(place: &Place, bucket: &str, id: &str, dead: Option<&str>) {
    let mut session = json!({
        "v": 1, "host": format!("host-{id}"), "boot_id": "another machine", "pid": 4711,
        "pidns": 1, "start": id.len(), "lease_ms": 15_000, "beat": 3,
    });
    if let Some(why) = dead {
        session["dead"] = json!({"why": why, "by": "ops"});
    }
    place.put(bucket, &format!("_session.{id}"), &session.to_string());
}

/// The lock of that name among those listed.
#[track_caller]
fn named<'a>(locks: &'a [Value], resource: &str) -> &'a Value {
    let mut locks = locks.iter();
    locks
        .find(|lock| lock["resource"] == resource)
        .expect("the lock")
}

fn fields(object: &Value) -> Vec<&str> {
    let fields = object.as_object().expect("an object");
    fields.keys().map(String::as_str).collect()
}

/// One lock of every kind. Returns the revision of the one that is queued for.
fn one_of_each(place: &Place) -> u64 {
    place.add("locks", "5");
    for id in ["s1", "s2", "s3"] {
        session(place, "locks", id, None);
    }
    session(place, "locks", "s9", Some("broken"));
    lock(place, "locks", "idle", &[]);
    lock(place, "locks", "healthy", &[claim(0, "s3", "r", true)]);
    let queue = [
        claim(0, "s3", "r", true),
        claim(1, "s3", "w", false),
        claim(2, "s2", "r", false),
    ];
    let mut queue = queue.to_vec();
    queue[1]["own"] = json!("another");
    queue[2]["own"] = json!("another");
    let revision = lock(place, "locks", "queued", &queue);
    lock(
        place,
        "locks",
        "one",
        &[claim(0, "s1", "w", true), claim(1, "s2", "w", false)],
    );
    lock(
        place,
        "locks",
        "two",
        &[claim(0, "s2", "w", true), claim(1, "s1", "w", false)],
    );
    lock(place, "locks", "orphan", &[claim(0, "s_nobody", "w", true)]);
    lock(
        place,
        "locks",
        "ghost",
        &[claim(0, "s3", "w", true), claim(1, "s_nobody", "w", false)],
    );
    lock(
        place,
        "locks",
        "broken",
        &[claim(0, "s9", "w", true), claim(1, "s3", "r", false)],
    );
    place.put("locks", "_lock.newer", r#"{"v":2}"#);
    let mut expired = vec![2; 1];
    expired.extend([0; 8]);
    expired.extend(1_700_000_000_u64.to_be_bytes());
    place
        .run_with(&["put", "locks", "theirs"], &expired, &[])
        .ends(0);
    place.put("locks", "a-value", "nine byte");
    revision
}

pub(crate) fn listing(place: &Place) {
    let revision = one_of_each(place);
    let locks = place
        .run(&["lock", "ls", "locks", "--json"])
        .ends(0)
        .records();
    let verdicts = [
        ("idle", "idle"),
        ("healthy", "healthy"),
        ("one", "deadlock"),
        ("two", "deadlock"),
        ("orphan", "dead-holder"),
        ("ghost", "ghost-waiter"),
        ("broken", "quarantined"),
        ("newer", "malformed"),
        ("theirs", "expired"),
    ];
    for (resource, verdict) in verdicts {
        let found = named(&locks, resource);
        assert_eq!(found["verdict"], verdict, "{found}");
    }
    assert_eq!(locks.len(), verdicts.len() + 1, "a value is no lock");
    assert_eq!(named(&locks, "theirs")["format"], "shizuku");
    assert_eq!(named(&locks, "newer")["mode"], Value::Null);

    check_shape(&locks, revision);

    // All buckets, faults first, and why.
    let all = place.run(&["lock", "ls", "--no-shizuku"]).ends(0).text();
    assert!(all.starts_with("RESOURCE"), "{all}");
    let at = |text: &str| all.find(text).expect(text);
    assert!(at("malformed") < at("deadlock") && at("deadlock") < at("\nidle "));
    assert!(
        all.contains("job@host-s2 waits for one, held by job@host-s1"),
        "{all}"
    );
    assert!(!all.contains("theirs"));
    let one = place
        .run(&["lock", "show", "locks", "one", "--json"])
        .ends(0)
        .record();
    assert_eq!(one["verdict"], "deadlock");
    place
        .run(&["lock", "ls", "locks", "--read-only", "--for", "200ms"])
        .ends(0);
}

/// The fields, in their order, are a promise.
fn check_shape(locks: &[Value], revision: u64) {
    let queued = named(locks, "queued");
    let promised = [
        "bucket", "resource", "revision", "format", "mode", "holders", "waiters", "verdict",
        "reason",
    ];
    assert_eq!(fields(queued), promised);
    assert_eq!(queued["revision"], revision);
    assert_eq!(queued["mode"], "read");
    let holder = &queued["holders"][0];
    let promised = [
        "session", "label", "host", "pid", "mode", "held_ms", "fence", "state",
    ];
    assert_eq!(fields(holder), promised);
    assert_eq!(
        (&holder["host"], &holder["pid"]),
        (&json!("host-s3"), &json!(4711))
    );
    assert_eq!(
        (&holder["fence"], &holder["state"]),
        (&json!(1), &json!("live"))
    );
    let waiter = &queued["waiters"][1];
    let promised = [
        "session",
        "label",
        "host",
        "pid",
        "mode",
        "position",
        "waiting_ms",
        "state",
    ];
    assert_eq!(fields(waiter), promised);
    assert_eq!(
        (&waiter["position"], &waiter["mode"]),
        (&json!(2), &json!("read"))
    );
    let orphan = &named(locks, "orphan")["holders"][0];
    assert_eq!(
        (&orphan["host"], &orphan["state"]),
        (&Value::Null, &json!("dead"))
    );
}

pub(crate) fn showing(place: &Place) {
    place.add("showing", "9");
    session(place, "showing", "s1", None);
    session(place, "showing", "s2", Some("silent"));
    lock(place, "showing", "ledger", &[claim(0, "s1", "r", true)]);
    lock(
        place,
        "showing",
        "ledger",
        &[claim(0, "s1", "r", true), claim(1, "s2", "w", false)],
    );
    let shown = place
        .run(&["lock", "show", "showing", "ledger"])
        .ends(0)
        .text();
    for words in [
        "ledger in showing, revision ",
        "■ reader job@host-s1",
        "└─ 1 writer job@host-s2",
        "TIMELINE",
        "reader job acquired, fence 1",
        "writer job queued",
        "writer job's session killed, for it was silent, by ops",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    for words in [
        &["lock", "show", "showing", "nothing"][..],
        &["lock", "show", "nowhere", "ledger"],
        &["lock", "ls", "nowhere"],
    ] {
        let run = place.run(words).ends(3);
        assert_eq!(run.stdout, b"", "{words:?}");
        assert!(run.stderr.starts_with("kvscope: "), "{}", run.stderr);
    }
    place.run(&["lock", "ls", "no.name"]).ends(2);
    place.run(&["lock"]).ends(2);
    assert_eq!(place.run(&["lock", "ls", "--help"]).ends(0).stderr, "");
}

pub(crate) fn nothing_raw(place: &Place) {
    place.add("raw-locks", "5");
    let nasty = "x\u{1b}[2J\u{202e}y\u{9b}";
    let mut bad = claim(0, "s1", "w", true);
    bad["label"] = json!(nasty);
    let mut session = json!({
        "v": 1, "boot_id": "b", "pid": 1, "pidns": 1, "start": 1, "lease_ms": 15_000, "beat": 1,
    });
    session["host"] = json!(nasty);
    place.put("raw-locks", "_session.s1", &session.to_string());
    let mut waiter = claim(1, "s1\u{7}", "w", false);
    waiter["label"] = json!("");
    lock(place, "raw-locks", "a=1B=5B2J", &[bad, waiter]);
    let acts = |c: char| (c.is_control() && c != '\r' && c != '\n') || c == '\u{202e}';
    for words in [
        &["lock", "ls", "raw-locks"][..],
        &["lock", "ls", "raw-locks", "--json"],
        &["lock", "show", "raw-locks", "a\u{1b}[2J"],
        &["lock", "show", "raw-locks", "a\u{1b}[2J", "--json"],
    ] {
        let shown = on_terminal(place, words);
        assert!(
            !shown.is_empty() && !shown.contains(acts),
            "{words:?}: {shown:?}"
        );
    }
    let record = place
        .run(&["lock", "ls", "raw-locks", "--json"])
        .ends(0)
        .record();
    assert_eq!(record["holders"][0]["label"], nasty);
    assert_eq!(record["resource"], "a\u{1b}[2J");
}
