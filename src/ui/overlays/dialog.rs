//! The frame of a question over the screen: a title, paragraphs, and the keys that answer it.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::shown;
use crate::ui::theme::Role;
use crate::ui::widgets::{below, wrapped};

/// Some words, in a role, over as many rows as they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    /// Fit for the screen.
    words: String,
    role: Role,
}

impl Paragraph {
    /// Words that are not yet fit for the screen.
    pub fn new(words: impl AsRef<str>, role: Role) -> Self {
        Self::visible(shown::plain(words.as_ref()), role)
    }

    /// Words that are fit for the screen.
    pub fn visible(words: String, role: Role) -> Self {
        Self { words, role }
    }

    /// How many rows it takes.
    pub fn rows(&self, width: usize) -> usize {
        wrapped(&self.words, width).len()
    }

    /// Draws it in the first rows of an area; returns the rest.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, area: Rect) -> Rect {
        let rows = wrapped(&self.words, usize::from(area.width));
        let taken = u16::try_from(rows.len()).unwrap_or(u16::MAX);
        for (row, place) in rows.into_iter().zip(area.rows()) {
            canvas.line(Line::from(canvas.span(row, self.role)), place);
        }
        below(area, taken)
    }
}

/// The frame.
#[derive(Debug)]
pub struct Dialog<'a> {
    /// The title, not yet fit for the screen.
    pub title: String,
    /// What is said.
    pub lines: &'a [Paragraph],
    /// The keys that answer.
    pub keys: String,
    /// How many rows are wanted under it, for a line to type into or a list.
    pub below: u16,
    /// Whether it is about something that can't be taken back easily.
    pub is_grave: bool,
}

impl Dialog<'_> {
    /// Draws it over the screen; returns the rows that were wanted under the words.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) -> Rect {
        let width = screen.width.saturating_sub(4).min(92);
        let inside = usize::from(width.saturating_sub(4)).max(1);
        let keys = wrapped(&self.keys, inside);
        let rows: usize = self.lines.iter().map(|line| line.rows(inside)).sum();
        let wanted = rows + keys.len() + usize::from(self.below) + 2;
        let height = u16::try_from(wanted).unwrap_or(u16::MAX).min(screen.height);
        let area = Rect {
            x: screen.x + (screen.width - width) / 2,
            y: screen.y + (screen.height - height) / 3,
            width,
            height,
        };
        canvas.clear(area);
        let title = shown::short(&self.title, usize::from(width.saturating_sub(4)));
        let role = if self.is_grave {
            Role::Danger
        } else {
            Role::Title
        };
        let title = Line::from(canvas.span(format!(" {title} "), role));
        let inner = canvas.pane(title, true, area);
        canvas.hit(area, Hit::Pane(Pane::Overlay));
        let inner = Rect {
            x: inner.x + 1,
            width: inner.width.saturating_sub(2),
            ..inner
        };
        // The keys never give way, and what is asked for gives way last.
        let keys_height = u16::try_from(keys.len()).unwrap_or(1).min(inner.height);
        let below_height = self.below.min(inner.height.saturating_sub(keys_height));
        let words_height = (inner.height - keys_height).saturating_sub(below_height.min(3));
        let mut rest = Rect {
            height: words_height,
            ..inner
        };
        for line in self.lines {
            rest = line.draw(canvas, rest);
        }
        if rows > usize::from(words_height) && words_height > 0 {
            canvas.goes_on(Rect {
                y: inner.y + words_height - 1,
                height: 1,
                ..inner
            });
        }
        let bottom = inner.bottom() - keys_height;
        for (y, line) in (bottom..).zip(keys) {
            let place = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.line(Line::from(canvas.span(line, Role::KeyHint)), place);
        }
        Rect {
            y: rest.y,
            height: bottom.saturating_sub(rest.y),
            ..inner
        }
    }
}
