//! The contract between the engine and a store of buckets.
//!
//! Small and object-safe, in the same words for a NATS server and for a file. What is required
//! here is what differs between stores; sugar lives in [`Store`](super::Store). The suite in
//! `kv::conformance` holds every backend and every wrapper to it.

mod report;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;

pub use self::settings::{
    Availability, Copies, Follower, Inflow, Offered, Origin, Placement, Reason, Republish, Setting,
};
use super::{BucketName, Entry, Error, Key, Notices, Revision, Watch, WatchOptions, WriteError};

pub use report::{BucketReport, PlaceReport, Replica, Usage};

/// A place that holds buckets: a server, or a file.
///
/// Every call is cancel-safe in the sense that dropping its future leaves no lock held and no task
/// behind, but for one that takes leave of a server that a watch was dropped of, half a minute at
/// most; a write whose future is dropped may or may not land, as with [`WriteError::Unknown`].
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// What this place can do. Known from the moment of connecting.
    fn capabilities(&self) -> Capabilities;

    /// The state of the connection, and every change of it.
    fn connection(&self) -> watch::Receiver<Connection>;

    /// The time of one round trip to the store and back.
    async fn ping(&self) -> Result<Duration, Error>;

    /// What is known of the place, for people.
    async fn overview(&self) -> Result<Overview, Error>;

    /// What the place says of itself beyond that, for `kv::doctor`.
    async fn report(&self) -> Result<PlaceReport, Error>;

    /// The buckets, by name.
    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error>;

    /// The bucket of that name. A handle outlives an outage, and the deletion and re-creation of
    /// its bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`] when there is none now.
    async fn bucket(&self, name: &BucketName) -> Result<Arc<dyn BucketBackend>, Error>;

    /// Makes a bucket. Making one that is there already with the same settings succeeds.
    ///
    /// # Errors
    /// [`Error::BucketExists`] when it is there with other settings.
    async fn create_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error>;

    /// Changes the settings of a bucket.
    ///
    /// # Errors
    /// [`Error::BucketConfig`] for a setting that can't be changed.
    async fn change_bucket(&self, config: &BucketConfig) -> Result<BucketInfo, Error>;

    /// Deletes a bucket with all its keys.
    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error>;

    /// Waits until the place has heard of the end of every watch that was dropped, but no longer
    /// than about a second. The last thing to do before a process ends, or what it left is kept
    /// there until the place finds out by itself.
    async fn close(&self);
}

/// One bucket of a [`Backend`].
#[async_trait]
pub trait BucketBackend: fmt::Debug + Send + Sync {
    /// The bucket's name.
    fn name(&self) -> &BucketName;

    /// What the place can do.
    fn capabilities(&self) -> Capabilities;

    /// The bucket's settings and size, now.
    async fn info(&self) -> Result<BucketInfo, Error>;

    /// The newest entry of a key, a marker included. `None` if the key has no entry.
    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error>;

    /// The entry of a key at one revision. `None` if that revision is not kept, or is another
    /// key's.
    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error>;

    /// The entries that are kept of a key, oldest first, markers included.
    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error>;

    /// Removes what is left of a key that is gone: the marker at that revision, and everything
    /// before it. What was written since stays, so that it never undoes a write. Watches are not
    /// told: for them the key is as gone as before.
    ///
    /// Says whether the key had such entries. Doing it again does no harm.
    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error>;

    /// Writes one entry.
    async fn write(&self, write: Write) -> Result<Revision, WriteError>;

    /// Watches keys. See [`Watch`] for what comes, and in which order.
    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error>;

    /// What the place says of the bucket beyond that, for `kv::doctor`.
    async fn report(&self) -> Result<BucketReport, Error>;

    /// The time by the clock that entries are stamped and expire by, where it is another machine's
    /// and is told.
    async fn clock(&self) -> Result<Option<OffsetDateTime>, Error> {
        Ok(None)
    }

    /// Puts entries that were read elsewhere behind those that are here, as they were there: with
    /// their revisions, their times and their markers, and without an end to their lives. All of
    /// them, or none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where [`Capabilities::restores`] says no, and where a revision is not
    /// above the one before it.
    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error>;

    /// Listens for what is told under a name with [`BucketBackend::notify`]. `None` where processes
    /// can tell each other nothing but by the keys of the bucket.
    ///
    /// A notice is a hint that saves time: it comes once or not at all, whatever becomes of it, and
    /// before or after what a watch tells of the same.
    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error>;

    /// Tells whoever listens under that name. Nobody hears whether it came; without a way to tell,
    /// and without a permission, nothing happens.
    async fn notify(&self, name: &str, notice: Bytes);
}

/// Which copy of the data may answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// The one that decides writes: the base for a compare-and-set. It sees every write that was
    /// acknowledged before. Where there is none the read fails; a leader that was cut off goes on
    /// answering until it notices, which takes a NATS server some seconds.
    Leader,
    /// Any replica or mirror, perhaps behind: good enough to show.
    Any,
}

/// One write to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key. A foreign key can be deleted and purged, not put.
    pub key: Key,
    /// What becomes of the key.
    pub change: Change,
    /// Write only if the key is at this revision. [`Revision::ABSENT`]: only if it has no entry.
    /// A marker's revision: over that marker. `None`: whatever is there.
    pub expected: Option<Revision>,
    /// Drop the new entry (for a deletion: the marker) after this time, in whole seconds. A server
    /// raises it to the marker TTL of a bucket with a history of more than 1, so that no marker is
    /// missed (nats-server #6741, #6818): [`Entry::ttl`] tells what became of it.
    pub ttl: Option<Duration>,
}

impl Write {
    /// A write of a value, whatever is there.
    pub fn put(key: Key, value: impl Into<Bytes>) -> Self {
        Self {
            key,
            change: Change::Put(value.into()),
            expected: None,
            ttl: None,
        }
    }

    /// A deletion, whatever is there.
    pub fn delete(key: Key) -> Self {
        Self {
            key,
            change: Change::Delete,
            expected: None,
            ttl: None,
        }
    }

    /// A purge, whatever is there.
    pub fn purge(key: Key) -> Self {
        Self {
            key,
            change: Change::Purge,
            expected: None,
            ttl: None,
        }
    }

    /// The same, only if the key is at that revision.
    #[must_use]
    pub fn expecting(self, revision: Revision) -> Self {
        Self {
            expected: Some(revision),
            ..self
        }
    }

    /// The same, dropped by the store after this time.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self {
            ttl: Some(ttl),
            ..self
        }
    }
}

/// What a write makes of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Put(Bytes),
    /// It is gone; what the bucket keeps of its history stays.
    Delete,
    /// It is gone, and its history with it.
    Purge,
}

/// The most entries per key that a bucket can keep: as many as KV clients ask of a NATS server, and
/// no more elsewhere, so that a bucket can move.
pub const MAX_HISTORY: u64 = 64;

/// What a place can do. Screens and commands ask this, never which kind of place it is.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of independent yes-or-no answers"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// An entry can have a time to live of its own, in buckets that are set up for it.
    pub entry_ttl: bool,
    /// Buckets can be kept on several nodes.
    pub replicas: bool,
    /// Buckets can be kept in memory.
    pub memory_storage: bool,
    /// Which settings a bucket can have.
    pub settings: Offered,
    /// The most entries per key that a bucket can keep.
    pub max_history: u64,
    /// The largest value in bytes, where the place sets a limit.
    pub max_value_size: Option<u64>,
    /// Entries from elsewhere can be put in place with the revisions and times that they had there.
    pub restores: bool,
    /// The place is across a network: its distance is worth measuring, and lists of it go out of
    /// date without notice.
    pub remote: bool,
    /// Writes are refused here.
    pub read_only: bool,
    /// The place is a copy of another one, taken at this time. Nothing in it goes on: nobody beats,
    /// and nobody who held then holds now.
    pub as_of: Option<OffsetDateTime>,
}

impl Capabilities {
    /// What every place can do, and nothing more.
    pub const fn minimal() -> Self {
        Self {
            entry_ttl: false,
            replicas: false,
            memory_storage: false,
            settings: Offered::minimal(),
            max_history: MAX_HISTORY,
            max_value_size: None,
            restores: false,
            remote: false,
            read_only: false,
            as_of: None,
        }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// It works.
    Connected,
    /// It is down, and being made again.
    Reconnecting {
        /// Since when.
        since: SystemTime,
        /// How often it was tried since.
        attempts: u32,
        /// What went wrong last, for people.
        reason: String,
    },
    /// It is over and will not come back.
    Closed {
        /// Why, for people.
        reason: String,
    },
}

/// What is known of a place, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Where it is: addresses without credentials, or a path.
    pub address: String,
    /// The program that keeps the data, and its version.
    pub engine: String,
    /// Everything else, in the order in which to show it.
    pub sections: Vec<Section>,
}

/// Facts that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What they are about.
    pub title: &'static str,
    /// The facts.
    pub facts: Vec<Fact>,
}

/// One fact about a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it tells.
    pub name: &'static str,
    /// What it is.
    pub value: FactValue,
}

/// The value of a [`Fact`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactValue {
    /// Words.
    Text(String),
    /// A number, of at most a limit where there is one.
    Count {
        /// How many.
        used: u64,
        /// The limit.
        limit: Option<u64>,
    },
    /// A size in bytes, of at most a limit where there is one.
    Bytes {
        /// How many bytes.
        used: u64,
        /// The limit in bytes.
        limit: Option<u64>,
    },
}

/// The settings of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketConfig {
    /// The name.
    pub name: BucketName,
    /// What it is for.
    pub description: String,
    /// How many entries to keep per key, at least 1.
    pub history: u64,
    /// Drop entries after this time.
    pub ttl: Option<Duration>,
    /// Announce a dropped entry by a marker, and keep the marker for this time. Entries can have
    /// a time to live of their own only where this is set.
    pub marker_ttl: Option<Duration>,
    /// The most bytes that the bucket may hold.
    pub max_bytes: Option<u64>,
    /// The largest value in bytes.
    pub max_value_size: Option<u64>,
    /// Where the data is kept.
    pub storage: Storage,
    /// On how many nodes.
    pub replicas: u64,
    /// Whether the data is compressed.
    pub compression: bool,
    /// On which nodes it is kept.
    pub placement: Placement,
    /// Where writes are published again.
    pub republish: Option<Republish>,
    /// The bucket that this one is a copy of. A copy has no keys of its own: what is written to
    /// it goes to the original.
    pub mirror: Option<Origin>,
    /// The buckets whose entries come into this one beside its own.
    pub sources: Vec<Origin>,
    /// What else is noted of it, by name.
    pub metadata: BTreeMap<String, String>,
}

impl BucketConfig {
    /// Refuses a history that no bucket can have.
    pub(crate) fn check_history(&self) -> Result<(), Error> {
        if (1..=MAX_HISTORY).contains(&self.history) {
            return Ok(());
        }
        Err(Error::BucketConfig {
            bucket: self.name.clone(),
            reason: format!("the history can be from 1 to {MAX_HISTORY}"),
        })
    }

    /// The settings of a bucket that keeps one entry per key, in a file, on one node, for ever.
    pub fn new(name: BucketName) -> Self {
        Self {
            name,
            description: String::new(),
            history: 1,
            ttl: None,
            marker_ttl: None,
            max_bytes: None,
            max_value_size: None,
            storage: Storage::File,
            replicas: 1,
            compression: false,
            placement: Placement::default(),
            republish: None,
            mirror: None,
            sources: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }
}

/// Where a bucket's data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// On disk.
    File,
    /// In memory: lost with the process that keeps it.
    Memory,
}

impl Storage {
    /// Its name in output for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Memory => "memory",
        }
    }
}

/// A bucket's settings and size at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketInfo {
    /// The settings.
    pub config: BucketConfig,
    /// How many keys have an entry, markers included.
    pub keys: u64,
    /// How many entries are kept, history and markers included.
    pub entries: u64,
    /// How many bytes are kept.
    pub bytes: u64,
    /// The revision of the newest write.
    pub last_revision: Revision,
    /// When the bucket was made. It tells a bucket from one made again under the same name.
    pub created: OffsetDateTime,
    /// When it was last written to. `None` if it never was.
    pub last_write: Option<OffsetDateTime>,
    /// The nodes that keep it. `None` where there is one, and no cluster.
    pub copies: Option<Copies>,
    /// How it stands with the buckets that its entries come from.
    pub inflows: Vec<Inflow>,
}

impl BucketInfo {
    /// An empty bucket with these settings, made at that time. Backends fill in the rest.
    pub fn new(config: BucketConfig, created: OffsetDateTime) -> Self {
        Self {
            config,
            keys: 0,
            entries: 0,
            bytes: 0,
            last_revision: Revision::ABSENT,
            created,
            last_write: None,
            copies: None,
            inflows: Vec::new(),
        }
    }
}

/// The buckets of a list without those that only repeat what another one of them tells: mirrors of
/// a bucket that is in the list too.
pub fn originals(infos: &[BucketInfo]) -> impl Iterator<Item = &BucketInfo> {
    let repeats = |info: &BucketInfo| {
        let origin = info.config.mirror.as_ref();
        // One of another domain may have the same name as one of this.
        let origin = origin.filter(|origin| origin.domain.is_none());
        origin.is_some_and(|origin| infos.iter().any(|of| of.config.name == origin.bucket))
    };
    infos.iter().filter(move |info| !repeats(info))
}
