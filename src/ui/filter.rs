//! A line to type a filter into, and the filter that was typed.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::index::Query;

/// What a key did to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// The text changed.
    Changed,
    /// The user is done with typing.
    Accepted,
    /// The user wants what was before.
    Cancelled,
    /// Only the cursor moved, or nothing happened.
    Nothing,
    /// The line has no use for this key.
    Unused,
}

/// Types a key into a line.
pub fn type_key(input: &mut Input, key: KeyEvent) -> Typed {
    match (key.code, key.modifiers) {
        (KeyCode::Enter, _) => Typed::Accepted,
        (KeyCode::Esc, _) | (KeyCode::Char('c'), KeyModifiers::CONTROL) => Typed::Cancelled,
        (
            KeyCode::Up
            | KeyCode::Down
            | KeyCode::Tab
            | KeyCode::BackTab
            | KeyCode::PageUp
            | KeyCode::PageDown
            | KeyCode::F(_),
            _,
        ) => Typed::Unused,
        (KeyCode::Backspace, _) if input.value().is_empty() => Typed::Cancelled,
        _ => match input.handle_event(&Event::Key(key)) {
            Some(change) if change.value => Typed::Changed,
            _ => Typed::Nothing,
        },
    }
}

/// Pastes a text into a line: its first line, without control characters.
pub fn paste(input: &mut Input, text: &str) {
    let first = text.lines().next().unwrap_or_default();
    for letter in first.chars().filter(|c| !c.is_control()) {
        input.handle(tui_input::InputRequest::InsertChar(letter));
    }
}

/// A filter over rows, and the line in which it is typed.
#[derive(Debug, Clone, Default)]
pub struct FilterLine {
    input: Input,
    typing: bool,
    /// What the filter was when typing began.
    before: String,
}

impl FilterLine {
    /// The filter, as typed.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// The filter, to hold rows against.
    pub fn query(&self) -> Query {
        Query::new(self.text())
    }

    /// Whether keys go into the line.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Whether there is something to show.
    pub fn is_shown(&self) -> bool {
        self.typing || !self.text().is_empty()
    }

    /// The line itself, to draw.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Begins typing.
    pub fn begin(&mut self) {
        self.typing = true;
        self.before = self.text().to_owned();
    }

    /// Sets the filter as if it had been typed.
    pub fn set(&mut self, text: &str) {
        self.input = Input::new(text.to_owned());
        self.typing = false;
    }

    /// Types a key. [`Typed::Changed`] means that the filter is another one now.
    pub fn key(&mut self, key: KeyEvent) -> Typed {
        let typed = type_key(&mut self.input, key);
        match typed {
            Typed::Accepted => self.typing = false,
            Typed::Cancelled => {
                let before = std::mem::take(&mut self.before);
                let changed = before != self.text();
                self.set(&before);
                return if changed {
                    Typed::Changed
                } else {
                    Typed::Cancelled
                };
            }
            Typed::Changed | Typed::Nothing | Typed::Unused => {}
        }
        typed
    }

    /// Pastes into the line.
    pub fn paste(&mut self, text: &str) {
        paste(&mut self.input, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn typing_accepting_and_cancelling() {
        let mut line = FilterLine::default();
        line.begin();
        assert_eq!(line.key(key(KeyCode::Char('a'))), Typed::Changed);
        assert_eq!(line.key(key(KeyCode::Enter)), Typed::Accepted);
        assert!(!line.is_typing() && line.text() == "a");
        line.begin();
        line.key(key(KeyCode::Char('b')));
        assert_eq!(line.text(), "ab");
        assert_eq!(line.key(key(KeyCode::Esc)), Typed::Changed);
        assert_eq!(line.text(), "a", "Esc brings back the filter from before");
        line.begin();
        line.paste("x\u{1b}y\nz");
        assert_eq!(line.text(), "axy");
    }
}
