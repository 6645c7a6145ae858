//! Writing keys: a group of writes in one transaction.
//!
//! - `entries`: the entries of one key.
//! - `expiry`: dropping what has expired.
//! - `upkeep`: changes that are no writes of keys.

mod entries;
mod expiry;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::MAX_VALUE_SIZE;
use super::fault::{Fault, WriteFault};
use super::read::bucket;
use super::schema::{BucketRow, now};
use crate::kv::backend::{Change, Write};
use crate::kv::{BucketName, Error, Operation, Revision};

use self::entries::{Head, New, append, expire, trim};
pub(super) use self::expiry::{next_expiry, reap};
pub(super) use self::upkeep::{forget_key, refit, restore};

/// Makes some writes, in this order, in one transaction: one sync of the disk for all of them.
/// Each ends as if it were alone, but that a commit that fails fails them all.
pub(super) fn write_all<'a>(
    connection: &mut Connection,
    writes: impl IntoIterator<Item = (&'a BucketName, &'a Write)>,
) -> Vec<Result<Revision, WriteFault>> {
    let mut writes = writes.into_iter();
    let mut done = Vec::with_capacity(writes.size_hint().0);
    let failure = match try_write_all(connection, &mut writes, &mut done) {
        Ok(()) => return done,
        Err(failure) => failure,
    };
    for end in &mut done {
        *end = Err(failure.again());
    }
    done.extend(writes.map(|_| Err(failure.again())));
    done
}

fn try_write_all<'a>(
    connection: &mut Connection,
    writes: &mut impl Iterator<Item = (&'a BucketName, &'a Write)>,
    done: &mut Vec<Result<Revision, WriteFault>>,
) -> Result<(), GroupFailure> {
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(GroupFailure::Before)?;
    let mut buckets = Buckets::default();
    for (name, write) in writes {
        let end = buckets.write(&mut transaction, name, write)?;
        // A full or failing disk makes SQLite roll everything back, those before included.
        if transaction.is_autocommit() {
            return Err(match end {
                Err(WriteFault::Before(Fault::Sqlite(error))) => GroupFailure::Before(error),
                _ => GroupFailure::Before(failure_of(rusqlite::ffi::SQLITE_ABORT_ROLLBACK, None)),
            });
        }
        done.push(end);
    }
    buckets.save(&transaction).map_err(GroupFailure::Before)?;
    transaction.commit().map_err(GroupFailure::Commit)
}

/// The buckets of a group of writes: each is read once, and its counts are written once.
#[derive(Default)]
struct Buckets(BTreeMap<BucketName, BucketRow>);

impl Buckets {
    fn find(
        &mut self,
        transaction: &Connection,
        name: &BucketName,
    ) -> Result<&mut BucketRow, Fault> {
        // Not by its entry: that takes a name of its own, for every write.
        if !self.0.contains_key(name) {
            self.0.insert(name.clone(), bucket(transaction, name)?);
        }
        self.0.get_mut(name).ok_or_else(|| {
            Fault::Engine(Error::NoSuchBucket {
                bucket: name.to_string(),
            })
        })
    }

    /// Makes one write. What it did before it failed is undone; that of the others stays.
    fn write(
        &mut self,
        transaction: &mut Transaction<'_>,
        name: &BucketName,
        write: &Write,
    ) -> Result<Result<Revision, WriteFault>, GroupFailure> {
        let row = match self.find(transaction, name) {
            Ok(row) => row,
            Err(fault) => return Ok(Err(WriteFault::Before(fault))),
        };
        let head = match look(transaction, row, write) {
            Ok(head) => head,
            Err(fault) => return Ok(Err(WriteFault::Before(fault))),
        };
        let before = row.counts();
        // A key that is new takes one statement, which is all or nothing by itself.
        let end = if head.is_none() && row.info.config.max_bytes.is_none() {
            write_one(transaction, row, write, head)
        } else {
            let savepoint = transaction.savepoint().map_err(GroupFailure::Before)?;
            let end = write_one(&savepoint, row, write, head);
            if end.is_ok() {
                // A conflict too: what had expired is gone, and its marker's revision was told.
                savepoint.commit().map_err(GroupFailure::Before)?;
            }
            end
        };
        Ok(match end {
            Ok(end) => end.map_err(WriteFault::from),
            Err(fault) => {
                row.set_counts(before);
                Err(WriteFault::Before(fault))
            }
        })
    }

    fn save(&self, transaction: &Connection) -> rusqlite::Result<()> {
        self.0
            .values()
            .try_for_each(|bucket| bucket.save_counts(transaction))
    }
}

/// What fails all writes of a group.
enum GroupFailure {
    /// Nothing was committed.
    Before(rusqlite::Error),
    /// The commit itself failed.
    Commit(rusqlite::Error),
}

impl GroupFailure {
    /// The failure of one of the writes.
    fn again(&self) -> WriteFault {
        match self {
            Self::Before(error) => WriteFault::Before(Fault::Sqlite(copy_of(error))),
            Self::Commit(error) => WriteFault::Commit(copy_of(error)),
        }
    }
}

/// The same error, as far as the code and the words go.
fn copy_of(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, words) => {
            rusqlite::Error::SqliteFailure(*code, words.clone())
        }
        other => failure_of(rusqlite::ffi::SQLITE_ERROR, Some(other.to_string())),
    }
}

fn failure_of(code: std::ffi::c_int, words: Option<String>) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), words)
}

/// The key is at another revision than the write expected.
struct Conflict {
    expected: Revision,
    current: Revision,
}

impl From<Conflict> for WriteFault {
    fn from(Conflict { expected, current }: Conflict) -> Self {
        Self::Conflict { expected, current }
    }
}

/// The newest entry of the key that is to be written, if the bucket takes such a write.
fn look(
    transaction: &Connection,
    bucket: &BucketRow,
    write: &Write,
) -> Result<Option<Head>, Fault> {
    check(bucket, write)?;
    Ok(Head::find(transaction, bucket.id, write.key.as_str())?)
}

/// Makes one write over the entry that is there, inside a transaction. What it did on its way to a
/// conflict is to be kept.
fn write_one(
    transaction: &Connection,
    bucket: &mut BucketRow,
    write: &Write,
    mut head: Option<Head>,
) -> Result<Result<Revision, Conflict>, Fault> {
    let now = now();
    let key = write.key.as_str();
    if head.as_ref().is_some_and(|head| head.has_expired(now)) {
        expire(transaction, bucket, key, now)?;
        head = Head::find(transaction, bucket.id, key)?;
    }
    let is_there = head.is_some();
    let current = head.map_or(Revision::ABSENT, |head| head.revision);
    if let Some(expected) = write.expected
        && expected != current
    {
        return Ok(Err(Conflict { expected, current }));
    }

    let (operation, value) = match &write.change {
        Change::Put(value) => (Operation::Put, &value[..]),
        Change::Delete => (Operation::Delete, &[][..]),
        Change::Purge => (Operation::Purge, &[][..]),
    };
    let kept = match write.change {
        Change::Purge => 0,
        Change::Put(_) | Change::Delete => bucket.info.config.history.saturating_sub(1),
    };
    if is_there {
        trim(transaction, bucket, key, kept)?;
    }
    let new = New {
        key,
        operation,
        value,
        ttl: write.ttl,
        now,
        is_first: !is_there || kept == 0,
    };
    let revision = append(transaction, bucket, &new)?;
    if let (Some(limit), Operation::Put) = (bucket.info.config.max_bytes, operation)
        && bucket.info.bytes > limit
    {
        return Err(Fault::Engine(Error::NoSpace {
            what: format!("{key} in the bucket {}", bucket.info.config.name),
            reason: format!("the bucket may hold {limit} bytes"),
        }));
    }
    Ok(Ok(revision))
}

/// Refuses what the bucket isn't set up for.
fn check(bucket: &BucketRow, write: &Write) -> Result<(), Error> {
    let config = &bucket.info.config;
    if write.ttl.is_some() && config.marker_ttl.is_none() {
        return Err(Error::Unsupported {
            what: "a time to live of an entry's own",
            reason: format!("the bucket {} has no marker TTL set", config.name),
        });
    }
    if let Change::Put(value) = &write.change {
        let limit = config
            .max_value_size
            .map_or(MAX_VALUE_SIZE, |limit| limit.min(MAX_VALUE_SIZE));
        let size = value.len() as u64;
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
    }
    Ok(())
}
