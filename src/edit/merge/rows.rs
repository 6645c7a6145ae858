//! The rows of a merge as they are found, each with the choice that was made for it.

use bytes::Bytes;

use super::{Choice, Origin, Place, Row};
use crate::edit::excerpt::Excerpt;
use crate::edit::hex;
use crate::edit::secrets::Masking;

/// Something of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sides<T> {
    pub(super) base: T,
    pub(super) mine: T,
    pub(super) theirs: T,
}

impl<T> Sides<T> {
    pub(super) fn each<'s, U>(&'s self, make: impl Fn(&'s T) -> U) -> Sides<U> {
        Sides {
            base: make(&self.base),
            mine: make(&self.mine),
            theirs: make(&self.theirs),
        }
    }

    pub(super) fn all(&self, is: impl Fn(&T) -> bool) -> bool {
        is(&self.base) && is(&self.mine) && is(&self.theirs)
    }
}

impl<T: PartialEq> Sides<T> {
    /// Who changed it; `None` if nobody did.
    pub(super) fn origin(&self) -> Option<Origin> {
        match (self.mine == self.base, self.theirs == self.base) {
            (true, true) => None,
            (false, true) => Some(Origin::Mine),
            (true, false) => Some(Origin::Theirs),
            (false, false) if self.mine == self.theirs => Some(Origin::Both),
            (false, false) => Some(Origin::Conflict),
        }
    }
}

/// The rows as far as they were found.
#[derive(Debug)]
pub(super) struct Rows<'m> {
    /// The rows of the last time: the same ones, with what was chosen since.
    before: &'m [Row],
    found: Vec<Row>,
    pub(super) masking: &'m Masking,
}

impl<'m> Rows<'m> {
    pub(super) fn new(before: &'m [Row], masking: &'m Masking) -> Self {
        Self {
            before,
            found: Vec::new(),
            masking,
        }
    }

    /// Adds a row, and says what to take there. What is not chosen yet counts as mine.
    pub(super) fn add(
        &mut self,
        place: Place,
        origin: Origin,
        texts: Sides<Option<Excerpt>>,
    ) -> Choice {
        let choice = match self.before.get(self.found.len()) {
            Some(before) => before.choice.clone(),
            None => match origin {
                Origin::Mine | Origin::Both => Some(Choice::Mine),
                Origin::Theirs => Some(Choice::Theirs),
                Origin::Conflict => None,
            },
        };
        self.found.push(Row {
            place,
            origin,
            base: texts.base,
            mine: texts.mine,
            theirs: texts.theirs,
            choice: choice.clone(),
        });
        choice.unwrap_or(Choice::Mine)
    }

    /// Joins values that can only be taken as they are.
    pub(super) fn whole(&mut self, sides: &Sides<Option<Bytes>>, in_hex: bool) -> Option<Bytes> {
        let Some(origin) = sides.origin() else {
            return sides.mine.clone();
        };
        let texts = sides.each(|side| side.as_deref().map(|side| self.excerpt(side, in_hex)));
        match self.add(Place::Whole, origin, texts) {
            Choice::Mine => sides.mine.clone(),
            Choice::Theirs => sides.theirs.clone(),
            Choice::Text(text) if in_hex => hex::parse(&text).ok().map(Bytes::from),
            Choice::Text(text) => Some(text.into()),
        }
    }

    fn excerpt(&self, value: &[u8], in_hex: bool) -> Excerpt {
        match std::str::from_utf8(value) {
            Ok(text) if !in_hex => Excerpt::new(text, self.masking),
            _ if self.masking.finds_any(value) => Excerpt::secret(hex::dump(value)),
            _ => Excerpt::open(hex::dump(value)),
        }
    }

    pub(super) fn into_all(self) -> Vec<Row> {
        self.found
    }
}
