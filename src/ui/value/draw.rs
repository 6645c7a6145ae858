//! The runs of a window onto a document.
//!
//! A row is walked from the left as a chain of parts. A long row has *anchors*, so that a window
//! far to the right is not reached by walking a megabyte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::rows::{Row, Why, cut_from};
use super::{Document, Layout, MASK, View};
use crate::edit::json::{Kind, Token};
use crate::ui::text::{self, Clip, Run, cluster_width, pieces, shown_width};
use crate::ui::theme::Role;

/// How wide a hex row of 16 bytes is: offset, bytes, ASCII.
pub(super) const HEX_COLUMNS: usize = 8 + 2 + 3 * 16 + 1 + 1 + 16;

/// A row of fewer bytes has no anchors.
const LONG_ROW: usize = 4096;

/// How many columns lie between two anchors, at least.
const ANCHOR_DISTANCE: usize = 1024;

/// The widest that is never broken over two rows: an escape, a mask, the sign of a fold.
const WIDEST_WHOLE: usize = 16;

/// A byte of a row, and the column that it is shown at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    byte: usize,
    column: usize,
}

/// A part of a row.
#[derive(Debug)]
enum Part<'d> {
    /// Stored bytes, from this byte on.
    Source(usize, &'d [u8], Role),
    /// What stands there instead of the bytes from this one on.
    Instead(usize, Role, Cow<'static, str>),
    /// The blank that a formatted row has after a colon, which ended before this byte.
    Blank(usize),
}

impl Document {
    /// The rows and columns of a window, as runs. Rows past the end are left out.
    pub fn lines(&self, rows: Range<usize>, columns: Range<usize>) -> Vec<Vec<Run<'_>>> {
        let end = rows.end.min(self.len());
        (rows.start.min(end)..end)
            .map(|row| self.line(row, columns.clone()))
            .collect()
    }

    /// The columns of one row, as runs. Empty for a row past the end.
    pub fn line(&self, row: usize, columns: Range<usize>) -> Vec<Run<'_>> {
        let Some(found) = self.rows.get(row) else {
            return Vec::new();
        };
        if self.view == View::Hex {
            return text::clip(self.hex_line(*found), columns);
        }
        let anchor = self.anchor_before(row, |anchor| anchor.column <= columns.start);
        let mut clip = match anchor {
            Some(anchor) => Clip::starting_at(anchor.column, columns),
            None => {
                let mut clip = Clip::starting_at(0, columns);
                clip.push_blank(found.indent as usize);
                clip
            }
        };
        let from = anchor.map_or(found.start as usize, |anchor| anchor.byte);
        for part in self.parts(*found, from) {
            if clip.is_full() {
                break;
            }
            match part {
                Part::Source(at, bytes, role) => clip.push_source(bytes, at, role, &self.matches),
                Part::Instead(_, role, shown) => clip.push(role, shown),
                Part::Blank(_) => clip.push_blank(1),
            }
        }
        clip.finish()
    }

    /// How many columns a row takes.
    pub fn width(&self, row: usize) -> usize {
        self.column_of(row, usize::MAX)
    }

    /// How many columns the widest row takes. Walks the whole value when it is first asked for
    /// after a change.
    pub fn max_width(&self) -> usize {
        *self.widest.get_or_init(|| {
            (0..self.len())
                .map(|row| self.width(row))
                .max()
                .unwrap_or(0)
        })
    }

    /// The column where a byte of the row is shown; the row's width for a byte past its end.
    pub(super) fn column_of(&self, row: usize, byte: usize) -> usize {
        let Some(found) = self.rows.get(row) else {
            return 0;
        };
        if self.view == View::Hex {
            let runs = self.hex_line(*found);
            let before = byte
                .saturating_sub(found.start as usize)
                .min(self.bytes_per_row());
            let column = if byte >= found.end as usize {
                usize::MAX
            } else {
                10 + 3 * before + before / 8
            };
            return text::runs_width(&runs).min(column);
        }
        let anchor = self.anchor_before(row, |anchor| anchor.byte <= byte);
        let from = anchor.map_or(found.start as usize, |anchor| anchor.byte);
        let mut column = anchor.map_or(found.indent as usize, |anchor| anchor.column);
        for part in self.parts(*found, from) {
            match part {
                Part::Source(at, bytes, _) => {
                    for piece in pieces(bytes) {
                        if byte < at + piece.source.end {
                            let within = byte.saturating_sub(at + piece.source.start);
                            let before = piece.plain().and_then(|text| text.get(..within));
                            return column + before.map_or(0, shown_width);
                        }
                        column += piece.width;
                    }
                }
                Part::Instead(at, _, _) if byte <= at => return column,
                Part::Instead(_, _, shown) => column += shown_width(&shown),
                Part::Blank(_) => column += 1,
            }
        }
        column
    }

    fn anchor_before(&self, row: usize, fits: impl Fn(&Anchor) -> bool) -> Option<Anchor> {
        let anchors = self.anchors.get(&row)?;
        let after = anchors.partition_point(fits);
        anchors.get(after.checked_sub(1)?).copied()
    }

    /// The anchors of all long rows.
    pub(super) fn find_anchors(&self) -> HashMap<usize, Vec<Anchor>> {
        if self.view == View::Hex {
            return HashMap::new();
        }
        let long = |(_, row): &(usize, &Row)| row.range().len() > LONG_ROW;
        self.rows
            .iter()
            .enumerate()
            .filter(long)
            .map(|(at, row)| (at, self.anchors_of(*row)))
            .collect()
    }

    fn anchors_of(&self, row: Row) -> Vec<Anchor> {
        let mut anchors = Vec::new();
        let mut column = row.indent as usize;
        let mut due = column + ANCHOR_DISTANCE;
        let mut pass = |byte: usize, column: usize| {
            if column >= due {
                anchors.push(Anchor { byte, column });
                due = column + ANCHOR_DISTANCE;
            }
        };
        for part in self.parts(row, row.start as usize) {
            match part {
                Part::Source(at, bytes, _) if bytes.len() < 64 && is_printable_ascii(bytes) => {
                    pass(at, column);
                    column += bytes.len();
                }
                Part::Source(at, bytes, _) => {
                    for piece in pieces(bytes) {
                        pass(at + piece.source.start, column);
                        column += piece.width;
                    }
                }
                Part::Instead(at, _, shown) => {
                    pass(at, column);
                    column += shown_width(&shown);
                }
                // It belongs to the colon before it: nothing can begin here.
                Part::Blank(_) => column += 1,
            }
        }
        anchors
    }

    /// Adds the row to `rows`, as so many rows as it takes to show all of it in the document's
    /// width.
    pub(super) fn split(&self, row: Row, rows: &mut Vec<Row>) {
        let room = self.width.saturating_sub(WIDEST_WHOLE).min(self.width / 2);
        let indent = (row.indent as usize).min(room);
        let range = row.range();
        let cut = self.cuts.get(cut_from(&self.cuts, range.start));
        // At most one blank is added to a row, behind a colon.
        if indent + range.len() < self.width
            && cut.is_none_or(|cut| cut.range.start >= range.end)
            && is_printable_ascii(&self.bytes[range.clone()])
        {
            rows.push(Row::new(range, indent));
            return;
        }
        let mut start = row.start as usize;
        let mut column = indent;
        let mut take = |byte: usize, width: usize| {
            if column + width > self.width && column > indent {
                rows.push(Row::new(start..byte, indent));
                start = byte;
                column = indent;
            }
            column += width;
        };
        for part in self.parts(row, row.start as usize) {
            match part {
                Part::Source(at, bytes, _) => {
                    for piece in pieces(bytes) {
                        let at = at + piece.source.start;
                        match piece.plain() {
                            None => take(at, piece.width),
                            Some(text) if text.is_ascii() => {
                                (0..text.len()).for_each(|byte| take(at + byte, 1));
                            }
                            Some(text) => {
                                for (byte, cluster) in text.grapheme_indices(true) {
                                    take(at + byte, cluster_width(cluster));
                                }
                            }
                        }
                    }
                }
                Part::Instead(at, _, shown) => take(at, shown_width(&shown)),
                Part::Blank(at) => take(at, 1),
            }
        }
        rows.push(Row::new(start..row.end as usize, indent));
    }

    /// The parts of a row from a byte on.
    fn parts(&self, row: Row, from: usize) -> Parts<'_> {
        Parts {
            document: self,
            at: from,
            end: row.end as usize,
            token: self.json.token_from(from),
            cut: cut_from(&self.cuts, from),
            blank: false,
        }
    }

    fn hex_line(&self, row: Row) -> Vec<Run<'static>> {
        let range = row.range();
        let first_cut = self.cuts.first().map_or(usize::MAX, |cut| cut.range.start);
        // What an offset behind a mask is would tell the length of the secret.
        let offset = if range.start > first_cut {
            "········  ".to_owned()
        } else {
            format!("{:08x}  ", range.start)
        };
        let mut runs = vec![Run::new(Role::Muted, offset)];
        if cuts_at(self, range.start) {
            runs.push(Run::new(Role::Secret, MASK));
            return runs;
        }
        let mut hex = Clip::new(0..usize::MAX);
        let mut ascii = Clip::new(0..usize::MAX);
        for (place, at) in range.clone().enumerate() {
            let byte = self.bytes[at];
            let next = self.matches.partition_point(|found| found.end <= at);
            let lit = self
                .matches
                .get(next)
                .is_some_and(|found| found.start <= at);
            let role = |role| if lit { Role::Match } else { role };
            if place == 8 {
                hex.push_blank(1);
            }
            hex.push(role(Role::Text), format!("{byte:02x}").into());
            hex.push_blank(1);
            match byte {
                b' '..=b'~' => ascii.push(role(Role::Text), char::from(byte).to_string().into()),
                _ => ascii.push(role(Role::Escaped), "·".into()),
            }
        }
        let missing = self.bytes_per_row() - range.len();
        let gap = usize::from(range.len() <= 8 && self.bytes_per_row() > 8);
        hex.push_blank(3 * missing + gap + 1);
        runs.extend(hex.finish());
        runs.extend(ascii.finish());
        runs
    }
}

fn is_printable_ascii(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b' '..=b'~'))
}

fn cuts_at(document: &Document, byte: usize) -> bool {
    let cut = document.cuts.get(cut_from(&document.cuts, byte));
    cut.is_some_and(|cut| cut.range.start <= byte)
}

/// Walks a row.
struct Parts<'d> {
    document: &'d Document,
    at: usize,
    end: usize,
    /// The first token that ends after `at`.
    token: usize,
    /// The first cut that ends after `at`.
    cut: usize,
    blank: bool,
}

impl<'d> Iterator for Parts<'d> {
    type Item = Part<'d>;

    fn next(&mut self) -> Option<Part<'d>> {
        if std::mem::take(&mut self.blank) {
            return Some(Part::Blank(self.at));
        }
        let document = self.document;
        while self.at < self.end {
            let at = self.at;
            let cut = document.cuts.get(self.cut);
            if let Some(cut) = cut.filter(|cut| cut.range.start <= at) {
                self.at = cut.range.end;
                self.cut += 1;
                self.token = document.json.token_from(self.at);
                return Some(match cut.why {
                    Why::Masked => Part::Instead(at, Role::Secret, MASK.into()),
                    Why::Folded(container) => {
                        let count = document.json.containers[container].count;
                        let count = text::figures::count(u64::from(count));
                        Part::Instead(at, Role::Folded, format!(" … {count} ").into())
                    }
                });
            }
            let limit = cut.map_or(self.end, |cut| cut.range.start.min(self.end));
            if document.view != View::Json {
                return Some(self.source(limit, Role::Text));
            }
            match document.json.tokens.get(self.token) {
                Some(token) if token.start as usize <= at => {
                    let end = token.end as usize;
                    if end <= limit {
                        self.token += 1;
                        self.blank = token.kind == Kind::Colon
                            && document.layout == Layout::Formatted
                            && end < self.end;
                    }
                    return Some(self.source(end.min(limit), role_of(token)));
                }
                next => {
                    let gap = next.map_or(limit, |token| limit.min(token.start as usize));
                    if document.layout == Layout::AsStored {
                        return Some(self.source(gap, Role::Text));
                    }
                    self.at = gap;
                }
            }
        }
        None
    }
}

impl<'d> Parts<'d> {
    fn source(&mut self, to: usize, role: Role) -> Part<'d> {
        let from = std::mem::replace(&mut self.at, to);
        Part::Source(from, &self.document.bytes[from..to], role)
    }
}

fn role_of(token: &Token) -> Role {
    match token.kind {
        Kind::Open | Kind::Close | Kind::Comma | Kind::Colon => Role::JsonPunctuation,
        Kind::Name => Role::JsonName,
        Kind::String => Role::JsonString,
        Kind::Number => Role::JsonNumber,
        Kind::Literal => Role::JsonLiteral,
    }
}
