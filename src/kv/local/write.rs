//! Writing entries: one write, and dropping what has expired, each in one transaction.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::MAX_VALUE_SIZE;
use super::fault::{Fault, WriteFault};
use super::read::{bucket, number_of, operation_of};
use super::schema::{BucketRow, count, instant, moment, nanoseconds, now, stored};
use crate::kv::backend::{BucketConfig, Change, Write};
use crate::kv::{BucketName, Entry, Error, Operation, Revision};

/// The most expired keys that are dropped in one transaction.
const REAP_KEYS: usize = 500;

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
    for (bucket, write) in writes {
        let savepoint = transaction.savepoint().map_err(GroupFailure::Before)?;
        let end = match write_one(&savepoint, bucket, write) {
            Ok(end) => {
                // A conflict too: what had expired is gone, and its marker's revision was told.
                savepoint.commit().map_err(GroupFailure::Before)?;
                end.map_err(WriteFault::from)
            }
            Err(fault) => {
                drop(savepoint);
                Err(WriteFault::Before(fault))
            }
        };
        // A full or failing disk makes SQLite roll everything back, those before included.
        if transaction.is_autocommit() {
            return Err(match end {
                Err(WriteFault::Before(Fault::Sqlite(error))) => GroupFailure::Before(error),
                _ => GroupFailure::Before(failure_of(rusqlite::ffi::SQLITE_ABORT_ROLLBACK, None)),
            });
        }
        done.push(end);
    }
    transaction.commit().map_err(GroupFailure::Commit)
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

/// Makes one write, inside a transaction. What it did on its way to a conflict is to be kept.
fn write_one(
    transaction: &Connection,
    name: &BucketName,
    write: &Write,
) -> Result<Result<Revision, Conflict>, Fault> {
    let mut bucket = bucket(transaction, name)?;
    let now = now();
    check(&bucket, write)?;

    let key = write.key.as_str();
    let mut head = Head::find(transaction, bucket.id, key)?;
    if head.as_ref().is_some_and(|head| head.has_expired(now)) {
        expire(transaction, &mut bucket, key, now)?;
        bucket.save_counts(transaction)?;
        head = Head::find(transaction, bucket.id, key)?;
    }
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
    trim(transaction, &mut bucket, key, kept)?;
    let new = New {
        key,
        operation,
        value,
        ttl: write.ttl,
        now,
    };
    let revision = append(transaction, &mut bucket, &new)?;
    if let (Some(limit), Operation::Put) = (bucket.info.config.max_bytes, operation)
        && bucket.info.bytes > limit
    {
        return Err(Fault::Engine(Error::NoSpace {
            what: format!("{key} in the bucket {name}"),
            reason: format!("the bucket may hold {limit} bytes"),
        }));
    }
    bucket.save_counts(transaction)?;
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

/// Removes the marker of a key at a revision, and what came before it.
pub(super) fn forget_key(
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

/// Drops what has expired by now, leaving markers where the bucket wants them. Answers whether
/// it wrote, and whether there is more to drop.
pub(super) fn reap(connection: &mut Connection) -> rusqlite::Result<Reaped> {
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
pub(super) struct Reaped {
    /// Whether anything was dropped.
    pub(super) wrote: bool,
    /// When the next entry expires.
    pub(super) next: Option<i64>,
}

/// When the next entry of any bucket expires.
pub(super) fn next_expiry(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection
        // Not `min(expires)`: SQLite reads the whole table for that.
        .prepare_cached(
            "SELECT expires FROM entry INDEXED BY entry_by_expiry
             WHERE expires IS NOT NULL ORDER BY expires LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()
}

/// Makes the entries of a bucket fit its settings, after they were changed.
///
/// What had no end though the settings `before` gave it one was restored, and keeps having none.
/// What has expired stays so, even if nobody came to drop it.
pub(super) fn refit(
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

    fn has_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// Takes away a key whose newest entry has expired, with all that came before it, so that no
/// older value comes to light. A value that goes leaves a marker where the bucket wants one; a
/// marker that goes leaves nothing.
fn expire(
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
            },
        )?;
    }
    Ok(())
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

/// Drops all entries of a key but the newest so many.
fn trim(
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
fn insert(
    transaction: &Connection,
    bucket: &mut BucketRow,
    new: &New<'_>,
    revision: Revision,
    expires: Option<i64>,
) -> rusqlite::Result<()> {
    let is_first = Head::find(transaction, bucket.id, new.key)?.is_none();
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
    info.keys += u64::from(is_first);
    Ok(())
}

/// Puts entries in place as they were elsewhere, in one transaction. They don't expire any more:
/// what has run out since is just what somebody wants to see.
pub(super) fn restore(
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
        let key = entry.key.as_str();
        let is_purge = matches!(entry.operation, Operation::Purge | Operation::Expire);
        trim(
            &transaction,
            &mut bucket,
            key,
            if is_purge { 0 } else { kept },
        )?;
        let new = New {
            key,
            operation: entry.operation,
            value: entry.value.as_deref().unwrap_or_default(),
            ttl: entry.ttl,
            now: instant(entry.created),
        };
        insert(&transaction, &mut bucket, &new, entry.revision, None)?;
    }
    bucket.save_counts(&transaction)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::super::OpenOptions;
    use super::super::file::DbFile;
    use super::*;
    use crate::kv::{Key, WriteError};

    struct Place {
        _folder: tempfile::TempDir,
        file: DbFile,
        connection: Connection,
        bucket: BucketName,
    }

    impl Place {
        fn new(history: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f");
            let (file, link) = DbFile::open(&path, &OpenOptions::create()).unwrap();
            let mut connection = link.connection;
            let bucket = BucketName::new("b").unwrap();
            let config = BucketConfig {
                history,
                marker_ttl: Some(Duration::from_secs(60)),
                ..BucketConfig::new(bucket.clone())
            };
            super::super::buckets::create(&mut connection, &config).unwrap();
            Self {
                _folder: folder,
                file,
                connection,
                bucket,
            }
        }

        fn write_all(&mut self, writes: &[Write]) -> Vec<Result<Revision, WriteError>> {
            let bucket = &self.bucket;
            write_all(&mut self.connection, writes.iter().map(|w| (bucket, w)))
                .into_iter()
                .zip(writes)
                .map(|(end, w)| end.map_err(|fault| fault.into_error(&w.key, self.file.path())))
                .collect()
        }

        fn counts(&self) -> (u64, u64, u64, u64) {
            let info = BucketRow::find(&self.connection, &self.bucket)
                .unwrap()
                .unwrap()
                .info;
            (info.last_revision.0, info.keys, info.entries, info.bytes)
        }

        /// The same, counted afresh.
        fn recount(&self) -> (u64, u64, u64, u64) {
            self.connection
                .query_row(
                    "SELECT coalesce(max(revision), 0), count(DISTINCT key), count(*),
                            coalesce(sum(size + octet_length(key)), 0) FROM entry",
                    [],
                    |row| {
                        let column = |at| row.get(at).map(count);
                        Ok((column(0)?, column(1)?, column(2)?, column(3)?))
                    },
                )
                .unwrap()
        }
    }

    fn put(key: &str, value: &[u8]) -> Write {
        Write::put(Key::from_stored(key), value.to_vec())
    }

    #[test]
    fn writes_in_a_group_end_one_by_one() {
        let mut place = Place::new(1);
        let ends = place.write_all(&[
            put("a", b"1").expecting(Revision::ABSENT),
            put("a", b"2").expecting(Revision::ABSENT),
            put("a", b"3").expecting(Revision(1)),
            put("b", &vec![0; 65 << 20]),
            put("b", b"1"),
        ]);
        assert!(matches!(ends[0], Ok(Revision(1))));
        assert!(matches!(
            ends[1],
            Err(WriteError::Conflict {
                current: Some(Revision(1)),
                ..
            })
        ));
        assert!(matches!(ends[2], Ok(Revision(2))));
        assert!(matches!(
            ends[3],
            Err(WriteError::Failed(Error::TooLarge { .. }))
        ));
        assert!(matches!(ends[4], Ok(Revision(3))), "no hole is left");
        assert_eq!(place.counts(), (3, 2, 2, 4));
    }

    #[test]
    fn a_full_disk_writes_nothing_and_is_said_to_be_full() {
        let mut place = Place::new(64);
        let pages: i64 = place
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        place
            .connection
            .pragma_update(None, "max_page_count", pages + 20)
            .unwrap();
        let mut written = 0;
        let error = loop {
            let ends = place.write_all(&[put("a", &[7; 3000]), put("b", &[7; 3000])]);
            match ends.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(revisions) => written = revisions[1].0,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, WriteError::Failed(Error::NoSpace { .. })),
            "{error}"
        );
        assert!(written > 4);
        assert_eq!(place.counts(), place.recount());
        // What makes room goes on.
        place.write_all(&[Write::purge(Key::from_stored("a"))])[0]
            .as_ref()
            .unwrap();
        assert_eq!(place.counts(), place.recount());
    }

    #[test]
    fn a_conflict_with_an_expired_entry_tells_a_revision_that_can_be_read() {
        let mut place = Place::new(5);
        let ends = place.write_all(&[
            put("a", b"1"),
            put("a", b"2").with_ttl(Duration::from_secs(1)),
        ]);
        assert!(ends.iter().all(Result::is_ok));
        place
            .connection
            .execute("UPDATE entry SET expires = 1 WHERE ttl IS NOT NULL", [])
            .unwrap();
        let ends = place.write_all(&[
            put("a", b"3").expecting(Revision(2)),
            put("a", b"3").expecting(Revision(3)),
        ]);
        assert!(matches!(
            ends[0],
            Err(WriteError::Conflict {
                current: Some(Revision(3)),
                ..
            })
        ));
        assert!(matches!(ends[1], Ok(Revision(4))));
        assert_eq!(place.counts(), place.recount());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
        #[test]
        fn counts_are_those_of_the_entries(
            history in 1_u64..4,
            steps in proptest::collection::vec((0_u8..5, 0_usize..4, 0_usize..9), 1..60),
        ) {
            let mut place = Place::new(history);
            for (what, key, size) in steps {
                let name = ["a", "b", "c.d", "ü"][key];
                let key = Key::from_stored(name);
                match what {
                    0 | 1 => drop(place.write_all(&[put(name, &vec![1; size])])),
                    2 => drop(place.write_all(&[Write::delete(key)])),
                    3 => drop(place.write_all(&[Write::purge(key)])),
                    _ => {
                        place
                            .connection
                            .execute("UPDATE entry SET expires = 1 WHERE key = ?1", [name])
                            .unwrap();
                        let reaped = reap(&mut place.connection).unwrap();
                        proptest::prop_assert!(reaped.next.is_none_or(|at| at > now()));
                    }
                }
                let (last, keys, entries, bytes) = place.counts();
                let (newest, k, e, b) = place.recount();
                proptest::prop_assert_eq!((keys, entries, bytes), (k, e, b));
                proptest::prop_assert!(newest <= last);
            }
        }
    }
}
