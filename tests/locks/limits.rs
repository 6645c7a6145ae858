//! Where stores set limits, forget, or are gone: fences that go on, records that must stay small,
//! and calls that must come to an end.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faults, Faulty};
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::record::{Record, Refusal};
use kvscope::kv::lock::{Clock, LockError, Locks, Loss, Settings, WriteGuard, key_of};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Error, Filter, Store};
use tokio::time::Instant;

use crate::support::{eventually, soon};

async fn bucket(backend: &dyn Backend, config: BucketConfig) -> Store {
    backend.create_bucket(&config).await.unwrap();
    Store::open(backend, config.name.as_str()).await.unwrap()
}

fn named(name: &str) -> BucketConfig {
    BucketConfig::new(BucketName::new(name).unwrap())
}

fn lease() -> Lease {
    Lease::new(Duration::from_secs(3)).unwrap()
}

fn locks(store: &Store) -> Locks {
    let settings = Settings::default().clock(Clock::tokio()).lease(lease());
    Locks::new(store, settings)
}

async fn turn(locks: &Locks) -> u64 {
    let guard = locks.write("a").await.unwrap();
    let fence = guard.fence();
    guard.release().await.unwrap();
    fence
}

#[tokio::test(start_paused = true)]
async fn fences_go_on_in_another_bucket() {
    let memory = Memory::new();
    let before = bucket(&memory, named("before")).await;
    let first = locks(&before);
    let mut highest = 0;
    for _ in 0..20 {
        highest = turn(&first).await;
    }
    let entry = before.get(key_of("a").unwrap()).await.unwrap().unwrap();
    let after = bucket(&memory, named("after")).await;
    let record = entry.live_value().unwrap().clone();
    after.put(key_of("a").unwrap(), record).await.unwrap();
    assert!(turn(&locks(&after)).await > highest);
}

#[tokio::test(start_paused = true)]
async fn fences_go_on_where_the_record_is_gone_without_a_trace() {
    let memory = Memory::new();
    let store = bucket(&memory, named("locks")).await;
    let locks = locks(&store);
    let mut highest = 0;
    for _ in 0..20 {
        highest = turn(&locks).await;
    }
    let key = key_of("a").unwrap();
    let marker = store.delete(&key, None).await.unwrap();
    assert!(store.backend().forget(&key, marker).await.unwrap());
    // The session has beaten since, and the lane has forgotten what it knew.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(turn(&locks).await > highest);
}

/// A bucket in which a queue soon has no room.
#[tokio::test(start_paused = true)]
async fn a_queue_is_full_before_those_in_it_could_not_be_let_in() {
    let memory = Memory::new();
    let mut config = named("locks");
    config.max_value_size = Some(2_000);
    let store = bucket(&memory, config).await;
    let locks = locks(&store);
    let writer = locks.write("a").owner("writer").await.unwrap();
    let mut reading = Vec::new();
    for number in 0.. {
        let reader = locks.clone();
        let owner = format!("reader-{number}");
        let mut reads = tokio::spawn(async move { reader.read("a").label("r").owner(owner).await });
        let waiting = eventually("it is in the queue or refused", async || {
            let entry = store.get(key_of("a").unwrap()).await.unwrap().unwrap();
            let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
            reads.is_finished() || record.waiters().count() == number + 1
        });
        waiting.await;
        if reads.is_finished() {
            let refused = (&mut reads).await.unwrap().unwrap_err();
            let LockError::Refused { refusal, .. } = refused else {
                panic!("{refused}");
            };
            assert!(
                matches!(refusal, Refusal::TooLarge { most: 1_744 }),
                "{refusal}"
            );
            break;
        }
        reading.push(reads);
    }
    assert!(reading.len() > 3);
    writer.release().await.unwrap();
    for reads in reading {
        soon("it reads", reads)
            .await
            .unwrap()
            .unwrap()
            .release()
            .await
            .unwrap();
    }
}

/// A store, a guard in it, and what is to go wrong with both.
struct Ground {
    backend: Arc<Memory>,
    faults: Faults,
    locks: Locks,
    guard: WriteGuard,
}

impl Ground {
    async fn new() -> Self {
        let backend = Arc::new(Memory::new());
        let (faulty, faults) = Faulty::new(Arc::clone(&backend) as Arc<dyn Backend>);
        let store = bucket(&faulty, named("locks")).await;
        let locks = locks(&store);
        let guard = locks.write("a").owner("holder").await.unwrap();
        Self {
            backend,
            faults,
            locks,
            guard,
        }
    }
}

/// What must take a lease, or somewhat more, and no less: an outage is waited out as long as the
/// guard may be valid.
fn took_a_lease(begun: Instant) {
    let took = begun.elapsed();
    let lease = lease().length();
    assert!(took >= lease && took <= lease * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn with_the_bucket_deleted_everything_ends() {
    let ground = Ground::new().await;
    let waits = {
        let locks = ground.locks.clone();
        tokio::spawn(async move { locks.write("a").owner("waiter").await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let name = BucketName::new("locks").unwrap();
    ground.backend.delete_bucket(&name).await.unwrap();
    let begun = Instant::now();
    let error = ground.guard.release().await.unwrap_err();
    took_a_lease(begun);
    let is_told = |error: &LockError| match error {
        LockError::Store(error) => matches!(**error, Error::NoSuchBucket { .. }),
        _ => false,
    };
    assert!(is_told(&error), "{error}");
    let error = waits.await.unwrap().unwrap_err();
    assert!(matches!(error, LockError::Lost(Loss::Vanished)), "{error}");
    let begun = Instant::now();
    ground.locks.close().await;
    assert!(begun.elapsed() <= lease().length() * 2);
    let error = ground.locks.write("a").await.unwrap_err();
    assert!(is_told(&error), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_out_a_short_outage_and_tells_of_a_long_one() {
    let ground = Ground::new().await;
    ground.faults.cut();
    let faults = ground.faults.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        faults.restore();
    });
    ground.guard.release().await.unwrap();

    let guard = ground.locks.write("a").await.unwrap();
    ground.faults.cut();
    let begun = Instant::now();
    let error = guard.release().await.unwrap_err();
    took_a_lease(begun);
    assert!(matches!(error, LockError::Store(_)), "{error}");
    ground.faults.restore();
    // It was gone on with.
    let again = ground.locks.write("a").owner("again").await.unwrap();
    again.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_early_leaves_the_session_to_the_next() {
    let memory = Arc::new(Memory::new());
    let store = bucket(&*memory, named("locks")).await;
    let (faulty, faults) = Faulty::new(memory);
    let far = Store::open(&faulty, "locks").await.unwrap();
    let locks = locks(&far);
    faults.delay(Duration::from_millis(200));
    let short = Duration::from_millis(150);
    for _ in 0..3 {
        let error = locks.write("a").within(short).await.unwrap_err();
        assert!(matches!(error, LockError::TimedOut { .. }), "{error}");
    }
    // Many at once don't wait for each other's failures.
    let guard = locks.write("a").await.unwrap();
    let sessions = Filter::new("_session.>").unwrap();
    let sessions = store.entries(sessions).await.unwrap();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(locks.session().as_deref(), Some(guard.session()));
    guard.release().await.unwrap();
}

#[test]
fn threads_of_one_name_are_two_owners() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let store = runtime.block_on(bucket(&Memory::new(), named("locks")));
    let locks = Locks::new(&store, Settings::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (runtime, locks) = (&runtime, &locks);
            let work = move || {
                runtime.block_on(async {
                    let guard = locks.write("a").await.unwrap();
                    tokio::task::yield_now().await;
                    guard.release().await.unwrap();
                });
            };
            let named = std::thread::Builder::new().name("worker".to_owned());
            named.spawn_scoped(scope, work).unwrap();
        }
    });
}
