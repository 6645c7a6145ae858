//! The name of a new key, and its time to live where entries can have one.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use tui_input::Input;

use super::dialog::{Dialog, Paragraph};
use crate::kv::{BucketName, Key, Revision};
use crate::ui::canvas::Canvas;
use crate::ui::edits::Place;
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::theme::Role;
use crate::ui::widgets::{below, input_line};

/// The open question.
#[derive(Debug)]
pub struct NewKey {
    bucket: BucketName,
    name: Input,
    /// The line of the time to live, where entries of the bucket can have one.
    ttl: Option<Input>,
    /// Whether keys go into that line.
    is_at_ttl: bool,
    /// The revision of the key of that name, if it is there.
    taken: Option<Revision>,
}

/// What a key did to it.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is closed.
    Closed,
    /// This key is to be made, with this time to live.
    Create(Place, Option<Duration>),
}

impl NewKey {
    /// The question, beginning with a name.
    pub fn new(bucket: BucketName, begin: &str, can_have_ttl: bool) -> Self {
        Self {
            bucket,
            name: Input::new(begin.to_owned()),
            ttl: can_have_ttl.then(Input::default),
            is_at_ttl: false,
            taken: None,
        }
    }

    /// The name as it is typed.
    pub fn name(&self) -> &str {
        self.name.value()
    }

    /// Says whether the key of this name is there.
    pub fn is_taken(&mut self, revision: Option<Revision>) {
        self.taken = revision;
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent) -> Outcome {
        if matches!(
            key.code,
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Up | KeyCode::Down
        ) {
            self.is_at_ttl = self.ttl.is_some() && !self.is_at_ttl;
            return Outcome::Open;
        }
        if key.code == KeyCode::Backspace && self.input().value().is_empty() {
            return Outcome::Open;
        }
        match type_key(self.input(), key) {
            Typed::Cancelled => Outcome::Closed,
            Typed::Accepted => self.accept(),
            Typed::Changed | Typed::Nothing | Typed::Unused => Outcome::Open,
        }
    }

    /// Pastes into the line that is open.
    pub fn paste(&mut self, text: &str) {
        paste(self.input(), text);
    }

    fn input(&mut self) -> &mut Input {
        match &mut self.ttl {
            Some(ttl) if self.is_at_ttl => ttl,
            _ => &mut self.name,
        }
    }

    fn accept(&mut self) -> Outcome {
        match (Key::new(self.name.value()), self.lifetime()) {
            (Ok(key), Ok(ttl)) if self.taken.is_none() => {
                let bucket = self.bucket.clone();
                Outcome::Create(Place { bucket, key }, ttl)
            }
            _ => Outcome::Open,
        }
    }

    fn lifetime(&self) -> Result<Option<Duration>, &'static str> {
        let typed = self.ttl.as_ref().map_or("", |ttl| ttl.value().trim());
        if typed.is_empty() {
            return Ok(None);
        }
        match humantime::parse_duration(typed) {
            Ok(ttl) if ttl.subsec_nanos() == 0 && !ttl.is_zero() => Ok(Some(ttl)),
            Ok(_) => Err("a time to live is some whole seconds"),
            Err(_) => Err("a time to live is a time such as 30s, 5m or 2h"),
        }
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let mut lines = Vec::new();
        match (Key::new(self.name.value()), self.taken) {
            // What it begins with is there already; the rest is still to be typed.
            _ if self.name.value().is_empty() || self.name.value().ends_with('.') => {
                lines.push(Paragraph::new("It must not be there yet.", Role::Muted));
            }
            (Err(error), _) => lines.push(Paragraph::new(error.to_string(), Role::Danger)),
            (Ok(_), Some(revision)) => lines.push(Paragraph::new(
                format!("It is there already, at revision {revision}: e edits it."),
                Role::Danger,
            )),
            (Ok(_), None) => lines.push(Paragraph::new("It is not there yet.", Role::Good)),
        }
        match self.lifetime() {
            Err(words) => lines.push(Paragraph::new(words, Role::Danger)),
            Ok(Some(_)) => {}
            Ok(None) if self.ttl.is_some() => {
                lines.push(Paragraph::new(
                    "Without a time to live it stays.",
                    Role::Muted,
                ));
            }
            Ok(None) => {}
        }
        let tab = if self.ttl.is_some() {
            "Tab the other line · "
        } else {
            ""
        };
        let dialog = Dialog {
            title: format!("New key in {}", self.bucket),
            lines: &lines,
            keys: format!("Enter edit its value · {tab}Esc leave"),
            below: 1 + u16::from(self.ttl.is_some()),
            is_grave: false,
        };
        let rest = dialog.draw(canvas, screen);
        // The line with the cursor is drawn last: there is one cursor.
        let row = |at: u16| Rect {
            height: 1,
            ..below(rest, at)
        };
        let name = ("key: ", &self.name, row(0));
        let ttl = self.ttl.as_ref().map(|ttl| ("time to live: ", ttl, row(1)));
        let mut inputs: Vec<_> = ttl.into_iter().chain([name]).collect();
        if self.is_at_ttl {
            inputs.reverse();
        }
        for (prompt, input, place) in inputs {
            if place.height > 0 && place.y < rest.bottom() {
                input_line(canvas, prompt, input, place);
            }
        }
    }
}
