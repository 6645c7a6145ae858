//! A diff tells all that differs, and nothing that is secret.

use proptest::prelude::*;

use super::*;
use crate::edit::testing::{json, spaced};
use crate::edit::{MASK, minified};

fn diff(old: &str, new: &str) -> Diff {
    Diff::between(
        Some(old.as_bytes()),
        Some(new.as_bytes()),
        &Masking::default(),
    )
}

fn by_path(old: &str, new: &str) -> Vec<String> {
    let text = |text: &Option<Excerpt>| text.as_ref().map_or("-".to_owned(), Excerpt::masked);
    diff(old, new)
        .by_path
        .unwrap()
        .iter()
        .map(|change| {
            let (old, new) = (text(&change.old), text(&change.new));
            format!("{:?} {} {old} {new}", change.what, change.path)
        })
        .collect()
}

fn rows(old: &str, new: &str) -> Vec<String> {
    let side = |line: &Option<Line>| {
        line.as_ref()
            .map_or(String::new(), |line| line.text.masked())
    };
    diff(old, new)
        .by_line
        .rows()
        .iter()
        .map(|row| format!("{:?} {}|{}", row.kind, side(&row.old), side(&row.new)))
        .collect()
}

#[test]
fn changes_are_told_by_path() {
    assert_eq!(
        by_path(
            r#"{"a":1,"b":[1,2,3],"c":{"d":1.0,"x":0},"a":2,"gone":true}"#,
            r#"{"a":1,"b":[1,9,3,4],"c":{"d":1.00,"x":0},"a":[2],"new":{}}"#
        ),
        [
            "Changed .b[1] 2 9",
            "Added .b[3] - 4",
            "Changed .c.d 1.0 1.00",
            "Changed .a#2 2 [2]",
            "Added .new - {}",
            "Removed .gone true -",
        ]
    );
    assert_eq!(
        by_path(r#"{"a":1,"b":2}"#, r#"{"b":3,"a":1}"#),
        [r#"Reordered . "a", "b" "b", "a""#, "Changed .b 2 3"]
    );
    assert_eq!(
        by_path(r#"{"a":1}"#, r#"{"\u0061":1}"#),
        [r#"Renamed .a "a" "\u0061""#]
    );
    assert_eq!(by_path("[1,2,3]", "[2,3]"), ["Removed [0] 1 -"]);
    assert_eq!(by_path("1", "{}"), ["Changed . 1 {}"]);
    assert!(diff("[1]", "[1").by_path.is_none());
}

#[test]
fn a_key_that_comes_or_goes_differs_as_a_whole() {
    let none = Diff::between(None, Some(b"{}"), &Masking::default());
    assert_eq!(none.by_path.unwrap()[0].what, What::Added);
    assert_eq!(none.by_line.rows()[0].kind, RowKind::Added);
    let gone = Diff::between(Some(b"text\n"), None, &Masking::default());
    assert!(gone.by_path.is_none() && !gone.is_empty);
    assert!(Diff::between(None, None, &Masking::default()).is_empty());
    assert!(!Diff::between(None, Some(b""), &Masking::default()).is_empty());
}

#[test]
fn lines_stand_side_by_side() {
    assert_eq!(
        rows("a\nb c\nd\n", "a\nb x\nd\ne\n"),
        ["Same a|a", "Changed b c|b x", "Same d|d", "Added |e"]
    );
    let changed = diff("max: 10, min: 2\n", "max: 250, min: 2\n");
    let row = &changed.by_line.rows()[0];
    let emphasis = |line: &Option<Line>| {
        let line = line.as_ref().unwrap();
        let parts = line
            .emphasis
            .iter()
            .map(|part| &line.text.revealed()[part.clone()]);
        parts.collect::<String>()
    };
    assert_eq!(
        (emphasis(&row.old), emphasis(&row.new)),
        ("10".to_owned(), "250".to_owned())
    );
    assert_eq!(rows("a", "a\n"), ["Changed a|a"]);
    assert_eq!(rows(r#"{"a":1}"#, r#"{"a":2}"#).len(), 3);
    assert_eq!(
        rows(r#"{"a":1}"#, r#"{"a": 1}"#),
        [r#"Changed {"a":1}|{"a": 1}"#]
    );
    let binary = Diff::between(Some(b"\xff\x00"), Some(b"\xff\x01"), &Masking::default());
    assert_eq!(
        binary.by_line.rows()[0].new.as_ref().unwrap().text.masked(),
        "ff 01"
    );
}

#[test]
fn only_what_differs_is_stretched_out() {
    let old = (0..30)
        .map(|line| line.to_string())
        .collect::<Vec<_>>()
        .join("\n");
    let new = old
        .replace("\n5\n", "\nx\n")
        .replace("\n8\n", "\ny\n")
        .replace("\n20\n", "\n");
    let diff = diff(&old, &new);
    assert_eq!(diff.by_line.stretches(1), [4..10, 19..22]);
    assert_eq!(diff.by_line.stretches(2), [3..11, 18..23]);
}

#[test]
fn secrets_are_masked_in_every_form() {
    let old = "{\n  \"a\": 1,\n  \"db\": {\"password\": \"hunter2\"},\n  \"tokens\": [\n    \"t1\"\n  ]\n}";
    let new = old.replace("hunter2", "hunter3").replace("t1", "t2");
    let told = format!(
        "{:?} {:?} {:?}",
        diff(old, &new),
        by_path(old, &new),
        rows(old, &new)
    );
    assert!(
        !told.contains("hunter") && !told.contains("t1") && !told.contains("t2"),
        "{told}"
    );
    assert_eq!(
        by_path(old, &new),
        [
            format!("Changed .db.password {MASK} {MASK}"),
            format!("Changed .tokens[0] {MASK} {MASK}")
        ]
    );
    let masking = Masking::new(&std::sync::Arc::default(), "app.token");
    let whole = Diff::between(Some(b"\xff1"), Some(b"\xff2"), &masking);
    assert_eq!(
        whole.by_line.rows()[0].new.as_ref().unwrap().text.masked(),
        MASK
    );
}

proptest! {
    #[test]
    fn the_same_tokens_are_no_change(text in spaced()) {
        let other = minified(&text).unwrap();
        prop_assert_eq!(by_path(&text, &other), Vec::<String>::new());
    }

    #[test]
    fn other_tokens_are_one(old in json(), new in json()) {
        let changes = by_path(&old, &new);
        prop_assert_eq!(changes.is_empty(), old == new, "{:?}", changes);
    }

    #[test]
    fn lines_give_back_both_texts(old in "[ab\n]{0,20}", new in "[ab\n]{0,20}") {
        let diff = diff(&old, &new);
        let side = |which: fn(&Row) -> &Option<Line>| -> String {
            let lines = diff.by_line.rows().iter().filter_map(|row| which(row).as_ref());
            lines.map(|line| line.text.revealed().to_owned() + "\n").collect()
        };
        let ended = |text: &str| if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        prop_assert_eq!(side(|row| &row.old), ended(&old));
        prop_assert_eq!(side(|row| &row.new), ended(&new));
    }
}
