//! What a place says of itself and its buckets beyond settings and sizes, for `kv::doctor`.

use time::OffsetDateTime;

/// What a place says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceReport {
    /// The server's version, as it tells it.
    pub version: Option<String>,
    /// What of it is used, and of how much.
    pub usage: Vec<Usage>,
}

/// How much of something is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Of what.
    pub what: &'static str,
    /// How much is used.
    pub used: u64,
    /// Of how much; none: of as much as there is.
    pub limit: Option<u64>,
}

/// What a place says of one bucket. The default is that of a place that has nothing to say: one
/// copy, which answers for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketReport {
    /// The store's own clock at the moment of the report, where it tells it.
    pub clock: Option<OffsetDateTime>,
    /// The bucket that it is a mirror of.
    pub mirror_of: Option<String>,
    /// Whether any copy may answer reads.
    pub direct_reads: bool,
    /// Whether mirrors may answer reads.
    pub mirrors_answer: bool,
    /// Whether writes are acknowledged before they are stored.
    pub acknowledges_early: bool,
    /// The copies beside the leader's.
    pub replicas: Vec<Replica>,
    /// How many consumers there are, watches included.
    pub consumers: u64,
    /// To how many of them nobody listens.
    pub idle_consumers: u64,
    /// The names of those, of some where they are many.
    pub idle_names: Vec<String>,
    /// What could not be found out, and why.
    pub unseen: Option<String>,
}

/// One copy of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The server that keeps it.
    pub name: String,
    /// Whether it has everything.
    pub current: bool,
    /// Whether it can't be reached, or was not heard for too long.
    pub offline: bool,
    /// How many writes it is behind.
    pub lag: u64,
}
