//! What can go wrong with a typed value.

use super::{DecodeError, EncodeError};
use crate::kv::{Error, InvalidKey, Key, Revision, WriteError};

/// A read, or an item of a watch, that failed.
#[derive(Debug, thiserror::Error)]
pub enum KvReadError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// There is a value, and it is not of the type that was asked for.
    #[error("the value of {key} at revision {revision} can't be read: {source}")]
    Decode {
        /// The key.
        key: Key,
        /// The revision of the value.
        revision: Revision,
        /// What is wrong with it, without quoting it.
        source: DecodeError,
    },
}

/// How a typed write can end other than well. [`Conflict`](Self::Conflict),
/// [`Unknown`](Self::Unknown) and the failures are kept apart as in [`WriteError`].
#[derive(Debug, thiserror::Error)]
pub enum KvWriteError {
    /// The key is not at the revision that the write expected; nothing was written. Read again.
    #[error("{}", WriteError::Conflict { key: key.clone(), expected: *expected, current: *current })]
    Conflict {
        /// The key.
        key: Key,
        /// The revision that was expected.
        expected: Revision,
        /// The revision that the key has, where the store said so.
        current: Option<Revision>,
    },
    /// It may have been written or not, and it may still be written later.
    #[error("{}", WriteError::Unknown { key: key.clone(), reason: reason.clone() })]
    Unknown {
        /// The key.
        key: Key,
        /// How the acknowledgement was lost.
        reason: String,
    },
    /// It was not written and will not be.
    #[error(transparent)]
    Failed(Error),
    /// The value can't be turned into bytes; nothing was sent.
    #[error("the value for {key} can't be written: {source}")]
    Encode {
        /// The key.
        key: Key,
        /// Why not, without quoting it.
        source: EncodeError,
    },
}

impl KvWriteError {
    pub(crate) fn encode(key: &Key, source: EncodeError) -> Self {
        Self::Encode {
            key: key.clone(),
            source,
        }
    }
}

impl From<WriteError> for KvWriteError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict {
                key,
                expected,
                current,
            } => Self::Conflict {
                key,
                expected,
                current,
            },
            WriteError::Unknown { key, reason } => Self::Unknown { key, reason },
            WriteError::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<InvalidKey> for KvWriteError {
    fn from(error: InvalidKey) -> Self {
        Self::Failed(error.into())
    }
}
