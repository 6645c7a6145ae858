//! What a key holds: one entry, and the revision that orders it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::Key;

/// The place of an entry in its bucket's order of writes: strictly increasing, bucket-wide.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Revision(pub u64);

impl Revision {
    /// As the expectation of a write: the key must have no entry at all, not even a marker.
    pub const ABSENT: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Revision {
    fn from(revision: u64) -> Self {
        Self(revision)
    }
}

impl From<Revision> for u64 {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

/// What a write did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// It gave the key a value.
    Put,
    /// It took the value away and kept the history.
    Delete,
    /// It took the value and the history away.
    Purge,
    /// The store took the value away, because its time to live had run out.
    Expire,
}

impl Operation {
    /// Whether the key has a value after this.
    pub fn is_put(self) -> bool {
        self == Self::Put
    }

    /// Its name in output for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Expire => "expire",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One write to one key, as the store keeps it.
///
/// An entry whose operation is not [`Operation::Put`] is a *marker*: it has no value and says
/// that the key is gone. A marker has a revision like any other entry, and a key is created anew
/// by a write that expects the marker's revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The place in the bucket's order of writes.
    pub revision: Revision,
    /// When the store took it, by the store's clock.
    pub created: OffsetDateTime,
    /// What the write did.
    pub operation: Operation,
    /// The length of the value in bytes, known even where the value was not asked for.
    pub size: u64,
    /// The value. `None` only in a watch that was asked not to move values, and always there for
    /// a read; empty for a marker.
    pub value: Option<Bytes>,
    /// The time to live that the writer gave this entry, if any.
    pub ttl: Option<Duration>,
    /// When the store will drop it, by the store's clock: from its own time to live or the
    /// bucket's, whichever is sooner. A store need not announce that it did. Whoever keeps a
    /// picture of the bucket drops the entry at this time.
    pub expires: Option<OffsetDateTime>,
}

impl Entry {
    /// Whether it says that the key is gone.
    pub fn is_marker(&self) -> bool {
        !self.operation.is_put()
    }

    /// The value of a key that is there: `None` for a marker and where values were not asked for.
    pub fn live_value(&self) -> Option<&Bytes> {
        self.value.as_ref().filter(|_| self.operation.is_put())
    }
}
