//! The mouse: rows, wheel, lines between panes, names of screens.

use crossterm::event::{MouseButton, MouseEventKind};

use super::harness::Console;
use super::{bucket, opened, store};

#[tokio::test(start_paused = true)]
async fn rows_panes_and_screens_are_clicked() {
    let (memory, _) = store(&[("aa", "1"), ("bb", "2"), ("json", r#"{"x": {"y": 1}}"#)]).await;
    let flags = bucket(&*memory, "flags").await;
    flags.put("dark", "on").await.unwrap();
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    let click = |console: &mut Console, text: &str| {
        let (x, y) = console.place_of(text);
        console.click(x, y);
    };
    click(&mut console, "bb ");
    console.shows("bb ─ rev 2").await;
    assert!(
        console.line_with("Enter").contains("tree/list"),
        "the keys have the keyboard"
    );
    click(&mut console, "json ");
    console.shows("json ─ rev 3").await;
    console.settle().await;
    let (x, y) = console.place_of("\"x\"");
    console.click(x, y);
    assert!(console.line_with("Enter").contains("json/text/hex"));
    console.click(x, y);
    assert!(
        !console.screen().contains("\"y\""),
        "a second click folds\n{}",
        console.screen()
    );
    click(&mut console, "flags");
    console.shows("dark ─ rev 1").await;
    click(&mut console, "3 Activity");
    assert!(console.area_of(" Activity ").is_some());
    click(&mut console, "4 Server");
    assert!(console.area_of(" Server ").is_some());
    click(&mut console, "1 Browse");
    assert!(console.area_of(" Keys ").is_some());
    console.press("?");
    let help = console.area_of("Esc closes").unwrap();
    console.click(help.x + 5, help.y + 5);
    assert!(
        console.area_of("Esc closes").is_some(),
        "a click inside does nothing"
    );
    console.click(0, 0);
    assert!(
        console.area_of("Esc closes").is_none(),
        "outside, it closes"
    );
    console.press(":");
    console.type_text("tree");
    let palette = console.area_of(" Command ").unwrap();
    console.click(palette.x + 3, palette.y + 2);
    assert!(console.area_of(" Command ").is_none());
    assert!(console.screen().contains("· tree"));
}

#[tokio::test(start_paused = true)]
async fn a_tree_is_opened_by_clicks() {
    let (mut console, _) = opened(&[("app.a", "1"), ("app.b", "2")]).await;
    console.press("t -");
    let (x, y) = console.place_of("▸ app");
    console.click(x + 2, y);
    assert!(console.screen().contains("▾ app"), "{}", console.screen());
    console.click(x + 2, y);
    assert!(console.screen().contains("▸ app"), "{}", console.screen());
}

#[tokio::test(start_paused = true)]
async fn the_wheel_scrolls_what_is_under_it() {
    let (memory, config) = store(&[]).await;
    for n in 0..200 {
        config
            .put(format!("k{n:03}"), "line\n".repeat(200))
            .await
            .unwrap();
    }
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.settle().await;
    let keys = console.area_of(" Keys ").unwrap();
    for _ in 0..10 {
        console.mouse(MouseEventKind::ScrollDown, keys.x + 3, keys.y + 5);
    }
    console.settle().await;
    assert!(console.row_in(" Keys ", "k000").is_none());
    assert!(
        console.row_in(" Keys ", "k030").is_some(),
        "{}",
        console.screen()
    );
    let selected = console.selected_in(" Keys ").unwrap();
    assert!(
        selected.starts_with("k030"),
        "the selection stays in sight: {selected}"
    );
    for _ in 0..20 {
        console.mouse(MouseEventKind::ScrollUp, keys.x + 3, keys.y + 5);
    }
    assert!(console.row_in(" Keys ", "k000").is_some());
    // Over nothing that scrolls, and over an overlay, nothing below moves.
    let before = console.screen();
    console.mouse(MouseEventKind::ScrollDown, 0, 0);
    console.mouse(MouseEventKind::Moved, keys.x + 3, keys.y + 5);
    assert_eq!(console.screen(), before);
    assert!(!console.app.is_dirty());
}

#[tokio::test(start_paused = true)]
async fn lines_between_panes_are_dragged() {
    let (mut console, _) = opened(&[("a", "1")]).await;
    let drag = |console: &mut Console, from: (u16, u16), to: (u16, u16)| {
        let left = MouseButton::Left;
        console.mouse(MouseEventKind::Down(left), from.0, from.1);
        console.mouse(MouseEventKind::Drag(left), to.0, to.1);
        console.mouse(MouseEventKind::Up(left), to.0, to.1);
        // Without the button nothing is dragged any more.
        console.mouse(MouseEventKind::Drag(left), from.0, from.1);
    };
    let keys = console.area_of(" Keys ").unwrap();
    drag(&mut console, (keys.x, 10), (40, 10));
    assert_eq!(console.area_of(" Keys ").unwrap().x, 40);
    let value = console.area_of("a ─ rev").unwrap();
    drag(&mut console, (value.x, 10), (90, 10));
    assert_eq!(console.area_of("a ─ rev").unwrap().x, 90);
    console.resize(80, 24);
    let value = console.area_of("a ─ rev").unwrap();
    drag(&mut console, (20, value.y), (20, 16));
    assert_eq!(console.area_of("a ─ rev").unwrap().y, 16);
}
