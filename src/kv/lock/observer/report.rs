//! From what was told to what is shown: locks judged, circles found, all of it counted.
//!
//! [`Judgement`] keeps what was judged, and judges a lock again only when something is told of it
//! or of a session in it, or when its time has come. That gives the same as judging all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::bucket::BucketPicture;
use super::judge::{Judge, is_same_queue};
use super::view::{Freshness, Lock, Now, Report};
use crate::kv::lock::diagnosis::{Found, Summary, Thresholds, search};
use crate::kv::{BucketName, Key};

/// By how much the store's clock may turn out to be another than was thought before everything is
/// judged again.
const MOST_DRIFT: time::Duration = time::Duration::milliseconds(20);
/// How many who hold and wait circles are looked for among at once. More take too long.
const FEW: usize = 2_000;

/// What was judged so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Judgement {
    buckets: BTreeMap<BucketName, Judged>,
    found: Arc<Found>,
    /// Whether who waits for whom is another since circles were looked for.
    is_graph_new: bool,
    /// The locks that circles are to be looked for in, and when that was asked for.
    latest: Vec<Arc<Lock>>,
    boot: Duration,
}

/// A bucket's part.
#[derive(Debug, Clone, Default)]
struct Judged {
    locks: BTreeMap<Key, (Arc<Lock>, Option<Duration>)>,
    /// When which lock's time comes.
    due: BTreeSet<(Duration, Key)>,
    freshness: Option<Freshness>,
    /// The store's clock that was judged by: when this machine booted, and the least of that.
    epochs: Option<(time::OffsetDateTime, Option<time::OffsetDateTime>)>,
}

/// Looking for circles of waiting, apart from everything else.
#[derive(Debug)]
pub struct Search {
    locks: Vec<Arc<Lock>>,
    boot: Duration,
    thresholds: Thresholds,
}

/// What a [`Search`] found.
#[derive(Debug)]
pub struct Searched(Found);

impl Search {
    /// Looks. Takes a while where there are many locks, and no more than a thread's attention.
    pub fn run(&self) -> Searched {
        Searched(search(&self.locks, self.boot, &self.thresholds))
    }
}

impl Judgement {
    /// Judges what has to be judged at this time.
    pub(super) fn report(
        &mut self,
        buckets: &mut BTreeMap<BucketName, BucketPicture>,
        now: Now,
        trusts_wall: bool,
        thresholds: &Thresholds,
    ) -> Report {
        let was_there = self.buckets.len();
        self.buckets.retain(|name, _| buckets.contains_key(name));
        self.is_graph_new |= self.buckets.len() != was_there;
        for (name, bucket) in buckets.iter_mut() {
            let judged = self.buckets.entry(name.clone()).or_default();
            self.is_graph_new |=
                judged.update(name, bucket, now, trusts_wall, thresholds, &self.found);
        }
        self.boot = now.boot;
        self.latest = self.locks().cloned().collect();
        let parties = |lock: &Arc<Lock>| lock.holders.len() + lock.waiters.len();
        if self.is_graph_new && self.latest.iter().map(parties).sum::<usize>() <= FEW {
            self.is_graph_new = false;
            let found = search(&self.latest, self.boot, thresholds);
            self.found(found, buckets);
            for (name, bucket) in buckets.iter_mut() {
                if let Some(judged) = self.buckets.get_mut(name) {
                    judged.update(name, bucket, now, trusts_wall, thresholds, &self.found);
                }
            }
            self.latest = self.locks().cloned().collect();
        }
        let freshness =
            |(name, bucket): (&BucketName, &BucketPicture)| (name.clone(), bucket.freshness());
        Report {
            summary: Summary::of(&self.latest, now.boot),
            locks: self.latest.clone(),
            buckets: buckets.iter().map(freshness).collect(),
            boot: now.boot,
            thresholds: *thresholds,
            found: Arc::clone(&self.found),
        }
    }

    fn locks(&self) -> impl Iterator<Item = &Arc<Lock>> {
        let locks = self
            .buckets
            .values()
            .flat_map(|judged| judged.locks.values());
        locks.map(|(lock, _)| lock)
    }

    /// What circles are to be looked for in, if there may be others by now: where there are too
    /// many locks to do it with every report.
    pub(super) fn search(&mut self, thresholds: &Thresholds) -> Option<Search> {
        let is_wanted = std::mem::take(&mut self.is_graph_new);
        is_wanted.then(|| Search {
            locks: self.latest.clone(),
            boot: self.boot,
            thresholds: *thresholds,
        })
    }

    /// Circles were looked for: what is another than before is judged again.
    pub(super) fn searched(
        &mut self,
        Searched(found): Searched,
        buckets: &mut BTreeMap<BucketName, BucketPicture>,
    ) {
        self.found(found, buckets);
    }

    fn found(&mut self, found: Found, buckets: &mut BTreeMap<BucketName, BucketPicture>) {
        let before = std::mem::replace(&mut self.found, Arc::new(found));
        self.is_graph_new |= self.found.is_unsettled;
        // The words on a circle are looked up when they are wanted: the verdict alone counts here.
        let both = before.circled.keys().chain(self.found.circled.keys());
        for id in both {
            let is_dead = |found: &Found| found.of(&id.0, &id.1).deadlock.is_some();
            if is_dead(&before) != is_dead(&self.found)
                && let Some(bucket) = buckets.get_mut(&id.0)
            {
                bucket.marks.lock(&id.1);
            }
        }
    }
}

impl Judged {
    /// Judges what is marked, and those whose time has come. Returns whether anybody waits for
    /// somebody else by now.
    fn update(
        &mut self,
        name: &BucketName,
        bucket: &mut BucketPicture,
        now: Now,
        trusts_wall: bool,
        thresholds: &Thresholds,
        found: &Found,
    ) -> bool {
        let marked = bucket.marks.take();
        let judge = Judge {
            times: bucket.times(now, trusts_wall),
            freshness: bucket.freshness(),
            name,
            bucket,
            thresholds,
        };
        let epochs = (judge.times.epoch(), judge.times.epoch_at_least());
        let is_as_before = self.freshness.as_ref() == Some(&judge.freshness)
            && self.epochs.is_some_and(|before| are_near(before, epochs));
        let marked = marked.filter(|_| is_as_before && !bucket.is_between());
        let keys: BTreeSet<Key> = match marked {
            Some(marked) => {
                let mut keys: BTreeSet<Key> = marked.into_iter().collect();
                keys.extend(self.take_due(judge.times.boot));
                keys
            }
            None => {
                self.freshness = Some(judge.freshness.clone());
                self.epochs = Some(epochs);
                let shown = bucket.shown_locks().keys();
                let shown = shown.chain(bucket.shown_foreign().map(|(key, _)| key));
                shown.chain(self.locks.keys()).cloned().collect()
            }
        };
        let mut is_graph_new = false;
        for key in keys {
            let lock = judge.lock(&key, found.of(name, &key));
            is_graph_new |= self.put(&judge, key, lock);
        }
        is_graph_new
    }

    /// The locks whose time has come.
    fn take_due(&mut self, boot: Duration) -> Vec<Key> {
        let mut keys = Vec::new();
        while self.due.first().is_some_and(|(at, _)| *at <= boot) {
            keys.extend(self.due.pop_first().map(|(_, key)| key));
        }
        keys
    }

    fn put(&mut self, judge: &Judge<'_>, key: Key, lock: Option<Lock>) -> bool {
        let before = self.locks.remove(&key);
        if let Some((_, Some(at))) = &before {
            self.due.remove(&(*at, key.clone()));
        }
        let before = before.map(|(lock, _)| lock);
        let Some(lock) = lock else {
            return before.is_some();
        };
        let at = judge.turns(&lock);
        if let Some(at) = at {
            self.due.insert((at, key.clone()));
        }
        let is_new = match &before {
            Some(before) => !is_same_queue(before, &lock),
            None => !(lock.holders.is_empty() && lock.waiters.is_empty()),
        };
        self.locks.insert(key, (Arc::new(lock), at));
        is_new
    }
}

type Epochs = (time::OffsetDateTime, Option<time::OffsetDateTime>);

fn are_near(before: Epochs, now: Epochs) -> bool {
    let is_near = |a: time::OffsetDateTime, b: time::OffsetDateTime| (a - b).abs() <= MOST_DRIFT;
    let is_least_near = match (before.1, now.1) {
        (Some(before), Some(now)) => is_near(before, now),
        (None, None) => true,
        _ => false,
    };
    is_near(before.0, now.0) && is_least_near
}

impl Report {
    /// The same with ages and sentences as of the report in every lock, faults first, then by how
    /// long somebody waits.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.locks = self.locks.iter().map(|lock| self.of_now(lock)).collect();
        // Stable, so that equals stay in the order of buckets and keys.
        self.locks.sort_by_cached_key(|lock| {
            let longest = lock.longest_waiter().map(|party| party.lasted);
            (!lock.verdict.is_fault(), lock.verdict, Reverse(longest))
        });
        self
    }
}

impl Summary {
    pub(super) fn of(locks: &[Arc<Lock>], boot: Duration) -> Self {
        let mut summary = Self::default();
        for lock in locks {
            summary.locks += 1;
            summary.faults += usize::from(lock.verdict.is_fault());
            summary.holding += lock.holders.len();
            summary.waiting += lock.waiters.len();
            *summary.verdicts.entry(lock.verdict).or_default() += 1;
            let longest = lock.longest_waiter();
            let longest = longest.map(|party| party.lasted + lock.ages_by(boot));
            summary.longest_wait = summary.longest_wait.max(longest);
        }
        summary
    }

    /// The longest wait, zero where nobody waits.
    pub fn longest_wait(&self) -> Duration {
        self.longest_wait.unwrap_or_default()
    }
}
