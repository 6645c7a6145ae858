//! A question with one line for the answer.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;
use ratatui::text::Line;
use tui_input::Input;

use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::theme::Role;
use crate::ui::widgets::input_line;

/// An open question.
#[derive(Debug)]
pub struct Prompt {
    question: Question,
    input: Input,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Which file to open.
    File,
}

impl Question {
    fn title(self) -> &'static str {
        match self {
            Self::File => " Open which file? ",
        }
    }
}

/// What a key did to a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Open,
    /// It was withdrawn.
    Closed,
    /// It was answered.
    Answered(Question, String),
}

impl Prompt {
    /// A question.
    pub fn new(question: Question) -> Self {
        Self {
            question,
            input: Input::default(),
        }
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent) -> Outcome {
        match type_key(&mut self.input, key) {
            Typed::Cancelled => Outcome::Closed,
            Typed::Accepted if !self.input.value().is_empty() => {
                Outcome::Answered(self.question, self.input.value().to_owned())
            }
            _ => Outcome::Open,
        }
    }

    /// Pastes into the line.
    pub fn paste(&mut self, text: &str) {
        paste(&mut self.input, text);
    }

    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        let width = screen.width.saturating_sub(4).min(80);
        let area = Rect {
            x: screen.x + (screen.width - width) / 2,
            y: screen.y + screen.height / 3,
            width,
            height: screen.height.min(3),
        };
        canvas.clear(area);
        let title = Line::from(canvas.span(self.question.title(), Role::Title));
        let inner = canvas.pane(title, true, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        input_line(canvas, "", &self.input, inner);
    }
}
