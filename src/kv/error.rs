//! What can go wrong: failures of any call, and the three ways in which a write can end badly.

use std::path::PathBuf;
use std::time::Duration;

use super::{BucketName, InvalidBucketName, InvalidFilter, InvalidKey, Key, Revision};

/// A definite failure: what was asked for did not happen.
///
/// The texts are for people: what failed, on what, and where it helps, what to do. They never hold
/// a password, a token or a key's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such bucket.
    #[error("there is no bucket {bucket:?}")]
    NoSuchBucket {
        /// The bucket that was named.
        bucket: String,
    },
    /// A bucket of that name is there already, with other settings.
    #[error("the bucket {bucket} is there already, with other settings")]
    BucketExists {
        /// The bucket.
        bucket: BucketName,
    },
    /// The setting of a bucket can't be had, or can't be changed any more.
    #[error("the bucket {bucket} can't be set up like that: {reason}")]
    BucketConfig {
        /// The bucket.
        bucket: BucketName,
        /// What the store said.
        reason: String,
    },
    /// The name can't be a key.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// The name can't be a bucket's.
    #[error(transparent)]
    InvalidBucketName(#[from] InvalidBucketName),
    /// The pattern can't be a filter.
    #[error(transparent)]
    InvalidFilter(#[from] InvalidFilter),
    /// Refused here, because this connection only reads.
    #[error("refused: this connection is read-only, and {action} would write")]
    ReadOnly {
        /// What was about to be done.
        action: String,
    },
    /// The store can't do this, or was not set up to. See
    /// [`Capabilities`](super::backend::Capabilities).
    #[error("{what} can't be had here: {reason}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Why not, and what would help.
        reason: String,
    },
    /// The value is larger than the store takes.
    #[error("the value has {size} bytes, and the limit is {limit}")]
    TooLarge {
        /// The value's length in bytes.
        size: u64,
        /// The largest length that is taken.
        limit: u64,
    },
    /// The address of the place can't be understood.
    #[error("the server address can't be used: {reason}")]
    BadAddress {
        /// What is wrong with it. Not the address: it may hold a password.
        reason: String,
    },
    /// The store can't be reached at all; nothing was sent.
    #[error("{place} can't be reached: {reason}")]
    Unreachable {
        /// Where it was looked for, without credentials.
        place: String,
        /// Why not.
        reason: String,
    },
    /// The credentials were refused.
    #[error("{place} refused the credentials: {reason}")]
    Unauthorized {
        /// Where, without credentials.
        place: String,
        /// What it said.
        reason: String,
    },
    /// The encrypted connection could not be made: certificates, or one side speaks in clear.
    #[error("{place} can't be reached encrypted: {reason}")]
    Tls {
        /// Where, without credentials.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// Nobody answered in time. A NATS server says nothing to a request it doesn't permit, so the
    /// two can't always be told apart.
    #[error("no answer to {what} within {} ms: no permission, no leader, or the server is too slow", .after.as_millis())]
    NoAnswer {
        /// What was asked.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The store said that this account may not do it.
    #[error("no permission for {what}")]
    Denied {
        /// What was asked.
        what: String,
    },
    /// No room: a full disk, or an account's or bucket's limit.
    #[error("no room for {what}: {reason}")]
    NoSpace {
        /// What was to be stored.
        what: String,
        /// Which limit.
        reason: String,
    },
    /// The server has JetStream turned off, or off for this account.
    #[error("{place} has no JetStream: {reason}")]
    NoJetStream {
        /// Where, without credentials.
        place: String,
        /// What it said.
        reason: String,
    },
    /// The file is no store of ours. It was not touched.
    #[error("{} is not a kvscope file: {found}. It was left as it is", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The file is damaged.
    #[error("{} is damaged: {detail}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Reading or writing the file failed.
    #[error("{}: {detail}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        detail: String,
    },
    /// The server answered with an error that has no variant of its own here.
    #[error("{what} was refused: {message} (code {code})")]
    Refused {
        /// What was asked.
        what: String,
        /// The server's own code.
        code: u64,
        /// The server's own text.
        message: String,
    },
    /// What came back is not what the protocol promises.
    #[error("the answer to {what} makes no sense: {detail}")]
    Protocol {
        /// What was asked.
        what: String,
        /// What is wrong with the answer.
        detail: String,
    },
    /// The connection was closed by this side.
    #[error("the connection is closed")]
    Closed,
}

impl Error {
    /// That a place gives revisions and times of its own, and takes no others: the answer of
    /// [`BucketBackend::restore`](super::backend::BucketBackend::restore) where it can't be done.
    pub(crate) fn no_restoring() -> Self {
        Self::Unsupported {
            what: "entries with the revisions and times that they had elsewhere",
            reason: "only a file can hold them; a server gives its own".to_owned(),
        }
    }
}

/// How a write can end other than well. A write ends in `Ok` or in exactly one of these, and no
/// layer folds one into another.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The key is not at the revision that the write expected; nothing was written. It means
    /// "read again", and never that somebody holds anything.
    #[error("{key} is {}, not {}", place_of(*.current), place_of(Some(*.expected)))]
    Conflict {
        /// The key.
        key: Key,
        /// The revision that the write expected.
        expected: Revision,
        /// The revision that the key has, where the store said so.
        current: Option<Revision>,
    },
    /// It may have been written or not, and it may still be written later: the acknowledgement
    /// was lost. Find out by reading from the leader.
    #[error("it is not known whether {key} was written: {reason}")]
    Unknown {
        /// The key.
        key: Key,
        /// How the acknowledgement was lost.
        reason: String,
    },
    /// It was not written and will not be.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<InvalidKey> for WriteError {
    fn from(error: InvalidKey) -> Self {
        Self::Failed(error.into())
    }
}

fn place_of(revision: Option<Revision>) -> String {
    match revision {
        Some(Revision::ABSENT) => "absent".to_owned(),
        Some(revision) => format!("at revision {revision}"),
        None => "at another revision".to_owned(),
    }
}
