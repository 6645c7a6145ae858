//! The history of a key: what each revision changed, differences, and the way back.

use super::harness::Console;
use super::opened;

/// A console on a key with four revisions.
async fn history() -> (Console, kvscope::kv::Store) {
    let first = "{\n  \"max\": 1,\n  \"token\": \"s3cret\"\n}";
    let (mut console, config) = opened(&[("limits", first), ("other", "x")]).await;
    for value in [
        "{\n  \"max\": 2,\n  \"token\": \"s3cret\"\n}",
        "{\n  \"max\": 2,\n  \"tags\": [\"a\"],\n  \"token\": \"other\"\n}",
    ] {
        config.put("limits", value).await.unwrap();
    }
    console.settle().await;
    console.press("h");
    console.settle().await;
    (console, config)
}

#[tokio::test(start_paused = true)]
async fn every_revision_tells_what_it_changed() {
    let (console, _) = history().await;
    let rows = console.pane(" History of limits ─ 3 kept");
    assert!(
        rows[1].contains("4 put") && rows[1].contains("+.tags [\"a\"]"),
        "{rows:#?}"
    );
    assert!(rows[1].contains(".token ••••"), "{rows:#?}");
    assert!(
        rows[2].contains("3 put") && rows[2].contains(".max 1 → 2"),
        "{rows:#?}"
    );
    // What was before the oldest is not known, and so it is not said to have made the key.
    assert!(
        rows[3].contains("1 put") && rows[3].contains("the oldest that is kept"),
        "{rows:#?}"
    );
    assert!(!console.screen().contains("s3cret") && !console.screen().contains("other\""));
}

#[tokio::test(start_paused = true)]
async fn what_was_before_the_oldest_is_not_made_up() {
    let (mut console, _) = history().await;
    console.press("G d");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("what was before revision 1 is not kept"),
        "{screen}"
    );
    assert!(
        screen.contains("the oldest that is kept") && !screen.contains("nothing →"),
        "{screen}"
    );
}

#[tokio::test(start_paused = true)]
async fn differences_are_by_path_and_side_by_side() {
    let (mut console, _) = history().await;
    console.press("d");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("limits ─ 3 → 4") && screen.contains("by path"),
        "{screen}"
    );
    assert!(
        screen.contains(" + .tags") && screen.contains(" ~ .token"),
        "{screen}"
    );
    assert!(!screen.contains("s3cret"), "{screen}");
    console.press("m");
    assert!(
        console.screen().contains("\"s3cret\" → \"other\""),
        "{}",
        console.screen()
    );
    assert!(
        console.screen().contains("v by path/line"),
        "{}",
        console.screen()
    );
    console.press("m v");
    let screen = console.screen();
    assert!(
        screen.contains("by line") && screen.contains('│'),
        "{screen}"
    );
    let row = console.line_with("\"tags\"");
    assert!(row.contains("~3 ") || row.contains("+3 "), "{row}");
    assert!(!screen.contains("s3cret"), "{screen}");
    console.press("esc");
    // Any two that are marked.
    console.press("x G x d");
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("limits ─ 1 → 4"), "{screen}");
    assert!(
        screen.contains(" ~ .max") && screen.contains(" + .tags"),
        "{screen}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_revision_is_opened_and_shows_its_value() {
    let (mut console, _) = history().await;
    console.press("j enter");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("limits at revision 3") && screen.contains("\"max\": 2"),
        "{screen}"
    );
    assert!(
        !screen.contains("s3cret") && !screen.contains("tags"),
        "{screen}"
    );
    console.press("m");
    assert!(console.screen().contains("s3cret"));
    console.press("esc");
    assert!(console.screen().contains("History of limits"));
    console.press("esc");
    assert!(console.area_of("History of").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_revert_is_looked_at_first_and_goes_through_the_same_check() {
    let (mut console, config) = history().await;
    console.press("R");
    assert!(console.screen().contains("that is the value already"));
    console.press("G R");
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("Revert limits to revision 1?"), "{screen}");
    assert!(
        screen.contains(" ~ .max") && screen.contains("2 → 1") && screen.contains(" - .tags"),
        "{screen}"
    );
    console.press("enter");
    console.settle().await;
    let entry = config.get("limits").await.unwrap().unwrap();
    assert_eq!(entry.revision.0, 5);
    assert!(entry.value.unwrap().starts_with(b"{\n  \"max\": 1,"));
    // The history hears of it.
    assert!(console.screen().contains("4 kept"), "{}", console.screen());
    // Somebody writes between the look and the agreement.
    console.press("g j R");
    console.settle().await;
    config.put("limits", "{\"max\": 9}").await.unwrap();
    console.press("enter");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("limits moved from revision 5 to 6"),
        "{screen}"
    );
    assert_eq!(config.get("limits").await.unwrap().unwrap().revision.0, 6);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_key_is_found_and_brought_back() {
    let (mut console, config) = opened(&[("limits", "{\"a\": 1}"), ("other", "x")]).await;
    config.delete("limits", None).await.unwrap();
    console.settle().await;
    assert!(console.row_in(" Keys ", "limits").is_none());
    console.press("a g h");
    console.settle().await;
    let rows = console.pane(" History of limits ─ 2 kept");
    assert!(rows[1].contains("3 delete"), "{rows:#?}");
    console.press("R");
    assert!(
        console.screen().contains("no value to go back to"),
        "{}",
        console.screen()
    );
    console.press("j R");
    console.settle().await;
    console.press("enter");
    console.settle().await;
    let entry = config.get("limits").await.unwrap().unwrap();
    assert_eq!(
        (entry.revision.0, entry.value.unwrap().as_ref()),
        (4, &b"{\"a\": 1}"[..])
    );
    // A purge leaves nothing to go back to.
    config.purge("limits", None).await.unwrap();
    console.settle().await;
    let rows = console.pane(" History of limits ─ 1 kept");
    assert!(rows[1].contains("5 purge"), "{rows:#?}");
}

#[tokio::test(start_paused = true)]
async fn activity_tells_what_changed_inside_a_value() {
    let (mut console, config) = opened(&[("limits", "{\"max\": 1, \"token\": \"a\"}")]).await;
    console.press("3");
    config
        .put("limits", "{\"max\": 2, \"token\": \"s3cret\"}")
        .await
        .unwrap();
    config.put("new", "{}").await.unwrap();
    console.settle().await;
    let line = console.line_with("put    limits");
    assert!(
        line.contains(".max 1 → 2") && line.contains(".token ••••"),
        "{line}"
    );
    // Of what was not there before it is told what it is.
    let value = "{\n  \"size\": 3,\n  \"token\": \"s3cret\"\n}";
    config.put("fresh", value).await.unwrap();
    config.put("plain", "some words").await.unwrap();
    console.settle().await;
    let line = console.line_with("put    fresh");
    assert!(line.contains(r#"now {"size":3,"token":"#), "{line}");
    let line = console.line_with("put    plain");
    assert!(line.contains("now some words"), "{line}");
    assert!(!console.screen().contains("s3cret"));
}
