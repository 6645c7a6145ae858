//! Changes to entries that are no writes of keys: forgetting what is left of gone ones, fitting a bucket
//! to its settings, and putting in place what was read elsewhere.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::entries::{Head, New, forget, insert, trim};
use crate::kv::backend::BucketConfig;
use crate::kv::local::fault::Fault;
use crate::kv::local::read::{bucket, operation_of};
use crate::kv::local::schema::{BucketRow, count, instant, nanoseconds, now, stored};
use crate::kv::{BucketName, Entry, Error, Operation, Revision};

/// The highest revision that SQLite can keep.
const LAST_REVISION: u64 = i64::MAX.unsigned_abs();

/// Removes the marker of a key at a revision, and what came before it.
pub(in crate::kv::local) fn forget_key(
    connection: &mut Connection,
    name: &BucketName,
    key: &str,
    marker: Revision,
) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut bucket = bucket(&transaction, name)?;
    let operation: Option<i64> = transaction
        .prepare_cached(
            "SELECT operation FROM entry WHERE bucket = ?1 AND revision = ?2 AND key = ?3",
        )?
        .query_row(params![bucket.id, stored(marker.0), key], |row| row.get(0))
        .optional()?;
    let operation = operation.map(operation_of).transpose()?;
    if operation.is_none_or(Operation::is_put) {
        return Ok(false);
    }
    {
        let mut statement = transaction.prepare_cached(
            "DELETE FROM entry INDEXED BY entry_by_key
             WHERE bucket = ?1 AND key = ?2 AND revision <= ?3 RETURNING size",
        )?;
        let mut rows = statement.query(params![bucket.id, key, stored(marker.0)])?;
        while let Some(row) = rows.next()? {
            forget(&mut bucket, key, row.get(0)?);
        }
    }
    if Head::find(&transaction, bucket.id, key)?.is_none() {
        bucket.info.keys = bucket.info.keys.saturating_sub(1);
    }
    bucket.save_counts(&transaction)?;
    transaction.commit()?;
    Ok(true)
}

/// Makes the entries of a bucket fit its settings, after they were changed.
///
/// What had no end though the settings `before` gave it one was restored, and keeps having none.
/// What has expired stays so, even if nobody came to drop it.
pub(in crate::kv::local) fn refit(
    transaction: &Connection,
    bucket: &mut BucketRow,
    before: &BucketConfig,
) -> rusqlite::Result<()> {
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
         WHERE bucket = ?1
           AND (CASE WHEN expires IS NULL THEN ttl IS NULL AND ?3 IS NULL ELSE expires > ?4 END)",
        params![
            bucket.id,
            bucket.info.config.ttl.map(nanoseconds),
            before.ttl.map(nanoseconds),
            now(),
        ],
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

/// Puts entries in place as they were elsewhere, in one transaction. They don't expire any more:
/// what has run out since is just what somebody wants to see.
pub(in crate::kv::local) fn restore(
    connection: &mut Connection,
    name: &BucketName,
    entries: &[Entry],
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut bucket = bucket(&transaction, name)?;
    let kept = bucket.info.config.history.saturating_sub(1);
    for entry in entries {
        let last = bucket.info.last_revision;
        if entry.revision <= last {
            return Err(Fault::Engine(Error::Unsupported {
                what: "an entry from before those that are there",
                reason: format!("the bucket {name} is at revision {last} already"),
            }));
        }
        if entry.revision.0 >= LAST_REVISION {
            return Err(Fault::Engine(Error::Unsupported {
                what: "an entry at so high a revision",
                reason: format!("nothing could follow behind {}", entry.revision),
            }));
        }
        let key = entry.key.as_str();
        let is_purge = matches!(entry.operation, Operation::Purge | Operation::Expire);
        let kept = if is_purge { 0 } else { kept };
        let is_there = Head::find(&transaction, bucket.id, key)?.is_some();
        if is_there {
            trim(&transaction, &mut bucket, key, kept)?;
        }
        let new = New {
            key,
            operation: entry.operation,
            value: entry.value.as_deref().unwrap_or_default(),
            ttl: entry.ttl,
            now: instant(entry.created),
            is_first: !is_there || kept == 0,
        };
        insert(&transaction, &mut bucket, &new, entry.revision, None)?;
    }
    bucket.save_counts(&transaction)?;
    Ok(transaction.commit()?)
}
