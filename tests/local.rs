//! The local engine on real files: several processes, bad files, a killed writer, and what it
//! costs to do nothing. What every backend must do is in the conformance suite.
#![cfg(feature = "local")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes the helpers of a test binary for code that ships"
)]

#[path = "local/formats.rs"]
mod formats;
#[path = "local/harm.rs"]
mod harm;
#[path = "local/processes.rs"]
mod processes;
#[path = "local/semantics.rs"]
mod semantics;
#[path = "local/watches.rs"]
mod watches;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kvscope::kv::backend::{Backend, BucketConfig, Connection, FactValue, Write};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::{
    BucketName, Error, Filter, Interruption, Key, Operation, Revision, Store, Watch, WatchEvent,
    WatchFrom, WatchOptions, WriteError,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Generous: what has not come by then will not come.
const SOON: Duration = Duration::from_secs(40);

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("buckets.kvs")
    }

    async fn open(&self) -> Arc<LocalBackend> {
        LocalBackend::open(self.file(), OpenOptions::create())
            .await
            .unwrap()
    }
}

fn name(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

async fn store(backend: &LocalBackend, bucket: &str) -> Store {
    configured(backend, BucketConfig::new(name(bucket))).await
}

async fn configured(backend: &LocalBackend, config: BucketConfig) -> Store {
    backend.create_bucket(&config).await.unwrap();
    Store::open(backend, config.name.as_str()).await.unwrap()
}

async fn next(watch: &Watch) -> WatchEvent {
    timeout(SOON, watch.next())
        .await
        .expect("an event")
        .expect("the watch goes on")
}

async fn next_entry(watch: &Watch) -> (String, u64, Operation) {
    match next(watch).await {
        WatchEvent::Entry(entry) => (
            entry.key.as_str().to_owned(),
            entry.revision.0,
            entry.operation,
        ),
        other => panic!("{other:?}"),
    }
}

async fn open_error(path: impl AsRef<Path>, options: OpenOptions) -> Error {
    LocalBackend::open(path, options).await.unwrap_err()
}

#[tokio::test]
async fn the_overview_tells_what_is_known() {
    let place = Place::new();
    let backend = place.open().await;
    store(&backend, "b").await.put("a", "1").await.unwrap();
    let overview = backend.overview().await.unwrap();
    assert!(overview.engine.starts_with("SQLite 3."));
    assert!(overview.address.ends_with("buckets.kvs"));
    let fact = |name: &str| {
        let facts = overview.sections.iter().flat_map(|section| &section.facts);
        facts
            .clone()
            .find(|fact| fact.name == name)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(
        fact("keys"),
        FactValue::Count {
            used: 1,
            limit: None
        }
    );
    assert!(matches!(fact("size"), FactValue::Bytes { used, .. } if used > 4096));
    assert!(matches!(fact("write-ahead log"), FactValue::Bytes { used, .. } if used > 0));
    backend.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_bucket_streams() {
    let place = Place::new();
    let backend = place.open().await;
    let keys: u64 = std::env::var("KVSCOPE_TEST_KEYS").map_or(30_000, |n| n.parse().unwrap());
    let store = store(&backend, "b").await;
    store.put("k0", vec![b'v'; 134]).await.unwrap();
    let mut other = rusqlite::Connection::open(place.file()).unwrap();
    let bulk = other.transaction().unwrap();
    bulk.execute(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO entry (bucket, revision, key, created, operation, size, value)
         SELECT 1, i, 'app.service' || (i % 1000) || '.key' || i, 1, 0, 134, zeroblob(134) FROM n",
        [i64::try_from(keys).unwrap()],
    )
    .unwrap();
    bulk.execute(
        "UPDATE bucket SET last_revision = ?1, keys = ?1, entries = ?1",
        [i64::try_from(keys).unwrap()],
    )
    .unwrap();
    bulk.commit().unwrap();
    for (what, options) in [
        (
            "without values",
            WatchOptions::new(Filter::all()).without_values(),
        ),
        ("with values", WatchOptions::new(Filter::all())),
        (
            "filtered",
            WatchOptions::new(Filter::new("app.service7.>").unwrap()).without_values(),
        ),
    ] {
        let begun = std::time::Instant::now();
        let watch = store.watch(options).await.unwrap();
        let (mut count, mut first, mut ready) = (0, None, false);
        while !ready {
            for event in watch.next_batch().await.unwrap() {
                match event {
                    WatchEvent::Entry(_) => count += 1,
                    WatchEvent::Ready => ready = true,
                    other => panic!("{other:?}"),
                }
            }
            first.get_or_insert_with(|| begun.elapsed());
        }
        let took = begun.elapsed();
        println!(
            "{what}: {count} entries of {keys} in {took:?}, the first after {:?}, {:.0} rows/s",
            first.unwrap(),
            keys as f64 / took.as_secs_f64()
        );
        assert_eq!(
            count,
            if what == "filtered" {
                keys / 1000
            } else {
                keys
            }
        );
    }
}
