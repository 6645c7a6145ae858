//! The tables, what they were before, and a bucket's row in them. No decisions about keys here.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use crate::kv::backend::{BucketConfig, BucketInfo};
use crate::kv::{BucketName, Revision};

/// Format 2.
///
/// Times are nanoseconds since 1970, lengths of time too. `entry` is clustered by revision, so
/// that a watch reads it in the order in which it was written; the value comes last, so that a
/// watch without values never touches the pages that a large value spills onto.
///
/// Whoever looks for a key names the index, `INDEXED BY entry_by_key`: with an order by revision,
/// SQLite would rather walk the whole bucket.
pub(super) const CREATE: &str = "
CREATE TABLE bucket (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    description    TEXT    NOT NULL,
    history        INTEGER NOT NULL,
    ttl            INTEGER,
    marker_ttl     INTEGER,
    max_bytes      INTEGER,
    max_value_size INTEGER,
    created        INTEGER NOT NULL,
    last_revision  INTEGER NOT NULL DEFAULT 0,
    last_write     INTEGER,
    keys           INTEGER NOT NULL DEFAULT 0,
    entries        INTEGER NOT NULL DEFAULT 0,
    bytes          INTEGER NOT NULL DEFAULT 0,
    metadata       TEXT    NOT NULL DEFAULT '{}'
) STRICT;
CREATE TABLE entry (
    bucket    INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    ttl       INTEGER,
    expires   INTEGER,
    value     BLOB    NOT NULL,
    PRIMARY KEY (bucket, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_by_key ON entry (bucket, key, revision);
CREATE INDEX entry_by_expiry ON entry (expires) WHERE expires IS NOT NULL;
";

/// What brings a file from one format to the next: the first from 1 to 2, and so on. A program that
/// has the file open in the older format goes on with it: columns are only added, with a default.
const STEPS: [&str; 1] = ["ALTER TABLE bucket ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}'"];

/// Brings a file of this format up to the newest one.
pub(super) fn bring_up(connection: &Connection, format: i32) -> rusqlite::Result<()> {
    let done = usize::try_from(format - 1).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        connection.execute_batch(step)?;
    }
    Ok(())
}

/// Whether all of that is there.
pub(super) fn is_whole(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT count(*) = 4 FROM sqlite_schema
         WHERE (type, name) IN (VALUES ('table', 'bucket'), ('table', 'entry'),
                                       ('index', 'entry_by_key'), ('index', 'entry_by_expiry'))",
        [],
        |row| row.get(0),
    )
}

/// A bucket as its row has it.
#[derive(Debug, Clone)]
pub(super) struct BucketRow {
    /// Never used again, so that it tells a bucket from one made anew under the same name.
    pub(super) id: i64,
    pub(super) info: BucketInfo,
}

/// What a bucket holds, in numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    last_revision: Revision,
    last_write: Option<OffsetDateTime>,
    keys: u64,
    entries: u64,
    bytes: u64,
}

/// Where the columns end that format 1 had. A file in that format can be open for reading alone, or
/// be brought up by another process at any time: so all columns are asked for, in the order of
/// [`CREATE`], and those of later formats are taken if they come.
const FIRST_FORMAT: usize = 14;

impl BucketRow {
    /// The bucket of that name.
    pub(super) fn find(
        connection: &Connection,
        name: &BucketName,
    ) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached("SELECT * FROM bucket WHERE name = ?1")?
            .query_row([name.as_str()], Self::decode)
            .optional()
    }

    /// The bucket of that number.
    pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached("SELECT * FROM bucket WHERE id = ?1")?
            .query_row([id], Self::decode)
            .optional()
    }

    /// All of them, by name.
    pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        connection
            .prepare_cached("SELECT * FROM bucket ORDER BY name")?
            .query_map([], Self::decode)?
            .collect()
    }

    /// Makes a bucket.
    pub(super) fn insert(
        connection: &Connection,
        config: &BucketConfig,
        created: i64,
    ) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO bucket (name, description, history, ttl, marker_ttl, max_bytes,
                                     max_value_size, created, metadata)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                config.name.as_str(),
                config.description,
                stored(config.history),
                config.ttl.map(nanoseconds),
                config.marker_ttl.map(nanoseconds),
                config.max_bytes.map(stored),
                config.max_value_size.map(stored),
                created,
                written(&config.metadata),
            ])?;
        Ok(())
    }

    /// Writes the settings back.
    pub(super) fn save_config(&self, connection: &Connection) -> rusqlite::Result<()> {
        let config = &self.info.config;
        connection
            .prepare_cached(
                "UPDATE bucket SET description = ?2, history = ?3, ttl = ?4, marker_ttl = ?5,
                                   max_bytes = ?6, max_value_size = ?7, metadata = ?8
                 WHERE id = ?1",
            )?
            .execute(params![
                self.id,
                config.description,
                stored(config.history),
                config.ttl.map(nanoseconds),
                config.marker_ttl.map(nanoseconds),
                config.max_bytes.map(stored),
                config.max_value_size.map(stored),
                written(&config.metadata),
            ])?;
        Ok(())
    }

    /// The counts as they are now.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            last_revision: self.info.last_revision,
            last_write: self.info.last_write,
            keys: self.info.keys,
            entries: self.info.entries,
            bytes: self.info.bytes,
        }
    }

    /// Takes the counts back to what they were.
    pub(super) fn set_counts(&mut self, counts: Counts) {
        let info = &mut self.info;
        info.last_revision = counts.last_revision;
        info.last_write = counts.last_write;
        info.keys = counts.keys;
        info.entries = counts.entries;
        info.bytes = counts.bytes;
    }

    /// Writes the counts back.
    pub(super) fn save_counts(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "UPDATE bucket SET last_revision = ?2, last_write = ?3, keys = ?4, entries = ?5,
                                   bytes = ?6
                 WHERE id = ?1",
            )?
            .execute(params![
                self.id,
                stored(self.info.last_revision.0),
                self.info.last_write.map(instant),
                stored(self.info.keys),
                stored(self.info.entries),
                stored(self.info.bytes),
            ])?;
        Ok(())
    }

    fn decode(row: &Row<'_>) -> rusqlite::Result<Self> {
        let name: String = row.get(1)?;
        let name = BucketName::new(&name).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                1,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?;
        let duration = |column| -> rusqlite::Result<Option<Duration>> {
            let nanoseconds: Option<i64> = row.get(column)?;
            Ok(nanoseconds.map(|n| Duration::from_nanos(count(n))))
        };
        let limit = |column| -> rusqlite::Result<Option<u64>> {
            let limit: Option<i64> = row.get(column)?;
            Ok(limit.map(count))
        };
        let mut config = BucketConfig::new(name);
        config.description = row.get(2)?;
        config.history = count(row.get(3)?);
        config.ttl = duration(4)?;
        config.marker_ttl = duration(5)?;
        config.max_bytes = limit(6)?;
        config.max_value_size = limit(7)?;
        if row.as_ref().column_count() > FIRST_FORMAT {
            config.metadata = noted(row)?;
        }
        let mut info = BucketInfo::new(config, moment(row.get(8)?));
        info.last_revision = Revision(count(row.get(9)?));
        info.last_write = row.get::<_, Option<i64>>(10)?.map(moment);
        info.keys = count(row.get(11)?);
        info.entries = count(row.get(12)?);
        info.bytes = count(row.get(13)?);
        Ok(Self {
            id: row.get(0)?,
            info,
        })
    }
}

/// What is noted of a bucket, as an object of JSON.
fn written(metadata: &BTreeMap<String, String>) -> String {
    let pairs = metadata.iter();
    let pairs = pairs.map(|(name, value)| (name.clone(), value.as_str().into()));
    serde_json::Value::Object(pairs.collect()).to_string()
}

fn noted(row: &Row<'_>) -> rusqlite::Result<BTreeMap<String, String>> {
    let text: String = row.get(FIRST_FORMAT)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            FIRST_FORMAT,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

/// A number as SQLite keeps it. What is beyond its range is beyond every revision and size too.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that SQLite kept and that is never below zero.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A length of time as SQLite keeps it, at most 292 years.
pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A time as SQLite keeps it.
pub(super) fn instant(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// A time that SQLite kept. Any 64-bit count of nanoseconds is a time that can be shown.
pub(super) fn moment(nanoseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.into())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The clock that entries are stamped by and expire by.
pub(super) fn now() -> i64 {
    instant(OffsetDateTime::now_utc())
}
