//! How the pane of one entry is drawn.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::facts::facts;
use super::{Content, EntryPane};
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::message::OpenEntry;
use crate::ui::shown;
use crate::ui::text;
use crate::ui::theme::Role;
use crate::ui::value::Document;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{below, filter_line, paragraph, wrapped};

impl EntryPane {
    fn title(&self, canvas: &Canvas<'_, '_>, width: usize) -> Line<'static> {
        let Some(wanted) = &self.wanted else {
            return Line::from(canvas.span(" Value ", Role::Title));
        };
        let revision = self.open().map_or_else(String::new, |open| {
            format!("─ rev {} ", open.entry.revision)
        });
        let room = width.saturating_sub(revision.chars().count() + 6).max(8);
        let key = text::truncate_middle(text::runs(wanted.key.as_str(), Role::Title), room);
        let mut spans = vec![Span::raw(" ")];
        spans.extend(
            key.into_iter()
                .map(|run| canvas.span(run.text.into_owned(), run.role)),
        );
        spans.push(Span::raw(" "));
        spans.push(canvas.span(revision, Role::Muted));
        Line::from(spans)
    }

    pub(in super::super) fn draw(&self, canvas: &mut Canvas<'_, '_>, focused: bool, area: Rect) {
        let title = self.title(canvas, usize::from(area.width));
        let mut inner = canvas.pane(title, focused, area);
        canvas.hit(area, Hit::Pane(Pane::Entry));
        inner = filter_line(canvas, &self.search, inner);
        match &self.content {
            Content::Nothing => {
                paragraph(
                    canvas,
                    " Select a key to see its value.",
                    Role::Muted,
                    inner,
                );
            }
            Content::Loading => paragraph(canvas, " reading …", Role::Muted, inner),
            Content::Failed(_, reason) => {
                paragraph(canvas, &shown::plain(reason), Role::Danger, inner);
            }
            Content::Here(_, open) => self.draw_entry(canvas, open, focused, inner, area),
            Content::Stale(asked, open, reason) => {
                let words = if asked.revision > open.entry.revision {
                    format!("not current: revision {} can't be read: ", asked.revision)
                } else {
                    "may not be current: it can't be read again: ".to_owned()
                };
                let words = format!("{words}{}", shown::plain(reason));
                let lines = wrapped(&words, usize::from(inner.width.saturating_sub(1)));
                let rows = u16::try_from(lines.len()).unwrap_or(1);
                let rows = rows.min(inner.height.div_ceil(2));
                for (line, place) in lines.into_iter().zip(inner.rows().take(rows.into())) {
                    canvas.line(canvas.span(format!(" {line}"), Role::Danger).into(), place);
                }
                let rest = below(inner, rows);
                self.draw_entry(canvas, open, focused, rest, area);
                canvas.lay(Role::Stale, rest);
            }
        }
    }

    fn draw_entry(
        &self,
        canvas: &mut Canvas<'_, '_>,
        open: &OpenEntry,
        focused: bool,
        inner: Rect,
        area: Rect,
    ) {
        let line = facts(canvas, open);
        canvas.line(
            line,
            Rect {
                height: inner.height.min(1),
                ..inner
            },
        );
        let left = inner.width.min(1);
        let inner = Rect {
            x: inner.x + left,
            width: inner.width - left,
            ..inner
        };
        let value = below(inner, 1);
        let (row, len) = (open.document.cursor(), open.document.len());
        canvas.place_in_rows(row, len, value, area);
        self.draw_value(canvas, &open.document, focused, value);
    }

    fn draw_value(
        &self,
        canvas: &mut Canvas<'_, '_>,
        document: &Document,
        focused: bool,
        area: Rect,
    ) {
        canvas.rows_in(Pane::Entry, area);
        let viewport = Viewport {
            height: usize::from(area.height),
            ..self.viewport
        };
        let in_sight = viewport.rows(document.len());
        for (y, row) in (area.y..).zip(in_sight) {
            let place = Rect {
                y,
                height: 1,
                ..area
            };
            canvas.hit(place, Hit::Row(Pane::Entry, row));
            if focused && row == document.cursor() {
                // With the blank before the text, so that it reaches to the frame.
                let whole = Rect {
                    x: place.x.saturating_sub(1),
                    width: place.width + 1,
                    ..place
                };
                canvas.lay(Role::Selection, whole);
            }
            canvas.scrolled(self.column, place, |columns| document.line(row, columns));
        }
    }
}
