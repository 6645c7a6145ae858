//! The picture of all locks: what the watches told, joined and judged when it is asked.
//!
//! Pure: told of events with the time since boot at which they came, asked with the time at which
//! to answer. What a screen shows of ages counts up between two events by asking again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::bucket::{BucketPicture, Feed};
use super::report::{Judgement, Search, Searched};
use super::view::{Now, Report};
use crate::kv::lock::diagnosis::Thresholds;
use crate::kv::lock::session::Session;
use crate::kv::lock::timeline::Killed;
use crate::kv::{BucketName, Entry, Key, WatchEvent};

/// All locks of the buckets that are watched.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    buckets: BTreeMap<BucketName, BucketPicture>,
    thresholds: Thresholds,
    trusts_wall: bool,
    judgement: Judgement,
}

impl Picture {
    /// A picture without buckets.
    ///
    /// `trusts_wall`: whether this machine's time of day is the store's, or near enough to suspect
    /// somebody by it who is silent: for a file on this machine, or where there is no time to
    /// watch. It never makes anybody dead.
    pub fn new(thresholds: Thresholds, trusts_wall: bool) -> Self {
        Self {
            buckets: BTreeMap::new(),
            thresholds,
            trusts_wall,
            judgement: Judgement::default(),
        }
    }

    /// A bucket is going to be watched; `foreign`: for locks of `shizuku` services too.
    pub fn add(&mut self, bucket: &BucketName, foreign: bool) {
        self.buckets
            .entry(bucket.clone())
            .or_insert_with(|| BucketPicture::new(foreign));
    }

    /// A bucket is going to be watched for locks of `shizuku` services too. Whether that is news.
    pub fn add_foreign(&mut self, bucket: &BucketName) -> bool {
        let picture = self.buckets.get_mut(bucket);
        picture.is_some_and(BucketPicture::add_foreign)
    }

    /// A bucket is not watched any more.
    pub fn remove(&mut self, bucket: &BucketName) {
        self.buckets.remove(bucket);
    }

    /// The buckets that are watched.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketName> {
        self.buckets.keys()
    }

    /// A watch told something.
    pub fn event(&mut self, bucket: &BucketName, feed: Feed, event: WatchEvent, now: Duration) {
        if let Some(picture) = self.buckets.get_mut(bucket) {
            picture.event(feed, event, now);
        }
    }

    /// A watch could not begin.
    pub fn failed(&mut self, bucket: &BucketName, feed: Feed, reason: String) {
        if let Some(picture) = self.buckets.get_mut(bucket) {
            picture.failed(feed, reason);
        }
    }

    /// A key was read: its newest entry, or none.
    pub fn read(&mut self, bucket: &BucketName, key: &Key, entry: Option<Entry>, now: Duration) {
        if let Some(picture) = self.buckets.get_mut(bucket) {
            picture.read(key, entry, now);
        }
    }

    /// A session's process was found to be gone from the machine that it ran on.
    pub fn gone(&mut self, bucket: &BucketName, session: &str) {
        if let Some(picture) = self.buckets.get_mut(bucket) {
            picture.gone(session);
        }
    }

    /// It was found that there is no record of a session, while its claims stayed where they are.
    pub fn confirm_absent(&mut self, bucket: &BucketName, session: &str) {
        if let Some(picture) = self.buckets.get_mut(bucket) {
            picture.confirm_absent(session);
        }
    }

    /// The keys whose values decide whether a `shizuku` service keeps a lock there; each is named
    /// once.
    pub fn take_wanted(&mut self) -> BTreeSet<(BucketName, Key)> {
        let buckets = self.buckets.iter_mut();
        buckets
            .flat_map(|(name, picture)| {
                let keys = picture.take_wanted();
                keys.into_iter().map(move |key| (name.clone(), key))
            })
            .collect()
    }

    /// The sessions that hold or wait, and are not known to be dead.
    pub fn sessions(&self) -> impl Iterator<Item = (&BucketName, &str, &Session)> {
        self.buckets.iter().flat_map(|(name, picture)| {
            let living = picture.living();
            living.map(move |(id, session)| (name, id, session))
        })
    }

    /// The sessions that hold or wait without a record that was told, with the keys of the locks.
    pub fn missing(&self) -> Vec<(BucketName, String, Vec<Key>)> {
        let buckets = self.buckets.iter();
        buckets
            .flat_map(|(name, picture)| {
                let missing = picture.missing();
                missing.map(move |(id, keys)| (name.clone(), id, keys))
            })
            .collect()
    }

    /// The sessions of a bucket whose records say that they are dead: what the
    /// [`timeline`](crate::kv::lock::timeline::timeline()) of a lock wants to know.
    pub fn deaths(&self, bucket: &BucketName) -> HashMap<String, Killed> {
        let bucket = self.buckets.get(bucket).into_iter();
        bucket.flat_map(BucketPicture::deaths).collect()
    }

    /// Whether everything has been told that the buckets held, or failed to be.
    pub fn is_loaded(&self) -> bool {
        self.buckets.values().all(BucketPicture::is_loaded)
    }

    /// Whether a watch is interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.buckets.values().any(BucketPicture::is_interrupted)
    }

    /// Whether anybody holds or waits, so that the answer changes with time alone.
    pub fn is_ageing(&self) -> bool {
        self.buckets.values().any(BucketPicture::is_ageing)
    }

    /// What there is to tell at this time. Takes as long as there is news since the report before,
    /// and a moment for each thousand locks.
    ///
    /// Where there are many locks, circles of waiting are those that were found last: see
    /// [`Picture::search`].
    pub fn report(&mut self, now: Now) -> Report {
        self.judgement
            .report(&mut self.buckets, now, self.trusts_wall, &self.thresholds)
    }

    /// What is left to be done after a report, if there is anything: looking for circles of
    /// waiting, which takes longer than everything else. The answer goes to
    /// [`Picture::searched`].
    pub fn search(&mut self) -> Option<Search> {
        self.judgement.search(&self.thresholds)
    }

    /// The circles that were found: the next report tells of them.
    pub fn searched(&mut self, searched: Searched) {
        self.judgement.searched(searched, &mut self.buckets);
    }

    /// What there is to tell at this time, every lock of it judged anew, in the order of faults.
    pub fn whole_report(&self, now: Now) -> Report {
        let mut all = self.clone();
        all.judgement = Judgement::default();
        let report = all.report(now);
        match all.search() {
            None => report.whole(),
            Some(search) => {
                all.searched(search.run());
                all.report(now).whole()
            }
        }
    }
}
