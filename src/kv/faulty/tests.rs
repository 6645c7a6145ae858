//! Each fault does what it says, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Faults, Faulty, Odds, WriteFault};
use crate::kv::backend::{Backend, BucketConfig, Connection};
use crate::kv::memory::Memory;
use crate::kv::{
    BucketName, Error, Filter, Revision, Store, Watch, WatchEvent, WatchFrom, WatchOptions,
    WriteError,
};

struct Bench {
    /// With faults.
    store: Store,
    /// Without.
    direct: Store,
    place: Faulty,
    faults: Faults,
}

async fn bench() -> Bench {
    let config = BucketConfig {
        history: 5,
        ..BucketConfig::new(BucketName::new("faults").unwrap())
    };
    let (memory, direct) = Memory::with_bucket(&config).await.unwrap();
    let (place, faults) = Faulty::new(Arc::new(memory));
    let store = Store::open(&place, "faults").await.unwrap();
    Bench {
        store,
        direct,
        place,
        faults,
    }
}

async fn value(store: &Store) -> Option<Vec<u8>> {
    let entry = store.get("a").await.unwrap()?;
    Some(entry.value?.to_vec())
}

fn is_unknown(result: &Result<Revision, WriteError>) -> bool {
    matches!(result, Err(WriteError::Unknown { .. }))
}

#[tokio::test]
async fn a_failed_write_is_not_done_and_says_so() {
    let bench = bench().await;
    bench.faults.next_write(WriteFault::Fail);
    let failed = bench.store.put("a", "1").await;
    assert!(matches!(failed, Err(WriteError::Failed(_))), "{failed:?}");
    assert_eq!(value(&bench.direct).await, None);
    bench.store.put("a", "2").await.unwrap();
}

#[tokio::test]
async fn a_lost_acknowledgement_is_of_a_write_that_was_done() {
    let bench = bench().await;
    bench.faults.next_write(WriteFault::LoseAck);
    assert!(is_unknown(&bench.store.put("a", "1").await));
    assert_eq!(value(&bench.direct).await, Some(b"1".to_vec()));
    // Also a conflict is not heard of.
    bench.faults.next_write(WriteFault::LoseAck);
    assert!(is_unknown(
        &bench.store.update("a", "2", Revision(77)).await
    ));
}

#[tokio::test]
async fn a_dropped_request_is_never_done() {
    let bench = bench().await;
    bench.faults.next_write(WriteFault::Drop);
    assert!(is_unknown(&bench.store.put("a", "1").await));
    bench.faults.deliver_late().await;
    assert_eq!(value(&bench.direct).await, None);
}

#[tokio::test]
async fn a_late_request_is_done_when_it_is_delivered() {
    let bench = bench().await;
    bench.direct.put("a", "0").await.unwrap();
    bench
        .faults
        .next_writes([Some(WriteFault::Late), Some(WriteFault::Late), None]);
    assert!(is_unknown(&bench.store.update("a", "1", Revision(1)).await));
    assert!(is_unknown(&bench.store.update("a", "2", Revision(1)).await));
    assert_eq!(bench.faults.late(), 2);
    assert_eq!(value(&bench.direct).await, Some(b"0".to_vec()));
    let ended = bench.faults.deliver_late().await;
    assert!(matches!(
        ended[..],
        [Ok(Revision(2)), Err(WriteError::Conflict { .. })]
    ));
    assert_eq!(value(&bench.direct).await, Some(b"1".to_vec()));
    assert_eq!(bench.faults.late(), 0);
}

#[tokio::test]
async fn every_nth_write_and_only_that() {
    let bench = bench().await;
    bench.faults.every_nth_write(3, WriteFault::Drop);
    let mut unknown = Vec::new();
    for _ in 0..9 {
        unknown.push(is_unknown(&bench.store.put("a", "1").await));
    }
    assert_eq!(unknown, [false, false, true].repeat(3));
    bench.faults.clear();
    for _ in 0..3 {
        bench.store.put("a", "1").await.unwrap();
    }
    assert_eq!(bench.faults.writes(), 12);
}

#[tokio::test]
async fn random_faults_are_the_same_for_the_same_seed() {
    let odds = Odds {
        fail: 0.2,
        lose_ack: 0.2,
        drop: 0.2,
        late: 0.2,
    };
    let outcomes = async |seed| {
        let bench = bench().await;
        bench.faults.at_random(seed, odds);
        let mut outcomes = String::new();
        for _ in 0..200 {
            let before = bench.faults.late();
            outcomes.push(match bench.store.put("a", "1").await {
                Ok(_) => 'o',
                Err(WriteError::Failed(_)) => 'f',
                Err(WriteError::Unknown { .. }) if bench.faults.late() > before => 'l',
                Err(WriteError::Unknown { .. }) => 'u',
                Err(WriteError::Conflict { .. }) => 'c',
            });
        }
        outcomes
    };
    let first = outcomes(1).await;
    assert_eq!(first, outcomes(1).await);
    assert_ne!(first, outcomes(2).await);
    for kind in ['o', 'f', 'l', 'u'] {
        let count = first.matches(kind).count();
        assert!((10..120).contains(&count), "{count} times {kind} of 200");
    }
    assert!(!first.contains('c'));
}

#[tokio::test(start_paused = true)]
async fn every_call_is_delayed() {
    let bench = bench().await;
    bench.faults.delay(Duration::from_secs(3));
    let began = Instant::now();
    bench.store.put("a", "1").await.unwrap();
    bench.store.get("a").await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(6));
}

#[tokio::test]
async fn reads_fail_as_often_as_they_were_told_to() {
    let bench = bench().await;
    bench.faults.fail_reads(2);
    assert!(bench.store.get("a").await.is_err());
    assert!(bench.store.history("a").await.is_err());
    assert!(bench.store.get("a").await.is_ok());
}

#[tokio::test]
async fn a_cut_shows_in_the_connection_and_in_every_call() {
    let bench = bench().await;
    let connection = bench.place.connection();
    bench.faults.cut();
    bench.faults.cut();
    assert!(matches!(
        *connection.borrow(),
        Connection::Reconnecting { .. }
    ));
    let read = bench.store.get("a").await;
    assert!(matches!(read, Err(Error::Unreachable { .. })), "{read:?}");
    let write = bench.store.put("a", "1").await;
    assert!(
        matches!(write, Err(WriteError::Failed(Error::Unreachable { .. }))),
        "{write:?}"
    );
    assert!(bench.place.ping().await.is_err());
    bench.faults.restore();
    assert_eq!(*connection.borrow(), Connection::Connected);
    bench.store.put("a", "1").await.unwrap();
}

/// The next event in short.
async fn told(watch: &Watch) -> String {
    match watch.next().await.unwrap() {
        WatchEvent::Entry(entry) => format!("{}@{}", entry.key, entry.revision),
        WatchEvent::Ready => "ready".to_owned(),
        WatchEvent::Interrupted { .. } => "interrupted".to_owned(),
        WatchEvent::Resumed { gap: true } => "gap".to_owned(),
        WatchEvent::Resumed { gap: false } => "resumed".to_owned(),
    }
}

async fn expect(watch: &Watch, wanted: &[&str]) {
    for wanted in wanted {
        assert_eq!(told(watch).await, *wanted);
    }
}

#[tokio::test]
async fn a_cut_watch_goes_on_where_it_was() {
    let bench = bench().await;
    bench.direct.put("a", "1").await.unwrap();
    let watch = bench
        .store
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    expect(&watch, &["a@1", "ready"]).await;
    bench.direct.put("b", "1").await.unwrap();
    expect(&watch, &["b@2"]).await;
    bench.faults.cut();
    expect(&watch, &["interrupted"]).await;
    bench.direct.put("c", "1").await.unwrap();
    bench.direct.purge("a", None).await.unwrap();
    bench.faults.restore();
    expect(&watch, &["resumed", "c@3", "a@4"]).await;
    bench.direct.put("d", "1").await.unwrap();
    expect(&watch, &["d@5"]).await;
}

#[tokio::test]
async fn a_gap_brings_the_snapshot_again() {
    for (from, again) in [
        (WatchFrom::Newest, &["gap", "a@1", "b@2", "ready"][..]),
        (WatchFrom::Now, &["gap", "ready"]),
    ] {
        let bench = bench().await;
        bench.direct.put("a", "1").await.unwrap();
        let options = WatchOptions::new(Filter::all()).from(from);
        let watch = bench.store.watch(options).await.unwrap();
        while told(&watch).await != "ready" {}
        bench.faults.cut();
        expect(&watch, &["interrupted"]).await;
        bench.direct.put("b", "1").await.unwrap();
        bench.faults.restore_with_gap();
        expect(&watch, again).await;
        bench.direct.put("c", "1").await.unwrap();
        expect(&watch, &["c@3"]).await;
    }
}

#[tokio::test]
async fn a_cut_that_nobody_saw_is_told_all_the_same() {
    let bench = bench().await;
    let watch = bench
        .store
        .watch(WatchOptions::new(Filter::all()))
        .await
        .unwrap();
    expect(&watch, &["ready"]).await;
    bench.faults.cut();
    bench.faults.restore_with_gap();
    bench.faults.cut();
    bench.direct.put("a", "1").await.unwrap();
    bench.faults.restore();
    expect(&watch, &["interrupted", "gap", "a@1", "ready"]).await;
}
