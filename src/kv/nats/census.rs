//! Counting the different keys that were told, without keeping their names. Pure.
//!
//! A stream tells how many subjects it has. That fewer are there than were told is the one sign of a
//! key that was purged by hand while others were written.
//!
//! A key's hash of 64 bits stands for it, in eight bytes. Half of that would do to find most of a
//! million keys, but not all: one time in a thousand two of them would pass for one.

use std::hash::{BuildHasher as _, RandomState};

/// How full a table gets, in eighths, before the next one is begun.
const FULL: usize = 7;
/// For how many keys there is room in the smallest table.
const SMALLEST: usize = 512;

/// Which keys were told, to be counted. Two keys of which all 64 bits fall together count as one: the
/// count is never too high.
#[derive(Debug, Default)]
pub(super) struct Census {
    hasher: RandomState,
    /// Those of the keys that are being taken in; kept for its room alone.
    hashes: Vec<u64>,
    /// Each for more keys than the one before; all but the last are full.
    tables: Vec<Table>,
    count: u64,
}

#[derive(Debug)]
struct Table {
    /// 0 stands for nobody.
    slots: Box<[u64]>,
    used: usize,
}

impl Census {
    /// Begins anew, with room for as many keys as there seem to be.
    pub(super) fn begin(&mut self, expected: u64) {
        let expected = usize::try_from(expected).unwrap_or(0);
        self.tables = vec![Table::for_keys(expected + expected / 64)];
        self.count = 0;
    }

    /// Takes in keys that were told.
    pub(super) fn note<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.extend(keys.into_iter().map(|key| self.hasher.hash_one(key)));
        // In a large table hardly any place is in the processor's caches. Looked at in one go, where
        // none waits for what another held, they come side by side; one by one they cost more than
        // everything else here.
        if let Some(last) = self.tables.last() {
            let begins = hashes.iter().map(|&hash| last.begin_of(hash));
            let slots = begins.filter_map(|begin| last.slots.get(begin));
            std::hint::black_box(slots.fold(0, |seen, slot| seen ^ slot));
        }
        for hash in hashes.drain(..) {
            self.note_hash(hash);
        }
        self.hashes = hashes;
    }

    fn note_hash(&mut self, hash: u64) {
        let Some((last, full)) = self.tables.split_last_mut() else {
            return;
        };
        if full.iter().any(|table| table.find(hash).is_none()) {
            return;
        }
        let Some(free) = last.find(hash) else {
            return;
        };
        if last.is_full() {
            let mut next = Table::for_keys(last.slots.len() * 2);
            next.put(next.find(hash), hash);
            self.tables.push(next);
        } else {
            last.put(Some(free), hash);
        }
        self.count += 1;
    }

    /// How many different keys were told, since it was begun.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl Table {
    fn for_keys(keys: usize) -> Self {
        let slots = keys.max(SMALLEST) / FULL * 8 + 8;
        Self {
            slots: vec![0; slots].into_boxed_slice(),
            used: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.used >= self.slots.len() / 8 * FULL
    }

    /// The place for a key that is not there yet; `None` if it is.
    fn find(&self, hash: u64) -> Option<usize> {
        let wanted = mark_of(hash);
        let begin = self.begin_of(hash);
        let (before, from) = self.slots.split_at(begin);
        let places = (begin..).zip(from).chain((0..).zip(before));
        for (place, slot) in places {
            match *slot {
                0 => return Some(place),
                slot if slot == wanted => return None,
                _ => {}
            }
        }
        None
    }

    fn put(&mut self, place: Option<usize>, hash: u64) {
        if let Some(slot) = place.and_then(|place| self.slots.get_mut(place)) {
            *slot = mark_of(hash);
            self.used += 1;
        }
    }

    /// Where to begin to look: the hash, as a fraction of the whole table.
    fn begin_of(&self, hash: u64) -> usize {
        let place = (u128::from(hash) * self.slots.len() as u128) >> 64;
        usize::try_from(place).unwrap_or(0)
    }
}

/// What to look for: the hash, but never what stands for nobody.
fn mark_of(hash: u64) -> u64 {
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(expected: u64, keys: u64) -> Census {
        let mut census = Census::default();
        census.begin(expected);
        for round in 0..2 {
            let names: Vec<_> = (0..keys)
                .map(|key| format!("services.{key}.endpoint"))
                .collect();
            for some in names.chunks(1000) {
                census.note(some.iter().map(String::as_str));
            }
            assert_eq!(census.count(), keys, "round {round}");
        }
        census
    }

    #[test]
    fn each_key_counts_once_however_many_were_expected() {
        for expected in [0, 1000, 100_000, u64::MAX / 1_000_000_000_000] {
            counted(expected, 20_000);
        }
        let mut census = counted(10, 10);
        census.begin(10);
        assert_eq!(census.count(), 0);
        census.note(["a"]);
        assert_eq!(census.count(), 1);
    }

    #[test]
    fn neighbours_with_half_a_hash_in_common_are_two() {
        let mut census = Census::default();
        census.begin(0);
        let half = 0x5eed_cafe;
        for upper in 0..4_u64 {
            census.note_hash(upper << 32 | half);
        }
        assert_eq!(census.count(), 4);
    }

    #[test]
    fn a_million_keys_cost_less_than_ten_megabytes() {
        let census = counted(200_000, 200_000);
        let slots: usize = census.tables.iter().map(|table| table.slots.len()).sum();
        assert!(slots * size_of::<u64>() * 5 < 10 << 20, "{slots} slots");
    }
}
