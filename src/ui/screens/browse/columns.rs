//! The columns of the pane of keys: which there is room for, and how a row stands in them.

use ratatui::text::{Line, Span};

use crate::kv::{Operation, Revision};
use crate::ui::canvas::Canvas;
use crate::ui::index::Row;
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;

/// The widths of the columns; 0 for one that there is no room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    key: usize,
    revision: usize,
    age: usize,
    size: usize,
}

impl Columns {
    const AGE: usize = 7;
    const SIZE: usize = 8;

    /// The columns for a pane of this width and revisions up to this one.
    pub(super) fn fitting(width: usize, highest: Revision) -> Self {
        // Room for one more digit: a new revision should not move the columns.
        let digits = highest.0.checked_ilog10().unwrap_or(0) as usize + 2;
        let revision = if width >= 46 { digits.max(5) + 1 } else { 0 };
        let size = if width >= 36 { Self::SIZE } else { 0 };
        let age = if width >= 24 { Self::AGE } else { 0 };
        // One cell for the mark of a change, one between the last column and the frame.
        let key = width.saturating_sub(revision + size + age + 2);
        Self {
            key,
            revision,
            age,
            size,
        }
    }

    /// The names of the columns.
    pub(super) fn head(self, canvas: &Canvas<'_, '_>) -> Line<'static> {
        let Self {
            key,
            revision,
            age,
            size,
        } = self;
        let right = |name: &str, width: usize| match width {
            0 => String::new(),
            _ => format!("{name:>width$}"),
        };
        let cells = format!(
            " {:<key$}{}{}{}",
            "key",
            right("rev", revision),
            right("age", age),
            right("size", size)
        );
        Line::from(canvas.span(cells, Role::Muted))
    }

    /// One row.
    pub(super) fn row(
        self,
        canvas: &mut Canvas<'_, '_>,
        row: &Row<'_>,
        is_marked: bool,
    ) -> Line<'static> {
        let (mark, role) = match (is_marked, row.changed) {
            (true, _) => ("▪", Role::KeyHint),
            (false, true) => ("●", Role::Changed),
            (false, false) => (" ", Role::Changed),
        };
        let mut spans = vec![canvas.span(mark, role)];
        spans.extend(self.name(canvas, row));
        let Some(entry) = row.entry else {
            if let Some(node) = row.node {
                let width = self.revision + self.age + self.size;
                let keys = figures::count(node.keys as u64);
                spans.push(canvas.span(format!("{keys:>width$}"), Role::Muted));
            }
            return Line::from(spans);
        };
        let role = if row.stale { Role::Stale } else { Role::Muted };
        if self.revision > 0 {
            let width = self.revision;
            spans.push(canvas.span(format!("{:>width$}", entry.revision.0), role));
        }
        if self.age > 0 {
            let created = shown::millis(entry.created);
            let age = canvas.since(created);
            canvas.changes_in(figures::next_change(age));
            let width = self.age;
            spans.push(canvas.span(format!("{:>width$}", figures::age(age)), role));
        }
        if self.size > 0 {
            let size = match entry.operation {
                Operation::Put => figures::size(entry.size),
                Operation::Delete => "deleted".to_owned(),
                Operation::Purge => "purged".to_owned(),
                Operation::Expire => "expired".to_owned(),
            };
            let width = self.size;
            spans.push(canvas.span(format!("{size:>width$}"), role));
        }
        Line::from(spans)
    }

    fn name(self, canvas: &Canvas<'_, '_>, row: &Row<'_>) -> Vec<Span<'static>> {
        let role = match row.entry {
            _ if row.changed => Role::Changed,
            Some(entry) if !entry.operation.is_put() => Role::Muted,
            None => Role::Title,
            Some(_) => Role::Text,
        };
        let sign = match row.node {
            Some(node) if node.open => "▾ ",
            Some(_) => "▸ ",
            None if row.depth > 0 => "  ",
            None => "",
        };
        let indent = format!("{}{sign}", "  ".repeat(row.depth.min(20)));
        let room = self.key.saturating_sub(indent.chars().count()).max(1);
        let mut spans = vec![canvas.span(indent, Role::Muted)];
        spans.extend(shown::fitted_spans(canvas.theme, row.label, role, room));
        spans
    }
}
