//! What an observer sees of locks that are really held and waited for, and of records that were
//! written by hand, on every backend.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::lock::diagnosis::Verdict;
use kvscope::kv::lock::observer::{Freshness, Lock, LockMode};
use kvscope::kv::lock::timeline::{Basis, What, timeline};
use kvscope::kv::lock::{Locks, ObserveOptions, Observer, Settings, key_of, observe};
use kvscope::kv::{BucketName, Store};

use crate::support::soon;

/// Watches until a lock is as wanted; fails with what it was last.
async fn until(
    observer: &mut Observer,
    resource: &str,
    is_so: impl Fn(&Lock) -> bool,
) -> Arc<Lock> {
    let what = format!("{resource} as wanted");
    let seen = async {
        loop {
            let report = observer.report();
            let found = report
                .locks
                .into_iter()
                .find(|lock| lock.resource == resource);
            if let Some(lock) = found.filter(|lock| is_so(lock)) {
                return lock;
            }
            assert!(observer.changed().await);
        }
    };
    soon(&what, seen).await
}

pub(crate) async fn run(backend: Arc<dyn Backend>) {
    let name = BucketName::new("observed").unwrap();
    let mut config = BucketConfig::new(name.clone());
    config.history = 16;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(&*backend, "observed").await.unwrap();
    let named = ObserveOptions::default();
    let mut observer = observe(Arc::clone(&backend), named).await.unwrap();
    held_and_waited_for(&store, &mut observer).await;
    a_deadlock(&store, &mut observer).await;
    written_by_hand(&store, &mut observer).await;
    assert!(
        observer
            .report()
            .buckets
            .iter()
            .all(|(_, freshness)| *freshness == Freshness::Live)
    );
    backend.delete_bucket(&name).await.unwrap();
}

async fn held_and_waited_for(store: &Store, observer: &mut Observer) {
    let mine = store.locks();
    let theirs = Locks::new(store, Settings::default().label("other"));
    let guard = mine.read("ledger/2026 May").label("report").await.unwrap();
    let healthy = |lock: &Lock| {
        // The session's record may come later.
        lock.verdict == Verdict::Healthy && lock.holders.iter().all(|party| party.pid.is_some())
    };
    let lock = until(observer, "ledger/2026 May", healthy).await;
    assert_eq!(lock.mode(), Some(LockMode::Read));
    let holder = &lock.holders[0];
    assert_eq!(
        (holder.label.as_str(), holder.fence),
        ("report", Some(guard.fence()))
    );
    assert_eq!(holder.pid, Some(std::process::id()));
    assert_eq!(holder.since.basis, Basis::Write);
    assert_eq!(holder.standing.as_str(), "live");
    assert!(holder.lease_left.unwrap() <= Duration::from_secs(15));

    let waiting = tokio::spawn({
        let theirs = theirs.clone();
        async move { theirs.write("ledger/2026 May").await.unwrap() }
    });
    let lock = until(observer, "ledger/2026 May", |lock| lock.waiters.len() == 1).await;
    assert_eq!(lock.verdict, Verdict::Contended, "{}", lock.reason);
    assert_eq!(lock.waiters[0].position, Some(1));
    guard.release().await.unwrap();
    let guard = waiting.await.unwrap();
    until(observer, "ledger/2026 May", |lock| {
        lock.mode() == Some(LockMode::Write)
    })
    .await;
    guard.release().await.unwrap();
    until(observer, "ledger/2026 May", |lock| {
        lock.verdict == Verdict::Idle
    })
    .await;
    theirs.close().await;

    let history = store
        .history(key_of("ledger/2026 May").unwrap())
        .await
        .unwrap();
    let past = timeline(&history, &observer.picture().deaths(store.name()));
    let kinds: Vec<&str> = past
        .events
        .iter()
        .map(|event| match event.what {
            What::Granted { .. } => "granted",
            What::Queued => "queued",
            What::Released { .. } => "released",
            _ => "other",
        })
        .collect();
    assert_eq!(
        kinds,
        ["granted", "queued", "released", "granted", "released"]
    );
}

async fn a_deadlock(store: &Store, observer: &mut Observer) {
    let locks = store.locks();
    let one = locks.write("one").owner("first").await.unwrap();
    let two = locks.write("two").owner("second").await.unwrap();
    let (again, other) = (locks.clone(), locks.clone());
    let first = tokio::spawn(async move {
        let wait = again
            .write("two")
            .owner("first")
            .within(Duration::from_secs(60));
        wait.await.map(drop)
    });
    let second = tokio::spawn(async move {
        let wait = other
            .write("one")
            .owner("second")
            .within(Duration::from_secs(60));
        wait.await.map(drop)
    });
    let lock = until(observer, "one", |lock| lock.verdict == Verdict::Deadlock).await;
    assert!(lock.reason.contains("waits for two"), "{}", lock.reason);
    until(observer, "two", |lock| lock.verdict == Verdict::Deadlock).await;
    one.release().await.unwrap();
    first.abort();
    second.abort();
    two.release().await.unwrap();
    until(observer, "one", |lock| lock.verdict == Verdict::Idle).await;
    until(observer, "two", |lock| lock.verdict == Verdict::Idle).await;
}

async fn written_by_hand(store: &Store, observer: &mut Observer) {
    store.put("_lock.newer", r#"{"v":9}"#).await.unwrap();
    let lock = until(observer, "newer", |_| true).await;
    assert_eq!(lock.verdict, Verdict::Malformed);
    let claim = concat!(
        r#"{"v":1,"next":1,"q":[{"id":"c","sid":"s_gone","k":"w","s":"held","tkt":0,"fence":1,"#,
        r#""own":"task","label":"job","t_ms":1}]}"#
    );
    store.put("_lock.orphan", claim).await.unwrap();
    let lock = until(observer, "orphan", |_| true).await;
    assert_eq!(lock.verdict, Verdict::Healthy, "nothing is concluded yet");
    observer.make_certain().await.unwrap();
    let lock = until(observer, "orphan", |_| true).await;
    assert_eq!(lock.verdict, Verdict::DeadHolder, "{}", lock.reason);
    let mut expired = vec![2];
    expired.extend(0_u64.to_be_bytes());
    expired.extend(7_u64.to_be_bytes());
    store.put("theirs", expired).await.unwrap();
    let lock = until(observer, "theirs", |_| true).await;
    assert_eq!((lock.format(), lock.verdict), ("shizuku", Verdict::Expired));
    store.delete("theirs", None).await.unwrap();
    let is_gone = async {
        while observer
            .report()
            .locks
            .iter()
            .any(|lock| lock.resource == "theirs")
        {
            assert!(observer.changed().await);
        }
    };
    soon("it is gone", is_gone).await;
}
