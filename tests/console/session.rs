//! What is set for a session, contexts by their names, and the tour.

use std::sync::Arc;

use async_trait::async_trait;
use kvscope::kv::backend::Backend;
use kvscope::kv::memory::Memory;
use kvscope::kv::{Error, ReadOnly};
use kvscope::ui::app::Screen;
use kvscope::ui::keymap::{Binding, Keymap};
use kvscope::ui::message::{Brand, Target};
use kvscope::ui::theme::{Paint, Theme};
use kvscope::ui::worker::{Connector, Session};
use ratatui::style::{Color, Modifier};

use super::harness::{Console, Places};
use super::{bucket, opened, store};

/// Places that the user called `PRODUCTION`, and red.
#[derive(Debug)]
struct Branded(Places);

#[async_trait]
impl Connector for Branded {
    async fn places(&self) -> Vec<Target> {
        self.0.places().await
    }

    async fn connect(&self, target: &Target) -> Result<Session, Error> {
        let brand = Brand {
            label: Some("PRODUCTION".to_owned()),
            paint: Paint::named("red").ok(),
        };
        let session = self.0.connect(target).await?;
        Ok(Session {
            brand: Some(brand),
            ..session
        })
    }
}

pub(crate) fn run(console: &mut Console, line: &str) {
    console.press(":");
    console.type_text(line);
    console.press("enter");
}

#[tokio::test(start_paused = true)]
async fn a_context_is_one_command_away() {
    let (memory, _) = store(&[("a", "1")]).await;
    let away: Arc<Memory> = Arc::new(Memory::new());
    bucket(&*away, "elsewhere").await;
    let places = Places {
        given: Ok(memory),
        others: vec![(Target::Context("prod-eu".to_owned()), away)],
    };
    let mut console = Console::with(places, 120, 30, |settings| {
        let words = "the selected one · Production".to_owned();
        settings.contexts = [("prod-eu".to_owned(), words)].into();
    });
    console.is_live().await;
    console.settle().await;
    // Its name is completed.
    console.press(":");
    console.type_text("ctx pr");
    assert!(console.screen().contains("prod-eu"));
    console.press("enter");
    console.shows("elsewhere").await;
    assert!(!console.screen().contains("config"));
    run(&mut console, "ctx");
    console.settle().await;
    assert!(
        console
            .line_with("the selected one · Production")
            .contains("prod-eu")
    );
    assert!(
        console.screen().contains("Where to?"),
        "{}",
        console.screen()
    );
}

#[tokio::test(start_paused = true)]
async fn a_place_looks_as_its_context_says() {
    let (memory, _) = store(&[("a", "1")]).await;
    let memory: Arc<dyn Backend> = memory;
    let places = || {
        Branded(Places {
            given: Ok(Arc::clone(&memory)),
            others: Vec::new(),
        })
    };
    for width in [60, 80, 120, 200] {
        let mut console = Console::with(places(), width, 30, |settings| {
            settings.theme = Theme::built_in("dark").unwrap();
        });
        console.is_live().await;
        let style = console.style_of("PRODUCTION");
        assert_eq!(style.fg, Some(Color::Red), "{width}");
        assert!(style.add_modifier.contains(Modifier::REVERSED));
    }
    // Without colours it stands out all the same.
    let mut console = Console::with(places(), 120, 30, |_| {});
    console.is_live().await;
    let style = console.style_of("PRODUCTION");
    assert!(style.add_modifier.contains(Modifier::REVERSED));
}

#[tokio::test(start_paused = true)]
async fn things_are_set_for_a_session() {
    let (mut console, _) = opened(&[
        ("app.a", r#"{"pin": 4711, "password": "x1y2"}"#),
        ("b", "1"),
    ])
    .await;
    console.press("j k");
    console.settle().await;
    assert!(console.screen().contains("4711") && !console.screen().contains("x1y2"));
    run(&mut console, "set mask +pin");
    console.settle().await;
    let screen = console.screen();
    assert!(
        !screen.contains("4711") && !screen.contains("x1y2"),
        "{screen}"
    );
    run(&mut console, "set mask pin");
    console.settle().await;
    let screen = console.screen();
    assert!(
        !screen.contains("4711") && screen.contains("x1y2"),
        "{screen}"
    );
    run(&mut console, "set mask default");
    console.settle().await;
    assert!(console.screen().contains("4711") && !console.screen().contains("x1y2"));
    // No words at all would show everything.
    run(&mut console, "set mask ,");
    assert!(console.screen().contains("name what to mask"));
    assert!(!console.screen().contains("x1y2"));

    run(&mut console, "set tree on");
    console.settle().await;
    assert!(console.row_in(" Keys ", "app").is_some());
    assert!(
        console.row_in(" Keys ", "app.a").is_none(),
        "{}",
        console.screen()
    );
    run(&mut console, "set tree off");
    assert!(console.row_in(" Keys ", "app.a").is_some());
    run(&mut console, "set nonsense");
    assert!(console.screen().contains("there is no setting"));
    run(&mut console, "set theme contrast");
    assert_eq!(console.style_of("Keys").fg, Some(Color::Rgb(255, 255, 255)));
    run(&mut console, "set theme nonsense");
    assert!(console.screen().contains("there is no theme"));
}

#[tokio::test(start_paused = true)]
async fn a_session_can_be_made_read_only_and_only_by_its_own_hand_writable_again() {
    let (memory, config) = store(&[("a", "1")]).await;
    let inner: Arc<dyn Backend> = memory.clone();
    let other: Arc<dyn Backend> = Arc::new(ReadOnly::new(inner.clone()));
    let prod = Target::Context("prod".to_owned());
    let places = Places {
        given: Ok(inner),
        others: vec![(prod, other)],
    };
    let mut console = Console::with(places, 120, 30, |_| {});
    console.is_live().await;
    console.settle().await;
    assert!(!console.screen().contains("READ-ONLY"));
    run(&mut console, "set read-only on");
    console.settle().await;
    assert!(
        console.screen().contains("READ-ONLY"),
        "{}",
        console.screen()
    );
    assert!(console.screen().contains("every write is refused"));
    console.press("n");
    assert!(console.screen().contains("this connection is read-only"));
    // It holds for the next place too, and there for good: that one is read-only itself.
    console.settle().await;
    run(&mut console, "ctx prod");
    console.is_live().await;
    console.settle().await;
    assert!(console.screen().contains("READ-ONLY"));
    run(&mut console, "set read-only off");
    console.settle().await;
    let screen = console.screen();
    assert!(
        screen.contains("it stays read-only: it was opened so"),
        "{screen}"
    );
    assert!(screen.contains("READ-ONLY"), "{screen}");
    drop(console);

    let inner: Arc<dyn Backend> = memory.clone();
    let mut console = Console::on(inner, 120, 30);
    console.is_live().await;
    console.settle().await;
    run(&mut console, "set read-only on");
    console.settle().await;
    run(&mut console, "set read-only off");
    console.settle().await;
    assert!(
        !console.screen().contains("READ-ONLY"),
        "{}",
        console.screen()
    );
    console.press("D");
    console.settle().await;
    console.type_text("config");
    console.press("enter");
    console.settle().await;
    assert!(config.info().await.is_err(), "it can write again");
    run(&mut console, "set read-only perhaps");
    assert!(console.screen().contains("read-only is on or off"));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_shown_round_and_can_leave_at_any_time() {
    let (memory, _) = store(&[("a", "1")]).await;
    let memory: Arc<dyn Backend> = memory;
    let start = || {
        let places = Places {
            given: Ok(Arc::clone(&memory)),
            others: Vec::new(),
        };
        Console::with(places, 80, 24, |settings| settings.tour = true)
    };
    let mut console = start();
    console.shows("Welcome").await;
    console.settle().await;
    console.press("enter enter enter enter");
    assert!(
        console.screen().contains("Locks · 5 of 8"),
        "{}",
        console.screen()
    );
    assert!(console.screen().contains("2•") || console.screen().contains("2 Locks"));
    console.press("left");
    assert!(console.screen().contains("4 of 8"));
    console.press("esc");
    assert!(!console.screen().contains("of 8"));
    run(&mut console, "tour");
    assert!(console.screen().contains("Welcome"));
    for _ in 0..8 {
        console.press("enter");
    }
    assert!(!console.screen().contains("of 8"));
    assert!(console.screen().contains("Buckets"));
    let mut console = start();
    console.shows("Welcome").await;
    console.press("q");
    assert!(!console.screen().contains("Welcome") && console.asked.is_empty());
    // Whoever knows the keys just uses them.
    let mut console = start();
    console.shows("Welcome").await;
    console.press("4");
    let screen = console.screen();
    assert!(screen.contains("This console") && !screen.contains("Welcome"));
}

#[tokio::test(start_paused = true)]
async fn keys_and_a_first_screen_of_ones_own() {
    let (memory, _) = store(&[("app.a", "1")]).await;
    let places = Places {
        given: Ok(memory),
        others: Vec::new(),
    };
    let mut console = Console::with(places, 120, 30, |settings| {
        settings.screen = Screen::Activity;
        settings.looks.tree = true;
        let own = [Binding {
            scope: "global",
            key: "f5",
            command: "browse",
        }];
        settings.keymap = Keymap::built_in().unwrap().with(&own).unwrap();
    });
    console.is_live().await;
    console.settle().await;
    assert!(console.screen().contains("No change to show yet"));
    console.press("f5");
    assert!(console.row_in(" Keys ", "app").is_some());
    assert!(
        console.row_in(" Keys ", "app.a").is_none(),
        "{}",
        console.screen()
    );
}
