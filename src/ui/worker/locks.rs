//! The task that observes the locks of a place, and tells of them no more often than a screen can
//! use.
//!
//! Making a report (sessions joined, circles of waiting looked for) is done here and so off the
//! drawing path. What is not known here is what a report is for.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until};

use super::{Delivery, deliver};
use crate::kv::backend::Backend;
use crate::kv::lock::timeline::timeline;
use crate::kv::lock::{ObserveOptions, Observer, observe};
use crate::kv::{BucketName, Entry, Error, Key};
use crate::ui::message::{LockReport, Message, Reply, RequestId};
use crate::ui::shown;

/// The least time from one report to the next.
const LEAST: Duration = Duration::from_millis(50);
/// How many times as long as a report took there is none: a third of a processor at the most.
const REST: u32 = 2;

/// What the task is asked for.
#[derive(Debug)]
pub(super) enum Ask {
    /// Observe these buckets, and no others.
    Buckets(Vec<BucketName>),
    /// Read the past of a lock.
    Timeline(RequestId, BucketName, Key),
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
    let mut readers = JoinSet::new();
    // Since when there is something to tell, and when it may be told.
    let (mut is_news, mut due) = (false, Instant::now());
    loop {
        tokio::select! {
            ask = asked.recv() => match ask {
                None => return,
                Some(Ask::Buckets(buckets)) => {
                    follow(&mut observer, &buckets);
                    is_news = true;
                }
                Some(Ask::Timeline(id, bucket, key)) => {
                    while readers.try_join_next().is_some() {}
                    let deaths = observer.picture().deaths(&bucket);
                    let (backend, replies) = (Arc::clone(&backend), replies.clone());
                    readers.spawn(async move {
                        let history = history(&*backend, &bucket, &key).await;
                        let answer = history.map(|history| timeline(&history, &deaths));
                        deliver(&replies, Message::Reply(id, Reply::Timeline(answer)));
                    });
                }
            },
            is_open = observer.changed() => {
                if !is_open {
                    slot.send_replace(Some(Arc::new(report(&observer))));
                    return;
                }
                is_news = true;
            }
            () = sleep_until(due), if is_news => {
                let begun = std::time::Instant::now();
                slot.send_replace(Some(Arc::new(report(&observer))));
                due = Instant::now() + (begun.elapsed() * REST).max(LEAST);
                is_news = false;
            }
        }
    }
}

fn report(observer: &Observer) -> LockReport {
    let now = observer.now();
    LockReport {
        report: observer.picture().report(now),
        at: shown::millis(now.wall),
        boot: now.boot,
    }
}

fn follow(observer: &mut Observer, buckets: &[BucketName]) {
    let gone: Vec<BucketName> = observer
        .picture()
        .buckets()
        .filter(|known| !buckets.contains(known))
        .cloned()
        .collect();
    for bucket in gone {
        observer.remove(&bucket);
    }
    for bucket in buckets {
        observer.add(bucket);
    }
}

async fn history(
    backend: &dyn Backend,
    bucket: &BucketName,
    key: &Key,
) -> Result<Vec<Entry>, Error> {
    backend.bucket(bucket).await?.history(key).await
}
