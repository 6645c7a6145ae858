//! Making a file of entries that were written elsewhere, with their revisions and times: a copy of
//! another place as it was at one moment. Such a file is marked, and only ever read.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::claim::{APPLICATION_ID, FORMAT};
use super::fault::error_of;
use super::read::number_of;
use super::schema::{self, BucketRow, instant, moment, stored};
use super::worker;
use crate::kv::backend::BucketConfig;
use crate::kv::{Entry, Error};

/// The mark, in a table that other files don't have.
const MARK: &str = "CREATE TABLE taken (at INTEGER NOT NULL) STRICT;";

/// Makes a file that says of itself that it is a copy taken at that time. Each bucket comes with its
/// entries, in any order; times to live are left out, for nothing in a copy ends.
///
/// # Errors
/// [`Error::File`] where there is something at the path already, which is left as it is, or where
/// nothing can be made there; [`Error::NoSpace`] on a full disk. What was begun is taken away.
///
/// Dropping the future lets it go on to its end.
pub async fn archive(
    path: impl AsRef<Path>,
    taken: OffsetDateTime,
    buckets: Vec<(BucketConfig, Vec<Entry>)>,
) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    let (reply, answer) = oneshot::channel();
    let making = {
        let path = path.clone();
        worker::spawn("kvscope-archive", move || {
            // Nobody waits any more if this fails.
            let _ = reply.send(make(&path, taken, &buckets));
        })
    };
    making.map_err(|error| failed(&path, format!("no thread to make it: {error}")))?;
    let ended_early = |_| failed(&path, "making it ended early".to_owned());
    answer.await.map_err(ended_early)?
}

fn failed(path: &Path, detail: String) -> Error {
    Error::File {
        path: path.to_owned(),
        detail,
    }
}

fn make(
    path: &Path,
    taken: OffsetDateTime,
    buckets: &[(BucketConfig, Vec<Entry>)],
) -> Result<(), Error> {
    // The name is taken first, so that nobody else's file is ever replaced; it gets its content
    // when that is complete.
    let reserved = fs::File::options().write(true).create_new(true).open(path);
    reserved.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => failed(
            path,
            "there is a file already, which was left as it is".to_owned(),
        ),
        _ => failed(path, format!("it can't be made: {error}")),
    })?;
    let part = beside(path);
    let made = fill(&part, taken, buckets)
        .map_err(|error| error_of(&error, path, "writing it"))
        .and_then(|()| {
            fs::rename(&part, path)
                .map_err(|error| failed(path, format!("it can't be put in its place: {error}")))
        });
    if made.is_err() {
        // What can't be taken away either is empty, or named as a part.
        let _ = fs::remove_file(&part);
        let _ = fs::remove_file(path);
    }
    made
}

/// Where the content is written first: in the same folder, on the same disk.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

fn fill(
    path: &Path,
    taken: OffsetDateTime,
    buckets: &[(BucketConfig, Vec<Entry>)],
) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = FULL;")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(schema::CREATE)?;
    transaction.execute_batch(MARK)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.execute("INSERT INTO taken (at) VALUES (?1)", [instant(taken)])?;
    for (config, entries) in buckets {
        bucket(&transaction, taken, config, entries)?;
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

fn bucket(
    connection: &Connection,
    taken: OffsetDateTime,
    config: &BucketConfig,
    entries: &[Entry],
) -> rusqlite::Result<()> {
    let config = BucketConfig {
        ttl: None,
        ..config.clone()
    };
    BucketRow::insert(connection, &config, instant(taken))?;
    let Some(mut row) = BucketRow::find(connection, &config.name)? else {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    };
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO entry
             (bucket, revision, key, created, operation, size, ttl, expires, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, NULL, ?7)",
    )?;
    for entry in entries {
        let value = entry.value.as_deref().unwrap_or_default();
        insert.execute(params![
            row.id,
            stored(entry.revision.0),
            entry.key.as_str(),
            instant(entry.created),
            number_of(entry.operation),
            stored(entry.size),
            value,
        ])?;
        let info = &mut row.info;
        info.last_revision = info.last_revision.max(entry.revision);
        info.last_write = info.last_write.max(Some(entry.created));
        info.entries += 1;
        info.bytes += entry.size + entry.key.as_str().len() as u64;
    }
    drop(insert);
    row.info.keys = connection.query_row(
        "SELECT count(DISTINCT key) FROM entry WHERE bucket = ?1",
        [row.id],
        |row| Ok(schema::count(row.get(0)?)),
    )?;
    row.save_counts(connection)
}

/// When the copy was taken that the file is, if it is one.
pub(super) fn taken(connection: &Connection) -> rusqlite::Result<Option<OffsetDateTime>> {
    let is_marked: bool = connection.query_row(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'taken'",
        [],
        |row| row.get(0),
    )?;
    if !is_marked {
        return Ok(None);
    }
    let at = connection.query_row("SELECT at FROM taken", [], |row| row.get(0));
    Ok(at.optional()?.map(moment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::backend::Backend as _;
    use crate::kv::local::{LocalBackend, OpenOptions};
    use crate::kv::{BucketName, Key, Operation, Revision, Store};

    fn entry(revision: u64, seconds: u64, value: &'static str) -> Entry {
        Entry {
            key: Key::new("k").unwrap(),
            revision: Revision(revision),
            created: OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds),
            operation: Operation::Put,
            size: value.len() as u64,
            value: Some(value.into()),
            ttl: None,
            expires: None,
        }
    }

    fn one(history: u64) -> Vec<(BucketConfig, Vec<Entry>)> {
        let mut config = BucketConfig::new(BucketName::new("b").unwrap());
        config.history = history;
        vec![(
            config,
            vec![entry(40, 100, "one"), entry(7_000, 200, "two")],
        )]
    }

    #[tokio::test]
    async fn a_copy_has_the_revisions_and_times_of_what_it_is_of_and_is_only_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.kvs");
        let taken = OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_secs(300);
        archive(&path, taken, one(5)).await.unwrap();
        let place = LocalBackend::open(&path, OpenOptions::default())
            .await
            .unwrap();
        assert_eq!(place.capabilities().as_of, Some(taken));
        assert!(place.capabilities().read_only);
        let store = Store::open(&*place, "b").await.unwrap();
        let history = store.history("k").await.unwrap();
        let of: Vec<(u64, i64)> = history
            .iter()
            .map(|entry| (entry.revision.0, entry.created.unix_timestamp()))
            .collect();
        assert_eq!(of, [(40, 100), (7_000, 200)]);
        let refused = store.put("k", "three").await.unwrap_err();
        assert!(refused.to_string().contains("read-only"), "{refused}");
        drop((store, place));
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    }

    #[tokio::test]
    async fn nothing_is_replaced_and_nothing_half_done_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.kvs");
        fs::write(&path, "mine").unwrap();
        let taken = OffsetDateTime::UNIX_EPOCH;
        let error = archive(&path, taken, one(1)).await.unwrap_err();
        assert!(
            error.to_string().contains("there is a file already"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let nowhere = folder.path().join("no/such/folder.kvs");
        let error = archive(&nowhere, taken, one(1)).await.unwrap_err();
        assert!(error.to_string().contains("can't be made"), "{error}");
        // A bucket twice can't be written.
        let twice = [one(1), one(1)].concat();
        let path = folder.path().join("other.kvs");
        archive(&path, taken, twice).await.unwrap_err();
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
