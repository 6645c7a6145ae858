//! The lock by name alone, for code that can't carry a guard from where it acquires to where it
//! releases.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::LockError;
use super::guard::{GuardState, ReadGuard, WriteGuard};
use super::locks::running_task;
use super::record::Mode;
use crate::kv::Store;

/// A read-write lock on a resource, acquired and released by the resource's name.
///
/// What is acquired stays so until it is released by name, on this store or a clone of it, or the
/// process ends: a task that panics in between leaves it held. Prefer the guards of
/// [`Store::locks`], or the processors, which can't forget.
#[derive(Debug, Clone, Copy)]
pub struct DistroRwLock;

/// What [`DistroRwLock`] can fail with.
pub type DistroRwLockError = LockError;

impl DistroRwLock {
    /// Waits until it can read under the resource's lock.
    ///
    /// Cancel-safe: a future that is dropped gives up its place.
    pub async fn acquire_read(store: &Store, key: impl AsRef<str>) -> Result<(), LockError> {
        let key = key.as_ref();
        let guard = store.locks().read(key).await?;
        store.locks().by_name().keep(key, Held::Read(guard));
        Ok(())
    }

    /// Waits until it can write under the resource's lock.
    ///
    /// Cancel-safe: a future that is dropped gives up its place.
    pub async fn acquire_write(store: &Store, key: impl AsRef<str>) -> Result<(), LockError> {
        let key = key.as_ref();
        let guard = store.locks().write(key).await?;
        store.locks().by_name().keep(key, Held::Write(guard));
        Ok(())
    }

    /// Lets go of a read that this task acquired, or else another one of this process.
    ///
    /// Cancel-safe: dropping the future does not stop it.
    ///
    /// # Errors
    /// [`LockError::NotHeld`], and [`LockError::Lost`] when it was not held to the end.
    pub async fn release_read(store: &Store, key: impl AsRef<str>) -> Result<(), LockError> {
        Self::release(store, key.as_ref(), Mode::Read).await
    }

    /// Lets go of a write that this process acquired.
    ///
    /// Cancel-safe: dropping the future does not stop it.
    ///
    /// # Errors
    /// [`LockError::NotHeld`], and [`LockError::Lost`] when it was not held to the end.
    pub async fn release_write(store: &Store, key: impl AsRef<str>) -> Result<(), LockError> {
        Self::release(store, key.as_ref(), Mode::Write).await
    }

    async fn release(store: &Store, key: &str, mode: Mode) -> Result<(), LockError> {
        match store.locks().by_name().take(key, mode) {
            Some(Held::Read(guard)) => guard.release().await,
            Some(Held::Write(guard)) => guard.release().await,
            None => Err(LockError::NotHeld {
                resource: key.to_owned(),
                mode,
            }),
        }
    }
}

/// What is held by name.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<HashMap<(String, Mode), Vec<Hold>>>);

#[derive(Debug)]
struct Hold {
    owner: String,
    held: Held,
}

#[derive(Debug)]
pub(super) enum Held {
    Read(ReadGuard),
    Write(WriteGuard),
}

impl Held {
    fn is_lost(&self) -> bool {
        let state = match self {
            Self::Read(guard) => guard.state(),
            Self::Write(guard) => guard.state(),
        };
        matches!(state, GuardState::Lost(_))
    }
}

impl Holds {
    fn keep(&self, key: &str, held: Held) {
        let mode = match held {
            Held::Read(_) => Mode::Read,
            Held::Write(_) => Mode::Write,
        };
        let owner = running_task();
        let holds = &mut *self.lock();
        let of_key = holds.entry((key.to_owned(), mode)).or_default();
        // What a lost session held is nothing to release any more.
        of_key.retain(|hold| !hold.held.is_lost());
        of_key.push(Hold { owner, held });
    }

    /// The newest that this task acquired, or else the newest: an older one may be what a lost
    /// session left.
    fn take(&self, key: &str, mode: Mode) -> Option<Held> {
        let holds = &mut *self.lock();
        let key = (key.to_owned(), mode);
        let of_key = holds.get_mut(&key)?;
        let owner = running_task();
        let own = of_key.iter().rposition(|hold| hold.owner == owner);
        let at = own.or(of_key.len().checked_sub(1))?;
        let hold = of_key.remove(at);
        if of_key.is_empty() {
            holds.remove(&key);
        }
        Some(hold.held)
    }

    /// Lets everything go.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Mode), Vec<Hold>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
