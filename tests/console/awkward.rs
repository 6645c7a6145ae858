//! Names and values that would do harm if they reached the terminal as they are.

use std::sync::Arc;

use kvscope::kv::backend::Backend;
use kvscope::kv::memory::Memory;
use kvscope::ui::message::{Effect, Target};
use unicode_width::UnicodeWidthStr;

use super::harness::{Console, Places};
use super::planted::Planted;

/// 2026-03-01 02:14:07 UTC.
const NOW: i64 = 1_772_331_247_000;

const HOSTILE: [&str; 14] = [
    "esc\u{1b}[31mred\u{1b}]0;title\u{7}",
    "c0\u{0}\u{1}\u{8}\u{b}\u{c}\u{e}\u{1f}\u{7f}",
    "c1\u{80}\u{9b}31m\u{9d}0;t\u{9c}\u{9f}",
    "tab\tand\r\nlines",
    "bidi\u{202e}gnp.exe\u{202c}\u{2066}x\u{2069}\u{200f}",
    "rtl-שלום-مرحبا",
    "wide-日本語-한국어",
    "combining-e\u{301}\u{300}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}",
    "zero\u{200b}width\u{feff}\u{ad}\u{2060}",
    "emoji-👩‍👩‍👧‍👦-🇩🇪-👍🏽-❤️",
    "separators\u{2028}\u{2029}\u{85}",
    "tags\u{e0041}\u{e0042}variation\u{fe0f}",
    "..dots...",
    "very-long-one-that-can-not-fit-into-any-column-whatever-the-size-of-the-terminal-may-be-日本語-at-all",
];

async fn console(planted: Planted, width: u16, height: u16) -> Console {
    let places = Places {
        given: Ok(Arc::new(planted)),
        others: Vec::new(),
    };
    let mut console = Console::at(NOW, places, (width, height), |_| {});
    console.is_live().await;
    console.settle().await;
    console.press("enter");
    console.settle().await;
    console
}

/// Nothing in the buffer is more than it looks like, and the borders stand where they should.
fn check(console: &Console, what: &str) {
    let buffer = console.buffer();
    for (at, cell) in buffer.content.iter().enumerate() {
        for letter in cell.symbol().chars() {
            let is_hidden = letter.is_control()
                || matches!(letter, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{e0000}'..='\u{e007f}');
            assert!(
                !is_hidden,
                "{what}: {letter:?} in cell {:?}",
                buffer.pos_of(at)
            );
        }
    }
    for line in console.screen().lines() {
        assert!(
            line.width() <= usize::from(buffer.area.width),
            "{what}: {line:?}"
        );
    }
    let (width, height) = (buffer.area.width, buffer.area.height);
    if width >= 60 && console.area_of(" Keys ").is_some() {
        for y in 2..height - 2 {
            let symbol = buffer[(width - 1, y)].symbol();
            assert!(
                "│┃┐┓┘┛".contains(symbol),
                "{what}: row {y} ends in {symbol:?}\n{}",
                console.screen()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_from_elsewhere_are_shown_and_never_sent() {
    let planted = Planted::default();
    for (n, name) in (0..).zip(HOSTILE) {
        planted.plant("config", name, name, NOW - 60_000 - n);
    }
    for (width, height) in [(120, 35), (80, 24), (60, 20), (40, 10)] {
        let mut console = console(planted.clone(), width, height).await;
        for _ in HOSTILE {
            check(&console, &format!("{width}×{height}"));
            console.press("enter");
            console.settle().await;
            check(&console, "its value");
            console.press("v");
            check(&console, "its bytes");
            console.press("v");
            console.press("esc");
            console.press("j");
            console.settle().await;
        }
        console.press("t *");
        check(&console, "tree");
        console.press("t /");
        console.paste("\u{1b}[31m\u{202e}日本");
        check(&console, "filter");
        console.press("esc 3");
        check(&console, "activity");
        console.press("1 :");
        console.paste("key \u{202e}\u{9b}x\u{301}");
        check(&console, "palette");
        console.press("esc");
    }
}

#[tokio::test(start_paused = true)]
async fn columns_stay_aligned() {
    let planted = Planted::default();
    for name in HOSTILE {
        planted.plant("config", name, "value", NOW - 60_000);
    }
    let console = console(planted, 120, 35).await;
    let rows = console.pane(" Keys ");
    let head = &rows[0];
    let rows: Vec<_> = rows.iter().skip(1).filter(|row| !row.is_empty()).collect();
    assert_eq!(rows.len(), HOSTILE.len());
    for row in rows {
        assert!(row.ends_with("1 m     5 B"), "{row:?}");
        assert_eq!(row.width(), head.width(), "{row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn foreign_names_change_live_and_are_told_apart() {
    let planted = Planted::default();
    planted.plant("config", "plain", "1", NOW - 60_000);
    let mut console = console(planted.clone(), 120, 35).await;
    planted.plant("config", "pla\u{200b}in", "2", NOW);
    planted.plant("config", "pla⟨U+200B⟩in", "3", NOW);
    console.settle().await;
    check(&console, "live");
    let shown: std::collections::BTreeSet<String> =
        console.pane(" Keys ")[1..4].iter().cloned().collect();
    let names: std::collections::BTreeSet<_> = shown
        .iter()
        .map(|row| row.split("  ").next().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    console.press("3");
    check(&console, "activity");
    assert_eq!(
        console
            .pane(" Activity ")
            .iter()
            .filter(|row| row.contains("put"))
            .count(),
        2
    );
    console.press("enter");
    console.settle().await;
    assert!(
        console.screen().contains("foreign name, can't be written"),
        "{}",
        console.screen()
    );
    console.press("Y");
    assert!(matches!(&console.asked[..], [Effect::Copy(name)] if name.starts_with("pla")));
}

#[tokio::test(start_paused = true)]
async fn values_that_are_no_text_are_shown_as_they_are() {
    let values: [&[u8]; 8] = [
        b"\xff\xfe\x00\x80",
        b"\xc3\x28 almost text \xe2\x82",
        b"\x1b[2J\x1b[H\x1b]52;c;AAAA\x07",
        b"{\"name\": \"\x1b[31m\\u001b\", \"\xe2\x80\xae\": 1}",
        b"{\"bad\": \xff}",
        b"\r\n\r\n\t\x0b",
        b"",
        b"ends in half a letter \xf0\x9f",
    ];
    for value in values {
        let planted = Planted::default();
        planted.plant("config", "k", value, NOW - 60_000);
        let mut console = console(planted, 80, 24).await;
        console.press("enter");
        for _ in 0..3 {
            check(&console, &format!("{value:?}"));
            console.press("w");
            check(&console, &format!("{value:?}, wrapped"));
            console.press("w v");
        }
        console.press("y");
        check(&console, "the notice");
    }
}

/// A sign that stands for an escape is itself shown by number, so words that were made visible
/// twice would not look like what they are.
#[tokio::test(start_paused = true)]
async fn a_hostile_name_of_a_place_is_made_visible_once() {
    let context = Target::Context("c\u{1b}d".to_owned());
    let elsewhere: Arc<dyn Backend> = Arc::new(Memory::new());
    let places = Places {
        given: Err("refused".to_owned()),
        others: vec![(context, elsewhere)],
    };
    let given = |settings: &mut kvscope::ui::app::Settings| {
        settings.given = "a\u{1b}b".to_owned();
    };
    let mut console = Console::with(places, 120, 30, given);
    console.shows("refused").await;
    console.shows("c␛d").await;
    let screen = console.screen();
    let header = screen.lines().next().unwrap();
    assert!(header.contains("a␛b"), "{header}");
    assert!(
        console.line_with("Tried").contains("Tried a␛b:"),
        "{screen}"
    );
    assert!(console.line_with("Try again").contains("a␛b"), "{screen}");
}
