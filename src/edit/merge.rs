//! Joining two changes of one value: base, mine and theirs.
//!
//! JSON is joined by path, other text and arrays by line, bytes not at all. What only one side
//! changed is taken from it and listed for approval; what both changed to the same is taken; what
//! both changed otherwise is a conflict, and needs a [`Choice`]. The result has the white space of
//! mine. A key that is gone on one side is a conflict over the whole value.

use bytes::Bytes;

use super::excerpt::Excerpt;
use super::path::Path;
use super::secrets::Masking;

/// Two changes of one value, being joined.
#[derive(Debug, Clone)]
pub struct Merge {
    base: Option<Bytes>,
    mine: Option<Bytes>,
    theirs: Option<Bytes>,
    masking: Masking,
    rows: Vec<Row>,
}

/// One place where the sides differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where.
    pub place: Place,
    /// Who changed it.
    pub origin: Origin,
    /// What stands there in the base; `None` where there is nothing.
    pub base: Option<Excerpt>,
    /// What stands there in mine.
    pub mine: Option<Excerpt>,
    /// What stands there in theirs.
    pub theirs: Option<Excerpt>,
    /// What was chosen. Where only one side changed it, that side is chosen from the start.
    pub choice: Option<Choice>,
}

/// Where in a value a [`Row`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At a path of a JSON value.
    Path(Path),
    /// At some lines of mine: the first, from 1, and how many. None: before that line.
    Lines {
        /// The first line, from 1.
        first: usize,
        /// How many.
        count: usize,
    },
    /// Everywhere.
    Whole,
}

/// Who changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Mine alone.
    Mine,
    /// Theirs alone.
    Theirs,
    /// Both, to the same.
    Both,
    /// Both, each to something else.
    Conflict,
}

/// What to take at a [`Row`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// What stands in mine; nothing, if there is nothing.
    Mine,
    /// What stands in theirs; nothing, if there is nothing.
    Theirs,
    /// This text instead. At a path it must be JSON.
    Text(String),
}

/// What comes of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The key has this value.
    Value(Bytes),
    /// The key has none.
    Gone,
}

/// Why a merge has no result, or a choice can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// So many rows need a choice first.
    #[error("{0} to choose")]
    Unresolved(usize),
    /// The text for a path is not JSON.
    #[error("line {}, column {}: {}", .0.line, .0.column, .0.what)]
    NotJson(super::Fault),
    /// There is no such row.
    #[error("there is no such row")]
    NoRow,
}

impl Merge {
    /// Joins two changes of the base. `None` stands for a key that has no value. Takes as long as
    /// [`Diff::between`](super::Diff::between).
    pub fn new(
        base: Option<Bytes>,
        mine: Option<Bytes>,
        theirs: Option<Bytes>,
        masking: Masking,
    ) -> Self {
        Self {
            base,
            mine,
            theirs,
            masking,
            rows: Vec::new(),
        }
    }

    /// The places where the sides differ, in the order of the result.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many rows need a choice.
    pub fn unresolved(&self) -> usize {
        self.rows.iter().filter(|row| row.choice.is_none()).count()
    }

    /// Takes a choice for a row, be it a conflict or not.
    ///
    /// # Errors
    /// [`MergeError::NotJson`] for a text that can't stand at a path, [`MergeError::NoRow`].
    pub fn choose(&mut self, row: usize, choice: Choice) -> Result<(), MergeError> {
        self.rows.get_mut(row).ok_or(MergeError::NoRow)?.choice = Some(choice);
        Ok(())
    }

    /// The text that [`Choice::Text`] may begin with: mine at that row, or else theirs, laid out over
    /// several lines if it is long.
    pub fn draft_of(&self, row: usize) -> Option<String> {
        let row = self.rows.get(row)?;
        let side = row.mine.as_ref().or(row.theirs.as_ref());
        Some(side.map_or_else(String::new, |text| text.revealed().to_owned()))
    }

    /// What comes of it.
    ///
    /// # Errors
    /// [`MergeError::Unresolved`].
    pub fn result(&self) -> Result<Merged, MergeError> {
        match self.unresolved() {
            0 => Ok(self.mine.clone().map_or(Merged::Gone, Merged::Value)),
            open => Err(MergeError::Unresolved(open)),
        }
    }
}
