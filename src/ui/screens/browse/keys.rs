//! The pane of keys: a window over the key index, with a selection that is a key.
//!
//! `draw`: how it looks.

mod draw;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub(super) use self::draw::draw_nothing;
use super::sifted::Sifting;
use crate::kv::{BucketName, Error, Key, Revision, WatchEvent};
use crate::query::Query as Sought;
use crate::ui::command::Command;
use crate::ui::filter::FilterLine;
use crate::ui::index::{KeyIndex, Layout, Query, Sort, SortBy, Summary};
use crate::ui::message::{Millis, Sifted, WatchId};
use crate::ui::shown;
use crate::ui::viewport::{Step, Viewport};

/// How long a changed row is marked.
const HIGHLIGHT: Duration = Duration::from_secs(3);
/// So many keys can be marked at once.
const MOST_MARKED: usize = 100_000;

/// The pane of an open bucket.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) bucket: BucketName,
    /// What is shown: all keys, or those that a filter over values lets through.
    index: KeyIndex,
    sifting: Option<Sifting>,
    /// How many keys the bucket had when it was last listed.
    pub(super) expected: Option<u64>,
    pub(super) filter: FilterLine,
    /// The path of the selected row: a key, or a node of the tree.
    selected: Option<String>,
    /// Where the selected row is.
    row: usize,
    /// A key to select as soon as it is there.
    wished: Option<String>,
    viewport: Viewport,
    /// The highest revision that was told: the column of revisions is as wide as it takes.
    highest: Revision,
    /// Since when and why there is no watch.
    failure: Option<(Millis, String)>,
    /// The keys that are marked.
    marked: BTreeSet<String>,
    /// An origin for the index's instants: only their differences matter.
    origin: (Instant, Millis),
}

impl Keys {
    pub(super) fn new(bucket: BucketName, now: Millis) -> Self {
        Self {
            bucket,
            index: KeyIndex::new(HIGHLIGHT),
            sifting: None,
            expected: None,
            filter: FilterLine::default(),
            selected: None,
            row: 0,
            wished: None,
            viewport: Viewport::default(),
            highest: Revision::ABSENT,
            failure: None,
            marked: BTreeSet::new(),
            origin: (Instant::now(), now),
        }
    }

    fn instant(&self, now: Millis) -> Instant {
        let since = u64::try_from(now - self.origin.1).unwrap_or(0);
        self.origin.0 + Duration::from_millis(since)
    }

    /// Shows this bucket in the same way as another.
    pub(super) fn take_looks_of(&mut self, other: &Self) {
        self.index.set_layout(other.index.layout());
        self.index.set_sort(other.index.sort());
        self.index.show_markers(other.index.markers_shown());
        self.viewport.height = other.viewport.height;
    }

    /// Shows its keys otherwise, where something is said.
    pub(super) fn show_as(&mut self, tree: Option<bool>, deleted: Option<bool>) {
        if let Some(tree) = tree {
            self.index
                .set_layout(if tree { Layout::Tree } else { Layout::Flat });
        }
        if let Some(deleted) = deleted {
            self.index.show_markers(deleted);
        }
    }

    /// The watch begins anew: everything is told again.
    pub(super) fn reload(&mut self) {
        let origin = self.origin.0;
        self.whole_mut()
            .apply(&[WatchEvent::Resumed { gap: true }], origin);
        self.failure = None;
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.whole().is_loading()
    }

    /// Takes what a watch told. Returns the selected key and its marker, if it was taken away.
    pub(super) fn apply(&mut self, batch: &[WatchEvent], now: Millis) -> Option<(String, Summary)> {
        let now = self.instant(now);
        let before = self.selected.clone();
        self.whole_mut().apply(batch, now);
        for event in batch {
            if let WatchEvent::Entry(entry) = event {
                self.highest = self.highest.max(entry.revision);
                if !entry.operation.is_put() {
                    self.marked.remove(entry.key.as_str());
                }
            }
        }
        self.failure = None;
        self.settle();
        let lost = before.filter(|before| self.selected.as_ref() != Some(before))?;
        let marker = self.index.entry(&lost)?;
        (!marker.operation.is_put()).then_some((lost, marker))
    }

    /// All keys, whatever is shown of them.
    fn whole(&self) -> &KeyIndex {
        match &self.sifting {
            Some(sifting) => &sifting.whole,
            None => &self.index,
        }
    }

    fn whole_mut(&mut self) -> &mut KeyIndex {
        match &mut self.sifting {
            Some(sifting) => &mut sifting.whole,
            None => &mut self.index,
        }
    }

    /// Shows what that watch will tell of, in place of all keys.
    pub(super) fn sift(&mut self, id: WatchId, query: Sought) {
        let mut found = KeyIndex::new(HIGHLIGHT);
        found.set_layout(self.index.layout());
        found.set_sort(self.index.sort());
        found.set_query(Query::new(self.filter.text()));
        let whole = std::mem::replace(&mut self.index, found);
        self.sifting = Some(Sifting::new(id, query, whole));
        self.settle();
    }

    /// Shows all keys again; tells which watch is over, if there was one.
    pub(super) fn show_all(&mut self) -> Option<WatchId> {
        let mut sifting = self.sifting.take()?;
        sifting.whole.set_layout(self.index.layout());
        sifting.whole.set_sort(self.index.sort());
        sifting.whole.set_query(Query::new(self.filter.text()));
        self.index = sifting.whole;
        self.settle();
        Some(sifting.id)
    }

    pub(super) fn is_sifted(&self) -> bool {
        self.sifting.is_some()
    }

    /// Takes what a filter over values told, if it is the one that is on.
    pub(super) fn sifted(&mut self, id: WatchId, sifted: &Sifted, now: Millis) {
        let now = self.instant(now);
        let Some(sifting) = self.sifting.as_mut().filter(|sifting| sifting.id == id) else {
            return;
        };
        sifting.note(sifted);
        self.index.apply(&sifted.events, now);
        self.settle();
    }

    /// The filter over values looks no further; says whether it is the one that is on.
    pub(super) fn sifting_ended(&mut self, id: WatchId, reason: &str) -> bool {
        let sifting = self.sifting.as_mut().filter(|sifting| sifting.id == id);
        if let Some(sifting) = sifting {
            sifting.end(reason.to_owned());
            return true;
        }
        false
    }

    pub(super) fn failed(&mut self, error: &Error, now: Millis) {
        self.failure = Some((now, error.to_string()));
    }

    pub(super) fn failure(&self) -> Option<(Millis, &str)> {
        self.failure
            .as_ref()
            .map(|(since, reason)| (*since, reason.as_str()))
    }

    /// When the next entry runs out, by the store's clock.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        let indexes = [Some(&self.index), self.sifting.as_ref().map(|s| &s.whole)];
        let soonest = indexes
            .into_iter()
            .flatten()
            .filter_map(KeyIndex::next_expiry);
        soonest.min().map(shown::millis)
    }

    /// Drops what has run out at this time by the store's clock. Returns the selected key, if it
    /// has.
    pub(super) fn expire(&mut self, at: Millis) -> Option<String> {
        let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
        let time = time.ok()?;
        if let Some(sifting) = &mut self.sifting {
            sifting.whole.expire(time);
        }
        if self.index.expire(time) == 0 {
            return None;
        }
        let (marked, index) = (&mut self.marked, &self.index);
        marked.retain(|key| index.entry(key).is_some());
        let before = self.selected.clone();
        self.settle();
        before.filter(|before| self.selected.as_ref() != Some(before))
    }

    /// Rows came, went or moved: the selection stays on its key, at its place on the screen.
    fn settle(&mut self) {
        if let Some(wished) = self.wished.clone() {
            self.uncover(&wished);
            if let Some(row) = self.index.row_of(&wished) {
                self.wished = None;
                self.select(row);
                return;
            }
        }
        let Some(path) = &self.selected else {
            if !self.index.is_empty() {
                self.select(0);
            }
            return;
        };
        let Some(row) = self.index.locate(path, self.row) else {
            self.selected = None;
            self.row = 0;
            self.viewport.top = 0;
            return;
        };
        let above = self.row.saturating_sub(self.viewport.top);
        self.viewport.top = row.saturating_sub(above);
        self.select(row);
    }

    pub(super) fn select(&mut self, row: usize) {
        let len = self.index.len();
        self.row = row.min(len.saturating_sub(1));
        self.selected = self.index.path_at(self.row).map(str::to_owned);
        self.viewport.follow(self.row, len);
    }

    /// Selects a key now, or as soon as it is there.
    pub(super) fn wish_for(&mut self, key: &str) {
        if self.index.layout() == Layout::Tree {
            for (dot, _) in key.match_indices('.') {
                self.index.open(&key[..dot]);
            }
        }
        self.wished = Some(key.to_owned());
        self.settle();
    }

    /// Takes away what stands between a key and the screen: a filter, or that markers are hidden.
    fn uncover(&mut self, key: &str) {
        let Some(entry) = self.index.entry(key) else {
            return;
        };
        if self.index.row_of(key).is_some() {
            return;
        }
        self.filter.set("");
        self.index.set_query(Query::default());
        if !entry.operation.is_put() {
            self.index.show_markers(true);
        }
    }

    pub(super) fn row(&self) -> usize {
        self.row
    }

    /// The path of the selected row.
    pub(super) fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// The key of the selected row and its revision, if the row has an entry.
    pub(super) fn selected_entry(&self) -> Option<(Key, Revision)> {
        let path = self.selected.as_deref()?;
        let entry = self.index.entry(path)?;
        Some((Key::from_stored(path), entry.revision))
    }

    /// The revision of a key, if it has a value.
    pub(super) fn revision_of(&self, key: &str) -> Option<Revision> {
        let entry = self.index.entry(key)?;
        entry.operation.is_put().then_some(entry.revision)
    }

    /// The keys that are to be removed, with their revisions: those that are marked and still have
    /// a value, else the selected one, which may be a marker to be purged.
    pub(super) fn to_remove(&self) -> Vec<(Key, Revision)> {
        if self.marked.is_empty() {
            return self.selected_entry().into_iter().collect();
        }
        let marked = self.marked.iter();
        marked
            .filter_map(|key| Some((Key::from_stored(key.as_str()), self.revision_of(key)?)))
            .collect()
    }

    /// Takes all marks away; says whether there were any.
    pub(super) fn unmark(&mut self) -> bool {
        let had = !self.marked.is_empty();
        self.marked.clear();
        had
    }

    /// Marks the selected key or takes its mark away, and goes on to the next.
    fn mark(&mut self) {
        let Some((key, _)) = self.selected_entry() else {
            return;
        };
        let key = key.to_string();
        if !self.marked.remove(&key) {
            self.marked.insert(key);
        }
        self.step(Step::By(1));
    }

    /// Marks every key that passes the filter, or takes all marks away.
    fn mark_all(&mut self) {
        if !self.unmark() {
            self.marked = self.index.shown_live_keys(MOST_MARKED);
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        // The user chose for himself.
        self.wished = None;
        self.select(step.from(self.row, self.viewport, self.index.len()));
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let len = self.index.len();
        self.viewport.scroll(by, len);
        let rows = self.viewport.rows(len);
        let last = rows.end.saturating_sub(1).max(rows.start);
        self.select(self.row.clamp(rows.start, last));
    }

    pub(super) fn fit(&mut self, rows: usize) {
        self.viewport.height = rows;
        self.viewport.follow(self.row, self.index.len());
    }

    pub(super) fn filter_changed(&mut self) {
        // The user chose for himself.
        self.wished = None;
        self.index.set_query(Query::new(self.filter.text()));
        self.settle();
    }

    /// Takes a command that concerns the rows alone.
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Tree => {
                let other = match self.index.layout() {
                    Layout::Flat => Layout::Tree,
                    Layout::Tree => Layout::Flat,
                };
                self.index.set_layout(other);
                if let (Layout::Tree, Some(path)) = (other, self.selected.clone()) {
                    self.wish_for(&path);
                }
            }
            Command::Sort => {
                let by = match self.index.sort().by {
                    SortBy::Key => SortBy::Revision,
                    SortBy::Revision => SortBy::Age,
                    SortBy::Age => SortBy::Size,
                    SortBy::Size => SortBy::Key,
                };
                // The newest and the largest are what is looked for.
                let descending = matches!(by, SortBy::Revision | SortBy::Size);
                self.index.set_layout(Layout::Flat);
                self.index.set_sort(Sort { by, descending });
                return self.step(Step::First);
            }
            Command::Reverse => {
                let sort = self.index.sort();
                self.index.set_sort(Sort {
                    descending: !sort.descending,
                    ..sort
                });
                return self.step(Step::First);
            }
            // What is deleted has no value to match.
            Command::Deleted if self.is_sifted() => {}
            Command::Deleted => self.index.show_markers(!self.index.markers_shown()),
            Command::Mark => self.mark(),
            Command::MarkAll => self.mark_all(),
            Command::ExpandAll => self.index.open_all(),
            Command::CollapseAll => self.index.close_all(),
            _ => {}
        }
        self.settle();
    }

    /// Opens the selected node, or with `toggles` closes it if it is open; says whether there was
    /// one to open or close.
    pub(super) fn open_branch(&mut self, toggles: bool) -> bool {
        let Some(path) = self.selected.clone() else {
            return false;
        };
        let row = self.index.row(self.row, self.origin.0);
        let Some((node, is_key)) = row.and_then(|row| Some((row.node?, row.entry.is_some())))
        else {
            return false;
        };
        match (node.open, toggles) {
            (false, _) => self.index.open(&path),
            // A node that is a key as well: its value can be looked at from the open node.
            (true, true) if is_key => return false,
            (true, true) => self.index.close(&path),
            (true, false) => return false,
        }
        self.settle();
        true
    }

    /// Closes the selected node, or goes to the one that it lies under; says whether there was
    /// one.
    pub(super) fn close_branch(&mut self) -> bool {
        if self.index.layout() == Layout::Flat {
            return false;
        }
        let Some(path) = self.selected.clone() else {
            return false;
        };
        let row = self.index.row(self.row, self.origin.0);
        if row.and_then(|row| row.node).is_some_and(|node| node.open) {
            self.index.close(&path);
            self.settle();
            return true;
        }
        let Some((parent, _)) = path.rsplit_once('.') else {
            return false;
        };
        match self.index.row_of(parent) {
            Some(row) => {
                self.select(row);
                true
            }
            None => false,
        }
    }

    /// How many keys the bucket has: while it is read, as many as it was said to have.
    pub(super) fn count(&self) -> u64 {
        let live = self.whole().counts().live as u64;
        if self.whole().is_loading() {
            self.expected.unwrap_or(live)
        } else {
            live
        }
    }
}
