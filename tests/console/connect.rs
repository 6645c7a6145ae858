//! Without a place: what was tried, and the ways on.

use std::path::PathBuf;
use std::sync::Arc;

use kvscope::kv::backend::Backend;
use kvscope::kv::memory::Memory;
use kvscope::ui::message::{Effect, Target};

use super::harness::{Console, Places};
use super::{bucket, store};

async fn nowhere() -> (Console, Places) {
    let (memory, _) = store(&[("from-file", "1")]).await;
    let (context, _) = store(&[("from-context", "1")]).await;
    let (demo, _) = store(&[("from-demo", "1")]).await;
    let places = || Places {
        given: Err("connection refused".to_owned()),
        others: vec![
            (
                Target::Context("prod-eu".to_owned()),
                Arc::clone(&context) as Arc<dyn Backend>,
            ),
            (
                Target::File(PathBuf::from("/tmp/b.db")),
                Arc::clone(&memory) as Arc<dyn Backend>,
            ),
            (Target::Demo, Arc::clone(&demo) as Arc<dyn Backend>),
        ],
    };
    let mut console = Console::with(places(), 120, 30, |_| {});
    console.shows("connection refused").await;
    console.settle().await;
    (console, places())
}

#[tokio::test(start_paused = true)]
async fn it_says_what_was_tried_and_offers_ways_on() {
    let (mut console, _) = nowhere().await;
    let screen = console.screen();
    for words in [
        "nats://127.0.0.1:4222",
        "Try again",
        "prod-eu",
        "Open a file",
        "Demo",
        "○ not connected",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert_eq!(console.app.deadline(), None, "nothing is tried unasked");
    // There is nowhere to go back to.
    for key in ["esc", "1", "3", "4", "tab"] {
        console.press(key);
        assert!(console.screen().contains("Where to?"), "{key}");
    }
    console.press("r");
    assert!(
        console
            .screen()
            .contains("Connecting to nats://127.0.0.1:4222")
    );
    console.shows("connection refused").await;
    console.press("q");
    assert_eq!(console.asked, [Effect::Quit]);
}

#[tokio::test(start_paused = true)]
async fn a_context_and_the_demo_are_one_key_away() {
    let (mut console, _) = nowhere().await;
    console.press("j enter");
    console.shows("from-context").await;
    // And from there to the demo: the place before stays until the new one is there.
    console.press("ctrl-o");
    console.settle().await;
    assert!(console.screen().contains("Where to?"));
    // Once more is where we are, and the beginning a choice of its own.
    assert!(console.line_with("Try again").contains("the context"));
    assert!(
        console
            .line_with("Where you began")
            .contains("nats://127.0.0.1:4222")
    );
    console.press("r");
    assert!(console.screen().contains("Connecting to the context"));
    console.shows("from-context").await;
    console.press("ctrl-o");
    console.settle().await;
    console.press("esc");
    assert!(console.screen().contains("from-context"));
    console.press("ctrl-o G enter");
    console.shows("from-demo").await;
    assert!(!console.screen().contains("from-context"));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_asked_for_by_its_name() {
    let (mut console, _) = nowhere().await;
    // The test's file stands among the contexts as well: the question is the one before the last.
    console.press("G k enter");
    assert!(console.screen().contains("Open which file?"));
    console.press("esc");
    assert!(!console.screen().contains("Open which file?"));
    console.press("enter");
    console.paste("/tmp/b.db\nnot this");
    assert!(console.screen().contains("/tmp/b.db"));
    console.press("enter");
    console.shows("from-file").await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_fails_later_leaves_the_place_before() {
    let (memory, _) = store(&[("a", "1")]).await;
    let other: Arc<Memory> = Arc::new(Memory::new());
    bucket(&*other, "elsewhere").await;
    let places = Places {
        given: Ok(memory),
        others: vec![(Target::Context("away".to_owned()), other)],
    };
    let mut console = Console::with(places, 120, 30, |_| {});
    console.is_live().await;
    console.press("ctrl-o");
    console.settle().await;
    console.press("j enter");
    console.shows("elsewhere").await;
    assert!(
        !console.screen().contains("config"),
        "nothing of the place before is left"
    );
}
