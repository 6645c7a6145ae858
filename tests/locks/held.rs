//! A guard of either kind.

#![allow(dead_code, reason = "the benchmark uses a part of this")]

use kvscope::kv::lock::record::Mode;
use kvscope::kv::lock::{LockError, ReadGuard, WriteGuard};

/// A guard of either kind.
#[derive(Debug)]
pub(crate) enum Held {
    Read(ReadGuard),
    Write(WriteGuard),
}

impl Held {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Read(_) => Mode::Read,
            Self::Write(_) => Mode::Write,
        }
    }

    pub(crate) fn resource(&self) -> &str {
        match self {
            Self::Read(guard) => guard.resource(),
            Self::Write(guard) => guard.resource(),
        }
    }

    pub(crate) fn fence(&self) -> u64 {
        match self {
            Self::Read(guard) => guard.fence(),
            Self::Write(guard) => guard.fence(),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        match self {
            Self::Read(guard) => guard.check().is_ok(),
            Self::Write(guard) => guard.check().is_ok(),
        }
    }

    pub(crate) async fn release(self) -> Result<(), LockError> {
        match self {
            Self::Read(guard) => guard.release().await,
            Self::Write(guard) => guard.release().await,
        }
    }
}
