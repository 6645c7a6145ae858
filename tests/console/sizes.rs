//! Every size of the terminal: what is essential stays in reach, and nothing runs over.

use std::sync::Arc;

use kvscope::kv::ReadOnly;
use kvscope::kv::faulty::Faulty;

use super::harness::Console;
use super::{opened, store};

const SIZES: [(u16, u16); 6] = [(200, 60), (120, 35), (80, 24), (60, 20), (59, 20), (40, 10)];

#[tokio::test(start_paused = true)]
async fn everything_essential_is_in_reach_at_every_size() {
    for (width, height) in SIZES {
        let (mut console, _) = opened(&[("app.limits", r#"{"max": 25000}"#), ("b", "2")]).await;
        console.resize(width, height);
        let size = format!("{width}×{height}");
        let header = |console: &Console| console.screen().lines().next().unwrap().to_owned();
        let footer = |console: &Console| console.screen().lines().last().unwrap().to_owned();
        console.press("esc");
        assert!(
            console.screen().contains("config"),
            "{size}:\n{}",
            console.screen()
        );
        console.press("enter");
        assert!(
            console.screen().contains("app.limits"),
            "{size}:\n{}",
            console.screen()
        );
        console.press("enter");
        console.settle().await;
        let screen = console.screen();
        assert!(screen.contains("25000"), "{size}:\n{screen}");
        assert!(
            screen.contains("put") && screen.contains(" B"),
            "facts at {size}:\n{screen}"
        );
        for pane in ["1", "2", "3", "4"] {
            console.press(pane);
            console.settle().await;
            console.is_live().await;
            assert!(
                header(&console).contains("● live"),
                "{size} {pane}: {}",
                header(&console)
            );
            let footer = footer(&console);
            for way in ["?", ":", "q"] {
                assert!(
                    footer.contains(&format!("{way} ")),
                    "{size} {pane}: {footer}"
                );
            }
        }
        console.press("1 ?");
        assert!(console.screen().contains("Esc closes"), "{size}");
        console.press("esc :");
        console.type_text("filter b");
        assert!(
            console.screen().contains(":filter b"),
            "{size}:\n{}",
            console.screen()
        );
        console.press("esc");
    }
}

#[tokio::test(start_paused = true)]
async fn the_badge_is_never_lost() {
    let (memory, _) = store(&[("a", "1")]).await;
    let (faulty, faults) = Faulty::new(Arc::new(ReadOnly::new(memory)));
    let mut console = Console::on(Arc::new(faulty), 120, 30);
    console.is_live().await;
    for (width, height) in SIZES {
        console.resize(width, height);
        console.press("space");
        let header = console.screen().lines().next().unwrap().to_owned();
        assert!(header.contains("paused"), "{width}: {header}");
        console.press("space");
        faults.cut();
        console.settle().await;
        let header = console.screen().lines().next().unwrap().to_owned();
        let stale = header
            .split("stale")
            .nth(1)
            .unwrap_or_else(|| panic!("{width}: {header}"));
        assert!(
            stale.matches(':').count() >= 2,
            "{width}: since when? {header}"
        );
        assert!(
            header.contains("RO") || header.contains("READ-ONLY"),
            "{width}: {header}"
        );
        faults.restore();
        console.is_live().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_fits_it_says_so_and_comes_back() {
    let (mut console, _config) = opened(&[("a", "1")]).await;
    console.pass(6_000);
    console.settle().await;
    let before = console.screen();
    for (width, height) in [(39, 9), (39, 30), (120, 9), (20, 5), (3, 1), (1, 1)] {
        console.resize(width, height);
        let screen = console.screen();
        if width >= 20 {
            let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                words.contains("kvscope needs 40×10 cells"),
                "{width}×{height}:\n{screen}"
            );
        }
        console.press("?");
        console.press("esc");
        console.settle().await;
        assert_eq!(
            console.app.deadline(),
            None,
            "nothing in sight changes by itself"
        );
        console.resize(120, 30);
        assert_eq!(console.screen(), before, "{width}×{height} and back");
    }
}

#[tokio::test(start_paused = true)]
async fn the_selection_is_in_sight_at_every_size() {
    let (memory, config) = store(&[]).await;
    for n in 0..100 {
        config.put(format!("k{n:03}"), "x").await.unwrap();
    }
    let mut console = Console::on(memory, 120, 30);
    console.is_live().await;
    console.press("enter G k k k");
    console.settle().await;
    for (width, height) in SIZES
        .into_iter()
        .chain([(60, 10), (99, 15), (300, 100), (41, 11)])
    {
        console.resize(width, height);
        let selected = console.selected_in(" Keys ").unwrap_or_default();
        assert!(
            selected.starts_with("k096"),
            "{width}×{height}: {selected}\n{}",
            console.screen()
        );
    }
}
