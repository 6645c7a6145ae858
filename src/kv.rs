//! The engine: typed values, compare-and-set and watches over buckets of keys.
//!
//! The layers, from the bottom:
//! - [`backend`]: the contract that a store of buckets fulfils, object-safe and small.
//!   [`nats`] and [`local`] fulfil it; [`ReadOnly`] and `Faulty` wrap any of them.
//! - [`Store`]: the handle on one bucket that people hold, with the everyday calls.
//! - [`KeyValue`] and its kin: typed values on top of a [`Store`].
//!
//! Nothing here knows of a terminal, of arguments or of a configuration file.

mod atomic;
pub mod backend;
pub mod compact;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod doctor;
mod entry;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
mod filter;
mod key;
#[cfg(feature = "local")]
pub mod local;
pub mod lock;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
#[cfg(feature = "nats")]
pub mod nats;
mod notice;
mod read_only;
pub mod shell;
mod store;
mod value;
mod watch;

pub use atomic::{AtomicMap, ChangeError, Changed, Next, Retry};
pub use entry::{Entry, Operation, Revision};
pub use error::{Error, WriteError};
pub use filter::{Filter, InvalidFilter};
pub use key::{BucketName, InvalidBucketName, InvalidKey, Key};
pub use notice::Notices;
pub use read_only::{ReadOnly, ReadOnlySwitch};
pub use store::{CreateError, Store};
pub use value::{
    ByteDeserialize, ByteSerialize, DecodeError, EncodeError, KeyValue, KeyValueRead,
    KeyValueWrite, Keyed, KeyedValue, KvReadError, KvWriteError, StaticKeyIndexedValue, ValueEntry,
    ValueWatch, Versioned, json_from_bytes, json_to_bytes,
};
pub use watch::{
    Interruption, Watch, WatchEvent, WatchFrom, WatchOptions, WatchSender, watch_channel,
};

/// The lock by its short names.
pub mod rw_lock {
    pub use super::lock::{
        DistroRwLock, DistroRwLockError, LockedResourceReadProcessor, LockedResourceWriteProcessor,
        Processor, WithLockProcessError,
    };
}

/// For the code that the derives generate.
#[doc(hidden)]
pub use serde as __serde;
