//! Browse: walking, tree and list, filter, order, deleted keys, the selection, live changes.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::Write;
use kvscope::kv::faulty::Faulty;
use kvscope::kv::memory::Memory;
use kvscope::kv::{Key, WriteError};
use kvscope::ui::message::Effect;

use super::harness::{Console, Places};
use super::{bucket, opened, shown_keys, store, stored_keys};

fn names(console: &Console) -> Vec<String> {
    shown_keys(console)
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn buckets_keys_and_values_are_walked_by_keys_alone() {
    let (memory, config) = store(&[("a.limits", r#"{"max": 25000}"#), ("b", "on")]).await;
    let flags = bucket(&*memory, "flags").await;
    flags.put("dark-mode", "true").await.unwrap();
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    assert_eq!(shown_keys(&console), stored_keys(&config).await);
    assert!(
        console
            .row_in(" Buckets ", "config")
            .unwrap()
            .ends_with(" 2")
    );
    assert!(
        console
            .row_in(" Buckets ", "flags")
            .unwrap()
            .ends_with(" ≤1")
    );

    console.press("enter");
    console.shows("25000").await;
    assert_eq!(
        console.selected_in(" Keys ").unwrap().split(' ').next(),
        Some("a.limits")
    );
    console.press("j");
    console.shows("b ─ rev 2").await;
    // Into the value and back, by both ways back.
    for back in ["esc", "left"] {
        console.press("enter");
        assert!(console.line_with("Enter").contains("json/text/hex"));
        console.press(back);
        assert!(console.line_with("Enter").contains("tree/list"));
    }
    console.press("esc j enter");
    console.shows("dark-mode ─ rev 1").await;
    assert_eq!(shown_keys(&console), [("dark-mode".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_command_line_says_what_to_open_first() {
    let (memory, _) = store(&[("a", "1"), ("b", "2")]).await;
    let other = bucket(&*memory, "other").await;
    other.put("x.y", "deep").await.unwrap();
    other.put("z", "not this").await.unwrap();
    let places = Places {
        given: Ok(memory),
        others: Vec::new(),
    };
    let mut console = Console::with(places, 120, 30, |settings| {
        settings.bucket = Some("other".to_owned());
        settings.key = Some("z".to_owned());
    });
    console.shows("not this").await;
    assert!(console.selected_in(" Keys ").unwrap().starts_with("z "));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_not_there_says_so() {
    let (memory, _) = store(&[]).await;
    let places = Places {
        given: Ok(memory),
        others: Vec::new(),
    };
    let mut console = Console::with(places, 120, 30, |settings| {
        settings.bucket = Some("missing".to_owned());
    });
    console.shows("there is no bucket \"missing\"").await;
    console.settle().await;
    assert!(!console.screen().contains("● live"), "{}", console.screen());
    assert!(console.row_in(" Buckets ", "config").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_empty_place_and_an_empty_bucket_say_so() {
    let mut console = Console::on(Arc::new(Memory::new()), 120, 30);
    console.shows("no buckets here").await;
    let (mut console, config) = opened(&[]).await;
    console.shows("this bucket is empty").await;
    config.put("a", "1").await.unwrap();
    config.delete("a", None).await.unwrap();
    console.shows("only deleted keys here").await;
}

#[tokio::test(start_paused = true)]
async fn the_tree_and_the_list_show_the_same_keys() {
    let entries = [
        ("app.billing.limits", "1"),
        ("app.billing.plans", "2"),
        ("app.search", "3"),
        ("top", "4"),
    ];
    let (mut console, _) = opened(&entries).await;
    console.press("down t");
    let rows = console.pane(" Keys ");
    let app = console.row_in(" Keys ", "app ").unwrap();
    assert!(
        app.contains('▾') && app.trim_end().ends_with('3'),
        "{rows:?}"
    );
    // The tree opens where the selected key is, and it stays selected.
    assert!(
        console.selected_in(" Keys ").unwrap().starts_with("plans"),
        "{rows:?}"
    );
    console.press("left");
    assert!(
        console
            .selected_in(" Keys ")
            .unwrap()
            .starts_with("billing")
    );
    console.press("left");
    assert!(
        console.row_in(" Keys ", "limits").is_none(),
        "closed: {}",
        console.screen()
    );
    console.press("-");
    assert_eq!(
        console
            .pane(" Keys ")
            .iter()
            .filter(|row| row.contains("search"))
            .count(),
        0
    );
    console.press("*");
    for leaf in ["limits", "plans", "search", "top"] {
        assert!(
            console.row_in(" Keys ", leaf).is_some(),
            "{leaf}: {}",
            console.screen()
        );
    }
    console.press("t");
    assert_eq!(names(&console), entries.map(|(key, _)| key.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn filters_narrow_as_they_are_typed() {
    let (mut console, config) =
        opened(&[("app.Billing", "1"), ("app.search", "2"), ("ops", "3")]).await;
    console.press("/");
    console.type_text("app");
    assert_eq!(names(&console), ["app.Billing", "app.search"]);
    console.type_text(".b");
    assert_eq!(
        names(&console),
        ["app.Billing"],
        "without a capital, capitals match"
    );
    assert!(console.screen().contains("1 found"));
    // What comes now passes the filter or does not.
    config.put("app.buffer", "4").await.unwrap();
    config.put("app.other", "5").await.unwrap();
    console.shows("app.buffer").await;
    assert!(console.row_in(" Keys ", "app.other").is_none());
    console.press("enter");
    assert!(
        console.pane(" Keys ")[0].starts_with("/app.b"),
        "the filter stays in sight"
    );
    // Typing anew and leaving it brings back the filter from before.
    console.press("/");
    console.type_text("zzz");
    assert!(console.screen().contains("no key passes the filter"));
    console.press("esc");
    assert_eq!(names(&console), ["app.Billing", "app.buffer"]);
    console.press("esc");
    assert_eq!(names(&console).len(), 5, "Esc takes the filter away");
    console.press("/");
    console.type_text("!app");
    assert_eq!(names(&console), ["ops"]);
    console.press("esc /");
    console.paste("sea\u{1b}rch\nmore");
    assert_eq!(
        names(&console),
        ["app.search"],
        "one line without controls is pasted"
    );
}

#[tokio::test(start_paused = true)]
async fn buckets_can_be_filtered_too() {
    let (memory, _) = store(&[]).await;
    for name in ["endpoints", "flags"] {
        bucket(&*memory, name).await;
    }
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.press("/");
    console.type_text("fl");
    assert_eq!(
        console
            .pane(" Buckets ")
            .iter()
            .filter(|row| row.ends_with(" 0"))
            .count(),
        1
    );
    console.press("esc");
    assert!(console.row_in(" Buckets ", "endpoints").is_some());
}

#[tokio::test(start_paused = true)]
async fn keys_are_ordered_by_every_column_both_ways() {
    let (mut console, _) = opened(&[("b", "three"), ("c", "1"), ("a", "twenty-two")]).await;
    assert_eq!(names(&console), ["a", "b", "c"]);
    console.press("S");
    assert_eq!(names(&console), ["c", "b", "a"]);
    console.press("s");
    assert!(console.screen().contains("by revision ↓"));
    assert_eq!(names(&console), ["a", "c", "b"]);
    console.press("s");
    assert_eq!(names(&console), ["a", "c", "b"], "by age, the newest first");
    console.press("S");
    assert_eq!(names(&console), ["b", "c", "a"]);
    console.press("s");
    assert_eq!(
        names(&console),
        ["a", "b", "c"],
        "by size, the largest first"
    );
    console.press("s");
    assert_eq!(names(&console), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn another_order_is_shown_from_its_beginning() {
    let (memory, config) = store(&[]).await;
    for n in 0..60 {
        config.put(format!("k{n:02}"), "x").await.unwrap();
    }
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    console.press("enter s");
    assert!(console.screen().contains("by revision ↓"));
    assert_eq!(
        names(&console)[0],
        "k59",
        "the newest is what is looked for"
    );
    assert!(console.selected_in(" Keys ").unwrap().starts_with("k59 "));
    console.press("S");
    assert_eq!(names(&console)[0], "k00");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_not_open_has_at_most_so_many_keys() {
    let (memory, _) = store(&[("a", "1")]).await;
    let flags = bucket(&*memory, "flags").await;
    for key in ["a", "b", "c", "d", "e"] {
        flags.put(key, "x").await.unwrap();
    }
    for key in ["a", "b", "c"] {
        flags.delete(key, None).await.unwrap();
    }
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    let count = |console: &Console| {
        let row = console.row_in(" Buckets ", "flags").unwrap();
        row.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(count(&console), "≤5", "deleted ones are among them");
    console.press("j enter");
    console.settle().await;
    assert_eq!(count(&console), "2");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_while_the_picture_is_held_still_is_shown() {
    let (memory, config) = store(&[("a", "1")]).await;
    let flags = bucket(&*memory, "flags").await;
    flags.put("dark-mode", "on").await.unwrap();
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    console.press("space j enter");
    assert!(console.screen().contains("the pause is over"));
    console.shows("dark-mode").await;
    console.is_live().await;
    console.press("space");
    console.settle().await;
    flags.put("new", "on").await.unwrap();
    console.settle().await;
    assert!(console.row_in(" Keys ", "new ").is_none());
    console.press("ctrl-r");
    console.is_live().await;
    assert!(console.row_in(" Keys ", "new ").is_some());
    drop(config);
}

#[tokio::test(start_paused = true)]
async fn marks_are_those_of_keys_that_are_there() {
    let (memory, config) = store(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let (faulty, faults) = Faulty::new(memory);
    let mut console = Console::on(Arc::new(faulty), 120, 30);
    console.is_live().await;
    console.settle().await;
    console.press("enter x x x");
    assert!(console.screen().contains("3 marked"));
    config.delete("b", None).await.unwrap();
    console.settle().await;
    assert!(
        console.screen().contains("2 marked"),
        "{}",
        console.screen()
    );
    // After a gap a key of the name may be another one.
    faults.cut();
    console.settle().await;
    faults.restore_with_gap();
    console.is_live().await;
    console.settle().await;
    let screen = console.screen();
    assert!(!screen.contains(" marked"), "{screen}");
    assert!(screen.contains("the marks are gone"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn deleted_keys_are_hidden_until_asked_for() {
    let (mut console, config) = opened(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    config.delete("b", None).await.unwrap();
    config.purge("c", None).await.unwrap();
    console.settle().await;
    assert_eq!(names(&console), ["a"]);
    console.press("a");
    assert!(console.row_in(" Keys ", "b ").unwrap().ends_with("deleted"));
    assert!(console.row_in(" Keys ", "c ").unwrap().ends_with("purged"));
    console.press("j");
    console.shows("deleted 0 s ago").await;
    console.press("a");
    assert_eq!(names(&console), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn the_selection_stays_on_its_key_at_its_place() {
    let (memory, config) = store(&[]).await;
    for n in 0..60 {
        config.put(format!("k{n:02}"), "x").await.unwrap();
    }
    let mut console = Console::on(memory, 120, 20);
    console.is_live().await;
    console.press("enter");
    console.press(&["j"; 30].join(" "));
    console.settle().await;
    let place = |console: &Console| {
        let selected = console.selected_in(" Keys ").unwrap();
        assert!(
            selected.starts_with("k30 "),
            "{selected}:\n{}",
            console.screen()
        );
        let rows = console.pane(" Keys ");
        rows.iter().position(|row| row.contains("k30 ")).unwrap()
    };
    let before = place(&console);
    for n in 0..5 {
        config.put(format!("a{n}"), "above").await.unwrap();
        config.put(format!("k30-{n}"), "below").await.unwrap();
        console.settle().await;
        assert_eq!(place(&console), before, "after rows came above and below");
    }
    for n in 0..5 {
        config.delete(format!("k0{n}"), None).await.unwrap();
        config.delete(format!("k4{n}"), None).await.unwrap();
        console.settle().await;
        assert_eq!(place(&console), before, "after rows above and below went");
    }
    // It goes itself: the selection stays in its place, on a neighbour, with that one's value.
    config.delete("k30", None).await.unwrap();
    console.settle().await;
    let neighbour = console.selected_in(" Keys ").unwrap();
    assert!(
        neighbour.starts_with("k30-0"),
        "{neighbour}\n{}",
        console.screen()
    );
    assert!(
        !console.pane("k30-0 ─ rev").is_empty(),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_row_lights_up_for_a_moment_and_its_value_follows() {
    let (mut console, config) = opened(&[("a", "before"), ("b", "other")]).await;
    assert!(
        !console.row_in(" Keys ", "a ").unwrap().starts_with('●'),
        "what was there is no news"
    );
    config.put("a", "after").await.unwrap();
    console.shows("after").await;
    let row = console.row_in(" Keys ", "a ").unwrap();
    assert!(row.starts_with('●'), "{row}");
    assert!(console.row_in(" Keys ", "b ").unwrap().starts_with(' '));
    console.pass(2_900);
    assert!(console.row_in(" Keys ", "a ").unwrap().starts_with('●'));
    console.pass(200);
    assert!(
        console.row_in(" Keys ", "a ").unwrap().starts_with(' '),
        "it fades by itself"
    );
    // A change of another bucket than the open one moves nothing here.
    config.put("c", "new").await.unwrap();
    console.settle().await;
    assert!(console.row_in(" Keys ", "c ").unwrap().starts_with('●'));
    assert!(console.selected_in(" Keys ").unwrap().starts_with("a "));
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_time_is_over_goes_on_time() {
    let (mut console, config) = opened(&[("stays", "1")]).await;
    let write = Write::put(Key::new("lease").unwrap(), "me").with_ttl(Duration::from_secs(60));
    let written: Result<_, WriteError> = config.write(write).await;
    written.unwrap();
    console.settle().await;
    console.press("g");
    console.shows("lease ─ rev 2").await;
    console.pass(10_500);
    let facts = console.line_with("TTL");
    assert!(facts.contains("TTL 49 s left"), "{facts}");
    console.pass(1_000);
    assert!(
        console.line_with("TTL").contains("TTL 48 s left"),
        "it counts down by itself"
    );
    console.pass(47_000);
    assert!(names(&console).contains(&"lease".to_owned()));
    console.pass(2_000);
    assert_eq!(names(&console), ["stays"], "without a word from the store");
    assert!(console.screen().contains("Keys 1 "));
}

#[tokio::test(start_paused = true)]
async fn a_paused_picture_stands_still_and_catches_up() {
    let (memory, config) = store(&[("a", "1"), ("b", "2")]).await;
    let flags = bucket(&*memory, "flags").await;
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.press("enter");
    console.settle().await;
    config.put("a", "3").await.unwrap();
    console.settle().await;
    console.press("space");
    assert!(console.screen().contains("‖ paused since"));
    let (keys, value) = (shown_keys(&console), console.pane("a ─ rev"));
    let buckets = console.pane(" Buckets ");
    for n in 0..200 {
        config.put(format!("n{n:03}"), "x").await.unwrap();
        flags.put(format!("f{n}"), "x").await.unwrap();
    }
    config.put("a", "unseen").await.unwrap();
    config.delete("b", None).await.unwrap();
    console.settle().await;
    console.pass(7_000);
    console.settle().await;
    assert_eq!(shown_keys(&console), keys);
    assert_eq!(console.pane("a ─ rev")[1..], value[1..]);
    assert_eq!(
        console.pane(" Buckets "),
        buckets,
        "counts are a part of the picture"
    );
    console.press("space");
    console.shows("unseen").await;
    console.is_live().await;
    console.settle().await;
    console.resize(120, 230);
    assert_eq!(shown_keys(&console), stored_keys(&config).await);
}

#[tokio::test(start_paused = true)]
async fn keys_are_copied_and_values_only_when_nothing_in_them_is_masked() {
    let entries = [("db", r#"{"password": "hunter2"}"#), ("motd", "hello")];
    let (mut console, _) = opened(&entries).await;
    console.press("Y");
    assert_eq!(console.asked, [Effect::Copy("db".to_owned())]);
    console.asked.clear();
    console.press("y");
    assert!(console.asked.is_empty());
    assert!(console.screen().contains("reveal them to copy"));
    console.press("m y");
    assert_eq!(console.asked, [Effect::Copy(entries[0].1.to_owned())]);
    assert!(console.screen().contains("clipboard, 23 bytes"));
    console.asked.clear();
    console.press("j");
    console.shows("hello").await;
    console.press("y");
    assert_eq!(console.asked, [Effect::Copy("hello".to_owned())]);
    console.pass(8_000);
    assert!(
        !console.screen().contains("clipboard"),
        "a notice goes by itself"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_console_does_not_tick() {
    let (mut console, _) = opened(&[("a", "1"), ("b", "2")]).await;
    console.pass(3_600_000 + 60_000);
    console.settle().await;
    let wait = console.app.deadline().unwrap() - console.now;
    assert!(wait >= 50 * 60_000, "wakes in {wait} ms");
    assert!(!console.app.is_dirty());
    let (mut empty, _) = opened(&[]).await;
    empty.settle().await;
    // The buckets are listed once more, then there is nothing to wait for.
    empty.pass(6_000);
    empty.settle().await;
    assert_eq!(empty.app.deadline(), None);
    assert!(!empty.app.is_dirty());
}
