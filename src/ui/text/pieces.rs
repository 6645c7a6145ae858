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

/// A part of a text, as it is shown. What is escaped is one character or one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// Its bytes in the stored text.
    pub(crate) source: Range<usize>,
    /// Its width in columns.
    pub(crate) width: usize,
    shown: Shown<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown<'a> {
    Plain(&'a str),
    Char(char),
    Byte(u8),
}

impl<'a> Piece<'a> {
    /// Whether it is shown as something else than itself.
    pub(crate) fn is_escaped(&self) -> bool {
        self.plain().is_none()
    }

    /// Its text, if it is shown as itself.
    pub(crate) fn plain(&self) -> Option<&'a str> {
        match self.shown {
            Shown::Plain(text) => Some(text),
            Shown::Char(_) | Shown::Byte(_) => None,
        }
    }

    /// What is shown. Only asked for where it is seen: wording an escape takes longer than
    /// measuring it.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        match self.shown {
            Shown::Plain(text) => text.into(),
            Shown::Char(c) => match picture(c) {
                Some(picture) => picture.into(),
                None => format!("⟨U+{:04X}⟩", c as u32).into(),
            },
            Shown::Byte(byte) => format!("⟨{byte:02X}⟩").into(),
        }
    }
}

/// The pieces of a text, in order and without gaps. A boundary between two pieces is always a
/// boundary between two grapheme clusters as they are shown.
pub(crate) fn pieces(text: &[u8]) -> Pieces<'_> {
    Pieces {
        text,
        at: 0,
        is_within: false,
    }
}

/// See [`pieces`].
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the last piece ended within a cluster. Shown as itself, what follows would be drawn
    /// onto it.
    is_within: bool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let is_within = std::mem::take(&mut self.is_within);
        let (shown, length, width) = hidden(rest, is_within).unwrap_or_else(|| {
            let plain = plain_prefix(rest);
            self.is_within = plain.is_cut;
            (Shown::Plain(plain.text), plain.text.len(), plain.width)
        });
        let source = self.at..self.at + length;
        self.at = source.end;
        Some(Piece {
            source,
            width,
            shown,
        })
    }
}

/// The first character or byte, its length and the width of its escape, unless it shows as itself,
/// which it can't within a cluster.
fn hidden(text: &[u8], is_within: bool) -> Option<(Shown<'static>, usize, usize)> {
    let first = *text.first()?;
    if is_plain(first) {
        return None;
    }
    // No character is longer than this; whole clusters are looked at only where they begin well.
    let window = valid_prefix(&text[..text.len().min(4)]);
    let Some(c) = window.chars().next() else {
        return Some((Shown::Byte(first), 1, "⟨FF⟩".chars().count()));
    };
    let length = c.len_utf8();
    if !is_within && !is_hidden(c) && cluster_width(&window[..length]) > 0 {
        return None;
    }
    let width = match picture(c) {
        // Every sign in an escape is one column wide.
        Some(picture) => picture.chars().count(),
        None => "⟨U+⟩".chars().count() + ((c as u32).ilog2() as usize / 4 + 1).max(4),
    };
    Some((Shown::Char(c), length, width))
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// A beginning of a text that shows as itself.
struct Plain<'a> {
    text: &'a str,
    width: usize,
    /// Whether more of the last cluster follows.
    is_cut: bool,
}

/// The longest beginning that shows as itself, for a text whose first character does.
fn plain_prefix(text: &[u8]) -> Plain<'_> {
    let whole = |text, width| Plain {
        text,
        width,
        is_cut: false,
    };
    let window = &text[..text.len().min(LONGEST)];
    let ascii = window.iter().take_while(|b| is_plain(**b)).count();
    // A mark may follow and belong to the last of these letters; a control character can't.
    let alone = text.get(ascii).is_none_or(u8::is_ascii);
    if ascii > usize::from(!alone) {
        let end = ascii - usize::from(!alone);
        // It is ASCII all through.
        return whole(valid_prefix(&text[..end]), end);
    }
    // Between two of these letters a cluster always ends: most of a text is not looked at letter by
    // letter.
    let pair = window[ascii..]
        .windows(2)
        .position(|pair| pair.iter().all(|b| is_plain(*b)));
    let window = pair.map_or(window, |at| &window[..=ascii + at]);
    let text = if pair.is_some() { window } else { text };
    let valid = valid_prefix(window);
    // Whatever the window's end may have cut is left for the next piece.
    let cut = window.len() < text.len() && valid.len() + 4 > window.len();
    match plain_clusters(valid, cut) {
        (0, _) => start_of_cluster(valid),
        (end, width) => whole(&valid[..end], width),
    }
}

/// How many bytes of whole clusters at the beginning show as themselves, and how wide they are.
fn plain_clusters(text: &str, cut: bool) -> (usize, usize) {
    let (mut end, mut width) = (0, 0);
    for (at, cluster) in text.grapheme_indices(true) {
        let last = at + cluster.len() == text.len();
        if !shows_as_itself(cluster) || (last && cut && at > 0) {
            break;
        }
        end = at + cluster.len();
        width += cluster_width(cluster);
    }
    (end, width)
}

fn shows_as_itself(cluster: &str) -> bool {
    cluster.chars().nth(MOST_CHARS_IN_CLUSTER).is_none()
        && !cluster.chars().any(is_hidden)
        && cluster_width(cluster) > 0
}

/// As much of the first cluster, which can't be shown whole, as can: all before what is hidden, but
/// no more than a few marks.
fn start_of_cluster(text: &str) -> Plain<'_> {
    let cluster = text.graphemes(true).next().unwrap_or_default();
    let mut chars = cluster.char_indices().enumerate().skip(1);
    let end = chars
        .find(|(nth, (_, c))| *nth == MOST_CHARS_IN_CLUSTER || is_hidden(*c))
        .map_or(cluster.len(), |(_, (at, _))| at);
    let start = &cluster[..end];
    Plain {
        text: start,
        width: shown_width(start),
        is_cut: end < cluster.len(),
    }
}

fn valid_prefix(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// The picture of a control character that has one.
fn picture(c: char) -> Option<&'static str> {
    const PICTURES: [&str; 32] = [
        "␀", "␁", "␂", "␃", "␄", "␅", "␆", "␇", "␈", "␉ ", "␊", "␋", "␌", "␍", "␎", "␏", "␐", "␑",
        "␒", "␓", "␔", "␕", "␖", "␗", "␘", "␙", "␚", "␛", "␜", "␝", "␞", "␟",
    ];
    match c {
        '\u{7F}' => Some("␡"),
        _ => PICTURES.get(c as usize).copied(),
    }
}

/// Whether a character must not be sent to the terminal as it is: it controls, can't be seen,
/// looks like a plain space, has no agreed look, or is a sign that escapes are made of.
fn is_hidden(c: char) -> bool {
    // The signs that escapes are made of.
    acts_unseen(c) || matches!(c, '\u{2400}'..='\u{2421}' | '⟨')
}

/// Whether a character steers a terminal, or reorders, hides or alters what stands beside it.
pub fn acts_unseen(c: char) -> bool {
    if c.is_control() || (c.is_whitespace() && c != ' ') {
        return true;
    }
    matches!(c,
        // Default ignorable: joiners, bidi controls, variation selectors, tags, fillers.
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
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
