//! The observer over a real store: in memory here, over a server and a file in `tests/locks.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::scene::{held, record, session, waits};
use crate::kv::backend::{Backend, BucketConfig, Write};
use crate::kv::faulty::Faulty;
use crate::kv::lock::diagnosis::Verdict;
use crate::kv::lock::observer::{Freshness, Lock, ObserveOptions, Observer, observe};
use crate::kv::lock::record::Mode::{Read, Write as Writing};
use crate::kv::lock::session::Session;
use crate::kv::lock::{Clock, key_of};
use crate::kv::memory::Memory;
use crate::kv::{BucketName, Key};

async fn bucket(place: &dyn Backend, name: &str) -> BucketName {
    let name = BucketName::new(name).unwrap();
    let config = BucketConfig {
        history: 10,
        ..BucketConfig::new(name.clone())
    };
    place.create_bucket(&config).await.unwrap();
    name
}

async fn put(place: &dyn Backend, bucket: &BucketName, key: &Key, value: impl Into<Vec<u8>>) {
    let bucket = place.bucket(bucket).await.unwrap();
    let write = Write::put(key.clone(), value.into());
    bucket.write(write).await.unwrap();
}

async fn beat(place: &dyn Backend, bucket: &BucketName, id: &str, beat: u64) {
    let bytes = session(id, beat).to_bytes().unwrap();
    put(place, bucket, &Session::key_of(id).unwrap(), bytes).await;
}

fn options() -> ObserveOptions {
    ObserveOptions {
        clock: Clock::tokio(),
        ..ObserveOptions::default()
    }
}

async fn loaded(place: Arc<dyn Backend>, options: ObserveOptions) -> Observer {
    let mut observer = observe(place, options).await.unwrap();
    while !observer.is_loaded() {
        assert!(observer.changed().await);
    }
    observer
}

async fn until(
    observer: &mut Observer,
    resource: &str,
    is_so: impl Fn(&Lock) -> bool,
) -> Arc<Lock> {
    loop {
        let locks = observer.report().locks;
        if let Some(lock) = locks
            .into_iter()
            .find(|lock| lock.resource == resource && is_so(lock))
        {
            return lock;
        }
        assert!(observer.changed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_is_there_and_what_changes() {
    let place = Arc::new(Memory::new());
    let test = bucket(&*place, "test").await;
    let key = key_of("a b").unwrap();
    beat(&*place, &test, "s1", 1).await;
    put(&*place, &test, &key, record(&[held("s1", Read)], 2)).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    let queue = [held("s1", Read), waits("s2", Writing)];
    put(&*place, &test, &key, record(&queue, 3)).await;
    beat(&*place, &test, "s2", 1).await;
    put(&*place, &test, &Key::new("other").unwrap(), "just text").await;
    let mut observer = loaded(Arc::clone(&place) as _, options()).await;
    let lock = until(&mut observer, "a b", |_| true).await;
    assert_eq!(
        lock.holders[0].lasted.as_secs(),
        30,
        "from the first revision on"
    );
    assert_eq!(lock.waiters[0].name(), "job@host-s2");
    assert_eq!(lock.freshness, Freshness::Live);
    // By our own clock, while nothing comes.
    let lock = until(&mut observer, "a b", |lock| lock.verdict.is_fault()).await;
    assert_eq!(lock.verdict, Verdict::SuspectHolder);
    beat(&*place, &test, "s1", 2).await;
    until(&mut observer, "a b", |lock| {
        lock.verdict == Verdict::Contended
    })
    .await;
    // A bucket that joins later, and one that leaves.
    let other = bucket(&*place, "other").await;
    put(&*place, &other, &key_of("c").unwrap(), record(&[], 1)).await;
    observer.add(&other);
    until(&mut observer, "c", |lock| lock.verdict == Verdict::Idle).await;
    observer.remove(&test);
    assert_eq!(observer.report().locks.len(), 1);
    put(&*place, &other, &key_of("d").unwrap(), record(&[], 1)).await;
    until(&mut observer, "d", |_| true).await;
}

#[tokio::test(start_paused = true)]
async fn locks_of_shizuku_services_are_found_by_their_length_and_read() {
    let place = Arc::new(Memory::new());
    let test = bucket(&*place, "test").await;
    let key = Key::new("ledger").unwrap();
    put(&*place, &test, &key, [1, 0, 0, 0, 0, 0, 0, 0, 2]).await;
    put(&*place, &test, &Key::new("plain").unwrap(), *b"nine byte").await;
    let mut observer = loaded(Arc::clone(&place) as _, options()).await;
    let locks = observer.report().locks;
    let names: Vec<&str> = locks.iter().map(|lock| &*lock.resource).collect();
    assert_eq!(names, ["ledger"]);
    assert_eq!(locks[0].format(), "shizuku");
    put(&*place, &test, &key, [0; 9]).await;
    until(&mut observer, "ledger", |lock| {
        lock.verdict == Verdict::Idle
    })
    .await;
    put(&*place, &test, &key, "something else").await;
    until(&mut observer, "ledger", |lock| {
        lock.verdict == Verdict::Malformed
    })
    .await;
    let without = ObserveOptions {
        foreign: false,
        ..options()
    };
    let observer = loaded(place, without).await;
    assert_eq!(observer.report().locks.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_missing_session_is_made_certain_of() {
    let place = Arc::new(Memory::new());
    let test = bucket(&*place, "test").await;
    put(
        &*place,
        &test,
        &key_of("a").unwrap(),
        record(&[held("s1", Writing)], 1),
    )
    .await;
    beat(&*place, &test, "s2", 1).await;
    put(
        &*place,
        &test,
        &key_of("b").unwrap(),
        record(&[held("s2", Writing)], 1),
    )
    .await;
    let mut observer = loaded(place, options()).await;
    let lock = until(&mut observer, "a", |_| true).await;
    assert_eq!(lock.holders[0].standing.as_str(), "suspect");
    assert_eq!(lock.verdict, Verdict::Healthy);
    observer.make_certain().await.unwrap();
    let lock = until(&mut observer, "a", |_| true).await;
    assert_eq!(lock.verdict, Verdict::DeadHolder, "{}", lock.reason);
    let lock = until(&mut observer, "b", |_| true).await;
    assert_eq!(lock.verdict, Verdict::Healthy);
}

#[tokio::test(start_paused = true)]
async fn an_outage_kills_nobody() {
    let (place, faults) = Faulty::new(Arc::new(Memory::new()));
    let place = Arc::new(place);
    let test = bucket(&*place, "test").await;
    beat(&*place, &test, "s1", 1).await;
    put(
        &*place,
        &test,
        &key_of("a").unwrap(),
        record(&[held("s1", Writing)], 1),
    )
    .await;
    let mut observer = loaded(Arc::clone(&place) as _, options()).await;
    faults.cut();
    until(&mut observer, "a", |lock| {
        matches!(lock.freshness, Freshness::Stale { .. })
    })
    .await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let stale = until(&mut observer, "a", |_| true).await;
    assert_eq!(stale.verdict, Verdict::Healthy);
    assert_eq!(stale.holders[0].lasted, Duration::ZERO);
    faults.restore();
    let lock = until(&mut observer, "a", |lock| lock.freshness == Freshness::Live).await;
    assert_eq!(lock.verdict, Verdict::Healthy, "{}", lock.reason);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_not_there_fails_and_joins_when_it_is() {
    let place = Arc::new(Memory::new());
    let named = ObserveOptions {
        buckets: Some(vec![BucketName::new("later").unwrap()]),
        ..options()
    };
    let mut observer = loaded(Arc::clone(&place) as _, named).await;
    let buckets = observer.report().buckets;
    assert!(matches!(&buckets[0].1, Freshness::Failed { reason } if reason.contains("later")));
    let later = bucket(&*place, "later").await;
    put(&*place, &later, &key_of("a").unwrap(), record(&[], 1)).await;
    until(&mut observer, "a", |lock| lock.freshness == Freshness::Live).await;
}
