//! Nothing is lost in a merge, and nothing is decided that needs a choice.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::edit::testing::{json, spaced};
use crate::edit::{MASK, minified};

fn merge(base: &str, mine: &str, theirs: &str) -> Merge {
    let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    Merge::new(bytes(base), bytes(mine), bytes(theirs), Masking::default())
}

fn text(merge: &Merge) -> String {
    match merge.result() {
        Ok(Merged::Value(value)) => String::from_utf8(value.to_vec()).unwrap(),
        other => panic!("{other:?} from {:?}", merge.rows()),
    }
}

fn rows(merge: &Merge) -> Vec<String> {
    let rows = merge.rows().iter();
    rows.map(|row| format!("{:?} {}", row.origin, row.place))
        .collect()
}

const BASE: &str = r#"{
  "currency": "EUR",
  "max_per_day": 25000,
  "provider": {"url": "https://pay.example/v2", "token": "abc"},
  "tags": ["a", "b"]
}
"#;

#[test]
fn unrelated_paths_merge_themselves_and_the_same_path_needs_a_choice() {
    let mine = BASE.replace("25000", "40000").replace("/v2", "/v3");
    let theirs = BASE.replace("EUR", "USD").replace("/v2", "/v2b");
    let mut merge = merge(BASE, &mine, &theirs);
    assert_eq!(
        rows(&merge),
        [
            "Theirs .currency",
            "Mine .max_per_day",
            "Conflict .provider.url"
        ]
    );
    assert_eq!(
        (merge.unresolved(), merge.result()),
        (1, Err(MergeError::Unresolved(1)))
    );
    merge.choose(2, Choice::Theirs).unwrap();
    assert_eq!(text(&merge), theirs.replace("25000", "40000"));
    merge.choose(2, Choice::Mine).unwrap();
    merge.choose(0, Choice::Mine).unwrap();
    assert_eq!(text(&merge), mine);
    let wrong = merge.choose(2, Choice::Text("\"x".to_owned()));
    assert!(matches!(wrong, Err(MergeError::Text(_))));
    merge.choose(2, Choice::Text(r#""x""#.to_owned())).unwrap();
    assert_eq!(text(&merge), mine.replace("https://pay.example/v3", "x"));
    assert_eq!(merge.choose(3, Choice::Mine), Err(MergeError::NoRow));
}

#[test]
fn the_white_space_of_mine_stays() {
    let mine = r#"{"currency":"EUR","max_per_day":1,"provider":{"url":"u","token":"abc"},"tags":["a","b"]}"#;
    let theirs = BASE
        .replace(r#""a", "b""#, r#""a", "b", {"c": 1}"#)
        .replace("25000", "25000,\n  \"new\": [1]");
    let mut merge = merge(BASE, mine, &theirs);
    assert_eq!(merge.unresolved(), 0);
    let merged = mine
        .replace(r#""b"]"#, r#""b",{"c":1}]"#)
        .replace(":1,", ":1,\"new\":[1],");
    assert_eq!(text(&merge), merged);
    let added = merge
        .rows()
        .iter()
        .position(|row| row.place.to_string() == ".new")
        .unwrap();
    merge.choose(added, Choice::Mine).unwrap();
    assert_eq!(text(&merge), merged.replace(",\"new\":[1]", ""));
}

#[test]
fn arrays_merge_by_element() {
    let of = |mine: &str, theirs: &str| {
        let merge = merge("[1,2,3,{\"a\":1,\"b\":1}]", mine, theirs);
        (
            rows(&merge).join("; "),
            merge.result().ok().map(|_| text(&merge)),
        )
    };
    let list = |text: &str, merged: &str| (text.to_owned(), Some(merged.to_owned()));
    assert_eq!(
        of("[0,1,2,3,{\"a\":1,\"b\":1}]", "[1,2,3,{\"a\":1,\"b\":1},4]"),
        list("Mine [0]; Theirs [4]", "[0,1,2,3,{\"a\":1,\"b\":1},4]")
    );
    assert_eq!(
        of("[1,2,3,{\"a\":2,\"b\":1}]", "[1,2,3,{\"a\":1,\"b\":2}]"),
        list("Mine [3].a; Theirs [3].b", "[1,2,3,{\"a\":2,\"b\":2}]")
    );
    assert_eq!(
        of("[9,2,3,{\"a\":1,\"b\":1}]", "[1,8,3,{\"a\":1,\"b\":1}]"),
        list("Mine [0]; Theirs [1]", "[9,8,3,{\"a\":1,\"b\":1}]")
    );
    let (told, merged) = of(
        "[1,7,8,2,3,{\"a\":1,\"b\":1}]",
        "[1,9,2,3,{\"a\":1,\"b\":1}]",
    );
    assert_eq!((told.as_str(), merged), ("Conflict [1..=2]", None));
    let mut both = merge("[1]", "[1,2]", "[1,3]");
    assert_eq!(rows(&both), ["Conflict [1]"]);
    both.choose(0, Choice::Text("2, 3".to_owned())).unwrap();
    assert_eq!(text(&both), "[1,2, 3]".replace(", ", ","));
    both.choose(0, Choice::Text(String::new())).unwrap();
    assert_eq!(text(&both), "[1]");
}

#[test]
fn text_merges_by_line() {
    let base = "a = 1\nb = 2\nc = 3\n";
    let mine = base.replace("a = 1", "a = 9");
    let both = merge(base, &mine, &base.replace("c = 3", "c = 8"));
    assert_eq!(rows(&both), ["Mine line 1", "Theirs line 3"]);
    assert_eq!(text(&both), "a = 9\nb = 2\nc = 8\n");
    // Lines that stand together often belong together.
    let mut near = merge(base, &mine, &base.replace("b = 2", "b = 8"));
    assert_eq!(rows(&near), ["Conflict lines 1 to 2"]);
    near.choose(0, Choice::Text("a = 9\nb = 8".to_owned()))
        .unwrap();
    assert_eq!(text(&near), "a = 9\nb = 8\nc = 3\n");
    let broken = merge("{}", "{", "{}");
    assert_eq!(text(&broken), "{");
}

#[test]
fn a_key_that_is_gone_is_a_conflict() {
    let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let mut merge = Merge::new(bytes("{}"), bytes("[]"), None, Masking::default());
    assert_eq!(rows(&merge), ["Conflict the whole value"]);
    merge.choose(0, Choice::Theirs).unwrap();
    assert_eq!(merge.result(), Ok(Merged::Gone));
    merge.choose(0, Choice::Mine).unwrap();
    assert_eq!(text(&merge), "[]");
    let made_twice = Merge::new(None, bytes("{}"), bytes("[]"), Masking::default());
    assert_eq!(rows(&made_twice), ["Conflict the whole value"]);
    let binary = Bytes::from_static(b"\xff");
    let mut hex = Merge::new(bytes("a"), Some(binary), bytes("b"), Masking::default());
    assert_eq!(hex.draft_of(0).unwrap(), "ff\n");
    hex.choose(0, Choice::Text("61 62".to_owned())).unwrap();
    assert_eq!(text(&hex), "ab");
}

#[test]
fn rows_hold_masked_secrets() {
    let theirs = BASE.replace("abc", "xyz");
    let told = format!(
        "{:?}",
        merge(BASE, &BASE.replace("abc", "uvw"), &theirs).rows()
    );
    assert!(
        told.contains(MASK) && !told.contains("xyz") && !told.contains("uvw"),
        "{told}"
    );
}

/// A document of three levels, and places in it to change.
fn document() -> Value {
    let leaves = || json!({"x": 1, "y": "two", "z": [1, 2, 3]});
    json!({"a": leaves(), "b": leaves(), "c": {"d": leaves(), "e": null}, "f": true})
}

const PLACES: [&str; 10] = [
    "/a", "/a/x", "/a/y", "/b", "/b/x", "/b/z", "/c/d", "/c/d/x", "/c/e", "/f",
];

/// Sets a place, or removes it.
fn change(document: &mut Value, place: &str, value: Option<u8>) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    // What lies in a place that was changed itself is changed with it.
    let Some(Value::Object(parent)) = document.pointer_mut(parent) else {
        return;
    };
    match value {
        Some(value) => parent.insert(name.to_owned(), json!(format!("set to {value}"))),
        None => parent.shift_remove(name),
    };
}

fn changes() -> impl Strategy<Value = Vec<(usize, Option<u8>)>> {
    prop::collection::vec((0..PLACES.len(), prop::option::of(0_u8..3)), 0..4)
}

/// The places that are not inside another one of them.
fn outermost(changes: &[(usize, Option<u8>)]) -> Vec<(&'static str, Option<u8>)> {
    let mut kept: Vec<(&str, Option<u8>)> = Vec::new();
    for (place, value) in changes {
        let place = PLACES[*place];
        if !kept.iter().any(|(other, _)| overlap(place, other)) {
            kept.push((place, *value));
        }
    }
    kept
}

fn overlap(one: &str, other: &str) -> bool {
    one.split('/')
        .zip(other.split('/'))
        .all(|(one, other)| one == other)
}

fn dotted(place: &str) -> String {
    place.replace('/', ".")
}

proptest! {
    #[test]
    fn an_unchanged_side_gives_the_other(base in spaced(), other in spaced()) {
        prop_assert_eq!(text(&merge(&base, &base, &other)), other.clone());
        prop_assert_eq!(text(&merge(&base, &other, &base)), other);
    }

    #[test]
    fn the_same_change_twice_is_that_change(base in spaced(), other in spaced()) {
        prop_assume!(minified(&base) != minified(&other));
        let merged = merge(&base, &other, &minified(&other).unwrap());
        prop_assert_eq!(text(&merged), other);
    }

    #[test]
    fn conflicts_are_exactly_the_overlapping_paths(by_mine in changes(), by_theirs in changes()) {
        let (by_mine, by_theirs) = (outermost(&by_mine), outermost(&by_theirs));
        let made = |changes: &[(&str, Option<u8>)]| {
            let mut document = document();
            for (place, value) in changes {
                change(&mut document, place, *value);
            }
            document.to_string()
        };
        let base = document().to_string();
        let one = merge(&base, &made(&by_mine), &made(&by_theirs));
        let other = merge(&base, &made(&by_theirs), &made(&by_mine));

        // A row for each change, and a conflict for each pair that overlaps and differs.
        let mut conflicts = Vec::new();
        for (place, value) in &by_mine {
            for (others, theirs) in &by_theirs {
                if overlap(place, others) && (place, value) != (others, theirs) {
                    let outer = if place.len() < others.len() { place } else { others };
                    conflicts.push(dotted(outer));
                }
            }
        }
        conflicts.sort();
        conflicts.dedup();
        let found = |merge: &Merge| {
            let rows = merge.rows().iter().filter(|row| row.origin == Origin::Conflict);
            let mut found: Vec<_> = rows.map(|row| row.place.to_string()).collect();
            found.sort();
            found
        };
        prop_assert_eq!(found(&one), conflicts.clone());
        prop_assert_eq!(found(&other), conflicts.clone());

        // No path is lost: each change without a conflict is in the result, in either order.
        if conflicts.is_empty() {
            let (one, other) = (text(&one), text(&other));
            let mut wanted = document();
            for (place, value) in by_mine.iter().chain(&by_theirs) {
                change(&mut wanted, place, *value);
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), wanted.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&other).unwrap(), wanted);
        }
    }

    #[test]
    fn any_documents_can_be_merged(base in json(), mine in spaced(), theirs in json()) {
        let mut merge = merge(&base, &mine, &theirs);
        for choice in [Choice::Mine, Choice::Theirs] {
            for row in 0..merge.rows().len() {
                merge.choose(row, choice.clone()).unwrap();
            }
            let result = text(&merge);
            let side = if choice == Choice::Mine { &mine } else { &theirs };
            let (result, side) = (minified(&result).unwrap(), minified(side).unwrap());
            // The order of members can be the other side's.
            let sorted = |text: &str| { let mut all: Vec<_> = text.chars().collect(); all.sort_unstable(); all };
            prop_assert_eq!(sorted(&result), sorted(&side), "{} {}", result, side);
        }
    }

    #[test]
    fn lines_that_are_apart_merge(lines in prop::collection::vec("[a-c]{0,2}", 5..12), at in 0_usize..3, other in 2_usize..6) {
        let at_other = (at + other).min(lines.len() - 1);
        let with = |changes: &[(usize, &str)]| {
            let mut lines = lines.clone();
            for (at, text) in changes {
                (*text).clone_into(&mut lines[*at]);
            }
            lines.join("\n") + "\n"
        };
        let merged = merge(&with(&[]), &with(&[(at, "MINE")]), &with(&[(at_other, "THEIRS")]));
        prop_assert_eq!(text(&merged), with(&[(at, "MINE"), (at_other, "THEIRS")]));
    }
}

/// Which of several equal neighbours was changed is known by its place.
#[test]
fn an_element_among_equal_ones_stays_where_it_was_changed() {
    // Each bit is a place: where the base holds a 1, and who changes what.
    for (base, mine, theirs) in (0..1 << 12).map(|bits| (bits & 15, bits >> 4 & 15, bits >> 8)) {
        if mine & theirs != 0 {
            continue;
        }
        let list = |mine: u32, theirs: u32| {
            let value = |place: u32| match 1 << place {
                bit if mine & bit != 0 => 70 + place,
                bit if theirs & bit != 0 => 90 + place,
                bit => u32::from(base & bit != 0),
            };
            serde_json::json!((0..4).map(value).collect::<Vec<_>>()).to_string()
        };
        let merged = merge(&list(0, 0), &list(mine, 0), &list(0, theirs));
        let case = format!("{base:04b} {mine:04b} {theirs:04b}");
        assert_eq!(merged.unresolved(), 0, "{case}");
        assert_eq!(text(&merged), list(mine, theirs), "{case}");
    }
}
