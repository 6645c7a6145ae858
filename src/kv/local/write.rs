//! Writing entries: one write, and dropping what has expired, each in one transaction.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::MAX_VALUE_SIZE;
use super::fault::{Fault, WriteFault};
use super::read::{bucket, number_of, operation_of};
use super::schema::{BucketRow, count, moment, nanoseconds, now, stored};
use crate::kv::backend::{Change, Write};
use crate::kv::{BucketName, Error, Operation, Revision};

/// The most expired keys that are dropped in one transaction.
const REAP_KEYS: usize = 500;

/// Makes one write.
pub(super) fn write(
    connection: &mut Connection,
    name: &BucketName,
    write: &Write,
) -> Result<Revision, WriteFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut bucket = bucket(&transaction, name)?;
    let now = now();
    check(&bucket, write)?;

    let key = write.key.as_str();
    let mut head = Head::find(&transaction, bucket.id, key)?;
    let has_expired = head.as_ref().is_some_and(|head| head.has_expired(now));
    if has_expired {
        expire(&transaction, &mut bucket, key, now)?;
        head = Head::find(&transaction, bucket.id, key)?;
    }
    let current = head.map_or(Revision::ABSENT, |head| head.revision);
    if let Some(expected) = write.expected
        && expected != current
    {
        // The revision that is told must be there to be read.
        if has_expired {
            bucket.save_counts(&transaction)?;
            transaction.commit().map_err(WriteFault::Commit)?;
        }
        return Err(WriteFault::Conflict { expected, current });
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
    trim(&transaction, &mut bucket, key, kept)?;
    let revision = append(
        &transaction,
        &mut bucket,
        &New {
            key,
            operation,
            value,
            ttl: write.ttl,
            now,
        },
    )?;
    if let (Some(limit), Operation::Put) = (bucket.info.config.max_bytes, operation)
        && bucket.info.bytes > limit
    {
        return Err(Fault::from(Error::NoSpace {
            what: format!("{key} in the bucket {name}"),
            reason: format!("the bucket may hold {limit} bytes"),
        })
        .into());
    }
    bucket.save_counts(&transaction)?;
    transaction.commit().map_err(WriteFault::Commit)?;
    Ok(revision)
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

/// Drops what has expired by now, leaving markers where the bucket wants them. Answers whether
/// it wrote, and whether there is more to drop.
pub(super) fn reap(connection: &mut Connection) -> rusqlite::Result<Reaped> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now();
    let due: Vec<(i64, String, i64)> = transaction
        .prepare_cached(
            "SELECT bucket, key, max(revision) FROM
                 (SELECT bucket, key, revision FROM entry WHERE expires <= ?1
                  ORDER BY expires LIMIT ?2)
             GROUP BY bucket, key ORDER BY bucket, max(revision)",
        )?
        .query_map(params![now, stored(REAP_KEYS as u64)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let wrote = !due.is_empty();
    let mut current: Option<BucketRow> = None;
    for (id, key, revision) in due {
        if current.as_ref().is_none_or(|bucket| bucket.id != id) {
            if let Some(bucket) = current.take() {
                bucket.save_counts(&transaction)?;
            }
            current = BucketRow::by_id(&transaction, id)?;
        }
        let Some(bucket) = current.as_mut() else {
            continue;
        };
        let head = Head::find(&transaction, id, &key)?;
        if head.is_some_and(|head| head.revision == Revision(count(revision))) {
            expire(&transaction, bucket, &key, now)?;
        } else {
            drop_old(&transaction, bucket, &key, now)?;
        }
    }
    if let Some(bucket) = current {
        bucket.save_counts(&transaction)?;
    }
    let next = next_expiry(&transaction)?;
    transaction.commit()?;
    Ok(Reaped { wrote, next })
}

/// What [`reap`] did.
pub(super) struct Reaped {
    /// Whether anything was dropped.
    pub(super) wrote: bool,
    /// When the next entry expires.
    pub(super) next: Option<i64>,
}

/// When the next entry of any bucket expires.
pub(super) fn next_expiry(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT min(expires) FROM entry WHERE expires IS NOT NULL")?
        .query_row([], |row| row.get(0))
}

/// Makes the entries of a bucket fit its settings, after they were changed.
pub(super) fn refit(transaction: &Transaction<'_>, bucket: &mut BucketRow) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM entry WHERE bucket = ?1 AND revision IN (
             SELECT revision FROM (
                 SELECT revision, row_number() OVER (PARTITION BY key ORDER BY revision DESC) AS n
                 FROM entry WHERE bucket = ?1)
             WHERE n > ?2)",
        params![bucket.id, stored(bucket.info.config.history)],
    )?;
    transaction.execute(
        "UPDATE entry
         SET expires = min(coalesce(created + ttl, created + ?2), coalesce(created + ?2, created + ttl))
         WHERE bucket = ?1",
        params![bucket.id, bucket.info.config.ttl.map(nanoseconds)],
    )?;
    let (keys, entries, bytes) = transaction.query_row(
        "SELECT count(DISTINCT key), count(*), coalesce(sum(size + octet_length(key)), 0)
         FROM entry WHERE bucket = ?1",
        [bucket.id],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    bucket.info.keys = count(keys);
    bucket.info.entries = count(entries);
    bucket.info.bytes = count(bytes);
    bucket.save_counts(transaction)
}

/// The newest entry of a key.
struct Head {
    revision: Revision,
    operation: Operation,
    expires: Option<i64>,
}

impl Head {
    fn find(connection: &Connection, bucket: i64, key: &str) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "SELECT revision, operation, expires FROM entry
                 WHERE bucket = ?1 AND key = ?2 ORDER BY revision DESC LIMIT 1",
            )?
            .query_row(params![bucket, key], |row| {
                Ok(Self {
                    revision: Revision(count(row.get(0)?)),
                    operation: operation_of(row.get(1)?)?,
                    expires: row.get(2)?,
                })
            })
            .optional()
    }

    fn has_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// Takes away a key whose newest entry has expired, with all that came before it, so that no
/// older value comes to light. A value that goes leaves a marker where the bucket wants one; a
/// marker that goes leaves nothing.
fn expire(
    transaction: &Transaction<'_>,
    bucket: &mut BucketRow,
    key: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let was_put =
        Head::find(transaction, bucket.id, key)?.is_some_and(|head| head.operation.is_put());
    trim(transaction, bucket, key, 0)?;
    if let (Some(ttl), true) = (bucket.info.config.marker_ttl, was_put) {
        append(
            transaction,
            bucket,
            &New {
                key,
                operation: Operation::Expire,
                value: &[],
                ttl: Some(ttl),
                now,
            },
        )?;
    }
    Ok(())
}

/// Drops the expired entries of a key whose newest entry has not expired.
fn drop_old(
    transaction: &Transaction<'_>,
    bucket: &mut BucketRow,
    key: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM entry WHERE bucket = ?1 AND key = ?2 AND expires <= ?3 RETURNING size",
    )?;
    let mut rows = statement.query(params![bucket.id, key, now])?;
    while let Some(row) = rows.next()? {
        forget(bucket, key, row.get(0)?);
    }
    Ok(())
}

/// Drops all entries of a key but the newest so many.
fn trim(
    transaction: &Transaction<'_>,
    bucket: &mut BucketRow,
    key: &str,
    kept: u64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM entry WHERE bucket = ?1 AND key = ?2 AND revision <=
             (SELECT revision FROM entry WHERE bucket = ?1 AND key = ?2
              ORDER BY revision DESC LIMIT 1 OFFSET ?3)
         RETURNING size",
    )?;
    let mut rows = statement.query(params![bucket.id, key, stored(kept)])?;
    let mut dropped = false;
    while let Some(row) = rows.next()? {
        forget(bucket, key, row.get(0)?);
        dropped = true;
    }
    if dropped && kept == 0 {
        bucket.info.keys = bucket.info.keys.saturating_sub(1);
    }
    Ok(())
}

/// Takes a dropped entry out of the bucket's counts.
fn forget(bucket: &mut BucketRow, key: &str, size: i64) {
    let bytes = count(size) + key.len() as u64;
    bucket.info.entries = bucket.info.entries.saturating_sub(1);
    bucket.info.bytes = bucket.info.bytes.saturating_sub(bytes);
}

/// An entry about to be written.
struct New<'a> {
    key: &'a str,
    operation: Operation,
    value: &'a [u8],
    ttl: Option<Duration>,
    now: i64,
}

/// Writes an entry at the next revision.
fn append(
    transaction: &Transaction<'_>,
    bucket: &mut BucketRow,
    new: &New<'_>,
) -> rusqlite::Result<Revision> {
    let is_first = Head::find(transaction, bucket.id, new.key)?.is_none();
    let revision = Revision(bucket.info.last_revision.0 + 1);
    let size = new.value.len() as u64;
    let lifetime = [new.ttl, bucket.info.config.ttl]
        .into_iter()
        .flatten()
        .min();
    transaction
        .prepare_cached(
            "INSERT INTO entry
                 (bucket, revision, key, created, operation, size, ttl, expires, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            bucket.id,
            stored(revision.0),
            new.key,
            new.now,
            number_of(new.operation),
            stored(size),
            new.ttl.map(nanoseconds),
            lifetime.map(|lifetime| new.now.saturating_add(nanoseconds(lifetime))),
            new.value,
        ])?;
    let info = &mut bucket.info;
    info.last_revision = revision;
    info.last_write = Some(moment(new.now));
    info.entries += 1;
    info.bytes += size + new.key.len() as u64;
    info.keys += u64::from(is_first);
    Ok(revision)
}
