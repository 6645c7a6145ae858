//! Read, change, write back, and again if somebody was faster. The one place of the typed layer
//! that tries again, and that finds out how a write without an acknowledgement ended.

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;

use super::backend::{Change, Consistency, Write};
use super::value::decode;
use super::{
    ByteDeserialize, ByteSerialize, Entry, Error, Key, KvReadError, KvWriteError, Revision, Store,
    WriteError,
};

/// The values of one type in a bucket, changed by compare-and-set.
///
/// A change is a function of what is there. If the key moves while it is worked out, it is read
/// again and worked out anew, after a short random wait, up to a number of times.
///
/// **A change lands at most once.** When the acknowledgement of a write is lost, the same bytes
/// are sent again, expecting the same revision: of all of these at most one can land. Where they
/// are refused because the key has moved, the key's history tells whether it was this write that
/// moved it, as long as it still shows the next entry and that entry differs from what was sent.
/// An equal entry is no proof, because somebody else could have written the same; then the answer
/// is [`ChangeError::Unknown`]. Whoever puts something unique into each value can read the key
/// then, and see for himself.
#[derive(Debug, Clone)]
pub struct AtomicMap<T> {
    store: Store,
    retry: Retry,
    of: PhantomData<fn() -> T>,
}

/// What a change makes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// It has this value.
    Put(T),
    /// It is deleted; what the bucket keeps of its history stays.
    Delete,
    /// It stays as it is; nothing is written.
    Keep,
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was written, at this revision.
    Written(Revision),
    /// The change left the key as it is, at this revision.
    Kept(Revision),
}

/// How often to try, and how long to wait in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often to try at all, at least once.
    pub attempts: u32,
    /// The longest wait before the second try; it doubles from try to try. The wait itself is
    /// random, from none at all up to this, so that writers who met once do not meet again.
    pub first_wait: Duration,
    /// The longest wait there is.
    pub longest_wait: Duration,
}

impl Default for Retry {
    /// Ten tries within at most about 2.5 s.
    fn default() -> Self {
        Self {
            attempts: 10,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(500),
        }
    }
}

impl Retry {
    async fn wait(&self, attempt: u32) {
        let doubled = self.first_wait.saturating_mul(1 << attempt.min(20));
        let longest = doubled.min(self.longest_wait);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
    }
}

/// Why a key was not changed, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The key could not be read; nothing was written.
    #[error(transparent)]
    Read(#[from] KvReadError),
    /// The write failed; nothing was written. Never a conflict.
    #[error(transparent)]
    Write(KvWriteError),
    /// Others were faster each time; nothing was written.
    #[error("{key} was changed by others {attempts} times in a row")]
    Contended {
        /// The key.
        key: Key,
        /// How often it was tried.
        attempts: u32,
    },
    /// It may have been written or not, and it may still be written later.
    #[error("it is not known whether {key} was changed: {reason}")]
    Unknown {
        /// The key.
        key: Key,
        /// How the acknowledgement was lost, and what could be found out.
        reason: String,
    },
}

/// How one try ended.
enum Try {
    Written(Revision),
    /// Somebody was faster, and this write can't land any more.
    Beaten,
}

/// What moved the key away from the base of a write.
enum First {
    /// Nothing: it is still there. A cluster can answer with a conflict all the same.
    Nobody,
    /// A write that was not this one.
    SomebodyElse,
}

impl<T: ByteSerialize + ByteDeserialize> AtomicMap<T> {
    /// The values of a bucket.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            retry: Retry::default(),
            of: PhantomData,
        }
    }

    /// The same with other limits to its patience.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The bucket.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Changes a key. The function gets what is there, and is called anew whenever that moved.
    ///
    /// Dropping the future leaves it open whether the change lands, as with
    /// [`ChangeError::Unknown`].
    pub async fn change(
        &self,
        key: impl AsRef<str>,
        mut change: impl FnMut(Option<T>) -> Next<T>,
    ) -> Result<Changed, ChangeError> {
        let key = Key::new(key).map_err(|error| KvReadError::Store(error.into()))?;
        for attempt in 0..self.retry.attempts.max(1) {
            if attempt > 0 {
                self.retry.wait(attempt - 1).await;
            }
            let base = self.read(&key).await.map_err(KvReadError::Store)?;
            let revision = base.as_ref().map_or(Revision::ABSENT, |base| base.revision);
            let value = match &base {
                Some(base) => decode(base)?,
                None => None,
            };
            let write = match change(value) {
                Next::Put(value) => {
                    let bytes = value
                        .to_bytes()
                        .map_err(|source| ChangeError::Write(KvWriteError::encode(&key, source)))?;
                    Write::put(key.clone(), bytes)
                }
                Next::Delete => Write::delete(key.clone()),
                Next::Keep => return Ok(Changed::Kept(revision)),
            };
            match self.write(write.expecting(revision), base.as_ref()).await? {
                Try::Written(revision) => return Ok(Changed::Written(revision)),
                Try::Beaten => {}
            }
        }
        Err(ChangeError::Contended {
            key,
            attempts: self.retry.attempts.max(1),
        })
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let bucket = self.store.backend();
        bucket.get(key, Consistency::Leader).await
    }

    /// Makes a write that expects the revision of `base`, until it is known how it ended.
    async fn write(&self, write: Write, base: Option<&Entry>) -> Result<Try, ChangeError> {
        // Why it became unknown whether one of the writes sent so far has landed.
        let mut doubt: Option<String> = None;
        for attempt in 0..self.retry.attempts.max(1) {
            if attempt > 0 {
                self.retry.wait(attempt - 1).await;
            }
            match (self.store.write(write.clone()).await, doubt.take()) {
                (Ok(revision), _) => return Ok(Try::Written(revision)),
                (Err(WriteError::Conflict { .. }), None) => return Ok(Try::Beaten),
                (Err(WriteError::Conflict { .. }), Some(reason)) => {
                    match self.who_was_first(&write, base, &reason).await? {
                        First::SomebodyElse => return Ok(Try::Beaten),
                        First::Nobody => doubt = Some(reason),
                    }
                }
                (Err(WriteError::Unknown { reason, .. }), _) => doubt = Some(reason),
                (Err(WriteError::Failed(error)), None) => {
                    return Err(ChangeError::Write(KvWriteError::Failed(error)));
                }
                // This one failed, but one before it may still be on its way.
                (Err(WriteError::Failed(_)), before) => doubt = before,
            }
        }
        Err(ChangeError::Unknown {
            key: write.key,
            reason: doubt.unwrap_or_default(),
        })
    }

    /// What moved the key from `base`: somebody else's write if it differs from this one, and
    /// unknown if it is equal, or not to be seen any more.
    async fn who_was_first(
        &self,
        write: &Write,
        base: Option<&Entry>,
        reason: &str,
    ) -> Result<First, ChangeError> {
        let unknown = |found: &str| ChangeError::Unknown {
            key: write.key.clone(),
            reason: format!("{reason}; {found}"),
        };
        // Without a base, nothing tells the first entry from one whose predecessors were dropped.
        let Some(base) = base else {
            return Err(unknown("the key was made since, perhaps by somebody else"));
        };
        let history = match self.store.history(&write.key).await {
            Ok(history) => history,
            Err(error) => return Err(unknown(&error.to_string())),
        };
        let Some(at) = history.iter().position(|entry| entry == base) else {
            return Err(unknown("its history does not reach back so far"));
        };
        match history.get(at + 1) {
            None => Ok(First::Nobody),
            Some(next) if !is_like(next, write) => Ok(First::SomebodyElse),
            Some(_) => Err(unknown(
                "its next entry is the same, perhaps by somebody else",
            )),
        }
    }
}

/// Whether an entry could be what a write made.
fn is_like(entry: &Entry, write: &Write) -> bool {
    match &write.change {
        Change::Put(value) => entry.live_value() == Some(value),
        Change::Delete | Change::Purge => {
            entry.is_marker() && entry.value.as_ref().is_none_or(Bytes::is_empty)
        }
    }
}
