//! How a history looks: a row for each revision.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{History, Row};
use crate::kv::Operation;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::diff::summary;
use crate::ui::remote::Remote;
use crate::ui::shown;
use crate::ui::text::{self, figures};
use crate::ui::theme::Role;
use crate::ui::viewport::Viewport;
use crate::ui::widgets::{below, paragraph};

impl History {
    /// Draws it over the screen.
    pub fn draw(&self, canvas: &mut Canvas<'_, '_>, screen: Rect) {
        canvas.clear(screen);
        let count = self.rows().len();
        let words = match &self.rows {
            Remote::Idle | Remote::Loading => "reading …".to_owned(),
            Remote::Failed(_) => "not known".to_owned(),
            Remote::Stale(_) => format!("{count} kept, reading again …"),
            Remote::Ready(_) => format!("{count} kept, the newest on top"),
        };
        let room = usize::from(screen.width)
            .saturating_sub(text::width(&words) + 18)
            .max(8);
        let key = text::truncate_middle(text::runs(self.place.key.as_str(), Role::Title), room);
        let mut title = vec![canvas.span(" History of ", Role::Title)];
        title.extend(
            key.into_iter()
                .map(|run| canvas.span(run.text.into_owned(), run.role)),
        );
        title.push(canvas.span(format!(" ─ {words} "), Role::Muted));
        let mut inner = canvas.pane(Line::from(title), true, screen);
        canvas.hit(screen, Hit::Pane(Pane::Overlay));
        if let Remote::Failed(reason) = &self.rows {
            return paragraph(canvas, &shown::plain(reason), Role::Danger, inner);
        }
        let columns = Columns::fitting(usize::from(inner.width));
        if inner.height > 4 {
            canvas.line(columns.head(canvas), Rect { height: 1, ..inner });
            inner = below(inner, 1);
        }
        canvas.rows_in(Pane::Overlay, inner);
        canvas.place_in_rows(self.row, count, inner, screen);
        let viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        for (y, row) in (inner.y..).zip(viewport.rows(count)) {
            let place = Rect {
                y,
                height: 1,
                ..inner
            };
            canvas.hit(place, Hit::Row(Pane::Overlay, row));
            if row == self.row {
                canvas.lay(Role::Selection, place);
            }
            let Some(found) = self.rows().get(row) else {
                break;
            };
            let is_marked = self.marked.contains(&found.entry.revision);
            let is_oldest = row + 1 == count;
            let line = columns.row(canvas, found, is_marked, is_oldest);
            canvas.line(line, place);
        }
    }
}

/// Which columns there is room for.
#[derive(Debug, Clone, Copy)]
struct Columns {
    revision: usize,
    operation: usize,
    age: usize,
    size: usize,
    change: usize,
}

impl Columns {
    fn fitting(width: usize) -> Self {
        let (operation, age, size) = match width {
            0..50 => (7, 6, 0),
            50..70 => (7, 6, 8),
            _ => (8, 8, 9),
        };
        let revision = 9;
        let change = width.saturating_sub(1 + revision + 1 + operation + age + size + 3);
        Self {
            revision,
            operation,
            age,
            size,
            change,
        }
    }

    fn head(self, canvas: &Canvas<'_, '_>) -> Line<'static> {
        let Self {
            revision,
            operation,
            age,
            size,
            ..
        } = self;
        let size = if size > 0 {
            format!("{:>size$}", "size")
        } else {
            String::new()
        };
        let words = format!(
            " {:>revision$} {:<operation$}{:>age$}{size}  what changed",
            "rev", "did", "age"
        );
        Line::from(canvas.span(words, Role::Muted))
    }

    fn row(
        self,
        canvas: &mut Canvas<'_, '_>,
        row: &Row,
        is_marked: bool,
        is_oldest: bool,
    ) -> Line<'static> {
        let entry = &row.entry;
        let since = canvas.since(shown::millis(entry.created));
        canvas.changes_in(figures::next_change(since));
        let role = match entry.operation {
            Operation::Put => Role::Text,
            Operation::Delete | Operation::Purge => Role::Warning,
            Operation::Expire => Role::Muted,
        };
        let Self {
            revision,
            operation,
            age,
            size,
            change,
        } = self;
        let bytes = if entry.is_marker() {
            String::new()
        } else {
            figures::size(entry.size)
        };
        let bytes = if size > 0 {
            format!("{bytes:>size$}")
        } else {
            String::new()
        };
        let mut spans = vec![
            canvas.span(if is_marked { "▪" } else { " " }, Role::KeyHint),
            canvas.span(format!("{:>revision$} ", entry.revision.0), Role::Text),
            canvas.span(format!("{:<operation$}", entry.operation.as_str()), role),
            canvas.span(
                format!("{:>age$}{bytes}  ", figures::age(since)),
                Role::Muted,
            ),
        ];
        let runs = match &row.change {
            _ if entry.is_marker() => Vec::new(),
            None if is_oldest => vec![text::Run::new(Role::Muted, "the oldest that is kept")],
            None => vec![text::Run::new(Role::Muted, "…")],
            Some(diff) => summary(diff, change),
        };
        spans.extend(runs.into_iter().map(|run| run.into_span(canvas.theme)));
        Line::from(spans)
    }
}
