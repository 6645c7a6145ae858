//! What of the keys is shown, and in which order; and keeping that right as keys change.

use super::meta::Meta;
use super::path;
use super::query::Query;
use super::ranking::Ranking;
use super::spine::{At, Count, LeafAt};
use super::tree::Openings;
use super::{KeyIndex, bits::Bits};

/// How the rows are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// A row per key, in the order of [`Sort`].
    #[default]
    Flat,
    /// A tree on the dots of the keys, always in the order of its tokens.
    Tree,
}

/// The order of rows in the flat layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// What rows are ordered by.
///
/// Rows that are equal in it stand in the order of their keys when the order was chosen, with
/// those behind that came since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    /// The key, token by token: a key, then what is under it, then its next sibling.
    #[default]
    Key,
    /// The revision.
    Revision,
    /// How long ago the entry was written: the youngest first.
    Age,
    /// The size of the value.
    Size,
}

impl Sort {
    /// The number by which a row is ranked.
    pub(super) fn value(self, meta: &Meta) -> u64 {
        let value = match self.by {
            SortBy::Key => 0,
            SortBy::Revision => meta.revision().0,
            // The sign bit turned over, numbers below zero come before those above.
            SortBy::Age => !(meta.created_millis().cast_unsigned() ^ (1 << 63)),
            SortBy::Size => meta.size(),
        };
        if self.descending { !value } else { value }
    }
}

/// What to show.
impl KeyIndex {
    /// The filter.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Shows only the keys that the filter finds.
    ///
    /// In the tree every node is open while there is a filter, unless it is closed by hand; what
    /// was open without a filter comes back with its end.
    pub fn set_query(&mut self, query: Query) {
        if query == self.query {
            return;
        }
        if query.is_all() {
            self.filtered_openings = Openings::all_open();
        }
        let narrows = query.narrows(&self.query);
        self.query = query;
        self.refilter(narrows);
    }

    /// Whether markers are shown, the rows of deleted, purged and expired keys.
    pub fn markers_shown(&self) -> bool {
        self.markers_shown
    }

    /// Shows markers or hides them.
    pub fn show_markers(&mut self, shown: bool) {
        if shown != self.markers_shown {
            self.markers_shown = shown;
            self.refilter(!shown);
        }
    }

    /// The order of rows in the flat layout.
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// Puts the rows of the flat layout in this order.
    pub fn set_sort(&mut self, sort: Sort) {
        if sort != self.sort {
            self.sort = sort;
            self.rank_all();
        }
    }

    /// The layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Lays the rows out flat or as a tree.
    pub fn set_layout(&mut self, layout: Layout) {
        if layout != self.layout {
            self.layout = layout;
            self.recompute_rows();
        }
    }

    /// Opens a node of the tree.
    pub fn open(&mut self, prefix: &str) {
        self.openings_mut().open(prefix);
        self.recount_under(prefix);
    }

    /// Opens a node of the tree and all nodes under it, those included that come later.
    pub fn open_under(&mut self, prefix: &str) {
        self.openings_mut().open_under(prefix);
        self.recount_under(prefix);
    }

    /// Closes a node of the tree. What was open under it is so again when it is opened.
    pub fn close(&mut self, prefix: &str) {
        self.openings_mut().close(prefix);
        self.recount_under(prefix);
    }

    /// Opens all nodes of the tree, those included that come later.
    pub fn open_all(&mut self) {
        *self.openings_mut() = Openings::all_open();
        self.recompute_rows();
    }

    /// Closes all nodes of the tree.
    pub fn close_all(&mut self) {
        *self.openings_mut() = Openings::default();
        self.recompute_rows();
    }

    pub(super) fn openings(&self) -> &Openings {
        if self.query.is_all() {
            &self.openings
        } else {
            &self.filtered_openings
        }
    }

    fn openings_mut(&mut self) -> &mut Openings {
        if self.query.is_all() {
            &mut self.openings
        } else {
            &mut self.filtered_openings
        }
    }
}

/// One key at a time.
impl KeyIndex {
    /// Shows a key or hides it, and keeps all counts and the ranking right.
    pub(super) fn show(&mut self, at: At, shown: bool) {
        let leaf = self.spine.leaf_mut(at.leaf);
        if leaf.shown.contains(at.row) == shown {
            return;
        }
        leaf.shown.set(at.row, shown);
        let meta = *leaf.meta(at.row);
        let count = leaf.shown.len();
        self.spine.set_count(Count::Shown, at.leaf, count);
        if self.layout == Layout::Tree {
            self.count_in_tree(at, shown);
        }
        if let Some(ranking) = &mut self.ranking {
            let value = self.sort.value(&meta);
            if shown {
                let id = ranking.insert(value, self.spine.id(at.leaf));
                self.spine.leaf_mut(at.leaf).meta_mut(at.row).id = id;
            } else {
                ranking.remove(value, meta.id);
            }
        }
    }

    /// Counts the rows that a key brings to the tree now, or brought. The next key shares what
    /// they have in common, and so brings fewer while this one is shown.
    fn count_in_tree(&mut self, at: At, shown: bool) {
        let openings = self.openings();
        let key = self.spine.key(at);
        let rows = |before: Option<&str>, key: &str| {
            let shared = before.and_then(|before| path::shared_prefix(key, before));
            openings.count(shared, key).0
        };
        let before = self.spine.shown_before(at).map(|at| self.spine.key(at));
        let own = rows(before, key);
        let next = self.spine.shown_from(At {
            row: at.row + 1,
            ..at
        });
        let of_next = next.map(|next| {
            let other = self.spine.key(next);
            (next.leaf, rows(before, other), rows(Some(key), other))
        });
        let mut adjust = |leaf: LeafAt, more: usize, less: usize| {
            let rows = self.spine.count(Count::Tree, leaf) + more - less;
            self.spine.set_count(Count::Tree, leaf, rows);
        };
        let (more, less) = if shown { (own, 0) } else { (0, own) };
        if let Some((next, without, with)) = of_next {
            if shown {
                adjust(next, with, without);
            } else {
                adjust(next, without, with);
            }
        }
        adjust(at.leaf, more, less);
    }

    /// After a split: `rows` of the tree are in this leaf and the one before it.
    pub(super) fn divide_tree_rows(&mut self, rows: usize, right: LeafAt) {
        let (in_right, _) = self.count_leaf(right);
        self.spine.set_count(Count::Tree, right, in_right);
        if let Some(left) = self.spine.previous_leaf(right) {
            self.spine.set_count(Count::Tree, left, rows - in_right);
        }
    }
}

/// All keys at once.
impl KeyIndex {
    /// Decides anew which keys are shown. `narrows`: only those that are shown now can be.
    fn refilter(&mut self, narrows: bool) {
        let mut folded = Vec::new();
        let hides_markers = !self.markers_shown && self.counts.markers > 0;
        let mut next = Some(LeafAt::FIRST);
        while let Some(at) = next {
            next = self.spine.next_leaf(at);
            if narrows && self.spine.count(Count::Shown, at) == 0 {
                continue;
            }
            let leaf = self.spine.leaf_mut(at);
            let mut shown = self.query.search(leaf.text(), leaf.ends(), &mut folded);
            if hides_markers && !shown.is_empty() {
                let mut live = Bits::default();
                let metas = leaf.metas().iter().enumerate();
                metas.for_each(|(row, meta)| live.set(row, !meta.is_marker()));
                shown = shown.and(live);
            }
            leaf.shown = shown;
            self.spine.set_count(Count::Shown, at, shown.len());
        }
        self.recompute_rows();
    }

    /// Makes the rows of the present layout anew, from the keys that are shown.
    pub(super) fn recompute_rows(&mut self) {
        self.rank_all();
        if self.layout == Layout::Tree
            && let Some(last) = self.spine.leaf_places().last()
        {
            self.recount(LeafAt::FIRST, last);
        }
    }

    /// Makes the ranking anew, if this view needs one.
    fn rank_all(&mut self) {
        self.ranking = None;
        if self.layout == Layout::Tree || self.sort.by == SortBy::Key {
            return;
        }
        let total = self.spine.total(Count::Shown);
        let (mut rows, mut home) = (Vec::with_capacity(total), Vec::with_capacity(total));
        let mut id = 0;
        let mut next = Some(LeafAt::FIRST);
        while let Some(at) = next {
            next = self.spine.next_leaf(at);
            let leaf_id = self.spine.id(at);
            let leaf = self.spine.leaf_mut(at);
            for row in leaf.shown.iter() {
                let meta = leaf.meta_mut(row);
                meta.id = id;
                rows.push((self.sort.value(meta), id));
                home.push(leaf_id);
                id += 1;
            }
        }
        self.ranking = Some(Ranking::new(rows, home));
    }

    fn recount_under(&mut self, prefix: &str) {
        if self.layout == Layout::Tree {
            let from = self.first_under(prefix).leaf;
            let until = self.behind(prefix).leaf;
            self.recount(from, until);
        }
    }

    /// Counts the rows of the tree anew, in the leaves from one to another.
    fn recount(&mut self, from: LeafAt, until: LeafAt) {
        let mut next = Some(from);
        while let Some(at) = next.filter(|&at| at <= until) {
            let (rows, hidden) = self.count_leaf(at);
            // The rest of a closed node brings no rows, however many leaves it fills.
            let resume = hidden.map(|prefix| self.behind(&prefix).leaf);
            self.spine.set_count(Count::Tree, at, rows);
            next = self.spine.next_leaf(at);
            while let (Some(at), Some(resume)) = (next, resume)
                && at < resume
                && at <= until
            {
                self.spine.set_count(Count::Tree, at, 0);
                next = self.spine.next_leaf(at);
            }
        }
    }

    /// How many rows a leaf brings to the tree, and the closed prefix that its end lies under.
    fn count_leaf(&self, at: LeafAt) -> (usize, Option<String>) {
        let openings = self.openings();
        let mut rows = 0;
        let hidden = self.walk_leaf(at, |_, shared, key| {
            let (more, hidden) = openings.count(shared, key);
            rows += more;
            std::ops::ControlFlow::Continue(hidden)
        });
        (rows, hidden.map(str::to_owned))
    }
}
