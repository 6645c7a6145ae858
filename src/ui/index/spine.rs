//! The order of all keys: a B-tree of three levels, spine, groups and leaves, that counts.
//!
//! Per leaf a group keeps the lower bound of its keys, two counts (the keys that are shown, and
//! the rows that the tree view makes of them) and the first expiry; per group the spine keeps the
//! sums (see `counts`). So finding a key, finding the n-th row and counting a range all look at a few hundred
//! numbers that lie side by side, at any size up to tens of millions of keys.
//!
//! What is shown and what the tree makes of it is decided by the [`KeyIndex`](super::KeyIndex).

mod counts;

use super::Counts;
use super::leaf::{Leaf, NEVER};
use super::meta::{Meta, Millis};
use super::path;

/// A group with more leaves than this is split. Few in tests, so that they come to have many.
const GROUP_CAPACITY: usize = if cfg!(test) { 3 } else { 256 };
/// A leaf with fewer rows than this is joined to a neighbour that has room for it and more.
const FEW_ROWS: usize = Leaf::CAPACITY / 4;

/// How many leaves on a key is still near.
const NEAR: usize = 4;

/// The number of a leaf, which stays the same wherever the leaf moves.
pub(super) type LeafId = u32;

/// The place of a leaf. Valid until a leaf is added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LeafAt {
    group: usize,
    leaf: usize,
}

impl LeafAt {
    pub(super) const FIRST: Self = Self { group: 0, leaf: 0 };
}

/// The place of a key. Valid until a key is added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) leaf: LeafAt,
    pub(super) row: usize,
}

/// What is counted per leaf.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    /// The keys that the present view shows.
    Shown,
    /// The rows that the tree view makes of them.
    Tree,
}

#[derive(Debug, Default)]
struct Group {
    leaves: Vec<LeafId>,
    /// A lower bound of the keys in each leaf, and above all keys in the leaf before it.
    bounds: Vec<Box<str>>,
    /// By [`Count`], per leaf.
    counts: [Vec<u32>; 2],
    /// By [`Count`], the sums.
    sums: [usize; 2],
    /// The first expiry in each leaf.
    expiries: Vec<Millis>,
    /// The first of all.
    soonest: Millis,
}

/// All keys in order.
#[derive(Debug)]
pub(super) struct Spine {
    /// By [`LeafId`].
    leaves: Vec<Leaf>,
    /// The numbers of leaves that are not in use.
    free: Vec<LeafId>,
    /// At least one, and each with at least one leaf; only a single leaf may be empty.
    groups: Vec<Group>,
    /// Where a key was last looked for to write: the next is often near.
    hint: LeafAt,
}

/// A change in which leaf keys are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// The leaf that has keys now which it had not before.
    pub(super) to: LeafAt,
    /// The first of those rows.
    pub(super) from_row: usize,
}

/// Looking.
impl Spine {
    pub(super) fn new() -> Self {
        let group = Group {
            leaves: vec![0],
            bounds: vec!["".into()],
            counts: [vec![0], vec![0]],
            sums: [0, 0],
            expiries: vec![NEVER],
            soonest: NEVER,
        };
        Self {
            leaves: vec![Leaf::default()],
            free: Vec::new(),
            groups: vec![group],
            hint: LeafAt::FIRST,
        }
    }

    pub(super) fn leaf(&self, at: LeafAt) -> &Leaf {
        self.leaf_by_id(self.id(at))
    }

    pub(super) fn leaf_by_id(&self, id: LeafId) -> &Leaf {
        &self.leaves[id as usize]
    }

    pub(super) fn id(&self, at: LeafAt) -> LeafId {
        self.groups[at.group].leaves[at.leaf]
    }

    pub(super) fn key(&self, at: At) -> &str {
        self.leaf(at.leaf).key(at.row)
    }

    /// The place of a key, or where it would have to be put.
    pub(super) fn find(&self, key: &str) -> Result<At, At> {
        let leaf = self.leaf_bound(|other| path::compare(other, key).is_lt());
        let row = self.leaf(leaf).place_of(key);
        self.at_or_place(key, At { leaf, row })
    }

    /// The same, quicker where the key stands a little behind the last one that was looked for.
    pub(super) fn find_to_write(&mut self, key: &str) -> Result<At, At> {
        let before = |other: &str| path::compare(other, key).is_lt();
        let found = match self.leaf_near(self.hint, before) {
            Some(leaf) => {
                let row = self.leaf(leaf).place_of(key);
                self.at_or_place(key, At { leaf, row })
            }
            None => self.find(key),
        };
        self.hint = found.unwrap_or_else(|place| place).leaf;
        found
    }

    /// The leaf with the first place that is not `before`, if it is this one or, in the same
    /// group, a few behind it.
    fn leaf_near(&self, at: LeafAt, before: impl Fn(&str) -> bool) -> Option<LeafAt> {
        let bounds = self.groups.get(at.group)?.bounds.get(at.leaf..)?;
        let (first, rest) = bounds.split_first()?;
        if !before(first) {
            return None;
        }
        let steps = rest.iter().take(NEAR).position(|bound| !before(bound))?;
        Some(LeafAt {
            leaf: at.leaf + steps,
            ..at
        })
    }

    fn at_or_place(&self, key: &str, at: At) -> Result<At, At> {
        // A key that equals the bound of the next leaf is there, not at the end of this one.
        let leaf = self.leaf(at.leaf);
        if at.row < leaf.len() {
            return if leaf.key(at.row) == key {
                Ok(at)
            } else {
                Err(at)
            };
        }
        match self.next_leaf(at.leaf) {
            Some(next) if *self.group_bound(next) == *key => {
                let first = At { leaf: next, row: 0 };
                let leaf = self.leaf(next);
                if leaf.len() > 0 && leaf.key(0) == key {
                    Ok(first)
                } else {
                    Err(first)
                }
            }
            _ => Err(at),
        }
    }

    fn group_bound(&self, at: LeafAt) -> &str {
        &self.groups[at.group].bounds[at.leaf]
    }

    /// The first place whose key is not `before`, perhaps behind the last row of its leaf. The
    /// keys that are must come first.
    pub(super) fn bound(&self, before: impl Fn(&str) -> bool) -> At {
        let leaf = self.leaf_bound(&before);
        At {
            leaf,
            row: self.leaf(leaf).bound(before),
        }
    }

    /// The last leaf whose bound is `before`, or the first of all.
    fn leaf_bound(&self, before: impl Fn(&str) -> bool) -> LeafAt {
        let first_of = |group: &Group| before(&group.bounds[0]);
        let group = self.groups.partition_point(first_of).saturating_sub(1);
        let bounds = &self.groups[group].bounds;
        let leaf = bounds
            .partition_point(|bound| before(bound))
            .saturating_sub(1);
        LeafAt { group, leaf }
    }

    pub(super) fn next_leaf(&self, at: LeafAt) -> Option<LeafAt> {
        if at.leaf + 1 < self.groups[at.group].leaves.len() {
            return Some(LeafAt {
                leaf: at.leaf + 1,
                ..at
            });
        }
        (at.group + 1 < self.groups.len()).then_some(LeafAt {
            group: at.group + 1,
            leaf: 0,
        })
    }

    pub(super) fn previous_leaf(&self, at: LeafAt) -> Option<LeafAt> {
        if let Some(leaf) = at.leaf.checked_sub(1) {
            return Some(LeafAt { leaf, ..at });
        }
        let group = at.group.checked_sub(1)?;
        let leaf = self.groups[group].leaves.len().checked_sub(1)?;
        Some(LeafAt { group, leaf })
    }

    /// The places of all leaves, in order.
    pub(super) fn leaf_places(&self) -> impl Iterator<Item = LeafAt> {
        std::iter::successors(Some(LeafAt::FIRST), |&at| self.next_leaf(at))
    }
}

/// Changing.
impl Spine {
    pub(super) fn leaf_mut(&mut self, at: LeafAt) -> &mut Leaf {
        let id = self.id(at);
        &mut self.leaves[id as usize]
    }

    /// Whether a key can be put into this leaf without [`Spine::split`].
    pub(super) fn has_room(&self, at: LeafAt, key: &str) -> bool {
        self.leaf(at).has_room(key)
    }

    /// Splits a full leaf, so that a key can be put at `at`. The counts of shown keys are right
    /// afterwards; the tree rows are all counted in the left leaf.
    pub(super) fn split(&mut self, at: At) -> Moved {
        let rows = self.leaf(at.leaf).len();
        // Keys that come in order fill their leaves.
        let middle = if at.row == rows { rows - 1 } else { rows / 2 };
        let right = self.leaf_mut(at.leaf).split_off(middle);
        let (left_soonest, left_shown) = {
            let left = self.leaf(at.leaf);
            (left.soonest(), left.shown.len())
        };
        let (soonest, shown) = (right.soonest(), right.shown.len());
        let bound: Box<str> = right.key(0).into();
        let id = self.store(right);
        let to = LeafAt {
            leaf: at.leaf.leaf + 1,
            ..at.leaf
        };
        let group = &mut self.groups[to.group];
        group.leaves.insert(to.leaf, id);
        group.bounds.insert(to.leaf, bound);
        group.counts.iter_mut().for_each(|c| c.insert(to.leaf, 0));
        group.expiries.insert(to.leaf, soonest);
        group.expiries[at.leaf.leaf] = left_soonest;
        self.set_count(Count::Shown, at.leaf, left_shown);
        self.set_count(Count::Shown, to, shown);
        let to = self.split_group(to);
        Moved { to, from_row: 0 }
    }

    /// Splits the group of a leaf if it is too long; returns where the leaf is then.
    fn split_group(&mut self, at: LeafAt) -> LeafAt {
        let group = &mut self.groups[at.group];
        let leaves = group.leaves.len();
        if leaves <= GROUP_CAPACITY {
            return at;
        }
        let middle = if at.leaf + 1 == leaves {
            leaves - 1
        } else {
            leaves / 2
        };
        let mut right = Group {
            leaves: group.leaves.split_off(middle),
            bounds: group.bounds.split_off(middle),
            counts: group.counts.each_mut().map(|c| c.split_off(middle)),
            expiries: group.expiries.split_off(middle),
            ..Group::default()
        };
        group.add_up();
        right.add_up();
        self.groups.insert(at.group + 1, right);
        if at.leaf < middle {
            return at;
        }
        LeafAt {
            group: at.group + 1,
            leaf: at.leaf - middle,
        }
    }

    fn store(&mut self, leaf: Leaf) -> LeafId {
        if let Some(id) = self.free.pop() {
            self.leaves[id as usize] = leaf;
            return id;
        }
        self.leaves.push(leaf);
        u32::try_from(self.leaves.len() - 1).unwrap_or(u32::MAX)
    }

    /// Puts a key in that is not there, not shown. The leaf must have room.
    pub(super) fn insert(&mut self, at: At, key: &str, meta: Meta, expiry: Millis) {
        self.leaf_mut(at.leaf).insert(at.row, key, meta, expiry);
        self.note_expiry(at.leaf, NEVER, expiry);
    }

    /// Changes what is known of a key.
    pub(super) fn replace(&mut self, at: At, meta: Meta, expiry: Millis) {
        let leaf = self.leaf_mut(at.leaf);
        let old = leaf.expiry(at.row);
        leaf.replace(at.row, meta, expiry);
        self.note_expiry(at.leaf, old, expiry);
    }

    /// Takes out a key that is not shown. Other keys may move with it.
    pub(super) fn remove(&mut self, at: At, epoch: u32) -> Option<Moved> {
        let leaf = self.leaf_mut(at.leaf);
        let old = leaf.expiry(at.row);
        leaf.remove(at.row);
        let rows = leaf.len();
        self.note_expiry(at.leaf, old, NEVER);
        if rows == 0 {
            self.drop_leaf(at.leaf);
            return None;
        }
        if rows >= FEW_ROWS {
            return None;
        }
        let left = match at.leaf.leaf.checked_sub(1) {
            Some(leaf) => LeafAt { leaf, ..at.leaf },
            None => at.leaf,
        };
        self.join_next(left, epoch)
    }

    /// Joins a leaf with the next of its group, if the two are small.
    fn join_next(&mut self, left: LeafAt, epoch: u32) -> Option<Moved> {
        let right = LeafAt {
            leaf: left.leaf + 1,
            ..left
        };
        if right.leaf >= self.groups[left.group].leaves.len() {
            return None;
        }
        let (rows, more) = (self.leaf(left), self.leaf(right));
        let text = rows.text().len() + more.text().len();
        let (from_row, sum) = (rows.len(), rows.len() + more.len());
        if sum > Leaf::CAPACITY - FEW_ROWS || text > super::leaf::TEXT_LIMIT / 2 {
            return None;
        }
        let taken = std::mem::take(self.leaf_mut(right));
        for count in [Count::Shown, Count::Tree] {
            let both = self.count(count, left) + self.count(count, right);
            self.set_count(count, left, both);
            self.set_count(count, right, 0);
        }
        self.leaf_mut(left).append(taken, epoch);
        self.drop_leaf(right);
        self.refresh_expiry(left);
        Some(Moved { to: left, from_row })
    }

    /// Takes out an empty leaf, unless it is the last.
    fn drop_leaf(&mut self, at: LeafAt) {
        if self.groups.len() == 1 && self.groups[0].leaves.len() == 1 {
            return;
        }
        let id = self.id(at);
        self.leaves[id as usize] = Leaf::default();
        self.free.push(id);
        let group = &mut self.groups[at.group];
        group.leaves.remove(at.leaf);
        group.bounds.remove(at.leaf);
        for counts in &mut group.counts {
            counts.remove(at.leaf);
        }
        group.expiries.remove(at.leaf);
        if group.leaves.is_empty() {
            self.groups.remove(at.group);
        } else {
            group.add_up();
        }
        self.reset_first_bound();
    }

    /// The first leaf takes every key below its first.
    fn reset_first_bound(&mut self) {
        self.groups[0].bounds[0] = Box::default();
    }

    /// Takes out all keys that were not told in this snapshot or after it, and counts them. The
    /// counts of shown keys are right afterwards, those of tree rows are not.
    pub(super) fn retain_fresh(&mut self, epoch: u32) -> Counts {
        let mut gone = Counts::default();
        let Self {
            leaves,
            free,
            groups,
            ..
        } = self;
        for group in groups.iter_mut() {
            let mut changed = false;
            for (at, &id) in group.leaves.iter().enumerate() {
                let leaf = &mut leaves[id as usize];
                let fresh = leaf.fresh(epoch);
                if fresh.len() == leaf.len() {
                    continue;
                }
                let stale = leaf.metas().iter().enumerate();
                let stale = stale.filter(|&(row, _)| !fresh.contains(row));
                stale.for_each(|(_, meta)| *gone.of(meta) += 1);
                leaf.retain(fresh);
                group.counts[Count::Shown as usize][at] =
                    u32::try_from(leaf.shown.len()).unwrap_or(u32::MAX);
                group.expiries[at] = leaf.soonest();
                changed = true;
            }
            if changed {
                group.drop_empty(leaves, free);
            }
        }
        groups.retain(|group| !group.leaves.is_empty());
        if groups.is_empty() {
            *self = Self::new();
        }
        self.reset_first_bound();
        gone
    }
}

impl Group {
    fn drop_empty(&mut self, leaves: &mut [Leaf], free: &mut Vec<LeafId>) {
        let is_kept: Vec<bool> = self
            .leaves
            .iter()
            .map(|&id| leaves[id as usize].len() > 0)
            .collect();
        let empty = self.leaves.iter().zip(&is_kept).filter(|&(_, &kept)| !kept);
        for (&id, _) in empty {
            leaves[id as usize] = Leaf::default();
            free.push(id);
        }
        retain_where(&mut self.leaves, &is_kept);
        retain_where(&mut self.bounds, &is_kept);
        retain_where(&mut self.expiries, &is_kept);
        for counts in &mut self.counts {
            retain_where(counts, &is_kept);
        }
        self.add_up();
    }

    fn add_up(&mut self) {
        for (sum, counts) in self.sums.iter_mut().zip(&self.counts) {
            *sum = counts.iter().map(|&here| here as usize).sum();
        }
        self.soonest = self.expiries.iter().copied().min().unwrap_or(NEVER);
    }
}

fn retain_where<T>(items: &mut Vec<T>, is_kept: &[bool]) {
    let mut kept = is_kept.iter();
    items.retain(|_| kept.next() == Some(&true));
}
