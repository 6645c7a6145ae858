//! The index against a plain model: a map of keys, everything else worked out anew each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::kv::{Interruption, Key, Operation, Revision};

const HIGHLIGHT: Duration = Duration::from_secs(3);

/// One thing that happens to an index.
#[derive(Debug, Clone)]
enum Act {
    /// A write, told live or as part of a snapshot.
    Write {
        key: String,
        size: u64,
        operation: Operation,
        expires: Option<i64>,
    },
    /// Many keys at once, so that leaves split.
    Fill {
        prefix: String,
        keys: u32,
        step: u32,
    },
    /// Many keys gone at once, so that leaves join.
    Clear {
        prefix: String,
    },
    Gap,
    /// A snapshot tells again what there is, but for every n-th key, and ends.
    Retell {
        skip: usize,
    },
    Expire {
        now: i64,
    },
    Filter(String),
    Markers(bool),
    Sort(SortBy, bool),
    Layout(Layout),
    Open(String),
    OpenUnder(String),
    Close(String),
    OpenAll(bool),
    Later(u64),
}

#[derive(Debug, Clone)]
struct ModelRow {
    revision: u64,
    created: i64,
    size: u64,
    operation: Operation,
    expires: Option<i64>,
    fresh: bool,
    /// When it was told as a change, in seconds.
    changed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Opening {
    Open,
    Closed,
    Under,
}

#[derive(Debug, Default)]
struct Model {
    rows: BTreeMap<String, ModelRow>,
    loading: bool,
    revision: u64,
    seconds: u64,
    filter: String,
    markers: bool,
    sort: Sort,
    layout: Layout,
    openings: [(bool, BTreeMap<String, Opening>); 2],
}

fn tokens(key: &str) -> Vec<&str> {
    key.split('.').collect()
}

impl Model {
    fn matches(&self, key: &str) -> bool {
        Query::new(&self.filter).matches(key)
    }

    fn is_filtered(&self) -> bool {
        !Query::new(&self.filter).is_all()
    }

    /// The shown keys in the order of their tokens.
    fn shown(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self
            .rows
            .iter()
            .filter(|(key, row)| (self.markers || row.operation.is_put()) && self.matches(key))
            .map(|(key, _)| key.as_str())
            .collect();
        keys.sort_by_key(|key| tokens(key));
        keys
    }

    fn openings(&mut self) -> &mut (bool, BTreeMap<String, Opening>) {
        let filtered = self.is_filtered();
        &mut self.openings[usize::from(filtered)]
    }

    fn is_open(&self, prefix: &str) -> bool {
        let (everything, nodes) = &self.openings[usize::from(self.is_filtered())];
        match nodes.get(prefix) {
            Some(Opening::Closed) => false,
            Some(Opening::Open | Opening::Under) => true,
            None => {
                *everything
                    || path::prefixes(prefix).any(|above| nodes.get(above) == Some(&Opening::Under))
            }
        }
    }

    /// Path, depth, and for a node how many keys lie under it and whether it is open.
    fn tree(&self) -> Vec<(String, usize, Option<Node>)> {
        let keys = self.shown();
        let mut paths = BTreeSet::new();
        for key in &keys {
            let tokens = tokens(key);
            for length in 1..=tokens.len() {
                paths.insert(tokens[..length].to_vec());
            }
        }
        let mut rows = Vec::new();
        for tokens in paths {
            let path = tokens.join(".");
            if !path::prefixes(&path).all(|prefix| self.is_open(prefix)) {
                continue;
            }
            let under = keys.iter().filter(|key| path::is_under(key, &path)).count();
            let node = (under > 0).then(|| Node {
                keys: under,
                open: self.is_open(&path),
            });
            rows.push((path, tokens.len() - 1, node));
        }
        rows
    }

    fn flat(&self) -> Vec<&str> {
        let mut keys = self.shown();
        let row = |key: &str| &self.rows[key];
        match self.sort.by {
            SortBy::Key if self.sort.descending => keys.reverse(),
            SortBy::Key => {}
            SortBy::Revision => keys.sort_by_key(|key| row(key).revision),
            SortBy::Age => keys.sort_by_key(|key| -row(key).created),
            SortBy::Size => keys.sort_by_key(|key| row(key).size),
        }
        if self.sort.descending && self.sort.by != SortBy::Key {
            match self.sort.by {
                SortBy::Key => {}
                SortBy::Revision => keys.sort_by_key(|key| !row(key).revision),
                SortBy::Age => keys.sort_by_key(|key| row(key).created),
                SortBy::Size => keys.sort_by_key(|key| !row(key).size),
            }
        }
        keys
    }

    fn value(&self, key: &str) -> (u64, i64) {
        let row = &self.rows[key];
        match self.sort.by {
            SortBy::Key => (0, 0),
            SortBy::Revision => (row.revision, 0),
            SortBy::Age => (0, row.created),
            SortBy::Size => (row.size, 0),
        }
    }
}

struct Pair {
    index: KeyIndex,
    model: Model,
    start: Instant,
}

impl Pair {
    fn new() -> Self {
        let mut model = Model {
            loading: true,
            ..Model::default()
        };
        model.openings[1].0 = true;
        Self {
            index: KeyIndex::new(HIGHLIGHT),
            model,
            start: Instant::now(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.model.seconds)
    }

    fn tell(&mut self, events: &[WatchEvent]) {
        let now = self.now();
        self.index.apply(events, now);
    }

    fn write(
        &mut self,
        key: &str,
        size: u64,
        operation: Operation,
        expires: Option<i64>,
    ) -> WatchEvent {
        self.model.revision += 1;
        let revision = self.model.revision;
        let created = i64::try_from(revision).unwrap() * 37 % 101;
        let row = ModelRow {
            revision,
            created,
            size,
            operation,
            expires,
            fresh: true,
            changed: (!self.model.loading).then_some(self.model.seconds),
        };
        self.model.rows.insert(key.to_owned(), row.clone());
        event(key, &row)
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Write {
                key,
                size,
                operation,
                expires,
            } => {
                let event = self.write(&key, size, operation, expires);
                self.tell(&[event]);
            }
            Act::Fill { prefix, keys, step } => {
                let events: Vec<_> = (0..keys)
                    .map(|n| {
                        let key = format!("{prefix}{:03}", n * step % 257);
                        self.write(&key, u64::from(n % 3), Operation::Put, None)
                    })
                    .collect();
                self.tell(&events);
            }
            Act::Clear { prefix } => {
                // As a store does that expires its entries: all are gone, and nobody is told.
                let keys: Vec<String> = self
                    .model
                    .rows
                    .keys()
                    .filter(|key| key.starts_with(&prefix))
                    .cloned()
                    .collect();
                let events: Vec<_> = keys
                    .iter()
                    .map(|key| self.write(key, 0, Operation::Put, Some(-1)))
                    .collect();
                self.tell(&events);
                self.expire(-1);
            }
            Act::Gap => {
                self.tell(&[
                    WatchEvent::Interrupted {
                        cause: Interruption::Disconnected,
                    },
                    WatchEvent::Resumed { gap: true },
                ]);
                self.model.loading = true;
                for row in self.model.rows.values_mut() {
                    row.fresh = false;
                    row.changed = None;
                }
            }
            Act::Retell { skip } => {
                if self.model.loading {
                    let mut events = Vec::new();
                    for (at, (key, row)) in self.model.rows.iter_mut().enumerate() {
                        if at % skip != 0 && !row.fresh {
                            // History comes first, and is out of date by the time it is over.
                            row.fresh = true;
                            let newest = event(key, row);
                            let mut older = row.clone();
                            older.revision = 0;
                            older.operation = Operation::Delete;
                            events.extend([event(key, &older), newest]);
                        }
                    }
                    self.tell(&events);
                }
                self.tell(&[WatchEvent::Ready]);
                self.model.rows.retain(|_, row| row.fresh);
                self.model.loading = false;
            }
            Act::Expire { now } => self.expire(now),
            Act::Later(seconds) => self.model.seconds += seconds,
            view => self.change_view(view),
        }
    }

    fn change_view(&mut self, act: Act) {
        match act {
            Act::Filter(text) => {
                self.index.set_query(Query::new(&text));
                self.model.filter = text;
                if !self.model.is_filtered() {
                    self.model.openings[1] = (true, BTreeMap::new());
                }
            }
            Act::Markers(shown) => {
                self.index.show_markers(shown);
                self.model.markers = shown;
            }
            Act::Sort(by, descending) => {
                let sort = Sort { by, descending };
                self.index.set_sort(sort);
                self.model.sort = sort;
            }
            Act::Layout(layout) => {
                self.index.set_layout(layout);
                self.model.layout = layout;
            }
            Act::Open(prefix) => {
                self.index.open(&prefix);
                self.model.openings().1.insert(prefix, Opening::Open);
            }
            Act::Close(prefix) => {
                self.index.close(&prefix);
                self.model.openings().1.insert(prefix, Opening::Closed);
            }
            Act::OpenUnder(prefix) => {
                self.index.open_under(&prefix);
                let nodes = &mut self.model.openings().1;
                nodes.retain(|node, _| !path::is_under(node, &prefix));
                nodes.insert(prefix, Opening::Under);
            }
            Act::OpenAll(open) => {
                if open {
                    self.index.open_all();
                } else {
                    self.index.close_all();
                }
                *self.model.openings() = (open, BTreeMap::new());
            }
            other => unreachable!("{other:?} changes no view"),
        }
    }

    fn expire(&mut self, now: i64) {
        self.index.expire(from_millis(now));
        self.model
            .rows
            .retain(|_, row| row.expires.is_none_or(|at| at > now));
        let next = self.model.rows.values().filter_map(|row| row.expires).min();
        assert_eq!(self.index.next_expiry(), next.map(from_millis));
    }

    fn check(&self) {
        let (index, model) = (&self.index, &self.model);
        let (live, markers): (Vec<_>, Vec<_>) =
            model.rows.values().partition(|row| row.operation.is_put());
        let counts = Counts {
            live: live.len(),
            markers: markers.len(),
        };
        assert_eq!(index.counts(), counts);
        assert_eq!(index.is_loading(), model.loading);
        assert_eq!(index.shown(), model.shown().len());

        let rows = index.rows(0..usize::MAX, self.now());
        let paths: Vec<&str> = rows.iter().map(|row| row.path).collect();
        match model.layout {
            Layout::Tree => {
                let seen: Vec<_> = rows
                    .iter()
                    .map(|row| (row.path.to_owned(), row.depth, row.node))
                    .collect();
                assert_eq!(seen, model.tree());
            }
            Layout::Flat if model.sort.by == SortBy::Key => assert_eq!(paths, model.flat()),
            Layout::Flat => {
                // Among equals any order is right, as long as it holds still.
                let values =
                    |keys: &[&str]| keys.iter().map(|k| model.value(k)).collect::<Vec<_>>();
                assert_eq!(values(&paths), values(&model.flat()));
                let mut sorted = paths.clone();
                sorted.sort_by_key(|key| tokens(key));
                assert_eq!(sorted, model.shown());
            }
        }
        assert_eq!(index.len(), rows.len());
        for row in &rows {
            self.check_row(row);
        }
        for (at, path) in paths.iter().enumerate() {
            assert_eq!(index.row_of(path), Some(at), "{path:?}");
            assert_eq!(index.path_at(at), Some(*path));
            assert_eq!(index.locate(path, 0), Some(at));
        }
        assert_eq!(index.path_at(rows.len()), None);
        let third = rows.len() / 3;
        let window = index.rows(third..third + 7, self.now());
        assert_eq!(window, rows[third..rows.len().min(third + 7)]);
        for gone in ["", "a.gone", "zz", "b.b.gone.x"] {
            let row = index.locate(gone, third);
            assert!(row.is_none_or(|row| row < rows.len()));
            assert_eq!(row.is_none(), rows.is_empty());
        }
    }

    fn check_row(&self, row: &Row<'_>) {
        let model = &self.model;
        let is_shown = |row: &ModelRow| model.markers || row.operation.is_put();
        let held = model.rows.get(row.path).filter(|row| is_shown(row));
        let held = held.filter(|_| model.matches(row.path));
        let summary = held.map(|row| Summary {
            revision: Revision(row.revision),
            created: from_millis(row.created),
            size: row.size,
            operation: row.operation,
            expires: row.expires.map(from_millis),
        });
        assert_eq!(row.entry, summary, "{row:?}");
        let changed = |at: u64| Duration::from_secs(model.seconds - at) < HIGHLIGHT;
        let is_changed = held.is_some_and(|row| row.changed.is_some_and(changed));
        assert_eq!(row.changed, is_changed, "{row:?}");
        assert_eq!(row.stale, held.is_some_and(|row| !row.fresh), "{row:?}");
    }
}

fn event(key: &str, row: &ModelRow) -> WatchEvent {
    WatchEvent::Entry(Entry {
        key: Key::from_stored(key),
        revision: Revision(row.revision),
        created: from_millis(row.created),
        operation: row.operation,
        size: row.size,
        value: None,
        ttl: None,
        expires: row.expires.map(from_millis),
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[ab](\\.[abB]){0,3}",
        2 => "[ab.\\-\\x1bé]{0,6}",
        1 => "[ab]\\.[0-9]{3}",
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let operation = prop_oneof![
        3 => Just(Operation::Put),
        1 => Just(Operation::Delete),
        1 => Just(Operation::Purge),
        1 => Just(Operation::Expire),
    ];
    let by = prop_oneof![
        Just(SortBy::Key),
        Just(SortBy::Revision),
        Just(SortBy::Age),
        Just(SortBy::Size),
    ];
    let write = (
        any_key(),
        0..5_u64,
        operation,
        prop::option::weighted(0.2, 0..50_i64),
    );
    let write = write.prop_map(|(key, size, operation, expires)| Act::Write {
        key,
        size,
        operation,
        expires,
    });
    prop_oneof![
        20 => write,
        3 => ("[ab](\\.[ab]){0,2}[.\\-]", 1..400_u32, prop::sample::select(vec![1, 2, 100, 256]))
            .prop_map(|(prefix, keys, step)| Act::Fill { prefix, keys, step }),
        2 => "[ab](\\.[ab\\-]){0,2}".prop_map(|prefix| Act::Clear { prefix }),
        1 => Just(Act::Gap),
        3 => (1..5_usize).prop_map(|skip| Act::Retell { skip }),
        2 => (0..50_i64).prop_map(|now| Act::Expire { now }),
        3 => "!?[abB.0]{0,2}".prop_map(Act::Filter),
        1 => any::<bool>().prop_map(Act::Markers),
        2 => (by, any::<bool>()).prop_map(|(by, descending)| Act::Sort(by, descending)),
        3 => prop_oneof![Just(Layout::Flat), Just(Layout::Tree)].prop_map(Act::Layout),
        5 => any_key().prop_map(Act::Open),
        1 => any_key().prop_map(Act::OpenUnder),
        2 => any_key().prop_map(Act::Close),
        1 => any::<bool>().prop_map(Act::OpenAll),
        1 => (0..4_u64).prop_map(Act::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_shows_what_a_plain_model_shows(acts in prop::collection::vec(any_act(), 1..60)) {
        let mut pair = Pair::new();
        for act in acts {
            pair.act(act);
            pair.check();
        }
    }
}

fn put(index: &mut KeyIndex, keys: &[&str]) {
    for (revision, key) in (1..).zip(keys) {
        let row = ModelRow {
            revision,
            created: 0,
            size: 0,
            operation: Operation::Put,
            expires: None,
            fresh: true,
            changed: None,
        };
        index.apply(&[event(key, &row)], Instant::now());
    }
}

#[test]
fn a_selection_whose_key_vanished_goes_to_its_neighbour() {
    let mut index = KeyIndex::new(HIGHLIGHT);
    assert_eq!(index.locate("a", 0), None);
    put(&mut index, &["a", "c", "d.x", "d.y"]);
    assert_eq!(index.locate("b", 7), Some(1));
    assert_eq!(index.locate("z", 7), Some(3));
    index.set_sort(Sort {
        by: SortBy::Key,
        descending: true,
    });
    assert_eq!(
        index.locate("b", 7),
        Some(3),
        "its place is between c and a"
    );
    index.set_sort(Sort {
        by: SortBy::Revision,
        descending: false,
    });
    assert_eq!(index.locate("b", 2), Some(2), "where it was");
    index.set_layout(Layout::Tree);
    assert_eq!(index.locate("d.x", 7), Some(2), "the closed node over it");
    index.open("d");
    assert_eq!(index.locate("d.xx", 7), Some(4));
}

#[test]
fn an_older_entry_never_replaces_a_newer_one() {
    let mut index = KeyIndex::new(HIGHLIGHT);
    put(&mut index, &["a", "b", "a"]);
    put(&mut index, &["a"]);
    assert_eq!(index.entry("a").unwrap().revision, Revision(3));
    assert_eq!((index.seen(), index.len()), (2, 2));
}

#[test]
fn a_very_long_key_is_a_key() {
    let long = "x".repeat(200_000);
    let mut index = KeyIndex::new(HIGHLIGHT);
    let keys: Vec<String> = (0..300).map(|n| format!("{long}.{n}")).collect();
    put(
        &mut index,
        &keys.iter().map(String::as_str).collect::<Vec<_>>()[..20],
    );
    assert_eq!(index.row_of(&keys[7]), Some(17));
}
