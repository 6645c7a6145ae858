//! Looking for a text in what is edited, while it is typed.

use std::ops::Range;

use crossterm::event::KeyEvent;
use tui_input::Input;

use super::buffer::Place;
use crate::ui::filter::{Typed, paste, type_key};

/// The line to type into, and what was found.
#[derive(Debug)]
pub(super) struct Find {
    input: Input,
    /// Where the cursor was when it began.
    from: Place,
    found: usize,
}

impl Find {
    pub(super) fn new(from: Place, text: &str) -> Self {
        Self {
            input: Input::new(text.to_owned()),
            from,
            found: 0,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Typed {
        type_key(&mut self.input, key)
    }

    pub(super) fn paste(&mut self, text: &str) {
        paste(&mut self.input, text);
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    pub(super) fn from(&self) -> Place {
        self.from
    }

    pub(super) fn count(&mut self, lines: &[String]) {
        let needle = self.input.value();
        self.found = lines.iter().map(|line| in_line(line, needle).count()).sum();
    }

    pub(super) fn told(&self) -> String {
        match (self.input.value(), self.found) {
            ("", _) => "Enter next, Esc ends".to_owned(),
            (_, 0) => "nothing".to_owned(),
            (_, found) => format!("{found} found"),
        }
    }
}

/// Where a text is in a line, in bytes: in any case where it has no capitals.
pub(super) fn in_line<'l>(line: &'l str, needle: &'l str) -> impl Iterator<Item = Range<usize>> {
    let any_case = !needle.chars().any(char::is_uppercase);
    let length = needle.len();
    let mut from = 0;
    std::iter::from_fn(move || {
        if length == 0 {
            return None;
        }
        let rest = line.as_bytes().get(from..)?;
        let at = if any_case {
            let mut windows = rest.windows(length);
            windows.position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))?
        } else {
            memchr::memmem::find(rest, needle.as_bytes())?
        };
        let start = from + at;
        from = start + length;
        Some(start..from)
    })
}

/// The next place of a text from this one on, or with `backwards` the last before it; around the
/// ends. Where it begins and ends, in letters of its line.
pub(super) fn next(
    lines: &[String],
    needle: &str,
    (row, column): Place,
    backwards: bool,
) -> Option<(Place, Place)> {
    let count = lines.len();
    let letters = |line: &str, byte: usize| line[..byte].chars().count();
    for step in 0..=count {
        let at = if backwards {
            (row + count - step % count) % count
        } else {
            (row + step) % count
        };
        let line = lines.get(at)?;
        let places = in_line(line, needle).filter(|range| {
            let is_boundary =
                line.is_char_boundary(range.start) && line.is_char_boundary(range.end);
            is_boundary
                && match (step, backwards) {
                    (0, false) => letters(line, range.start) >= column,
                    (0, true) => letters(line, range.start) < column,
                    _ => true,
                }
        });
        let found = if backwards {
            places.last()
        } else {
            { places }.next()
        };
        if let Some(range) = found {
            return Some((
                (at, letters(line, range.start)),
                (at, letters(line, range.end)),
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_and_around_in_both_directions() {
        let lines: Vec<String> = ["é port", "Port, port", "none"].map(str::to_owned).into();
        let at = |from, backwards| next(&lines, "port", from, backwards).map(|(from, _)| from);
        assert_eq!(at((0, 0), false), Some((0, 2)));
        assert_eq!(at((0, 3), false), Some((1, 0)));
        assert_eq!(at((1, 1), false), Some((1, 6)));
        assert_eq!(at((1, 7), false), Some((0, 2)));
        assert_eq!(at((0, 2), true), Some((1, 6)));
        assert_eq!(at((1, 6), true), Some((1, 0)));
        assert_eq!(next(&lines, "Port", (0, 0), false), Some(((1, 0), (1, 4))));
        assert_eq!(at((0, 0), false), at((2, 0), false));
        assert_eq!(next(&lines, "absent", (0, 0), false), None);
        assert_eq!(next(&lines, "", (0, 0), true), None);
    }
}
