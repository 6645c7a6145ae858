//! What the watches of one bucket told, by key: its locks, its sessions, and who of these is in
//! which lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::seen::Seen;
use crate::kv::lock::name::{KEY_PREFIX, resource_of};
use crate::kv::lock::record::{DecodeError, Record};
use crate::kv::lock::shizuku::Shizuku;
use crate::kv::lock::timeline::{Tracker, What};
use crate::kv::{Entry, Key, Revision};

/// How many turns the median is of.
const TURNS: usize = 15;

/// A lock of ours.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) resource: String,
    pub(super) revision: Revision,
    pub(super) created: OffsetDateTime,
    pub(super) record: Result<Arc<Record>, DecodeError>,
    pub(super) tracker: Tracker,
    turns: VecDeque<Duration>,
}

impl Stored {
    fn new(entry: &Entry) -> Self {
        let key = entry.key.as_str();
        // A key that none of ours writes is still a lock to somebody who sees it.
        let rest = || key.strip_prefix(KEY_PREFIX).unwrap_or(key).to_owned();
        Self {
            resource: resource_of(key).unwrap_or_else(rest),
            revision: entry.revision,
            created: entry.created,
            record: Ok(Arc::default()),
            tracker: Tracker::default(),
            turns: VecDeque::new(),
        }
    }

    fn step(&mut self, entry: &Entry, record: Result<Arc<Record>, DecodeError>) {
        self.revision = entry.revision;
        self.created = entry.created;
        let readable = record.as_deref().ok();
        for event in self.tracker.step(entry.revision, entry.created, readable) {
            if let What::Released { held: Some(held) } = event.what {
                self.turns.truncate(TURNS - 1);
                self.turns.push_front(held);
            }
        }
        self.record = record;
    }

    /// The median of the last turns.
    pub(super) fn turn(&self) -> Option<Duration> {
        let mut turns: Vec<Duration> = self.turns.iter().copied().collect();
        turns.sort_unstable();
        turns.get(turns.len() / 2).copied()
    }

    /// The sessions that hold or wait, each once.
    fn sessions(&self) -> BTreeSet<&str> {
        let claims = self.record.iter().flat_map(|record| record.claims());
        claims.map(|claim| claim.session.as_str()).collect()
    }
}

/// A key that a `shizuku` service keeps a lock at, or did.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    pub(super) revision: Revision,
    pub(super) created: OffsetDateTime,
    /// The lock, or how long the value is that took its place.
    pub(super) content: Result<Shizuku, u64>,
}

/// What a bucket's watches told, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    locks: BTreeMap<Key, Stored>,
    /// In which locks each session holds or waits.
    places: HashMap<String, BTreeSet<Key>>,
    pub(super) sessions: HashMap<String, Seen>,
    pub(super) foreign: BTreeMap<Key, Foreign>,
}

impl Told {
    /// The locks of ours.
    pub(super) fn locks(&self) -> &BTreeMap<Key, Stored> {
        &self.locks
    }

    /// A lock was written.
    pub(super) fn lock(&mut self, entry: &Entry, record: Result<Arc<Record>, DecodeError>) {
        let lock = self
            .locks
            .entry(entry.key.clone())
            .or_insert_with(|| Stored::new(entry));
        let before = lock.record.clone();
        lock.step(entry, record);
        let now = lock.sessions();
        let left = before.iter().flat_map(|record| record.claims());
        for claim in left.filter(|claim| !now.contains(claim.session.as_str())) {
            leave(&mut self.places, &claim.session, &entry.key);
        }
        for session in now {
            match self.places.get_mut(session) {
                Some(keys) if keys.contains(&entry.key) => {}
                Some(keys) => {
                    keys.insert(entry.key.clone());
                }
                None => {
                    let keys = BTreeSet::from([entry.key.clone()]);
                    self.places.insert(session.to_owned(), keys);
                }
            }
        }
    }

    /// A lock is not there any more.
    pub(super) fn remove_lock(&mut self, key: &Key) {
        if let Some(lock) = self.locks.remove(key) {
            for session in lock.sessions() {
                leave(&mut self.places, session, key);
            }
        }
    }

    /// Takes all locks out.
    pub(super) fn take_locks(&mut self) -> BTreeMap<Key, Stored> {
        self.places.clear();
        std::mem::take(&mut self.locks)
    }

    /// Puts locks in that were taken out elsewhere: to be shown, not to be told of again.
    pub(super) fn put_locks(&mut self, locks: BTreeMap<Key, Stored>) {
        self.locks = locks;
    }

    /// The sessions that hold or wait.
    pub(super) fn claimants(&self) -> impl Iterator<Item = (&str, &BTreeSet<Key>)> {
        self.places.iter().map(|(id, keys)| (id.as_str(), keys))
    }

    /// The locks in which a session holds or waits.
    pub(super) fn places(&self, session: &str) -> impl Iterator<Item = &Key> {
        self.places.get(session).into_iter().flatten()
    }

    /// Whether a session holds or waits.
    pub(super) fn is_claimant(&self, session: &str) -> bool {
        self.places.contains_key(session)
    }
}

fn leave(places: &mut HashMap<String, BTreeSet<Key>>, session: &str, key: &Key) {
    if let Some(keys) = places.get_mut(session) {
        keys.remove(key);
        if keys.is_empty() {
            places.remove(session);
        }
    }
}
