//! The distributed read-write lock: many readers or one writer, writers first, in the order in
//! which they asked.
//!
//! ```
//! # use kvscope::kv::{Store, lock::LockError};
//! # async fn example(store: &Store) -> Result<(), Box<dyn std::error::Error>> {
//! let guard = store.locks().write("billing/invoices").label("nightly run").await?;
//! store.put("billing.fence", guard.fence().to_string()).await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//! 1. At most one writer, or any number of readers, hold a *valid* guard of a resource.
//! 2. While a writer waits, no new reader is let in. Writers are first come, first served.
//! 3. Whoever waits and lives is granted the lock, or gives up. A process that crashed blocks
//!    others for no longer than its lease (15 seconds unless set) and a little; on the same
//!    machine, not even that.
//! 4. Who holds, who waits, where they are and since when is in the bucket, for people to see.
//!
//! # What it does not
//! A lock that rests on a lease can't stop a process that was paused from going on when its time
//! is over. [`Guard::check`] asks before, the [fencing token](Guard::fence) proves it after: let
//! what the lock guards refuse a lower token than the highest it has seen. And a lock is as durable
//! as its store: a server that forgets a write it has acknowledged forgets who held the lock.
//!
//! Locks are not re-entrant, and a reader can't become a writer: the same task asking twice is
//! refused.
//!
//! # How it is made
//! Each lock is one [`record`] at a [key of its own](key_of), with everybody who holds or waits,
//! and changed by compare-and-set alone. Each process has one [`session`], renewed by one write
//! for all its locks. What is done when is decided in one pure state machine for each process and
//! lock; the rest carries out what it says.
//!
//! # How to look at it
//! [`observe`] gives a live picture of all locks of any number of buckets, with the sessions of
//! whoever holds and waits; the [`diagnosis`] says what is the matter with each in one sentence,
//! and a [`timeline`](mod@timeline) tells a lock's past.

pub mod breaking;
mod clock;
pub mod diagnosis;
mod error;
mod guard;
mod heart;
mod kill;
mod lane;
pub mod lease;
pub mod leftovers;
mod line;
pub mod listing;
mod locks;
#[cfg(test)]
mod model;
mod name;
mod notice;
pub mod observer;
mod overseer;
pub(crate) mod process;
mod processor;
pub mod record;
mod rw_lock;
pub mod session;
mod settings;
pub mod shizuku;
pub mod snapshot;
pub mod timeline;

pub use clock::Clock;
pub use error::{LockError, Loss};
pub use guard::{Guard, GuardState, Kind, ReadGuard, Reading, WriteGuard, Writing};
pub use locks::{Acquire, Locks};
pub use name::{KEY_PREFIX, key_of, resource_of};
pub use observer::{ObserveOptions, Observer, observe};
pub use processor::{
    LockedResourceReadProcessor, LockedResourceWriteProcessor, Processor, WithLockProcessError,
};
pub use rw_lock::{DistroRwLock, DistroRwLockError};
pub use settings::Settings;
