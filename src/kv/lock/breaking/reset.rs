//! Resetting the lock of a `shizuku` service: nobody inside, nobody waiting.

use super::super::shizuku::Shizuku;
use super::{BreakError, MOST_TRIES, pause, revision_of};
use crate::kv::backend::Write;
use crate::kv::{Entry, Error, Key, Revision, Store, WriteError};

/// A record that was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// As it was.
    pub before: Shizuku,
    /// The revision that it has now.
    pub revision: Revision,
}

/// Resets the lock of a `shizuku` service on the revision that was seen. Whoever is inside does not
/// hear of it: the format knows nobody's name.
///
/// Dropping the future may leave it reset; reading it again tells.
///
/// # Errors
/// [`BreakError::NoKey`], [`BreakError::NotShizuku`], [`BreakError::Moved`],
/// [`BreakError::Unknown`], and what the store fails with: [`Error::ReadOnly`] before anything else.
pub async fn reset_shizuku(store: &Store, key: &Key, seen: Revision) -> Result<Reset, BreakError> {
    if store.capabilities().read_only {
        let action = format!("resetting the lock at {key}");
        return Err(Error::ReadOnly { action }.into());
    }
    let entry = store.get(key).await?;
    let current = revision_of(entry.as_ref());
    let Some(value) = entry.as_ref().and_then(Entry::live_value) else {
        return Err(BreakError::NoKey { key: key.clone() });
    };
    let moved = |current| BreakError::Moved {
        key: key.clone(),
        expected: seen,
        current,
        record: None,
    };
    if current != seen {
        return Err(moved(current));
    }
    let Some(before) = Shizuku::from_bytes(value) else {
        return Err(BreakError::NotShizuku { key: key.clone() });
    };
    let bytes = before.reset().to_bytes();
    let write = Write::put(key.clone(), bytes.clone()).expecting(seen);
    let mut doubt = None;
    for tries in 1..=MOST_TRIES {
        match store.write(write.clone()).await {
            Ok(revision) => return Ok(Reset { before, revision }),
            Err(WriteError::Failed(error)) if doubt.is_none() => return Err(error.into()),
            Err(WriteError::Failed(_) | WriteError::Conflict { .. }) => {}
            Err(WriteError::Unknown { reason, .. }) => doubt = Some(reason),
        }
        let entry = match store.get(key).await {
            Ok(entry) => entry,
            Err(error) if doubt.is_none() => return Err(error.into()),
            Err(_) => {
                pause(tries).await;
                continue;
            }
        };
        let revision = revision_of(entry.as_ref());
        if revision != seen {
            let value = entry.as_ref().and_then(Entry::live_value);
            // A write of ours that may have landed, and what is there is what it would have left.
            if doubt.is_some() && value.is_some_and(|value| **value == *bytes) {
                return Ok(Reset { before, revision });
            }
            return Err(moved(revision));
        }
        pause(tries).await;
    }
    Err(BreakError::Unknown {
        key: key.clone(),
        reason: doubt.unwrap_or_else(|| "others keep writing it".to_owned()),
    })
}
