//! Text from a store, made fit for the screen: visible, measured, clipped, highlighted.
//!
//! Such text is data and may hold anything. What is shown of it lets nobody hide anything:
//! - A control character is shown as its picture (`␛`, `␊`, `␉ `). A character that is invisible,
//!   blank, reorders its neighbours or looks different on every machine is shown by its number
//!   (`⟨U+202E⟩`), also inside an emoji. A byte that is not UTF-8 is shown as `⟨FF⟩`. All of them
//!   have [`Role::Escaped`].
//! - The signs used for that (`␀` to `␡`, `⟨`) are themselves shown by number, so that two
//!   different texts never come out the same, even without colour. Letters that look alike
//!   (`a` and `а`, `é` composed or not) are not told apart.
//! - Nothing here reorders letters of a right-to-left script, and no invisible isolate is ever
//!   sent to the terminal: most would draw it, or miscount the columns. Text keeps the order in
//!   which it is stored. A terminal with bidi support of its own is told to leave lines as they
//!   are when the console takes the screen, which is not done here.
//!
//! Widths are columns of the terminal, as ratatui counts them for each grapheme cluster.
//! [`figures`] words numbers, sizes and ages.

pub mod figures;
mod pieces;

use std::borrow::Cow;
use std::ops::Range;

use ratatui::buffer::CellWidth;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::theme::{Role, Theme};
pub use pieces::acts_unseen;
pub(crate) use pieces::pieces;

/// What stands where text was left out.
pub const ELLIPSIS: &str = "…";

/// A stretch of visible text that has one role.
///
/// The text is already fit for the screen: what is made by hand must not come from a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<'a> {
    /// What it means.
    pub role: Role,
    /// The text.
    pub text: Cow<'a, str>,
}

impl<'a> Run<'a> {
    /// A run of text that is known to be visible.
    pub fn new(role: Role, text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            role,
            text: text.into(),
        }
    }

    /// Its width in columns.
    pub fn width(&self) -> usize {
        shown_width(&self.text)
    }

    /// The same run, in the style that the theme gives its role.
    pub fn into_span(self, theme: &Theme) -> Span<'a> {
        Span::styled(self.text, theme.style(self.role))
    }
}

/// Runs as a line that ratatui can draw.
pub fn line<'a>(runs: impl IntoIterator<Item = Run<'a>>, theme: &Theme) -> Line<'a> {
    runs.into_iter()
        .map(|run| run.into_span(theme))
        .collect::<Vec<_>>()
        .into()
}

/// The text of runs, without their roles.
pub fn concat(runs: &[Run<'_>]) -> String {
    runs.iter().map(|run| run.text.as_ref()).collect()
}

/// The text with everything hidden made visible. Borrows where there is nothing hidden.
pub fn visible(text: &str) -> Cow<'_, str> {
    visible_bytes(text.as_bytes())
}

/// [`visible`] for bytes that need not be UTF-8.
pub fn visible_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if !pieces(bytes).any(|piece| piece.is_escaped())
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.into();
    }
    pieces(bytes)
        .map(|piece| piece.text())
        .collect::<String>()
        .into()
}

/// [`visible_bytes`] of so much from the beginning that it takes more than so many columns, or of
/// all where there is no more.
pub fn visible_beyond(bytes: &[u8], columns: usize) -> String {
    let mut width = 0;
    pieces(bytes)
        .take_while(|piece| {
            let is_needed = width <= columns;
            width += piece.width;
            is_needed
        })
        .map(|piece| piece.text())
        .collect()
}

/// The width in columns of the text once it is [`visible`].
pub fn width(text: &str) -> usize {
    pieces(text.as_bytes()).map(|piece| piece.width).sum()
}

/// Where to begin with a text that is shown from a column on: a byte where a cluster begins, not far
/// before, and its column.
pub(crate) fn begin_at(text: &str, column: usize) -> (usize, usize) {
    let (mut byte, mut at) = (0, 0);
    for piece in pieces(text.as_bytes()) {
        if at + piece.width > column {
            break;
        }
        at += piece.width;
        byte = piece.source.end;
    }
    (byte, at)
}

/// The width in columns of text that is visible already.
pub(crate) fn shown_width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(cluster_width).sum()
}

/// The width in columns of one grapheme cluster that is visible already.
pub(crate) fn cluster_width(cluster: &str) -> usize {
    usize::from(cluster.cell_width())
}

/// The text in its role, what is hidden made visible.
pub fn runs(text: &str, role: Role) -> Vec<Run<'_>> {
    highlighted(text.as_bytes(), role, &[])
}

/// The text in its role, except where it matched: there it has [`Role::Match`].
///
/// The matches are byte ranges of the text, in order and apart. One that lies within a grapheme
/// cluster lights up the whole cluster.
pub fn highlighted<'a>(text: &'a [u8], role: Role, matches: &[Range<usize>]) -> Vec<Run<'a>> {
    let mut runs = Clip::new(0..usize::MAX);
    runs.push_source(text, 0, role, matches);
    runs.finish()
}

/// What is to be seen of the runs through a window of columns.
///
/// A wide character that the window's edge would cut is replaced by a blank.
pub fn clip<'a>(runs: impl IntoIterator<Item = Run<'a>>, columns: Range<usize>) -> Vec<Run<'a>> {
    let mut clip = Clip::new(columns);
    for run in runs {
        if clip.is_full() {
            break;
        }
        clip.push(run.role, run.text);
    }
    clip.finish()
}

/// The runs in at most `width` columns: what doesn't fit is cut off at the end, and an ellipsis
/// says so.
pub fn truncate(runs: Vec<Run<'_>>, width: usize) -> Vec<Run<'_>> {
    if runs_width(&runs) <= width {
        return runs;
    }
    let role = runs.last().map_or(Role::Text, |run| run.role);
    let mut kept = clip(runs, 0..width.saturating_sub(1));
    if width > 0 {
        kept.push(Run::new(role, ELLIPSIS));
    }
    kept
}

/// The runs in at most `width` columns: what doesn't fit is left out of the middle, so that both
/// ends of a long key stay readable.
pub fn truncate_middle(runs: Vec<Run<'_>>, width: usize) -> Vec<Run<'_>> {
    let full = runs_width(&runs);
    if full <= width {
        return runs;
    }
    if width == 0 {
        return Vec::new();
    }
    // The end tells more about a key than its beginning, so the odd column is its.
    let head = (width - 1) / 2;
    let tail = width - 1 - head;
    let role = runs.first().map_or(Role::Text, |run| run.role);
    let end = clip(runs.iter().cloned(), full - tail..full);
    let mut kept = clip(runs, 0..head);
    kept.push(Run::new(role, ELLIPSIS));
    kept.extend(end);
    kept
}

/// On which side of a column text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Blanks follow.
    Left,
    /// Blanks go before.
    Right,
}

/// The runs with blanks added up to `width` columns. Longer runs stay as they are.
pub fn pad(mut runs: Vec<Run<'_>>, width: usize, align: Align) -> Vec<Run<'_>> {
    let missing = width.saturating_sub(runs_width(&runs));
    if missing > 0 {
        let blank = Run::new(Role::Text, " ".repeat(missing));
        match align {
            Align::Left => runs.push(blank),
            Align::Right => runs.insert(0, blank),
        }
    }
    runs
}

/// The width of runs in columns.
pub fn runs_width(runs: &[Run<'_>]) -> usize {
    runs.iter().map(Run::width).sum()
}

/// Collects what falls into a window of columns, in order from the left.
#[derive(Debug)]
pub(crate) struct Clip<'a> {
    runs: Vec<Run<'a>>,
    /// The column that the next text begins at.
    at: usize,
    window: Range<usize>,
}

impl<'a> Clip<'a> {
    pub(crate) fn new(window: Range<usize>) -> Self {
        Self::starting_at(0, window)
    }

    /// As if text of `at` columns had been pushed already.
    pub(crate) fn starting_at(at: usize, window: Range<usize>) -> Self {
        Self {
            runs: Vec::new(),
            at,
            window,
        }
    }

    /// Whether nothing that is pushed can be seen any more.
    pub(crate) fn is_full(&self) -> bool {
        self.at >= self.window.end
    }

    pub(crate) fn finish(self) -> Vec<Run<'a>> {
        self.runs
    }

    /// Adds text from the store that begins at byte `offset` of the whole, with the whole's
    /// matches, and makes it visible.
    pub(crate) fn push_source(
        &mut self,
        text: &'a [u8],
        offset: usize,
        role: Role,
        matches: &[Range<usize>],
    ) {
        let mut next = matches.partition_point(|found| found.end <= offset);
        for piece in pieces(text) {
            if self.is_full() {
                return;
            }
            let source = piece.source.start + offset..piece.source.end + offset;
            while matches
                .get(next)
                .is_some_and(|found| found.end <= source.start)
            {
                next += 1;
            }
            let is_lit = matches
                .get(next)
                .is_some_and(|found| found.start < source.end);
            match (piece.plain(), is_lit) {
                (Some(text), false) => self.push(role, text.into()),
                (Some(text), true) => self.push_lit(text, source.start, role, &matches[next..]),
                (None, false) => self.push(Role::Escaped, piece.text()),
                (None, true) => self.push(Role::Match, piece.text()),
            }
        }
    }

    /// Adds text that shows as itself and begins at byte `offset`, lit where it matched.
    fn push_lit(&mut self, text: &'a str, offset: usize, role: Role, matches: &[Range<usize>]) {
        let lit = |from: usize, to: usize| {
            let next = matches.partition_point(|found| found.end <= offset + from);
            matches
                .get(next)
                .is_some_and(|found| found.start < offset + to)
        };
        let (mut from, mut was) = (0, false);
        for (at, cluster) in text.grapheme_indices(true) {
            let is = lit(at, at + cluster.len());
            if is != was {
                self.push(if was { Role::Match } else { role }, text[from..at].into());
                (from, was) = (at, is);
            }
        }
        self.push(if was { Role::Match } else { role }, text[from..].into());
    }

    /// Adds text that is visible already.
    pub(crate) fn push(&mut self, role: Role, text: Cow<'a, str>) {
        if self.is_full() || text.is_empty() {
            return;
        }
        let (bytes, blanks) = if text.is_ascii() {
            let range = self.visible_part(text.len());
            self.at += text.len();
            (range, (0, 0))
        } else {
            self.fit(&text)
        };
        self.add(role, " ".repeat(blanks.0).into());
        self.add(
            role,
            match text {
                Cow::Borrowed(text) => text[bytes].into(),
                Cow::Owned(text) if bytes == (0..text.len()) => text.into(),
                Cow::Owned(text) => text[bytes].to_owned().into(),
            },
        );
        self.add(role, " ".repeat(blanks.1).into());
    }

    /// Adds `width` blanks.
    pub(crate) fn push_blank(&mut self, width: usize) {
        let seen = self.visible_part(width).len();
        self.at = self.at.saturating_add(width);
        self.add(Role::Text, " ".repeat(seen).into());
    }

    /// Which of the next `width` columns the window shows.
    fn visible_part(&self, width: usize) -> Range<usize> {
        let from = self.window.start.saturating_sub(self.at).min(width);
        let to = self.window.end.saturating_sub(self.at).min(width);
        from..to.max(from)
    }

    /// Which bytes of the text the window shows whole, and how many blanks stand for the halves
    /// of wide characters before and after.
    fn fit(&mut self, text: &str) -> (Range<usize>, (usize, usize)) {
        let (mut bytes, mut blanks) = (0..0, (0, 0));
        for (start, cluster) in text.grapheme_indices(true) {
            let width = cluster_width(cluster);
            let seen = self.visible_part(width).len();
            let before = self.at < self.window.start;
            self.at += width;
            if seen == width && !(width == 0 && before) {
                if bytes.is_empty() {
                    bytes.start = start;
                }
                bytes.end = start + cluster.len();
            } else if before {
                blanks.0 += seen;
            } else {
                blanks.1 += seen;
            }
            if self.is_full() {
                break;
            }
        }
        (bytes, blanks)
    }

    fn add(&mut self, role: Role, text: Cow<'a, str>) {
        if text.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.role == role => last.text += text,
            _ => self.runs.push(Run { role, text }),
        }
    }
}

#[cfg(test)]
mod tests;
