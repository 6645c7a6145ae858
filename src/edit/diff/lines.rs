//! What differs between two values, by line, side by side.

use std::ops::Range;

use super::Excerpt;
use crate::edit::secrets::Masking;

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
    /// in a row that is [`RowKind::Changed`].
    pub emphasis: Vec<Range<usize>>,
}

impl LineDiff {
    /// Compares two values line by line.
    pub fn between(_old: Option<&[u8]>, _new: Option<&[u8]>, _masking: &Masking) -> Self {
        Self::default()
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
            let (from, to) = (
                at.saturating_sub(around),
                (at + around + 1).min(self.rows.len()),
            );
            match stretches.last_mut() {
                Some(last) if last.end >= from => last.end = to,
                _ => stretches.push(from..to),
            }
        }
        stretches
    }
}
