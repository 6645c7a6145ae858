//! Why an import is not whole, and what to do about it.

use std::io;

use crate::kv::{Error, Key, WriteError};

/// Why an import is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line can't be taken.
    #[error("{name}, line {line}: {reason}; nothing after line {} was imported", line - 1)]
    Line {
        /// What was read.
        name: String,
        /// The number of the line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A line could not be written.
    #[error("{name}, line {line}, {key}: {error}")]
    Write {
        /// What was read.
        name: String,
        /// The number of the line.
        line: u64,
        /// The key that it is about.
        key: Key,
        /// What the store said.
        error: WriteError,
    },
    /// The end is missing.
    #[error("{name} ends after line {line}, and is not whole: {reason}. What it has was imported")]
    CutOff {
        /// What was read.
        name: String,
        /// The last line.
        line: u64,
        /// What is missing.
        reason: String,
    },
    /// It was interrupted.
    #[error("interrupted; everything up to line {line} is done")]
    Interrupted {
        /// The last of the lines that are all done.
        line: u64,
    },
    /// Others wrote to some keys at the same time.
    #[error("{count} keys were written to by somebody else meanwhile, and left")]
    Moved {
        /// How many.
        count: u64,
    },
    /// The store can't have some of the keys.
    #[error("{count} entries can't be stored here, and were left out")]
    Refused {
        /// How many.
        count: u64,
    },
    /// What was left can't be told.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// How far it got can't be kept.
    #[error("how far the import got can't be kept: {0}")]
    Resume(io::Error),
}

impl ImportError {
    /// What to do about it.
    pub(in crate::cli) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Interrupted { .. }
            | Self::Write {
                error:
                    WriteError::Unknown { .. }
                    | WriteError::Failed(
                        Error::Unreachable { .. } | Error::NoAnswer { .. } | Error::NoSpace { .. },
                    ),
                ..
            } => Some(
                "With --resume FILE an import keeps how far it got, and the same command goes on.",
            ),
            Self::Line { .. } => Some("--dry-run looks through all lines and writes nothing."),
            Self::Moved { .. } => Some("The same command again looks at them anew."),
            _ => None,
        }
    }
}
