//! How fresh the picture is, and that it says so: loading, live, cut off, with gaps, late.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::ReadOnly;
use kvscope::kv::backend::{Backend, Connection};
use kvscope::kv::faulty::{Faults, Faulty};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Error, Interruption, Store, WatchEvent};
use kvscope::ui::app::Freshness;
use kvscope::ui::message::{Message, Reply, RequestId, Target, WatchId};
use kvscope::ui::shown::clock;
use ratatui::style::Modifier;

use super::harness::Console;
use super::{bucket, opened, shown_keys, store, stored_keys};

async fn faulty(entries: &[(&str, &str)], width: u16) -> (Console, Store, Faults) {
    let (memory, config) = store(entries).await;
    let (faulty, faults) = Faulty::new(memory);
    let mut console = Console::on(Arc::new(faulty), width, 30);
    console.is_live().await;
    console.press("enter");
    console.settle().await;
    (console, config, faults)
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_is_told_and_healed() {
    for width in [120, 60] {
        let (mut console, config, faults) = faulty(&[("a", "1"), ("b", "2")], width).await;
        let names = |console: &Console| {
            let rows = ["a ", "b "].map(|key| console.row_in(" Keys ", key).is_some());
            assert_eq!(rows, [true, true], "{}", console.screen());
        };
        faults.cut();
        console.settle().await;
        let Freshness::Reconnecting { since, .. } = console.app.freshness() else {
            panic!("{:?}", console.app.freshness());
        };
        let since = clock(since);
        let badge = match width {
            120 => format!("◌ reconnecting (0), stale since {since}"),
            _ => format!("◌ stale {since}"),
        };
        assert!(
            console.screen().contains(&badge),
            "{badge}\n{}",
            console.screen()
        );
        // What is on screen stays, and is marked.
        names(&console);
        assert!(
            console
                .style_of("key   ")
                .add_modifier
                .contains(Modifier::DIM)
        );
        console.pass(60_000);
        assert!(console.screen().contains(&since), "the time is the cut's");
        for n in 0..50 {
            config.put(format!("n{n:02}"), "x").await.unwrap();
        }
        config.delete("a", None).await.unwrap();
        console.settle().await;
        names(&console);
        // A value that can't be read now is not mistaken for another key's.
        console.press("j");
        console.settle().await;
        assert!(
            !console.screen().contains("a ─ rev"),
            "{}",
            console.screen()
        );
        faults.restore();
        console.is_live().await;
        console.settle().await;
        console.resize(120, 70);
        assert_eq!(shown_keys(&console), stored_keys(&config).await);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_the_picture_is_read_again() {
    let (mut console, config, faults) = faulty(&[("a", "1"), ("b", "2"), ("c", "3")], 120).await;
    console.press("j j");
    faults.cut();
    console.settle().await;
    config.put("b", "22").await.unwrap();
    config.delete("a", None).await.unwrap();
    config.put("d", "4").await.unwrap();
    faults.restore_with_gap();
    console.is_live().await;
    console.settle().await;
    assert_eq!(shown_keys(&console), stored_keys(&config).await);
    assert!(
        console.selected_in(" Keys ").unwrap().starts_with("c "),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_bucket_made_anew_replaces_the_picture() {
    let (memory, _) = store(&[("old.a", "1"), ("old.b", "2"), ("same", "3")]).await;
    let mut console = Console::on(Arc::clone(&memory) as Arc<dyn Backend>, 120, 30);
    console.is_live().await;
    console.press("enter G");
    console.shows("same ─ rev 3").await;
    memory
        .delete_bucket(&BucketName::new("config").unwrap())
        .await
        .unwrap();
    console.shows("stale since").await;
    assert!(
        console.screen().contains("the bucket is gone"),
        "{}",
        console.screen()
    );
    for (width, height) in [(80, 24), (40, 10)] {
        console.resize(width, height);
        let screen = console.screen();
        assert!(screen.contains("▲ the bucket is gone"), "{screen}");
    }
    console.resize(120, 30);
    assert!(
        console.row_in(" Keys ", "old.a").is_some(),
        "what was there stays readable"
    );
    let config = bucket(&*memory, "config").await;
    config.put("same", "new").await.unwrap();
    console.is_live().await;
    console.settle().await;
    assert_eq!(shown_keys(&console), stored_keys(&config).await);
    // Its revisions begin anew: the value of the key is not what a higher one once had.
    let value = console.pane("same ─ rev 1");
    assert!(
        value.iter().any(|row| row.trim() == "new"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_that_can_not_be_read_after_a_gap_is_not_shown_as_if_it_had_been() {
    let (mut console, config, faults) = faulty(&[("a", "before")], 120).await;
    console.shows("before").await;
    faults.cut();
    console.settle().await;
    assert!(
        console.screen().contains("before"),
        "it stays while it is marked stale"
    );
    config.put("a", "after").await.unwrap();
    faults.fail_reads(1_000);
    faults.restore_with_gap();
    console.is_live().await;
    console.settle().await;
    assert!(!console.screen().contains("before"), "{}", console.screen());
    assert!(
        console.screen().contains("no answer"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_that_can_not_be_read_again_says_so_and_is_asked_for_again() {
    let (mut console, config, faults) = faulty(&[("a", "before")], 120).await;
    console.shows("before").await;
    faults.fail_reads(1_000);
    config.put("a", "after").await.unwrap();
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("● live"), "{screen}");
    assert!(screen.contains("before"), "what is there stays: {screen}");
    assert!(
        screen.contains("not current: revision 2 can't be"),
        "{screen}"
    );
    assert!(screen.contains("no permission"), "{screen}");
    let is_dim = |console: &Console| {
        let style = console.style_of("before");
        style.add_modifier.contains(Modifier::DIM)
    };
    assert!(is_dim(&console));
    // The read is made again, and once more, until there is an answer.
    console.pass(5_000);
    console.settle().await;
    assert!(is_dim(&console));
    faults.clear();
    console.pass(5_000);
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("after") && !screen.contains("before"),
        "{screen}"
    );
    assert!(!screen.contains("not current"), "{screen}");

    // With the connection it comes back at once.
    faults.fail_reads(1_000);
    config.put("a", "at last").await.unwrap();
    console.settle().await;
    assert!(console.screen().contains("not current: revision 3"));
    faults.cut();
    console.settle().await;
    faults.clear();
    faults.restore();
    console.settle().await;
    let screen = console.screen();
    assert!(screen.contains("at last"), "{screen}");
    assert!(!screen.contains("not current"), "{screen}");
}

/// Tells the console that all its watches are interrupted.
fn interrupt(console: &mut Console, cause: &Interruption) {
    for id in 0..100 {
        let cause = cause.clone();
        let events = vec![WatchEvent::Interrupted { cause }];
        console.tell(Message::Watch(WatchId(id), events));
    }
    console.pass(0);
}

#[tokio::test(start_paused = true)]
async fn stale_since_does_not_move_when_more_is_noticed() {
    let (mut console, _) = opened(&[("a", "1")]).await;
    let noticed = console.now;
    interrupt(&mut console, &Interruption::Stalled);
    assert!(console.screen().contains("the watch fell silent"));
    console.pass(11_000);
    let since = std::time::UNIX_EPOCH + Duration::from_millis(console.now.unsigned_abs());
    console.tell(Message::Connection(Connection::Reconnecting {
        since,
        attempts: 1,
        reason: "gone".to_owned(),
    }));
    console.pass(0);
    let badge = format!("reconnecting (1), stale since {}", clock(noticed));
    assert!(console.screen().contains(&badge), "{}", console.screen());
}

#[tokio::test(start_paused = true)]
async fn a_long_reason_leaves_the_header_its_other_parts() {
    let (mut console, _) = opened(&[("a", "1")]).await;
    let words = "the server has far too much to say about why it refuses this and everything else";
    interrupt(&mut console, &Interruption::Refused(words.to_owned()));
    for width in [100, 120, 200] {
        console.resize(width, 30);
        let screen = console.screen();
        let header = screen.lines().next().unwrap();
        for part in [
            "kvscope",
            "test",
            "memory",
            "◌ stale since",
            "1 Browse",
            "2 Locks",
            "3 Activity",
            "4 Server",
        ] {
            assert!(header.contains(part), "{part} at {width}: {header}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_loads_says_so_and_can_be_walked_meanwhile() {
    let (memory, _) = store(&[("a", "1")]).await;
    let (faulty, faults) = Faulty::new(memory);
    faults.delay(Duration::from_secs(3));
    let mut console = Console::on(Arc::new(faulty), 120, 30);
    console.shows("asking for buckets").await;
    assert!(
        console.screen().contains("◌ loading"),
        "{}",
        console.screen()
    );
    console.press("3 1");
    console.shows("reading …").await;
    console.is_live().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_listing_is_told() {
    let (memory, _) = store(&[("a", "1")]).await;
    let (faulty, faults) = Faulty::new(memory);
    faults.fail_reads(1);
    let mut console = Console::on(Arc::new(faulty), 120, 30);
    console.shows("no answer").await;
    console.settle().await;
    assert!(
        console.screen().contains("◌ stale since"),
        "{}",
        console.screen()
    );
    console.press("ctrl-r");
    console.is_live().await;
    console.shows("config").await;
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_shown_under_another_key() {
    let entries = [
        ("a", "value of a"),
        ("b", "value of b"),
        ("c", "value of c"),
    ];
    let (mut console, _, faults) = faulty(&entries, 120).await;
    console.shows("value of a").await;
    faults.delay(Duration::from_secs(1));
    console.press("j");
    assert!(
        !console.screen().contains("value of a"),
        "not even for a moment"
    );
    console.press("j");
    let mut seen = Vec::new();
    console
        .until("shows the value of c", |screen| {
            for letter in ["a", "b"] {
                if screen.contains(&format!("value of {letter}")) {
                    seen.push(letter);
                }
            }
            screen.contains("value of c")
        })
        .await;
    assert!(seen.is_empty(), "{seen:?} under c");
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_waits_for_are_dropped() {
    let (mut console, _) = opened(&[("a", "here")]).await;
    let before = console.screen();
    let nobody = RequestId(9_999);
    for reply in [
        Reply::Places(vec![Target::Demo]),
        Reply::Connected(Err(Error::Closed)),
        Reply::Buckets(Ok(Vec::new())),
        Reply::Entry(Ok(None)),
        Reply::Ping(Err(Error::Closed)),
        Reply::Overview(Err(Error::Closed)),
    ] {
        console.tell(Message::Reply(nobody, reply));
    }
    let cause = Interruption::Disconnected;
    let events = vec![WatchEvent::Interrupted { cause }];
    console.tell(Message::Watch(WatchId(9_999), events));
    console.tell(Message::WatchFailed(WatchId(9_999), Error::Closed));
    console.resize(120, 30);
    assert_eq!(console.screen(), before);
}

#[tokio::test(start_paused = true)]
async fn answers_from_the_place_before_are_dropped() {
    let (memory, _) = store(&[("a", "here")]).await;
    let (slow, faults) = Faulty::new(memory);
    let mut console = Console::on(Arc::new(slow), 120, 30);
    console.is_live().await;
    faults.delay(Duration::from_secs(2));
    console.press("ctrl-r ctrl-r ctrl-r");
    console.is_live().await;
    console.settle().await;
    assert_eq!(shown_keys(&console), [("a".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_may_not_be_written_says_so_at_every_width() {
    let (memory, _) = store(&[("a", "1")]).await;
    let mut console = Console::on(Arc::new(ReadOnly::new(memory as Arc<Memory>)), 120, 30);
    console.is_live().await;
    assert!(console.screen().contains("READ-ONLY"));
    console.resize(60, 20);
    assert!(console.screen().lines().next().unwrap().contains("RO"));
}
