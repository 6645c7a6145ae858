//! Cutting text from a store into pieces that show as themselves and pieces that are escaped.
//! Which character is which is decided here and nowhere else.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::{cluster_width, shown_width};

/// No piece is longer than this, so that whoever needs the first few columns of a long text
/// doesn't walk all of it.
const LONGEST: usize = 1024;

/// More marks than this on one letter would be drawn over the lines around it.
const MOST_CHARS_IN_CLUSTER: usize = 8;

/// A part of a text, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// Its bytes in the stored text.
    pub(crate) source: Range<usize>,
    /// What is shown. Borrowed from the stored text unless it is escaped.
    pub(crate) text: Cow<'a, str>,
    /// Whether it is shown as something else than itself.
    pub(crate) escaped: bool,
}

impl Piece<'_> {
    /// Its width in columns.
    pub(crate) fn width(&self) -> usize {
        shown_width(&self.text)
    }
}

/// The pieces of a text, in order and without gaps. A boundary between two pieces is always a
/// boundary between two grapheme clusters as they are shown.
pub(crate) fn pieces(text: &[u8]) -> Pieces<'_> {
    Pieces { text, at: 0 }
}

/// See [`pieces`].
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (length, text, escaped) = match plain_prefix(rest) {
            Some(text) => (text.len(), Cow::Borrowed(text), false),
            None => escape_first(rest),
        };
        let source = self.at..self.at + length;
        self.at = source.end;
        Some(Piece {
            source,
            text,
            escaped,
        })
    }
}

/// The longest beginning that shows as itself, or `None` when the first character doesn't.
fn plain_prefix(text: &[u8]) -> Option<&str> {
    let window = &text[..text.len().min(LONGEST)];
    let ascii = window
        .iter()
        .take_while(|b| matches!(b, b' '..=b'~'))
        .count();
    let follower = text.get(ascii).copied();
    // A mark may follow and belong to the last of these letters; a control character can't.
    let alone = follower.is_none_or(|byte| byte.is_ascii());
    let end = if alone || ascii > 1 {
        if alone { ascii } else { ascii - 1 }
    } else {
        let valid = valid_prefix(window);
        // Whatever the window's end may have cut is left for the next piece.
        plain_clusters(
            valid,
            window.len() < text.len() && valid.len() + 4 > window.len(),
        )
    };
    // Both ways end on a boundary between characters, and before any invalid byte.
    std::str::from_utf8(&text[..end])
        .ok()
        .filter(|text| !text.is_empty())
}

/// How many bytes of whole clusters at the beginning show as themselves.
fn plain_clusters(text: &str, goes_on: bool) -> usize {
    let mut end = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        let last = at + cluster.len() == text.len();
        if !shows_as_itself(cluster) || (last && goes_on && at > 0) {
            break;
        }
        end = at + cluster.len();
    }
    end
}

fn shows_as_itself(cluster: &str) -> bool {
    cluster.chars().nth(MOST_CHARS_IN_CLUSTER).is_none()
        && !cluster.chars().any(is_hidden)
        && cluster_width(cluster) > 0
}

/// The first character, or the part of its cluster before the first hidden one, or a byte.
fn escape_first(text: &[u8]) -> (usize, Cow<'_, str>, bool) {
    let valid = valid_prefix(&text[..text.len().min(LONGEST)]);
    let Some(first) = valid.chars().next() else {
        let byte = text.first().copied().unwrap_or_default();
        return (1, format!("⟨{byte:02X}⟩").into(), true);
    };
    if is_hidden(first) || cluster_width(&valid[..first.len_utf8()]) == 0 {
        return (first.len_utf8(), escape(first), true);
    }
    let end = valid
        .char_indices()
        .skip(1)
        .take(MOST_CHARS_IN_CLUSTER - 1)
        .find(|(_, c)| is_hidden(*c) || cluster_width(c.encode_utf8(&mut [0; 4])) > 0)
        .or_else(|| valid.char_indices().nth(MOST_CHARS_IN_CLUSTER))
        .map_or(valid.len(), |(at, _)| at);
    (end, Cow::Borrowed(&valid[..end]), false)
}

fn valid_prefix(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// What is shown for a character that is hidden.
fn escape(c: char) -> Cow<'static, str> {
    const PICTURES: [&str; 32] = [
        "␀", "␁", "␂", "␃", "␄", "␅", "␆", "␇", "␈", "␉ ", "␊", "␋", "␌", "␍", "␎", "␏", "␐", "␑",
        "␒", "␓", "␔", "␕", "␖", "␗", "␘", "␙", "␚", "␛", "␜", "␝", "␞", "␟",
    ];
    match c {
        '\u{7F}' => "␡".into(),
        _ => match PICTURES.get(c as usize) {
            Some(picture) => (*picture).into(),
            None => format!("⟨U+{:04X}⟩", c as u32).into(),
        },
    }
}

/// Whether a character must not be sent to the terminal as it is: it controls, can't be seen,
/// looks like a plain space, has no agreed look, or is a sign that escapes are made of.
fn is_hidden(c: char) -> bool {
    if c.is_control() || (c.is_whitespace() && c != ' ') {
        return true;
    }
    matches!(c,
        // The signs that escapes are made of.
        '\u{2400}'..='\u{2421}' | '⟨'
        // Default ignorable: joiners, bidi controls, variation selectors, tags, fillers.
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
        // A blank that is not a space.
        | '\u{2800}'
        // Private use and noncharacters.
        | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' | '\u{FDD0}'..='\u{FDEF}')
        || (c as u32) & 0xFFFE == 0xFFFE
}
