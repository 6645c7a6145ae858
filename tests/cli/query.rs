//! Queries on the command line: `ls --query` and `get --query`.

use crate::program::Place;

fn services(place: &Place, bucket: &str) {
    place.add(bucket, "3");
    for (key, value) in [
        (
            "svc.a",
            r#"{"replicas": 5, "name": "a\u001b[31m", "tags": ["x", "y"]}"#,
        ),
        ("svc.b", r#"{"replicas": 1}"#),
        ("svc.c", "text"),
        ("svc.d", "[1]"),
        ("other", r#"{"replicas": 9}"#),
        ("gone", r#"{"replicas": 9}"#),
    ] {
        place.put(bucket, key, value);
    }
    place.run(&["del", bucket, "gone", "--force"]).ends(0);
}

pub(crate) fn choosing(place: &Place) {
    services(place, "q-ls");
    let run = place
        .run(&["ls", "q-ls", "--query", ".replicas > 3", "--names"])
        .ends(0);
    assert_eq!(run.text(), "other\nsvc.a\n");
    assert!(
        run.stderr.contains("1 values are no JSON")
            && run
                .stderr
                .contains("can't be applied to 1 values; the first is svc.d: "),
        "{}",
        run.stderr
    );
    let run = place
        .run(&["ls", "q-ls", "svc.>", "--query", ".replicas > 3", "--json"])
        .ends(0);
    assert_eq!(run.record()["key"], "svc.a");
    place.put("q-ls", "svc.a", r#"{"replicas": 0}"#);
    let run = place
        .run(&["ls", "q-ls", "svc.>", "--query", ".replicas > 3"])
        .ends(0);
    assert_eq!(run.text(), "");

    let bad = place.run(&["ls", "q-ls", "--query", ".a |"]).ends(2);
    assert!(
        bad.stderr.contains("makes no sense at its end"),
        "{}",
        bad.stderr
    );
    let bad = place.run(&["ls", "q-ls", "--query", "nonsense"]).ends(2);
    assert!(bad.stderr.contains("there is no filter"), "{}", bad.stderr);
    let begun = std::time::Instant::now();
    let loops = place.run(&["ls", "q-ls", "--query", "def f: f; f"]).ends(1);
    assert!(
        loops.stderr.contains("does not come to an end"),
        "{}",
        loops.stderr
    );
    assert!(begun.elapsed().as_secs() < 30);
}

pub(crate) fn printing(place: &Place) {
    services(place, "q-get");
    let get = |query| place.run(&["get", "q-get", "svc.a", "--query", query]);
    assert_eq!(get(".replicas + 1").ends(0).text(), "6\n");
    assert_eq!(get(".tags[]").ends(0).text(), "\"x\"\n\"y\"\n");
    assert!(!get(".name").ends(0).text().contains('\u{1b}'));
    let raw = ["get", "q-get", "svc.a", "--query", ".tags[]", "--raw"];
    assert_eq!(place.run(&raw).ends(0).text(), "x\ny\n");
    assert_eq!(get("empty").ends(0).text(), "");
    let words = ["get", "q-get", "svc.a", "--json", "--query"];
    let record = |query: &str| place.run(&[&words[..], &[query]].concat()).ends(0);
    let results = record(".tags[], .name, {n: 1.50}, 123456789012345678901234").records();
    let shown: Vec<String> = results.iter().map(|of| of["result"].to_string()).collect();
    let expected = [
        "\"x\"",
        "\"y\"",
        "\"a\\u001b[31m\"",
        "{\"n\":1.50}",
        "123456789012345678901234",
    ];
    assert_eq!(shown, expected);
    let all = results.iter();
    assert!(
        all.into_iter()
            .all(|of| of["key"] == "svc.a" && of["revision"] == 1)
    );
    assert_eq!(record("nan").record()["result_text"], "NaN");
    assert_eq!(record("empty").text(), "");
    let error = place.run(&["get", "q-get", "svc.a", "--json", "--raw", "--query", "."]);
    assert!(error.ends(2).stderr.contains("--raw"));
    assert!(
        get("error(1)")
            .ends(1)
            .stderr
            .contains("the query can't be applied")
    );
    let filling = get("[limit(400000000; repeat(1))] | length").ends(1);
    assert!(
        filling.stderr.contains("it was stopped"),
        "{}",
        filling.stderr
    );
    get("repeat(.)").ends(1);
    place
        .run(&["get", "q-get", "svc.c", "--query", "."])
        .ends(1);
    place.run(&["get", "q-get", "gone", "--query", "."]).ends(3);
}
