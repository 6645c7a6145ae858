//! How the editor looks: the text in a window that follows the cursor, and two lines about it.
//!
//! ```text
//! ┏ Edit app.billing.limits ─ rev 8841 · changed ━━━━━━━━━━━━━━━━━━━━━━━━━━┓
//! ┃  1 {                                                                   ┃
//! ┃ ✖2   "max_per_day": ,                                                  ┃
//! ┃  3 }                                                                   ┃
//! ┃ line 2, column 18: expected value                                      ┃
//! ┃ changed by someone else: put at revision 8843, 3 s ago; saving merges  ┃
//! ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 2:18 of 3 lines ━┛
//! ```

use std::ops::Range;

use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::{Editor, colour};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::shown;
use crate::ui::text::{self, Clip, figures};
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{input_line, wrapped};

impl Editor {
    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        canvas.clear(screen);
        let title = self.title(canvas, usize::from(screen.width));
        let inner = canvas.pane(title, true, screen);
        canvas.hit(screen, Hit::Pane(Pane::Overlay));
        let lines = self.words(canvas, usize::from(inner.width));
        let most = usize::from(inner.height / 2).max(1);
        let below = u16::try_from(lines.len().min(most)).unwrap_or(1);
        let text_area = Rect {
            height: inner.height - below,
            ..inner
        };
        self.draw_text(canvas, text_area);
        self.draw_place(canvas, screen);
        for (y, line) in (text_area.bottom()..inner.bottom()).zip(lines) {
            let row = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.line(line, row);
        }
        if let Some(find) = &self.find {
            let row = Rect {
                y: inner.bottom().saturating_sub(1),
                height: 1,
                ..inner
            };
            canvas.clear(row);
            let prompt = format!("find ({}): ", find.told());
            input_line(canvas, &prompt, find.input(), row);
        }
    }

    fn title(&self, canvas: &Canvas<'_, '_>, width: usize) -> Line<'static> {
        if let Some(part) = &self.part {
            let words = format!("{part} of {}", self.key_name());
            let words = shown::short(&words, width.saturating_sub(12));
            return Line::from(vec![
                canvas.span(format!(" Edit {words} "), Role::Title),
                canvas.span("─ a choice ", Role::Muted),
            ]);
        }
        let base = self.base_in_words();
        let state = if self.is_changed() { " · changed" } else { "" };
        let verb = if self.is_new() { "New" } else { "Edit" };
        let rest = format!(" ─ {base}{state} ");
        let room = width
            .saturating_sub(text::width(&rest) + verb.len() + 6)
            .max(8);
        let key = text::truncate_middle(text::runs(self.key_name().as_str(), Role::Title), room);
        let mut spans = vec![canvas.span(format!(" {verb} "), Role::Title)];
        spans.extend(
            key.into_iter()
                .map(|run| canvas.span(run.text.into_owned(), run.role)),
        );
        spans.push(canvas.span(rest, Role::Muted));
        Line::from(spans)
    }

    /// Where the cursor is, in the lower border.
    fn draw_place(&self, canvas: &mut Canvas<'_, '_>, area: Rect) {
        let (row, column) = self.buffer.cursor();
        let lines = match self.buffer.lines().len() {
            1 => "1 line".to_owned(),
            many => format!("{} lines", figures::count(many as u64)),
        };
        let words = format!(" {}:{} of {lines} ", row + 1, column + 1);
        let width = u16::try_from(words.len()).unwrap_or(u16::MAX);
        if width.saturating_add(2) < area.width && area.height > 1 {
            let place = Rect {
                x: area.right() - 2 - width,
                y: area.bottom() - 1,
                width,
                height: 1,
            };
            canvas.line(Line::from(canvas.span(words, Role::Muted)), place);
        }
    }

    /// What is to be known of the text: at least one line, so that the text does not jump.
    fn words(&self, canvas: &mut Canvas<'_, '_>, width: usize) -> Vec<Line<'static>> {
        let told = self.told(canvas);
        let rows = told.into_iter().flat_map(|(words, role)| {
            let rows = wrapped(&shown::plain(&words), width.saturating_sub(1));
            rows.into_iter().map(move |row| (row, role))
        });
        rows.map(|(row, role)| Line::from(canvas.span(format!(" {row}"), role)))
            .collect()
    }

    fn draw_text(&self, canvas: &mut Canvas<'_, '_>, area: Rect) {
        let lines = self.buffer.lines();
        let digits = lines.len().checked_ilog10().unwrap_or(0) as usize + 1;
        // A mark, the number, a blank.
        let gutter = u16::try_from(digits + 2).unwrap_or(4).min(area.width / 3);
        let text_area = Rect {
            x: area.x + gutter,
            width: area.width - gutter,
            ..area
        };
        canvas.rows_in(Pane::Overlay, text_area);
        let viewport = Viewport {
            height: usize::from(area.height),
            ..self.viewport
        };
        let pair = colour::pair(lines, self.buffer.cursor()).filter(|_| self.is_json());
        let brackets: Vec<_> = pair
            .iter()
            .flat_map(|(at, other)| [Some(*at), *other])
            .flatten()
            .collect();
        let columns = self.column..self.column + usize::from(text_area.width);
        for (y, row) in (area.y..).zip(viewport.rows(lines.len())) {
            let Some(line) = lines.get(row) else { break };
            let fault = self.fault().filter(|fault| fault.line == row + 1);
            let (mark, role) = match fault {
                Some(_) => ("✖", Role::Danger),
                None => (" ", Role::Muted),
            };
            let number = vec![
                canvas.span(mark, role),
                canvas.span(
                    format!("{:>digits$} ", row + 1),
                    if fault.is_some() {
                        Role::Danger
                    } else {
                        Role::Muted
                    },
                ),
            ];
            let at = Rect {
                y,
                height: 1,
                ..area
            };
            canvas.line(
                Line::from(number),
                Rect {
                    width: gutter,
                    ..at
                },
            );
            let at = Rect {
                y,
                height: 1,
                ..text_area
            };
            canvas.hit(at, Hit::Row(Pane::Overlay, row));
            let here = brackets.iter().filter(|(line, _)| *line == row);
            let mut lit: Vec<Range<usize>> = here.map(|(_, byte)| *byte..*byte + 1).collect();
            lit.extend(self.found_in(line));
            lit.sort_by_key(|range| range.start);
            canvas.line(self.line(canvas, line, &lit, columns.clone()), at);
            if let Some(fault) = fault {
                let byte = byte_of(line, fault.column.saturating_sub(1));
                let end = line[byte..]
                    .chars()
                    .next()
                    .map_or(byte, |c| byte + c.len_utf8());
                lay_over(
                    canvas,
                    Role::Danger,
                    line,
                    byte..end.max(byte),
                    &columns,
                    at,
                );
            }
            if let Some(range) = self.selected_in(row, line) {
                lay_over(canvas, Role::Selection, line, range, &columns, at);
            }
            if row == self.buffer.cursor().0 && self.find.is_none() {
                let column = self.cursor_column.saturating_sub(columns.start);
                let x = at.x
                    + u16::try_from(column)
                        .unwrap_or(u16::MAX)
                        .min(at.width.saturating_sub(1));
                canvas.frame.set_cursor_position(Position { x, y });
            }
        }
    }

    /// A line of the text, in its colours, as far as it is in sight.
    fn line<'l>(
        &self,
        canvas: &Canvas<'_, '_>,
        line: &'l str,
        lit: &[Range<usize>],
        columns: Range<usize>,
    ) -> Line<'l> {
        // A line may be a megabyte: what is left of the window is passed over.
        let (begin, column) = text::begin_at(line, columns.start);
        let mut masked = self.placeholders.from_byte(line, begin).peekable();
        let mut clip = Clip::starting_at(column, columns);
        let mut push = |range: Range<usize>, role: Role| {
            let mut at = range.start.max(begin);
            while at < range.end && !clip.is_full() {
                while masked.next_if(|mask| mask.end <= at).is_some() {}
                let (end, role) = match masked.peek().filter(|mask| mask.start < range.end) {
                    Some(mask) if mask.start <= at => (mask.end.min(range.end), Role::Secret),
                    Some(mask) => (mask.start, role),
                    None => (range.end, role),
                };
                clip.push_source(&line.as_bytes()[at..end], at, role, lit);
                at = end;
            }
            clip.is_full()
        };
        if self.is_json() {
            let _ = colour::stretches(line).any(|stretch| push(stretch.range, stretch.role));
        } else {
            push(0..line.len(), Role::Text);
        }
        let spans: Vec<Span<'_>> = clip
            .finish()
            .into_iter()
            .map(|run| run.into_span(canvas.theme))
            .collect();
        Line::from(spans)
    }

    /// The bytes of a line that are selected. A line whose end is selected too shows it by a blank
    /// behind it.
    fn selected_in(&self, row: usize, line: &str) -> Option<Range<usize>> {
        let (from, to) = self.buffer.selection()?;
        if row < from.0 || row > to.0 {
            return None;
        }
        let start = if row == from.0 {
            byte_of(line, from.1)
        } else {
            0
        };
        let end = if row == to.0 {
            byte_of(line, to.1)
        } else {
            line.len() + 1
        };
        Some(start..end)
    }
}

/// Lays a style over some bytes of a line, as far as they are in sight. A byte past the end of the
/// line is a blank.
fn lay_over(
    canvas: &mut Canvas<'_, '_>,
    role: Role,
    line: &str,
    bytes: Range<usize>,
    columns: &Range<usize>,
    area: Rect,
) {
    let column = |byte: usize| {
        let inside = line.get(..byte.min(line.len())).map_or(0, text::width);
        inside + byte.saturating_sub(line.len())
    };
    let from = column(bytes.start).max(columns.start);
    let to = column(bytes.end)
        .max(column(bytes.start) + 1)
        .min(columns.end);
    if from < to {
        let offset = |at: usize| u16::try_from(at - columns.start).unwrap_or(u16::MAX);
        let part = Rect {
            x: area.x + offset(from),
            width: offset(to) - offset(from),
            ..area
        };
        canvas.lay(role, part.intersection(area));
    }
}

/// The byte where a letter of a line begins; its length for one past the end.
pub(super) fn byte_of(line: &str, letter: usize) -> usize {
    line.char_indices()
        .nth(letter)
        .map_or(line.len(), |(at, _)| at)
}

/// The column where a letter of a line is shown.
pub(super) fn column_of(line: &str, letter: usize) -> usize {
    text::width(&line[..byte_of(line, letter)])
}
