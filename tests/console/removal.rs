//! Making keys, and deleting and purging them, one and many.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend as _, BucketConfig};
use kvscope::kv::faulty::{Faults, Faulty, WriteFault};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Filter, Revision, Store};

use super::harness::Console;
use super::{bucket, in_keys, opened, shown_keys};

#[tokio::test(start_paused = true)]
async fn a_new_key_has_a_good_name_and_must_not_be_there() {
    let (mut console, config) = opened(&[("app.limits", "1")]).await;
    console.press("n");
    assert!(
        console.screen().contains("New key in config"),
        "{}",
        console.screen()
    );
    assert!(
        console.screen().contains("key: app."),
        "beside the selected one"
    );
    console.type_text("limits");
    assert!(
        console
            .screen()
            .contains("It is there already, at revision 1"),
        "{}",
        console.screen()
    );
    console.press("enter");
    assert!(
        console.screen().contains("New key in config"),
        "it does not go on"
    );
    console.type_text(" x");
    assert!(
        !console.screen().contains("It is not there yet"),
        "{}",
        console.screen()
    );
    console.press("backspace backspace 2");
    assert!(
        console.screen().contains("It is not there yet"),
        "{}",
        console.screen()
    );
    console.press("tab");
    console.type_text("90s");
    console.settled("enter").await;
    assert!(
        console.screen().contains(" New app.limits2 ─ a new key"),
        "{}",
        console.screen()
    );
    console.type_text("{\"a\":1}");
    console.settled("ctrl-s").await;
    let screen = console.screen();
    assert!(
        screen.contains("Create app.limits2?") && screen.contains("dropped 1 m 30 s after"),
        "{screen}"
    );
    console.settled("enter").await;
    let entry = config.get("app.limits2").await.unwrap().unwrap();
    assert_eq!(entry.ttl, Some(Duration::from_secs(90)));
    assert_eq!(entry.value.unwrap().as_ref(), b"{\"a\":1}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_somebody_made_meanwhile_is_a_conflict() {
    let (mut console, config) = opened(&[("a", "1")]).await;
    console.press("n");
    console.type_text("b");
    console.press("tab");
    console.type_text("1h");
    console.settled("enter").await;
    console.type_text("mine");
    config.put("b", "theirs").await.unwrap();
    console.settled("ctrl-s").await;
    console.settled("enter").await;
    assert!(
        console.screen().contains("b moved from revision 0 to 2"),
        "{}",
        console.screen()
    );
    assert_eq!(
        config.get("b").await.unwrap().unwrap().revision,
        Revision(2)
    );
    // What was asked for with the name is not forgotten over it.
    console.settled("1 ctrl-s").await;
    console.settled("enter").await;
    let entry = config.get("b").await.unwrap().unwrap();
    assert_eq!(entry.value.as_deref(), Some(&b"mine"[..]));
    assert_eq!(entry.ttl, Some(Duration::from_secs(3600)));
}

#[tokio::test(start_paused = true)]
async fn where_no_history_is_kept_no_way_back_is_promised() {
    let memory = Arc::new(Memory::new());
    let config = BucketConfig::new(BucketName::new("config").unwrap());
    assert_eq!(config.history, 1, "what a bucket has by default");
    memory.create_bucket(&config).await.unwrap();
    let config = Store::open(&*memory, "config").await.unwrap();
    for key in ["a", "b", "c"] {
        config.put(key, "1").await.unwrap();
    }
    let mut console = in_keys(Console::on(memory, 120, 30)).await;
    // How one is undone, which is promised here, is tested with undoing.
    console.press("D");
    let screen = console.screen();
    assert!(
        screen.contains("only u, before your next write") && !screen.contains("history stays"),
        "{screen}"
    );
    console.press("esc x j x D");
    let screen = console.screen();
    assert!(
        screen.contains("nothing brings the values back") && !screen.contains("history stays"),
        "{screen}"
    );
    // Where there is no room for all of it, that is what has room.
    console.resize(40, 10);
    let screen = console.screen();
    for words in ["No history is kept here: nothing", "type 2", "…"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.resize(120, 30);
    console.settled("2 enter").await;
    console.settled("esc u").await;
    let screen = console.screen();
    assert!(screen.contains("nothing brings them back"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_deleted_at_the_revision_shown() {
    let (mut console, config) = opened(&[("a", "1"), ("b", "2")]).await;
    console.press("D");
    let screen = console.screen();
    for words in [
        "Delete a?",
        "Acts on revision 1",
        "nats kv del config a",
        "The history stays",
        "Enter delete",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.press("esc");
    assert_eq!(shown_keys(&console).len(), 2);
    console.press("D");
    config.put("a", "3").await.unwrap();
    console.settle().await;
    assert!(
        console.screen().contains("It has moved on to revision 3"),
        "{}",
        console.screen()
    );
    console.settled("enter").await;
    assert!(
        console.screen().contains("Acts on revision 3"),
        "it looks again first"
    );
    console.settled("enter").await;
    assert!(
        console.screen().contains("deleted a, revision 4"),
        "{}",
        console.screen()
    );
    console.press("esc");
    assert_eq!(shown_keys(&console), [("b".to_owned(), 2)]);
    assert!(config.get("a").await.unwrap().unwrap().is_marker());
    // A purge wants the name typed.
    console.press("D p");
    assert!(
        console.screen().contains("nothing brings it back"),
        "{}",
        console.screen()
    );
    console.settled("enter").await;
    assert!(!config.get("b").await.unwrap().unwrap().is_marker());
    console.type_text("b");
    console.settled("enter").await;
    assert!(
        console.screen().contains("purged b, revision 5"),
        "{}",
        console.screen()
    );
    console.press("esc 3");
    let feed = console.pane(" Activity ").join("\n");
    assert!(
        feed.contains("deleted a, revision 4") && feed.contains("purged b, revision 5"),
        "{feed}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_moved_unseen_is_left_alone() {
    let (mut console, config) = opened(&[("a", "1")]).await;
    console.press("D");
    config.put("a", "2").await.unwrap();
    console.settled("enter").await;
    assert!(
        console
            .screen()
            .contains("it has moved to revision 2: left alone"),
        "{}",
        console.screen()
    );
    assert_eq!(
        config.get("a").await.unwrap().unwrap().revision,
        Revision(2)
    );
}

/// A console on sixty keys and one more, on a store that can be made to fail.
async fn many() -> (Console, Store, Faults) {
    let memory = Arc::new(Memory::new());
    let config = bucket(&*memory, "config").await;
    for n in 0..60 {
        config.put(format!("app.key-{n:02}"), "x").await.unwrap();
    }
    config.put("other", "x").await.unwrap();
    let (faulty, faults) = Faulty::new(memory);
    let console = in_keys(Console::on(Arc::new(faulty), 120, 30)).await;
    (console, config, faults)
}

/// How many of the keys are left.
async fn left(config: &Store) -> usize {
    let entries = config.entries(Filter::all()).await.unwrap();
    entries.len()
}

#[tokio::test(start_paused = true)]
async fn many_keys_are_stopped_on_the_way_and_taken_up_again() {
    let (mut console, config, faults) = many().await;
    console.settled("X D").await;
    console.type_text("61");
    faults.delay(Duration::from_secs(1));
    console.settled("enter").await;
    assert!(
        console.screen().contains("0 of 61 keys …"),
        "{}",
        console.screen()
    );
    console.settled("esc").await;
    assert!(
        console.screen().contains("stopping …"),
        "{}",
        console.screen()
    );
    // What is under way comes to its end; nothing else is begun.
    console.shows("deleted 16 of 61 keys; 45 not begun").await;
    assert_eq!(left(&config).await, 45);
    let screen = console.screen();
    assert!(screen.contains("app.key-16: not begun"), "{screen}");
    assert!(screen.contains("Enter go on with what is left"), "{screen}");
    // One of those that are left is written meanwhile, as is one that is gone.
    faults.clear();
    config.put("app.key-03", "theirs").await.unwrap();
    config.put("app.key-40", "theirs").await.unwrap();
    console.settled("enter").await;
    assert!(
        console
            .screen()
            .contains("deleted 60 of 61 keys; 1 moved and were left alone"),
        "{}",
        console.screen()
    );
    assert!(
        console
            .screen()
            .contains("app.key-40: it has moved to revision")
    );
    assert_eq!(left(&config).await, 2, "both of theirs are there");
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_listed_with_why_and_can_be_tried_again() {
    let (mut console, config, faults) = many().await;
    console.settled("X D").await;
    console.type_text("61");
    faults.next_writes([
        None,
        Some(WriteFault::Fail),
        Some(WriteFault::Drop),
        Some(WriteFault::LoseAck),
    ]);
    console.press("enter");
    console.shows("deleted 59 of 61 keys; 2 failed").await;
    assert_eq!(left(&config).await, 2);
    let screen = console.screen();
    let failed = console.line_with("app.key-01: ");
    assert!(failed.contains("a fault was asked for"), "{failed}");
    assert!(screen.contains("app.key-02: not known ("), "{screen}");
    assert!(
        !screen.contains("app.key-03: "),
        "it was found to be gone: {screen}"
    );
    console.settled("enter").await;
    assert!(
        console.screen().contains("deleted 61 of 61 keys"),
        "{}",
        console.screen()
    );
    assert_eq!(left(&config).await, 0);
    console.press("esc 3");
    let feed = console.pane(" Activity ").join("\n");
    assert!(feed.contains("deleted 61 of 61 keys"), "{feed}");
}

#[tokio::test(start_paused = true)]
async fn many_keys_are_counted_first_and_each_is_guarded() {
    let (mut console, config, _) = many().await;
    console.press("/");
    console.type_text("app.");
    console.press("enter X");
    assert!(
        console.screen().contains("60 marked"),
        "{}",
        console.screen()
    );
    console.press("x");
    assert!(
        console.screen().contains("59 marked"),
        "{}",
        console.screen()
    );
    console.press("D");
    let screen = console.screen();
    assert!(
        screen.contains("Delete 59 keys of config?") && screen.contains("53 more"),
        "{screen}"
    );
    config.put("app.key-07", "theirs").await.unwrap();
    console.settle().await;
    assert!(
        console.screen().contains("1 of them have moved on"),
        "{}",
        console.screen()
    );
    console.type_text("58");
    console.settled("enter").await;
    assert!(
        console.screen().contains("Delete 59 keys"),
        "the number must be right"
    );
    console.settled("backspace 9 enter").await;
    let screen = console.screen();
    assert!(
        screen.contains("deleted 58 of 59 keys; 1 moved and were left alone"),
        "{screen}"
    );
    assert!(
        screen.contains("app.key-07: it has moved to revision 62: left alone"),
        "{screen}"
    );
    console.settled("esc esc").await;
    let left: Vec<String> = shown_keys(&console)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(left, ["app.key-00", "app.key-07", "other"]);
}
