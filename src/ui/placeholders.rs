//! What stands for a secret in a text that is edited, and the way back.
//!
//! A masked secret is not in the text at all: `"token": "••••••••1•"` stands there, also in the
//! file that an external editor gets and in a draft on disk. On the way to the store each
//! placeholder becomes again what it stands for. It can be moved, copied, deleted or written over
//! as a whole; one that was changed in part stands for nothing, and the text can't be saved.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::edit::{MASK, Masking};

/// The secrets of a text, by the placeholders that stand for them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Placeholders {
    /// What every placeholder begins with; nothing else in the text does.
    mark: String,
    /// What tells the rest of a placeholder that was cut into.
    rest: String,
    secrets: Vec<Secret>,
}

#[derive(Clone, PartialEq, Eq)]
struct Secret {
    text: String,
    /// Whether its placeholder is a JSON string.
    quoted: bool,
}

/// So many bullets in a row are the rest of a placeholder, where the text had no such row itself.
const REST: &str = "•••";

/// What ends a placeholder: a digit typed behind it must not make another one of it.
const END: char = '•';

/// So long is a text, with its quotes, that it is the secret itself wherever it stands, and no word
/// that happens to be spelled the same.
const TELLING: usize = 6;

/// A placeholder that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: a masked secret was changed in part, or is lost; write it anew in whole, or undo that"
)]
pub struct Broken {
    /// The line, from 1.
    pub line: usize,
}

impl Placeholders {
    /// Puts placeholders in the place of the secrets of a text that has none yet.
    pub fn mask(text: &str, masking: &Masking) -> (String, Self) {
        let mut mark = MASK.to_owned();
        while text.contains(&mark) {
            mark.push(END);
        }
        let rest = if text.contains(REST) { &mark } else { REST };
        let mut placeholders = Self {
            rest: rest.to_owned(),
            mark,
            secrets: Vec::new(),
        };
        let masked = placeholders.put(text, masking);
        if placeholders.is_empty() {
            // Then bullets are just bullets.
            return (masked, Self::default());
        }
        (masked, placeholders)
    }

    /// The same for a text of which these are the placeholders already: what stands for a secret
    /// goes on to stand for it.
    ///
    /// # Errors
    /// [`Broken`] where a placeholder was changed in part.
    pub fn mask_again(&self, text: &str, masking: &Masking) -> Result<(String, Self), Broken> {
        let text = self.restore(text)?;
        if self.is_empty() {
            return Ok(Self::mask(&text, masking));
        }
        let mut placeholders = self.clone();
        let masked = placeholders.put(&text, masking);
        Ok((masked, placeholders))
    }

    fn put(&mut self, text: &str, masking: &Masking) -> String {
        let quoted = crate::edit::fault(text).is_none();
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        for range in masking.in_value(text.as_bytes()) {
            // A guess in text that is no JSON may cut through a letter.
            let (Some(before), Some(secret)) = (text.get(at..range.start), text.get(range.clone()))
            else {
                continue;
            };
            masked.push_str(before);
            let secret = Secret {
                text: secret.to_owned(),
                quoted,
            };
            let known = self.secrets.iter().position(|known| *known == secret);
            let number = known.unwrap_or_else(|| {
                self.secrets.push(secret);
                self.secrets.len() - 1
            });
            masked.push_str(&self.placeholder(number));
            at = range.end;
        }
        masked.push_str(&text[at..]);
        masked
    }

    /// The text without any secret in clear, for a place where none may be. Whatever is secret in it
    /// and no placeholder becomes one: that of the secret, if it is known, or else one that stands
    /// for nothing. Says also how many of the latter there are.
    pub fn hide(&self, text: &str, masking: &Masking) -> (String, usize) {
        let text = self.put_known(text);
        let quoted = crate::edit::fault(&text).is_none();
        let quote = if quoted { "\"" } else { "" };
        let mark = if self.mark.is_empty() {
            MASK
        } else {
            &self.mark
        };
        let mut hidden = String::with_capacity(text.len());
        let (mut at, mut lost) = (0, 0);
        for range in masking.in_value(text.as_bytes()) {
            let start = letter_before(&text, range.start).max(at);
            let end = letter_from(&text, range.end).max(start);
            let piece = &text[start..end];
            if self.cover(piece) {
                continue;
            }
            hidden.push_str(&text[at..start]);
            match self.secrets.iter().position(|secret| secret.text == piece) {
                Some(number) => hidden.push_str(&self.placeholder(number)),
                None => {
                    lost += 1;
                    hidden.extend([quote, mark, "0"]);
                    hidden.push(END);
                    hidden.push_str(quote);
                }
            }
            at = end;
        }
        hidden.push_str(&text[at..]);
        (hidden, lost)
    }

    /// Puts placeholders wherever a secret that is known stands, also where nothing says that it is
    /// one.
    fn put_known<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let telling = self.secrets.iter().enumerate();
        let telling: Vec<_> = telling
            .filter(|(_, secret)| secret.text.len() >= TELLING)
            .collect();
        let patterns = telling.iter().map(|(_, secret)| &secret.text);
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns);
        // They are too large for it: then only those are found that are called secrets.
        let Ok(finder) = finder else {
            return Cow::Borrowed(text);
        };
        let mut put = String::new();
        let mut at = 0;
        for found in finder.find_iter(text) {
            put.push_str(&text[at..found.start()]);
            put.push_str(&self.placeholder(telling[found.pattern()].0));
            at = found.end();
        }
        if at == 0 {
            return Cow::Borrowed(text);
        }
        put.push_str(&text[at..]);
        Cow::Owned(put)
    }

    /// For a text with placeholders whose secrets are lost: none of them can be saved.
    pub fn lost() -> Self {
        Self {
            mark: MASK.to_owned(),
            rest: REST.to_owned(),
            secrets: Vec::new(),
        }
    }

    /// Whether a piece of text is placeholders and punctuation, and so no secret is in it.
    pub fn cover(&self, piece: &str) -> bool {
        let mut at = 0;
        let mut is_blank = true;
        let blank = |text: &str| !text.chars().any(char::is_alphanumeric);
        for (range, _) in self.whole(piece) {
            is_blank &= piece.get(at..range.start).is_some_and(blank);
            at = range.end;
        }
        // A guess in text that is no JSON leaves out the quotes around a string.
        is_blank
            && (blank(&piece[at..])
                || self
                    .whole(&format!("\"{piece}\""))
                    .next()
                    .is_some_and(|(range, _)| range.len() == piece.len() + 2))
    }

    /// Whether nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    fn placeholder(&self, secret: usize) -> String {
        let quote = if self.secrets.get(secret).is_some_and(|secret| secret.quoted) {
            "\""
        } else {
            ""
        };
        format!("{quote}{}{}{END}{quote}", self.mark, secret + 1)
    }

    /// Where placeholders stand around a letter of a line, in letters: so many on either side of it.
    pub fn around(&self, line: &str, letter: usize, many: usize) -> Vec<Range<usize>> {
        if self.is_empty() {
            return Vec::new();
        }
        let byte = line
            .char_indices()
            .nth(letter)
            .map_or(line.len(), |(at, _)| at);
        // One that is cut in two by the letter begins before it.
        let before = line[..byte].rmatch_indices(&self.mark);
        let mut marks: Vec<_> = before.map(|(at, _)| at).take(many).collect();
        marks.reverse();
        let start = marks.last().map_or(0, |at| at + self.mark.len());
        let start = letter_before(line, start.max(byte.saturating_sub(self.longest())));
        let after = line[start..].match_indices(&self.mark);
        marks.extend(after.map(|(at, _)| start + at).take(many));
        let found = marks
            .into_iter()
            .filter_map(|at| self.placeholder_at(line, at));
        let (mut at, mut letters) = (0, 0);
        let mut letters_to = |end: usize| {
            letters += line[at..end].chars().count();
            at = end;
            letters
        };
        found
            .map(|(range, _)| letters_to(range.start)..letters_to(range.end))
            .collect()
    }

    /// The placeholders of a line that end behind a byte, in bytes, in order.
    pub fn from_byte<'t>(
        &'t self,
        line: &'t str,
        byte: usize,
    ) -> impl Iterator<Item = Range<usize>> + 't {
        let start = letter_before(line, byte.saturating_sub(self.longest()));
        self.whole(&line[start..])
            .map(move |(range, _)| range.start + start..range.end + start)
            .skip_while(move |range| range.end <= byte)
    }

    /// Whether a line has any.
    pub fn are_in(&self, line: &str) -> bool {
        self.whole(line).next().is_some()
    }

    /// No placeholder has more bytes than this.
    fn longest(&self) -> usize {
        let (quotes, digits) = (2, 20);
        self.mark.len() + END.len_utf8() + quotes + digits
    }

    fn whole<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (Range<usize>, &'t Secret)> {
        let marks = (!self.is_empty()).then(|| text.match_indices(&self.mark));
        let marks = marks.into_iter().flatten();
        marks.filter_map(|(at, _)| self.placeholder_at(text, at))
    }

    fn placeholder_at(&self, text: &str, at: usize) -> Option<(Range<usize>, &Secret)> {
        let rest = &text[at + self.mark.len()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = rest[..digits].parse().ok()?;
        let secret = self.secrets.get(number.checked_sub(1)?)?;
        let placeholder = self.placeholder(number - 1);
        let start = at - usize::from(secret.quoted).min(at);
        let end = start + placeholder.len();
        (text.get(start..end)? == placeholder).then_some((start..end, secret))
    }

    /// The text with its secrets.
    ///
    /// # Errors
    /// [`Broken`] where a placeholder was changed in part.
    pub fn restore(&self, text: &str) -> Result<String, Broken> {
        if self.rest.is_empty() {
            return Ok(text.to_owned());
        }
        let mut restored = String::with_capacity(text.len());
        let mut at = 0;
        let literal = |range: Range<usize>| match text[range.clone()].find(&self.rest) {
            None => Ok(&text[range]),
            Some(rest) => Err(Broken {
                line: text[..range.start + rest].matches('\n').count() + 1,
            }),
        };
        for (range, secret) in self.whole(text) {
            restored.push_str(literal(at..range.start)?);
            restored.push_str(&secret.text);
            at = range.end;
        }
        restored.push_str(literal(at..text.len())?);
        Ok(restored)
    }
}

/// Says nothing of the secrets.
impl fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placeholders")
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}

/// The beginning of the letter that this byte is part of.
fn letter_before(text: &str, byte: usize) -> usize {
    let mut bytes = (0..=byte.min(text.len())).rev();
    bytes
        .find(|byte| text.is_char_boundary(*byte))
        .unwrap_or_default()
}

/// The beginning of the first letter that begins there or later.
fn letter_from(text: &str, byte: usize) -> usize {
    let mut bytes = byte.min(text.len())..=text.len();
    bytes
        .find(|byte| text.is_char_boundary(*byte))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::edit::Masks;
    use proptest::prelude::*;

    fn masked(text: &str) -> (String, Placeholders) {
        Placeholders::mask(text, &Masking::default())
    }

    #[test]
    fn secrets_leave_the_text_and_come_back() {
        let text = r#"{"user": "u", "password": "hunter2", "keys": {"token": [1, 2]}}"#;
        let (shown, placeholders) = masked(text);
        assert!(
            !shown.contains("hunter2") && !shown.contains("[1, 2]"),
            "{shown}"
        );
        assert!(crate::edit::fault(&shown).is_none(), "{shown}");
        assert_eq!(placeholders.restore(&shown).unwrap(), text);
        let moved = shown.replace("\"user\": \"u\", ", "");
        assert!(placeholders.restore(&moved).unwrap().contains("hunter2"));
        let anew = shown.replace(&placeholders.placeholder(0), "\"new\"");
        assert!(
            placeholders
                .restore(&anew)
                .unwrap()
                .contains("\"password\": \"new\"")
        );
    }

    #[test]
    fn they_are_found_around_a_letter_and_behind_a_byte() {
        let text = r#"{"é": 1, "token": "a", "auth_token": "b", "password": "c", "secret": "d"}"#;
        let (shown, placeholders) = masked(text);
        let all: Vec<_> = placeholders.from_byte(&shown, 0).collect();
        assert_eq!(all.len(), 4);
        let letters = |range: &Range<usize>| {
            shown[..range.start].chars().count()..shown[..range.end].chars().count()
        };
        for (at, range) in all.iter().enumerate() {
            let Range { start, end } = letters(range);
            for letter in start..=end {
                let around = placeholders.around(&shown, letter, 1);
                assert!(around.contains(&(start..end)), "{letter}: {around:?}");
            }
            let wide = placeholders.around(&shown, start + 1, 9);
            assert_eq!(wide, all.iter().map(letters).collect::<Vec<_>>());
            for byte in [range.start, range.start + 2, range.end - 1] {
                let rest: Vec<_> = placeholders.from_byte(&shown, byte).collect();
                assert_eq!(rest, all[at..], "{byte}");
            }
        }
        assert_eq!(placeholders.from_byte(&shown, shown.len()).count(), 0);
        assert!(placeholders.around("nothing here", 3, 9).is_empty());
    }

    #[test]
    fn one_that_was_changed_in_part_stands_for_nothing() {
        let (shown, placeholders) = masked("{\n\"password\": \"hunter2\"}");
        for broken in [
            shown.replace("1•", "2•"),
            shown.replace("1•", "1"),
            shown.replace("•\"", "•x\""),
            shown.replace("•1", "1"),
            shown.replace("\"••", "••"),
            shown.replace("••••••••", "•••••••"),
        ] {
            let answer = placeholders.restore(&broken);
            assert_eq!(answer, Err(Broken { line: 2 }), "{broken}");
        }
    }

    #[test]
    fn bullets_in_the_text_are_just_text() {
        let text = format!(r#"{{"note": "{MASK}1•", "token": "t"}}"#);
        let (shown, placeholders) = masked(&text);
        assert_eq!(placeholders.restore(&shown).unwrap(), text);
    }

    #[test]
    fn no_secret_is_left_where_none_may_be() {
        let (shown, placeholders) = masked("{\n\"password\": \"hunter2\",\n\"a\": 1}");
        let hide = |text: &str| placeholders.hide(text, &Masking::default());
        // What is a placeholder stays one, and what is none of them becomes one.
        assert_eq!(hide(&shown), (shown.clone(), 0));
        let revealed = placeholders.restore(&shown).unwrap();
        assert_eq!(hide(&revealed), (shown.clone(), 0));
        assert_eq!(hide(&revealed.replace("password", "pasword")).1, 0);
        assert!(
            !hide(&revealed.replace("password", "pasword"))
                .0
                .contains("hunter2")
        );
        for typed in ["\"hunter3\"", "hunter3", "7\"hunter2\"", "\"hunter"] {
            let text = revealed.replace("\"hunter2\"", typed);
            let (hidden, lost) = hide(&text);
            assert!(lost == 1 && !hidden.contains("hunter"), "{typed}: {hidden}");
            assert!(hidden.contains("a\": 1"), "{hidden}");
            assert!(placeholders.restore(&hidden).is_err(), "{hidden}");
            assert!(Placeholders::lost().restore(&hidden).is_err(), "{hidden}");
        }
        let (hidden, lost) =
            Placeholders::default().hide("{\"token\": \"abc\"}", &Masking::default());
        assert_eq!((hidden.as_str(), lost), ("{\"token\": \"••••••••0•\"}", 1));
    }

    #[test]
    fn other_text_and_whole_values_are_masked_too() {
        let (shown, placeholders) = masked("user: u\npassword: hunter2\n");
        assert!(!shown.contains("hunter2"));
        assert_eq!(
            placeholders.restore(&shown).unwrap(),
            "user: u\npassword: hunter2\n"
        );
        let whole = Masking::new(&Arc::new(Masks::default()), "app.token");
        let (shown, placeholders) = Placeholders::mask("abc", &whole);
        assert!(placeholders.are_in(&shown));
        assert_eq!(placeholders.restore(&shown).unwrap(), "abc");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way(text in "([ -~•\n]|password|token|[:={}\"]){0,60}") {
            let (shown, placeholders) = masked(&text);
            prop_assert_eq!(placeholders.restore(&shown).unwrap(), text);
        }
    }
}
