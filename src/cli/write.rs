//! Writing keys: `put`, `create`, `update`, `del` and `purge`.
//!
//! A write ends well, in a conflict, in not knowing, or in a failure, and each is told as what it
//! is. After a lost acknowledgement the key is read again, to say what is there now.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use humantime::format_duration;

use crate::kv::backend::{Capabilities, Change, Write};
use crate::kv::{CreateError, Entry, Error, Key, Revision, Store, WriteError};
use crate::ui::text::visible;

use super::args::{PutArgs, RemoveArgs, UpdateArgs};
use super::connection::Connection;
use super::error::CliError;
use super::output::Output;
use super::record::WrittenRecord;
use super::value::Source;
use super::watch::note;

pub(super) async fn put(
    connection: &Connection,
    args: PutArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let (store, write) = prepare(connection, args).await?;
    let revision = commit(&store, write.clone()).await?;
    told(&store, &write, revision, output).await
}

pub(super) async fn create(
    connection: &Connection,
    args: PutArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let (store, key, value, ttl) = read(connection, args).await?;
    let write = Write {
        ttl,
        ..Write::put(key, value.clone())
    };
    let revision = match store.create(&write.key, value, ttl).await {
        Ok(revision) => revision,
        Err(CreateError::Exists { key, current }) => {
            return Err(CliError::Conflict {
                bucket: store.name().to_string(),
                key,
                expected: Revision::ABSENT,
                current: Some(current),
            });
        }
        Err(CreateError::Write(error)) => return Err(explain(&store, &write, error).await),
    };
    told(&store, &write, revision, output).await
}

pub(super) async fn update(
    connection: &Connection,
    args: UpdateArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    let expected = Revision(args.revision);
    let put = PutArgs {
        bucket: args.bucket,
        key: args.key,
        value: Some(args.value),
        options: args.options,
    };
    let (store, write) = prepare(connection, put).await?;
    let write = write.expecting(expected);
    let revision = commit(&store, write.clone()).await?;
    told(&store, &write, revision, output).await
}

pub(super) async fn delete(
    connection: &Connection,
    args: RemoveArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    remove(connection, args, Change::Delete, output).await
}

pub(super) async fn purge(
    connection: &Connection,
    args: RemoveArgs,
    output: &mut Output,
) -> Result<(), CliError> {
    remove(connection, args, Change::Purge, output).await
}

async fn remove(
    connection: &Connection,
    args: RemoveArgs,
    change: Change,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = connection.store(&args.bucket).await?;
    let key = Key::from_stored(args.key);
    refuse_if_read_only(store.capabilities(), &format!("deleting {key}"))?;
    let write = Write {
        change,
        expected: args.revision.map(Revision),
        ..Write::delete(key.clone())
    };
    if write.expected.is_none() {
        // A store would leave a marker even of a key that never was.
        let entry = store.get(&key).await?;
        let is_there = match &entry {
            None => false,
            // What a deletion left can still be purged: the history goes with it.
            Some(entry) => !entry.is_marker() || write.change == Change::Purge,
        };
        if !is_there {
            return Err(CliError::NoKey {
                bucket: args.bucket,
                key,
                gone: entry.map(|entry| (entry.operation, entry.revision)),
            });
        }
    }
    let question = match write.change {
        Change::Purge => format!("Delete {key} in {} with its history?", args.bucket),
        Change::Delete | Change::Put(_) => format!("Delete {key} in {}?", args.bucket),
    };
    confirm(&question, Beforehand::force(args.force))?;
    let revision = commit(&store, write.clone()).await?;
    told(&store, &write, revision, output).await
}

/// Refuses what would write, before anybody is asked or has typed anything.
pub(super) fn refuse_if_read_only(can: Capabilities, action: &str) -> Result<(), CliError> {
    if can.read_only {
        let action = action.to_owned();
        return Err(Error::ReadOnly { action }.into());
    }
    Ok(())
}

/// What the command line says beforehand to a question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beforehand {
    flag: &'static str,
    agrees: bool,
}

impl Beforehand {
    /// By `--force`.
    pub(super) const fn force(agrees: bool) -> Self {
        let flag = "--force";
        Self { flag, agrees }
    }

    /// By `--yes`.
    pub(super) const fn yes(agrees: bool) -> Self {
        let flag = "--yes";
        Self { flag, agrees }
    }
}

/// Asks the person at the terminal. Where there is none, it has to be agreed beforehand: what is
/// piped in is no answer to a question that nobody saw.
pub(super) fn confirm(question: &str, beforehand: Beforehand) -> Result<(), CliError> {
    match ask(&format!("{question} [y/N]"), beforehand)?.as_deref() {
        None | Some("y" | "Y" | "yes") => Ok(()),
        Some(_) => Err(CliError::Declined),
    }
}

/// The same for what can't be taken back: only this very word, or being told so, will do.
pub(super) fn confirm_by_name(
    question: &str,
    word: &str,
    beforehand: Beforehand,
) -> Result<(), CliError> {
    match ask(&format!("{question} Type {word} to do it:"), beforehand)? {
        Some(answer) if answer != word => Err(CliError::Declined),
        _ => Ok(()),
    }
}

/// The answer of the person at the terminal. `None` where it was agreed beforehand.
fn ask(question: &str, beforehand: Beforehand) -> Result<Option<String>, CliError> {
    if beforehand.agrees {
        return Ok(None);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::NobodyToAsk {
            flag: beforehand.flag,
        });
    }
    let mut stderr = io::stderr();
    write!(stderr, "{} ", visible(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(answer.trim().to_owned()))
}

/// A write of the value.
async fn prepare(connection: &Connection, args: PutArgs) -> Result<(Store, Write), CliError> {
    let (store, key, value, ttl) = read(connection, args).await?;
    let write = Write {
        ttl,
        ..Write::put(key, value)
    };
    Ok((store, write))
}

/// Opens the bucket and reads the value, and what else there is to know for a write.
async fn read(
    connection: &Connection,
    args: PutArgs,
) -> Result<(Store, Key, Bytes, Option<Duration>), CliError> {
    let key = Key::new(&args.key).map_err(Error::from)?;
    let source = Source::of(args.value.as_deref(), args.options.literal)?;
    let store = connection.store(&args.bucket).await?;
    let value = source.read(store.capabilities().max_value_size).await?;
    Ok((store, key, value, args.options.ttl))
}

async fn commit(store: &Store, write: Write) -> Result<Revision, CliError> {
    match store.write(write.clone()).await {
        Ok(revision) => Ok(revision),
        Err(error) => Err(explain(store, &write, error).await),
    }
}

/// What a write's bad end means, with what can be found out about it.
async fn explain(store: &Store, write: &Write, error: WriteError) -> CliError {
    match error {
        WriteError::Failed(error) => error.into(),
        WriteError::Conflict {
            key,
            expected,
            current,
        } => CliError::Conflict {
            bucket: store.name().to_string(),
            current: match current {
                Some(current) => Some(current),
                None => store
                    .get(&key)
                    .await
                    .ok()
                    .map(|entry| revision_of(entry.as_ref())),
            },
            key,
            expected,
        },
        WriteError::Unknown { key, reason } => CliError::Unknown {
            bucket: store.name().to_string(),
            found: look_again(store, write).await,
            key,
            reason,
        },
    }
}

fn revision_of(entry: Option<&Entry>) -> Revision {
    entry.map_or(Revision::ABSENT, |entry| entry.revision)
}

/// What the key holds after a write whose acknowledgement was lost.
async fn look_again(store: &Store, write: &Write) -> String {
    let entry = match store.get(&write.key).await {
        Ok(entry) => entry,
        Err(error) => return format!("Reading it again failed too: {error}"),
    };
    let revision = revision_of(entry.as_ref());
    let is_as_written = match (&write.change, &entry) {
        (Change::Put(value), Some(entry)) => entry.live_value() == Some(value),
        (Change::Delete | Change::Purge, Some(entry)) => entry.is_marker(),
        (_, None) => false,
    };
    if write.expected == Some(revision) {
        return format!("It is still at revision {revision}: not written so far");
    }
    match (is_as_written, entry) {
        (_, None) => "It is not there: not written so far".to_owned(),
        (true, _) => format!("It is as it was to be, at revision {revision}"),
        (false, _) => format!("It is at revision {revision}, and not as it was to be"),
    }
}

/// Says that it was written, then where the store makes something else of it.
async fn told(
    store: &Store,
    write: &Write,
    revision: Revision,
    output: &mut Output,
) -> Result<(), CliError> {
    let (bucket, key) = (store.name().as_str(), write.key.as_str());
    let done = match write.change {
        Change::Put(_) => "put",
        Change::Delete => "deleted",
        Change::Purge => "purged",
    };
    let done = format!("{bucket} {} {done} at revision {revision}", visible(key));
    let told = if output.is_json() {
        output.record(&WrittenRecord {
            bucket,
            key,
            revision: revision.0,
        })
    } else {
        output.line(&done)
    };
    match told.and_then(|()| output.flush()) {
        Ok(()) => {}
        Err(CliError::Output(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(CliError::Untold { done, error });
        }
        Err(error) => return Err(error),
    }
    if let Some((asked, kept)) = raised_life(store, write, revision).await {
        note(&format!(
            "{key} lives for {}, not for {}: the bucket's marker TTL is the least that it gives",
            format_duration(kept),
            format_duration(asked)
        ));
    }
    Ok(())
}

/// The time to live that was asked for, and the longer one that the store gives: in a bucket with
/// some history a server raises it to the marker TTL. `None` also where that can't be found out.
async fn raised_life(
    store: &Store,
    write: &Write,
    revision: Revision,
) -> Option<(Duration, Duration)> {
    let asked = write.ttl?;
    let entry = store.get_revision(&write.key, revision).await.ok()??;
    entry
        .ttl
        .filter(|kept| *kept > asked)
        .map(|kept| (asked, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::BucketName;
    use crate::kv::backend::{Backend as _, BucketConfig};
    use crate::kv::faulty::{Faults, Faulty, WriteFault};
    use crate::kv::memory::Memory;
    use std::sync::Arc;

    async fn store() -> (Store, Faults) {
        let (backend, faults) = Faulty::new(Arc::new(Memory::new()));
        let config = BucketConfig::new(BucketName::new("b").unwrap());
        backend.create_bucket(&config).await.unwrap();
        (Store::open(&backend, "b").await.unwrap(), faults)
    }

    /// What a person is told of a write that ends like this.
    async fn told(store: &Store, write: Write) -> String {
        let error = commit(store, write).await.unwrap_err();
        assert!(matches!(error, CliError::Unknown { .. }), "{error}");
        error.to_string()
    }

    #[tokio::test]
    async fn after_a_lost_acknowledgement_the_key_is_read_again() {
        let (store, faults) = store().await;
        let key = || Key::new("k").unwrap();

        faults.next_writes([Some(WriteFault::Drop)]);
        let text = told(&store, Write::put(key(), "1")).await;
        assert!(
            text.ends_with("It is not there: not written so far"),
            "{text}"
        );

        faults.next_writes([Some(WriteFault::LoseAck)]);
        let text = told(&store, Write::put(key(), "1")).await;
        assert!(
            text.ends_with("It is as it was to be, at revision 1"),
            "{text}"
        );

        faults.next_writes([Some(WriteFault::Drop)]);
        let write = Write::put(key(), "2").expecting(Revision(1));
        let text = told(&store, write).await;
        assert!(
            text.ends_with("It is still at revision 1: not written so far"),
            "{text}"
        );

        faults.next_writes([Some(WriteFault::Drop)]);
        let text = told(&store, Write::put(key(), "3")).await;
        assert!(
            text.ends_with("It is at revision 1, and not as it was to be"),
            "{text}"
        );

        faults.next_writes([Some(WriteFault::LoseAck)]);
        let text = told(&store, Write::delete(key())).await;
        assert!(
            text.ends_with("It is as it was to be, at revision 2"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn what_was_not_unknown_stays_what_it_was() {
        let (store, faults) = store().await;
        let key = || Key::new("k").unwrap();
        let revision = store.put("k", "1").await.unwrap();
        let late = Write::put(key(), "2").expecting(Revision(99));
        let error = commit(&store, late).await.unwrap_err();
        assert!(
            matches!(&error, CliError::Conflict { current, .. } if *current == Some(revision)),
            "{error}"
        );
        faults.next_writes([Some(WriteFault::Fail)]);
        let error = commit(&store, Write::put(key(), "2")).await.unwrap_err();
        assert!(matches!(error, CliError::Engine(_)), "{error}");
    }
}
