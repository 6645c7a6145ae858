//! What can go wrong with a lock, typed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::record::{DecodeError, Mode, Refusal};
use super::session::{Cause, Death};
use crate::kv::{Error, InvalidKey, Key};

/// Why a lock was not acquired, or was not held to the end.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The lock's own rules don't allow it.
    #[error("{resource:?}: {refusal}")]
    Refused {
        /// The resource.
        resource: String,
        /// Why not.
        refusal: Refusal,
    },
    /// It was not granted in the time that was given. The place in the queue is given up.
    #[error("{resource:?} was not granted within {} ms", .waited.as_millis())]
    TimedOut {
        /// The resource.
        resource: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The session ended before its time: what it held, it may have held no more.
    #[error("the lock was lost: {0}")]
    Lost(Loss),
    /// Nothing is held that could be released.
    #[error("{resource:?} is not held for {mode}ing here")]
    NotHeld {
        /// The resource.
        resource: String,
        /// What for.
        mode: Mode,
    },
    /// The lock's record can't be read. It is left as it is.
    #[error("the lock at {key} can't be used: {error}")]
    Malformed {
        /// The record's key.
        key: Key,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The store failed; nothing was acquired.
    #[error(transparent)]
    Store(Arc<Error>),
    /// The store never told what became of a write. It is being found out in the background, and
    /// whatever came of it is taken back.
    #[error("the store did not tell what became of a write: {0}")]
    Unknown(String),
}

impl From<Error> for LockError {
    fn from(error: Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<InvalidKey> for LockError {
    fn from(error: InvalidKey) -> Self {
        Error::from(error).into()
    }
}

/// How a session, and with it everything that it held, was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Somebody killed it.
    Killed(Death),
    /// Its record is gone: it was deleted, or the whole bucket was.
    Vanished,
    /// There is something else in the place of its record.
    Replaced,
    /// Its claim was taken out of the lock.
    Evicted,
    /// It was closed here, or the runtime that it ran in is gone.
    Closed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(Death { why, by }) => {
                let why = match why {
                    Cause::Ended => "the session was ended",
                    Cause::Silent => "the session was silent for longer than its lease",
                    Cause::Gone => "the session's process was taken for gone",
                    Cause::Broken => "the session was broken",
                };
                write!(f, "{why} (by {by:?})")
            }
            Self::Vanished => f.write_str("the session's record is gone"),
            Self::Replaced => f.write_str("the session's record was replaced"),
            Self::Evicted => f.write_str("its claim was taken out of the lock"),
            Self::Closed => f.write_str("the session is closed"),
        }
    }
}
