//! The engine: typed values, compare-and-set and watches over buckets of keys.
//!
//! The layers, from the bottom:
//! - [`backend`]: the contract that a store of buckets fulfils, object-safe and small.
//!   [`nats`] and [`local`] fulfil it; [`ReadOnly`] and `Faulty` wrap any of them.
//! - [`Store`]: the handle on one bucket that people hold, with the everyday calls.
//! - [`KeyValue`] and its kin: typed values on top of a [`Store`].
//!
//! Nothing here knows of a terminal, of arguments or of a configuration file.

pub mod backend;
#[cfg(feature = "testing")]
pub mod conformance;
mod entry;
mod error;
mod filter;
mod key;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "testing")]
pub mod memory;
#[cfg(feature = "nats")]
pub mod nats;
mod read_only;
mod store;
mod watch;

pub use entry::{Entry, Operation, Revision};
pub use error::{Error, WriteError};
pub use filter::{Filter, InvalidFilter};
pub use key::{BucketName, InvalidBucketName, InvalidKey, Key};
pub use read_only::ReadOnly;
pub use store::{CreateError, Store};
pub use watch::{
    Interruption, Watch, WatchEvent, WatchFrom, WatchOptions, WatchSender, watch_channel,
};
