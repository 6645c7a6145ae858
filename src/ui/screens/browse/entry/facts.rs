//! What stands above a value: what is known of its entry.

use ratatui::text::{Line, Span};

use crate::kv::{Entry, Operation};
use crate::ui::canvas::Canvas;
use crate::ui::message::OpenEntry;
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::value::{Layout, View};

/// What is known of an entry beside its value, in one line; what matters most comes first.
pub(super) fn facts(canvas: &mut Canvas<'_, '_>, open: &OpenEntry) -> Line<'static> {
    let OpenEntry {
        entry, document, ..
    } = open;
    let mut spans = vec![canvas.span(" ", Role::Muted)];
    if open.may_be_behind() {
        spans.push(canvas.span("from a replica, may be behind · ", Role::Warning));
    }
    if entry.key.is_foreign() {
        spans.push(canvas.span("foreign name, can't be written · ", Role::Warning));
    }
    spans.push(written(canvas, entry));
    if entry.operation.is_put() {
        spans.push(canvas.span(format!(" · {}", figures::size(entry.size)), Role::Muted));
    }
    spans.extend(time_left(canvas, entry));
    let (matches, at) = document.matches();
    if matches > 0 {
        let at = at.map_or(String::new(), |at| format!("{} of ", at + 1));
        spans.push(canvas.span(format!(" · {at}{matches} found"), Role::KeyHint));
    }
    if document.has_secrets() && !document.is_revealed() {
        spans.push(canvas.span(" · m reveals", Role::Secret));
    }
    match (document.view(), document.layout()) {
        (View::Json, Layout::Formatted) => spans.push(canvas.span(" · formatted", Role::Muted)),
        (View::Json, Layout::AsStored) => {}
        (View::Text, _) => spans.push(canvas.span(" · text", Role::Muted)),
        (View::Hex, _) => spans.push(canvas.span(" · hex", Role::Muted)),
    }
    if let Some(fault) = document.fault() {
        let words = format!(
            " · not JSON: line {}, column {}: {}",
            fault.line,
            fault.column,
            shown::plain(&fault.what)
        );
        spans.push(canvas.span(words, Role::Warning));
    }
    Line::from(spans)
}

fn written(canvas: &mut Canvas<'_, '_>, entry: &Entry) -> Span<'static> {
    let since = canvas.since(shown::millis(entry.created));
    canvas.changes_in(figures::next_change(since));
    let (verb, role) = match entry.operation {
        Operation::Put => ("put", Role::Text),
        Operation::Delete => ("deleted", Role::Warning),
        Operation::Purge => ("purged", Role::Warning),
        Operation::Expire => ("expired", Role::Warning),
    };
    canvas.span(format!("{verb} {} ago", figures::age(since)), role)
}

fn time_left(canvas: &mut Canvas<'_, '_>, entry: &Entry) -> Option<Span<'static>> {
    let left = canvas.until(shown::millis(entry.expires?));
    if let Some(next) = figures::next_countdown_change(left) {
        canvas.changes_in(next);
    }
    Some(canvas.span(
        format!(" · TTL {} left", figures::span(left)),
        Role::Warning,
    ))
}
