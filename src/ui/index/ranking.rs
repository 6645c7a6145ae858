//! An order of rows by a number: revision, time or size.
//!
//! A sorted list in blocks. A row is known here by a number of its own, its *id*; the ranking
//! knows in which leaf each id is at home. What the numbers mean is the caller's.

use super::spine::LeafId;

/// A block with more rows than this is split.
const CAPACITY: usize = 512;
/// How full blocks are built, so that the first changes find room.
const BUILT: usize = 480;

#[derive(Debug, Default)]
struct Block {
    values: Vec<u64>,
    ids: Vec<u32>,
}

impl Block {
    fn last(&self) -> Option<(u64, u32)> {
        self.values.last().copied().zip(self.ids.last().copied())
    }

    /// The place of a row, or where it would have to be put.
    fn find(&self, value: u64, id: u32) -> usize {
        let low = self.values.partition_point(|&other| other < value);
        let same = self.values[low..].partition_point(|&other| other == value);
        low + self.ids[low..low + same].partition_point(|&other| other < id)
    }
}

/// Rows by value, and by id where values are equal.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    blocks: Vec<Block>,
    /// By id.
    home: Vec<LeafId>,
    /// Ids that are not in use.
    free: Vec<u32>,
}

impl Ranking {
    /// The order of these rows, each with its value and id. `home` has the leaf of each id.
    pub(super) fn new(mut rows: Vec<(u64, u32)>, home: Vec<LeafId>) -> Self {
        rows.sort_unstable();
        let block = |rows: &[(u64, u32)]| Block {
            values: rows.iter().map(|&(value, _)| value).collect(),
            ids: rows.iter().map(|&(_, id)| id).collect(),
        };
        Self {
            blocks: rows.chunks(BUILT).map(block).collect(),
            home,
            free: Vec::new(),
        }
    }

    /// Puts a row in; returns its id.
    pub(super) fn insert(&mut self, value: u64, home: LeafId) -> u32 {
        let id = if let Some(id) = self.free.pop() {
            self.home[id as usize] = home;
            id
        } else {
            self.home.push(home);
            u32::try_from(self.home.len() - 1).unwrap_or(u32::MAX)
        };
        self.put(value, id);
        id
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, value: u64, id: u32) {
        self.take(value, id);
        self.free.push(id);
    }

    /// Moves a row to another value.
    pub(super) fn change(&mut self, id: u32, old: u64, new: u64) {
        if old != new {
            self.take(old, id);
            self.put(new, id);
        }
    }

    /// Notes that a row is in another leaf now.
    pub(super) fn move_home(&mut self, id: u32, home: LeafId) {
        self.home[id as usize] = home;
    }

    /// The leaf where a row is.
    pub(super) fn home(&self, id: u32) -> LeafId {
        self.home[id as usize]
    }

    /// How many rows stand before this one.
    pub(super) fn rank(&self, value: u64, id: u32) -> usize {
        let block = self.block_of(value, id);
        let before = self.blocks[..block].iter().map(|block| block.ids.len());
        let within = self.blocks.get(block).map_or(0, |b| b.find(value, id));
        before.sum::<usize>() + within
    }

    /// The ids from the n-th row on.
    pub(super) fn ids_from(&self, mut n: usize) -> impl Iterator<Item = u32> {
        let block = self.blocks.iter().position(|block| {
            let here = n < block.ids.len();
            if !here {
                n -= block.ids.len();
            }
            here
        });
        let blocks = &self.blocks[block.unwrap_or(self.blocks.len())..];
        blocks
            .iter()
            .flat_map(|block| block.ids.iter().copied())
            .skip(n)
    }

    fn block_of(&self, value: u64, id: u32) -> usize {
        let before = |block: &Block| block.last() < Some((value, id));
        self.blocks.partition_point(before)
    }

    fn put(&mut self, value: u64, id: u32) {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let at = self.block_of(value, id).min(self.blocks.len() - 1);
        let block = &mut self.blocks[at];
        let row = block.find(value, id);
        block.values.insert(row, value);
        block.ids.insert(row, id);
        if block.ids.len() > CAPACITY {
            // Rows that come in order fill their blocks.
            let middle = if row == CAPACITY { BUILT } else { CAPACITY / 2 };
            let right = Block {
                values: block.values.split_off(middle),
                ids: block.ids.split_off(middle),
            };
            self.blocks.insert(at + 1, right);
        }
    }

    fn take(&mut self, value: u64, id: u32) {
        let at = self.block_of(value, id);
        let Some(block) = self.blocks.get_mut(at) else {
            return;
        };
        let row = block.find(value, id);
        if block.ids.get(row) != Some(&id) {
            return;
        }
        block.values.remove(row);
        block.ids.remove(row);
        if block.ids.len() < CAPACITY / 8 {
            self.join_next(at);
        }
    }

    /// Joins a small block with the next one, if that has room for it.
    fn join_next(&mut self, at: usize) {
        let rows = self.blocks[at].ids.len();
        let next = self.blocks.get(at + 1).map_or(0, |next| next.ids.len());
        if rows == 0 {
            self.blocks.remove(at);
        } else if next > 0 && rows + next <= CAPACITY / 2 {
            let mut next = self.blocks.remove(at + 1);
            self.blocks[at].values.append(&mut next.values);
            self.blocks[at].ids.append(&mut next.ids);
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
        fn rows_stand_as_in_a_set(
            start in 0..2000_u32,
            changes in prop::collection::vec((0..3_u8, any::<prop::sample::Index>(), 0..50_u64), 0..1500),
        ) {
            let rows: Vec<(u64, u32)> = (0..start).map(|id| (u64::from(id % 7), id)).collect();
            let mut model: BTreeSet<(u64, u32)> = rows.iter().copied().collect();
            let mut ranking = Ranking::new(rows, vec![0; start as usize]);
            let mut ids: Vec<(u64, u32)> = model.iter().copied().collect();
            for (what, which, value) in changes {
                if what == 0 || ids.is_empty() {
                    let id = ranking.insert(value, 0);
                    ids.push((value, id));
                    model.insert((value, id));
                    continue;
                }
                let at = which.index(ids.len());
                let (old, id) = ids[at];
                prop_assert_eq!(ranking.rank(old, id), model.range(..(old, id)).count());
                model.remove(&(old, id));
                if what == 1 {
                    ranking.remove(old, id);
                    ids.swap_remove(at);
                } else {
                    ranking.change(id, old, value);
                    ids[at].0 = value;
                    model.insert((value, id));
                }
            }
            let from = model.len() / 3;
            let expected: Vec<u32> = model.iter().skip(from).map(|&(_, id)| id).collect();
            prop_assert_eq!(ranking.ids_from(from).collect::<Vec<_>>(), expected);
        }
    }
}
