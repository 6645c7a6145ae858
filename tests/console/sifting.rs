//! The filter over values: found as they are looked at, live, cancelled, and cut off.
//!
//! Queries run in processes of their own, so the clock is the real one here.

use kvscope::ui::message::Effect;

use super::harness::Console;
use super::{Store, bucket, shown_keys};
use kvscope::kv::memory::Memory;
use std::sync::Arc;

async fn services() -> (Console, Store) {
    let memory = Arc::new(Memory::new());
    let config = bucket(&*memory, "config").await;
    for (key, value) in [
        ("a", r#"{"replicas": 5}"#),
        ("b", r#"{"replicas": 2}"#),
        ("c", r#"{"replicas": 4}"#),
        ("d", "no json"),
        ("e", "[1]"),
    ] {
        config.put(key, value).await.unwrap();
    }
    let mut console = Console::on(memory, 120, 30);
    console.shows("Keys 5").await;
    console.press("enter");
    (console, config)
}

fn ask(console: &mut Console, query: &str) {
    console.press(":");
    console.type_text(&format!("where {query}"));
    console.press("enter");
}

fn names(console: &Console) -> Vec<String> {
    shown_keys(console)
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

#[tokio::test]
async fn keys_are_shown_by_their_values_as_long_as_they_match() {
    let (mut console, config) = services().await;
    ask(&mut console, ".replicas > 3");
    console
        .shows("Keys 2 found · 2 unfit · where .replicas > 3")
        .await;
    assert_eq!(names(&console), ["a", "c"]);
    // The selection is a key of those, with its value.
    console.shows("\"replicas\": 5").await;

    config.put("b", r#"{"replicas": 9}"#).await.unwrap();
    console.shows("Keys 3 found").await;
    assert_eq!(names(&console), ["a", "b", "c"]);
    config.put("a", r#"{"replicas": 1}"#).await.unwrap();
    console
        .until("loses one", |screen| screen.contains("Keys 2 found"))
        .await;
    config.delete("c", None).await.unwrap();
    console.shows("Keys 1 found").await;
    assert_eq!(names(&console), ["b"]);
    // Names are filtered beside that, and all comes back with Esc, the one after the other.
    console.press("/");
    console.type_text("x");
    console.press("enter");
    assert!(console.screen().contains("no value matches") || names(&console).is_empty());
    console.press("esc");
    assert_eq!(names(&console), ["b"]);
    console.press("esc");
    // The bucket's own watch may tell of the deletion a moment later.
    console.shows("Keys 4").await;
    assert_eq!(names(&console), ["a", "b", "d", "e"]);
    // Another query takes the place of the one before; none at all shows everything.
    ask(&mut console, ".replicas == 9");
    console
        .shows("Keys 1 found · 2 unfit · where .replicas == 9")
        .await;
    ask(&mut console, ". == [1]");
    console
        .shows("Keys 1 found · 1 unfit · where . == [1]")
        .await;
    assert_eq!(names(&console), ["e"]);
    ask(&mut console, "");
    assert_eq!(names(&console).len(), 4);
    // A key that is named is shown, whatever the filter.
    ask(&mut console, "empty");
    console.shows("no value matches").await;
    console.press(":");
    console.type_text("key d");
    console.press("enter");
    console.shows("no json").await;
}

#[tokio::test]
async fn a_bad_query_says_where_and_changes_nothing() {
    let (mut console, _) = services().await;
    ask(&mut console, ".a | | .b");
    assert!(
        console.screen().contains("at character 6"),
        "{}",
        console.screen()
    );
    assert_eq!(names(&console).len(), 5);
    assert!(
        console
            .asked
            .iter()
            .all(|effect| !matches!(effect, Effect::Sift(..)))
    );
}

#[tokio::test]
async fn a_query_that_loops_is_cut_off() {
    let (mut console, _) = services().await;
    ask(&mut console, "def f: f; f");
    console.shows("does not come to an end").await;
    assert!(
        console.screen().contains("0 of 5 looked at"),
        "{}",
        console.screen()
    );
    console.press("esc");
    assert_eq!(names(&console).len(), 5);
}
