//! What the checks judge by. Plain data, so that a check is a function of it.

use std::time::Duration;

use crate::kv::backend::{BucketInfo, BucketReport, Usage};
use crate::kv::lock::shizuku::ShizukuFault;
use crate::kv::{BucketName, Key};

use super::versions::Version;

/// What is known of a place and its buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Facts {
    /// The place itself.
    pub place: PlaceFacts,
    /// Its buckets.
    pub buckets: Vec<BucketFacts>,
    /// What could not be looked at, and why: a bucket, or nothing for the list of them.
    pub unseen: Vec<(Option<BucketName>, String)>,
}

/// What is known of a place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PlaceFacts {
    /// How `kvscope` is called for this place, with whatever leads there: a proposal must not lead
    /// to another one.
    pub command: String,
    /// Whether it is across a network.
    pub remote: bool,
    /// Whether buckets can be kept on several servers.
    pub clustered: bool,
    /// The server's version.
    pub version: Option<Version>,
    /// What of it is used, and of how much.
    pub usage: Vec<Usage>,
    /// When what is acknowledged is safe on the disk.
    pub synced: Synced,
}

/// When what is acknowledged is safe on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Synced {
    /// It can't be seen from here.
    #[default]
    Unseen,
    /// Before it is acknowledged.
    Always,
    /// Some time later, on these servers.
    Late {
        /// How much later at most.
        after: Duration,
        /// The servers, by their names.
        servers: Vec<String>,
    },
}

/// What is known of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketFacts {
    /// Its settings and size.
    pub info: BucketInfo,
    /// What the place says of it beyond that.
    pub report: BucketReport,
    /// Whether it is a mirror of another bucket that is looked at too: what is in it is told there.
    pub repeats: bool,
    /// How far the store's clock is ahead of ours, in milliseconds, and by how much that may be
    /// wrong.
    pub clock: Option<(i64, u64)>,
    /// How many records of our locks and sessions were seen.
    pub locks: u64,
    /// The records of `shizuku` services that were seen, with their faults.
    pub shizuku: Vec<ShizukuRecord>,
    /// Keys whose value looks like it holds a secret.
    pub secrets: Vec<Key>,
    /// How much was looked at.
    pub looked: Looked,
}

impl BucketFacts {
    /// Whether locks of any kind are kept in it.
    pub fn has_locks(&self) -> bool {
        self.locks > 0 || !self.shizuku.is_empty()
    }
}

/// A record of a `shizuku` service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShizukuRecord {
    /// Where it stands.
    pub key: Key,
    /// What is wrong with it.
    pub fault: Option<ShizukuFault>,
}

/// How much of a bucket was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// How many values.
    pub values: u64,
    /// Of how many.
    pub of: u64,
}
