//! The rows that a screen shows, and the way between rows and keys.
//!
//! A row is known by its *path*: its key, or in the tree the prefix of its node. No two rows of a
//! view have the same path, so a selection that remembers the path stays on its key whatever
//! comes and goes around it.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::time::Instant;

use time::OffsetDateTime;

use super::leaf::NEVER;
use super::meta::from_millis;
use super::spine::{At, Count, LeafAt};
use super::tree::Step;
use super::{KeyIndex, Layout, SortBy, path};
use crate::kv::{Operation, Revision};

/// One row, with all that is needed to draw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The whole key, or the prefix of a node without the dot behind it. Unique among the rows of
    /// a view.
    pub path: &'a str,
    /// What to call it here: the last token in the tree, else the whole key.
    pub label: &'a str,
    /// How many nodes it lies under in the tree.
    pub depth: usize,
    /// What the key holds. `None` for a node that is no key, or whose key is not shown.
    pub entry: Option<Summary>,
    /// In the tree, what lies under it, if anything does.
    pub node: Option<Node>,
    /// Whether the entry changed a moment ago.
    pub changed: bool,
    /// Whether the entry is from before a gap and was not told since.
    pub stale: bool,
}

/// What is known of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Its revision.
    pub revision: Revision,
    /// When it was written, in whole milliseconds.
    pub created: OffsetDateTime,
    /// The length of the value in bytes, up to 4 GiB.
    pub size: u64,
    /// What the write did.
    pub operation: Operation,
    /// When the store drops it, in whole milliseconds, rounded up.
    pub expires: Option<OffsetDateTime>,
}

/// What lies under a node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// How many shown keys lie under it, at any depth, without the node's own.
    pub keys: usize,
    /// Whether its rows are shown.
    pub open: bool,
}

/// Rows.
impl KeyIndex {
    /// How many rows the present view has.
    pub fn len(&self) -> usize {
        self.spine.total(match self.layout {
            Layout::Flat => Count::Shown,
            Layout::Tree => Count::Tree,
        })
    }

    /// Whether the present view has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys the filter found: the rows of the flat layout, the keys in the tree.
    pub fn shown(&self) -> usize {
        self.spine.total(Count::Shown)
    }

    /// Those of the rows that there are.
    pub fn rows(&self, range: Range<usize>, now: Instant) -> Vec<Row<'_>> {
        let len = self.len();
        let range = range.start.min(len)..range.end.min(len);
        if range.is_empty() {
            return Vec::new();
        }
        let floor = self.recent.floor(now);
        if self.layout == Layout::Tree {
            return self.tree_rows(range, floor);
        }
        let row = |at| self.flat_row(at, floor);
        if let Some(ranking) = &self.ranking {
            let ids = ranking.ids_from(range.start).take(range.len());
            return ids.filter_map(|id| self.ranked_row(id, floor)).collect();
        }
        if self.is_reversed() {
            let mut rows: Vec<_> = self
                .places_from(len - range.end)
                .take(range.len())
                .map(row)
                .collect();
            rows.reverse();
            return rows;
        }
        self.places_from(range.start)
            .take(range.len())
            .map(row)
            .collect()
    }

    /// One row.
    pub fn row(&self, row: usize, now: Instant) -> Option<Row<'_>> {
        self.rows(row..row.checked_add(1)?, now).into_iter().next()
    }

    /// The path of a row, to be remembered as the selection.
    pub fn path_at(&self, row: usize) -> Option<&str> {
        // Which rows changed is of no matter here, so any floor will do.
        let range = row..row.checked_add(1)?;
        if row >= self.len() {
            return None;
        }
        if self.layout == Layout::Tree {
            return self.tree_rows(range, 0).first().map(|row| row.path);
        }
        if let Some(ranking) = &self.ranking {
            let id = ranking.ids_from(row).next()?;
            return self.ranked_row(id, 0).map(|row| row.path);
        }
        let row = if self.is_reversed() {
            self.len() - 1 - row
        } else {
            row
        };
        self.places_from(row).next().map(|at| self.spine.key(at))
    }

    /// The row of a path, if it has one in the present view.
    pub fn row_of(&self, path: &str) -> Option<usize> {
        if self.layout == Layout::Tree {
            return self.tree_row_of(path);
        }
        let at = self.spine.find(path).ok()?;
        let leaf = self.spine.leaf(at.leaf);
        if !leaf.shown.contains(at.row) {
            return None;
        }
        if let Some(ranking) = &self.ranking {
            let meta = leaf.meta(at.row);
            return Some(ranking.rank(self.sort.value(meta), meta.id));
        }
        let rank = self.spine.rank(at);
        Some(if self.is_reversed() {
            self.len() - 1 - rank
        } else {
            rank
        })
    }

    /// Where to put a selection that was on this path at row `last_row`: its row; or if the path
    /// has none any more, its nearest neighbour: the closed node that hides it, else the row that
    /// took its place. `None` only if there are no rows.
    pub fn locate(&self, path: &str, last_row: usize) -> Option<usize> {
        let last = self.len().checked_sub(1)?;
        if let Some(row) = self.row_of(path) {
            return Some(row);
        }
        if self.layout == Layout::Tree {
            let hider = self.openings().hidden_by(path);
            if let Some(row) = hider.and_then(|hider| self.tree_row_of(hider)) {
                return Some(row);
            }
            let place = self.spine.bound(|key| path::compare(key, path).is_lt());
            return Some(self.tree_rank(place).min(last));
        }
        if self.ranking.is_some() {
            return Some(last_row.min(last));
        }
        let place = self.spine.bound(|key| path::compare(key, path).is_lt());
        let rank = self.spine.rank(place);
        Some(if self.is_reversed() {
            (last + 1 - rank).min(last)
        } else {
            rank.min(last)
        })
    }

    /// The keys that pass the filter and have a value, in any layout: the first so many.
    pub fn shown_live_keys(&self, most: usize) -> BTreeSet<String> {
        let live = |at: &At| self.summary(*at).operation.is_put();
        let places = self.places_from(0).filter(live).take(most);
        places.map(|at| self.spine.key(at).to_owned()).collect()
    }

    /// What is known of a key, shown or not.
    pub fn entry(&self, key: &str) -> Option<Summary> {
        self.spine.find(key).ok().map(|at| self.summary(at))
    }
}

/// The flat layout.
impl KeyIndex {
    fn is_reversed(&self) -> bool {
        self.sort.by == SortBy::Key && self.sort.descending
    }

    /// The places of the shown keys from the n-th on, in the order of the keys.
    fn places_from(&self, n: usize) -> impl Iterator<Item = At> {
        let first = self.spine.nth_leaf(Count::Shown, n).and_then(|(leaf, n)| {
            let row = self.spine.leaf(leaf).shown.nth(n)?;
            Some(At { leaf, row })
        });
        std::iter::successors(first, |at| {
            self.spine.shown_from(At {
                row: at.row + 1,
                ..*at
            })
        })
    }

    fn flat_row(&self, at: At, floor: u64) -> Row<'_> {
        let key = self.spine.key(at);
        let entry = self.summary(at);
        let stale = self.is_stale(at);
        Row {
            path: key,
            label: key,
            depth: 0,
            entry: Some(entry),
            node: None,
            changed: !stale && entry.revision.0 > floor,
            stale,
        }
    }

    fn ranked_row(&self, id: u32, floor: u64) -> Option<Row<'_>> {
        let home = self.ranking.as_ref()?.home(id);
        let leaf = self.spine.leaf_by_id(home);
        let row = leaf.shown.iter().find(|&row| leaf.meta(row).id == id)?;
        let at = self.spine.find(leaf.key(row)).ok()?;
        Some(self.flat_row(at, floor))
    }

    fn summary(&self, at: At) -> Summary {
        let leaf = self.spine.leaf(at.leaf);
        let meta = leaf.meta(at.row);
        let expiry = leaf.expiry(at.row);
        Summary {
            revision: meta.revision(),
            created: from_millis(meta.created_millis()),
            size: meta.size(),
            operation: meta.operation(),
            expires: (expiry != NEVER).then(|| from_millis(expiry)),
        }
    }

    fn is_stale(&self, at: At) -> bool {
        let leaf = self.spine.leaf(at.leaf);
        self.loading && !leaf.fresh(self.epoch).contains(at.row)
    }
}

/// The tree.
impl KeyIndex {
    /// The first place under a prefix.
    pub(super) fn first_under(&self, prefix: &str) -> At {
        self.spine
            .bound(|key| path::compare_under(key, prefix) == Ordering::Less)
    }

    /// The first place behind everything under a prefix.
    pub(super) fn behind(&self, prefix: &str) -> At {
        self.spine
            .bound(|key| path::compare_under(key, prefix) != Ordering::Greater)
    }

    /// Visits the shown keys of a leaf that closed nodes don't hide, each with its row and what it
    /// shares with the key before it. `visit` says which prefix hides what follows, by length, or
    /// breaks off. Returns the closed prefix that the end of the leaf lies under.
    pub(super) fn walk_leaf<'a>(
        &'a self,
        at: LeafAt,
        mut visit: impl FnMut(usize, Option<usize>, &'a str) -> ControlFlow<(), Option<usize>>,
    ) -> Option<&'a str> {
        let leaf = self.spine.leaf(at);
        let start = At { leaf: at, row: 0 };
        let mut before = self.spine.shown_before(start).map(|at| self.spine.key(at));
        let mut next = leaf.shown.first_from(0);
        while let Some(row) = next {
            let key = leaf.key(row);
            let shared = before.and_then(|before| path::shared_prefix(key, before));
            let ControlFlow::Continue(hidden) = visit(row, shared, key) else {
                return None;
            };
            before = Some(key);
            next = match hidden.map(|length| &key[..length]) {
                None => leaf.shown.first_from(row + 1),
                Some(prefix) => {
                    let under = |key: &str| path::compare_under(key, prefix).is_le();
                    let behind = leaf.bound(under);
                    if behind == leaf.len() {
                        return Some(prefix);
                    }
                    leaf.shown.first_from(behind)
                }
            };
        }
        None
    }

    fn tree_rows(&self, range: Range<usize>, floor: u64) -> Vec<Row<'_>> {
        let mut rows = Vec::with_capacity(range.len());
        let Some((leaf, skip)) = self.spine.nth_leaf(Count::Tree, range.start) else {
            return rows;
        };
        let mut skip = skip;
        let mut next = Some(leaf);
        while let Some(leaf) = next.and_then(|leaf| self.spine.counted_from(Count::Tree, leaf)) {
            self.walk_leaf(leaf, |row, shared, key| {
                let at = At { leaf, row };
                let hidden = self.openings().steps(shared, key, |step| {
                    if skip > 0 {
                        skip -= 1;
                    } else if rows.len() < range.len() {
                        rows.push(self.tree_row(at, key, step, floor));
                    }
                });
                if rows.len() == range.len() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(hidden)
                }
            });
            if rows.len() == range.len() {
                break;
            }
            next = self.spine.next_leaf(leaf);
        }
        rows
    }

    fn tree_row<'a>(&'a self, at: At, key: &'a str, step: Step<'a>, floor: u64) -> Row<'a> {
        match step {
            Step::Node {
                prefix,
                depth,
                open,
            } => Row {
                path: prefix,
                label: path::last_token(prefix),
                depth,
                entry: None,
                node: Some(Node {
                    keys: self.spine.rank(self.behind(prefix)) - self.spine.rank(at),
                    open,
                }),
                changed: false,
                stale: false,
            },
            Step::Key { depth, open } => {
                let next = self.spine.shown_from(At {
                    row: at.row + 1,
                    ..at
                });
                let is_node = next.is_some_and(|next| path::is_under(self.spine.key(next), key));
                let node = is_node.then(|| Node {
                    keys: self.spine.rank(self.behind(key)) - self.spine.rank(at) - 1,
                    open,
                });
                Row {
                    label: path::last_token(key),
                    depth,
                    node,
                    ..self.flat_row(at, floor)
                }
            }
        }
    }

    /// How many rows the tree has before what this place brings.
    fn tree_rank(&self, place: At) -> usize {
        let mut rows = self.spine.before(Count::Tree, place.leaf);
        self.walk_leaf(place.leaf, |row, shared, key| {
            if row >= place.row {
                return ControlFlow::Break(());
            }
            let (more, hidden) = self.openings().count(shared, key);
            rows += more;
            ControlFlow::Continue(hidden)
        });
        rows
    }

    fn tree_row_of(&self, path: &str) -> Option<usize> {
        if self.openings().hidden_by(path).is_some() {
            return None;
        }
        let place = self.spine.bound(|key| path::compare(key, path).is_lt());
        let at = self.spine.shown_from(place)?;
        let key = self.spine.key(at);
        if key != path && !path::is_under(key, path) {
            return None;
        }
        let before = self.spine.shown_before(at).map(|at| self.spine.key(at));
        let shared = before.and_then(|before| path::shared_prefix(key, before));
        let mut found = None;
        let mut rows = self.tree_rank(at);
        self.openings().steps(shared, key, |step| {
            let here = match step {
                Step::Node { prefix, .. } => prefix,
                Step::Key { .. } => key,
            };
            if here == path {
                found = Some(rows);
            }
            rows += 1;
        });
        found
    }
}
