//! The key index: what Browse knows of every key of one bucket, and the rows that it shows.
//!
//! [`KeyIndex::apply`] takes what a watch tells; the calls in `view` choose what to show (a
//! filter, an order, flat or as a tree); those in `window` give the few rows that fit on a screen.
//! No terminal, no clock and no IO: time is always passed in. Keys are given out as they are
//! stored; the screen must escape them.
//!
//! Built for millions of keys at a frame's pace. Nothing is sorted or counted anew per batch:
//! - `spine` and `leaf`: the keys in order, in a B-tree that counts, so that the n-th row, the row
//!   of a key and the keys under a prefix are found in microseconds. A leaf holds the texts of its
//!   keys side by side, which also makes them quick to search and cheap to keep.
//! - `tree`: which nodes are open. Nodes are not stored: they are ranges of that order.
//! - `ranking`: the order by revision, age or size, kept only while it is on screen.
//! - `recent`: which rows changed a moment ago.
//! - `query`: the filter. `path`: tokens and their order. `meta`, `bits`: small and packed.

mod bits;
mod leaf;
mod meta;
mod path;
mod query;
mod ranking;
mod recent;
mod spine;
#[cfg(test)]
mod tests;
mod tree;
mod view;
mod window;

use std::time::{Duration, Instant};

use time::OffsetDateTime;

pub use self::path::parent;
pub use self::query::Query;
pub use self::view::{Layout, Sort, SortBy};
pub use self::window::{Node, Row, Summary};

use self::leaf::NEVER;
use self::meta::{Meta, from_millis, millis, millis_up};
use self::ranking::Ranking;
use self::recent::Recent;
use self::spine::{At, Moved, Spine};
use self::tree::Openings;
use crate::kv::{Entry, WatchEvent};

/// How many keys one call of [`KeyIndex::expire`] drops at most.
const EXPIRE_AT_ONCE: usize = 4096;

/// What is known of the keys of one bucket, and what of it is shown.
#[derive(Debug)]
pub struct KeyIndex {
    spine: Spine,
    /// The number of the present snapshot: rows that were not told since are stale.
    epoch: u32,
    loading: bool,
    seen: usize,
    counts: Counts,
    recent: Recent,
    query: Query,
    markers_shown: bool,
    sort: Sort,
    layout: Layout,
    /// The nodes that are open while there is no filter.
    openings: Openings,
    /// The nodes that are open while there is one.
    filtered_openings: Openings,
    /// There while the layout is flat and the order is not the keys' own.
    ranking: Option<Ranking>,
}

/// How many keys there are, whatever is shown of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Keys that have a value.
    pub live: usize,
    /// Keys of which only a marker is left.
    pub markers: usize,
}

impl KeyIndex {
    /// An empty index, in wait of a snapshot. A row counts as changed for `highlight` after it
    /// was.
    pub fn new(highlight: Duration) -> Self {
        let mut recent = Recent::new(highlight);
        recent.begin_snapshot();
        Self {
            spine: Spine::new(),
            epoch: 1,
            loading: true,
            seen: 0,
            counts: Counts::default(),
            recent,
            query: Query::default(),
            markers_shown: false,
            sort: Sort::default(),
            layout: Layout::default(),
            openings: Openings::default(),
            filtered_openings: Openings::all_open(),
            ranking: None,
        }
    }

    /// Takes in what a watch told, in its order, at the time `now`.
    ///
    /// After a gap the rows from before it stay, as [`Row::stale`], until the new snapshot tells
    /// them anew or ends without them.
    pub fn apply<'a>(&mut self, events: impl IntoIterator<Item = &'a WatchEvent>, now: Instant) {
        let mut told = Vec::new();
        for event in events {
            if let WatchEvent::Entry(entry) = event {
                told.push(entry);
                continue;
            }
            self.put_all(&mut told, now);
            match event {
                WatchEvent::Ready => self.end_snapshot(),
                WatchEvent::Resumed { gap: true } => self.begin_snapshot(),
                // How fresh the picture is, is told in the header; the rows stay what they are.
                WatchEvent::Entry(_)
                | WatchEvent::Interrupted { .. }
                | WatchEvent::Resumed { gap: false } => {}
            }
        }
        self.put_all(&mut told, now);
    }

    /// Drops keys whose time is over, by the store's clock, and returns how many. It drops a few
    /// thousand at most: if more are due, [`KeyIndex::next_expiry`] lies in the past afterwards.
    pub fn expire(&mut self, now: OffsetDateTime) -> usize {
        let now = millis(now);
        let mut dropped = 0;
        while dropped < EXPIRE_AT_ONCE
            && let Some(at) = self.spine.expired(now)
        {
            self.remove(at);
            dropped += 1;
        }
        dropped
    }

    /// When the next key expires, by the store's clock.
    pub fn next_expiry(&self) -> Option<OffsetDateTime> {
        let soonest = self.spine.soonest();
        (soonest != NEVER).then(|| from_millis(soonest))
    }

    /// When a row that is marked as changed next loses its mark.
    pub fn next_fade(&self, now: Instant) -> Option<Instant> {
        self.recent.next_fade(now)
    }

    /// How many keys there are.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether a snapshot is being told: the first, or one after a gap.
    pub fn is_loading(&self) -> bool {
        self.loading
    }

    /// How many keys were told since the last snapshot began, markers included.
    pub fn seen(&self) -> usize {
        self.seen
    }

    fn begin_snapshot(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.loading = true;
        self.seen = 0;
        self.recent.begin_snapshot();
    }

    fn end_snapshot(&mut self) {
        if !self.loading {
            return;
        }
        self.loading = false;
        self.recent.end_snapshot();
        let gone = self.spine.retain_fresh(self.epoch);
        if gone != Counts::default() {
            self.counts.live -= gone.live;
            self.counts.markers -= gone.markers;
            self.recompute_rows();
        }
    }

    /// Takes in entries, in the order of their keys: neighbours find the same memory warm. The
    /// sort is stable, so the entries of one key stay in the order in which they were told.
    fn put_all(&mut self, entries: &mut Vec<&Entry>, now: Instant) {
        entries.sort_by(|a, b| path::compare(a.key.as_str(), b.key.as_str()));
        for entry in entries.drain(..) {
            self.put(entry, now);
        }
    }

    fn put(&mut self, entry: &Entry, now: Instant) {
        let key = entry.key.as_str();
        let meta = Meta::new(entry);
        let expiry = entry.expires.map_or(NEVER, millis_up);
        if self.loading {
            self.recent.note_snapshot(entry.revision.0);
        } else {
            self.recent.note_change(entry.revision.0, now);
        }
        let at = match self.spine.find_to_write(key) {
            Ok(at) => {
                let leaf = self.spine.leaf(at.leaf);
                let old = *leaf.meta(at.row);
                let is_fresh = leaf.fresh(self.epoch).contains(at.row);
                if is_fresh && old.revision() > meta.revision() {
                    return;
                }
                self.update(at, &old, meta, expiry);
                at
            }
            Err(mut place) => {
                if !self.spine.has_room(place.leaf, key) {
                    self.split(place);
                    place = self.spine.find_to_write(key).unwrap_or_else(|place| place);
                }
                self.spine.insert(place, key, meta, expiry);
                place
            }
        };
        *self.counts.of(&meta) += 1;
        if self.spine.leaf_mut(at.leaf).freshen(at.row, self.epoch) {
            self.seen += 1;
        }
        let is_shown = (self.markers_shown || !meta.is_marker()) && self.query.matches(key);
        self.show(at, is_shown);
    }

    /// Changes what is known of a key, and takes it out of the counts: the caller counts it anew.
    fn update(&mut self, at: At, old: &Meta, new: Meta, expiry: meta::Millis) {
        *self.counts.of(old) -= 1;
        self.spine.replace(at, new, expiry);
        if let Some(ranking) = &mut self.ranking
            && self.spine.leaf(at.leaf).shown.contains(at.row)
        {
            let (old_value, new_value) = (self.sort.value(old), self.sort.value(&new));
            ranking.change(old.id, old_value, new_value);
        }
    }

    fn remove(&mut self, at: At) {
        self.show(at, false);
        let meta = *self.spine.leaf(at.leaf).meta(at.row);
        *self.counts.of(&meta) -= 1;
        if let Some(moved) = self.spine.remove(at, self.epoch) {
            self.move_home(moved);
        }
    }

    fn split(&mut self, at: At) {
        let rows = self.spine.count(spine::Count::Tree, at.leaf);
        let moved = self.spine.split(at);
        self.move_home(moved);
        if self.layout == Layout::Tree {
            self.divide_tree_rows(rows, moved.to);
        }
    }

    fn move_home(&mut self, moved: Moved) {
        let Some(ranking) = &mut self.ranking else {
            return;
        };
        let home = self.spine.id(moved.to);
        let leaf = self.spine.leaf(moved.to);
        for row in leaf.shown.iter().filter(|&row| row >= moved.from_row) {
            ranking.move_home(leaf.meta(row).id, home);
        }
    }
}

impl Counts {
    fn of(&mut self, meta: &Meta) -> &mut usize {
        if meta.is_marker() {
            &mut self.markers
        } else {
            &mut self.live
        }
    }
}
