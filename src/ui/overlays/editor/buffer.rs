//! The text that is being edited: lines, cursor, selection, undo.
//!
//! What it holds is the textarea's; how it looks is not: that is drawn like any other text from a
//! store. Masked secrets stand in it as [placeholders](crate::ui::placeholders), which the cursor
//! passes as one letter and which nothing changes in part.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_textarea::{AtomicRange, CursorMove, TextArea};

use crate::ui::placeholders::Placeholders;

/// How many changes can be undone.
const UNDONE: usize = 10_000;
/// What is indented by.
const INDENT: u8 = 2;
/// So many placeholders on either side of the cursor are guarded. One key reaches no further.
const GUARDED: usize = 8;

/// A place in the text: the line, and the character in it, both from 0.
pub(super) type Place = (usize, usize);

/// The text.
pub(super) struct Buffer {
    area: TextArea<'static>,
    /// Counts the changes of the text.
    version: u64,
}

impl Buffer {
    pub(super) fn new(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_max_histories(UNDONE);
        area.set_undo_coalescing(true);
        area.set_tab_length(INDENT);
        Self { area, version: 0 }
    }

    /// Begins with another text, and forgets what could be undone.
    pub(super) fn begin_anew(&mut self, text: &str) {
        *self = Self {
            version: self.version + 1,
            ..Self::new(text)
        };
    }

    pub(super) fn lines(&self) -> &[String] {
        self.area.lines()
    }

    pub(super) fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// It changes whenever the text does.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn cursor(&self) -> Place {
        self.area.cursor()
    }

    /// What is selected: from here, and up to there.
    pub(super) fn selection(&self) -> Option<(Place, Place)> {
        self.area.selection_range().filter(|(from, to)| from != to)
    }

    /// Takes a key that is no command; says whether it was of use. `page` is how many lines are in
    /// sight.
    pub(super) fn key(&mut self, key: KeyEvent, page: usize, placeholders: &Placeholders) -> bool {
        self.guard(placeholders);
        let selects = key.modifiers.contains(KeyModifiers::SHIFT);
        let by_word = key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let movement = match (key.code, by_word) {
            (KeyCode::Left, false) => Some(CursorMove::Back),
            (KeyCode::Right, false) => Some(CursorMove::Forward),
            (KeyCode::Left, true) => Some(CursorMove::WordBack),
            (KeyCode::Right, true) => Some(CursorMove::WordForward),
            (KeyCode::Up, _) => Some(CursorMove::Up),
            (KeyCode::Down, _) => Some(CursorMove::Down),
            (KeyCode::Home, false) => Some(CursorMove::Head),
            (KeyCode::End, false) => Some(CursorMove::End),
            (KeyCode::Home, true) => Some(CursorMove::Top),
            (KeyCode::End, true) => Some(CursorMove::Bottom),
            _ => None,
        };
        if let Some(movement) = movement {
            self.step(movement, 1, selects);
            // These two keep the column.
            match movement {
                CursorMove::Top => self.step(CursorMove::Head, 1, selects),
                CursorMove::Bottom => self.step(CursorMove::End, 1, selects),
                _ => {}
            }
            self.guard(placeholders);
            return true;
        }
        let page = page.saturating_sub(1).max(1);
        let changed = match (key.code, by_word) {
            (KeyCode::PageUp, _) => {
                self.step(CursorMove::Up, page, selects);
                self.guard(placeholders);
                return true;
            }
            (KeyCode::PageDown, _) => {
                self.step(CursorMove::Down, page, selects);
                self.guard(placeholders);
                return true;
            }
            (KeyCode::Char(c), false) => {
                self.area.insert_char(c);
                true
            }
            (KeyCode::Enter, _) => self.break_line(),
            (KeyCode::Tab, _) => self.area.insert_tab(),
            (KeyCode::Backspace, false) => self.delete(true),
            (KeyCode::Delete, false) => self.delete(false),
            (KeyCode::Backspace, true) => self.area.delete_word(),
            (KeyCode::Delete, true) => self.area.delete_next_word(),
            _ => return false,
        };
        self.changed(changed, placeholders);
        true
    }

    /// Deletes a letter, or a placeholder as if it were one.
    fn delete(&mut self, backwards: bool) -> bool {
        use tui_textarea::AtomicDeleteDirection::{Backward, Forward};
        let direction = if backwards { Backward } else { Forward };
        if self.selection().is_none() && self.area.atomic_range_at_cursor(direction).is_some() {
            self.area.cancel_selection();
            return self.area.delete_atomic_range_at_cursor(direction).is_some();
        }
        if backwards {
            self.area.delete_char()
        } else {
            self.area.delete_next_char()
        }
    }

    fn step(&mut self, movement: CursorMove, times: usize, selects: bool) {
        if !selects {
            self.area.cancel_selection();
        } else if !self.area.is_selecting() {
            self.area.start_selection();
        }
        for _ in 0..times {
            self.area.move_cursor(movement);
        }
    }

    /// A new line, indented like the one before, or deeper behind an opening bracket.
    fn break_line(&mut self) -> bool {
        let (row, column) = self.cursor();
        let before: String = self.lines()[row].chars().take(column).collect();
        let indent: String = before.chars().take_while(|c| *c == ' ').collect();
        let deeper = if before.trim_end().ends_with(['{', '[']) {
            " ".repeat(usize::from(INDENT))
        } else {
            String::new()
        };
        self.area.insert_str(format!("\n{indent}{deeper}"))
    }

    fn changed(&mut self, changed: bool, placeholders: &Placeholders) {
        self.version += u64::from(changed);
        self.guard(placeholders);
    }

    /// Inserts a pasted text at the cursor, instead of what is selected. Terminals break its lines
    /// in their own ways.
    pub(super) fn insert(&mut self, text: &str, placeholders: &Placeholders) {
        self.guard(placeholders);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let changed = self.area.insert_str(text);
        self.changed(changed, placeholders);
    }

    pub(super) fn undo(&mut self, placeholders: &Placeholders) -> bool {
        let changed = self.area.undo();
        self.changed(changed, placeholders);
        changed
    }

    pub(super) fn redo(&mut self, placeholders: &Placeholders) -> bool {
        let changed = self.area.redo();
        self.changed(changed, placeholders);
        changed
    }

    pub(super) fn select_all(&mut self) {
        self.step(CursorMove::Top, 1, false);
        self.step(CursorMove::Head, 1, false);
        self.step(CursorMove::Bottom, 1, true);
        self.step(CursorMove::End, 1, true);
    }

    /// Takes a copy of what is selected; with `cuts` away from the text.
    pub(super) fn copy(&mut self, cuts: bool, placeholders: &Placeholders) -> Option<String> {
        self.selection()?;
        self.guard(placeholders);
        if cuts {
            let changed = self.area.cut();
            self.changed(changed, placeholders);
        } else {
            self.area.copy();
        }
        Some(self.area.yank_text())
    }

    /// Inserts what was copied last.
    pub(super) fn paste(&mut self, placeholders: &Placeholders) {
        self.guard(placeholders);
        let changed = self.area.paste();
        self.changed(changed, placeholders);
    }

    /// Another text, as one change that can be undone. The cursor stays in its line.
    pub(super) fn replace(&mut self, text: &str, placeholders: &Placeholders) {
        let place = self.cursor();
        self.area.clear_atomic_ranges();
        self.select_all();
        let changed = if text.is_empty() {
            self.area.cut()
        } else {
            // It takes one carriage return away from the end of each line.
            self.area.insert_str(text.replace("\r\n", "\r\r\n"))
        };
        self.area.cancel_selection();
        self.changed(changed, placeholders);
        self.go_to(place, placeholders);
    }

    /// Puts the cursor at a place.
    pub(super) fn go_to(&mut self, (row, column): Place, placeholders: &Placeholders) {
        self.area.cancel_selection();
        let row = row.min(self.lines().len().saturating_sub(1));
        let near = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        self.area
            .move_cursor(CursorMove::Jump(near(row), near(column)));
        // A jump reaches no further than a `u16`. Past that the rows are stepped over; columns are
        // not, for a step costs as much as its line is long.
        let missing = row.saturating_sub(self.cursor().0);
        if missing > 0 {
            self.step(CursorMove::Down, missing, false);
            self.step(CursorMove::Head, 1, false);
            self.step(CursorMove::Forward, column.min(1024), false);
        }
        self.guard(placeholders);
    }

    /// Selects from one place to another in the same line, with the cursor at the end.
    pub(super) fn select(&mut self, from: Place, to: Place, placeholders: &Placeholders) {
        self.go_to(from, placeholders);
        self.area.start_selection();
        self.step(CursorMove::Forward, to.1.saturating_sub(from.1), true);
    }

    /// Makes the placeholders around the cursor, and around where the selection begins, whole.
    /// Every change of the text takes that away.
    fn guard(&mut self, placeholders: &Placeholders) {
        if placeholders.is_empty() {
            return;
        }
        let anchor = self.area.selection_range();
        let mut places = vec![self.cursor()];
        places.extend(anchor.into_iter().flat_map(|(from, to)| [from, to]));
        let mut ranges: Vec<AtomicRange> = Vec::new();
        for (row, column) in places {
            let Some(line) = self.lines().get(row) else {
                continue;
            };
            let near = placeholders.around(line, column, GUARDED);
            ranges.extend(near.into_iter().map(|range| AtomicRange {
                row,
                start_col: range.start,
                end_col: range.end,
            }));
        }
        ranges.sort_by_key(|range| (range.row, range.start_col));
        ranges.dedup();
        // They are within their lines and apart: they were found there.
        let _ = self.area.try_set_atomic_ranges(ranges);
    }
}

/// Says nothing of the text: it may hold secrets.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("lines", &self.lines().len())
            .field("cursor", &self.cursor())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
