//! How the pane of keys is drawn.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::columns::Columns;
use super::{Keys, MOST_MARKED};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::index::{Layout, Sort, SortBy};
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{filter_line, paragraph};

impl Keys {
    fn title(&self, canvas: &Canvas<'_, '_>) -> Line<'static> {
        let counts = self.index.counts();
        let mut spans = vec![canvas.span(" Keys ", Role::Title)];
        if let Some(sifting) = &self.sifting {
            let words = sifting.words(counts.live, self.index.is_loading());
            let bucket = format!("─ {} ", self.bucket);
            spans.push(canvas.span(format!("{words} "), Role::KeyHint));
            spans.push(canvas.span(bucket, Role::Muted));
            return Line::from(spans);
        }
        let live = figures::count(counts.live as u64);
        let words = match self.expected {
            Some(all) if self.index.is_loading() && all > self.index.seen() as u64 => {
                let seen = figures::count(self.index.seen() as u64);
                format!("{seen} of {} ", figures::count(all))
            }
            _ => format!("{live} "),
        };
        let loading = self.index.is_loading();
        spans.push(canvas.span(words, if loading { Role::Warning } else { Role::Muted }));
        if !self.filter.text().is_empty() {
            let found = figures::count(self.index.shown() as u64);
            spans.push(canvas.span(format!("· {found} found "), Role::KeyHint));
        }
        if !self.marked.is_empty() {
            let marked = figures::count(self.marked.len() as u64);
            let most = if self.marked.len() >= MOST_MARKED {
                ", no more can be"
            } else {
                ""
            };
            spans.push(canvas.span(format!("· {marked} marked{most} "), Role::KeyHint));
        }
        if self.index.markers_shown() {
            let markers = figures::count(counts.markers as u64);
            spans.push(canvas.span(format!("· {markers} deleted "), Role::Muted));
        }
        let order = match (self.index.layout(), self.index.sort()) {
            (Layout::Tree, _) => "tree".to_owned(),
            (
                Layout::Flat,
                Sort {
                    by: SortBy::Key,
                    descending: false,
                },
            ) => String::new(),
            (Layout::Flat, Sort { by, descending }) => {
                let name = match by {
                    SortBy::Key => "key",
                    SortBy::Revision => "revision",
                    SortBy::Age => "age",
                    SortBy::Size => "size",
                };
                format!("by {name} {}", if descending { "↓" } else { "↑" })
            }
        };
        if !order.is_empty() {
            spans.push(canvas.span(format!("· {order} "), Role::Muted));
        }
        spans.push(canvas.span(format!("─ {} ", self.bucket), Role::Muted));
        Line::from(spans)
    }

    pub(in crate::ui::screens::browse) fn draw(
        &self,
        canvas: &mut Canvas<'_, '_>,
        focused: bool,
        area: Rect,
    ) {
        let title = self.title(canvas);
        let mut inner = canvas.pane(title, focused, area);
        canvas.hit(area, Hit::Pane(Pane::Keys));
        inner = filter_line(canvas, &self.filter, inner);
        let columns = Columns::fitting(usize::from(inner.width), self.highest);
        if inner.height > 4 {
            canvas.line(columns.head(canvas), Rect { height: 1, ..inner });
            inner = crate::ui::widgets::below(inner, 1);
        }
        canvas.rows_in(Pane::Keys, inner);
        canvas.place_in_rows(self.row, self.index.len(), inner, area);
        if self.index.is_empty() {
            let (words, role) = self.words();
            paragraph(canvas, &words, role, inner);
        }
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        let now = self.instant(canvas.now);
        let in_sight = viewport.rows(self.index.len());
        let first = in_sight.start;
        for (line, row) in self.index.rows(in_sight, now).iter().enumerate() {
            let y = inner.y + u16::try_from(line).unwrap_or(0);
            let place = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(place, Hit::Row(Pane::Keys, first + line));
            if first + line == self.row {
                canvas.lay(
                    if focused {
                        Role::Selection
                    } else {
                        Role::SelectionIdle
                    },
                    place,
                );
            }
            let is_marked = row.entry.is_some() && self.marked.contains(row.path);
            let line = columns.row(canvas, row, is_marked);
            canvas.line(line, place);
        }
        if let Some(fade) = self.index.next_fade(now) {
            // Not before the millisecond is full, or it would not have faded yet.
            canvas.changes_in(fade.saturating_duration_since(now) + Duration::from_millis(1));
        }
    }

    /// Why there are no rows, in words.
    fn words(&self) -> (String, Role) {
        if let Some((_, reason)) = &self.failure {
            return (shown::plain(reason), Role::Danger);
        }
        let counts = self.index.counts();
        let words = match (self.index.is_loading(), counts.live, counts.markers) {
            (true, ..) => "reading …",
            (false, 0, _) if self.is_sifted() => "no value matches",
            (false, 0, 0) => "this bucket is empty",
            (false, 0, _) if !self.index.markers_shown() => "only deleted keys here: a shows them",
            _ => "no key passes the filter",
        };
        (words.to_owned(), Role::Muted)
    }
}

/// The pane while no bucket is open.
pub(in crate::ui::screens::browse) fn draw_nothing(
    canvas: &mut Canvas<'_, '_>,
    (words, role): (String, Role),
    focused: bool,
    area: Rect,
) {
    let title = Line::from(canvas.span(" Keys ", Role::Title));
    let inner = canvas.pane(title, focused, area);
    canvas.hit(area, Hit::Pane(Pane::Keys));
    canvas.rows_in(Pane::Keys, inner);
    paragraph(canvas, &words, role, inner);
}
