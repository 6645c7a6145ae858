//! Snapshots of all locks: taken in the console, opened in another one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::local::{LocalBackend, OpenOptions, archive};
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::{Locks, Settings};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Entry, Key, Operation, Revision};

use super::bucket;
use super::harness::Console;

/// A console on its Locks screen, with a lock that is held and waited for, one that is torn, and
/// one of a `shizuku` service.
async fn night() -> (Console, impl Sized) {
    let memory = Arc::new(Memory::new());
    let store = bucket(&*memory, "locks").await;
    let lease = Lease::new(Duration::from_secs(3)).unwrap();
    let report = Locks::new(&store, Settings::default().label("report").lease(lease));
    let guard = report.write("billing.ledger").await.unwrap();
    let deploy = Locks::new(&store, Settings::default().label("deploy"));
    let waiting = tokio::spawn(async move { deploy.write("billing.ledger").await.map(drop) });
    store.put("_lock.torn", "{").await.unwrap();
    let mut flag = vec![4_u8];
    flag.extend([0_u8; 16]);
    store.put("legacy.cache", flag).await.unwrap();
    let mut console = Console::on(memory, 140, 40);
    console.is_live().await;
    console.press("2");
    console.shows("1 waiting").await;
    console.shows("legacy.cache").await;
    (console, (guard, waiting, report))
}

async fn opened(file: &Path) -> Console {
    let place = LocalBackend::open(file, OpenOptions::default())
        .await
        .unwrap();
    let mut console = Console::on(place as Arc<dyn Backend>, 140, 40);
    console.shows("snapshot, as of").await;
    console.press("2");
    console.shows("billing.ledger").await;
    console
}

fn command(console: &mut Console, line: &str) {
    console.press(":");
    console.type_text(line);
    console.press("enter");
}

#[tokio::test]
async fn what_was_found_is_found_in_the_file_whenever_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("night.kvs");
    let (mut console, kept) = night().await;
    command(&mut console, &format!("snapshot {}", file.display()));
    console.shows("wrote 3 locks to").await;
    drop((console, kept));

    // By now everybody's lease is over: what counts is how it was.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut console = opened(&file).await;
    console.pass(86_400_000);
    let row = console.row_in(" Locks ", "billing.ledger").unwrap();
    assert!(
        row.contains("report@") && row.contains("contended"),
        "{row}"
    );
    let row = console.row_in(" Locks ", "torn").unwrap();
    assert!(row.contains("malformed"), "{row}");
    let row = console.row_in(" Locks ", "legacy.cache").unwrap();
    assert!(row.contains("contended"), "{row}");
    console.press("/");
    console.type_text("billing");
    console.press("enter");
    console.shows("writer deploy queued").await;
    let screen = console.screen();
    for words in [
        "1 in line, the longest for ",
        "writer report acquired",
        "live",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert!(
        console
            .app
            .deadline()
            .is_none_or(|at| at > console.now + 1_000)
    );

    // Nothing can be broken in it.
    console.press("x");
    let screen = console.screen();
    for words in ["This is a snapshot, taken at", "it was alive", "--session"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    console.press("enter esc");
    command(&mut console, "snapshot again.kvs");
    console.shows("is a snapshot already").await;

    let lines = std::fs::read_to_string(file.with_extension("json")).unwrap();
    let locks: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(locks.len(), 3);
    // As `lock ls --json` has it: faults first.
    assert_eq!(locks[0]["verdict"], "malformed");
    assert_eq!(locks[1]["holders"][0]["label"], "report");
    assert!(locks[1]["reason"].as_str().unwrap().contains("1 in line"));
}

#[tokio::test]
async fn what_is_there_is_never_replaced_and_what_fails_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (mut console, _kept) = night().await;
    let file = folder.path().join("mine.kvs");
    std::fs::write(&file, "mine").unwrap();
    command(&mut console, &format!("snapshot {}", file.display()));
    console.shows("there is a file already").await;
    let beside = folder.path().join("lines.json");
    std::fs::write(&beside, "mine").unwrap();
    for name in ["lines.json", "lines.kvs"] {
        let path = folder.path().join(name);
        console.press("esc");
        command(&mut console, &format!("snapshot {}", path.display()));
        console.shows("there is a file already").await;
    }
    assert!(!folder.path().join("lines.kvs").exists());
    for path in [&file, &beside] {
        assert_eq!(std::fs::read(path).unwrap(), b"mine");
    }
    let nowhere = folder.path().join("no/folder.kvs");
    command(&mut console, &format!("snapshot {}", nowhere.display()));
    console.shows("can't be made").await;
    // The JSON alone.
    let lines = folder.path().join("alone.json");
    command(&mut console, &format!("snapshot {}", lines.display()));
    console.shows("wrote 3 locks to").await;
    assert_eq!(std::fs::read_to_string(&lines).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn nobody_is_called_dead_in_a_copy_that_does_not_tell_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.kvs");
    let taken = time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_772_331_274);
    let record = concat!(
        r#"{"v":1,"next":1,"q":[{"id":"c","sid":"s_1","k":"w","s":"held","tkt":0,"fence":1,"#,
        r#""own":"task","label":"job","t_ms":1}]}"#
    );
    let entry = Entry {
        key: Key::new("_lock.a").unwrap(),
        revision: Revision(7),
        created: taken,
        operation: Operation::Put,
        size: record.len() as u64,
        value: Some(record.into()),
        ttl: None,
        expires: None,
    };
    let config = BucketConfig::new(BucketName::new("locks").unwrap());
    archive(&file, taken, vec![(config, vec![entry])])
        .await
        .unwrap();
    let place = LocalBackend::open(&file, OpenOptions::default())
        .await
        .unwrap();
    let mut console = Console::on(place as Arc<dyn Backend>, 140, 40);
    console.shows("snapshot, as of 2026-03-01 02:14:34").await;
    console.press("2");
    console
        .shows("it does not say what was found of the locks")
        .await;
    assert!(!console.screen().contains("dead"), "{}", console.screen());
}
