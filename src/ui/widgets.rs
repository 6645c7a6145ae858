//! Small pieces that several screens draw.

use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use tui_input::Input;

use super::canvas::Canvas;
use super::filter::FilterLine;
use super::shown;
use super::theme::Role;

/// Draws a line that is being typed into, with the terminal's cursor in it.
pub fn input_line(canvas: &mut Canvas<'_, '_>, prompt: &str, input: &Input, area: Rect) {
    if area.height == 0 {
        return;
    }
    let before = u16::try_from(prompt.chars().count()).unwrap_or(0);
    let room = usize::from(area.width.saturating_sub(before + 1)).max(1);
    let scroll = input.visual_scroll(room);
    let mut spans = vec![canvas.span(prompt.to_owned(), Role::KeyHint)];
    let typed = scroll..scroll + room;
    spans.extend(shown::clipped_spans(
        canvas.theme,
        input.value(),
        Role::Text,
        typed,
    ));
    canvas.line(Line::from(spans), area);
    let column = u16::try_from(input.visual_cursor().saturating_sub(scroll)).unwrap_or(0);
    let x = (area.x + before + column).min(area.right().saturating_sub(1));
    canvas.frame.set_cursor_position(Position { x, y: area.y });
}

/// Draws a filter where there is one, in the first row of a pane; returns the rest of the pane.
pub fn filter_line(canvas: &mut Canvas<'_, '_>, filter: &FilterLine, area: Rect) -> Rect {
    if !filter.is_shown() || area.height < 2 {
        return area;
    }
    let line = Rect { height: 1, ..area };
    if filter.is_typing() {
        input_line(canvas, "/", filter.input(), line);
    } else {
        let text = shown::short(&format!("/{}", filter.text()), usize::from(area.width));
        canvas.line(Line::from(canvas.span(text, Role::KeyHint)), line);
    }
    below(area, 1)
}

/// Draws words over as many rows as they take.
pub fn paragraph(canvas: &mut Canvas<'_, '_>, words: &str, role: Role, area: Rect) {
    for (line, y) in wrapped(words, usize::from(area.width))
        .into_iter()
        .zip(area.rows())
    {
        canvas.line(Line::from(canvas.span(line, role)), y);
    }
}

/// Words in lines of at most this width.
pub fn wrapped(words: &str, width: usize) -> Vec<String> {
    textwrap::wrap(words, width.max(1))
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// An area without its first rows.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}
