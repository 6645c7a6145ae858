//! A backend in memory: the fake for tests of services, and the first that the suite runs on.
//!
//! It keeps the whole contract, times to live included, by tokio's clock, so that a test with a
//! paused clock need not wait. What a bucket does with a write is in `bucket.rs`. Nothing is kept
//! when it is dropped, and no care is taken to be fast.

mod bucket;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use time::OffsetDateTime;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use self::bucket::Bucket;
use super::backend::{
    Backend, BucketBackend, BucketConfig, BucketInfo, BucketReport, Capabilities, Connection,
    Consistency, MAX_HISTORY, Offered, Overview, PlaceReport, Reason, Setting, Write,
};
use super::{
    BucketName, Entry, Error, Filter, Interruption, Key, Notices, Revision, Store, Watch,
    WatchEvent, WatchFrom, WatchOptions, WatchSender, WriteError, watch_channel,
};

/// How many notices one who listens can be behind before it misses some.
const NOTICES_KEPT: usize = 1024;

/// A store of buckets that lives in this process alone. Clones share the buckets.
#[derive(Debug, Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buckets: Mutex<Buckets>,
    /// Counts the changes, and wakes the watches.
    changes: watch::Sender<u64>,
    connection: watch::Sender<Connection>,
    notices: broadcast::Sender<Notice>,
    began: (OffsetDateTime, Instant),
}

/// What is told, to whom.
#[derive(Debug, Clone)]
struct Notice {
    bucket: BucketName,
    name: String,
    told: Bytes,
}

#[derive(Debug, Default)]
struct Buckets {
    by_name: BTreeMap<BucketName, Bucket>,
    /// How many buckets were ever made: it tells a bucket from its successor of the same name.
    made: u64,
}

impl Memory {
    /// A store without buckets.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                buckets: Mutex::default(),
                changes: watch::Sender::new(0),
                notices: broadcast::Sender::new(NOTICES_KEPT),
                connection: watch::Sender::new(Connection::Connected),
                began: (OffsetDateTime::now_utc(), Instant::now()),
            }),
        }
    }

    /// A bucket in a new store of its own, for a test that needs no more.
    ///
    /// # Errors
    /// As [`Backend::create_bucket`].
    pub async fn with_bucket(config: &BucketConfig) -> Result<(Self, Store), Error> {
        let memory = Self::new();
        memory.create_bucket(config).await?;
        let store = Store::new(memory.bucket(&config.name).await?);
        Ok((memory, store))
    }

    const CAPABILITIES: Capabilities = Capabilities {
        entry_ttl: true,
        replicas: false,
        memory_storage: true,
        settings: Offered::ALL
            .without(Setting::Replicas, Reason::NotHere)
            .without(Setting::Placement, Reason::NotHere)
            .without(Setting::Compression, Reason::NotHere)
            .without(Setting::Republish, Reason::NotHere)
            .without(Setting::Mirror, Reason::NotHere)
            .without(Setting::Sources, Reason::NotHere)
            .with_fixed(Setting::Storage, Reason::StaysWhereMade),
        max_history: MAX_HISTORY,
        max_value_size: Some(1 << 20),
        restores: false,
        remote: false,
        read_only: false,
        as_of: None,
    };
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    /// The time by tokio's clock, which a test can pause.
    fn now(&self) -> OffsetDateTime {
        self.began.0 + self.began.1.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Does something with a bucket in which nothing is left whose time has run out.
    fn on_bucket<T>(
        &self,
        name: &BucketName,
        action: impl FnOnce(&mut Bucket, OffsetDateTime) -> T,
    ) -> Result<T, Error> {
        let now = self.now();
        let mut buckets = self.lock();
        let bucket = buckets
            .by_name
            .get_mut(name)
            .ok_or_else(|| no_such_bucket(name))?;
        let before = bucket.last_revision();
        bucket.expire(now);
        let done = action(bucket, now);
        let changed = bucket.last_revision() != before;
        drop(buckets);
        if changed {
            self.tell();
        }
        Ok(done)
    }
}

fn no_such_bucket(name: &BucketName) -> Error {
    Error::NoSuchBucket {
        bucket: name.to_string(),
    }
}

/// Refuses settings that this place can't have.
fn check(config: &BucketConfig) -> Result<(), Error> {
    config.check_history()?;
    Memory::CAPABILITIES.settings.check_new(config)
}

#[async_trait]
impl Backend for Memory {
    fn capabilities(&self) -> Capabilities {
        Self::CAPABILITIES
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.shared.connection.subscribe()
    }

    async fn ping(&self) -> Result<Duration, Error> {
        Ok(Duration::ZERO)
    }

    async fn overview(&self) -> Result<Overview, Error> {
        Ok(Overview {
            address: "memory".to_owned(),
            engine: concat!("kvscope ", env!("CARGO_PKG_VERSION")).to_owned(),
            sections: Vec::new(),
        })
    }

    async fn report(&self) -> Result<PlaceReport, Error> {
        Ok(PlaceReport::default())
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        let now = self.shared.now();
        let mut buckets = self.shared.lock();
        Ok(buckets
            .by_name
            .values_mut()
            .map(|bucket| {
                bucket.expire(now);
                bucket.info()
            })
            .collect())
    }

    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error> {
        self.shared.on_bucket(name, |_, _| ())?;
        Ok(Arc::new(MemoryBucket {
            shared: Arc::clone(&self.shared),
            name: name.clone(),
        }))
    }

    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        check(config)?;
        let now = self.shared.now();
        let mut buckets = self.shared.lock();
        if let Some(bucket) = buckets.by_name.get(&config.name) {
            let info = bucket.info();
            return if info.config == *config {
                Ok(info)
            } else {
                Err(Error::BucketExists {
                    bucket: config.name.clone(),
                })
            };
        }
        buckets.made += 1;
        let bucket = Bucket::new(config.clone(), buckets.made, now);
        let info = bucket.info();
        buckets.by_name.insert(config.name.clone(), bucket);
        drop(buckets);
        self.shared.tell();
        Ok(info)
    }

    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error> {
        check(config)?;
        self.shared.on_bucket(&config.name, |bucket, _| {
            let offered = Self::CAPABILITIES.settings;
            offered.check_change(&bucket.info().config, config)?;
            bucket.change(config.clone());
            Ok(bucket.info())
        })?
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        let gone = self.shared.lock().by_name.remove(name);
        gone.ok_or_else(|| no_such_bucket(name))?;
        self.shared.tell();
        Ok(())
    }

    async fn close(&self) {}
}

/// The handle on one bucket: a name, looked up anew by each call.
#[derive(Debug)]
struct MemoryBucket {
    shared: Arc<Shared>,
    name: BucketName,
}

#[async_trait]
impl BucketBackend for MemoryBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Memory::CAPABILITIES
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.shared.on_bucket(&self.name, |bucket, _| bucket.info())
    }

    async fn get(&self, key: &Key, _: Consistency) -> Result<Option<Entry>, Error> {
        self.shared
            .on_bucket(&self.name, |bucket, _| bucket.newest(key).cloned())
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.shared.on_bucket(&self.name, |bucket, _| {
            bucket
                .at(revision)
                .filter(|entry| entry.key == *key)
                .cloned()
        })
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.shared.on_bucket(&self.name, |bucket, _| {
            bucket.since(Revision::ABSENT, &Filter::from(key))
        })
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        self.shared
            .on_bucket(&self.name, |bucket, _| bucket.forget(key, marker))
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        self.shared
            .on_bucket(&self.name, |bucket, now| bucket.write(write, now))?
    }

    async fn clock(&self) -> Result<Option<OffsetDateTime>, Error> {
        Ok(Some(self.shared.now()))
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        let (sender, watch) = watch_channel();
        let mut feeder = Feeder {
            shared: Arc::clone(&self.shared),
            name: self.name.clone(),
            options,
            sender,
            told: Revision::ABSENT,
            incarnation: 0,
            interrupted: false,
        };
        let changes = self.shared.changes.subscribe();
        feeder.begin()?;
        Ok(watch.fed_by(tokio::spawn(feeder.run(changes))))
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.shared
            .on_bucket(&self.name, |_, _| BucketReport::default())
    }

    async fn restore(&self, _: Vec<Entry>) -> Result<(), Error> {
        Err(Error::no_restoring())
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        let heard = self.shared.notices.subscribe();
        let own = (self.name.clone(), name.to_owned());
        Ok(Some(Notices::new(stream::unfold(
            (heard, own),
            async |(mut heard, own)| loop {
                match heard.recv().await {
                    Ok(notice) if notice.bucket == own.0 && notice.name == own.1 => {
                        return Some((notice.told, (heard, own)));
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            },
        ))))
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        // It is nothing to them if nobody listens.
        let _ = self.shared.notices.send(Notice {
            bucket: self.name.clone(),
            name: name.to_owned(),
            told: notice,
        });
    }
}

/// What tells a watch about the changes of its bucket.
struct Feeder {
    shared: Arc<Shared>,
    name: BucketName,
    options: WatchOptions,
    sender: WatchSender,
    /// The newest revision that was told, or passed over.
    told: Revision,
    /// Which bucket of the name it was.
    incarnation: u64,
    interrupted: bool,
}

impl Feeder {
    /// Tells the snapshot.
    fn begin(&mut self) -> Result<(), Error> {
        let (entries, told, incarnation) = self.shared.on_bucket(&self.name, |bucket, _| {
            let filter = &self.options.filter;
            let entries = match self.options.from {
                WatchFrom::Newest => bucket.newest_of_each(filter),
                WatchFrom::History => bucket.since(Revision::ABSENT, filter),
                WatchFrom::Revision(from) => bucket.since(from, filter),
                WatchFrom::Now => Vec::new(),
            };
            (entries, bucket.last_revision(), bucket.incarnation())
        })?;
        self.told = told;
        self.incarnation = incarnation;
        self.send(entries);
        self.sender.send(WatchEvent::Ready);
        Ok(())
    }

    async fn run(mut self, mut changes: watch::Receiver<u64>) {
        loop {
            changes.borrow_and_update();
            let next_expiry = self.step();
            let expiry = async {
                match next_expiry {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                alive = changes.changed() => if alive.is_err() { return },
                () = expiry => {}
            }
        }
    }

    /// Tells what is new, and returns the time until something expires.
    fn step(&mut self) -> Option<Duration> {
        let news = self.shared.on_bucket(&self.name, |bucket, now| {
            let next = Revision(self.told.0 + 1);
            (
                bucket.incarnation(),
                bucket.since(next, &self.options.filter),
                bucket.last_revision(),
                bucket.next_expiry(now),
            )
        });
        match news {
            Ok((incarnation, entries, last, next_expiry)) if incarnation == self.incarnation => {
                self.told = last;
                self.send(entries);
                next_expiry
            }
            Ok(_) => {
                self.interrupt(Interruption::BucketReplaced);
                self.interrupted = false;
                self.sender.send(WatchEvent::Resumed { gap: true });
                // If it is gone again meanwhile, the next step says so.
                self.begin().ok();
                Some(Duration::ZERO)
            }
            Err(_) => {
                self.interrupt(Interruption::BucketGone);
                None
            }
        }
    }

    fn interrupt(&mut self, cause: Interruption) {
        if !self.interrupted {
            self.interrupted = true;
            self.sender.send(WatchEvent::Interrupted { cause });
        }
    }

    fn send(&self, entries: Vec<Entry>) {
        let values = self.options.values;
        self.sender.send_all(entries.into_iter().map(|entry| {
            WatchEvent::Entry(Entry {
                value: entry.value.filter(|_| values),
                ..entry
            })
        }));
    }
}
