//! What the console is told, and what it asks for in return.
//!
//! ```text
//! Message ─► App::update ─► Effect ─► worker ─► Message
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event;
use time::OffsetDateTime;

use super::edits::{Ask, Told};
use super::outside::Handout;
use super::overlays::bucket::{BucketDone, BucketTask};
use super::theme::Paint;
use super::value::Document;
use crate::kv::backend::{BucketInfo, Capabilities, Connection, Consistency, Overview};
use crate::kv::doctor::Finding;
use crate::kv::lock::breaking::{BreakError, Broken, Manner, Pulse, Reset, Sight};
use crate::kv::lock::observer::Report;
use crate::kv::lock::record::Claim;
use crate::kv::lock::timeline::Timeline;
use crate::kv::{BucketName, Entry, Error, Key, Revision, WatchEvent, WatchFrom};
use crate::query::Query;

/// A moment in milliseconds since 1970, UTC.
pub type Millis = i64;

/// Tells the answer to one request from the answer to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Tells one watch from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(pub u64);

/// Something that the console is told.
#[derive(Debug)]
pub enum Message {
    /// A key, the mouse, pasted text or a new size of the terminal.
    Input(Event),
    /// The answer to a request. An answer that nobody waits for any more is dropped.
    Reply(RequestId, Reply),
    /// What a watch brought.
    Watch(WatchId, Vec<WatchEvent>),
    /// A watch could not be begun, or is over.
    WatchFailed(WatchId, Error),
    /// What a filter over values brought.
    Sifted(WatchId, Sifted),
    /// A filter over values looks no further, for this reason.
    SiftingEnded(WatchId, String),
    /// How it stands with all locks.
    Locks(Arc<LockReport>),
    /// The connection changed its state.
    Connection(Connection),
    /// The moment that [`App::deadline`](super::app::App::deadline) named has come.
    Deadline,
    /// Somebody asks this process to stop for a while.
    Stop,
    /// The terminal is ours again after a suspension.
    Resumed,
    /// Leave: the terminal went away, or somebody asked by a signal.
    Terminate,
}

/// What a filter over values brought: events of a watch in which only what matches is there.
#[derive(Debug)]
pub struct Sifted {
    /// The events.
    pub events: Vec<WatchEvent>,
    /// How many values were looked at.
    pub looked: u64,
    /// How many of them are none that the query can be applied to.
    pub unfit: u64,
    /// With how many of them it did not come to an end.
    pub stopped: u64,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Reply {
    /// The places to choose from.
    Places(Vec<Target>),
    /// A place is connected, or can't be.
    Connected(Result<Connected, Error>),
    /// The buckets.
    Buckets(Result<Vec<BucketInfo>, Error>),
    /// The newest entry of a key; `None` if it has none.
    Entry(Result<Option<Box<OpenEntry>>, Error>),
    /// The time where the store is, if that is another machine's and it tells.
    Clock(Result<Option<OffsetDateTime>, Error>),
    /// A round trip.
    Ping(Result<Duration, Error>),
    /// What is known of the place.
    Overview(Result<Overview, Error>),
    /// What is set dangerously.
    Findings(Result<Vec<Finding>, Error>),
    /// The past of a lock.
    Timeline(Result<Timeline, Error>),
    /// What breaking a lock would do.
    Sight(Result<Arc<BreakSight>, BreakError>),
    /// A session was killed: so long its quarantine lasts. [`Reply::Broken`] follows.
    Killed(Result<Duration, BreakError>),
    /// A session was taken out of its locks.
    Broken(Result<Broken, BreakError>),
    /// A record of a `shizuku` service was reset.
    Reset(Result<Reset, BreakError>),
    /// All locks were written to a file.
    Snapshot(Result<Written, Error>),
    /// What came of a task on a whole bucket, or how far it is.
    Bucket(Result<BucketDone, Error>),
    /// Whether every write was to be refused, and what the place can do from now on.
    ReadOnly(bool, Capabilities),
    /// What editing asked for.
    Edit(Box<Told>),
}

/// What a snapshot of all locks was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The files.
    pub files: Vec<PathBuf>,
    /// How many locks it tells of.
    pub locks: usize,
    /// What could not be read for it, in words.
    pub missing: Vec<String>,
}

/// A session at a lock, and what breaking it would do: as it was looked at by the worker, for that
/// asks the system too.
#[derive(Debug)]
pub struct BreakSight {
    /// What is acted on.
    pub sight: Sight,
    /// How it stands with the session.
    pub pulse: Pulse,
    /// Who holds the lock next.
    pub next: Vec<Claim>,
    /// How long the quarantine will be.
    pub quarantine: Duration,
    /// For how long two may hold after a forced break; `None` when there is no end to it.
    pub overlap: Option<Duration>,
}

impl PartialEq for BreakSight {
    /// Only the very same look is the same.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// How it stands with all locks, and when that was.
#[derive(Debug)]
pub struct LockReport {
    /// The locks.
    pub report: Report,
    /// The time of day at which it was made. Ages go on from there.
    pub at: Millis,
    /// The same moment in time since boot: what the report tells other moments by.
    pub boot: Duration,
}

/// An entry with its value made ready for the screen.
#[derive(Debug)]
pub struct OpenEntry {
    /// The entry.
    pub entry: Entry,
    /// Its value.
    pub document: Document,
    /// Which copy of the data it was read from.
    pub consistency: Consistency,
}

impl OpenEntry {
    /// Whether the store may have a newer entry that this copy has not heard of.
    pub fn may_be_behind(&self) -> bool {
        self.consistency == Consistency::Any
    }
}

/// What the console knows of the place it is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// What the user calls it: a context, or a file.
    pub label: String,
    /// Where it is, without credentials.
    pub address: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How it is to look, if the user said so.
    pub brand: Option<Brand>,
}

/// What a user calls a place, so that production looks like production.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brand {
    /// Instead of the place's own name.
    pub label: Option<String>,
    /// Its colour.
    pub paint: Option<Paint>,
}

/// Another choice of what is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskChange {
    /// As the console began.
    AsAtFirst,
    /// These words too.
    Also(Vec<String>),
    /// These words and no others.
    Only(Vec<String>),
}

/// A place that the console can go to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// What the command line named, or the default.
    #[default]
    Given,
    /// A context of the nats CLI.
    Context(String),
    /// A local file.
    File(PathBuf),
    /// The demonstration.
    Demo,
}

/// Something that the console asks for. The worker does it; nothing else in the console does IO.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Find out which places there are to choose from.
    Places(RequestId),
    /// Go to a place. The place before stays until the new one is there.
    Connect(RequestId, Target),
    /// List the buckets.
    Buckets(RequestId),
    /// Read the newest entry of a key.
    Entry(RequestId, BucketName, Key),
    /// Ask for the time where a bucket is kept.
    Clock(RequestId, BucketName),
    /// Measure a round trip.
    Ping(RequestId),
    /// Ask what is known of the place.
    Overview(RequestId),
    /// Look for what is set dangerously.
    Doctor(RequestId),
    /// Watch a bucket without values.
    Watch(WatchId, BucketName, WatchFrom),
    /// Watch the keys of a bucket whose value a query matches.
    Sift(WatchId, BucketName, Query),
    /// End a watch.
    Unwatch(WatchId),
    /// Observe the locks of these buckets from now on, and of no others.
    Locks(Vec<BucketName>),
    /// Look for locks of `shizuku` services in them too, from now on.
    ForeignLocks,
    /// Read the past of a lock.
    Timeline(RequestId, BucketName, Key),
    /// Look at what breaking a session's hold on a resource, or its wait for it, would do.
    Sight(RequestId, BucketName, String, String),
    /// Break it. [`Reply::Killed`] and [`Reply::Broken`] answer.
    Break(RequestId, Arc<BreakSight>, Manner),
    /// Reset the record of a `shizuku` service, on the revision that was seen.
    Reset(RequestId, BucketName, Key, Revision),
    /// Write all locks to a file of this name, as a snapshot of the place that is called so.
    Snapshot(RequestId, PathBuf, String),
    /// Mask other parts of values from now on.
    Masks(MaskChange),
    /// Do something to a whole bucket.
    Bucket(RequestId, BucketTask),
    /// Begin no more of what is being done to a whole bucket, piece by piece. What was done until
    /// then is the answer to the request.
    Stop(RequestId),
    /// Refuse every write from now on, or don't any more. [`Reply::ReadOnly`] answers.
    ReadOnly(RequestId, bool),
    /// Do something for editing.
    Edit(RequestId, Box<Ask>),
    /// Give the terminal to the user's own editor, with this text.
    Outside(RequestId, Handout),
    /// Put a text on the user's clipboard.
    Copy(String),
    /// Give the terminal back to the shell until it is continued.
    Suspend,
    /// Draw everything again, whatever the terminal shows.
    Redraw,
    /// Leave.
    Quit,
}
