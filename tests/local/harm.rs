//! What can be wrong with a file, and what can be done to it while it is open: it is told, and
//! nothing is made worse by it.

use std::os::unix::fs::symlink;

use super::*;

#[tokio::test]
async fn files_that_are_not_ours_are_left_as_they_are() {
    let place = Place::new();
    let at = |name: &str| place.folder.path().join(name);
    fs::write(at("text"), "dear diary\n".repeat(100)).unwrap();
    fs::write(at("short"), "x").unwrap();
    fs::write(at("empty"), "").unwrap();
    let other = rusqlite::Connection::open(at("other")).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1);")
        .unwrap();
    drop(other);
    for (name, options) in [
        ("text", OpenOptions::create()),
        ("short", OpenOptions::create()),
        ("other", OpenOptions::create()),
        ("other", OpenOptions::read_only()),
        ("empty", OpenOptions::default()),
        ("empty", OpenOptions::read_only()),
        (".", OpenOptions::create()),
    ] {
        let before = fs::read(at(name)).ok();
        let error = open_error(at(name), options).await;
        assert!(matches!(error, Error::NotOurs { .. }), "{name}: {error}");
        assert_eq!(fs::read(at(name)).ok(), before, "{name}");
    }
    let mut names: Vec<_> = fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["empty", "other", "short", "text"],
        "nothing is left behind"
    );
    assert!(matches!(
        open_error(at("none"), OpenOptions::default()).await,
        Error::File { .. }
    ));
    assert!(matches!(
        open_error(at("no/such/folder"), OpenOptions::create()).await,
        Error::File { .. }
    ));
    LocalBackend::open(at("empty"), OpenOptions::create())
        .await
        .expect("an empty file may be made one of ours");
}

#[tokio::test]
async fn a_newer_format_is_not_touched() {
    let place = Place::new();
    drop(place.open().await);
    let file = rusqlite::Connection::open(place.file()).unwrap();
    file.pragma_update(None, "user_version", 9).unwrap();
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let before = fs::read(place.file()).unwrap();
    for options in [OpenOptions::create(), OpenOptions::read_only()] {
        let error = open_error(place.file(), options).await;
        assert!(error.to_string().contains("format 9"), "{error}");
    }
    assert_eq!(fs::read(place.file()).unwrap(), before);
}

#[tokio::test]
async fn garbage_in_the_middle_is_called_damage() {
    let place = Place::new();
    let backend = place.open().await;
    let own = store(&backend, "b").await;
    for n in 0..50 {
        own.put(format!("k{n}"), vec![b'v'; 2000]).await.unwrap();
    }
    drop((own, backend));
    let mut file = fs::File::options().write(true).open(place.file()).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(8192)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length - 8192).unwrap()])
        .unwrap();
    drop(file);
    let found = match LocalBackend::open(place.file(), OpenOptions::default()).await {
        Err(error) => error,
        Ok(backend) => match Store::open(&*backend, "b").await {
            Err(error) => error,
            Ok(store) => match store.put("x", "y").await {
                Err(WriteError::Failed(error)) => error,
                other => panic!("{other:?}"),
            },
        },
    };
    assert!(matches!(found, Error::Corrupt { .. }), "{found}");
}

#[tokio::test]
async fn read_only_reads_and_watches_and_writes_nothing() {
    let place = Place::new();
    let backend = place.open().await;
    let own = store(&backend, "b").await;
    own.put("a", "1").await.unwrap();
    let reader = LocalBackend::open(place.file(), OpenOptions::read_only())
        .await
        .unwrap();
    assert!(reader.capabilities().read_only);
    let theirs = Store::open(&*reader, "b").await.unwrap();
    let watch = theirs
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    assert_eq!(next_entry(&watch).await.0, "a");
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    own.put("b", "1").await.unwrap();
    assert_eq!(next_entry(&watch).await.0, "b");
    assert!(matches!(
        theirs.put("c", "1").await,
        Err(WriteError::Failed(Error::ReadOnly { .. }))
    ));
    assert!(matches!(
        reader.delete_bucket(&name("b")).await,
        Err(Error::ReadOnly { .. })
    ));
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked() {
    let place = Place::new();
    let mut options = OpenOptions::create();
    options.busy_timeout = Duration::from_millis(100);
    let backend = LocalBackend::open(place.file(), options).await.unwrap();
    let store = store(&backend, "b").await;
    let other = rusqlite::Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.put("a", "1").await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Failed(Error::File { .. })),
        "{error}"
    );
    assert_eq!(store.get("a").await.unwrap(), None, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.put("a", "1").await.unwrap(), Revision(1));
}

#[tokio::test]
async fn a_file_that_is_taken_away_is_missed() {
    let place = Place::new();
    let backend = place.open().await;
    let store = store(&backend, "b").await;
    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Ready);
    let mut connection = backend.connection();
    let away = place.folder.path().join("away");
    fs::rename(place.file(), &away).unwrap();
    assert_eq!(
        next(&watch).await,
        WatchEvent::Interrupted {
            cause: Interruption::Disconnected
        }
    );
    timeout(
        SOON,
        connection.wait_for(|state| *state != Connection::Connected),
    )
    .await
    .unwrap()
    .unwrap();
    let error = store.put("a", "1").await.unwrap_err();
    assert!(
        matches!(error, WriteError::Failed(Error::File { .. })),
        "{error}"
    );
    assert!(store.get("a").await.is_err());
    // Another file in its place is not taken for it.
    fs::write(place.file(), "something else").unwrap();
    assert!(store.get("a").await.is_err());
    let replaced = connection.wait_for(
        |state| matches!(state, Connection::Closed { reason } if reason.contains("open it again")),
    );
    timeout(SOON, replaced).await.unwrap().unwrap();
    fs::rename(&away, place.file()).unwrap();
    assert_eq!(next(&watch).await, WatchEvent::Resumed { gap: false });
    store.put("a", "1").await.unwrap();
    assert_eq!(next_entry(&watch).await.0, "a");
}

#[tokio::test]
async fn two_open_the_same_new_file_at_once() {
    let place = Place::new();
    let opened = futures_util::future::join_all((0..8).map(|_| place.open())).await;
    let mut stores = Vec::new();
    for backend in &opened {
        stores.push(store(backend, "b").await);
    }
    for store in &stores {
        store.put("a", "1").await.unwrap();
    }
    assert_eq!(stores[0].info().await.unwrap().last_revision.0, 8);
}

/// Every file in the folder, with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| (entry.path(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// A closed file with fifty keys in the bucket `b`, several hundred pages long.
async fn filled(place: &Place) -> Vec<u8> {
    let backend = place.open().await;
    let store = store(&backend, "b").await;
    for n in 0..50 {
        store
            .put(format!("k{n}"), vec![b'v'; 20_000])
            .await
            .unwrap();
    }
    drop((store, backend));
    fs::read(place.file()).unwrap()
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused_and_left_alone() {
    let place = Place::new();
    let whole = filled(&place).await;
    for length in [whole.len() - 1, whole.len() / 2, 4096, 4000, 100, 99, 16, 1] {
        fs::write(place.file(), &whole[..length]).unwrap();
        let before = contents(place.folder.path());
        for options in [
            OpenOptions::create(),
            OpenOptions::default(),
            OpenOptions::read_only(),
        ] {
            let error = open_error(place.file(), options).await;
            assert!(
                matches!(error, Error::Corrupt { .. } | Error::NotOurs { .. }),
                "{length}: {error}"
            );
            assert!(contents(place.folder.path()) == before, "{length}");
        }
    }
}

#[tokio::test]
async fn a_damaged_page_spoils_what_is_on_it_and_says_so() {
    let place = Place::new();
    let whole = filled(&place).await;
    let mut told = 0;
    for page in 1..whole.len() / 4096 {
        if page > 12 && page % 17 != 0 {
            continue;
        }
        let mut spoilt = whole.clone();
        spoilt[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(place.file(), &spoilt).unwrap();
        let backend = match LocalBackend::open(place.file(), OpenOptions::default()).await {
            Ok(backend) => backend,
            Err(error) => {
                assert!(matches!(error, Error::Corrupt { .. }), "{page}: {error}");
                told += 1;
                continue;
            }
        };
        match Store::open(&*backend, "b").await {
            Ok(store) => {
                for n in 0..50 {
                    match store.get(&format!("k{n}")).await {
                        Ok(_) => {}
                        Err(Error::Corrupt { .. }) => told += 1,
                        Err(error) => panic!("{page}: {error}"),
                    }
                }
            }
            Err(Error::Corrupt { .. }) => told += 1,
            Err(error) => panic!("{page}: {error}"),
        }
        drop(backend);
        assert_eq!(
            fs::read(place.file()).unwrap(),
            spoilt,
            "reading mends nothing"
        );
    }
    assert!(told > 5, "{told}");
}

#[tokio::test]
async fn a_file_with_our_marks_and_other_tables_is_damaged() {
    let place = Place::new();
    drop(place.open().await);
    let file = rusqlite::Connection::open(place.file()).unwrap();
    file.execute_batch("DROP TABLE entry; CREATE TABLE entry (x); PRAGMA journal_mode = DELETE;")
        .unwrap();
    drop(file);
    let before = contents(place.folder.path());
    for options in [OpenOptions::create(), OpenOptions::read_only()] {
        let error = open_error(place.file(), options).await;
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(contents(place.folder.path()) == before);
    }
}

#[tokio::test]
async fn a_lost_log_stops_writes_and_loses_nothing() {
    for ending in ["-wal", "-shm"] {
        let place = Place::new();
        let beside = PathBuf::from(format!("{}{ending}", place.file().display()));
        let backend = place.open().await;
        let store = store(&backend, "b").await;
        let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
        assert_eq!(next(&watch).await, WatchEvent::Ready);
        store.put("a", "1").await.unwrap();
        assert_eq!(next_entry(&watch).await.0, "a");
        let mut connection = backend.connection();

        fs::remove_file(&beside).unwrap();
        let error = store.put("a", "2").await.unwrap_err();
        assert!(error.to_string().contains("deleted or replaced"), "{error}");
        assert!(matches!(error, WriteError::Failed(Error::File { .. })));
        store.get("a").await.unwrap_err();
        let is_told = connection.wait_for(|state| *state != Connection::Connected);
        timeout(SOON, is_told).await.unwrap().unwrap();
        assert_eq!(
            next(&watch).await,
            WatchEvent::Interrupted {
                cause: Interruption::Disconnected
            }
        );

        // What was acknowledged was written, and is saved by closing.
        drop((watch, connection, store, backend));
        let is_closed = async {
            // Whoever closes last removes both.
            while contents(place.folder.path()).len() > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let closed = timeout(SOON, is_closed).await;
        let left = contents(place.folder.path());
        assert!(closed.is_ok(), "{ending} {:?}", left.keys());
        let backend = place.open().await;
        let store = Store::open(&*backend, "b").await.unwrap();
        let entry = store.get("a").await.unwrap().unwrap();
        assert_eq!(
            (entry.revision, &entry.value.unwrap()[..]),
            (Revision(1), &b"1"[..])
        );
        assert_eq!(store.put("a", "2").await.unwrap(), Revision(2));
    }
}

#[tokio::test]
async fn a_file_that_can_only_be_read_is_read_anew_when_it_was_written() {
    let place = Place::new();
    let writer = place.open().await;
    store(&writer, "b").await.put("a", "1").await.unwrap();
    drop(writer);
    // As in a folder where this user can make no files.
    let index = PathBuf::from(format!("{}-shm", place.file().display()));
    symlink(&index, &index).unwrap();
    let reader = LocalBackend::open(place.file(), OpenOptions::read_only())
        .await
        .unwrap();
    let theirs = Store::open(&*reader, "b").await.unwrap();
    let watch = theirs
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    assert_eq!(next_entry(&watch).await.0, "a");
    assert_eq!(next(&watch).await, WatchEvent::Ready);

    // Another user can.
    fs::remove_file(&index).unwrap();
    let writer = place.open().await;
    let own = Store::open(&*writer, "b").await.unwrap();
    own.put("b", "1").await.unwrap();
    assert_eq!(
        theirs.get("b").await.unwrap().unwrap().revision,
        Revision(2)
    );
    loop {
        match next(&watch).await {
            WatchEvent::Entry(entry) => {
                assert_eq!(entry.key, key("b"));
                break;
            }
            WatchEvent::Interrupted { .. } | WatchEvent::Resumed { gap: false } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn links_and_what_is_no_file() {
    let place = Place::new();
    let at = |name: &str| place.folder.path().join(name);
    let backend = place.open().await;
    store(&backend, "b").await.put("a", "1").await.unwrap();

    symlink(place.file(), at("link")).unwrap();
    let through = LocalBackend::open(at("link"), OpenOptions::default())
        .await
        .unwrap();
    assert_eq!(through.path(), fs::canonicalize(place.file()).unwrap());
    let theirs = Store::open(&*through, "b").await.unwrap();
    assert_eq!(theirs.put("a", "2").await.unwrap(), Revision(2));

    symlink(at("nowhere"), at("dangling")).unwrap();
    symlink(at("circle"), at("circle")).unwrap();
    for name in ["dangling", "circle"] {
        for options in [OpenOptions::create(), OpenOptions::read_only()] {
            let error = open_error(at(name), options).await;
            assert!(matches!(error, Error::File { .. }), "{name}: {error}");
        }
    }
    assert!(!at("nowhere").exists());

    // Opening one of these for reading would wait for ever.
    let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(made.success());
    let error = timeout(SOON, open_error(at("pipe"), OpenOptions::create())).await;
    assert!(matches!(error, Ok(Error::NotOurs { .. })), "{error:?}");
    let error = open_error("/dev/null", OpenOptions::create()).await;
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
}

#[tokio::test]
async fn a_clock_that_was_ahead_changes_no_order() {
    let place = Place::new();
    let backend = place.open().await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 5;
    let store = configured(&backend, config).await;
    store.put("a", "1").await.unwrap();
    store.put("b", "1").await.unwrap();
    let other = rusqlite::Connection::open(place.file()).unwrap();
    other
        .execute_batch(
            "UPDATE entry SET created = created + 86400000000000;
             UPDATE bucket SET last_write = last_write + 86400000000000;",
        )
        .unwrap();
    store.put("a", "2").await.unwrap();
    let newest = store.get("a").await.unwrap().unwrap();
    assert_eq!(newest.revision, Revision(3));
    let history = store.history("a").await.unwrap();
    assert!(history[0].created > history[1].created, "as it was stamped");
    assert_eq!(history[0].revision, Revision(1));
    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    assert_eq!(next_entry(&watch).await.1, 2);
    assert_eq!(next_entry(&watch).await.1, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_reap_leave_one_marker_for_each_key() {
    let place = Place::new();
    let mut opened = Vec::new();
    for _ in 0..4 {
        opened.push(place.open().await);
    }
    let mut config = BucketConfig::new(name("b"));
    config.marker_ttl = Some(Duration::from_secs(60));
    let store = configured(&opened[0], config).await;
    let mut watches = Vec::new();
    for backend in &opened {
        let theirs = Store::open(&**backend, "b").await.unwrap();
        let options = WatchOptions::new(Filter::all()).from(WatchFrom::Now);
        watches.push(theirs.watch(options).await.unwrap());
    }
    for n in 0..30 {
        let write = Write::put(key(&format!("k{n}")), "1").with_ttl(Duration::from_secs(1));
        store.write(write).await.unwrap();
    }
    for watch in &watches {
        let mut expired = 0;
        while expired < 30 {
            if let WatchEvent::Entry(entry) = next(watch).await
                && entry.operation == Operation::Expire
            {
                expired += 1;
            }
        }
    }
    let info = store.info().await.unwrap();
    assert_eq!(
        (info.last_revision.0, info.keys, info.entries),
        (60, 30, 30)
    );
}
