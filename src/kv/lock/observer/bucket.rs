//! The locks and sessions of one bucket, as its watches told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::absences::Absences;
use super::epochs::Epochs;
use super::marks::Marks;
use super::seen::{Seen, Times};
use super::told::{Foreign, Stored, Told};
use super::view::{Freshness, Now, Standing};
use crate::kv::lock::name::KEY_PREFIX;
use crate::kv::lock::record::Record;
use crate::kv::lock::session::{SESSION_PREFIX, Session};
use crate::kv::lock::shizuku::Shizuku;
use crate::kv::lock::timeline::Killed;
use crate::kv::{Entry, Key, WatchEvent};

/// The lengths of a `shizuku` record.
const SHIZUKU_SIZES: [u64; 2] = [9, 17];

/// Which of a bucket's watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// The lock records, with values and everything that is kept of them or only the newest.
    Locks,
    /// The session records, with values.
    Sessions,
    /// All keys, without values: locks of `shizuku` services can be at any.
    Others,
}

/// How one watch is.
#[derive(Debug, Clone, Default)]
struct Phase {
    /// Whether everything that was there has been told.
    is_ready: bool,
    /// Since when it is interrupted, and why.
    stale: Option<(Duration, String)>,
    /// Why it could not begin.
    failed: Option<String>,
}

/// One bucket.
#[derive(Debug, Clone)]
pub(super) struct BucketPicture {
    told: Told,
    /// What was told before a gap, until the whole has come again.
    before: Told,
    feeds: BTreeMap<Feed, Phase>,
    absent: Absences,
    wanted: BTreeSet<Key>,
    epochs: Epochs,
    /// What has to be judged again.
    pub(super) marks: Marks,
}

impl BucketPicture {
    pub(super) fn new(foreign: bool) -> Self {
        let mut feeds = BTreeMap::from([
            (Feed::Locks, Phase::default()),
            (Feed::Sessions, Phase::default()),
        ]);
        if foreign {
            feeds.insert(Feed::Others, Phase::default());
        }
        Self {
            told: Told::default(),
            before: Told::default(),
            feeds,
            absent: Absences::default(),
            wanted: BTreeSet::new(),
            epochs: Epochs::default(),
            marks: Marks::default(),
        }
    }

    /// Locks of `shizuku` services are looked for from now on. Whether they were not before.
    pub(super) fn add_foreign(&mut self) -> bool {
        if self.feeds.contains_key(&Feed::Others) {
            return false;
        }
        self.feeds.insert(Feed::Others, Phase::default());
        self.marks.all();
        true
    }

    pub(super) fn event(&mut self, feed: Feed, event: WatchEvent, now: Duration) {
        match event {
            WatchEvent::Entry(entry) => {
                let is_live = self.is_live(feed);
                self.epochs.learn(entry.created, is_live, now);
                self.entry(feed, &entry, now);
            }
            WatchEvent::Ready => {
                self.marks.all();
                let phase = self.phase(feed);
                phase.is_ready = true;
                phase.failed = None;
                self.forget_before(feed);
                if feed == Feed::Sessions {
                    self.restart_absences(now);
                }
            }
            WatchEvent::Interrupted { cause } => {
                self.marks.all();
                // The first interruption is the one that says since when.
                let stale = &mut self.phase(feed).stale;
                stale.get_or_insert_with(|| (now, cause.to_string()));
                self.epochs.interrupted();
            }
            WatchEvent::Resumed { gap } => {
                self.marks.all();
                self.phase(feed).stale = None;
                if gap {
                    self.phase(feed).is_ready = false;
                    self.set_aside(feed);
                }
                if feed == Feed::Sessions {
                    self.restart_absences(now);
                    let before = self.before.sessions.values_mut();
                    before
                        .chain(self.told.sessions.values_mut())
                        .for_each(|seen| seen.outage(now));
                }
            }
        }
    }

    pub(super) fn failed(&mut self, feed: Feed, reason: String) {
        self.marks.all();
        self.phase(feed).failed = Some(reason);
    }

    fn phase(&mut self, feed: Feed) -> &mut Phase {
        self.feeds.entry(feed).or_default()
    }

    /// What was read of a key, which the watches may know more of already.
    pub(super) fn read(&mut self, key: &Key, entry: Option<Entry>, now: Duration) {
        let Some(entry) = entry else {
            self.told.remove_lock(key);
            self.told.foreign.remove(key);
            self.marks.lock(key);
            return;
        };
        let known = if let Some(id) = Session::id_of(key.as_str()) {
            self.told.sessions.get(id).map(|seen| seen.revision)
        } else {
            let lock = self.told.locks().get(key).map(|lock| lock.revision);
            lock.or_else(|| self.told.foreign.get(key).map(|lock| lock.revision))
        };
        if known.is_some_and(|known| known > entry.revision) {
            return;
        }
        let feed = match key.as_str() {
            name if name.starts_with(KEY_PREFIX) => Feed::Locks,
            name if name.starts_with(SESSION_PREFIX) => Feed::Sessions,
            _ => Feed::Others,
        };
        if feed == Feed::Others {
            let phase = self.phase(feed);
            if phase.is_ready && phase.failed.take().is_some() {
                self.marks.all();
            }
            self.foreign(entry);
        } else if known != Some(entry.revision) {
            self.entry(feed, &entry, now);
        }
    }

    fn entry(&mut self, feed: Feed, entry: &Entry, now: Duration) {
        match feed {
            Feed::Locks => self.lock(entry, now),
            Feed::Sessions => self.session(entry, now),
            Feed::Others => self.other(entry),
        }
    }

    fn lock(&mut self, entry: &Entry, now: Duration) {
        self.marks.lock(&entry.key);
        let Some(value) = entry.live_value() else {
            self.told.remove_lock(&entry.key);
            return;
        };
        let record = Record::from_bytes(value).map(Arc::new);
        for claim in record.iter().flat_map(|record| record.claims()) {
            if !self.told.sessions.contains_key(&claim.session) {
                self.absent.begin(&claim.session, now);
            }
        }
        self.told.lock(entry, record);
    }

    fn session(&mut self, entry: &Entry, now: Duration) {
        let Some(id) = Session::id_of(entry.key.as_str()) else {
            return;
        };
        self.mark(id);
        let Some(value) = entry.live_value() else {
            if self.told.sessions.remove(id).is_some() {
                self.absent.begin(id, now);
            }
            return;
        };
        self.absent.end(id);
        let content = Session::from_bytes(value).map(Arc::new);
        let (revision, created) = (entry.revision, entry.created);
        // After a gap it comes again, perhaps as it was: what was seen of it stays true.
        if let Some(seen) = self.before.sessions.remove(id) {
            self.told.sessions.insert(id.to_owned(), seen);
        }
        match self.told.sessions.get_mut(id) {
            Some(seen)
                if !self
                    .feeds
                    .get(&Feed::Sessions)
                    .is_some_and(|feed| feed.is_ready) =>
            {
                // Told again, and perhaps with a state from before the one that was seen: not a
                // beat that we saw.
                if seen.revision != revision {
                    *seen = Seen::first(revision, created, content, now);
                }
            }
            Some(seen) => seen.read(revision, created, content, now),
            None => {
                let seen = Seen::first(revision, created, content, now);
                self.told.sessions.insert(id.to_owned(), seen);
            }
        }
    }

    /// Something is known anew of a session: of all locks that it is in.
    fn mark(&mut self, session: &str) {
        for key in self.told.places(session) {
            self.marks.lock(key);
        }
    }

    /// Any key, without its value.
    fn other(&mut self, entry: &Entry) {
        let name = entry.key.as_str();
        if name.starts_with(KEY_PREFIX) || name.starts_with(SESSION_PREFIX) {
            return;
        }
        if self.told.foreign.contains_key(&entry.key) {
            self.marks.lock(&entry.key);
        }
        // What was a lock before a gap may be none any more, and that is worth telling.
        if let Some(lock) = self.before.foreign.remove(&entry.key) {
            self.told.foreign.insert(entry.key.clone(), lock);
        }
        if entry.is_marker() {
            self.told.foreign.remove(&entry.key);
            self.wanted.remove(&entry.key);
        } else if SHIZUKU_SIZES.contains(&entry.size) {
            self.wanted.insert(entry.key.clone());
        } else {
            self.wanted.remove(&entry.key);
            self.no_lock(entry);
        }
    }

    /// A key whose value has the length of a `shizuku` lock.
    fn foreign(&mut self, entry: Entry) {
        self.marks.lock(&entry.key);
        match entry.live_value().map(|value| Shizuku::from_bytes(value)) {
            Some(Some(lock)) => {
                let lock = Foreign {
                    revision: entry.revision,
                    created: entry.created,
                    content: Ok(lock),
                };
                self.told.foreign.insert(entry.key, lock);
            }
            // Most values are just values.
            Some(None) => self.no_lock(&entry),
            None => {
                self.told.foreign.remove(&entry.key);
            }
        }
    }

    /// A value that is no lock: told only where there was one.
    fn no_lock(&mut self, entry: &Entry) {
        if let Some(lock) = self.told.foreign.get_mut(&entry.key) {
            *lock = Foreign {
                revision: entry.revision,
                created: entry.created,
                content: Err(entry.size),
            };
        }
    }

    pub(super) fn gone(&mut self, session: &str) {
        if let Some(seen) = self.told.sessions.get_mut(session) {
            seen.is_gone = true;
        }
        self.mark(session);
    }

    pub(super) fn confirm_absent(&mut self, session: &str) {
        self.mark(session);
        self.absent.confirm(session);
    }

    pub(super) fn take_wanted(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.wanted)
    }

    /// The sessions that hold or wait and may be alive.
    pub(super) fn living(&self) -> impl Iterator<Item = (&str, &Session)> {
        self.told.claimants().filter_map(|(id, _)| {
            let seen = self.told.sessions.get(id).filter(|seen| !seen.is_gone)?;
            let session = seen.session()?;
            session.dead.is_none().then_some((id, &**session))
        })
    }

    /// The sessions that hold or wait and have no record, and where.
    pub(super) fn missing(&self) -> impl Iterator<Item = (String, Vec<Key>)> {
        let claimants = self.told.claimants();
        claimants
            .filter(|(id, _)| self.absent.has(id))
            .map(|(id, keys)| (id.to_owned(), keys.iter().cloned().collect()))
    }

    /// The sessions whose records say that they are dead.
    pub(super) fn deaths(&self) -> impl Iterator<Item = (String, Killed)> {
        self.told.sessions.iter().filter_map(|(id, seen)| {
            let killed = Killed {
                death: seen.session()?.dead.clone()?,
                at: seen.created,
                revision: seen.revision,
            };
            Some((id.clone(), killed))
        })
    }

    pub(super) fn is_loaded(&self) -> bool {
        let mut feeds = self.feeds.values();
        feeds.all(|phase| phase.is_ready || phase.failed.is_some()) && self.wanted.is_empty()
    }

    pub(super) fn is_interrupted(&self) -> bool {
        let mut feeds = self.feeds.values();
        feeds.any(|phase| phase.stale.is_some())
    }

    pub(super) fn is_ageing(&self) -> bool {
        self.told.claimants().next().is_some()
            || self.told.foreign.values().any(|lock| {
                lock.content
                    .is_ok_and(|lock| lock.reset() != lock || lock.writer_waits)
            })
    }

    /// What is shown: after a gap that which was told before, until the whole has come again.
    pub(super) fn shown_locks(&self) -> &BTreeMap<Key, Stored> {
        if self.before.locks().is_empty() {
            self.told.locks()
        } else {
            self.before.locks()
        }
    }

    /// The lock of ours at a key.
    pub(super) fn shown_lock(&self, key: &Key) -> Option<&Stored> {
        self.shown_locks().get(key)
    }

    /// The lock of a `shizuku` service at a key.
    pub(super) fn shown_foreign_lock(&self, key: &Key) -> Option<&Foreign> {
        let again = self.told.foreign.get(key);
        again.or_else(|| self.before.foreign.get(key))
    }

    /// Whether what is shown is what was told before a gap.
    pub(super) fn is_between(&self) -> bool {
        !self.before.locks().is_empty()
            || !self.before.sessions.is_empty()
            || !self.before.foreign.is_empty()
    }

    /// The same for locks of `shizuku` services.
    pub(super) fn shown_foreign(&self) -> impl Iterator<Item = (&Key, &Foreign)> {
        let again = self.told.foreign.iter();
        let rest = self.before.foreign.iter();
        again.chain(rest)
    }

    pub(super) fn seen(&self, session: &str) -> Option<&Seen> {
        let again = self.told.sessions.get(session);
        again.or_else(|| self.before.sessions.get(session))
    }

    /// When, in time since boot, a session's standing may become another one by time alone.
    pub(super) fn turns(&self, session: &str, times: Times) -> Vec<Duration> {
        if let Some(seen) = self.seen(session) {
            return seen.turns(times).collect();
        }
        self.absent.turn(session).into_iter().collect()
    }

    /// How a session is that holds or waits.
    pub(super) fn standing(&self, session: &str, times: Times) -> Standing {
        if let Some(seen) = self.seen(session) {
            return seen.standing(times);
        }
        let is_ready = self
            .feeds
            .get(&Feed::Sessions)
            .is_some_and(|phase| phase.is_ready);
        let absent = self.absent.standing(session, times.boot);
        absent.filter(|_| is_ready).unwrap_or(Standing::Unknown)
    }

    /// How fresh all of it is: as fresh as the worst of its watches.
    pub(super) fn freshness(&self) -> Freshness {
        let mut phases = self.feeds.values();
        if let Some(reason) = phases.find_map(|phase| phase.failed.clone()) {
            return Freshness::Failed { reason };
        }
        let stale = self.feeds.values().filter_map(|phase| phase.stale.clone());
        if let Some((since, reason)) = stale.min_by_key(|(since, _)| *since) {
            return Freshness::Stale { since, reason };
        }
        if self.feeds.values().all(|phase| phase.is_ready) {
            Freshness::Live
        } else {
            Freshness::Loading
        }
    }

    /// The times to judge by: those of the moment at which the picture was last true.
    pub(super) fn times(&self, now: Now, trusts_wall: bool) -> Times {
        let boot = match self.freshness() {
            Freshness::Stale { since, .. } => now.boot.min(since),
            _ => now.boot,
        };
        self.epochs.times(boot, now, trusts_wall)
    }

    fn is_live(&self, feed: Feed) -> bool {
        self.feeds
            .get(&feed)
            .is_some_and(|phase| phase.is_ready && phase.stale.is_none())
    }

    fn restart_absences(&mut self, now: Duration) {
        let told = &self.told;
        self.absent
            .restart(now, |session| told.is_claimant(session));
    }

    /// Everything comes again after a gap: what was told stays shown until it has.
    fn set_aside(&mut self, feed: Feed) {
        self.epochs.set_aside();
        // A second gap before the end of the first: the half that came again is of no use.
        match feed {
            Feed::Locks => {
                let again = self.told.take_locks();
                if self.before.locks().is_empty() {
                    self.before.put_locks(again);
                }
            }
            Feed::Sessions => {
                let again = std::mem::take(&mut self.told.sessions);
                self.before.sessions.extend(again);
            }
            Feed::Others => {
                let again = std::mem::take(&mut self.told.foreign);
                self.before.foreign.extend(again);
                self.wanted.clear();
            }
        }
    }

    /// What did not come again is gone.
    fn forget_before(&mut self, feed: Feed) {
        match feed {
            Feed::Locks => drop(self.before.take_locks()),
            Feed::Sessions => self.before.sessions.clear(),
            Feed::Others => self.before.foreign.clear(),
        }
    }
}
