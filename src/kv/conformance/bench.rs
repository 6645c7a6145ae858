//! What a case works with: buckets of its own, and a watch that is never waited for without end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::failure::{Failure, Outcome, that};
use crate::kv::backend::{Backend, BucketConfig, Capabilities};
use crate::kv::{BucketName, Entry, Filter, Key, Store, Watch, WatchEvent, WatchOptions};

/// The longest silence of a watch that still counts as slow. A server needs some seconds to
/// notice that a bucket under a watch was replaced.
const PATIENCE: Duration = Duration::from_secs(40);

/// The backend under test, and the buckets that a case made in it.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The backend under test.
    pub backend: Arc<dyn Backend>,
    /// How many keys are many.
    pub many_keys: usize,
    replicas: u64,
    made: Arc<Mutex<Vec<BucketName>>>,
}

impl Bench {
    pub(super) fn new(backend: Arc<dyn Backend>, replicas: u64, many_keys: usize) -> Self {
        Self {
            backend,
            many_keys,
            replicas,
            made: Arc::default(),
        }
    }

    /// What the backend says it can do.
    pub fn can(&self) -> Capabilities {
        self.backend.capabilities()
    }

    /// Settings for a bucket of a name that nobody used before.
    pub fn config(&self) -> Outcome<BucketConfig> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let name = BucketName::new(format!(
            "suite-{:x}-{}-{}",
            now.as_nanos(),
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed),
        ))?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(name.clone());
        Ok(BucketConfig {
            replicas: self.replicas,
            ..BucketConfig::new(name)
        })
    }

    /// A bucket with these settings.
    pub async fn make(&self, config: &BucketConfig) -> Outcome<Store> {
        self.backend.create_bucket(config).await?;
        Ok(Store::new(self.backend.bucket(&config.name).await?))
    }

    /// A bucket that keeps so many entries per key.
    pub async fn store(&self, history: u64) -> Outcome<Store> {
        let config = BucketConfig {
            history,
            ..self.config()?
        };
        self.make(&config).await
    }

    /// Deletes the buckets that are left.
    pub(super) async fn clean_up(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for name in made {
            // Most cases made it, some never did or deleted it; a leftover harms no other case.
            self.backend.delete_bucket(&name).await.ok();
        }
    }
}

/// A watch under test: each wait has a limit, and outages that no one caused are failures.
#[derive(Debug)]
pub struct Probe(Watch);

impl Probe {
    /// Watches a bucket.
    pub async fn new(store: &Store, options: WatchOptions) -> Outcome<Self> {
        Ok(Self(store.watch(options).await?))
    }

    /// Watches all keys of a bucket, and takes the snapshot.
    pub async fn all(store: &Store) -> Outcome<(Self, Vec<Entry>)> {
        let probe = Self::new(store, WatchOptions::new(Filter::all())).await?;
        let snapshot = probe.until_ready().await?;
        Ok((probe, snapshot))
    }

    /// The next event, whatever it is.
    #[track_caller]
    pub fn event(&self) -> impl Future<Output = Outcome<WatchEvent>> {
        let silent = Failure::new("the watch fell silent");
        let ended = Failure::new("the watch ended");
        async {
            let event = tokio::time::timeout(PATIENCE, self.0.next()).await;
            event.map_err(|_| silent)?.ok_or(ended)
        }
    }

    /// The next event, which has to be an entry.
    #[track_caller]
    pub fn entry(&self) -> impl Future<Output = Outcome<Entry>> {
        let other = Failure::new("wanted an entry");
        let event = self.event();
        async {
            match event.await? {
                WatchEvent::Entry(entry) => Ok(entry),
                event => Err(other.and(format!("found {event:?}"))),
            }
        }
    }

    /// The entries up to [`WatchEvent::Ready`], as they come.
    #[track_caller]
    pub fn until_ready(&self) -> impl Future<Output = Outcome<Vec<Entry>>> {
        let other = Failure::new("wanted entries and then Ready");
        async {
            let mut entries = Vec::new();
            loop {
                match self.event().await? {
                    WatchEvent::Entry(entry) => entries.push(entry),
                    WatchEvent::Ready => return Ok(entries),
                    event => return Err(other.and(format!("found {event:?}"))),
                }
            }
        }
    }

    /// Passes over one or more interruptions to the [`WatchEvent::Resumed`] that ends them, and
    /// says whether it was a gap.
    #[track_caller]
    pub fn until_resumed(&self) -> impl Future<Output = Outcome<bool>> {
        let other = Failure::new("wanted Interrupted and then Resumed");
        async {
            let mut interrupted = false;
            loop {
                match self.event().await? {
                    WatchEvent::Interrupted { .. } => interrupted = true,
                    WatchEvent::Resumed { gap } if interrupted => return Ok(gap),
                    event => return Err(other.and(format!("found {event:?}"))),
                }
            }
        }
    }
}

/// The newest entry of each key among entries in the order in which a watch told them.
///
/// # Errors
/// [`Failure`] if an entry of a key came after a newer one.
pub(super) fn newest(entries: Vec<Entry>) -> Outcome<BTreeMap<Key, Entry>> {
    let mut newest: BTreeMap<Key, Entry> = BTreeMap::new();
    for entry in entries {
        if let Some(before) = newest.get(&entry.key) {
            that(
                before.revision < entry.revision,
                format_args!("{} went from {before:?} to {entry:?}", entry.key),
            )?;
        }
        newest.insert(entry.key.clone(), entry);
    }
    Ok(newest)
}

/// The names of these entries' keys, sorted.
pub(super) fn keys<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a str> {
    let mut keys: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.key.as_str())
        .collect();
    keys.sort_unstable();
    keys
}
