//! What the spine counts: shown keys, rows of the tree, and the first expiry.

use super::super::bits::Bits;
use super::{At, Count, Leaf, LeafAt, Millis, NEVER, Spine};

/// Counting.
impl Spine {
    pub(in crate::ui::index) fn total(&self, count: Count) -> usize {
        self.groups.iter().map(|g| g.sums[count as usize]).sum()
    }

    pub(in crate::ui::index) fn count(&self, count: Count, at: LeafAt) -> usize {
        self.groups[at.group].counts[count as usize][at.leaf] as usize
    }

    /// How much is counted in the leaves before this one.
    pub(in crate::ui::index) fn before(&self, count: Count, at: LeafAt) -> usize {
        let groups = self.groups[..at.group].iter();
        let leaves = &self.groups[at.group].counts[count as usize][..at.leaf];
        let in_group: u32 = leaves.iter().sum();
        groups.map(|g| g.sums[count as usize]).sum::<usize>() + in_group as usize
    }

    /// How many shown keys stand before this place.
    pub(in crate::ui::index) fn rank(&self, at: At) -> usize {
        let shown = self.leaf(at.leaf).shown;
        self.before(Count::Shown, at.leaf) + shown.and(Bits::below(at.row)).len()
    }

    /// The leaf in which the count passes `n`, and how much of `n` is left within it.
    pub(in crate::ui::index) fn nth_leaf(
        &self,
        count: Count,
        mut n: usize,
    ) -> Option<(LeafAt, usize)> {
        for (group, g) in self.groups.iter().enumerate() {
            if n >= g.sums[count as usize] {
                n -= g.sums[count as usize];
                continue;
            }
            for (leaf, &here) in g.counts[count as usize].iter().enumerate() {
                if n < here as usize {
                    return Some((LeafAt { group, leaf }, n));
                }
                n -= here as usize;
            }
        }
        None
    }

    /// The first leaf from this one on in which there is something to count.
    pub(in crate::ui::index) fn counted_from(&self, count: Count, at: LeafAt) -> Option<LeafAt> {
        let mut from = at.leaf;
        for (group, g) in self.groups.iter().enumerate().skip(at.group) {
            if g.sums[count as usize] > 0 {
                let counts = &g.counts[count as usize][from..];
                if let Some(leaf) = counts.iter().position(|&here| here > 0) {
                    let leaf = from + leaf;
                    return Some(LeafAt { group, leaf });
                }
            }
            from = 0;
        }
        None
    }

    /// The shown key at this place or the next one behind it.
    pub(in crate::ui::index) fn shown_from(&self, at: At) -> Option<At> {
        if let Some(row) = self.leaf(at.leaf).shown.first_from(at.row) {
            return Some(At { row, ..at });
        }
        let leaf = self.counted_from(Count::Shown, self.next_leaf(at.leaf)?)?;
        let row = self.leaf(leaf).shown.first_from(0)?;
        Some(At { leaf, row })
    }

    /// The last shown key before this place.
    pub(in crate::ui::index) fn shown_before(&self, at: At) -> Option<At> {
        if let Some(row) = self.leaf(at.leaf).shown.last_below(at.row) {
            return Some(At { row, ..at });
        }
        let mut until = at.leaf.leaf;
        for (group, g) in self.groups[..=at.leaf.group].iter().enumerate().rev() {
            let counts = &g.counts[Count::Shown as usize];
            let until = std::mem::replace(&mut until, usize::MAX).min(counts.len());
            if g.sums[Count::Shown as usize] == 0 {
                continue;
            }
            if let Some(leaf) = counts[..until].iter().rposition(|&here| here > 0) {
                let leaf = LeafAt { group, leaf };
                let row = self.leaf(leaf).shown.last_below(Leaf::CAPACITY)?;
                return Some(At { leaf, row });
            }
        }
        None
    }

    pub(in crate::ui::index) fn set_count(&mut self, count: Count, at: LeafAt, to: usize) {
        let group = &mut self.groups[at.group];
        let place = &mut group.counts[count as usize][at.leaf];
        let sum = &mut group.sums[count as usize];
        *sum = *sum + to - *place as usize;
        *place = u32::try_from(to).unwrap_or(u32::MAX);
    }
}

/// Expiries.
impl Spine {
    /// When the first of all keys expires.
    pub(in crate::ui::index) fn soonest(&self) -> Millis {
        let soonest = self.groups.iter().map(|group| group.soonest).min();
        soonest.unwrap_or(NEVER)
    }

    /// A key that expires at this time or before.
    pub(in crate::ui::index) fn expired(&self, by: Millis) -> Option<At> {
        let group = self.groups.iter().position(|group| group.soonest <= by)?;
        let expiries = &self.groups[group].expiries;
        let leaf = expiries.iter().position(|&expiry| expiry <= by)?;
        let leaf = LeafAt { group, leaf };
        let rows = self.leaf(leaf);
        let row = (0..rows.len()).find(|&row| rows.expiry(row) <= by)?;
        Some(At { leaf, row })
    }

    /// A row of this leaf expired at `old`, and now at `new`.
    pub(super) fn note_expiry(&mut self, at: LeafAt, old: Millis, new: Millis) {
        let group = &mut self.groups[at.group];
        if old != NEVER && old <= group.expiries[at.leaf] {
            self.refresh_expiry(at);
        } else if new < group.expiries[at.leaf] {
            group.expiries[at.leaf] = new;
            group.soonest = group.soonest.min(new);
        }
    }

    pub(super) fn refresh_expiry(&mut self, at: LeafAt) {
        let soonest = self.leaf(at).soonest();
        let group = &mut self.groups[at.group];
        group.expiries[at.leaf] = soonest;
        group.soonest = group.expiries.iter().copied().min().unwrap_or(NEVER);
    }
}
