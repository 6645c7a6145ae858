//! What SQLite answers, in the engine's words. No recovery here: callers decide what follows.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::kv::{Error, Key, Revision, WriteError};

/// A failure inside a job on a connection, before it is put into words.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// The engine refused.
    Engine(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Fault {
    /// The failure of doing `what` on the file at `path`.
    pub(super) fn into_error(self, path: &Path, what: &str) -> Error {
        match self {
            Self::Engine(error) => error,
            Self::Sqlite(error) => error_of(&error, path, what),
        }
    }
}

/// How a write to one key can end badly.
#[derive(Debug)]
pub(super) enum WriteFault {
    /// The key is at another revision.
    Conflict {
        expected: Revision,
        current: Revision,
    },
    /// The commit itself failed.
    Commit(rusqlite::Error),
    /// It failed before the commit, so nothing was written.
    Before(Fault),
}

impl WriteFault {
    /// The end of a write to `key` in the file at `path`.
    pub(super) fn into_error(self, key: &Key, path: &Path) -> WriteError {
        let what = format!("writing {key}");
        match self {
            Self::Conflict { expected, current } => WriteError::Conflict {
                key: key.clone(),
                expected,
                current: Some(current),
            },
            Self::Commit(error) if commit_may_have_landed(&error) => WriteError::Unknown {
                key: key.clone(),
                reason: format!("the commit failed: {error}"),
            },
            Self::Commit(error) => error_of(&error, path, &what).into(),
            Self::Before(fault) => fault.into_error(path, &what).into(),
        }
    }
}

/// Whether a commit that failed like this can have left the whole transaction in the log.
///
/// SQLite forgets a commit whose write or sync failed, but the frames can be on the disk with
/// valid checksums: the recovery after a crash would then bring them back. When another process
/// is in the way, or when the disk is full, the last frame was never written.
fn commit_may_have_landed(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::ConstraintViolation
                | ErrorCode::ReadOnly
        )
    )
}

/// The failure of doing `what` on the file at `path`.
pub(super) fn error_of(error: &rusqlite::Error, path: &Path, what: &str) -> Error {
    let path = path.to_owned();
    let file = |detail: String| Error::File {
        path: path.clone(),
        detail,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => file(format!(
            "{what} gave up, because another process keeps the file locked"
        )),
        Some(ErrorCode::DiskFull) => Error::NoSpace {
            what: what.to_owned(),
            reason: format!("the disk that holds {} is full", path.display()),
        },
        Some(ErrorCode::NotADatabase) => Error::Corrupt {
            path,
            detail: format!("{what} found that its beginning is not an SQLite file's"),
        },
        Some(ErrorCode::DatabaseCorrupt) => Error::Corrupt {
            path,
            detail: format!(
                "{what} found pages that can't be right. Restore it from a backup, or try `sqlite3 FILE .recover`"
            ),
        },
        Some(ErrorCode::ReadOnly) => file(format!("{what} failed: the file can't be written")),
        Some(ErrorCode::CannotOpen) => file(format!(
            "{what} failed: the file, or the -wal and -shm files beside it, can't be opened"
        )),
        Some(ErrorCode::PermissionDenied) => file(format!("{what} failed: no permission")),
        Some(ErrorCode::SystemIoFailure) => {
            file(format!("{what} failed on the disk itself: {error}"))
        }
        _ => match error {
            // A column that doesn't hold what this program would have written there.
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => Error::Corrupt {
                path,
                detail: format!("{what} found a row that makes no sense: {error}"),
            },
            _ => file(format!("{what} failed: {error}")),
        },
    }
}
