//! The value of a key: JSON, text and bytes, folds, search, masks.

use super::harness::Console;
use super::{opened, store};

const JSON: &str = "{\n  \"currency\": \"EUR\",\n  \"max\": 1.50,\n  \"max\": 2e0,\n  \"provider\": {\n    \"url\": \"https://pay.example/v2\",\n    \"token\": \"abc123\"\n  }\n}\n";

async fn shown(key: &str, value: impl AsRef<[u8]>) -> Console {
    let (memory, config) = store(&[]).await;
    config.put(key, value.as_ref().to_vec()).await.unwrap();
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    console.press("enter enter");
    console.settle().await;
    console
}

fn value(console: &Console) -> Vec<String> {
    let mut rows = console.pane("─ rev");
    rows.retain(|row| !row.is_empty());
    rows.drain(..1);
    // The text stands one column from the border.
    let text = |row: &String| row.strip_prefix(' ').unwrap_or(row).to_owned();
    rows.iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn json_is_shown_as_it_is_stored_and_folds() {
    let mut console = shown("limits", JSON).await;
    let rows = value(&console).join("\n");
    assert!(
        rows.contains("1.50") && rows.contains("2e0"),
        "numbers and duplicates stay: {rows}"
    );
    console.press("g enter");
    assert_eq!(value(&console).len(), 1, "folded: {:?}", value(&console));
    console.press("enter");
    assert_eq!(value(&console).join("\n"), rows);
    console.press("-");
    assert!(!console.screen().contains("pay.example"));
    console.press("*");
    assert_eq!(value(&console).join("\n"), rows);
}

#[tokio::test(start_paused = true)]
async fn a_number_that_ends_at_the_edge_is_not_taken_for_another() {
    let mut console = shown("limits", r#"{"max_requests_per_second":1234567890}"#).await;
    for (width, is_cut) in [(120, false), (40, true)] {
        console.resize(width, 10);
        console.settle().await;
        let screen = console.screen();
        let row = screen.lines().find(|row| row.contains("max_requests"));
        let row = row.expect("the value");
        assert_eq!(row.contains(": 1234567…┃"), is_cut, "{screen}");
        assert_eq!(row.contains(": 1234567890"), !is_cut, "{screen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_begins_behind_the_edge_is_told() {
    let mut console = shown("limits", r#"{"name_of_the_service_that_is_long":"x"}"#).await;
    console.resize(40, 10);
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("that_is_long\"…┃"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn the_forms_of_a_value_follow_each_other() {
    let mut console = shown("limits", r#"{"a":1}"#).await;
    assert!(
        console.screen().contains("formatted"),
        "one line is laid out, and says so"
    );
    console.press("v");
    assert_eq!(value(&console), [r#"{"a":1}"#]);
    console.press("v");
    let hex = value(&console).join("");
    assert!(
        hex.contains("7b 22 61 22") || hex.contains("7B 22 61 22"),
        "{hex}"
    );
    console.press("v");
    assert!(console.screen().contains("formatted"));
}

#[tokio::test(start_paused = true)]
async fn long_lines_wrap_or_scroll() {
    let text = format!("{} end", "word ".repeat(60));
    let mut console = shown("text", &text).await;
    assert!(!console.screen().contains("end"));
    console.press("w");
    assert!(value(&console).len() > 4 && console.screen().contains("end"));
    console.press("w");
    let scrolls = ["l"; 14].join(" ");
    console.press(&scrolls);
    assert!(console.screen().contains("end"), "{}", console.screen());
    let mut presses = 0;
    while !console.line_with("Enter").contains("tree/list") {
        console.press("left");
        presses += 1;
    }
    assert!(presses > 3, "it goes back only from the left edge");
}

#[tokio::test(start_paused = true)]
async fn a_search_finds_and_moves() {
    let lines = (0..100)
        .map(|n| format!("line {n}"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut console = shown("text", &lines).await;
    console.press("/");
    console.type_text("line 7");
    assert!(
        console.screen().contains("1 of 11 found"),
        "{}",
        console.screen()
    );
    console.press("enter n");
    assert!(console.screen().contains("2 of 11 found"));
    assert!(console.screen().contains("line 70"), "scrolled there");
    console.press("N N");
    assert!(console.screen().contains("11 of 11 found"), "it goes round");
    console.press("esc");
    assert!(!console.screen().contains("found"));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_masked_until_asked_for_and_that_ends_with_the_key() {
    let entries = [
        ("a", r#"{"password": "first", "user": "u1"}"#),
        ("b", r#"{"password": "second", "user": "u2"}"#),
        ("c.token", "third"),
    ];
    let (mut console, config) = opened(&entries).await;
    console.shows("u1").await;
    assert!(console.screen().contains("••••") && !console.screen().contains("first"));
    assert!(console.screen().contains("m reveals"));
    console.press("m");
    assert!(console.screen().contains("first"));
    // It stays revealed while it changes, and in no other key.
    config
        .put("a", r#"{"password": "fourth", "user": "u1"}"#)
        .await
        .unwrap();
    console.shows("fourth").await;
    console.press("j");
    console.shows("u2").await;
    assert!(!console.screen().contains("second"));
    console.press("k");
    console.shows("u1").await;
    assert!(!console.screen().contains("fourth"));
    console.press("G");
    console.shows("c.token ─ rev").await;
    console.settle().await;
    assert!(
        !console.screen().contains("third"),
        "the key itself names a secret"
    );
    for form in 0..3 {
        console.press("enter v");
        assert!(!console.screen().contains("third"), "form {form}");
        assert!(!console.screen().contains("74 68 69"), "form {form}");
    }
}

#[tokio::test(start_paused = true)]
async fn lengths_that_catch_programs_out() {
    for length in [9, 17, 1 << 20] {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut console = shown("bytes", &bytes).await;
        let first = value(&console)[0].clone();
        assert!(first.contains("00 01 02 03"), "{first}");
        console.press("G");
        let last = value(&console).last().unwrap().clone();
        let end = format!("{:02x}", bytes[length - 1]);
        assert!(
            last.to_lowercase().contains(&end),
            "{length}: {last} ends in {end}"
        );
    }
    let console = shown("empty", "").await;
    let facts = console.pane("─ rev")[0].clone();
    assert!(facts.contains("0 B"), "{facts}");
    let long = format!("[{}1]", "1,".repeat((1 << 19) - 2));
    let mut console = shown("json", &long).await;
    console.press("G");
    console.settle().await;
    assert!(value(&console).last().unwrap().contains(']'));
}
