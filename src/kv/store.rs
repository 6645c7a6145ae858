//! The handle on one bucket that people hold, with the everyday calls.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::backend::{Backend, BucketBackend, BucketInfo, Capabilities, Consistency, Write};
use super::lock::{Locks, Settings};
use super::{
    BucketName, Entry, Error, Filter, Key, Revision, Watch, WatchEvent, WatchOptions, WriteError,
};

/// One bucket. Cheap to clone; all clones are the same bucket.
///
/// Reads go to the copy that decides writes ([`Consistency::Leader`]), so that what was read can
/// be the base of a compare-and-set; [`Store::peek`] reads any copy.
#[derive(Debug, Clone)]
pub struct Store {
    bucket: Arc<dyn BucketBackend>,
    locks: Arc<OnceLock<Locks>>,
}

impl Store {
    /// The bucket of that name at a backend.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`] when there is none.
    pub async fn open(backend: &dyn Backend, bucket: &str) -> Result<Self, Error> {
        Ok(Self::new(backend.bucket(&BucketName::new(bucket)?).await?))
    }

    /// A bucket that a backend gave.
    pub fn new(bucket: Arc<dyn BucketBackend>) -> Self {
        Self {
            bucket,
            locks: Arc::default(),
        }
    }

    /// The locks kept in this bucket: the same for all clones of this store, with the default
    /// settings. [`Locks::new`] takes others.
    pub fn locks(&self) -> &Locks {
        self.locks
            .get_or_init(|| Locks::new(self, Settings::default()))
    }

    /// The bucket, to be shared.
    pub(super) fn bucket(&self) -> Arc<dyn BucketBackend> {
        Arc::clone(&self.bucket)
    }

    /// The contract underneath, for calls that have no sugar here.
    pub fn backend(&self) -> &dyn BucketBackend {
        &*self.bucket
    }

    /// The bucket's name.
    pub fn name(&self) -> &BucketName {
        self.bucket.name()
    }

    /// What the place that keeps it can do.
    pub fn capabilities(&self) -> Capabilities {
        self.bucket.capabilities()
    }

    /// The bucket's settings and size, now.
    pub async fn info(&self) -> Result<BucketInfo, Error> {
        self.bucket.info().await
    }

    /// Whether entries of this bucket can have a time to live of their own: where the place can
    /// and the bucket is set up for it. Where its settings can't be read, the write will tell.
    pub async fn takes_ttl(&self) -> bool {
        let is_set_up = match self.info().await {
            Ok(info) => info.config.marker_ttl.is_some(),
            Err(_) => true,
        };
        self.capabilities().entry_ttl && is_set_up
    }

    /// The newest entry of a key, a marker included, from the copy that decides writes.
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Option<Entry>, Error> {
        self.bucket.get(&stored(key), Consistency::Leader).await
    }

    /// The newest entry of a key, a marker included, from any copy, perhaps behind.
    pub async fn peek(&self, key: impl AsRef<str>) -> Result<Option<Entry>, Error> {
        self.bucket.get(&stored(key), Consistency::Any).await
    }

    /// The entry of a key at one revision, if it is kept.
    pub async fn get_revision(
        &self,
        key: impl AsRef<str>,
        revision: Revision,
    ) -> Result<Option<Entry>, Error> {
        self.bucket.get_revision(&stored(key), revision).await
    }

    /// The entries that are kept of a key, oldest first.
    pub async fn history(&self, key: impl AsRef<str>) -> Result<Vec<Entry>, Error> {
        self.bucket.history(&stored(key)).await
    }

    /// Writes a value, whatever is there.
    pub async fn put(
        &self,
        key: impl AsRef<str>,
        value: impl Into<Bytes>,
    ) -> Result<Revision, WriteError> {
        self.write(Write::put(Key::new(key)?, value)).await
    }

    /// Writes a value if the key is at that revision.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when it is at another one.
    pub async fn update(
        &self,
        key: impl AsRef<str>,
        value: impl Into<Bytes>,
        expected: Revision,
    ) -> Result<Revision, WriteError> {
        self.write(Write::put(Key::new(key)?, value).expecting(expected))
            .await
    }

    /// Writes a value if the key has none: it never had one, or only a marker is left of it.
    ///
    /// # Errors
    /// [`CreateError::Exists`] when it has one. [`WriteError::Conflict`] never comes out of this
    /// call unless the key keeps coming and going.
    pub async fn create(
        &self,
        key: impl AsRef<str>,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
    ) -> Result<Revision, CreateError> {
        let key = Key::new(key).map_err(WriteError::from)?;
        let mut write = Write {
            ttl,
            ..Write::put(key.clone(), value).expecting(Revision::ABSENT)
        };
        let mut tries = 0;
        loop {
            let conflict = match self.write(write.clone()).await {
                Err(conflict @ WriteError::Conflict { .. }) => conflict,
                done => return Ok(done?),
            };
            match self
                .bucket
                .get(&key, Consistency::Leader)
                .await
                .map_err(WriteError::from)?
            {
                Some(entry) if !entry.is_marker() => {
                    return Err(CreateError::Exists {
                        key,
                        current: entry.revision,
                    });
                }
                marker => {
                    write.expected = Some(marker.map_or(Revision::ABSENT, |entry| entry.revision));
                }
            }
            tries += 1;
            if tries == Self::CREATE_TRIES {
                return Err(conflict.into());
            }
        }
    }

    /// How often [`Store::create`] follows a key that others create and delete meanwhile.
    const CREATE_TRIES: u32 = 8;

    /// Deletes a key and keeps its history; with an expectation, only at that revision.
    pub async fn delete(
        &self,
        key: impl AsRef<str>,
        expected: Option<Revision>,
    ) -> Result<Revision, WriteError> {
        self.write(Write {
            expected,
            ..Write::delete(stored(key))
        })
        .await
    }

    /// Deletes a key and its history; with an expectation, only at that revision.
    pub async fn purge(
        &self,
        key: impl AsRef<str>,
        expected: Option<Revision>,
    ) -> Result<Revision, WriteError> {
        self.write(Write {
            expected,
            ..Write::purge(stored(key))
        })
        .await
    }

    /// Makes any write.
    pub async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        self.bucket.write(write).await
    }

    /// Watches keys.
    pub async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.bucket.watch(options).await
    }

    /// The newest entries, without values, of all keys that are there now and match.
    ///
    /// They are in the order of the store. For a bucket of millions take [`Store::watch`] and
    /// handle entries as they come.
    pub async fn entries(&self, filter: Filter) -> Result<Vec<Entry>, Error> {
        self.newest(WatchOptions::new(filter).without_values())
            .await
    }

    /// The same as [`Store::entries`], with values.
    pub async fn contents(&self, filter: Filter) -> Result<Vec<Entry>, Error> {
        self.newest(WatchOptions::new(filter)).await
    }

    async fn newest(&self, options: WatchOptions) -> Result<Vec<Entry>, Error> {
        let watch = self.watch(options).await?;
        let mut newest = std::collections::HashMap::new();
        while let Some(event) = watch.next().await {
            match event {
                WatchEvent::Entry(entry) if entry.is_marker() => {
                    newest.remove(&entry.key);
                }
                WatchEvent::Entry(entry) => {
                    newest.insert(entry.key.clone(), entry);
                }
                WatchEvent::Ready => {
                    let mut entries: Vec<Entry> = newest.into_values().collect();
                    entries.sort_unstable_by_key(|entry| entry.revision);
                    return Ok(entries);
                }
                WatchEvent::Interrupted { .. } => {}
                WatchEvent::Resumed { gap } => {
                    if gap {
                        newest.clear();
                    }
                }
            }
        }
        Err(Error::Closed)
    }
}

/// A key for calls that also take foreign ones; the backend checks those that write.
fn stored(key: impl AsRef<str>) -> Key {
    Key::from_stored(key.as_ref())
}

/// Why a key was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The key has a value.
    #[error("{key} is there already, at revision {current}")]
    Exists {
        /// The key.
        key: Key,
        /// Its revision.
        current: Revision,
    },
    /// The write ended otherwise.
    #[error(transparent)]
    Write(#[from] WriteError),
}
