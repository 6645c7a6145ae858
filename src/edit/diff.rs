//! What differs between two values: by path where both are JSON, and by line.

mod by_path;
mod lines;

use super::excerpt::Excerpt;
use super::path::Path;
use super::secrets::Masking;

pub use lines::{Line, LineDiff, Row, RowKind};

/// What differs between two values, or between a value and none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// By path, in the order of the newer value; `None` where one of the two is not JSON. Two values
    /// that differ in white space alone have no changes here.
    pub by_path: Option<Vec<Change>>,
    /// By line. JSON that is all in one line is laid out for it, bytes stand in hexadecimal.
    pub by_line: LineDiff,
    is_empty: bool,
}

/// One change inside a JSON value. Tokens are compared as they are spelled: `1.0` and `1.00` differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: in the older value for what was removed, in the newer one otherwise.
    pub path: Path,
    /// What happened there.
    pub what: What,
    /// The text there before, in one line; `None` for what was added.
    pub old: Option<Excerpt>,
    /// The text there now, in one line; `None` for what was removed.
    pub new: Option<Excerpt>,
}

/// What happened at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It is there with another text.
    Changed,
    /// The members of this object stand in another order; the texts are their names.
    Reordered,
    /// The name of this member is spelled in another way, such as `"\u0061"` for `"a"`; the texts are
    /// the names.
    Renamed,
}

impl Diff {
    /// Compares two values; `None` stands for a key that has none. A megabyte takes some tens of
    /// milliseconds, and not much more where the two have little in common.
    pub fn between(old: Option<&[u8]>, new: Option<&[u8]>, masking: &Masking) -> Self {
        Self {
            by_path: by_path::changes(old, new, masking),
            by_line: LineDiff::between(old, new, masking),
            is_empty: old == new,
        }
    }

    /// Whether the values are the same to the byte.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }
}

#[cfg(test)]
mod tests;
