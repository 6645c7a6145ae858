//! Watching locks: all of them, in any number of buckets, with the sessions of who holds and waits.
//!
//! An observer only looks. It judges sessions by its own clock, as everybody does who may act, but
//! a verdict of its own is for people: acting on a lock reads it again.
//!
//! Of each bucket it watches the lock records and the session records by their prefixes, with one
//! watch for both, so that other keys never cross the wire. Locks of `shizuku` services stand at any
//! key: they are found by the length of their values, which only then are read.
//!
//! [`Picture`] is the pure part: told of events, asked with the time. [`Observer`] feeds one.

mod absences;
mod bucket;
mod epochs;
mod judge;
mod marks;
mod picture;
mod report;
mod seen;
#[cfg(test)]
mod tests;
mod told;
mod view;
mod watching;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, AbortHandle, BoxStream, FuturesUnordered, SelectAll};
use time::OffsetDateTime;
use tokio::time::Instant;

pub use self::bucket::Feed;
pub use self::picture::Picture;
pub use self::report::{Search, Searched};
pub use self::view::{
    ClockOf, Content, Freshness, Judged, LastBeat, Lock, LockMode, Now, Party, Report, Standing,
};
use self::watching::{Told, Watched, told_by, watch_options};
use super::clock::Clock;
use super::diagnosis::Thresholds;
use super::session::{Process, Session};
use crate::kv::backend::{Backend, BucketBackend, Consistency, originals};
use crate::kv::{BucketName, Entry, Error, Key, Watch, WatchEvent};

/// How often an answer is asked for anew while somebody holds or waits.
const PACE: Duration = Duration::from_secs(1);
/// How many times as long as looking for circles of waiting took it rests.
const REST: u32 = 2;
/// How many values are read at the same time.
const READS: usize = 16;
/// How long to wait before a watch that could not begin is tried again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What to observe, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ObserveOptions {
    /// Only these buckets; `None`: all that are there when it begins, but for mirrors of others.
    /// More join by [`Observer::add`].
    pub buckets: Option<Vec<BucketName>>,
    /// Also locks of `shizuku` services: costs a watch over all keys of each bucket, without their
    /// values.
    pub foreign: bool,
    /// Begin with everything that is kept of each lock, and so know since when everybody holds and
    /// waits. Without, that is a lower bound until it is seen to change.
    pub history: bool,
    /// From when on something is worth telling.
    pub thresholds: Thresholds,
    /// Whether this machine's time of day is near enough to the store's to suspect a silent
    /// session by it. See [`Picture::new`].
    pub trusts_wall: bool,
    /// What silence is measured by.
    pub clock: Clock,
}

impl Default for ObserveOptions {
    /// All buckets, with history and with locks of `shizuku` services, by the time since boot.
    fn default() -> Self {
        Self {
            buckets: None,
            foreign: true,
            history: true,
            thresholds: Thresholds::default(),
            trusts_wall: false,
            clock: Clock::boot(),
        }
    }
}

/// Observes the locks of a place. Cancel-safe: it only reads, and its watches end with it.
///
/// # Errors
/// Those of listing the buckets, if none were named. What goes wrong with a single bucket is told
/// by its [`Freshness`].
pub async fn observe(
    backend: Arc<dyn Backend>,
    options: ObserveOptions,
) -> Result<Observer, Error> {
    let buckets = match &options.buckets {
        Some(buckets) => buckets.clone(),
        None => {
            let all = backend.buckets().await?;
            // A mirror would show every lock of its origin once more, as it was a while ago.
            let originals = originals(&all);
            originals.map(|info| info.config.name.clone()).collect()
        }
    };
    let mut observer = Observer {
        picture: Picture::new(options.thresholds, options.trusts_wall),
        backend,
        options,
        watches: SelectAll::new(),
        running: Vec::new(),
        work: FuturesUnordered::new(),
        waiting: BTreeSet::new(),
        reading: BTreeSet::new(),
        next_look: Instant::now() + PACE,
        is_searching: false,
        next_search: Instant::now(),
        ended: false,
    };
    for bucket in buckets {
        observer.add(&bucket);
    }
    Ok(observer)
}

/// A live picture of locks. Dropping it ends its watches.
pub struct Observer {
    picture: Picture,
    backend: Arc<dyn Backend>,
    options: ObserveOptions,
    watches: SelectAll<BoxStream<'static, Told>>,
    /// What ends a watch.
    running: Vec<(BucketName, AbortHandle)>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Keys that are to be read, and those that are being read. A key can be in both: then it
    /// changed meanwhile.
    waiting: BTreeSet<(BucketName, Key)>,
    reading: BTreeSet<(BucketName, Key)>,
    /// When it is looked again who is gone from this machine.
    next_look: Instant,
    /// Whether circles of waiting are being looked for, and when they may be again.
    is_searching: bool,
    next_search: Instant,
    /// Whether a watch ended for ever, which means that the backend was closed.
    ended: bool,
}

/// Work that ended.
enum Done {
    Begun {
        bucket: BucketName,
        of: Watched,
        watch: Result<Watch, Error>,
        retry: Duration,
    },
    Read {
        bucket: BucketName,
        key: Key,
        entry: Result<Option<Entry>, Error>,
    },
    LookedAround(Vec<(BucketName, String)>),
    /// What was found and how long that took; nothing, if the search itself failed.
    Searched(Option<(Searched, Duration)>),
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("options", &self.options)
            .field("watches", &self.watches.len())
            .finish_non_exhaustive()
    }
}

impl Observer {
    /// Observes another bucket too. One that is observed already stays as it is.
    pub fn add(&mut self, bucket: &BucketName) {
        self.add_with(bucket, self.options.foreign);
    }

    /// The same, but never for locks of `shizuku` services: enough to know who waits for whom.
    pub fn add_without_foreign(&mut self, bucket: &BucketName) {
        self.add_with(bucket, false);
    }

    fn add_with(&mut self, bucket: &BucketName, foreign: bool) {
        if self.picture.buckets().any(|known| known == bucket) {
            return;
        }
        self.picture.add(bucket, foreign);
        self.begin(bucket, Watched::Records, Duration::ZERO);
        if foreign {
            self.begin(bucket, Watched::Others, Duration::ZERO);
        }
    }

    /// From now on looks for locks of `shizuku` services too, in a bucket that is observed without.
    pub fn add_foreign(&mut self, bucket: &BucketName) {
        if self.picture.add_foreign(bucket) {
            self.begin(bucket, Watched::Others, Duration::ZERO);
        }
    }

    /// Observes a bucket no more.
    pub fn remove(&mut self, bucket: &BucketName) {
        self.picture.remove(bucket);
        self.running.retain(|(name, watch)| {
            let stays = name != bucket;
            if !stays {
                watch.abort();
            }
            stays
        });
        self.waiting.retain(|(name, _)| name != bucket);
    }

    /// What is known, to be asked with any time.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// The time, by the clock that the observer was given and this machine's time of day.
    pub fn now(&self) -> Now {
        Now {
            boot: self.options.clock.now(),
            wall: OffsetDateTime::now_utc(),
        }
    }

    /// Everything that there is to tell now, with all locks judged anew, faults first. Takes a while
    /// where there are many.
    pub fn report(&self) -> Report {
        self.picture.whole_report(self.now())
    }

    /// The same at a time, as far as there is news, and at once: see [`Picture::report`]. What of it takes
    /// longer is begun, and comes as news.
    pub fn refresh(&mut self, now: Now) -> Report {
        let report = self.picture.report(now);
        if !self.is_searching
            && Instant::now() >= self.next_search
            && let Some(search) = self.picture.search()
        {
            self.is_searching = true;
            let searching = tokio::task::spawn_blocking(move || {
                let begun = std::time::Instant::now();
                (search.run(), begun.elapsed())
            });
            let done = async move { Done::Searched(searching.await.ok()) };
            self.work.push(done.boxed());
        }
        report
    }

    /// Waits for news, and takes it into the picture. Also returns about once a second while
    /// somebody holds or waits: verdicts change with time alone. `false` when the backend is closed
    /// and nothing will ever come.
    ///
    /// Cancel-safe: news is taken only into the picture.
    pub async fn changed(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let is_ageing = self.picture.is_ageing();
        let next_look = self.next_look.max(Instant::now());
        tokio::select! {
            Some(told) = self.watches.next() => self.told(told),
            Some(done) = self.work.next() => self.done(done),
            () = tokio::time::sleep_until(next_look), if is_ageing => {}
            // No bucket at all: somebody has to add one.
            else => std::future::pending().await,
        }
        // Whatever else is there already belongs to the same news.
        while let Some(Some(told)) = self.watches.next().now_or_never() {
            self.told(told);
        }
        while let Some(Some(done)) = self.work.next().now_or_never() {
            self.done(done);
        }
        self.read_wanted();
        if Instant::now() >= self.next_look {
            self.next_look = Instant::now() + PACE;
            if let Some(looking) = self.look_around() {
                self.work.push(looking.map(Done::LookedAround).boxed());
            }
        }
        !self.ended
    }

    /// Whether everything has been told that the buckets held when they were begun with.
    pub fn is_loaded(&self) -> bool {
        self.picture.is_loaded() && self.waiting.is_empty() && self.reading.is_empty()
    }

    /// Makes certain of what a picture that was just loaded leaves open: whether processes of this
    /// machine are gone, and whether there is no record of a session. A session is there before its
    /// first claim and stays until its last one is gone; so a claim that is still there after its
    /// session was not is nobody's.
    ///
    /// Cancel-safe: what was found until then is kept, and the rest stays open.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn make_certain(&mut self) -> Result<(), Error> {
        if let Some(looking) = self.look_around() {
            let gone = looking.await;
            self.gone(&gone);
        }
        for (bucket, session, locks) in self.picture.missing() {
            let Ok(session_key) = Session::key_of(&session) else {
                self.picture.confirm_absent(&bucket, &session);
                continue;
            };
            let handle = self.backend.bucket(&bucket).await?;
            let record = handle.get(&session_key, Consistency::Leader).await?;
            if record.as_ref().is_some_and(|entry| !entry.is_marker()) {
                let now = self.options.clock.now();
                self.picture.read(&bucket, &session_key, record, now);
                continue;
            }
            for key in locks {
                let entry = handle.get(&key, Consistency::Leader).await?;
                let now = self.options.clock.now();
                self.picture.read(&bucket, &key, entry, now);
            }
            self.picture.confirm_absent(&bucket, &session);
        }
        Ok(())
    }

    fn told(&mut self, told: Told) {
        let Some(events) = told.events else {
            self.ended |= self.picture.buckets().any(|known| *known == told.bucket);
            return;
        };
        let now = self.options.clock.now();
        for event in events {
            if let WatchEvent::Entry(entry) = &event {
                let feed = told.of.feed_of(&entry.key);
                self.picture.event(&told.bucket, feed, event, now);
            } else {
                for feed in told.of.feeds() {
                    self.picture.event(&told.bucket, *feed, event.clone(), now);
                }
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Begun {
                bucket,
                of,
                watch: Ok(watch),
                ..
            } => {
                if self.picture.buckets().any(|known| *known == bucket) {
                    let (watch, handle) = stream::abortable(told_by(watch, bucket.clone(), of));
                    self.watches.push(watch.boxed());
                    self.running.push((bucket, handle));
                }
            }
            Done::Begun {
                bucket,
                of,
                watch: Err(error),
                retry,
            } => {
                for feed in of.feeds() {
                    self.picture.failed(&bucket, *feed, error.to_string());
                }
                if self.picture.buckets().any(|known| *known == bucket) {
                    let next = (retry * 2).clamp(RETRY.0, RETRY.1);
                    self.begin(&bucket, of, next);
                }
            }
            Done::Read { bucket, key, entry } => {
                let now = self.options.clock.now();
                match entry {
                    // The watch tells of an outage. What could not be read is read again.
                    Err(_) if self.picture.is_interrupted() => {
                        self.read(bucket, key, RETRY.0);
                        return;
                    }
                    Ok(entry) => self.picture.read(&bucket, &key, entry, now),
                    Err(error) => self
                        .picture
                        .failed(&bucket, Feed::Others, error.to_string()),
                }
                self.reading.remove(&(bucket, key));
            }
            Done::LookedAround(gone) => self.gone(&gone),
            Done::Searched(searched) => {
                self.is_searching = false;
                if let Some((searched, took)) = searched {
                    self.next_search = Instant::now() + took * REST;
                    self.picture.searched(searched);
                }
            }
        }
    }

    fn gone(&mut self, gone: &[(BucketName, String)]) {
        for (bucket, session) in gone {
            self.picture.gone(bucket, session);
        }
    }

    /// The sessions whose processes ran on this machine and are gone; `None` where there is nobody
    /// to ask for.
    fn look_around(&self) -> Option<impl Future<Output = Vec<(BucketName, String)>> + use<>> {
        let me = Process::current();
        let neighbours: Vec<(BucketName, String, Session)> = self
            .picture
            .sessions()
            .filter(|(_, _, session)| session.is_neighbour_of(me))
            .map(|(bucket, id, session)| (bucket.clone(), id.to_owned(), session.clone()))
            .collect();
        if neighbours.is_empty() {
            return None;
        }
        // It reads files of the system.
        let looking = tokio::task::spawn_blocking(move || {
            let gone = neighbours
                .into_iter()
                .filter(|(_, _, session)| me.sees_gone(session));
            gone.map(|(bucket, id, _)| (bucket, id)).collect()
        });
        Some(async move { looking.await.unwrap_or_default() })
    }

    /// Begins a watch, after a while.
    fn begin(&mut self, bucket: &BucketName, of: Watched, after: Duration) {
        let backend = Arc::clone(&self.backend);
        let bucket = bucket.clone();
        let options = watch_options(of, self.options.history);
        self.work.push(
            async move {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                let begun = async {
                    let handle: Arc<dyn BucketBackend> = backend.bucket(&bucket).await?;
                    handle.watch(options?).await
                };
                Done::Begun {
                    watch: begun.await,
                    bucket: bucket.clone(),
                    of,
                    retry: after,
                }
            }
            .boxed(),
        );
    }

    /// Reads the values that decide whether a key is a lock of a `shizuku` service.
    fn read_wanted(&mut self) {
        self.waiting.extend(self.picture.take_wanted());
        while self.reading.len() < READS {
            let mut waiting = self.waiting.iter();
            let Some(place) = waiting.find(|place| !self.reading.contains(place)).cloned() else {
                return;
            };
            self.waiting.remove(&place);
            self.reading.insert(place.clone());
            let (bucket, key) = place;
            self.read(bucket, key, Duration::ZERO);
        }
    }

    /// Reads a key, after a while.
    fn read(&self, bucket: BucketName, key: Key, after: Duration) {
        let backend = Arc::clone(&self.backend);
        self.work.push(
            async move {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                let read = async {
                    let handle = backend.bucket(&bucket).await?;
                    handle.get(&key, Consistency::Any).await
                };
                Done::Read {
                    entry: read.await,
                    bucket: bucket.clone(),
                    key: key.clone(),
                }
            }
            .boxed(),
        );
    }
}
