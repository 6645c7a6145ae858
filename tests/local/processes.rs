//! Several processes on one file: what they see of each other, and what doing nothing costs.

use super::*;

const CHILD: &str = "KVSCOPE_TEST_CHILD";
const CHILD_FILE: &str = "KVSCOPE_TEST_FILE";

/// This test binary again, as another process that does what [`child`] says.
fn spawn_child(role: &str, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["processes::child", "--exact", "--nocapture"])
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
    assert!(worst < SOON, "{worst:?}");
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
            .args([
                "processes::doing_nothing_costs_nothing",
                "--exact",
                "--nocapture",
            ])
            .env("KVSCOPE_TEST_IDLE", "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout);
        print!("{told}");
        assert!(told.contains("wake-ups"), "it did not run: {told}");
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
