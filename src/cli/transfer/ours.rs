//! The revisions that an import has written itself, so that a later line of the same key is told
//! from a write by somebody else.
//!
//! Revisions are handed out in order, so they are kept as ranges: few, however many keys there are,
//! unless others write at the same time.

use std::collections::BTreeMap;

use crate::kv::Revision;

/// A set of revisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ours {
    /// From the first of each range to its last. They neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl Ours {
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

    /// Takes a revision in.
    pub(super) fn insert(&mut self, Revision(revision): Revision) {
        if self.contains(Revision(revision)) {
            return;
        }
        let (mut from, mut to) = (revision, revision);
        if let Some((&before, &end)) = self.ranges.range(..revision).next_back()
            && end + 1 == revision
        {
            from = before;
        }
        if let Some(end) = revision
            .checked_add(1)
            .and_then(|next| self.ranges.remove(&next))
        {
            to = end;
        }
        self.ranges.insert(from, to);
    }

    /// Whether the revision is in it.
    pub(super) fn contains(&self, Revision(revision): Revision) -> bool {
        let before = self.ranges.range(..=revision).next_back();
        before.is_some_and(|(_, end)| *end >= revision)
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
            let mut ours = Ours::default();
            for revision in &all {
                ours.insert(Revision(*revision));
            }
            let set: BTreeSet<u64> = all.into_iter().collect();
            for revision in 0..62 {
                prop_assert_eq!(ours.contains(Revision(revision)), set.contains(&revision));
            }
            let ranges = ours.ranges();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", ranges);
            prop_assert_eq!(Ours::of(ranges), ours);
        }
    }
}
