//! The distributed read-write lock: many readers or one writer, writers first, in the order in
//! which they asked.
//!
//! So far this holds what is pure of it: the lock's [`record`] and what can happen to it, the
//! [`key`](key_of) that a resource's record is kept at, the record of a [`session`] and how long
//! its [`lease`] may be trusted, and the foreign format of [`shizuku`] services; and what looks at
//! locks: the [`observer`], the [`diagnosis`] of what it sees, and a lock's past as a
//! [`timeline`](mod@timeline). The acquiring of locks and guards are to stand on it.

pub mod diagnosis;
pub mod lease;
mod name;
pub mod observer;
pub mod record;
pub mod session;
pub mod shizuku;
pub mod timeline;

pub use name::{KEY_PREFIX, key_of, resource_of};
pub use observer::{ObserveOptions, Observer, observe};
