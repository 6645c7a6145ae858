//! For those who see no colours, and those who see little: every state has a sign or a word beside
//! its colour, and in the theme for that every letter stands out from its background.

use std::sync::Arc;

use kvscope::kv::Store;
use kvscope::kv::faulty::{Faults, Faulty};
use kvscope::ui::theme::Theme;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::harness::{Console, Places};
use super::locks::night;
use super::store;

const SECRET: &str = r#"{"url": "https://pay.example", "token": "abc", "tags": ["a", "b"]}"#;

/// A console with something of everything in Browse, in a theme.
async fn console(theme: &str) -> (Console, Store, Faults) {
    let (memory, config) = store(&[("app.limits", SECRET), ("app.motd", "hi"), ("z", "1")]).await;
    let (faulty, faults) = Faulty::new(memory);
    let places = Places {
        given: Ok(Arc::new(faulty)),
        others: Vec::new(),
    };
    let mut console = Console::with(places, 120, 40, |settings| {
        settings.theme = Theme::built_in(theme).unwrap();
    });
    console.is_live().await;
    console.settle().await;
    console.press("enter");
    console.settle().await;
    (console, config, faults)
}

/// What stands in the frame of a pane beside each of its rows, if it is no frame.
fn signs(console: &Console, title: &str) -> Vec<String> {
    let area = console.area_of(title).unwrap();
    let rows = area.y + 1..area.bottom() - 1;
    let beside = rows.map(|y| console.buffer()[(area.x, y)].symbol().to_owned());
    beside.filter(|sign| sign != "│" && sign != "┃").collect()
}

#[track_caller]
fn says(console: &Console, words: &[&str]) {
    let screen = console.screen();
    for words in words {
        assert!(screen.contains(words), "{words:?}:\n{screen}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_selected_and_where_the_keyboard_is_has_a_sign() {
    let (mut console, _, _) = console("plain").await;
    says(&console, &[" ►1 Browse  2 Locks  3 Activity  4 Server"]);
    assert_eq!(signs(&console, " Buckets "), ["▻"]);
    assert_eq!(signs(&console, " Keys "), ["►"]);
    let thick = |console: &Console, title: &str| {
        let area = console.area_of(title).unwrap();
        console.buffer()[(area.x, area.y)].symbol() == "┏"
    };
    assert!(thick(&console, " Keys ") && !thick(&console, " Buckets "));
    console.press("enter");
    console.settle().await;
    assert_eq!(signs(&console, " Keys "), ["▻"]);
    assert_eq!(signs(&console, " app.limits "), ["►"]);
    assert!(!thick(&console, " Keys "));
    console.press(":");
    assert_eq!(signs(&console, " Command "), ["►"]);
    console.press("esc esc esc n");
    console.settle().await;
    assert_eq!(signs(&console, " New bucket "), ["►"]);
    console.type_text("a b");
    says(&console, &["✖ name", "(fixed)"]);
    console.press("tab x");
    says(&console, &["● description"]);
    console.press("esc esc");
    console.press("4");
    console.settle().await;
    says(&console, &["►4 Server", "⚠ warning"]);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_keys_and_values_is_told_without_colours() {
    let (mut console, config, faults) = console("plain").await;
    says(&console, &["\"token\": ••••"]);
    config.put("app.motd", "ho").await.unwrap();
    console.settle().await;
    assert!(console.screen().contains("●app.motd"));
    console.press("j x");
    assert!(console.line_with("app.motd").contains("▪app.motd"));
    says(&console, &["· 1 marked"]);
    console.press("esc s");
    says(&console, &["by revision ↓"]);
    config.delete("z", None).await.unwrap();
    console.press("a");
    console.settle().await;
    assert!(console.line_with(" 1 deleted ").contains("Keys"));
    assert!(console.row_in(" Keys ", "z").unwrap().contains("deleted"));
    console.press("a /");
    console.type_text("limits");
    console.press("enter");
    console.settle().await;
    says(&console, &["· 1 found"]);
    console.press("enter * enter");
    console.settle().await;
    says(&console, &[" … 3 "]);
    console.press("esc esc ctrl-g");
    console.press("space");
    says(&console, &["‖ paused since"]);
    console.press("space");
    faults.cut();
    console.shows("◌ reconnecting").await;
    says(&console, &["stale since"]);
}

#[tokio::test(start_paused = true)]
async fn differences_and_refusals_are_told_without_colours() {
    let (mut console, config, _) = console("plain").await;
    let other = SECRET.replace("pay.example", "pay2.example");
    let other = other.replace("\"a\", ", "").replace('{', "{\"new\": 1, ");
    config.put("app.limits", other).await.unwrap();
    console.settle().await;
    console.press("d");
    console.settle().await;
    says(&console, &["+ .new", "~ .url", "- .tags[0]"]);
    console.press("esc esc esc");
    super::session::run(&mut console, "set nonsense");
    says(&console, &["▲ there is no setting"]);
}

#[tokio::test(start_paused = true)]
async fn locks_are_told_without_colours() {
    let (mut console, _, _) = console("plain").await;
    console.press("2");
    console.settle().await;
    console.tell(night().message());
    console.pass(0);
    says(
        &console,
        &[
            "►2 Locks!",
            "✖ suspect-holder",
            "▲ long-held",
            "● contended",
        ],
    );
    assert_eq!(signs(&console, " Locks "), ["►"]);
}

/// How bright a colour is, from 0 to 1, as WCAG counts it.
fn luminance(color: Color) -> f64 {
    let Color::Rgb(red, green, blue) = color else {
        panic!("{color:?} is what the terminal makes of it");
    };
    let part = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.039_28 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue)
}

fn contrast(cell: &Cell) -> f64 {
    let (one, other) = (luminance(cell.fg), luminance(cell.bg));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// That every letter on the screen stands out.
#[track_caller]
fn stands_out(console: &Console, what: &str) {
    // WCAG 2, 1.4.6: what is asked of text for those who see little.
    const ENOUGH: f64 = 7.0;
    let buffer = console.buffer();
    for cell in &buffer.content {
        assert!(
            !cell.modifier.contains(Modifier::DIM),
            "{what}: {cell:?} is faint"
        );
        assert!(
            cell.symbol().trim().is_empty() || contrast(cell) >= ENOUGH,
            "{what}: {cell:?} has {:.1} : 1",
            contrast(cell)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_theme_for_it_every_letter_stands_out() {
    let (mut console, config, faults) = console("contrast").await;
    stands_out(&console, "browse");
    // Each with what it is about, from the keys and back to them.
    let looks = [
        ("x", "a mark"),
        ("esc", "no mark"),
        ("enter", "the value"),
        ("m", "a secret"),
        ("*", "folds"),
        ("/ p a y", "a search"),
        ("esc esc esc", "the buckets"),
        ("n a space b", "a form with a fault"),
        ("esc esc i", "a bucket"),
        ("esc C", "compacting"),
        ("esc D", "deleting a bucket"),
        ("esc enter ?", "help"),
        ("esc : r e", "the palette"),
        ("esc h", "a history"),
        ("esc e", "the editor"),
        ("{ ctrl-s", "a fault in the text"),
        ("esc esc esc", "leaving it"),
        ("2", "locks"),
        ("3", "activity"),
        ("4", "server"),
        ("1", "browse again"),
    ];
    for (keys, what) in looks {
        console.press(keys);
        console.settle().await;
        stands_out(&console, what);
    }
    config
        .put("app.limits", SECRET.replace("pay", "buy"))
        .await
        .unwrap();
    config.delete("z", None).await.unwrap();
    console.settle().await;
    stands_out(&console, "a change");
    console.press("3");
    stands_out(&console, "the feed");
    console.press("1 d");
    console.settle().await;
    stands_out(&console, "a difference");
    console.press("v");
    stands_out(&console, "the same by line");
    console.press("esc 2");
    console.tell(night().message());
    console.pass(0);
    stands_out(&console, "locks at fault");
    faults.cut();
    console.shows("◌ reconnecting").await;
    stands_out(&console, "an outage");
}
