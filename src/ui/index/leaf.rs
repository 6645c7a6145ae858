//! A leaf: up to 128 keys in order, their texts behind each other in one string.
//!
//! A row is a number within the leaf. That every row here is in the right order, and that counts
//! outside agree with [`Leaf::shown`], is up to the [`Spine`](super::spine::Spine).

use super::bits::Bits;
use super::meta::{Meta, Millis};
use super::path;

/// The time of what never expires.
pub(super) const NEVER: Millis = Millis::MAX;

/// A leaf with more text than this takes no other key.
pub(super) const TEXT_LIMIT: usize = 64 << 10;

/// Some keys in order.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    text: String,
    ends: Vec<u32>,
    metas: Vec<Meta>,
    /// When the rows expire. Empty where none does, as in most buckets.
    expiries: Vec<Millis>,
    /// The rows that the present view shows.
    pub(super) shown: Bits,
    /// The rows that were told in the snapshot `epoch` or after it.
    fresh: Bits,
    epoch: u32,
}

impl Leaf {
    pub(super) const CAPACITY: usize = Bits::CAPACITY;

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn has_room(&self, key: &str) -> bool {
        self.len() < Self::CAPACITY && (self.len() < 2 || self.text.len() + key.len() <= TEXT_LIMIT)
    }

    pub(super) fn key(&self, row: usize) -> &str {
        &self.text[self.start(row)..self.ends[row] as usize]
    }

    pub(super) fn meta(&self, row: usize) -> &Meta {
        &self.metas[row]
    }

    pub(super) fn meta_mut(&mut self, row: usize) -> &mut Meta {
        &mut self.metas[row]
    }

    pub(super) fn expiry(&self, row: usize) -> Millis {
        self.expiries.get(row).copied().unwrap_or(NEVER)
    }

    /// When the first of all rows expires.
    pub(super) fn soonest(&self) -> Millis {
        self.expiries.iter().copied().min().unwrap_or(NEVER)
    }

    /// The first row whose key is not `before`. The keys that are must come first.
    pub(super) fn bound(&self, before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if before(self.key(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The first row that is not before a key, in the order of keys.
    ///
    /// What lies between two rows has in common with the key what both of them have, and in a leaf
    /// that is most of every key: it is not compared again.
    pub(super) fn place_of(&self, key: &str) -> usize {
        let key = key.as_bytes();
        let (mut low, mut high) = (0, self.len());
        let (mut same_low, mut same_high) = (0, 0);
        while low < high {
            let middle = usize::midpoint(low, high);
            let other = &self.text.as_bytes()[self.start(middle)..self.ends[middle] as usize];
            let (order, same) = path::compare_behind(same_low.min(same_high), other, key);
            if order.is_lt() {
                (low, same_low) = (middle + 1, same);
            } else {
                (high, same_high) = (middle, same);
            }
        }
        low
    }

    /// Puts a key in, not shown and not fresh.
    pub(super) fn insert(&mut self, row: usize, key: &str, meta: Meta, expiry: Millis) {
        let (start, length) = (self.start(row), narrow(key.len()));
        reserve(&mut self.ends);
        reserve(&mut self.metas);
        if self.text.capacity() - self.text.len() < key.len() {
            self.text.reserve_exact(key.len().max(self.text.len() / 8));
        }
        self.text.insert_str(start, key);
        self.ends.insert(row, narrow(start));
        self.ends[row..].iter_mut().for_each(|end| *end += length);
        self.metas.insert(row, meta);
        self.shown.insert_row(row);
        self.fresh.insert_row(row);
        if !self.expiries.is_empty() {
            reserve(&mut self.expiries);
            self.expiries.insert(row, NEVER);
        }
        self.set_expiry(row, expiry);
    }

    /// Changes what is known of a key.
    pub(super) fn replace(&mut self, row: usize, meta: Meta, expiry: Millis) {
        let id = self.metas[row].id;
        self.metas[row] = meta;
        self.metas[row].id = id;
        self.set_expiry(row, expiry);
    }

    fn set_expiry(&mut self, row: usize, expiry: Millis) {
        if self.expiries.is_empty() && expiry != NEVER {
            self.expiries.resize(self.len(), NEVER);
        }
        if let Some(place) = self.expiries.get_mut(row) {
            *place = expiry;
        }
    }

    pub(super) fn remove(&mut self, row: usize) {
        let (start, end) = (self.start(row), self.ends[row] as usize);
        self.text.replace_range(start..end, "");
        self.ends.remove(row);
        let length = narrow(end - start);
        self.ends[row..].iter_mut().for_each(|end| *end -= length);
        self.metas.remove(row);
        self.shown.remove_row(row);
        self.fresh.remove_row(row);
        if !self.expiries.is_empty() {
            self.expiries.remove(row);
        }
    }

    /// Takes out all rows but these.
    pub(super) fn retain(&mut self, kept: Bits) {
        let mut rest = Self {
            epoch: self.epoch,
            ..Self::default()
        };
        for (to, row) in kept.iter().enumerate() {
            rest.insert(to, self.key(row), *self.meta(row), self.expiry(row));
            rest.shown.set(to, self.shown.contains(row));
            rest.fresh.set(to, true);
        }
        *self = rest;
    }

    /// Takes out the rows from `row` on, as a leaf of their own.
    pub(super) fn split_off(&mut self, row: usize) -> Self {
        let start = self.start(row);
        let mut right = Self {
            text: self.text.split_off(start),
            ends: self.ends.split_off(row),
            metas: self.metas.split_off(row),
            expiries: self.expiries.split_off(row.min(self.expiries.len())),
            shown: self.shown.split_off(row),
            fresh: self.fresh.split_off(row),
            epoch: self.epoch,
        };
        let start = narrow(start);
        right.ends.iter_mut().for_each(|end| *end -= start);
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.metas.shrink_to_fit();
        self.expiries.shrink_to_fit();
        right
    }

    /// Adds the rows of the leaf behind this one.
    pub(super) fn append(&mut self, mut right: Self, epoch: u32) {
        let (rows, start) = (self.len(), narrow(self.text.len()));
        self.enter(epoch);
        right.enter(epoch);
        self.shown.append(rows, right.shown);
        self.fresh.append(rows, right.fresh);
        if !(self.expiries.is_empty() && right.expiries.is_empty()) {
            self.expiries.resize(rows, NEVER);
            right.expiries.resize(right.len(), NEVER);
            self.expiries.append(&mut right.expiries);
        }
        self.text.push_str(&right.text);
        self.ends.extend(right.ends.iter().map(|end| end + start));
        self.metas.append(&mut right.metas);
    }

    /// The rows that were told in this snapshot or after it.
    pub(super) fn fresh(&self, epoch: u32) -> Bits {
        if self.epoch == epoch {
            self.fresh
        } else {
            Bits::default()
        }
    }

    /// Notes that a row was told in this snapshot or after it; returns whether that is new.
    pub(super) fn freshen(&mut self, row: usize, epoch: u32) -> bool {
        self.enter(epoch);
        let new = !self.fresh.contains(row);
        self.fresh.set(row, true);
        new
    }

    fn enter(&mut self, epoch: u32) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.fresh = Bits::default();
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    pub(super) fn metas(&self) -> &[Meta] {
        &self.metas
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize)
    }
}

/// Makes room for one more, an eighth at a time: doubling would waste a third of all memory.
fn reserve<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(vec.len() / 8 + 1);
    }
}

/// A length within a leaf. No store has a key of 4 GB.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
