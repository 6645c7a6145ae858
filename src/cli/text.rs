//! Text from a store made safe for a terminal: in plain output, and in JSON.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use serde_json::ser::Formatter;
use time::OffsetDateTime;

use crate::ui::text::{Run, acts_unseen, concat, figures, truncate, visible, visible_bytes};
use crate::ui::theme::Role;

/// The text with its line breaks, and everything else made visible that is hidden.
pub(super) fn visible_lines(bytes: &[u8]) -> String {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .map(visible_bytes)
        .collect::<Vec<Cow<'_, str>>>()
        .join("\n")
}

/// Visible text cut to so many columns, with a mark where something is missing.
pub(super) fn clipped(text: &str, columns: usize) -> String {
    concat(&truncate(vec![Run::new(Role::Text, text)], columns))
}

/// Our own words, which quote what came from elsewhere, in one line.
pub(super) fn sentence(text: &str) -> String {
    visible(text).into_owned()
}

/// How long ago that was, in its largest unit.
pub(super) fn age(then: OffsetDateTime, now: OffsetDateTime) -> String {
    // A store's clock can be ahead of ours.
    figures::age(Duration::try_from(now - then).unwrap_or_default())
}

/// JSON in one line in which strings hold no character that a terminal would act on: those are
/// escaped, which changes nothing for a program.
#[derive(Debug, Default)]
pub(super) struct SafeJson;

impl Formatter for SafeJson {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| acts_unseen(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize as _;

    fn json(text: &str) -> String {
        let mut bytes = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(
            &mut bytes, SafeJson,
        ))
        .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_line_breaks_stay() {
        assert_eq!(visible_lines(b"a\nb\x1b[31m\r\n"), "a\nb␛[31m␍\n");
        assert_eq!(clipped("abcd", 3), "ab…");
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(age(now + Duration::from_secs(5), now), "0 s");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_gets_through(bytes: Vec<u8>) {
            let text = visible_lines(&bytes);
            prop_assert!(!text.chars().any(|c| c != '\n' && acts_unseen(c)));
        }

        #[test]
        fn json_says_the_same_and_holds_nothing_that_acts(text: String) {
            let text = format!("{text}\u{1b}\u{9b}\u{202e}\u{e0041}\"\\");
            let json = json(&text);
            prop_assert!(!json.chars().any(acts_unseen));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
