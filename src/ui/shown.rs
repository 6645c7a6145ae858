//! Shown text: the everyday forms of [`text`] for screens.

use ratatui::text::Span;
use time::OffsetDateTime;

use super::message::Millis;
use super::text::{self, Align};
use super::theme::{Role, Theme};

/// A text made visible, as one string.
pub fn plain(text: &str) -> String {
    text::visible(text).into_owned()
}

/// A text made visible, and cut to a width with `…`.
pub fn short(text: &str, width: usize) -> String {
    text::concat(&text::truncate(text::runs(text, Role::Text), width))
}

/// The same, filled up with blanks to the width.
pub fn fitted(text: &str, width: usize) -> String {
    let cut = text::truncate(text::runs(text, Role::Text), width);
    text::concat(&text::pad(cut, width, Align::Left))
}

/// A text that is visible already, cut to a width with `…`.
pub fn cut(text: &str, width: usize) -> String {
    text::concat(&text::truncate(visible(text), width))
}

/// The same, filled up with blanks to the width.
pub fn cut_fitted(text: &str, width: usize) -> String {
    let cut = text::truncate(visible(text), width);
    text::concat(&text::pad(cut, width, Align::Left))
}

/// What is visible already is not made so again.
fn visible(text: &str) -> Vec<text::Run<'_>> {
    vec![text::Run::new(Role::Text, text)]
}

/// A text in a role, cut in the middle and filled up to a width: for keys, whose ends tell more
/// than their middle.
pub fn fitted_spans(theme: &Theme, text: &str, role: Role, width: usize) -> Vec<Span<'static>> {
    let cut = text::truncate_middle(text::runs(text, role), width);
    owned(text::pad(cut, width, Align::Left), theme)
}

/// The part of a text between two columns, in a role.
pub fn clipped_spans(
    theme: &Theme,
    text: &str,
    role: Role,
    columns: std::ops::Range<usize>,
) -> Vec<Span<'static>> {
    owned(text::clip(text::runs(text, role), columns), theme)
}

fn owned(runs: Vec<text::Run<'_>>, theme: &Theme) -> Vec<Span<'static>> {
    let spans = runs.into_iter();
    spans
        .map(|run| Span::styled(run.text.into_owned(), theme.style(run.role)))
        .collect()
}

/// A moment in milliseconds since 1970.
pub fn millis(at: OffsetDateTime) -> Millis {
    at.unix_timestamp() * 1000 + Millis::from(at.millisecond())
}

/// The time of day of a moment, UTC: `02:14:07`.
pub fn clock(at: Millis) -> String {
    let seconds = at.div_euclid(1000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A moment with its date, in UTC: `2026-03-01 02:14:34`.
pub fn date(at: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
    let date = time.map_or_else(|_| "?".to_owned(), |time| time.date().to_string());
    format!("{date} {}", clock(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        assert_eq!(clock(0), "00:00:00");
        assert_eq!(clock(86_399_999), "23:59:59");
        assert_eq!(clock(-1), "23:59:59");
    }
}
