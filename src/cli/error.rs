//! How a command can end badly: the exit code, and what a person is told.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::ConfigError;
use crate::kv::lock::LockError;
use crate::kv::lock::breaking::BreakError;
use crate::kv::lock::diagnosis::span;
use crate::kv::shell::word;
use crate::kv::{Error, Key, Operation, Revision, WriteError, local};
use crate::query::{GivenUp, QueryError};
use crate::ui::keymap::KeymapError;
use crate::ui::outside::OutsideError;
use crate::ui::theme::ThemeError;

use super::text::sentence;
use super::transfer::{ExportError, ImportError};

/// Why a command did not do what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line asks for something that can't be.
    #[error("{0}")]
    Usage(String),
    /// It is not clear how to connect, or what the user wants.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The key has no value.
    #[error("{bucket} has no key {key}{}", how_gone(*.gone))]
    NoKey {
        /// The bucket.
        bucket: String,
        /// The key.
        key: Key,
        /// The marker that is left of it, if any.
        gone: Option<(Operation, Revision)>,
    },
    /// The key has no entry at that revision.
    #[error("{bucket} keeps no entry of {key} at revision {revision}")]
    NoRevision {
        /// The bucket.
        bucket: String,
        /// The key.
        key: Key,
        /// The revision that was asked for.
        revision: Revision,
    },
    /// There is no such lock.
    #[error("{bucket} has no lock on {resource}")]
    NoLock {
        /// The bucket.
        bucket: String,
        /// What would be locked.
        resource: String,
    },
    /// The locks of a bucket can't be read.
    #[error("the locks of {bucket} can't be read: {reason}")]
    Locks {
        /// The bucket.
        bucket: String,
        /// Why not.
        reason: String,
    },
    /// The lock was not granted.
    #[error(transparent)]
    Lock(LockError),
    /// The lock was not granted in the time that was given.
    #[error("{resource} {}", not_granted(*.waited))]
    LockWait {
        /// The bucket.
        bucket: String,
        /// What would be locked.
        resource: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The lock was not held to the end of what was done under it.
    #[error("the lock on {resource} was lost: {how}. {end}")]
    LockLost {
        /// What was locked.
        resource: String,
        /// How it was lost.
        how: String,
        /// What became of the command.
        end: String,
    },
    /// A lock was not broken.
    #[error(transparent)]
    Break(BreakError),
    /// It was interrupted in the quarantine.
    #[error("the session stays dead. Who waits for the lock takes it out after a quarantine")]
    BreakLeft,
    /// A lock is not as it was when it was looked at; it was not broken.
    #[error("{key} is at revision {current}, not {expected}; nothing was done. {now}")]
    LockMoved {
        /// The bucket.
        bucket: String,
        /// The key.
        key: Key,
        /// The revision that was seen.
        expected: Revision,
        /// The revision that it has.
        current: Revision,
        /// Who holds it now.
        now: String,
    },
    /// The key is not at the revision that the write expected; nothing was written.
    #[error("{}", conflict(.key, *.expected, *.current))]
    Conflict {
        /// The bucket.
        bucket: String,
        /// The key.
        key: Key,
        /// The revision that the write expected.
        expected: Revision,
        /// The revision that the key has, if that could be found out. `ABSENT`: it has none.
        current: Option<Revision>,
    },
    /// The acknowledgement of a write was lost.
    #[error("it is not known whether {key} was written: {reason}. {found}")]
    Unknown {
        /// The bucket.
        bucket: String,
        /// The key.
        key: Key,
        /// How it was lost.
        reason: String,
        /// What a look at the key showed afterwards.
        found: String,
    },
    /// A write landed, and somebody has written over it since.
    #[error(
        "{key} was written as revision {landed}, and somebody has written over it since: it is at \
         revision {current}"
    )]
    Overwritten {
        /// The key.
        key: Key,
        /// The revision of our write.
        landed: Revision,
        /// The revision that the key has.
        current: Revision,
    },
    /// What was edited can't be saved like that.
    #[error("{key} is not saved: {why}")]
    Unfit {
        /// The key.
        key: Key,
        /// What speaks against it.
        why: String,
    },
    /// The editor can't be started, or did not end well.
    #[error(transparent)]
    Editor(#[from] OutsideError),
    /// A file of our own can't be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// Something went wrong, and what was typed is still there.
    #[error("{error}. Your text is in {}", .path.display())]
    TextKept {
        /// What went wrong.
        error: Box<CliError>,
        /// The file with the text.
        path: PathBuf,
    },
    /// It wants a person's agreement, and there is no terminal to ask at.
    #[error("there is no terminal to ask at: agree beforehand with {flag}")]
    NobodyToAsk {
        /// The flag that agrees.
        flag: &'static str,
    },
    /// The person at the terminal said no.
    #[error("left as it is")]
    Declined,
    /// A value can't be read.
    #[error("{what} can't be read: {error}")]
    Input {
        /// The file, or standard input.
        what: String,
        /// Why not.
        error: io::Error,
    },
    /// A value is longer than any the store takes.
    #[error("{what} is too long: a value of {limit} bytes always fits here, and this has far more")]
    InputTooLong {
        /// The file, or standard input.
        what: String,
        /// How many bytes always fit.
        limit: u64,
    },
    /// The query makes no sense.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The query was not brought to an end.
    #[error(transparent)]
    QueryGivenUp(#[from] GivenUp),
    /// The query can't be applied to the value.
    #[error("the query can't be applied: {0}")]
    QueryFailed(String),
    /// An import is not whole.
    #[error(transparent)]
    Import(ImportError),
    /// An export is not whole.
    #[error(transparent)]
    Export(ExportError),
    /// Something was done, and can't be told.
    #[error("{done}, but the output can't be written: {error}")]
    Untold {
        /// What was done.
        done: String,
        /// Why it can't be told.
        error: io::Error,
    },
    /// Standard output can't be written.
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
    /// A command can't be watched over.
    #[error("the command can't be watched over: {0}")]
    Command(io::Error),
    /// The console has no terminal any more.
    #[error("the terminal can't be used: {0}")]
    Terminal(io::Error),
    /// The colours can't be had.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The keys can't be had.
    #[error(transparent)]
    Keymap(#[from] KeymapError),
    /// The demo can't be set up.
    #[error("the demo can't be set up: {0}")]
    Demo(String),
}

impl CliError {
    /// 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 lock not granted or lost, 6 refused by
    /// read-only, 7 not known whether it was written.
    pub fn exit_code(&self) -> ExitCode {
        let code = match self.cause() {
            // Whoever read our output has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Usage(_) | Self::NobodyToAsk { .. } | Self::Query(_) => 2,
            Self::Export(ExportError::Unfit { .. }) => 2,
            Self::Config(error) if error.is_usage() => 2,
            Self::NoKey { .. } | Self::NoRevision { .. } | Self::NoLock { .. } => 3,
            Self::Break(BreakError::NoClaim { .. } | BreakError::NoKey { .. }) => 3,
            Self::Conflict { .. } | Self::LockMoved { .. } | Self::Overwritten { .. } => 4,
            Self::Break(BreakError::Beats { .. }) => 4,
            Self::LockWait { .. } | Self::LockLost { .. } | Self::Lock(LockError::Lost(_)) => 5,
            Self::Unknown { .. } => 7,
            Self::Engine(error) => code_of(error),
            Self::Import(ImportError::Moved { .. }) => 4,
            Self::Import(ImportError::Write {
                error: WriteError::Failed(error),
                ..
            }) => code_of(error),
            Self::BreakLeft
            | Self::Import(ImportError::Interrupted { .. })
            | Self::Export(ExportError::Interrupted) => 130,
            Self::Lock(LockError::Store(error)) => code_of(error),
            _ => 1,
        };
        ExitCode::from(code)
    }

    /// What went wrong, without what was saved from it.
    pub(super) fn cause(&self) -> &Self {
        match self {
            Self::TextKept { error, .. } => error.cause(),
            other => other,
        }
    }

    /// Tells it on standard error, in one line or two. A closed pipe is no news. `program` is how
    /// this program is called to come to the same place, for commands that are advised.
    pub fn tell(&self, program: &str) {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return;
        }
        let mut stderr = io::stderr().lock();
        // Where there is no standard error either, there is nobody to tell.
        let _ = writeln!(stderr, "kvscope: {}", sentence(&self.to_string()));
        if let Some(hint) = self.hint(program) {
            let _ = writeln!(stderr, "         {}", sentence(&hint));
        }
    }

    /// What to do about it, where that is known.
    fn hint(&self, program: &str) -> Option<Cow<'static, str>> {
        Some(match self.cause() {
            Self::Engine(error) => hint_for(error, program)?,
            Self::Lock(LockError::Store(error)) => hint_for(error, program)?,
            Self::Import(error) => error.hint()?.into(),
            Self::Export(error) => error.hint()?.into(),
            Self::LockWait {
                bucket, resource, ..
            } => format!(
                "`{program} lock show {} {}` tells who holds it.",
                word(bucket),
                word(resource)
            )
            .into(),
            Self::LockMoved {
                bucket, current, ..
            } => format!(
                "`{program} lock ls {}` shows more; --revision {current} acts on it as it is now.",
                word(bucket)
            )
            .into(),
            Self::Config(ConfigError::NoSuchContext { .. }) => {
                "`nats context ls` lists those that are there; --no-context does without".into()
            }
            Self::Conflict {
                bucket,
                key,
                current: Some(current),
                ..
            } if *current != Revision::ABSENT => format!(
                "Look at what is there (`{program} get {} {}`), then write over {current}.",
                word(bucket),
                word(key.as_str())
            )
            .into(),
            Self::NoRevision { bucket, key, .. } => {
                let (bucket, key) = (word(bucket), word(key.as_str()));
                format!("`{program} history {bucket} {key}` shows what is kept.").into()
            }
            Self::NoLock { bucket, .. } => format!(
                "`{program} lock ls {}` lists those that are there.",
                word(bucket)
            )
            .into(),
            Self::Unknown { .. } => {
                "It may still be written later. Read again before you repeat it.".into()
            }
            _ => return None,
        })
    }
}

fn not_granted(waited: Duration) -> String {
    if waited.is_zero() {
        "is not free".to_owned()
    } else {
        format!("was not granted within {}", span(waited))
    }
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::InvalidKey(_) | Error::InvalidBucketName(_) | Error::InvalidFilter(_) => 2,
        Error::BadAddress { .. } => 2,
        Error::NoSuchBucket { .. } => 3,
        Error::ReadOnly { .. } => 6,
        _ => 1,
    }
}

impl From<BreakError> for CliError {
    fn from(error: BreakError) -> Self {
        match error {
            BreakError::Store(error) => Self::Engine(error),
            other => Self::Break(other),
        }
    }
}

fn hint_for(error: &Error, program: &str) -> Option<Cow<'static, str>> {
    Some(match error {
        Error::NoSuchBucket { .. } => format!(
            "`{program} bucket ls` lists those that are there; `{program} bucket add NAME` makes one."
        )
        .into(),
        Error::BucketExists { .. } => {
            format!("`{program} bucket info NAME` shows its settings.").into()
        }
        Error::ReadOnly { .. } => "It comes from --read-only, KVSCOPE_READ_ONLY, read_only in \
                                   kvscope.toml, or a file that is a snapshot."
            .into(),
        Error::Unreachable { .. } => {
            "--server, --context or --local name another place; `kvscope demo` needs none.".into()
        }
        Error::File { detail, .. } if detail == local::NO_SUCH_FILE => {
            "`kvscope --local FILE bucket add NAME` makes the file.".into()
        }
        Error::Unauthorized { .. } => {
            "See --creds, --nkey, --user, --token and --context.".into()
        }
        _ => return None,
    })
}

fn how_gone(gone: Option<(Operation, Revision)>) -> String {
    let how = match gone {
        None => return String::new(),
        Some((Operation::Expire, _)) => "it expired",
        Some((Operation::Purge, _)) => "it was purged",
        Some((Operation::Delete | Operation::Put, _)) => "it was deleted",
    };
    let revision = gone.map(|(_, revision)| revision).unwrap_or_default();
    format!(": {how} at revision {revision}")
}

fn conflict(key: &Key, expected: Revision, current: Option<Revision>) -> String {
    match (expected, current) {
        (Revision::ABSENT, Some(current)) => {
            format!("{key} is there already, at revision {current}; nothing was written")
        }
        (Revision::ABSENT, None) => format!("{key} is there already; nothing was written"),
        (expected, Some(Revision::ABSENT)) => {
            format!(
                "{key} is not there any more, let alone at revision {expected}; nothing was written"
            )
        }
        (expected, Some(current)) => {
            format!("{key} is at revision {current}, not {expected}; nothing was written")
        }
        (expected, None) => {
            format!("{key} is not at revision {expected} any more; nothing was written")
        }
    }
}
