//! Joining two changes of one value: base, mine and theirs.
//!
//! JSON is joined by path, arrays by element, other text by line, bytes not at all. What only one
//! side changed is taken from it and listed for approval; what both changed to the same is taken;
//! what both changed otherwise is a conflict and needs a [`Choice`]. Unless mine did not change at
//! all, the result has the white space of mine. A key that is gone on one side, or was made by both,
//! is a conflict over the whole value.

mod by_line;
mod by_path;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

use super::excerpt::Excerpt;
use super::hex;
use super::json::{Fault, fault};
use super::layout::{self, transfer};
use super::path::Path;
use super::secrets::Masking;

use rows::{Rows, Sides};

/// Two changes of one value, being joined.
#[derive(Clone)]
pub struct Merge {
    sides: Sides<Option<Bytes>>,
    masking: Masking,
    by: By,
    rows: Vec<Row>,
}

/// How the sides are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Path,
    Line,
    /// Not at all. The texts are hexadecimal where one of the sides is no text.
    Value {
        hex: bool,
    },
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
    /// At some elements of an array of mine: the first, from 0, and how many. None: before that one.
    Elements {
        /// The array.
        array: Path,
        /// The first element, from 0.
        first: usize,
        /// How many.
        count: usize,
    },
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
#[derive(Clone, PartialEq, Eq)]
pub enum Choice {
    /// What stands in mine; nothing, if there is nothing.
    Mine,
    /// What stands in theirs; nothing, if there is nothing.
    Theirs,
    /// This text instead: JSON at a path, elements with commas between them for elements of an
    /// array, whole lines for lines; for a whole value in the form that the row shows.
    Text(String),
}

/// What comes of a merge.
#[derive(Clone, PartialEq, Eq)]
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
    /// The text can't stand there.
    #[error("line {}, column {}: {}", .0.line, .0.column, .0.what)]
    Text(Fault),
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
        let sides = Sides { base, mine, theirs };
        let texts = sides.each(|side| {
            side.as_ref()
                .and_then(|side| std::str::from_utf8(side).ok())
        });
        let by = if !texts.all(Option::is_some) {
            By::Value {
                hex: !sides.all(|side| {
                    side.as_ref()
                        .is_none_or(|side| std::str::from_utf8(side).is_ok())
                }),
            }
        } else if texts.all(|text| text.is_some_and(|text| fault(text).is_none())) {
            By::Path
        } else {
            By::Line
        };
        let mut merge = Self {
            sides,
            masking,
            by,
            rows: Vec::new(),
        };
        let (_, rows) = merge.join();
        merge.rows = rows;
        merge
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
    /// [`MergeError::Text`] for a text that can't stand there, [`MergeError::NoRow`].
    pub fn choose(&mut self, row: usize, choice: Choice) -> Result<(), MergeError> {
        let row = self.rows.get_mut(row).ok_or(MergeError::NoRow)?;
        if let Choice::Text(text) = &choice {
            let wrong = match &row.place {
                Place::Path(_) => fault(text),
                Place::Elements { .. } => fault(&format!("[{text}]")),
                Place::Whole if self.by == (By::Value { hex: true }) => hex::parse(text).err(),
                Place::Whole | Place::Lines { .. } => None,
            };
            if let Some(wrong) = wrong {
                return Err(MergeError::Text(wrong));
            }
        }
        row.choice = Some(choice);
        Ok(())
    }

    /// The text that [`Choice::Text`] may begin with: what was chosen, or mine at that row, or else
    /// theirs, laid out where it is JSON. It holds secrets in clear.
    pub fn draft_of(&self, row: usize) -> Option<String> {
        let row = self.rows.get(row)?;
        let side = match &row.choice {
            Some(Choice::Text(text)) => return Some(text.clone()),
            Some(Choice::Theirs) => &row.theirs,
            Some(Choice::Mine) | None => &row.mine,
        };
        let side = side.as_ref().or(row.mine.as_ref()).or(row.theirs.as_ref());
        let text = side.map_or("", Excerpt::revealed);
        Some(match row.place {
            Place::Path(_) => layout::pretty(text).unwrap_or_else(|_| text.to_owned()),
            _ => text.to_owned(),
        })
    }

    /// What comes of it.
    ///
    /// # Errors
    /// [`MergeError::Unresolved`].
    pub fn result(&self) -> Result<Merged, MergeError> {
        match self.unresolved() {
            0 => Ok(self.join().0.map_or(Merged::Gone, Merged::Value)),
            open => Err(MergeError::Unresolved(open)),
        }
    }

    /// Joins the sides by the choices that are there.
    fn join(&self) -> (Option<Bytes>, Vec<Row>) {
        let mut rows = Rows::new(&self.rows, &self.masking);
        let texts = self.sides.each(|side| {
            let side = side.as_deref().unwrap_or_default();
            std::str::from_utf8(side).unwrap_or_default()
        });
        let joined = match self.by {
            By::Path => by_path::join(texts, &mut rows)
                .and_then(|joined| transfer(texts.mine, &joined))
                .map(Bytes::from),
            By::Line => Some(by_line::join(texts, &mut rows).into()),
            By::Value { hex } => rows.whole(&self.sides, hex),
        };
        let rows = rows.into_all();
        // The other side to the byte, its white space too.
        let only_theirs = self.sides.mine == self.sides.base
            && rows.iter().all(|row| row.choice == Some(Choice::Theirs));
        if only_theirs {
            return (self.sides.theirs.clone(), rows);
        }
        (joined, rows)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Elements {
                array,
                first,
                count,
            } => {
                if !array.steps().is_empty() {
                    array.fmt(f)?;
                }
                match count {
                    0 => write!(f, "[before {first}]"),
                    1 => write!(f, "[{first}]"),
                    _ => write!(f, "[{first}..={}]", first + count - 1),
                }
            }
            Self::Lines { first, count } => match count {
                0 => write!(f, "before line {first}"),
                1 => write!(f, "line {first}"),
                _ => write!(f, "lines {first} to {}", first + count - 1),
            },
            Self::Whole => f.write_str("the whole value"),
        }
    }
}

/// Says nothing of the values: they may be secret.
impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge")
            .field("by", &self.by)
            .field("rows", &self.rows.len())
            .field("unresolved", &self.unresolved())
            .finish_non_exhaustive()
    }
}

/// Says nothing of a text: it may be secret.
impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mine => "Mine",
            Self::Theirs => "Theirs",
            Self::Text(_) => "Text",
        })
    }
}

/// Says nothing of the value: it may be secret.
impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "Value({} bytes)", value.len()),
            Self::Gone => f.write_str("Gone"),
        }
    }
}
