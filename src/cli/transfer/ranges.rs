//! Sets of numbers that come nearly in order, kept as ranges: few, however many numbers there are.
//!
//! An import keeps two of them. The revisions that it has written itself, so that a later line of the
//! same key is told from a write by somebody else; there are gaps only where others write at the same
//! time. And the lines that are done before an earlier one is.

use std::collections::BTreeMap;

/// A set of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// From the first of each range to its last. They neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// The set with these ranges, the ends included.
    pub(super) fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self {
            ranges: ranges.into_iter().collect(),
        }
    }

    /// The ranges, the ends included.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        self.ranges.iter().map(|(from, to)| (*from, *to)).collect()
    }

    /// Takes a number in.
    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let (mut from, mut to) = (number, number);
        if let Some((&before, &end)) = self.ranges.range(..number).next_back()
            && end + 1 == number
        {
            from = before;
        }
        if let Some(end) = number
            .checked_add(1)
            .and_then(|next| self.ranges.remove(&next))
        {
            to = end;
        }
        self.ranges.insert(from, to);
    }

    /// Whether the number is in it.
    pub(super) fn contains(&self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back();
        before.is_some_and(|(_, end)| *end >= number)
    }

    /// Drops the ranges that end at this number or before.
    pub(super) fn forget_up_to(&mut self, number: u64) {
        while let Some(range) = self.ranges.first_entry()
            && *range.get() <= number
        {
            range.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_nothing_else(all in prop::collection::vec(0..60_u64, 0..60)) {
            let mut set = Ranges::default();
            for number in &all {
                set.insert(*number);
            }
            let numbers: BTreeSet<u64> = all.into_iter().collect();
            for number in 0..62 {
                prop_assert_eq!(set.contains(number), numbers.contains(&number));
            }
            let ranges = set.ranges();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", ranges);
            prop_assert_eq!(Ranges::of(ranges), set.clone());
            set.forget_up_to(30);
            prop_assert!((31..62).all(|number| set.contains(number) == numbers.contains(&number)));
            prop_assert!(set.ranges().iter().all(|(_, end)| *end > 30));
        }
    }
}
