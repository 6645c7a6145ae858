//! What those who write a lock's record tell each other, and what happens when it does not arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faults, Faulty, WriteFault};
use kvscope::kv::lock::record::{Record, Step};
use kvscope::kv::lock::{Clock, Locks, ObserveOptions, Settings, WriteGuard, key_of, observe};
use kvscope::kv::memory::Memory;
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret};
use kvscope::kv::{BucketName, Store};
use tokio::task::JoinSet;
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

/// Whatever is told comes twice, and long after its time once more: nothing comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_that_come_twice_and_late() {
    const TASKS: u32 = 3;
    const TURNS: u32 = 20;
    // How many are told in so many turns is a matter of who meets whom: the turns go on until
    // there were enough.
    const ECHOES: u32 = 20;
    let server = NatsServer::start();
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut heard = client.subscribe("kvscope.notice.>").await.unwrap();
    client.flush().await.unwrap();
    let echoes = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&echoes);
    let echo = tokio::spawn(async move {
        let mut all: Vec<async_nats::Message> = Vec::new();
        // What was echoed has a header.
        let mark =
            || async_nats::HeaderMap::from_iter([("echo".parse().unwrap(), "1".parse().unwrap())]);
        while let Some(message) = heard.next().await {
            if message.headers.is_some() {
                continue;
            }
            all.push(message);
            for late in [all.len() - 1, all.len() / 2] {
                let late = &all[late];
                let (subject, payload) = (late.subject.clone(), late.payload.clone());
                let sent = client.publish_with_headers(subject, mark(), payload);
                sent.await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let inside = Arc::new(AtomicU32::new(0));
    let highest = Arc::new(AtomicU64::new(0));
    let mut all = Vec::new();
    let mut tasks = JoinSet::new();
    for process in 0..2 {
        let options = NatsOptions::new(server.url());
        let backend = NatsBackend::connect(options).await.unwrap();
        let store = match process {
            0 => make_bucket(&*backend).await,
            _ => Store::open(&*backend, BUCKET).await.unwrap(),
        };
        let locks = Locks::new(&store, Settings::default());
        for _ in 0..TASKS {
            let (locks, inside, highest) =
                (locks.clone(), Arc::clone(&inside), Arc::clone(&highest));
            let echoes = Arc::clone(&echoes);
            tasks.spawn(async move {
                let mut turns = 0;
                while turns < TURNS || echoes.load(Ordering::SeqCst) < ECHOES {
                    turns += 1;
                    let guard = locks.write("a").await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
                    assert!(guard.check().is_ok());
                    let before = highest.swap(guard.fence(), Ordering::SeqCst);
                    assert!(guard.fence() > before);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    guard.release().await.unwrap();
                }
            });
        }
        all.push((locks, store));
    }
    soon("all turns", tasks.join_all()).await;
    for (locks, store) in all {
        soon("closing", locks.close()).await;
        let entry = store.get(key_of("a").unwrap()).await.unwrap().unwrap();
        let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
        assert_eq!(record.claims(), []);
    }
    echo.abort();
}

/// The permissions that the documentation names, as a server's configuration.
fn documented_permissions() -> String {
    let text = include_str!("../../docs/locks.md");
    let (_, block) = text
        .split_once("```text\nauthorization")
        .expect("a configuration");
    let (block, _) = block.split_once("```").expect("an end");
    let named = |name: &str| {
        assert!(block.contains(name), "{name}");
    };
    named("$SERVICE_PASSWORD");
    named("$READER_PASSWORD");
    let block = format!("authorization{block}");
    let block = block.replace("$SERVICE_PASSWORD", "s3cr3t");
    let block = block.replace("$READER_PASSWORD", "s3cr3t");
    block.replace("users = [", "users = [\n{ user: admin, password: s3cr3t }")
}

/// Notices are as good as the record to those who wait: a service can forge one, as it can write
/// the record, and who may only read can do neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_write_the_locks_may_tell_of_them() {
    let server = NatsServer::with_config(&documented_permissions());
    let as_user = |name: &str| {
        let mut options = NatsOptions::new(server.url());
        options.auth = Auth::User {
            name: name.to_owned(),
            password: Secret::new("s3cr3t"),
        };
        options
    };
    let admin = NatsBackend::connect(as_user("admin")).await.unwrap();
    let store = make_bucket(&*admin).await;
    // The service can do all that locks take.
    let mut services = Vec::new();
    for _ in 0..2 {
        let backend = NatsBackend::connect(as_user("service")).await.unwrap();
        let store = Store::open(&*backend, BUCKET).await.unwrap();
        services.push(Locks::new(&store, Settings::default()));
    }
    let [one, other] = services.as_slice() else {
        unreachable!()
    };
    let mut guard = one.write("a").owner("next").await.unwrap();
    for _ in 0..3 {
        (guard, _) = soon("a turn", hand_over(&store, guard, other)).await;
        (guard, _) = soon("a turn", hand_over(&store, guard, one)).await;
    }
    // And who reads can see them, without a list of all buckets.
    let reader = NatsBackend::connect(as_user("reader")).await.unwrap();
    let mut options = ObserveOptions::default();
    options.buckets = Some(vec![BucketName::new(BUCKET).unwrap()]);
    let mut seen = observe(Arc::clone(&reader) as Arc<dyn Backend>, options)
        .await
        .unwrap();
    while !seen.is_loaded() {
        assert!(soon("a look", seen.changed()).await);
    }
    assert_eq!(seen.report().locks[0].holders.len(), 1);
    drop(seen);
    let theirs = Store::open(&*reader, BUCKET).await.unwrap();
    let refused = theirs.put(key_of("a").unwrap(), "{}").await;
    assert!(refused.is_err(), "{refused:?}");

    // Each forges that the holder has let go.
    let waits = {
        let other = other.clone();
        tokio::spawn(async move { other.write("a").owner("next").await.unwrap() })
    };
    eventually("it waits", async || waiters(&store).await == 1).await;
    let entry = store.get(key_of("a").unwrap()).await.unwrap().unwrap();
    let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
    let holder = record.holders().next().unwrap().id.clone();
    let Step::Write(forged) = record.release(&holder, entry.revision) else {
        panic!("it holds");
    };
    let waiter = record.waiters().next().unwrap();
    let subject = format!("kvscope.notice.{BUCKET}.{}", waiter.session);
    let head = format!(
        r#"{{"v":1,"key":"{}","rev":{}}}"#,
        entry.key,
        entry.revision.0 + 1
    );
    let mut notice = format!("{head}\n").into_bytes();
    notice.extend(forged.to_bytes().unwrap());
    let forge = async |user: &str, notice: Vec<u8>| {
        let options = async_nats::ConnectOptions::with_user_and_password(
            user.to_owned(),
            "s3cr3t".to_owned(),
        );
        let client = options.connect(server.url()).await.unwrap();
        client
            .publish(subject.clone(), notice.into())
            .await
            .unwrap();
        client.flush().await.unwrap();
    };
    forge("service", b"no notice".to_vec()).await;
    forge("service", format!("{head}\nno record").into_bytes()).await;
    forge("reader", notice.clone()).await;
    // What came for the waiter has come before this is answered.
    other.try_write("b").await.unwrap().release().await.unwrap();
    assert!(!waits.is_finished(), "a reader let it in");
    assert_eq!(waiters(&store).await, 1);
    forge("service", notice).await;
    let let_in = soon("a service lets it in", waits).await.unwrap();
    drop(let_in);
    guard.release().await.unwrap();
    for locks in services {
        soon("closing", locks.close()).await;
    }
    assert_eq!(waiters(&store).await, 0);
}
