//! What those who write a lock's record tell each other, and what happens when it does not arrive.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faults, Faulty, WriteFault};
use kvscope::kv::lock::record::Record;
use kvscope::kv::lock::{Clock, Locks, Settings, WriteGuard, key_of};
use kvscope::kv::memory::Memory;
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret};
use kvscope::kv::{BucketName, Store};
use tokio::time::Instant;

use crate::support::{NatsServer, eventually, soon};

const BUCKET: &str = "locks";

/// Two processes at one store, and what is to go wrong for each.
struct Two {
    store: Store,
    one: Locks,
    other: Locks,
    faults: [Faults; 2],
}

impl Two {
    async fn begin() -> Self {
        let memory = Arc::new(Memory::new());
        let store = make_bucket(&*memory).await;
        let (one, faults) = Faulty::new(Arc::clone(&memory) as Arc<dyn Backend>);
        let (other, other_faults) = Faulty::new(memory);
        let settings = Settings::default().clock(Clock::tokio());
        let locks = async |backend: &dyn Backend| {
            let store = Store::open(backend, BUCKET).await.unwrap();
            Locks::new(&store, settings.clone())
        };
        Self {
            store,
            one: locks(&one).await,
            other: locks(&other).await,
            faults: [faults, other_faults],
        }
    }

    /// Lets `next` queue behind the guard, lets go, and says how long that one waited from there.
    async fn hand_over(&self, guard: WriteGuard, next: &Locks) -> (WriteGuard, Duration) {
        hand_over(&self.store, guard, next).await
    }
}

async fn make_bucket(backend: &dyn Backend) -> Store {
    let config = BucketConfig::new(BucketName::new(BUCKET).unwrap());
    backend.create_bucket(&config).await.unwrap();
    Store::open(backend, BUCKET).await.unwrap()
}

async fn waiters(store: &Store) -> usize {
    let entry = store.get(key_of("a").unwrap()).await.unwrap().unwrap();
    let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
    record.waiters().count()
}

async fn hand_over(store: &Store, guard: WriteGuard, next: &Locks) -> (WriteGuard, Duration) {
    let next = next.clone();
    let next = tokio::spawn(async move { next.write("a").owner("next").await.unwrap() });
    eventually("it waits", async || waiters(store).await == 1).await;
    let begun = Instant::now();
    guard.release().await.unwrap();
    (next.await.unwrap(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_lost_costs_time_alone() {
    let two = Two::begin().await;
    let mut guard = two.one.write("a").owner("next").await.unwrap();
    // Until one has told the other, that one watches.
    for _ in 0..2 {
        (guard, _) = two.hand_over(guard, &two.other).await;
        (guard, _) = two.hand_over(guard, &two.one).await;
    }
    two.faults[0].lose_notices(1);
    let (guard, lost) = two.hand_over(guard, &two.other).await;
    assert!(lost >= Duration::from_millis(500), "it was told: {lost:?}");
    assert!(lost <= Duration::from_secs(2), "{lost:?}");
    let (guard, _) = two.hand_over(guard, &two.one).await;
    // Whoever was let down once watches.
    let (_guard, watched) = two.hand_over(guard, &two.other).await;
    assert!(watched < Duration::from_millis(500), "{watched:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_again_at_once_is_written_down_by_the_next() {
    const TURNS: u64 = 100;
    let two = Two::begin().await;
    let turns = |locks: &Locks| {
        let locks = locks.clone();
        tokio::spawn(async move {
            for _ in 0..TURNS {
                let guard = locks.write("a").owner("it").await.unwrap();
                guard.release().await.unwrap();
            }
        })
    };
    let (one, other) = (turns(&two.one), turns(&two.other));
    one.await.unwrap();
    other.await.unwrap();
    let writes: u64 = two.faults.iter().map(Faults::writes).sum();
    assert!(
        writes < 3 * TURNS,
        "{writes} writes for {} turns",
        2 * TURNS
    );
}

/// A wait whose record is not known for longer than a holder is trusted: there is nobody to look
/// after then, and whoever wakes for it wakes again at once, for ever.
#[test]
fn a_wait_on_a_record_that_can_not_be_read_comes_to_an_end() {
    let (tell, ended) = std::sync::mpsc::channel();
    // On a thread of its own: a task that never rests can't be timed out from beside it.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let two = Two::begin().await;
            let guard = two.one.write("a").owner("holder").await.unwrap();
            let wait = |owner: &'static str| {
                let locks = two.other.clone();
                tokio::spawn(async move { locks.write("a").owner(owner).await })
            };
            let waits = wait("it");
            eventually("it waits", async || waiters(&two.store).await == 1).await;
            two.faults[1].next_write(WriteFault::Drop);
            two.faults[1].fail_reads(u32::MAX);
            let waits_too = wait("another");
            tokio::time::sleep(Duration::from_secs(60)).await;
            two.faults[1].clear();
            guard.release().await.unwrap();
            waits.await.unwrap().unwrap().release().await.unwrap();
            waits_too.await.unwrap().unwrap().release().await.unwrap();
        });
        tell.send(()).unwrap();
    });
    let end = ended.recv_timeout(Duration::from_secs(30));
    end.expect("both got the lock, in a time that costs nothing to wait for");
}

/// A server that lets nobody tell anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_permission_the_watch_does() {
    const USERS: &str = r#"
        authorization { users = [ { user: service, password: s3cr3t, permissions: {
            publish: { deny: ["kvscope.notice.>"] }, subscribe: { deny: ["kvscope.notice.>"] } } } ] }
    "#;
    let server = NatsServer::with_config(USERS);
    let mut options = NatsOptions::new(server.url());
    options.auth = Auth::User {
        name: "service".to_owned(),
        password: Secret::new("s3cr3t"),
    };
    let (one, other) = (
        NatsBackend::connect(options.clone()).await.unwrap(),
        NatsBackend::connect(options).await.unwrap(),
    );
    let store = make_bucket(&*one).await;
    let locks = async |backend: &dyn Backend| {
        let store = Store::open(backend, BUCKET).await.unwrap();
        Locks::new(&store, Settings::default())
    };
    let (one, other) = (locks(&*one).await, locks(&*other).await);
    let mut guard = one.write("a").owner("next").await.unwrap();
    for _ in 0..3 {
        (guard, _) = soon("a turn", hand_over(&store, guard, &other)).await;
        (guard, _) = soon("a turn", hand_over(&store, guard, &one)).await;
    }
    guard.release().await.unwrap();
    one.close().await;
    other.close().await;
}
