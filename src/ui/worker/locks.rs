//! The task that observes the locks of a place, and tells of them no more often than a screen can
//! use.
//!
//! Making a report (sessions joined, verdicts given) is done here and so off the drawing path;
//! looking for circles of waiting in a large place is done beside it. What is not known here is what
//! a report is for.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Duration, Instant, sleep_until};

use super::{Delivery, deliver, snapshot};
use crate::kv::backend::Backend;
use crate::kv::lock::snapshot::{BUCKET, Snapshot};
use crate::kv::lock::timeline::past;
use crate::kv::lock::{ObserveOptions, Observer, observe};
use crate::kv::{BucketName, Error, Key};
use crate::ui::message::{LockReport, Message, Reply, RequestId};
use crate::ui::shown;

/// The least time from one report to the next.
const LEAST: Duration = Duration::from_millis(50);
/// How many times as long as a report took there is none: a third of the engine's thread at the most.
const REST: u32 = 2;
/// The most keys of a bucket in which locks of `shizuku` services are looked for: they can stand at
/// any key, and listing a million of them again is too much to do unasked.
const MOST_KEYS: u64 = 10_000;

/// What the task is asked for.
#[derive(Debug)]
pub(super) enum Ask {
    /// Observe these buckets, and no others.
    Buckets(Vec<BucketName>),
    /// Look for locks of `shizuku` services from now on.
    Foreign,
    /// Read the past of a lock.
    Timeline(RequestId, BucketName, Key),
    /// Write all locks to this file, as those of the place that is called so.
    Snapshot(RequestId, PathBuf, String),
}

/// Where the latest report is laid down; what nobody looked at yet is replaced.
pub(super) type Slot = watch::Sender<Option<Arc<LockReport>>>;

/// Observes until nobody asks any more.
pub(super) async fn run(
    backend: Arc<dyn Backend>,
    mut asked: mpsc::UnboundedReceiver<Ask>,
    slot: Arc<Slot>,
    replies: mpsc::UnboundedSender<Delivery>,
) {
    let options = ObserveOptions {
        buckets: Some(Vec::new()),
        // The clock of a file is this machine's.
        trusts_wall: !backend.capabilities().remote,
        ..ObserveOptions::default()
    };
    // Without buckets there is nothing that could fail.
    let Ok(mut observer) = observe(Arc::clone(&backend), options).await else {
        return;
    };
    // In a copy nobody beats and nothing changes: what was found then is what there is to tell.
    let copy = match (Snapshot::of(&*backend).await, backend.capabilities().as_of) {
        (Ok(copy), _) => copy,
        (Err(_), None) => None,
        (Err(error), Some(taken)) => BucketName::new(BUCKET)
            .ok()
            .map(|bucket| Snapshot::unreadable(taken, bucket, error.to_string())),
    };
    if let Some(copy) = &copy {
        slot.send_replace(Some(Arc::new(of_then(copy))));
    }
    let mut readers = JoinSet::new();
    let mut foreign = false;
    // Since when there is something to tell, and when it may be told.
    let (mut is_news, mut due) = (false, Instant::now());
    loop {
        tokio::select! {
            ask = asked.recv() => match ask {
                None => return,
                Some(Ask::Buckets(buckets)) => {
                    follow(&*backend, &mut observer, &buckets, foreign).await;
                    is_news = copy.is_none();
                }
                Some(Ask::Foreign) => {
                    foreign = true;
                    let known: Vec<_> = observer.picture().buckets().cloned().collect();
                    for bucket in small_ones(&*backend, &known).await {
                        observer.add_foreign(bucket);
                    }
                    is_news = copy.is_none();
                }
                Some(Ask::Snapshot(id, path, place)) => {
                    let (picture, now) = (observer.picture().clone(), observer.now());
                    let (backend, replies) = (Arc::clone(&backend), replies.clone());
                    readers.spawn(async move {
                        // Where there are many locks it takes longer than others can wait.
                        let judging = spawn_blocking(move || picture.whole_report(now));
                        let answer = match judging.await {
                            Ok(report) => {
                                let taken = now.wall;
                                let taken = Snapshot { taken, place, report };
                                snapshot::write(&*backend, &taken, &path).await
                            }
                            // It ends with this program only.
                            Err(_) => Err(Error::Closed),
                        };
                        deliver(&replies, Message::Reply(id, Reply::Snapshot(answer)));
                    });
                }
                Some(Ask::Timeline(id, bucket, key)) => {
                    while readers.try_join_next().is_some() {}
                    let deaths = observer.picture().deaths(&bucket);
                    let (backend, replies) = (Arc::clone(&backend), replies.clone());
                    readers.spawn(async move {
                        let answer = async {
                            let bucket = backend.bucket(&bucket).await?;
                            past(&*bucket, &key, &deaths).await
                        };
                        let answer = answer.await;
                        deliver(&replies, Message::Reply(id, Reply::Timeline(answer)));
                    });
                }
            },
            is_open = observer.changed(), if copy.is_none() || !observer.is_loaded() => {
                if !is_open && copy.is_none() {
                    slot.send_replace(Some(Arc::new(report(&mut observer))));
                    return;
                }
                is_news = copy.is_none();
            }
            () = sleep_until(due), if is_news => {
                let begun = std::time::Instant::now();
                slot.send_replace(Some(Arc::new(report(&mut observer))));
                due = Instant::now() + (begun.elapsed() * REST).max(LEAST);
                is_news = false;
            }
        }
    }
}

fn of_then(copy: &Snapshot) -> LockReport {
    LockReport {
        report: copy.report.clone(),
        at: shown::millis(copy.taken),
        boot: copy.report.boot(),
    }
}

fn report(observer: &mut Observer) -> LockReport {
    let now = observer.now();
    LockReport {
        report: observer.refresh(now),
        at: shown::millis(now.wall),
        boot: now.boot,
    }
}

async fn follow(
    backend: &dyn Backend,
    observer: &mut Observer,
    buckets: &[BucketName],
    foreign: bool,
) {
    let gone: Vec<BucketName> = observer
        .picture()
        .buckets()
        .filter(|known| !buckets.contains(known))
        .cloned()
        .collect();
    for bucket in gone {
        observer.remove(&bucket);
    }
    let known: Vec<&BucketName> = observer.picture().buckets().collect();
    let new: Vec<BucketName> = buckets
        .iter()
        .filter(|bucket| !known.contains(bucket))
        .cloned()
        .collect();
    for bucket in &new {
        observer.add_without_foreign(bucket);
    }
    if foreign {
        for bucket in small_ones(backend, &new).await {
            observer.add_foreign(bucket);
        }
    }
}

async fn small_ones<'a>(
    backend: &dyn Backend,
    buckets: &'a [BucketName],
) -> impl Iterator<Item = &'a BucketName> {
    let are_small = join_all(buckets.iter().map(|bucket| is_small(backend, bucket))).await;
    let buckets = buckets.iter().zip(are_small);
    buckets.filter_map(|(bucket, is_small)| is_small.then_some(bucket))
}

async fn is_small(backend: &dyn Backend, bucket: &BucketName) -> bool {
    let info = async { backend.bucket(bucket).await?.info().await };
    info.await.is_ok_and(|info| info.keys <= MOST_KEYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Store;
    use crate::kv::backend::BucketConfig;
    use crate::kv::memory::Memory;

    #[tokio::test]
    async fn large_buckets_are_not_listed_a_second_time() {
        let memory = Memory::new();
        for (name, keys) in [("small", 10), ("large", MOST_KEYS + 1)] {
            let config = BucketConfig::new(BucketName::new(name).unwrap());
            memory.create_bucket(&config).await.unwrap();
            let store = Store::open(&memory, name).await.unwrap();
            for key in 0..keys {
                store.put(key.to_string(), "").await.unwrap();
            }
            assert_eq!(is_small(&memory, &config.name).await, name == "small");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reports_come_at_once_when_quiet_and_not_too_often() {
        let memory = Arc::new(Memory::new());
        let name = BucketName::new("locks").unwrap();
        let config = BucketConfig::new(name.clone());
        memory.create_bucket(&config).await.unwrap();
        let store = Store::open(&*memory, "locks").await.unwrap();
        let (asks, asked) = mpsc::unbounded_channel();
        let (slot, mut reports) = watch::channel(None);
        let (replies, _replies) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(run(memory, asked, Arc::new(slot), replies));
        asks.send(Ask::Buckets(vec![name])).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        reports.mark_unchanged();

        // Nobody holds anything: nothing is told.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!reports.has_changed().unwrap());

        let record = r#"{"v":1,"next":0,"q":[]}"#;
        let begun = Instant::now();
        store.put("_lock.a", record).await.unwrap();
        reports.changed().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "at once");

        let mut told = 0;
        for n in 0..200 {
            store.put(format!("_lock.{n}"), record).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
            if reports.has_changed().unwrap() {
                told += 1;
                reports.mark_unchanged();
            }
        }
        // What a report takes is of a real clock, and makes them fewer.
        assert!((4..=21).contains(&told), "{told} in a second");
        // The last of it is told too.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let latest = reports.borrow_and_update().clone();
        assert_eq!(latest.unwrap().report.locks.len(), 201);

        drop(asks);
        tasks.join_next().await.unwrap().unwrap();
    }
}
