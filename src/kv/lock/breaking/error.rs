//! Why a lock was not broken.

use super::super::record::{DecodeError, Record};
use crate::kv::{Error, InvalidKey, Key, Revision};

/// Why a lock was not broken, or a record not reset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BreakError {
    /// The session neither holds the lock nor waits for it.
    #[error("{session} neither holds {resource:?} nor waits for it")]
    NoClaim {
        /// The resource.
        resource: String,
        /// The session.
        session: String,
        /// The lock as it is.
        record: Box<Record>,
    },
    /// It has changed since it was seen, in what was decided on; nothing was done.
    #[error("{key} has changed: it is at revision {current}, not {expected}; nothing was done")]
    Moved {
        /// The key that moved.
        key: Key,
        /// The revision that was seen.
        expected: Revision,
        /// The revision that it has now. `ABSENT`: it has no entry.
        current: Revision,
        /// The lock as it is now, where it is one of ours.
        record: Option<Box<Record>>,
    },
    /// The session has beaten since it was seen, and was to be broken only if it does not.
    #[error(
        "{session} has beaten since: it is at revision {current}, not {expected}; nothing was done"
    )]
    Beats {
        /// The session.
        session: String,
        /// The revision that was seen.
        expected: Revision,
        /// The revision that it has now.
        current: Revision,
    },
    /// The session was killed, and yet it lives. It was not taken out of any lock.
    #[error(
        "{session} was killed and yet lives, at revision {revision}: the store was rolled back, or somebody wrote over the session by hand"
    )]
    Alive {
        /// The session.
        session: String,
        /// Its revision.
        revision: Revision,
    },
    /// The lock's record can't be read. It is left as it is.
    #[error("the lock at {key} can't be broken: {error}")]
    Malformed {
        /// The record's key.
        key: Key,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The session's record can't be read, and so it can't be killed. Forcing does without.
    #[error("the session at {key} can't be killed: {error}")]
    Unreadable {
        /// The record's key.
        key: Key,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// What is at the key is no lock of a `shizuku` service.
    #[error("{key} holds no lock of a shizuku service")]
    NotShizuku {
        /// The key.
        key: Key,
    },
    /// There is nothing at the key.
    #[error("there is nothing at {key}")]
    NoKey {
        /// The key.
        key: Key,
    },
    /// Nobody knows whether it was written, even after reading again.
    #[error("it is not known whether {key} was written: {reason}")]
    Unknown {
        /// The key.
        key: Key,
        /// Why not.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<InvalidKey> for BreakError {
    fn from(error: InvalidKey) -> Self {
        Error::from(error).into()
    }
}

impl BreakError {
    /// A record that can't be written, which none of ours is.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
    pub(super) fn encoding(error: serde_json::Error) -> Self {
        Self::Store(Error::Protocol {
            what: "encoding a record".to_owned(),
            detail: error.to_string(),
        })
    }
}
