//! Activity, Server, help, the palette, themes, and the way between them.

use kvscope::kv::Key;
use kvscope::kv::backend::{Backend as _, Write};
use kvscope::ui::command::{COMMANDS, Scope};
use kvscope::ui::message::Effect;
use ratatui::style::{Color, Style};

use super::harness::Console;
use super::{bucket, opened, store};

fn feed(console: &Console) -> Vec<String> {
    let mut rows = console.pane(" Activity ");
    rows.retain(|row| !row.is_empty());
    rows
}

#[tokio::test(start_paused = true)]
async fn activity_tells_what_changes_in_all_buckets_and_leads_there() {
    let (memory, config) = store(&[("old", "1")]).await;
    let flags = bucket(&*memory, "flags").await;
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    console.press("3");
    assert!(
        console.screen().contains("No change to show yet"),
        "what was there is no news"
    );
    config.put("app.limits", "12345").await.unwrap();
    console.settle().await;
    flags.put("dark", "on").await.unwrap();
    console.settle().await;
    config.delete("old", None).await.unwrap();
    console.settle().await;
    let rows = feed(&console);
    assert_eq!(rows.len(), 3, "{rows:?}");
    for (row, words) in rows.iter().zip([
        ["config", "put", "app.limits", "5 B"],
        ["flags", "put", "dark", "2 B"],
        ["config", "delete", "old", " 3"],
    ]) {
        assert!(
            words.iter().all(|word| row.contains(word)),
            "{row}: {words:?}"
        );
    }
    console.press("/");
    console.type_text("flags");
    assert_eq!(
        feed(&console).len(),
        2,
        "the filter's line, and one that passes"
    );
    assert!(console.screen().contains("1 shown"));
    console.press("enter Y");
    assert_eq!(console.asked, [Effect::Copy("dark".to_owned())]);
    console.press("enter");
    console.shows("dark ─ rev 1").await;
    // Another bucket's key, deleted by now: it is shown too.
    console.press("3 esc G enter");
    console.shows("old ─ rev 3").await;
    assert!(console.screen().contains("deleted"), "{}", console.screen());
    console.press("3 c");
    assert!(console.screen().contains("No change to show yet"));
    console.press("esc");
    assert!(console.screen().contains("Keys"));
}

#[tokio::test(start_paused = true)]
async fn activity_follows_its_end_until_the_user_moves_and_keeps_the_latest() {
    let (mut console, config) = opened(&[]).await;
    console.press("3");
    for n in 0..40 {
        config.put("k", n.to_string()).await.unwrap();
        console.settle().await;
    }
    assert!(
        feed(&console).last().unwrap().contains(" 40 "),
        "{:?}",
        feed(&console)
    );
    console.press("g");
    let top = feed(&console);
    for n in 0..9_990 {
        let key = Key::new(format!("many.{n}")).unwrap();
        config.write(Write::put(key, "x")).await.unwrap();
    }
    console.settle().await;
    assert!(
        console
            .screen()
            .contains("10,000 · the latest 10,000 are kept"),
        "{}",
        console.screen()
    );
    // Thirty fell off the front; the rows in sight went with them, the rest did not move.
    let now = feed(&console);
    assert!(now[0].contains(" 31 "), "{now:?}\nbefore: {top:?}");
    console.press("G");
    assert!(feed(&console).last().unwrap().contains("many.9989"));
}

#[tokio::test(start_paused = true)]
async fn the_server_screen_tells_what_is_set_dangerously_and_the_fix() {
    let (memory, config) = store(&[("db", r#"{"password": "hunter2"}"#)]).await;
    let locks = bucket(&*memory, "locks").await;
    let record = r#"{"v":1,"next":0,"q":[]}"#;
    locks.put("_lock.a", record).await.unwrap();
    let mut settings = locks.info().await.unwrap().config;
    settings.ttl = Some(std::time::Duration::from_secs(3600));
    memory.change_bucket(&settings).await.unwrap();
    let mut console = Console::on(memory, 100, 40);
    console.is_live().await;
    console.settle().await;
    console.press("4");
    console.settle().await;
    let screen = console.screen();
    for words in [
        "Findings 1 severe · 1 warning · 0 notes",
        "✖ severe  locks: locks are kept in it, and it drops entries after 1 h",
        "→ kvscope bucket edit locks --ttl none",
        "⚠ warning config: 1 value with what looks like a secret in clear: db",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert!(!screen.contains("hunter2"));
    // Asked again, it tells what is so now.
    config.delete("db", None).await.unwrap();
    console.press("ctrl-r");
    console.shows("1 severe · 0 warnings").await;
}

#[tokio::test(start_paused = true)]
async fn the_server_screen_tells_what_is_known() {
    let (mut console, _) = opened(&[("a", "1")]).await;
    console.press("4");
    console.settle().await;
    let screen = console.screen();
    for words in [
        "connected",
        "read and write",
        "buckets watched        1",
        "engine",
        "config",
        "history 5",
        "1 key ",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
}

#[tokio::test(start_paused = true)]
async fn screens_follow_each_other() {
    let (mut console, _) = opened(&[("a", "1")]).await;
    let titles = [" Keys ", " Locks ", " Activity ", " Server "];
    for title in [titles[1], titles[2], titles[3], titles[0]] {
        console.press("tab");
        assert!(console.area_of(title).is_some(), "{title}");
    }
    for title in [titles[3], titles[2], titles[1], titles[0]] {
        console.press("backtab");
        assert!(console.area_of(title).is_some(), "{title}");
    }
    for (digit, title) in [
        ("2", titles[1]),
        ("3", titles[2]),
        ("4", titles[3]),
        ("1", titles[0]),
    ] {
        console.press(digit);
        assert!(console.area_of(title).is_some(), "{title}");
    }
    console.press("ctrl-l ctrl-z q");
    assert_eq!(
        console.asked,
        [Effect::Redraw, Effect::Suspend, Effect::Quit]
    );
}

#[tokio::test(start_paused = true)]
async fn help_lists_every_command() {
    let (mut console, _) = opened(&[("a", "1")]).await;
    console.press("?");
    assert!(
        console.pane(" Keys Esc closes ")[0].contains("Keys"),
        "what works here comes first"
    );
    let mut told = console.pane(" Keys Esc closes ");
    for _ in 0..10 {
        console.press("pagedown");
        told.extend(console.pane(" Keys Esc closes "));
    }
    for spec in COMMANDS {
        let (begins, _) = spec.doc.split_at(spec.doc.len().min(40));
        assert!(
            told.iter().any(|row| row.contains(begins)),
            "{} is not in help",
            spec.name
        );
    }
    for scope in Scope::ALL {
        assert!(
            told.iter().any(|row| row.trim() == scope.title()),
            "{scope:?}"
        );
    }
    console.press("q");
    assert!(console.area_of("Esc closes").is_none() && console.asked.is_empty());
    // Where a line has no room for a sentence, it takes several, and the last can be reached.
    console.resize(40, 10);
    console.press("? G");
    let last = console.pane("Esc closes").join(" ");
    let last = last.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(last.ends_with("dark, light, contrast or plain"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn the_palette_runs_commands_with_what_they_take_and_remembers() {
    let (memory, _) = store(&[("a", "1"), ("b", "2")]).await;
    let flags = bucket(&*memory, "flags").await;
    flags.put("dark", "on").await.unwrap();
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.press(":");
    console.type_text("bucket fl");
    assert!(console.pane(" Command ")[1].contains("flags"));
    console.press("enter");
    console.shows("dark ─ rev 1").await;
    console.press(":");
    console.type_text("bucket config");
    console.press("enter");
    console.is_live().await;
    console.press(":");
    console.type_text("key b");
    console.press("enter");
    console.shows("b ─ rev 2").await;
    console.press(":");
    console.type_text("filter !b");
    console.press("enter");
    assert!(console.row_in(" Keys ", "b ").is_none() && console.row_in(" Keys ", "a ").is_some());
    // The latest comes back first; Esc leaves without doing anything.
    console.press(": up");
    assert!(console.pane(" Command ")[0].starts_with(":filter !b"));
    console.press("up");
    assert!(console.pane(" Command ")[0].starts_with(":key b"));
    console.press("down esc");
    assert!(console.area_of(" Command ").is_none());
    console.press(":");
    console.type_text("bucket no/such");
    console.press("enter");
    let screen = console.screen();
    assert!(screen.contains("no/such"), "it can't be a name: {screen}");
    console.press(":");
    console.type_text("quit");
    console.press("enter");
    assert_eq!(console.asked, [Effect::Quit]);
}

#[tokio::test(start_paused = true)]
async fn themes_change_colours_and_nothing_else() {
    let (mut console, _) = opened(&[("a", r#"{"n": 1, "password": "x"}"#)]).await;
    let colours = |console: &Console| {
        let cells = &console.buffer().content;
        let coloured = |style: Style| {
            [style.fg, style.bg]
                .iter()
                .flatten()
                .any(|colour| *colour != Color::Reset)
        };
        cells.iter().filter(|cell| coloured(cell.style())).count()
    };
    let plain = console.screen();
    assert_eq!(colours(&console), 0, "no colour was asked for");
    for theme in ["dark", "light"] {
        console.press(":");
        console.type_text(&format!("theme {theme}"));
        console.press("enter");
        assert!(colours(&console) > 100, "{theme}");
        assert_eq!(console.screen(), plain, "{theme}");
    }
    console.press(":");
    console.type_text("theme plain");
    console.press("enter");
    assert_eq!(colours(&console), 0);
}
