//! Dropping what has expired.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::entries::{Head, expire, forget};
use crate::kv::Revision;
use crate::kv::local::schema::{BucketRow, count, now, stored};

/// The most expired keys that are dropped in one transaction.
const REAP_KEYS: usize = 500;

/// Drops what has expired by now, leaving markers where the bucket wants them. Answers whether
/// it wrote, and whether there is more to drop.
pub(in crate::kv::local) fn reap(connection: &mut Connection) -> rusqlite::Result<Reaped> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now();
    let due: Vec<(i64, String, i64)> = transaction
        .prepare_cached(
            "SELECT bucket, key, max(revision) FROM
                 (SELECT bucket, key, revision FROM entry INDEXED BY entry_by_expiry
                  WHERE expires <= ?1
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
pub(in crate::kv::local) struct Reaped {
    /// Whether anything was dropped.
    pub(in crate::kv::local) wrote: bool,
    /// When the next entry expires.
    pub(in crate::kv::local) next: Option<i64>,
}

/// When the next entry of any bucket expires.
pub(in crate::kv::local) fn next_expiry(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection
        // Not `min(expires)`: SQLite reads the whole table for that.
        .prepare_cached(
            "SELECT expires FROM entry INDEXED BY entry_by_expiry
             WHERE expires IS NOT NULL ORDER BY expires LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()
}

/// Drops the expired entries of a key whose newest entry has not expired.
fn drop_old(
    transaction: &Connection,
    bucket: &mut BucketRow,
    key: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM entry INDEXED BY entry_by_key
         WHERE bucket = ?1 AND key = ?2 AND expires <= ?3 RETURNING size",
    )?;
    let mut rows = statement.query(params![bucket.id, key, now])?;
    while let Some(row) = rows.next()? {
        forget(bucket, key, row.get(0)?);
    }
    Ok(())
}
