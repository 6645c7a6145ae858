//! Reading entries: one, a key's history, or the next part of a watch. Nothing here writes.

use std::ops::ControlFlow;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use super::schema::{BucketRow, count, moment, now, stored};
use crate::kv::{BucketName, Entry, Error, Filter, Key, Operation, Revision};

/// The most entries in one part of a watch.
const PART_ENTRIES: usize = 4096;
/// The most bytes of values in one part of a watch, give or take one value.
const PART_BYTES: u64 = 4 << 20;
/// The most rows to look at for one part of a watch, so that a filter that few keys pass doesn't
/// keep a reader, and with it the log, for long.
const PART_ROWS: usize = 65_536;

/// With fewer keys than this, a snapshot tells each just once, whatever that costs.
const PROBE_ALWAYS: u64 = 16_384;

const COLUMNS: &str = "e.revision, e.key, e.created, e.operation, e.size, e.ttl, e.expires";

/// The bucket of that name, or the error that there is none.
pub(super) fn bucket(connection: &Connection, name: &BucketName) -> Result<BucketRow, Fault> {
    BucketRow::find(connection, name)?.ok_or_else(|| {
        Fault::Engine(Error::NoSuchBucket {
            bucket: name.as_str().to_owned(),
        })
    })
}

/// The newest entry of a key, unless it has expired.
pub(super) fn newest(
    connection: &Connection,
    name: &BucketName,
    key: &Key,
) -> Result<Option<Entry>, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let bucket = bucket(&snapshot, name)?;
    let entry = snapshot
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, e.value FROM entry AS e INDEXED BY entry_by_key
             WHERE e.bucket = ?1 AND e.key = ?2 ORDER BY e.revision DESC LIMIT 1"
        ))?
        .query_row(params![bucket.id, key.as_str()], |row| decode(row, true))
        .optional()?;
    Ok(entry.filter(|entry| !has_expired(entry)))
}

/// The entry of a key at one revision.
pub(super) fn at_revision(
    connection: &Connection,
    name: &BucketName,
    key: &Key,
    revision: Revision,
) -> Result<Option<Entry>, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let bucket = bucket(&snapshot, name)?;
    let entry = snapshot
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, e.value FROM entry AS e WHERE e.bucket = ?1 AND e.revision = ?2"
        ))?
        .query_row(params![bucket.id, stored(revision.0)], |row| {
            decode(row, true)
        })
        .optional()?;
    Ok(entry.filter(|entry| entry.key == *key && !has_expired(entry)))
}

/// The entries of a key that are kept, oldest first.
pub(super) fn history(
    connection: &Connection,
    name: &BucketName,
    key: &Key,
) -> Result<Vec<Entry>, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let bucket = bucket(&snapshot, name)?;
    let mut entries = snapshot
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, e.value FROM entry AS e INDEXED BY entry_by_key
             WHERE e.bucket = ?1 AND e.key = ?2 ORDER BY e.revision"
        ))?
        .query_map(params![bucket.id, key.as_str()], |row| decode(row, true))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    // A key whose newest entry has expired is gone, and what came before it with it.
    if entries.last().is_some_and(has_expired) {
        entries.clear();
    }
    entries.retain(|entry| !has_expired(entry));
    Ok(entries)
}

/// Which part of a bucket a watch asks for.
#[derive(Debug, Clone)]
pub(super) struct PartOf {
    pub(super) bucket: BucketName,
    pub(super) filter: Filter,
    /// Only entries after this one.
    pub(super) after: Revision,
    /// Only the newest entry of each key.
    pub(super) newest: bool,
    pub(super) values: bool,
}

/// A part of a bucket, as it was at one moment.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bucket: BucketRow,
    pub(super) entries: Vec<Entry>,
    /// Every entry up to this one has been looked at.
    pub(super) upto: Revision,
    /// Whether that was all of them.
    pub(super) is_last: bool,
}

/// The next part of a bucket, in the order of revisions; `None` if there is no such bucket.
pub(super) fn part(connection: &Connection, of: &PartOf) -> Result<Option<Part>, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let Some(bucket) = BucketRow::find(&snapshot, &of.bucket)? else {
        return Ok(None);
    };
    let mut part = Part {
        bucket,
        entries: Vec::new(),
        upto: of.after,
        is_last: true,
    };
    if part.bucket.info.last_revision <= of.after {
        return Ok(Some(part));
    }
    let mut sql = format!("SELECT {COLUMNS}");
    if of.values {
        sql += ", e.value";
    }
    let one_key = of.filter.is_one_key();
    sql += if one_key {
        " FROM entry AS e INDEXED BY entry_by_key
          WHERE e.bucket = ?1 AND e.revision > ?2 AND e.key = ?3"
    } else {
        " FROM entry AS e WHERE e.bucket = ?1 AND e.revision > ?2"
    };
    let probes = of.newest && pays_to_probe(&part.bucket);
    if probes {
        sql += " AND NOT EXISTS (SELECT 1 FROM entry AS later INDEXED BY entry_by_key
                 WHERE later.bucket = e.bucket AND later.key = e.key
                   AND later.revision > e.revision)";
    }
    sql += " ORDER BY e.revision";
    let mut statement = snapshot.prepare_cached(&sql)?;
    let (id, after) = (part.bucket.id, stored(of.after.0));
    let mut rows = if one_key {
        statement.query(params![id, after, of.filter.as_str()])?
    } else {
        statement.query(params![id, after])?
    };
    // Where each key has one entry, or only the newest are told, nothing older was told before.
    let older_are_told = !probes && part.bucket.info.entries != part.bucket.info.keys;
    let mut budget = Budget::new(&of.filter, of.values);
    while let Some(row) = rows.next()? {
        part.upto = Revision(count(row.get(0)?));
        if older_are_told && budget.is_expired(row)? {
            let gone = end_of_told(&snapshot, id, row, budget.now)?;
            part.entries
                .extend(gone.filter(|entry| of.filter.matches(entry.key.as_str())));
        }
        if budget.take(row, &mut part.entries)?.is_break() {
            part.is_last = false;
            return Ok(Some(part));
        }
    }
    part.upto = part.bucket.info.last_revision;
    drop(rows);
    drop(statement);
    Ok(Some(part))
}

/// What is to be told in place of an expired entry, so that what came before it does not come to
/// light: that the key expired. `None` where nothing came before it, or something after it.
fn end_of_told(
    connection: &Connection,
    bucket: i64,
    row: &Row<'_>,
    now: i64,
) -> rusqlite::Result<Option<Entry>> {
    let revision: i64 = row.get(0)?;
    let hides: bool = connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM entry AS later INDEXED BY entry_by_key
                 WHERE later.bucket = ?1 AND later.key = ?2 AND later.revision > ?3)
             AND EXISTS (SELECT 1 FROM entry AS older INDEXED BY entry_by_key
                 WHERE older.bucket = ?1 AND older.key = ?2 AND older.revision < ?3
                   AND (older.expires IS NULL OR older.expires > ?4))",
        )?
        .query_row(
            params![bucket, row.get_ref(1)?.as_str()?, revision, now],
            |row| row.get(0),
        )?;
    if !hides {
        return Ok(None);
    }
    let entry = decode(row, false)?;
    Ok(Some(Entry {
        created: entry.expires.unwrap_or(entry.created),
        operation: Operation::Expire,
        size: 0,
        value: None,
        ttl: None,
        expires: None,
        ..entry
    }))
}

/// Whether to look for a later entry of the same key before telling one.
///
/// Where no key has a history, every entry is the newest. In a large bucket a look into the index
/// takes as long as telling about four entries, so that a short history is told as a whole: a
/// snapshot may tell a key more than once, in the order of its revisions.
fn pays_to_probe(bucket: &BucketRow) -> bool {
    let (keys, entries) = (bucket.info.keys, bucket.info.entries);
    entries != keys && (keys < PROBE_ALWAYS || entries / 4 > keys)
}

/// What passes into one part of a watch, and how much of it.
struct Budget<'a> {
    filter: &'a Filter,
    values: bool,
    now: i64,
    rows: usize,
    bytes: u64,
}

impl<'a> Budget<'a> {
    fn new(filter: &'a Filter, values: bool) -> Self {
        Self {
            filter,
            values,
            now: now(),
            rows: 0,
            bytes: 0,
        }
    }

    fn is_expired(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let expires: Option<i64> = row.get(6)?;
        Ok(expires.is_some_and(|at| at <= self.now))
    }

    /// Takes a row if it belongs to the watch, and breaks when the part is full.
    fn take(
        &mut self,
        row: &Row<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        self.rows += 1;
        if !self.is_expired(row)?
            && (self.filter.is_all() || self.filter.matches(row.get_ref(1)?.as_str()?))
        {
            let entry = decode(row, self.values)?;
            if self.values {
                self.bytes += entry.size;
            }
            entries.push(entry);
        }
        let is_full =
            self.rows >= PART_ROWS || entries.len() >= PART_ENTRIES || self.bytes >= PART_BYTES;
        Ok(if is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

fn has_expired(entry: &Entry) -> bool {
    entry
        .expires
        .is_some_and(|at| super::schema::instant(at) <= now())
}

/// An entry from the columns of [`COLUMNS`], and the value behind them if it was asked for.
fn decode(row: &Row<'_>, value: bool) -> rusqlite::Result<Entry> {
    let ttl: Option<i64> = row.get(5)?;
    let expires: Option<i64> = row.get(6)?;
    Ok(Entry {
        revision: Revision(count(row.get(0)?)),
        key: Key::from_stored(row.get_ref(1)?.as_str()?),
        created: moment(row.get(2)?),
        operation: operation_of(row.get(3)?)?,
        size: count(row.get(4)?),
        ttl: ttl.map(|n| std::time::Duration::from_nanos(count(n))),
        expires: expires.map(moment),
        value: if value {
            Some(Bytes::copy_from_slice(row.get_ref(7)?.as_blob()?))
        } else {
            None
        },
    })
}

/// The number that stands for an operation in the file.
pub(super) fn number_of(operation: Operation) -> i64 {
    match operation {
        Operation::Put => 0,
        Operation::Delete => 1,
        Operation::Purge => 2,
        Operation::Expire => 3,
    }
}

/// The operation that a number in the file stands for.
pub(super) fn operation_of(number: i64) -> rusqlite::Result<Operation> {
    match number {
        0 => Ok(Operation::Put),
        1 => Ok(Operation::Delete),
        2 => Ok(Operation::Purge),
        3 => Ok(Operation::Expire),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(3, number)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::OpenOptions;
    use super::super::buckets;
    use super::super::file::DbFile;
    use super::super::write::{restore, write_all};
    use super::*;
    use crate::kv::backend::{BucketConfig, Write};

    const MANY: u64 = PROBE_ALWAYS + 1000;

    /// A bucket with many keys, where `k` has a value under one that has expired.
    fn place(folder: &std::path::Path) -> (DbFile, Connection, BucketName) {
        let (file, link) = DbFile::open(&folder.join("f"), &OpenOptions::create()).unwrap();
        let mut connection = link.connection;
        let bucket = BucketName::new("b").unwrap();
        let config = BucketConfig {
            history: 3,
            marker_ttl: Some(std::time::Duration::from_secs(60)),
            ..BucketConfig::new(bucket.clone())
        };
        buckets::create(&mut connection, &config).unwrap();
        let old = Entry {
            key: Key::from_stored("k"),
            revision: Revision(1),
            created: time::OffsetDateTime::UNIX_EPOCH,
            operation: Operation::Put,
            size: 0,
            value: Some(Bytes::new()),
            ttl: None,
            expires: None,
        };
        let others = (2..=MANY).map(|n| Entry {
            key: Key::from_stored(format!("other.{n}")),
            revision: Revision(n),
            ..old.clone()
        });
        let entries: Vec<Entry> = std::iter::once(old.clone()).chain(others).collect();
        restore(&mut connection, &bucket, &entries).unwrap();
        let new =
            Write::put(Key::from_stored("k"), "new").with_ttl(std::time::Duration::from_secs(1));
        for end in write_all(&mut connection, [(&bucket, &new)]) {
            end.ok().unwrap();
        }
        connection
            .execute("UPDATE entry SET expires = 1 WHERE ttl IS NOT NULL", [])
            .unwrap();
        (file, connection, bucket)
    }

    #[test]
    fn an_expired_value_does_not_bring_the_one_before_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let (_file, connection, bucket) = place(folder.path());
        for (newest, filter) in [(true, ">"), (false, ">"), (true, "k"), (false, "k")] {
            let mut of = PartOf {
                bucket: bucket.clone(),
                filter: Filter::new(filter).unwrap(),
                after: Revision::ABSENT,
                newest,
                values: true,
            };
            let mut last = None;
            loop {
                let part = part(&connection, &of).unwrap().unwrap();
                let of_key = part
                    .entries
                    .iter()
                    .filter(|entry| entry.key.as_str() == "k");
                last = of_key.last().cloned().or(last);
                of.after = part.upto;
                if part.is_last {
                    break;
                }
            }
            assert!(
                last.is_none_or(|entry| entry.is_marker()),
                "{newest} {filter}"
            );
        }
    }

    #[test]
    fn other_settings_neither_revive_nor_end_what_they_do_not_concern() {
        let folder = tempfile::tempdir().unwrap();
        let (_file, mut connection, bucket) = place(folder.path());
        let config = |ttl| BucketConfig {
            history: 3,
            ttl,
            marker_ttl: Some(std::time::Duration::from_secs(60)),
            ..BucketConfig::new(bucket.clone())
        };
        connection
            .execute("UPDATE entry SET ttl = 5 WHERE key = 'other.2'", [])
            .unwrap();
        let week = std::time::Duration::from_secs(7 * 86400);
        buckets::change(&mut connection, &config(Some(week))).unwrap();
        let found = newest(&connection, &bucket, &Key::from_stored("k")).unwrap();
        assert_eq!(found, None, "it had expired");
        let found = newest(&connection, &bucket, &Key::from_stored("other.2")).unwrap();
        assert!(
            found.is_some_and(|entry| entry.expires.is_none()),
            "restored"
        );
    }
}
