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
const SOON: Duration = Duration::from_secs(10);

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

// --- other processes -----------------------------------------------------------------------

const CHILD: &str = "KVSCOPE_TEST_CHILD";
const CHILD_FILE: &str = "KVSCOPE_TEST_FILE";

/// This test binary again, as another process that does what [`child`] says.
fn spawn_child(role: &str, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, role)
        .env(CHILD_FILE, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test: what the other process does. In a plain run it does nothing.
#[test]
fn child() {
    let Ok(role) = std::env::var(CHILD) else {
        return;
    };
    let file = std::env::var(CHILD_FILE).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let backend = LocalBackend::open(&file, OpenOptions::default())
            .await
            .unwrap();
        let store = Store::open(&*backend, "b").await.unwrap();
        match role.as_str() {
            "slow" => {
                for n in 0..40 {
                    store
                        .put(format!("k{n}"), nanoseconds().to_string())
                        .await
                        .unwrap();
                    tokio::time::sleep(Duration::from_millis(10 + n % 7)).await;
                }
            }
            "burst" => {
                for n in 0..300 {
                    store
                        .put(format!("k{}", n % 10), n.to_string())
                        .await
                        .unwrap();
                }
            }
            "for ever" => {
                for n in 0_u64.. {
                    store
                        .put(format!("k{}", n % 50), vec![b'x'; 3000])
                        .await
                        .unwrap();
                }
            }
            other => panic!("{other}"),
        }
    });
}

fn nanoseconds() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_seen_at_once() {
    let place = Place::new();
    let backend = place.open().await;
    let watch = store(&backend, "b")
        .await
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    let mut writer = spawn_child("slow", &place.file());
    let mut latencies = Vec::new();
    while latencies.len() < 40 {
        let WatchEvent::Entry(entry) = next(&watch).await else {
            panic!("an entry");
        };
        let text = String::from_utf8(entry.value.unwrap().to_vec()).unwrap();
        let begun: u128 = text.parse().unwrap();
        latencies.push(Duration::from_nanos(
            u64::try_from(nanoseconds().saturating_sub(begun)).unwrap(),
        ));
    }
    assert!(writer.wait().unwrap().success());
    latencies.sort();
    let (median, worst) = (latencies[20], latencies[39]);
    println!(
        "from before a put in one process to its event in another: median {median:?}, worst {worst:?}"
    );
    assert!(worst < Duration::from_secs(2), "{worst:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_lose_nothing_and_order_everything() {
    let place = Place::new();
    let backend = place.open().await;
    let own = store(&backend, "b").await;
    let watch = own.watch(WatchOptions::new(Filter::all())).await.unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    let mut children: Vec<Child> = (0..2)
        .map(|_| spawn_child("burst", &place.file()))
        .collect();
    for n in 0..100 {
        own.put(format!("own{}", n % 3), n.to_string())
            .await
            .unwrap();
    }
    // Seen by watching alone: nothing else tells when the others are done.
    let mut newest = BTreeMap::new();
    let mut last = 0;
    while last < 700 {
        let (key, revision, _) = next_entry(&watch).await;
        assert!(revision > last, "{revision} after {last}");
        last = revision;
        newest.insert(key, revision);
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let info = own.info().await.unwrap();
    assert_eq!(
        (info.last_revision, info.keys, info.entries),
        (Revision(700), 13, 13)
    );
    for entry in own.entries(Filter::all()).await.unwrap() {
        assert_eq!(newest[entry.key.as_str()], entry.revision.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_writer_leaves_a_whole_file() {
    let place = Place::new();
    let backend = place.open().await;
    let own = configured(&backend, {
        let mut config = BucketConfig::new(name("b"));
        config.history = 3;
        config
    })
    .await;
    let watch = own.watch(WatchOptions::new(Filter::all())).await.unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    let mut last = 0;
    for round in 0..5 {
        let mut writer = spawn_child("for ever", &place.file());
        for _ in 0..20 + 11 * round {
            let (_, revision, _) = next_entry(&watch).await;
            assert!(revision > last);
            last = revision;
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        // Nobody is shut out by a lock that the dead one left.
        let revision = own.put("after", round.to_string()).await.unwrap();
        assert!(revision.0 > last);
    }
    let info = own.info().await.unwrap();
    drop((own, watch, backend));
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let (entries, keys, newest, bytes): (u64, u64, u64, u64) = connection
        .query_row(
            "SELECT count(*), count(DISTINCT key), max(revision), sum(size + length(key)) FROM entry",
            [],
            |row| {
                let column = |at| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap());
                Ok((column(0)?, column(1)?, column(2)?, column(3)?))
            },
        )
        .unwrap();
    assert_eq!(
        (entries, keys, newest, bytes),
        (info.entries, info.keys, info.last_revision.0, info.bytes)
    );
}

/// Wake-ups of all threads of this process so far.
#[cfg(target_os = "linux")]
fn wake_ups() -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let mut status = String::new();
        let path = task.unwrap().path();
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if !comm.starts_with("kvscope") && !comm.starts_with("notify") {
            continue;
        }
        if let Ok(mut file) = fs::File::open(path.join("status")) {
            file.read_to_string(&mut status).unwrap();
        }
        for line in status.lines() {
            if line.contains("voluntary_ctxt_switches") {
                sum += line.rsplit('\t').next().unwrap().parse::<u64>().unwrap();
            }
        }
    }
    sum
}

/// Alone in its process, or other tests' threads would be counted.
#[cfg(target_os = "linux")]
#[test]
fn doing_nothing_costs_nothing() {
    if std::env::var_os("KVSCOPE_TEST_IDLE").is_none() {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["doing_nothing_costs_nothing", "--exact", "--nocapture"])
            .env("KVSCOPE_TEST_IDLE", "1")
            .output()
            .unwrap();
        print!("{}", String::from_utf8_lossy(&run.stdout));
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let place = Place::new();
        let backend = place.open().await;
        let mut config = BucketConfig::new(name("b"));
        config.ttl = Some(Duration::from_secs(3600));
        let store = configured(&backend, config).await;
        let watches = [
            store.watch(WatchOptions::new(Filter::all())).await.unwrap(),
            store.watch(WatchOptions::new(Filter::all())).await.unwrap(),
        ];
        for watch in &watches {
            assert_eq!(next(watch).await, WatchEvent::Ready);
        }
        store.put("a", "1").await.unwrap();
        for watch in &watches {
            next_entry(watch).await;
        }
        // The looks that follow a write have to have died away: that is what is measured here,
        // in real time.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = wake_ups();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let woken = wake_ups() - before;
        println!("wake-ups of the engine's threads in 2 idle seconds: {woken}");
        assert!(woken <= 2, "{woken}");
    });
}

// --- watches -------------------------------------------------------------------------------

#[tokio::test]
async fn a_watch_outlives_its_bucket() {
    let place = Place::new();
    let backend = place.open().await;
    let store_b = store(&backend, "b").await;
    let before = store_b.info().await.unwrap().created;
    store_b.put("a", "1").await.unwrap();
    store_b.put("b", "1").await.unwrap();
    let watch = store_b
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    next_entry(&watch).await;
    next_entry(&watch).await;
    assert_eq!(next(&watch).await, WatchEvent::Ready);

    backend.delete_bucket(&name("b")).await.unwrap();
    assert_eq!(
        next(&watch).await,
        WatchEvent::Interrupted {
            cause: Interruption::BucketGone
        }
    );
    assert!(matches!(
        store_b.get("a").await,
        Err(Error::NoSuchBucket { .. })
    ));
    store(&backend, "b").await;
    assert_eq!(next(&watch).await, WatchEvent::Resumed { gap: true });
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    assert_eq!(store_b.put("c", "1").await.unwrap(), Revision(1));
    assert_eq!(next_entry(&watch).await.0, "c");
    assert!(store_b.info().await.unwrap().created > before);
}

#[tokio::test]
async fn a_filter_a_beginning_and_a_size_without_its_value() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 5;
    let store = configured(&backend, config).await;
    for (key, value) in [("a.x", "1"), ("b.x", "22"), ("a.x", "333"), ("a.y", "4444")] {
        store.put(key, value).await.unwrap();
    }
    store.delete("a.y", None).await.unwrap();
    let told = async |options: WatchOptions| {
        let watch = store.watch(options).await.unwrap();
        let mut told = Vec::new();
        loop {
            match next(&watch).await {
                WatchEvent::Entry(entry) => told.push((entry.revision.0, entry.size)),
                WatchEvent::Ready => return told,
                other => panic!("{other:?}"),
            }
        }
    };
    let all = WatchOptions::new(Filter::all());
    assert_eq!(told(all.clone()).await, [(2, 2), (3, 3), (5, 0)]);
    assert_eq!(
        told(all.clone().from(WatchFrom::History)).await,
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 0)]
    );
    assert_eq!(
        told(all.clone().from(WatchFrom::Revision(Revision(4)))).await,
        [(4, 4), (5, 0)]
    );
    assert_eq!(told(all.from(WatchFrom::Now)).await, []);
    let some = WatchOptions::new(Filter::new("a.*").unwrap()).without_values();
    assert_eq!(told(some).await, [(3, 3), (5, 0)]);
    let one = WatchOptions::new(Filter::new("a.x").unwrap()).without_values();
    assert_eq!(told(one).await, [(3, 3)]);
}

// --- semantics that only time or a file shows ----------------------------------------------

#[tokio::test]
async fn an_expired_entry_is_gone_and_leaves_a_marker_that_goes_too() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 3;
    config.marker_ttl = Some(Duration::from_secs(1));
    let store = configured(&backend, config).await;
    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    store.put("a", "old").await.unwrap();
    let write = Write::put(key("a"), "new").with_ttl(Duration::from_secs(1));
    store.write(write).await.unwrap();
    next_entry(&watch).await;
    let WatchEvent::Entry(new) = next(&watch).await else {
        panic!("the second put");
    };
    assert_eq!(new.ttl, Some(Duration::from_secs(1)));
    assert_eq!(new.expires, Some(new.created + Duration::from_secs(1)));
    // No older value comes back to light, and the marker's revision is one of its own.
    assert_eq!(
        next_entry(&watch).await,
        ("a".to_owned(), 3, Operation::Expire)
    );
    let marker = store.get("a").await.unwrap().unwrap();
    assert_eq!(
        (marker.operation, marker.revision.0),
        (Operation::Expire, 3)
    );
    assert_eq!(store.history("a").await.unwrap().len(), 1);
    let gone = async {
        while store.info().await.unwrap().entries > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, gone).await.expect("the marker goes too");
    let info = store.info().await.unwrap();
    assert_eq!((info.keys, info.bytes, info.last_revision.0), (0, 0, 3));
    assert_eq!(store.update("a", "x", Revision(0)).await.unwrap().0, 4);
}

#[tokio::test]
async fn an_entry_is_gone_the_moment_it_expires() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.ttl = Some(Duration::from_millis(150));
    let store = configured(&backend, config).await;
    store.put("a", "1").await.unwrap();
    let entry = store.get("a").await.unwrap().unwrap();
    let expires = entry.expires.unwrap();
    loop {
        let before = time::OffsetDateTime::now_utc();
        let found = store.get("a").await.unwrap();
        if before >= expires {
            assert_eq!(found, None);
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.history("a").await.unwrap(), []);
    assert_eq!(store.update("a", "2", Revision::ABSENT).await.unwrap().0, 2);
}

#[tokio::test]
async fn settings_that_a_file_can_not_have() {
    let place = Place::new();
    let backend = place.open().await;
    let missing: [fn(&mut BucketConfig); 3] = [
        |config| config.replicas = 3,
        |config| config.storage = kvscope::kv::backend::Storage::Memory,
        |config| config.compression = true,
    ];
    for change in missing {
        let mut config = BucketConfig::new(name("b"));
        change(&mut config);
        let error = backend.create_bucket(&config).await.unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    let changes: [fn(&mut BucketConfig); 3] = [
        |config| config.history = 65,
        |config| config.history = 0,
        |config| config.marker_ttl = Some(Duration::from_millis(1500)),
    ];
    for change in changes {
        let mut config = BucketConfig::new(name("b"));
        change(&mut config);
        let error = backend.create_bucket(&config).await.unwrap_err();
        assert!(matches!(error, Error::BucketConfig { .. }), "{error}");
    }
    assert_eq!(backend.buckets().await.unwrap(), []);
}

#[tokio::test]
async fn limits_hold_and_a_refused_write_changes_nothing() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.max_bytes = Some(100);
    config.max_value_size = Some(60);
    let store = configured(&backend, config.clone()).await;
    store.put("a", vec![0; 60]).await.unwrap();
    assert!(matches!(
        store.put("a", vec![0; 61]).await,
        Err(WriteError::Failed(Error::TooLarge {
            size: 61,
            limit: 60
        }))
    ));
    assert!(matches!(
        store.put("b", vec![0; 60]).await,
        Err(WriteError::Failed(Error::NoSpace { .. }))
    ));
    // In the place of its older entry it has room.
    assert_eq!(store.put("a", vec![1; 60]).await.unwrap().0, 2);
    let info = store.info().await.unwrap();
    assert_eq!((info.keys, info.entries, info.bytes), (1, 1, 61));
    let own_ttl = Write::put(key("a"), "x").with_ttl(Duration::from_secs(5));
    assert!(matches!(
        store.write(own_ttl).await,
        Err(WriteError::Failed(Error::Unsupported { .. }))
    ));
    config.max_bytes = None;
    config.max_value_size = None;
    backend.change_bucket(&config).await.unwrap();
    let large = vec![7; 1 << 20];
    store.put("large", large.clone()).await.unwrap();
    let read = store.get("large").await.unwrap().unwrap();
    assert_eq!(read.value.unwrap(), large);
}

#[tokio::test]
async fn a_shorter_history_and_another_ttl_fit_what_is_there() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 10;
    let store = configured(&backend, config.clone()).await;
    for n in 0..6 {
        store.put("a", n.to_string()).await.unwrap();
        store.put("b", n.to_string()).await.unwrap();
    }
    config.history = 2;
    config.ttl = Some(Duration::from_secs(1000));
    let info = backend.change_bucket(&config).await.unwrap();
    assert_eq!((info.keys, info.entries, info.bytes), (2, 4, 8));
    let history = store.history("a").await.unwrap();
    assert_eq!(history.len(), 2);
    for entry in history {
        assert_eq!(
            entry.expires,
            Some(entry.created + Duration::from_secs(1000))
        );
    }
    config.ttl = None;
    backend.change_bucket(&config).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().expires, None);
}

#[tokio::test]
async fn foreign_keys_are_seen_and_removed_but_not_written() {
    let place = Place::new();
    let backend = place.open().await;
    let store = store(&backend, "b").await;
    let odd = "a\u{1b}[31m\0 ü";
    backend.plant(&name("b"), odd, "v").await.unwrap();
    let entry = store.get(odd).await.unwrap().unwrap();
    assert!(entry.key.is_foreign());
    assert_eq!(entry.key.as_str(), odd);
    let put = Write::put(Key::from_stored(odd), "w");
    assert!(matches!(
        store.write(put).await,
        Err(WriteError::Failed(Error::InvalidKey(_)))
    ));
    store.purge(odd, Some(entry.revision)).await.unwrap();
    let entries = store.history(odd).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].operation, Operation::Purge);
}

// --- what it says of itself ----------------------------------------------------------------

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
