//! Breaking locks from the console: real locks, held and waited for, on a real engine.
//!
//! A quarantine runs by the machine's own clock, so that time is not paused here; leases are short,
//! and yet long enough for a busy machine.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::{Locks, Settings, WriteGuard};
use kvscope::kv::memory::Memory;
use kvscope::kv::{ReadOnly, Store};
use tokio::task::JoinHandle;

use super::bucket;
use super::harness::Console;

/// A lock that is held, and one who waits for it.
struct Scene {
    memory: Arc<Memory>,
    store: Store,
    report: Locks,
    guard: WriteGuard,
    waiting: JoinHandle<WriteGuard>,
}

async fn scene() -> Scene {
    let memory = Arc::new(Memory::new());
    let store = bucket(&*memory, "locks").await;
    let lease = Lease::new(Duration::from_secs(3)).unwrap();
    let report = Locks::new(&store, Settings::default().label("report").lease(lease));
    let guard = report.write("billing.ledger").await.unwrap();
    let deploy = Locks::new(&store, Settings::default().label("deploy"));
    let waiting = tokio::spawn(async move { deploy.write("billing.ledger").await.unwrap() });
    Scene {
        memory,
        store,
        report,
        guard,
        waiting,
    }
}

/// The console with the dialog open on the holder, and everything that it has to tell.
async fn asked(scene: &Scene) -> Console {
    let mut console = Console::on(Arc::clone(&scene.memory) as _, 120, 35);
    console.is_live().await;
    console.press("2");
    console.shows("1 waiting").await;
    console.press("x");
    console.shows("Acts on revision").await;
    console
}

#[tokio::test]
async fn a_session_is_broken_after_its_quarantine_and_the_feed_tells_of_it() {
    let scene = scene().await;
    let other = scene.report.read("orders.shard-2").await.unwrap();
    let mut console = asked(&scene).await;
    let screen = console.screen();
    for words in [
        "Break writer report@",
        "it is ALIVE",
        "Also frees: orders.shard-2 (read)",
        "Next: writer deploy",
        "after a quarantine of 3 s",
        "without its fence",
        "Enter break",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.press("enter");
    console.shows("until its guards have run out").await;
    console.shows("billing.ledger is free of it").await;
    assert!(
        console.screen().contains("held by writer deploy"),
        "{}",
        console.screen()
    );
    assert!(scene.guard.check().is_err() && other.check().is_err());
    let held = scene.waiting.await.unwrap();
    held.check().unwrap();
    console.press("esc 3");
    let feed = console.pane(" Activity ").join("\n");
    for words in [
        "broke writer report@",
        "quarantine of",
        "billing.ledger is free of it",
    ] {
        assert!(feed.contains(words), "{words}:\n{feed}");
    }
}

#[tokio::test]
async fn what_was_begun_goes_on_when_the_dialog_is_left() {
    let scene = scene().await;
    let mut console = asked(&scene).await;
    console.press("enter");
    console.shows("until its guards have run out").await;
    console.press("esc 1");
    assert!(console.area_of("Break ").is_none());
    console.shows("billing.ledger is free of it").await;
}

#[tokio::test]
async fn a_lock_that_has_changed_is_shown_as_it_is_now_and_not_broken() {
    let scene = scene().await;
    let mut console = asked(&scene).await;
    let third = Locks::new(&scene.store, Settings::default().label("third"));
    let reading = tokio::spawn(async move { third.read("billing.ledger").await.map(drop) });
    // One more behind who is next: what was said is so still.
    console.shows("who is next are as shown").await;
    assert!(console.screen().contains("Enter break"));
    // Who was next has given up.
    scene.waiting.abort();
    console.shows("It has CHANGED since").await;
    assert!(console.screen().contains("Enter look again"));
    console.press("enter");
    console
        .until("looks again", |screen| screen.contains("Enter break"))
        .await;
    let screen = console.screen();
    assert!(screen.contains("It changed from revision"), "{screen}");
    assert!(screen.contains("Next: reader third"), "{screen}");
    // Between the last report and the key it changes again: the engine refuses.
    let revision = async || {
        let entry = scene.store.get("_lock.billing.ledger").await.unwrap();
        entry.unwrap().revision
    };
    let before = revision().await;
    reading.abort();
    let changes = async {
        while revision().await == before {
            tokio::task::yield_now().await;
        }
    };
    let changed = tokio::time::timeout(Duration::from_secs(40), changes).await;
    changed.expect("who waited gives up");
    console.press("enter");
    console.shows("nothing was done").await;
    assert!(
        console.screen().contains("Now: held by writer report"),
        "{}",
        console.screen()
    );
    scene.guard.check().unwrap();
}

#[tokio::test]
async fn a_lock_that_changes_a_hundred_times_a_second_is_broken() {
    let scene = scene().await;
    let locks = Locks::new(&scene.store, Settings::default().label("churn"));
    let churning = tokio::spawn(async move {
        loop {
            // Two writes: one to queue, one to give up.
            let wait = locks
                .write("billing.ledger")
                .within(Duration::from_millis(10));
            assert!(wait.await.is_err());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut console = asked(&scene).await;
    console.shows("who is next are as shown").await;
    console.press("enter");
    console.shows("billing.ledger is free of it").await;
    scene.waiting.await.unwrap().check().unwrap();
    churning.abort();
}

#[tokio::test]
async fn evicting_at_once_needs_the_name_typed() {
    let scene = scene().await;
    let mut console = asked(&scene).await;
    console.press("f");
    assert!(
        console.screen().contains("TWO MAY HOLD for up to"),
        "{}",
        console.screen()
    );
    console.type_text("billing.ledge");
    console.press("enter");
    assert!(
        console.screen().contains("TWO MAY HOLD"),
        "not the whole name"
    );
    console.press("esc");
    assert!(
        console.screen().contains("after a quarantine"),
        "Esc goes one step back"
    );
    console.press("f");
    console.type_text("billing.ledger");
    console.press("enter");
    console.shows("billing.ledger is free of it").await;
    scene.waiting.await.unwrap().check().unwrap();
}

#[tokio::test]
async fn read_only_explains_and_does_nothing() {
    let scene = scene().await;
    let mut console = Console::on(
        Arc::new(ReadOnly::new(Arc::clone(&scene.memory) as _)),
        120,
        35,
    );
    console.is_live().await;
    console.press("2");
    console.shows("1 waiting").await;
    console.press("x");
    let screen = console.screen();
    assert!(screen.contains("open read-only"), "{screen}");
    assert!(
        screen.contains("kvscope lock break locks billing.ledger --session"),
        "{screen}"
    );
    console.press("enter");
    assert!(console.area_of("Break ").is_none());
    scene.guard.check().unwrap();
}

#[tokio::test]
async fn a_shizuku_lock_is_reset_on_the_revision_shown() {
    let memory = Arc::new(Memory::new());
    let store = bucket(&*memory, "jobs").await;
    // Idle, and a writer's flag.
    let mut record = vec![4_u8];
    record.extend([0_u8; 16]);
    store.put("legacy.cache", record).await.unwrap();
    let mut console = Console::on(memory, 120, 35);
    console.is_live().await;
    console.press("2");
    console.shows("legacy.cache").await;
    console.press("x");
    assert!(
        console
            .screen()
            .contains("Reset the shizuku lock legacy.cache?")
    );
    assert!(
        console.screen().contains("writer_waiting set"),
        "{}",
        console.screen()
    );
    // The flag is fresh: somebody may be there.
    console.press("enter");
    console.type_text("legacy.cache");
    console.press("enter");
    console.shows("reset: nobody inside, no flag").await;
    let now = store.get("legacy.cache").await.unwrap().unwrap();
    assert_eq!(now.value.unwrap()[0], 0);
    console.press("esc 3");
    assert!(
        console
            .pane(" Activity ")
            .join("\n")
            .contains("legacy.cache reset")
    );
}
