//! The whole console without a terminal: keys in, screens out.
//!
//! The real app, the real worker and a real backend; only the terminal is a buffer and the clock
//! is the test's own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use kvscope::kv::Error;
use kvscope::kv::backend::Backend;
use kvscope::ui::app::{App, Freshness, Settings};
use kvscope::ui::keymap::Keymap;
use kvscope::ui::message::{Effect, Message, Target};
use kvscope::ui::theme::Theme;
use kvscope::ui::value::Masks;
use kvscope::ui::worker::{Connector, Deliveries, Delivery, Session, Worker};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Style;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

/// Leads to backends that the test made.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) given: Result<Arc<dyn Backend>, String>,
    pub(crate) others: Vec<(Target, Arc<dyn Backend>)>,
}

#[async_trait]
impl Connector for Places {
    async fn places(&self) -> Vec<Target> {
        self.others
            .iter()
            .map(|(target, _)| target.clone())
            .collect()
    }

    async fn connect(&self, target: &Target) -> Result<Session, Error> {
        let other = self.others.iter().find(|(other, _)| other == target);
        let backend = match (target, other) {
            (_, Some((_, backend))) => Arc::clone(backend),
            (Target::Given, None) => self.given.clone().map_err(|reason| Error::Unreachable {
                place: "nats://127.0.0.1:4222".to_owned(),
                reason,
            })?,
            (target, None) => panic!("the test has no {target:?}"),
        };
        Ok(Session {
            backend,
            label: "test".to_owned(),
            address: "memory".to_owned(),
            guard: None,
        })
    }
}

/// The console under test.
pub(crate) struct Console {
    pub(crate) app: App,
    worker: Worker,
    deliveries: Deliveries,
    terminal: Terminal<TestBackend>,
    /// The test's clock, in milliseconds since 1970.
    pub(crate) now: i64,
    /// Effects that concern the terminal, in their order.
    pub(crate) asked: Vec<Effect>,
}

impl Console {
    /// A console on a backend, of a size.
    pub(crate) fn on(backend: Arc<dyn Backend>, width: u16, height: u16) -> Self {
        Self::with(
            Places {
                given: Ok(backend),
                others: Vec::new(),
            },
            width,
            height,
            |_| {},
        )
    }

    /// A console with these places.
    pub(crate) fn with(
        places: Places,
        width: u16,
        height: u16,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let (worker, deliveries) = Worker::new(Arc::new(places), Masks::default());
        let mut settings = Settings {
            given: "nats://127.0.0.1:4222".to_owned(),
            bucket: None,
            key: None,
            theme: Theme::built_in("plain").unwrap(),
            keymap: Keymap::built_in().unwrap(),
        };
        change(&mut settings);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        let (app, effects) = App::new(settings, now);
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut console = Self {
            app,
            worker,
            deliveries,
            terminal,
            now,
            asked: Vec::new(),
        };
        console.perform(effects);
        console.draw();
        console
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Quit | Effect::Suspend | Effect::Redraw | Effect::Copy(_) => {
                    self.asked.push(effect);
                }
                effect => self.worker.run(effect),
            }
        }
    }

    /// Gives the app a message.
    pub(crate) fn tell(&mut self, message: Message) {
        let effects = self.app.update(message, self.now);
        self.perform(effects);
    }

    fn draw(&mut self) {
        let (app, now) = (&self.app, self.now);
        let mut notes = None;
        self.terminal
            .draw(|frame| notes = Some(app.draw(frame, now)))
            .unwrap();
        self.app.drawn(notes.unwrap());
        if self.app.is_dirty() {
            let app = &self.app;
            let mut notes = None;
            self.terminal
                .draw(|frame| notes = Some(app.draw(frame, now)))
                .unwrap();
            self.app.drawn(notes.unwrap());
        }
    }

    /// Presses keys, by their names as in a keymap file, with blanks between them.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            let mut letters = key.chars();
            let event = match (letters.next(), letters.next()) {
                (Some(letter), None) => KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE),
                _ => crokey::parse(key).unwrap().into(),
            };
            self.tell(Message::Input(Event::Key(event)));
            self.draw();
        }
    }

    /// Types a text.
    pub(crate) fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let event = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
            self.tell(Message::Input(Event::Key(event)));
        }
        self.draw();
    }

    /// Does something with the mouse.
    pub(crate) fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) {
        let modifiers = KeyModifiers::NONE;
        let event = MouseEvent {
            kind,
            column,
            row,
            modifiers,
        };
        self.tell(Message::Input(Event::Mouse(event)));
        self.draw();
    }

    /// Clicks.
    pub(crate) fn click(&mut self, column: u16, row: u16) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row);
        self.mouse(MouseEventKind::Up(MouseButton::Left), column, row);
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.tell(Message::Input(Event::Resize(width, height)));
        self.draw();
    }

    /// Lets time pass on the test's clock, with every deadline on the way.
    pub(crate) fn pass(&mut self, milliseconds: i64) {
        let end = self.now + milliseconds;
        while let Some(deadline) = self.app.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.tell(Message::Deadline);
            self.draw();
            assert!(
                self.app.deadline().is_none_or(|next| next > self.now),
                "a deadline that does not pass"
            );
        }
        self.now = end;
        self.draw();
    }

    /// Takes what comes from the worker until the screen is as wanted.
    ///
    /// # Panics
    /// With the screen, when it does not become so.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            if wanted(&self.screen()) {
                return;
            }
            tokio::select! {
                Some(delivery) = self.deliveries.replies.recv() => {
                    let message = match delivery {
                        Delivery::Message(message) => message,
                        Delivery::Session(id, session) => self.worker.adopt(id, session),
                    };
                    self.tell(message);
                }
                Some(batch) = self.deliveries.watches.recv(), if self.app.takes_watches() => {
                    self.tell(batch);
                }
                () = &mut patience => panic!("never {what}:\n{}", self.screen()),
            }
            self.draw();
        }
    }

    /// Takes what comes from the worker until the screen shows a text.
    pub(crate) async fn shows(&mut self, text: &str) {
        self.until(&format!("shows {text:?}"), |screen| screen.contains(text))
            .await;
    }

    /// Takes what comes from the worker until the screen does not show a text any more.
    pub(crate) async fn hides(&mut self, text: &str) {
        self.until(&format!("hides {text:?}"), |screen| !screen.contains(text))
            .await;
    }

    /// Takes what comes until the picture is live.
    pub(crate) async fn is_live(&mut self) {
        self.shows("● live").await;
        assert!(matches!(self.app.freshness(), Freshness::Live { .. }));
    }

    /// The screen as text, a line each, without blanks at the ends.
    pub(crate) fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let mut screen = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                if skip == 0 {
                    line.push_str(symbol);
                    skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
                }
                skip -= 1;
            }
            screen.push_str(line.trim_end());
            screen.push('\n');
        }
        screen
    }

    /// The line of the screen that contains a text.
    pub(crate) fn line_with(&self, text: &str) -> String {
        let screen = self.screen();
        let line = screen.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no line has {text:?}:\n{screen}"))
            .to_owned()
    }

    /// Where a text is on the screen: column and row.
    pub(crate) fn place_of(&self, text: &str) -> (u16, u16) {
        let screen = self.screen();
        for (y, line) in screen.lines().enumerate() {
            if let Some(at) = line.find(text) {
                let x = unicode_width::UnicodeWidthStr::width(&line[..at]);
                return (x as u16, y as u16);
            }
        }
        panic!("{text:?} is not on the screen:\n{screen}");
    }

    /// The style of the first cell of a text on the screen.
    pub(crate) fn style_of(&self, text: &str) -> Style {
        let (x, y) = self.place_of(text);
        self.terminal.backend().buffer()[(x, y)].style()
    }
}
