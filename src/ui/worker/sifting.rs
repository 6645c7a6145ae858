//! A filter over values: a watch of a bucket that tells only of keys whose value a query matches.
//!
//! What is handed on is a watch again, so that the keys are shown as any others: a key that
//! matches no more is told as one that is gone. Values are read and forgotten, a batch at a time.

use std::collections::HashSet;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::kv::backend::Backend;
use crate::kv::{BucketName, Entry, Error, Filter, Key, Operation, WatchEvent, WatchOptions};
use crate::query::{Answer, GivenUp, Query, Sieve};
use crate::ui::message::{Message, Sifted, WatchId};

/// How many values are looked at at once.
const VALUES: usize = 256;

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// The query was given up.
    #[error(transparent)]
    Query(#[from] GivenUp),
}

/// Tells of what matches until nobody listens any more, and why it ended otherwise.
pub(super) async fn run(
    id: WatchId,
    backend: &dyn Backend,
    bucket: &BucketName,
    query: Query,
    program: Option<PathBuf>,
    batches: &mpsc::Sender<Message>,
) -> Result<(), Ended> {
    let sieve = match program {
        Some(program) => Sieve::run_by(program, query),
        None => Sieve::new(query).map_err(GivenUp::from)?,
    };
    let bucket = backend.bucket(bucket).await?;
    let watch = bucket.watch(WatchOptions::new(Filter::all())).await?;
    let mut sifter = Sifter {
        sieve,
        matched: HashSet::new(),
        looked: 0,
        unfit: 0,
        stopped: 0,
    };
    while let Some(events) = watch.next_batch_of(VALUES).await {
        let events = sifter.sift(events).await?;
        let sifted = Sifted {
            events,
            looked: sifter.looked,
            unfit: sifter.unfit,
            stopped: sifter.stopped,
        };
        if batches.send(Message::Sifted(id, sifted)).await.is_err() {
            return Ok(());
        }
    }
    Err(Error::Closed.into())
}

struct Sifter {
    sieve: Sieve,
    /// The keys that were told of as matching.
    matched: HashSet<Key>,
    /// How many values were looked at.
    looked: u64,
    /// How many of them the query can't be applied to.
    unfit: u64,
    /// How many of them it did not come to an end with.
    stopped: u64,
}

impl Sifter {
    async fn sift(&mut self, events: Vec<WatchEvent>) -> Result<Vec<WatchEvent>, GivenUp> {
        let values: Vec<Bytes> = events.iter().filter_map(value_of).cloned().collect();
        let mut answers = self.sieve.ask(&values).await?.into_iter();
        let mut told = Vec::with_capacity(events.len());
        for event in events {
            let has_value = value_of(&event).is_some();
            match event {
                WatchEvent::Entry(entry) => {
                    let answer = if has_value { answers.next() } else { None };
                    told.extend(self.judge(entry, answer.as_ref()).map(WatchEvent::Entry));
                }
                WatchEvent::Resumed { gap: true } => {
                    self.matched.clear();
                    (self.looked, self.unfit, self.stopped) = (0, 0, 0);
                    told.push(WatchEvent::Resumed { gap: true });
                }
                other => told.push(other),
            }
        }
        Ok(told)
    }

    /// What to tell of an entry: itself, that the key is gone from what matches, or nothing.
    fn judge(&mut self, entry: Entry, answer: Option<&Answer>) -> Option<Entry> {
        self.looked += u64::from(answer.is_some());
        match answer {
            Some(Answer::Match(_)) => {
                self.matched.insert(entry.key.clone());
                return Some(Entry {
                    value: None,
                    ..entry
                });
            }
            Some(Answer::NoJson(_) | Answer::Failed(_)) => self.unfit += 1,
            Some(Answer::Stopped(_)) => self.stopped += 1,
            Some(Answer::NoMatch(_)) | None => {}
        }
        self.matched.remove(&entry.key).then(|| Entry {
            operation: match entry.operation {
                Operation::Put => Operation::Purge,
                gone => gone,
            },
            value: None,
            size: 0,
            expires: None,
            ..entry
        })
    }
}

fn value_of(event: &WatchEvent) -> Option<&Bytes> {
    match event {
        WatchEvent::Entry(entry) => entry.live_value(),
        _ => None,
    }
}
