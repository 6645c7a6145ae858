//! Changes under contention and faults: each lands at most once, and nothing is claimed that is
//! not known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AtomicMap, ChangeError, Changed, Next, Retry};
use crate::kv::backend::BucketConfig;
use crate::kv::faulty::{Faults, Faulty, Odds, WriteFault};
use crate::kv::memory::Memory;
use crate::kv::{BucketName, KvReadError, KvWriteError, Revision, Store};
use crate::{JsonByteDes, JsonByteSer};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonByteDes, JsonByteSer)]
struct Count(u32);

/// A map over faults, and its bucket without them.
async fn map(history: u64) -> (AtomicMap<Count>, Store, Faults) {
    let config = BucketConfig {
        history,
        ..BucketConfig::new(BucketName::new("counts").unwrap())
    };
    let (memory, direct) = Memory::with_bucket(&config).await.unwrap();
    let (place, faults) = Faulty::new(Arc::new(memory));
    let store = Store::open(&place, "counts").await.unwrap();
    (AtomicMap::new(store), direct, faults)
}

fn increment(count: Option<Count>) -> Next<Count> {
    Next::Put(Count(count.map_or(0, |count| count.0) + 1))
}

async fn count(store: &Store) -> u32 {
    let entry = store.get("a").await.unwrap().unwrap();
    serde_json::from_slice(&entry.value.unwrap()).unwrap()
}

#[tokio::test]
async fn a_change_is_written_deleted_or_declined() {
    let (map, direct, faults) = map(5).await;
    let first = map.change("a", increment).await.unwrap();
    assert_eq!(first, Changed::Written(Revision(1)));
    let second = map.change("a", increment).await.unwrap();
    assert_eq!(second, Changed::Written(Revision(2)));
    assert_eq!(count(&direct).await, 2);
    let kept = map
        .change("a", |found| {
            assert_eq!(found, Some(Count(2)));
            Next::Keep
        })
        .await;
    assert_eq!(kept.unwrap(), Changed::Kept(Revision(2)));
    assert_eq!(faults.writes(), 2, "declining writes nothing");
    map.change("a", |_| Next::Delete).await.unwrap();
    assert!(direct.get("a").await.unwrap().unwrap().is_marker());
    map.change("a", increment).await.unwrap();
    assert_eq!(count(&direct).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_reads_again() {
    let (map, direct, _) = map(1).await;
    let raced = AtomicU32::new(0);
    for at in 1..=3 {
        let store = direct.clone();
        let changed = map
            .change("a", |found| {
                if raced.fetch_add(1, Ordering::Relaxed) < at {
                    // Somebody is faster: between the read and the write.
                    let write = store.put("a", "100");
                    futures_util::FutureExt::now_or_never(write)
                        .unwrap()
                        .unwrap();
                }
                increment(found)
            })
            .await;
        assert!(matches!(changed, Ok(Changed::Written(_))));
        assert_eq!(count(&direct).await, 101);
        raced.store(0, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn patience_has_an_end() {
    let (map, direct, _) = map(1).await;
    let retry = Retry {
        attempts: 3,
        ..Retry::default()
    };
    let map = map.with_retry(retry);
    let mut calls = 0;
    let ended = map
        .change("a", |found| {
            calls += 1;
            let write = direct.put("a", "100");
            futures_util::FutureExt::now_or_never(write)
                .unwrap()
                .unwrap();
            increment(found)
        })
        .await;
    assert!(
        matches!(ended, Err(ChangeError::Contended { attempts: 3, .. })),
        "{ended:?}"
    );
    assert_eq!(calls, 3);
    assert_eq!(count(&direct).await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_is_sent_again() {
    let (map, direct, faults) = map(1).await;
    for fault in [WriteFault::Drop, WriteFault::Late] {
        faults.next_writes([Some(fault), Some(fault)]);
        map.change("a", increment).await.unwrap();
    }
    assert_eq!(count(&direct).await, 2);
    // What was late comes when its place is taken.
    assert!(faults.deliver_late().await.iter().all(Result::is_err));
    assert_eq!(count(&direct).await, 2);
}

#[tokio::test(start_paused = true)]
async fn an_equal_entry_is_no_proof() {
    let (map, direct, faults) = map(5).await;
    direct.put("a", "1").await.unwrap();
    faults.next_write(WriteFault::LoseAck);
    let ended = map.change("a", increment).await;
    // It was ours; but it looks the same if another had written the same.
    assert!(
        matches!(ended, Err(ChangeError::Unknown { .. })),
        "{ended:?}"
    );
    assert_eq!(count(&direct).await, 2, "and it was not done twice");
}

#[tokio::test(start_paused = true)]
async fn a_different_entry_is_proof_and_the_change_is_made_on_it() {
    let (map, direct, faults) = map(5).await;
    direct.put("a", "1").await.unwrap();
    faults.next_write(WriteFault::Drop);
    let mut calls = 0;
    let changed = map
        .change("a", |found| {
            calls += 1;
            if calls == 1 {
                let write = direct.put("a", "50");
                futures_util::FutureExt::now_or_never(write)
                    .unwrap()
                    .unwrap();
            }
            increment(found)
        })
        .await;
    assert!(matches!(changed, Ok(Changed::Written(_))), "{changed:?}");
    assert_eq!((calls, count(&direct).await), (2, 51));
}

#[tokio::test(start_paused = true)]
async fn without_a_history_nothing_is_claimed() {
    let (map, direct, faults) = map(1).await;
    direct.put("a", "1").await.unwrap();
    faults.next_write(WriteFault::LoseAck);
    let mut calls = 0;
    let ended = map
        .change("a", |found| {
            calls += 1;
            if calls == 1 {
                let write = direct.put("a", "50");
                futures_util::FutureExt::now_or_never(write)
                    .unwrap()
                    .unwrap();
            }
            increment(found)
        })
        .await;
    assert!(
        matches!(ended, Err(ChangeError::Unknown { .. })),
        "{ended:?}"
    );
    assert_eq!(count(&direct).await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_a_doubt_does_not_take_the_doubt_away() {
    let (map, direct, faults) = map(5).await;
    let retry = Retry {
        attempts: 3,
        ..Retry::default()
    };
    let map = map.with_retry(retry);
    faults.next_writes([
        Some(WriteFault::Late),
        Some(WriteFault::Fail),
        Some(WriteFault::Fail),
    ]);
    let ended = map.change("a", increment).await;
    assert!(
        matches!(ended, Err(ChangeError::Unknown { .. })),
        "{ended:?}"
    );
    faults.deliver_late().await;
    assert_eq!(count(&direct).await, 1, "it was right to doubt");
}

#[tokio::test]
async fn failures_are_returned() {
    let (map, direct, faults) = map(5).await;
    faults.next_write(WriteFault::Fail);
    let ended = map.change("a", increment).await;
    assert!(
        matches!(ended, Err(ChangeError::Write(KvWriteError::Failed(_)))),
        "{ended:?}"
    );
    assert_eq!(faults.writes(), 1);
    faults.fail_reads(1);
    let ended = map.change("a", increment).await;
    assert!(
        matches!(ended, Err(ChangeError::Read(KvReadError::Store(_)))),
        "{ended:?}"
    );
    direct.put("a", "not a number").await.unwrap();
    let ended = map.change("a", increment).await;
    assert!(
        matches!(ended, Err(ChangeError::Read(KvReadError::Decode { .. }))),
        "{ended:?}"
    );
}

/// Many writers, every kind of fault: what was acknowledged is there once, and what is not there
/// was never acknowledged.
#[tokio::test(start_paused = true)]
async fn no_increment_is_lost_or_made_twice() {
    for seed in 0..20 {
        let (map, direct, faults) = map(64).await;
        faults.delay(Duration::from_millis(1));
        faults.at_random(
            seed,
            Odds {
                fail: 0.05,
                lose_ack: 0.05,
                drop: 0.05,
                late: 0.05,
            },
        );
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let map = map.clone();
                tokio::spawn(async move {
                    let (mut done, mut doubtful) = (0, 0);
                    for _ in 0..25 {
                        match map.change("a", increment).await {
                            Ok(_) => done += 1,
                            Err(ChangeError::Unknown { .. }) => doubtful += 1,
                            Err(ChangeError::Contended { .. } | ChangeError::Write(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (done, doubtful)
                })
            })
            .collect();
        let (mut done, mut doubtful) = (0, 0);
        for writer in writers {
            let (more_done, more_doubtful) = writer.await.unwrap();
            done += more_done;
            doubtful += more_doubtful;
        }
        faults.clear();
        faults.deliver_late().await;
        let count = count(&direct).await;
        assert!(
            (done..=done + doubtful).contains(&count),
            "seed {seed}: {count} is not {done} and up to {doubtful} more"
        );
        assert!(done > 50, "seed {seed}: only {done} were done");
    }
}
