//! Rows: which bytes of a value stand on which line of the pane.
//!
//! A row is a range of the stored bytes. Where something is folded or masked, the range goes on
//! behind it, so that what follows it on its last line joins the line that it began on.

use std::ops::Range;

use crate::edit::json::{Json, Kind};

/// One line of the pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Blanks before it, in columns.
    pub(crate) indent: u32,
}

impl Row {
    pub(crate) fn new(range: Range<usize>, indent: usize) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: narrow(range.start),
            end: narrow(range.end),
            indent: narrow(indent),
        }
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Bytes that are not shown, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) range: Range<usize>,
    pub(crate) why: Why,
}

/// Why bytes are not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// They are a secret.
    Masked,
    /// They are the inside of this container, which is folded.
    Folded(usize),
}

/// Folds and masks in one list, in order and apart: of two that overlap the outer one stands.
pub(crate) fn merge(masks: &[Range<usize>], folds: impl Iterator<Item = Cut>) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut add = |cut: Cut| {
        if cuts
            .last()
            .is_none_or(|last| last.range.end <= cut.range.start)
        {
            cuts.push(cut);
        }
    };
    let mut masks = masks.iter().cloned().map(|range| Cut {
        range,
        why: Why::Masked,
    });
    let mut mask = masks.next();
    for fold in folds {
        while let Some(earlier) = mask.take_if(|mask| mask.range.start <= fold.range.start) {
            add(earlier);
            mask = masks.next();
        }
        add(fold);
    }
    mask.into_iter().chain(masks).for_each(&mut add);
    cuts
}

/// The cut that the byte lies in, or the next one after it.
pub(crate) fn cut_from(cuts: &[Cut], byte: usize) -> usize {
    cuts.partition_point(|cut| cut.range.end <= byte)
}

/// Rows as stored: a row ends where a line of the text ends. A line break at the very end makes an
/// empty last row, for it is part of the value.
pub(crate) fn stored(text: &[u8], cuts: &[Cut]) -> Vec<Row> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let (mut start, mut cut) = (0, 0);
    for newline in memchr::memchr_iter(b'\n', text) {
        while cuts.get(cut).is_some_and(|cut| cut.range.end <= newline) {
            cut += 1;
        }
        if cuts.get(cut).is_none_or(|cut| newline < cut.range.start) {
            rows.push(Row::new(start..newline, 0));
            start = newline + 1;
        }
    }
    rows.push(Row::new(start..text.len(), 0));
    rows
}

/// Rows laid out anew, two blanks for each depth, with an empty container on one row.
pub(crate) fn formatted(json: &Json, cuts: &[Cut]) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut at, mut cut, mut depth) = (0, 0, 0_usize);
    // The row that is being made: where it began, where it ends so far, and its depth.
    let mut row: Option<(usize, usize, usize)> = None;
    let mut flush = |row: &mut Option<(usize, usize, usize)>| {
        if let Some((start, end, depth)) = row.take() {
            rows.push(Row::new(start..end, depth * 2));
        }
    };
    while let Some(token) = json.tokens.get(at) {
        let range = token.range();
        if let Some(Cut { range: hidden, .. }) =
            cuts.get(cut).filter(|cut| cut.range.start <= range.start)
        {
            // Its brackets, if it has any, are hidden in pairs or not at all.
            let (start, _, own) = row.unwrap_or((hidden.start, 0, depth));
            row = Some((start, hidden.end, own));
            at = json.token_from(hidden.end);
            cut += 1;
            continue;
        }
        let folded = cuts
            .get(cut)
            .is_some_and(|cut| cut.range.start == range.end);
        let before = at.checked_sub(1).and_then(|before| json.tokens.get(before));
        match token.kind {
            Kind::Close => {
                depth = depth.saturating_sub(1);
                let empty = before.is_some_and(|before| before.kind == Kind::Open);
                let unfolds = row.is_some_and(|(_, end, _)| {
                    cut > 0
                        && cuts[cut - 1].why == Why::Folded(token.link as usize)
                        && cuts[cut - 1].range.end == end
                });
                if !empty && !unfolds {
                    flush(&mut row);
                }
            }
            Kind::Open => depth += 1,
            _ => {}
        }
        let own = if token.kind == Kind::Open {
            depth - 1
        } else {
            depth
        };
        let (start, _, own) = row.unwrap_or((range.start, 0, own));
        row = Some((start, range.end, own));
        let empty = json
            .tokens
            .get(at + 1)
            .is_some_and(|next| next.kind == Kind::Close);
        if token.kind == Kind::Comma || (token.kind == Kind::Open && !folded && !empty) {
            flush(&mut row);
        }
        at += 1;
    }
    flush(&mut row);
    rows
}

/// Rows of `width` bytes each. A row that begins a mask holds the whole of it and nothing else.
pub(crate) fn hex(length: usize, cuts: &[Cut], width: usize) -> Vec<Row> {
    let mut rows = Vec::with_capacity(length / width + 2);
    let mut at = 0;
    let mut cuts = cuts.iter();
    while at < length {
        let cut = cuts.next();
        let until = cut.map_or(length, |cut| cut.range.start);
        while at < until {
            // Full rows keep to multiples of the width also behind a mask.
            let end = ((at / width + 1) * width).min(until);
            rows.push(Row::new(at..end, 0));
            at = end;
        }
        if let Some(cut) = cut {
            rows.push(Row::new(cut.range.clone(), 0));
            at = cut.range.end;
        }
    }
    rows
}
