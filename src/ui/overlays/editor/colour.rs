//! The colours of a line of JSON that may not be JSON yet, and the bracket that belongs to another.
//!
//! A string of JSON ends in its line, so that each line can be looked at by itself.

use std::ops::Range;

use super::buffer::Place;
use crate::ui::theme::Role;

/// A bracket that is farther from its partner than so many lines is matched with none.
const FARTHEST: usize = 150_000;

/// A stretch of a line, in bytes, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) range: Range<usize>,
    pub(super) role: Role,
}

/// The stretches of a line of JSON, in order and without gaps.
pub(super) fn stretches(line: &str) -> impl Iterator<Item = Stretch> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let bytes = line.as_bytes();
        let role = match bytes.get(start)? {
            b'"' => {
                at = end_of_string(bytes, start);
                let rest = bytes[at..].trim_ascii_start();
                if rest.first() == Some(&b':') {
                    Role::JsonName
                } else {
                    Role::JsonString
                }
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                at += 1;
                Role::JsonPunctuation
            }
            b'-' | b'0'..=b'9' => {
                at = end_of(bytes, start, |b| {
                    b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')
                });
                Role::JsonNumber
            }
            b'a'..=b'z' => {
                at = end_of(bytes, start, |b| b.is_ascii_alphanumeric());
                match &line[start..at] {
                    "true" | "false" | "null" => Role::JsonLiteral,
                    _ => Role::Text,
                }
            }
            _ => {
                at = end_of(
                    bytes,
                    start,
                    |b| !matches!(b, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b'-' | b'0'..=b'9' | b'a'..=b'z'),
                );
                Role::Text
            }
        };
        Some(Stretch {
            range: start..at,
            role,
        })
    })
}

/// Where a run ends that has begun: of bytes, all of them ASCII, that are alike; or of whole
/// letters that are not.
fn end_of(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let rest = &bytes[start + 1..];
    let length = rest.iter().position(|b| !belongs(*b));
    start + 1 + length.unwrap_or(rest.len())
}

/// Where a string ends that begins here: behind its quote, or with the line.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        if bytes[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    bytes.len()
}

/// The brackets of a line that are none of a string's letters: where, and which.
fn brackets(line: &str) -> impl DoubleEndedIterator<Item = (usize, u8)> {
    let mut found = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'{' | b'}' | b'[' | b']' => found.push((at, *byte)),
            _ => {}
        }
        at += 1;
    }
    found.into_iter()
}

/// The bracket at a place, or right before it, and the one that belongs to it, if there is one:
/// lines, and bytes in them.
pub(super) fn pair(lines: &[String], (row, column): Place) -> Option<(Place, Option<Place>)> {
    let line = lines.get(row)?;
    let at = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |(at, _)| at);
    let near = brackets(line).filter(|(byte, _)| *byte == at || *byte + 1 == at);
    let (byte, bracket) = near.max_by_key(|(byte, _)| *byte)?;
    let opens = |bracket: u8| matches!(bracket, b'{' | b'[');
    let mut depth = 0_usize;
    let mut ends = |found: u8| {
        if opens(found) == opens(bracket) {
            depth += 1;
            return false;
        }
        depth = depth.saturating_sub(1);
        depth == 0
    };
    let other = if opens(bracket) {
        let rest = lines.iter().enumerate().skip(row).take(FARTHEST);
        rest.flat_map(|(row, line)| brackets(line).map(move |(at, found)| ((row, at), found)))
            .skip_while(|(place, _)| *place < (row, byte))
            .find(|(_, found)| ends(*found))
    } else {
        let before = lines[..=row].iter().enumerate().rev().take(FARTHEST);
        before
            .flat_map(|(row, line)| {
                let found = brackets(line).rev();
                found.map(move |(at, found)| ((row, at), found))
            })
            .skip_while(|(place, _)| *place > (row, byte))
            .find(|(_, found)| ends(*found))
    };
    let kind = |open: u8| if matches!(open, b'{' | b'}') { 1 } else { 2 };
    let other = other.filter(|(_, found)| kind(*found) == kind(bracket));
    Some(((row, byte), other.map(|(place, _)| place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn roles(line: &str) -> Vec<(&str, Role)> {
        stretches(line)
            .filter(|stretch| !line[stretch.range.clone()].trim().is_empty())
            .map(|stretch| (line[stretch.range].trim(), stretch.role))
            .collect()
    }

    #[test]
    fn a_line_is_coloured_by_itself() {
        assert_eq!(
            roles(r#"  "a\"b" : [1.5e-3, true, "x"], nul"#),
            [
                (r#""a\"b""#, Role::JsonName),
                (":", Role::JsonPunctuation),
                ("[", Role::JsonPunctuation),
                ("1.5e-3", Role::JsonNumber),
                (",", Role::JsonPunctuation),
                ("true", Role::JsonLiteral),
                (",", Role::JsonPunctuation),
                (r#""x""#, Role::JsonString),
                ("]", Role::JsonPunctuation),
                (",", Role::JsonPunctuation),
                ("nul", Role::Text),
            ]
        );
        assert_eq!(roles("\"open"), [("\"open", Role::JsonString)]);
    }

    #[test]
    fn brackets_find_each_other_but_not_in_strings() {
        let lines: Vec<String> = ["{\"a}\": [", "  1, \"]\"", "]}"].map(str::to_owned).into();
        assert_eq!(pair(&lines, (0, 0)), Some(((0, 0), Some((2, 1)))));
        assert_eq!(pair(&lines, (2, 2)), Some(((2, 1), Some((0, 0)))));
        assert_eq!(pair(&lines, (0, 8)), Some(((0, 7), Some((2, 0)))));
        assert_eq!(pair(&lines, (1, 0)), None);
        assert_eq!(pair(&["[}".to_owned()], (0, 0)), Some(((0, 0), None)));
    }

    proptest! {
        #[test]
        fn stretches_are_the_line(line in "[ -~é日\t]{0,40}") {
            let mut at = 0;
            for stretch in stretches(&line) {
                prop_assert_eq!(stretch.range.start, at);
                prop_assert!(line.get(stretch.range.clone()).is_some());
                at = stretch.range.end;
            }
            prop_assert_eq!(at, line.len());
        }
    }
}
