//! What differs between two values, by line, side by side.

use std::ops::Range;

use super::Excerpt;
use crate::edit::align::{self, Hunk};
use crate::edit::secrets::Masking;
use crate::edit::{hex, layout};

/// Lines of more bytes are not looked into.
const LONGEST_LINE: usize = 4096;

/// Two values side by side, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineDiff {
    rows: Vec<Row>,
}

/// One row of two panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub kind: RowKind,
    /// The line of the older value, if there is one.
    pub old: Option<Line>,
    /// The line of the newer value, if there is one.
    pub new: Option<Line>,
}

/// What a row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// Both sides have this line.
    Same,
    /// Only the newer one has it.
    Added,
    /// Only the older one has it.
    Removed,
    /// One line became the other.
    Changed,
}

/// A line of one side, without its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text.
    pub text: Excerpt,
    /// The bytes of [`Excerpt::revealed`] that differ from the other side, in order and apart. Only
    /// in a row that is [`RowKind::Changed`]; none there if the lines differ in their break alone.
    pub emphasis: Vec<Range<usize>>,
}

impl LineDiff {
    /// Compares two values line by line.
    pub fn between(old: Option<&[u8]>, new: Option<&[u8]>, masking: &Masking) -> Self {
        let (old, new) = shown(old.unwrap_or_default(), new.unwrap_or_default(), masking);
        let (old, new) = (Side::new(&old), Side::new(&new));
        let hunks = align::hunks(old.lines.iter().copied(), new.lines.iter().copied());
        let mut rows = Vec::with_capacity(old.lines.len().max(new.lines.len()));
        let (mut at_old, mut at_new) = (0, 0);
        for hunk in &hunks {
            same(&old, &new, at_old..hunk.old.start, at_new, &mut rows);
            differing(&old, &new, hunk, &mut rows);
            (at_old, at_new) = (hunk.old.end, hunk.new.end);
        }
        same(&old, &new, at_old..old.lines.len(), at_new, &mut rows);
        Self { rows }
    }

    /// All rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether no line differs.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| row.kind == RowKind::Same)
    }

    /// The rows that differ, with so many around them, in stretches that are in order and apart.
    pub fn stretches(&self, around: usize) -> Vec<Range<usize>> {
        let mut stretches: Vec<Range<usize>> = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            if row.kind == RowKind::Same {
                continue;
            }
            let from = at.saturating_sub(around);
            let to = (at + around + 1).min(self.rows.len());
            match stretches.last_mut() {
                Some(last) if last.end >= from => last.end = to,
                _ => stretches.push(from..to),
            }
        }
        stretches
    }
}

fn same(old: &Side<'_>, new: &Side<'_>, olds: Range<usize>, from: usize, rows: &mut Vec<Row>) {
    for (at, other) in olds.zip(from..) {
        rows.push(Row {
            kind: RowKind::Same,
            old: Some(old.line(at, Vec::new())),
            new: Some(new.line(other, Vec::new())),
        });
    }
}

/// Lines that were replaced stand beside each other, as far as there are as many.
fn differing(old: &Side<'_>, new: &Side<'_>, hunk: &Hunk, rows: &mut Vec<Row>) {
    let beside = hunk.old.len().min(hunk.new.len());
    for (at, other) in hunk.old.clone().zip(hunk.new.clone()) {
        let (before, after) = emphasis(bare(old.lines[at]), bare(new.lines[other]));
        rows.push(Row {
            kind: RowKind::Changed,
            old: Some(old.line(at, before)),
            new: Some(new.line(other, after)),
        });
    }
    rows.extend(hunk.old.clone().skip(beside).map(|at| Row {
        kind: RowKind::Removed,
        old: Some(old.line(at, Vec::new())),
        new: None,
    }));
    rows.extend(hunk.new.clone().skip(beside).map(|at| Row {
        kind: RowKind::Added,
        old: None,
        new: Some(new.line(at, Vec::new())),
    }));
}

/// The two values as texts of the same kind.
fn shown(old: &[u8], new: &[u8], masking: &Masking) -> (Excerpt, Excerpt) {
    let (Ok(old_text), Ok(new_text)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
        let in_hex = |value: &[u8]| {
            let digits = hex::dump(value);
            if masking.finds_any(value) {
                Excerpt::secret(digits)
            } else {
                Excerpt::open(digits)
            }
        };
        return (in_hex(old), in_hex(new));
    };
    let in_one_line = |text: &str| !text.trim().contains('\n');
    if in_one_line(old_text) || in_one_line(new_text) {
        let or_none = |text: &str| match text {
            "" => Ok(String::new()),
            _ => layout::pretty(text),
        };
        if let (Ok(old), Ok(new)) = (or_none(old_text), or_none(new_text))
            // What differs in white space alone would look the same.
            && (old != new || old_text == new_text)
        {
            return (Excerpt::new(old, masking), Excerpt::new(new, masking));
        }
    }
    (
        Excerpt::new(old_text, masking),
        Excerpt::new(new_text, masking),
    )
}

/// One of the two texts in lines.
struct Side<'t> {
    text: &'t Excerpt,
    /// With their line breaks: the last one of a text can have none.
    lines: Vec<&'t str>,
    starts: Vec<usize>,
}

impl<'t> Side<'t> {
    fn new(text: &'t Excerpt) -> Self {
        let lines: Vec<_> = text.revealed().split_inclusive('\n').collect();
        let starts = lines.iter().scan(0, |start, line| {
            let this = *start;
            *start += line.len();
            Some(this)
        });
        Self {
            text,
            starts: starts.collect(),
            lines,
        }
    }

    fn line(&self, at: usize, emphasis: Vec<Range<usize>>) -> Line {
        let (start, line) = (self.starts[at], bare(self.lines[at]));
        Line {
            number: at + 1,
            text: self.text.slice(start..start + line.len()),
            emphasis,
        }
    }
}

/// A line without its break. A carriage return before it stays: it can be what differs.
fn bare(line: &str) -> &str {
    line.strip_suffix('\n').unwrap_or(line)
}

/// The bytes of two lines that differ.
fn emphasis(old: &str, new: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    if old == new || old.len() > LONGEST_LINE || new.len() > LONGEST_LINE {
        return (Vec::new(), Vec::new());
    }
    let (olds, news) = (words(old), words(new));
    let text = |line: &'_ str, words: &[Range<usize>]| -> Vec<String> {
        words
            .iter()
            .map(|word| line[word.clone()].to_owned())
            .collect()
    };
    let hunks = align::hunks(text(old, &olds), text(new, &news));
    let bytes = |words: &[Range<usize>], which: &Range<usize>| {
        let first = words.get(which.start)?.start;
        let last = words.get(which.end.checked_sub(1)?)?.end;
        (which.start < which.end).then_some(first..last)
    };
    (
        hunks
            .iter()
            .filter_map(|hunk| bytes(&olds, &hunk.old))
            .collect(),
        hunks
            .iter()
            .filter_map(|hunk| bytes(&news, &hunk.new))
            .collect(),
    )
}

/// The words of a line; everything else is a word of one character.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut in_word = false;
    for (at, c) in line.char_indices() {
        let end = at + c.len_utf8();
        let of_word = c.is_alphanumeric() || c == '_';
        match words.last_mut() {
            Some(last) if of_word && in_word => last.end = end,
            _ => words.push(at..end),
        }
        in_word = of_word;
    }
    words
}
