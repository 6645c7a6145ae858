//! A set of rows of one leaf, as bits. Nothing here knows what the rows are.

/// A set of rows, all below [`Bits::CAPACITY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bits(u128);

impl Bits {
    /// How many rows a set can tell apart.
    pub(super) const CAPACITY: usize = u128::BITS as usize;

    /// The rows before this one.
    pub(super) fn below(row: usize) -> Self {
        match bit(row) {
            0 => Self(u128::MAX),
            bit => Self(bit - 1),
        }
    }

    pub(super) fn contains(self, row: usize) -> bool {
        self.0 & bit(row) != 0
    }

    pub(super) fn set(&mut self, row: usize, member: bool) {
        if member {
            self.0 |= bit(row);
        } else {
            self.0 &= !bit(row);
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Makes members of those of the first `rows` rows that were none, and the other way round.
    pub(super) fn complement(&mut self, rows: usize) {
        self.0 = !self.0 & Self::below(rows).0;
    }

    /// Makes place for a row that is not a member: it and those behind it move up by one.
    pub(super) fn insert_row(&mut self, row: usize) {
        let below = Self::below(row).0;
        self.0 = (self.0 & below) | ((self.0 & !below) << 1);
    }

    /// Takes a row out: those behind it move down by one.
    pub(super) fn remove_row(&mut self, row: usize) {
        let below = Self::below(row).0;
        self.0 = (self.0 & below) | ((self.0 >> 1) & !below);
    }

    /// Takes out the rows from `row` on, as a set of its own that counts from there.
    pub(super) fn split_off(&mut self, row: usize) -> Self {
        let behind = u32::try_from(row)
            .ok()
            .and_then(|by| self.0.checked_shr(by))
            .unwrap_or(0);
        self.0 &= Self::below(row).0;
        Self(behind)
    }

    /// Adds the rows of another set behind the first `row` ones.
    pub(super) fn append(&mut self, row: usize, other: Self) {
        let behind = u32::try_from(row)
            .ok()
            .and_then(|by| other.0.checked_shl(by))
            .unwrap_or(0);
        self.0 |= behind;
    }

    /// The member with `n` members before it.
    pub(super) fn nth(self, n: usize) -> Option<usize> {
        self.iter().nth(n)
    }

    /// The first member from `row` on.
    pub(super) fn first_from(self, row: usize) -> Option<usize> {
        Self(self.0 & !Self::below(row).0).iter().next()
    }

    /// The last member before `row`.
    pub(super) fn last_below(self, row: usize) -> Option<usize> {
        let below = self.0 & Self::below(row).0;
        below.checked_ilog2().map(|row| row as usize)
    }

    /// The members, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let first = (rest != 0).then(|| rest.trailing_zeros() as usize);
            rest &= rest.wrapping_sub(1);
            first
        })
    }
}

/// The bit of a row; none beyond the capacity.
fn bit(row: usize) -> u128 {
    u32::try_from(row)
        .ok()
        .and_then(|by| 1_u128.checked_shl(by))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from_model(model: &[bool]) -> Bits {
        let mut bits = Bits::default();
        for (row, &member) in model.iter().enumerate() {
            bits.set(row, member);
        }
        bits
    }

    proptest! {
        #[test]
        fn rows_move_as_in_a_vector(
            mut model in prop::collection::vec(any::<bool>(), 0..Bits::CAPACITY),
            row in 0..=Bits::CAPACITY,
        ) {
            let row = row.min(model.len());
            let mut bits = from_model(&model);
            prop_assert_eq!(bits.first_from(row), (row..model.len()).find(|&at| model[at]));
            prop_assert_eq!(bits.last_below(row), (0..row).rev().find(|&at| model[at]));
            prop_assert_eq!(bits.nth(row), (0..model.len()).filter(|&at| model[at]).nth(row));

            bits.insert_row(row);
            model.insert(row, false);
            prop_assert_eq!(bits, from_model(&model));
            bits.set(row, true);
            model[row] = true;
            prop_assert_eq!(bits, from_model(&model));

            let mut front = bits;
            let behind = front.split_off(row);
            prop_assert_eq!(front, from_model(&model[..row]));
            prop_assert_eq!(behind, from_model(&model[row..]));
            front.append(row, behind);
            prop_assert_eq!(front, bits);

            bits.remove_row(row);
            model.remove(row);
            prop_assert_eq!(bits, from_model(&model));
        }
    }
}
