//! Aligned tables for people.

use crate::ui::text::shown_width;

use super::error::CliError;
use super::output::Output;

/// How a column is aligned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

/// Prints rows under their titles. The rows are made twice, once to measure them, so that a
/// million of them need not be held as text.
pub(super) fn print<const N: usize>(
    output: &mut Output,
    columns: [(&str, Align); N],
    rows: impl Iterator<Item = [String; N]> + Clone,
) -> Result<(), CliError> {
    let mut widths = columns.map(|(title, _)| shown_width(title));
    for row in rows.clone() {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = shown_width(cell).max(*width);
        }
    }
    let titles = columns.map(|(title, _)| title.to_owned());
    for row in std::iter::once(titles).chain(rows) {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(columns) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let space = " ".repeat(width.saturating_sub(shown_width(cell)));
            match align {
                Align::Left => line.extend([cell, space.as_str()]),
                Align::Right => line.extend([&space, cell.as_str()]),
            }
        }
        output.line(line.trim_end())?;
    }
    Ok(())
}
