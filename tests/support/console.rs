//! The whole console without a terminal: keys in, screens out.
//!
//! The real app, the real worker and a real backend; only the terminal is a buffer and the clock
//! is the test's own.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use kvscope::config::Config;
use kvscope::kv::Error;
use kvscope::kv::backend::Backend;
use kvscope::ui::app::{App, Freshness, Screen, Settings};
use kvscope::ui::edits::Told;
use kvscope::ui::keymap::Keymap;
use kvscope::ui::message::{Effect, Message, Reply, RequestId, Target};
use kvscope::ui::screens::browse::Looks;
use kvscope::ui::theme::Theme;
use kvscope::ui::value::Masks;
use kvscope::ui::worker::{Connector, Deliveries, Delivery, Drafts, Session, Worker};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// How long a condition may take to come true. By tokio's clock: where a test pauses it, no time at
/// all once nothing is left to be done.
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
            command: "kvscope".to_owned(),
            brand: None,
            guard: None,
        })
    }
}

/// The console under test.
pub(crate) struct Console {
    /// Beside the rest, which the tests move about a lot.
    pub(crate) app: Box<App>,
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
        places: impl Connector + 'static,
        width: u16,
        height: u16,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        Self::at(now, places, (width, height), change)
    }

    /// A console at a time of the test's own.
    pub(crate) fn at(
        now: i64,
        places: impl Connector + 'static,
        (width, height): (u16, u16),
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let (mut worker, deliveries) = Worker::new(Arc::new(places), Masks::default());
        worker.queries_run_by(env!("CARGO_BIN_EXE_kvscope").into());
        let mut settings = Settings {
            given: "nats://127.0.0.1:4222".to_owned(),
            contexts: std::collections::BTreeMap::new(),
            bucket: None,
            key: None,
            theme: Theme::built_in("plain").unwrap(),
            keymap: Keymap::built_in().unwrap(),
            screen: Screen::Browse,
            looks: Looks::default(),
            tour: false,
            drafts: Drafts::default(),
            config: Config::default(),
        };
        change(&mut settings);
        worker.keep_drafts(settings.drafts.clone());
        worker.take_schemas(settings.config.clone());
        let (app, effects) = App::new(settings, now);
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut console = Self {
            app: Box::new(app),
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
                Effect::Quit
                | Effect::Suspend
                | Effect::Redraw
                | Effect::Copy(_)
                | Effect::Outside(..) => {
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

    pub(crate) fn draw(&mut self) {
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

    /// Presses keys, and takes what comes of them, like [`settle`](Self::settle).
    #[allow(dead_code, reason = "each test binary uses a part of this")]
    pub(crate) async fn settled(&mut self, keys: &str) {
        self.press(keys);
        self.settle().await;
    }

    /// Types a text.
    pub(crate) fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let event = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
            self.tell(Message::Input(Event::Key(event)));
        }
        self.draw();
    }

    /// The user's own editor has ended.
    pub(crate) fn came_back(&mut self, id: RequestId, answer: Result<String, String>) {
        let told = Box::new(Told::Outside(answer));
        self.tell(Message::Reply(id, Reply::Edit(told)));
        self.draw();
    }

    /// Pastes a text.
    pub(crate) fn paste(&mut self, text: &str) {
        self.tell(Message::Input(Event::Paste(text.to_owned())));
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

    /// Takes what comes from the worker until nothing more comes. Needs tokio's clock to be paused:
    /// then it goes on only when every task has done what it can.
    pub(crate) async fn settle(&mut self) {
        let quiet = Duration::from_millis(1);
        while let Ok(message) = tokio::time::timeout(quiet, self.next()).await {
            self.tell(message);
            self.draw();
        }
    }

    /// What comes next from the worker.
    pub(crate) async fn next(&mut self) -> Message {
        tokio::select! {
            Some(delivery) = self.deliveries.replies.recv() => match delivery {
                Delivery::Message(message) => message,
                Delivery::Session(id, session) => self.worker.adopt(id, session),
            },
            Some(batch) = self.deliveries.watches.recv(), if self.app.takes_watches() => batch,
            report = self.deliveries.locks.next(), if self.app.takes_watches() => report,
        }
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
            let message = tokio::select! {
                message = self.next() => message,
                () = &mut patience => panic!("never {what}:\n{}", self.screen()),
            };
            self.tell(message);
            self.draw();
        }
    }

    /// Takes what comes from the worker until the screen shows a text.
    pub(crate) async fn shows(&mut self, text: &str) {
        self.until(&format!("shows {text:?}"), |screen| screen.contains(text))
            .await;
    }

    /// Takes what comes until the picture is live.
    pub(crate) async fn is_live(&mut self) {
        self.shows("● live").await;
        assert!(matches!(self.app.freshness(), Freshness::Live { .. }));
    }

    /// The screen as text, a line each, without blanks at the ends.
    pub(crate) fn screen(&self) -> String {
        let Rect { width, height, .. } = self.buffer().area;
        let mut screen = String::new();
        for y in 0..height {
            screen.push_str(&self.text_at(y, 0..width));
            screen.push('\n');
        }
        screen
    }

    /// What is inside the pane that has this text in its title, a line each, without blanks at the
    /// ends; nothing when there is no such pane.
    pub(crate) fn pane(&self, title: &str) -> Vec<String> {
        let Some(area) = self.area_of(title) else {
            return Vec::new();
        };
        let rows = area.y + 1..area.bottom() - 1;
        rows.map(|y| self.text_at(y, area.x + 1..area.right() - 1))
            .collect()
    }

    /// The row of a pane that begins with a text, behind marks and the signs of a tree.
    pub(crate) fn row_in(&self, title: &str, text: &str) -> Option<String> {
        let marks = [' ', '●', '▸', '▾'];
        self.pane(title)
            .into_iter()
            .find(|row| row.trim_start_matches(marks).starts_with(text))
    }

    /// The selected row of a pane, behind marks and the signs of a tree.
    pub(crate) fn selected_in(&self, title: &str) -> Option<String> {
        let area = self.area_of(title)?;
        let selection = Modifier::REVERSED | Modifier::UNDERLINED;
        let mut rows = area.y + 1..area.bottom() - 1;
        let row = rows.find(|y| {
            let cell = &self.buffer()[(area.x + 1, *y)];
            cell.modifier.intersects(selection)
        })?;
        let text = self.text_at(row, area.x + 1..area.right() - 1);
        Some(text.trim_start_matches([' ', '●', '▸', '▾']).to_owned())
    }

    /// Where the pane with this text in its title is, its borders included.
    pub(crate) fn area_of(&self, title: &str) -> Option<Rect> {
        let buffer = self.terminal.backend().buffer();
        let Rect { width, height, .. } = buffer.area;
        let is_one_of = |x, y, corners: &str| corners.contains(buffer[(x, y)].symbol());
        for y in 0..height {
            for x in (0..width).filter(|x| is_one_of(*x, y, "┌┏")) {
                let right = (x + 1..width).find(|x| is_one_of(*x, y, "┐┓"))?;
                if self.text_at(y, x + 1..right).contains(title) {
                    let bottom = (y + 1..height).find(|y| is_one_of(x, *y, "└┗"))?;
                    return Some(Rect::new(x, y, right - x + 1, bottom - y + 1));
                }
            }
        }
        None
    }

    /// The text in some columns of a row, without blanks at its end.
    fn text_at(&self, y: u16, columns: Range<u16>) -> String {
        let buffer = self.terminal.backend().buffer();
        let mut text = String::new();
        let mut skip = 0;
        for x in columns {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                text.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The cells of the screen.
    pub(crate) fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
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
