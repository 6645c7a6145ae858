//! How a save can end.

use crate::kv::{Error, Revision};

use super::Base;

/// How a save ended.
#[derive(Debug)]
pub enum Ending {
    /// There was nothing to write: the key was looked at, and is so.
    Unchanged,
    /// It is there, at that revision.
    Saved {
        /// The revision.
        revision: Revision,
        /// How that is known.
        proof: Proof,
    },
    /// The key has moved; this was not written and will not be.
    Conflict {
        /// What the key holds now.
        newest: Base,
    },
    /// It was written, and somebody has written over it since.
    Overwritten {
        /// The revision that it got.
        landed: Revision,
        /// What the key holds now.
        newest: Base,
    },
    /// The acknowledgement was lost, and it is not there. It may still come; saving again on the
    /// same revision is safe, for only one of the two can land.
    NotLanded {
        /// How the acknowledgement was lost.
        reason: String,
    },
    /// The acknowledgement was lost, the key has moved, and what is kept of its history does not
    /// reach back far enough to say whether it was written in between.
    Unclear {
        /// How the acknowledgement was lost.
        reason: String,
        /// What the key holds now, which is something else.
        newest: Base,
    },
    /// The acknowledgement was lost, and the key could not be read afterwards.
    Unknown {
        /// How the acknowledgement was lost.
        reason: String,
        /// Why it can't be read.
        error: Error,
    },
    /// It was not written and will not be.
    Failed(Error),
}

/// How it is known that a save is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The store acknowledged it.
    Acknowledged,
    /// The acknowledgement was lost; the history has it right after the revision that it was
    /// written on.
    ReadBack,
    /// The acknowledgement was lost; the key holds just this. Whether somebody else wrote the same
    /// can't be told, and doesn't matter.
    SameValue,
}
