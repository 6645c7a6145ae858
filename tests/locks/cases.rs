//! What every backend must do for locks. Two connections stand for two processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::lock::record::{Mode, Record, Refusal};
use kvscope::kv::lock::{
    DistroRwLock, GuardState, LockError, LockedResourceReadProcessor, LockedResourceWriteProcessor,
    Locks, Settings, key_of,
};
use kvscope::kv::{BucketName, Store};

use crate::support::{eventually, soon};

/// A bucket of its own for one case, and two ways to it.
struct Place {
    here: Store,
    there: Store,
}

impl Place {
    fn mine(&self) -> &Locks {
        self.here.locks()
    }

    fn theirs(&self) -> Locks {
        Locks::new(&self.there, Settings::default().label("other"))
    }

    async fn record(&self, resource: &str) -> Record {
        let entry = self.here.get(key_of(resource).unwrap()).await.unwrap();
        let entry = entry.expect("there is a record");
        Record::from_bytes(entry.live_value().unwrap()).unwrap()
    }

    async fn waiters(&self, resource: &str, count: usize) {
        eventually("they wait", async || {
            self.record(resource).await.waiters().count() == count
        })
        .await;
    }

    async fn free(&self, resource: &str) {
        eventually("nobody holds or waits", async || {
            self.record(resource).await.claims().is_empty()
        })
        .await;
    }
}

pub(crate) async fn run(connect: impl AsyncFn() -> Arc<dyn Backend>) {
    let (here, there) = (connect().await, connect().await);
    macro_rules! run {
        ($($case:ident),* $(,)?) => {
            $({
                let begun = std::time::Instant::now();
                let mut config = BucketConfig::new(BucketName::new(stringify!($case)).unwrap());
                config.history = 16;
                here.create_bucket(&config).await.unwrap();
                let name = stringify!($case);
                // A store in memory has one way to it.
                let other = match Store::open(&*there, name).await {
                    Ok(store) => store,
                    Err(_) => Store::open(&*here, name).await.unwrap(),
                };
                let place = Place { here: Store::open(&*here, name).await.unwrap(), there: other };
                soon(stringify!($case), $case(&place)).await;
                soon("closing", place.mine().close()).await;
                println!("    ok {} ({} ms)", stringify!($case), begun.elapsed().as_millis());
            })*
        };
    }
    run!(
        one_writer_at_a_time,
        readers_share,
        writers_come_before_new_readers,
        fences_rise,
        what_can_not_be_at_once_is_refused,
        re_entry_and_upgrades_are_refused,
        a_wait_ends_in_time,
        a_dropped_future_leaves_nothing,
        a_downgrade_lets_readers_in,
        locks_by_name,
        processors,
        processors_that_come_to_no_end_let_go,
        a_panic_lets_go,
        closing_takes_the_session_away,
        a_deleted_session_is_lost,
        a_foreign_record_is_left_alone,
        many_tasks_count_without_a_miss,
    );
}

async fn one_writer_at_a_time(place: &Place) {
    let theirs = place.theirs();
    let guard = place.mine().write("a").await.unwrap();
    let record = place.record("a").await;
    assert_eq!(record.holders().count(), 1);
    let waiting = theirs.write("a");
    let wait = async {
        let second = waiting.await.unwrap();
        assert!(second.fence() > guard_fence(&record));
        second.release().await.unwrap();
    };
    let release = async {
        place.waiters("a", 1).await;
        guard.release().await.unwrap();
    };
    tokio::join!(wait, release);
    place.free("a").await;
    theirs.close().await;
}

fn guard_fence(record: &Record) -> u64 {
    match record.holders().next().unwrap().state {
        kvscope::kv::lock::record::State::Held { fence } => fence,
        kvscope::kv::lock::record::State::Waiting => unreachable!(),
    }
}

async fn readers_share(place: &Place) {
    let theirs = place.theirs();
    let one = place.mine().read("a").await.unwrap();
    let two = theirs.read("a").await.unwrap();
    assert_eq!(place.record("a").await.holders().count(), 2);
    assert!(matches!(one.state(), GuardState::Valid { .. }));
    assert!(two.check().is_ok());
    drop((one, two));
    place.free("a").await;
    theirs.close().await;
}

async fn writers_come_before_new_readers(place: &Place) {
    let theirs = place.theirs();
    let reader = place.mine().read("a").owner("first").await.unwrap();
    let order = tokio::sync::Mutex::new(Vec::new());
    let writer = async {
        let guard = theirs.write("a").owner("writer").await.unwrap();
        order.lock().await.push("writer");
        guard.release().await.unwrap();
    };
    let late = async {
        place.waiters("a", 1).await;
        let guard = place.mine().read("a").owner("late").await.unwrap();
        order.lock().await.push("reader");
        guard.release().await.unwrap();
    };
    let first = async {
        place.waiters("a", 2).await;
        reader.release().await.unwrap();
    };
    tokio::join!(writer, late, first);
    assert_eq!(*order.lock().await, ["writer", "reader"]);
    theirs.close().await;
}

async fn fences_rise(place: &Place) {
    let mut highest = 0;
    for turn in 0..6 {
        let guard = match turn % 2 {
            0 => place.mine().write("a").await.unwrap().fence(),
            _ => place.mine().read("a").await.unwrap().fence(),
        };
        assert!(guard > highest, "{guard} after {highest}");
        highest = guard;
        place.free("a").await;
    }
}

async fn what_can_not_be_at_once_is_refused(place: &Place) {
    let theirs = place.theirs();
    let guard = place.mine().try_write("a").await.unwrap();
    for refused in [
        theirs.try_write("a").await.err(),
        theirs.try_read("a").await.err(),
    ] {
        assert!(matches!(
            refused,
            Some(LockError::Refused {
                refusal: Refusal::WouldWait,
                ..
            })
        ));
    }
    assert_eq!(place.record("a").await.claims().len(), 1, "nobody queues");
    guard.release().await.unwrap();
    theirs.try_read("a").await.unwrap().release().await.unwrap();
    theirs.close().await;
}

async fn re_entry_and_upgrades_are_refused(place: &Place) {
    let locks = place.mine();
    let reader = locks.read("a").owner("me").await.unwrap();
    let refused = |result: Result<_, LockError>| match result {
        Err(LockError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    let upgrade = refused(locks.write("a").owner("me").await.map(drop));
    assert_eq!(upgrade, Refusal::Upgrade);
    let again = refused(locks.read("a").owner("me").await.map(drop));
    assert_eq!(again, Refusal::Reentry { is_held: true });
    reader.release().await.unwrap();
    // And yet the one after the other is no re-entry, without waiting for the release.
    drop(locks.write("a").owner("me").await.unwrap());
    let next = locks.write("a").owner("me").await.unwrap();
    next.release().await.unwrap();
}

async fn a_wait_ends_in_time(place: &Place) {
    let theirs = place.theirs();
    let guard = place.mine().write("a").await.unwrap();
    let late = theirs.write("a").within(Duration::from_millis(50)).await;
    assert!(matches!(late, Err(LockError::TimedOut { .. })));
    place.waiters("a", 0).await;
    guard.release().await.unwrap();
    place.free("a").await;
    theirs.close().await;
}

async fn a_dropped_future_leaves_nothing(place: &Place) {
    let theirs = place.theirs();
    let guard = place.mine().write("a").await.unwrap();
    for steps in 0..12u64 {
        // Dropped at whatever point it has come to by then.
        let nap = tokio::time::sleep(Duration::from_micros(steps * steps * 40));
        tokio::select! {
            _ = theirs.write("a") => panic!("it is held"),
            () = nap => {}
        }
    }
    place.waiters("a", 0).await;
    guard.release().await.unwrap();
    place.free("a").await;
    theirs.close().await;
}

async fn a_downgrade_lets_readers_in(place: &Place) {
    let theirs = place.theirs();
    let writer = place.mine().write("a").await.unwrap();
    let fence = writer.fence();
    let reads = async { theirs.read("a").await.unwrap() };
    let downgrades = async {
        place.waiters("a", 1).await;
        writer.downgrade().await.unwrap()
    };
    let (reader, downgraded) = tokio::join!(reads, downgrades);
    assert_eq!(downgraded.fence(), fence);
    let modes: Vec<Mode> = place
        .record("a")
        .await
        .holders()
        .map(|claim| claim.mode)
        .collect();
    assert_eq!(modes, [Mode::Read, Mode::Read]);
    drop((reader, downgraded));
    place.free("a").await;
    theirs.close().await;
}

async fn locks_by_name(place: &Place) {
    let store = &place.here;
    DistroRwLock::acquire_read(store, "my-resource")
        .await
        .unwrap();
    DistroRwLock::release_read(store, "my-resource")
        .await
        .unwrap();
    DistroRwLock::acquire_write(store, "my-resource")
        .await
        .unwrap();
    let clone = store.clone();
    let elsewhere =
        tokio::spawn(async move { DistroRwLock::release_write(&clone, "my-resource").await });
    elsewhere.await.unwrap().unwrap();
    place.free("my-resource").await;
    let nothing = DistroRwLock::release_write(store, "my-resource").await;
    assert!(matches!(nothing, Err(LockError::NotHeld { .. })));
}

async fn processors(place: &Place) {
    let store = &place.here;
    let seen = Arc::new(AtomicU32::new(0));
    let count = {
        let seen = Arc::clone(&seen);
        Arc::new(move |by: u32| {
            let before = seen.fetch_add(by, Ordering::SeqCst);
            async move { before + by }
        })
    };
    let written = LockedResourceWriteProcessor::new(Arc::clone(&count), store, "my-resource");
    assert_eq!(written.process(2).await.unwrap(), 2);
    let read = LockedResourceReadProcessor::new(count, store, "my-resource");
    assert_eq!(read.process(3).await.unwrap(), 5);
    place.free("my-resource").await;
}

/// Work that panics, and work that is dropped while it is done: for reading and for writing.
async fn processors_that_come_to_no_end_let_go(place: &Place) {
    let store = place.here.clone();
    let task = tokio::spawn(async move {
        let work = Arc::new(|()| async { panic!("on purpose") });
        let processor = LockedResourceWriteProcessor::new(work, &store, "a");
        processor.process(()).await
    });
    assert!(task.await.unwrap_err().is_panic());
    place.free("a").await;

    let inside = Arc::new(tokio::sync::Notify::new());
    let work = {
        let inside = Arc::clone(&inside);
        Arc::new(move |()| {
            inside.notify_one();
            std::future::pending::<()>()
        })
    };
    for mode in [Mode::Read, Mode::Write] {
        let (store, work) = (place.here.clone(), Arc::clone(&work));
        let task = tokio::spawn(async move {
            match mode {
                Mode::Read => {
                    let reads = LockedResourceReadProcessor::new(work, &store, "a");
                    reads.process(()).await
                }
                Mode::Write => {
                    let writes = LockedResourceWriteProcessor::new(work, &store, "a");
                    writes.process(()).await
                }
            }
        });
        inside.notified().await;
        let modes: Vec<Mode> = {
            let record = place.record("a").await;
            record.holders().map(|claim| claim.mode).collect()
        };
        assert_eq!(modes, [mode]);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        place.free("a").await;
    }
}

async fn a_panic_lets_go(place: &Place) {
    let locks = place.mine().clone();
    let task = tokio::spawn(async move {
        let _guard = locks.write("a").await.unwrap();
        panic!("on purpose");
    });
    assert!(task.await.unwrap_err().is_panic());
    place.free("a").await;
}

async fn closing_takes_the_session_away(place: &Place) {
    let theirs = place.theirs();
    let guard = theirs.write("a").await.unwrap();
    let key = format!("_session.{}", guard.session());
    assert!(place.here.get(&key).await.unwrap().is_some());
    let close = theirs.close();
    let release = async {
        drop(guard);
    };
    tokio::join!(close, release);
    place.free("a").await;
    let record = place.here.get(&key).await.unwrap();
    assert!(record.is_none_or(|entry| entry.is_marker()));
    // And it can be used again.
    theirs.write("a").await.unwrap().release().await.unwrap();
    theirs.close().await;
}

async fn a_deleted_session_is_lost(place: &Place) {
    let lease = kvscope::kv::lock::lease::Lease::new(Duration::from_secs(1)).unwrap();
    let theirs = Locks::new(&place.there, Settings::default().lease(lease));
    let guard = theirs.write("a").await.unwrap();
    assert!(guard.check().is_ok());
    let key = format!("_session.{}", guard.session());
    place.here.delete(&key, None).await.unwrap();
    soon("the guard is lost", guard.lost()).await;
    assert!(matches!(guard.check(), Err(GuardState::Lost(_))));
    let released = guard.release().await;
    assert!(matches!(released, Err(LockError::Lost(_))), "{released:?}");
    place.free("a").await;
    // The next lock gets a session of its own.
    theirs.write("a").await.unwrap().release().await.unwrap();
    theirs.close().await;
}

async fn a_foreign_record_is_left_alone(place: &Place) {
    let key = key_of("a").unwrap();
    for foreign in [r#"{"v":2,"claims":[]}"#, "not a lock", ""] {
        let revision = place.here.put(&key, foreign).await.unwrap();
        let refused = place.mine().write("a").await;
        assert!(
            matches!(refused, Err(LockError::Malformed { .. })),
            "{refused:?}"
        );
        let entry = place.here.get(&key).await.unwrap().unwrap();
        assert_eq!(entry.revision, revision);
    }
}

async fn many_tasks_count_without_a_miss(place: &Place) {
    const TASKS: usize = 8;
    const TURNS: u32 = 5;
    let theirs = place.theirs();
    let mut tasks = tokio::task::JoinSet::new();
    let inside = Arc::new(AtomicU32::new(0));
    for task in 0..TASKS {
        let locks = if task % 2 == 0 {
            place.mine().clone()
        } else {
            theirs.clone()
        };
        let store = place.here.clone();
        let inside = Arc::clone(&inside);
        tasks.spawn(async move {
            for _ in 0..TURNS {
                let guard = locks.write("count").await.unwrap();
                assert_eq!(
                    inside.fetch_add(1, Ordering::SeqCst),
                    0,
                    "two writers inside"
                );
                let entry = store.get("n").await.unwrap();
                let value = entry.as_ref().and_then(|entry| entry.live_value());
                let n: u32 =
                    value.map_or(0, |value| String::from_utf8_lossy(value).parse().unwrap());
                store.put("n", (n + 1).to_string()).await.unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
                guard.release().await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let n = place.here.get("n").await.unwrap().unwrap();
    let wanted = (u32::try_from(TASKS).unwrap() * TURNS).to_string();
    assert_eq!(n.live_value().unwrap(), wanted.as_bytes());
    theirs.close().await;
}
