//! The entries of one key, inside a transaction: looking, dropping, adding. The bucket's counts go with
//! them, in its row in memory.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::kv::local::read::{number_of, operation_of};
use crate::kv::local::schema::{BucketRow, count, moment, nanoseconds, stored};
use crate::kv::{Operation, Revision};

/// The newest entry of a key.
pub(super) struct Head {
    pub(super) revision: Revision,
    pub(super) operation: Operation,
    expires: Option<i64>,
}

impl Head {
    pub(super) fn find(
        connection: &Connection,
        bucket: i64,
        key: &str,
    ) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "SELECT revision, operation, expires FROM entry INDEXED BY entry_by_key
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

    pub(super) fn has_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// Takes away a key whose newest entry has expired, with all that came before it, so that no
/// older value comes to light. A value that goes leaves a marker where the bucket wants one; a
/// marker that goes leaves nothing.
pub(super) fn expire(
    transaction: &Connection,
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
                is_first: true,
            },
        )?;
    }
    Ok(())
}

/// Drops all entries of a key but the newest so many.
pub(super) fn trim(
    transaction: &Connection,
    bucket: &mut BucketRow,
    key: &str,
    kept: u64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM entry INDEXED BY entry_by_key
         WHERE bucket = ?1 AND key = ?2 AND revision <=
             (SELECT revision FROM entry INDEXED BY entry_by_key WHERE bucket = ?1 AND key = ?2
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
pub(super) fn forget(bucket: &mut BucketRow, key: &str, size: i64) {
    let bytes = count(size) + key.len() as u64;
    bucket.info.entries = bucket.info.entries.saturating_sub(1);
    bucket.info.bytes = bucket.info.bytes.saturating_sub(bytes);
}

/// An entry about to be written.
pub(super) struct New<'a> {
    pub(super) key: &'a str,
    pub(super) operation: Operation,
    pub(super) value: &'a [u8],
    pub(super) ttl: Option<Duration>,
    pub(super) now: i64,
    /// Whether nothing is there of the key.
    pub(super) is_first: bool,
}

/// Writes an entry at the next revision.
pub(super) fn append(
    transaction: &Connection,
    bucket: &mut BucketRow,
    new: &New<'_>,
) -> rusqlite::Result<Revision> {
    let revision = Revision(bucket.info.last_revision.0 + 1);
    let lifetime = [new.ttl, bucket.info.config.ttl]
        .into_iter()
        .flatten()
        .min();
    let expires = lifetime.map(|lifetime| new.now.saturating_add(nanoseconds(lifetime)));
    insert(transaction, bucket, new, revision, expires)?;
    Ok(revision)
}

/// Writes an entry at a revision behind all others.
pub(super) fn insert(
    transaction: &Connection,
    bucket: &mut BucketRow,
    new: &New<'_>,
    revision: Revision,
    expires: Option<i64>,
) -> rusqlite::Result<()> {
    let size = new.value.len() as u64;
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
            expires,
            new.value,
        ])?;
    let info = &mut bucket.info;
    info.last_revision = revision;
    info.last_write = Some(moment(new.now));
    info.entries += 1;
    info.bytes += size + new.key.len() as u64;
    info.keys += u64::from(new.is_first);
    Ok(())
}
