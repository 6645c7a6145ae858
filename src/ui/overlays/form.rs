//! A form: fields with a line each to type into. Knows nothing of what they mean.
//!
//! ```text
//! │ ● history         5█
//! │   ttl             1h
//! │   storage         file  (fixed)
//! ```

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::text::Line;
use tui_input::Input;

use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::filter::{Typed, paste, type_key};
use crate::ui::shown;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::input_line;

/// How many columns the names of fields take.
const LABEL: u16 = 18;

/// The fields, and where the keyboard is.
#[derive(Debug)]
pub struct Form {
    fields: Vec<Field>,
    cursor: usize,
}

/// One field.
#[derive(Debug)]
pub struct Field {
    label: &'static str,
    hint: String,
    /// Why it can't be typed into.
    locked: Option<String>,
    /// The words to choose from, where there are only these.
    choices: &'static [&'static str],
    input: Input,
    initial: String,
    error: Option<String>,
}

impl Field {
    /// A field with a text in it, and a few words on what it takes.
    pub fn new(label: &'static str, text: &str, hint: impl Into<String>) -> Self {
        Self {
            label,
            hint: hint.into(),
            locked: None,
            choices: &[],
            input: Input::new(text.to_owned()),
            initial: text.to_owned(),
            error: None,
        }
    }

    /// The same, to be looked at only, for this reason.
    #[must_use]
    pub fn locked(self, why: impl Into<String>) -> Self {
        Self {
            locked: Some(why.into()),
            ..self
        }
    }

    /// The same with nothing but these words.
    #[must_use]
    pub fn one_of(self, choices: &'static [&'static str]) -> Self {
        Self { choices, ..self }
    }

    /// Takes the next word, or the one before.
    fn turn(&mut self, by: usize) {
        let at = self
            .choices
            .iter()
            .position(|word| *word == self.input.value());
        let next = at.map_or(0, |at| (at + by) % self.choices.len());
        if let Some(word) = self.choices.get(next) {
            self.input = Input::new((*word).to_owned());
        }
    }
}

/// What a key did to a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// Nothing that others would have to know.
    Nothing,
    /// A field has another text.
    Changed,
    /// The user is done.
    Save,
    /// The user wants to leave.
    Leave,
}

impl Form {
    /// A form with these fields. The keyboard is in the first that can be typed into.
    pub fn new(fields: Vec<Field>) -> Self {
        let cursor = fields.iter().position(|field| field.locked.is_none());
        Self {
            fields,
            cursor: cursor.unwrap_or(0),
        }
    }

    /// The text of a field, by its number.
    pub fn text(&self, field: usize) -> &str {
        self.fields
            .get(field)
            .map_or("", |field| field.input.value())
    }

    /// Whether a field has another text than at the beginning.
    pub fn is_changed(&self, field: usize) -> bool {
        let field = self.fields.get(field);
        field.is_some_and(|field| field.input.value() != field.initial)
    }

    /// Whether any has.
    pub fn is_touched(&self) -> bool {
        (0..self.fields.len()).any(|field| self.is_changed(field))
    }

    /// Says what is wrong with a field, or that nothing is.
    pub fn set_error(&mut self, field: usize, error: Option<String>) {
        if let Some(field) = self.fields.get_mut(field) {
            field.error = error;
        }
    }

    /// Whether something is wrong with a field. The keyboard goes there.
    pub fn go_to_error(&mut self) -> bool {
        let wrong = self.fields.iter().position(|field| field.error.is_some());
        if let Some(wrong) = wrong {
            self.cursor = wrong;
        }
        wrong.is_some()
    }

    /// Gives the keyboard to a field.
    pub fn select(&mut self, field: usize) {
        self.cursor = field.min(self.fields.len().saturating_sub(1));
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Pressed {
        let last = self.fields.len().saturating_sub(1);
        match (key.code, key.modifiers) {
            (KeyCode::Char('s'), KeyModifiers::CONTROL) => return Pressed::Save,
            (KeyCode::Tab | KeyCode::Down | KeyCode::Enter, _) => {
                self.cursor = (self.cursor + 1) % (last + 1);
                return Pressed::Nothing;
            }
            (KeyCode::BackTab | KeyCode::Up, _) => {
                self.cursor = self.cursor.checked_sub(1).unwrap_or(last);
                return Pressed::Nothing;
            }
            _ => {}
        }
        let Some(field) = self.fields.get_mut(self.cursor) else {
            return Pressed::Leave;
        };
        let leaves = key.code == KeyCode::Esc
            || (key.code, key.modifiers) == (KeyCode::Char('c'), KeyModifiers::CONTROL);
        if leaves {
            return Pressed::Leave;
        }
        if field.locked.is_some() {
            return Pressed::Nothing;
        }
        if !field.choices.is_empty() {
            match key.code {
                KeyCode::Left => field.turn(field.choices.len() - 1),
                KeyCode::Right | KeyCode::Char(_) => field.turn(1),
                _ => return Pressed::Nothing,
            }
            return Pressed::Changed;
        }
        match type_key(&mut field.input, key) {
            Typed::Changed => Pressed::Changed,
            // There is nothing before an empty line to go back to.
            Typed::Cancelled | Typed::Accepted | Typed::Nothing | Typed::Unused => Pressed::Nothing,
        }
    }

    /// Pastes into the field that has the keyboard.
    pub fn paste(&mut self, text: &str) {
        if let Some(field) = self.fields.get_mut(self.cursor)
            && field.locked.is_none()
            && field.choices.is_empty()
        {
            paste(&mut field.input, text);
        }
    }

    /// How many rows it takes to show all fields.
    pub fn height(&self) -> u16 {
        u16::try_from(self.fields.len()).unwrap_or(u16::MAX)
    }

    /// What is to be said of the field that has the keyboard: what is wrong with it, why it can't
    /// be changed, or what it takes.
    pub fn words(&self) -> (String, Role) {
        let Some(field) = self.fields.get(self.cursor) else {
            return (String::new(), Role::Muted);
        };
        match (&field.error, &field.locked) {
            (Some(error), _) => (error.clone(), Role::Danger),
            (None, Some(why)) => (format!("Can't be changed: {why}"), Role::Warning),
            (None, None) => (field.hint.clone(), Role::Muted),
        }
    }

    /// Draws the fields that fit, the one with the keyboard among them.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, area: Rect) {
        let mut viewport = Viewport {
            top: 0,
            height: usize::from(area.height),
        };
        viewport.follow(self.cursor, self.fields.len());
        for (y, row) in (area.y..).zip(viewport.rows(self.fields.len())) {
            let line = Rect {
                y,
                height: 1,
                ..area
            };
            canvas.hit(line, Hit::Row(Pane::Overlay, row));
            if let Some(field) = self.fields.get(row) {
                draw_field(canvas, field, row == self.cursor, line);
            }
        }
    }
}

fn draw_field(canvas: &mut Canvas<'_, '_>, field: &Field, has_keyboard: bool, line: Rect) {
    if has_keyboard {
        canvas.lay(Role::Selection, line);
    }
    let mark = match (&field.error, field.input.value() != field.initial) {
        (Some(_), _) => "✖",
        (None, true) => "●",
        (None, false) => " ",
    };
    let role = if field.error.is_some() {
        Role::Danger
    } else {
        Role::Changed
    };
    let label = format!("{:<width$}", field.label, width = usize::from(LABEL) - 2);
    let spans = vec![
        canvas.span(format!("{mark} "), role),
        canvas.span(label, Role::Muted),
    ];
    canvas.line(Line::from(spans), line);
    let rest = Rect {
        x: line.x + LABEL.min(line.width),
        width: line.width.saturating_sub(LABEL),
        ..line
    };
    if field.locked.is_some() {
        let text = format!("{}  (fixed)", shown::plain(field.input.value()));
        let text = shown::cut(text.trim_start(), usize::from(rest.width));
        canvas.line(Line::from(canvas.span(text, Role::Muted)), rest);
    } else if !field.choices.is_empty() {
        let text = format!("‹ {} ›", field.input.value());
        canvas.line(Line::from(canvas.span(text, Role::Text)), rest);
    } else if has_keyboard {
        input_line(canvas, "", &field.input, rest);
    } else {
        let text = shown::short(field.input.value(), usize::from(rest.width));
        canvas.line(Line::from(canvas.span(text, Role::Text)), rest);
    }
}
