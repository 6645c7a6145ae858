//! Compacting a bucket: removing what is left of keys that are gone.
//!
//! A deleted key leaves a marker, so that watchers and caches hear of it. Markers stay until
//! somebody removes them, and count as keys and bytes. First comes a [`survey`], which changes
//! nothing; then [`compact`] removes what it found, each marker only as it was seen.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;

use super::{Entry, Error, Filter, Store, WatchEvent, WatchOptions};

/// How many markers are being removed at a time.
const AT_ONCE: usize = 32;

/// What there is to remove in a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Keys that have a value.
    pub living: u64,
    /// The markers that are old enough to go, in the order of their revisions.
    pub old: Vec<Entry>,
    /// Markers that are too young: somebody may not have heard of them yet.
    pub young: u64,
}

impl Survey {
    /// How many keys are gone and left a marker.
    pub fn markers(&self) -> u64 {
        self.old.len() as u64 + self.young
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Keys of which nothing is left now.
    pub removed: u64,
    /// Keys whose marker was gone when its turn came: written over, dropped, or removed by others.
    pub passed_over: u64,
    /// Keys whose turn did not come, for it was stopped.
    pub left: u64,
}

impl Compacted {
    /// How many keys had their turn.
    pub fn done(&self) -> u64 {
        self.removed + self.passed_over
    }
}

/// Looks for the markers of a bucket, and tells those that are older than that at this time: a clock
/// that is ahead of the store's takes them for older than they are.
///
/// It reads the newest entry of every key, without values: a large bucket takes a moment.
///
/// # Errors
/// Those of a watch; [`Error::Closed`] if it ended before all was told.
pub async fn survey(
    store: &Store,
    older_than: Duration,
    now: OffsetDateTime,
) -> Result<Survey, Error> {
    let watch = store
        .watch(WatchOptions::new(Filter::all()).without_values())
        .await?;
    let mut newest = std::collections::HashMap::new();
    while let Some(event) = watch.next().await {
        match event {
            WatchEvent::Entry(entry) => {
                newest.insert(entry.key.clone(), entry);
            }
            WatchEvent::Ready => return Ok(sorted_out(newest.into_values(), older_than, now)),
            WatchEvent::Resumed { gap: true } => newest.clear(),
            WatchEvent::Resumed { gap: false } | WatchEvent::Interrupted { .. } => {}
        }
    }
    Err(Error::Closed)
}

fn sorted_out(
    entries: impl Iterator<Item = Entry>,
    older_than: Duration,
    now: OffsetDateTime,
) -> Survey {
    let mut survey = Survey::default();
    for entry in entries {
        if !entry.is_marker() {
            survey.living += 1;
        } else if now - entry.created >= older_than {
            survey.old.push(entry);
        } else {
            survey.young += 1;
        }
    }
    survey.old.sort_unstable_by_key(|entry| entry.revision);
    survey
}

/// Removes the old markers that a survey found, with the history of their keys, and tells after
/// each how many are done. A key that was written since keeps what was written. When `stop` comes no
/// more are begun; those that are under way are waited for.
///
/// Cancel-safe: what was removed is removed, and doing the rest later is as good.
///
/// # Errors
/// The first failure; what was removed before it stays removed.
pub async fn compact(
    store: &Store,
    survey: &Survey,
    stop: impl Future<Output = ()> + Send,
    mut done: impl FnMut(u64) + Send,
) -> Result<Compacted, Error> {
    let mut compacted = Compacted::default();
    let backend = store.backend();
    let mut waiting = survey.old.iter();
    let mut running = FuturesUnordered::new();
    let (mut stop, mut is_stopped) = (pin!(stop), false);
    loop {
        if !is_stopped {
            let room = AT_ONCE - running.len();
            let next = waiting.by_ref().take(room);
            running.extend(next.map(|entry| backend.forget(&entry.key, entry.revision)));
        }
        tokio::select! {
            biased;
            () = &mut stop, if !is_stopped => is_stopped = true,
            ended = running.try_next() => match ended? {
                None => break,
                Some(true) => compacted.removed += 1,
                Some(false) => compacted.passed_over += 1,
            },
        }
        done(compacted.done());
    }
    compacted.left = survey.old.len() as u64 - compacted.done();
    Ok(compacted)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use super::*;
    use crate::kv::BucketName;
    use crate::kv::backend::{Backend, BucketConfig};
    use crate::kv::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn only_old_markers_go_and_only_as_they_were_seen() {
        let memory = Arc::new(Memory::new());
        let config = BucketConfig::new(BucketName::new("b").unwrap());
        memory.create_bucket(&config).await.unwrap();
        let store = Store::open(&*memory, "b").await.unwrap();
        for key in ["old", "back", "stays"] {
            store.put(key, "v").await.unwrap();
        }
        for key in ["old", "back"] {
            store.delete(key, None).await.unwrap();
        }
        tokio::time::advance(Duration::from_secs(3600)).await;
        let young = store.delete("young", None).await.unwrap();
        let marker = store.get("young").await.unwrap().unwrap();
        let now = marker.created + Duration::from_secs(1);

        let found = survey(&store, Duration::from_secs(60), now).await.unwrap();
        assert_eq!((found.living, found.young, found.markers()), (1, 1, 3));
        let keys: Vec<_> = found.old.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["old", "back"]);

        store.put("back", "again").await.unwrap();
        let mut steps = Vec::new();
        let done = compact(&store, &found, pending(), |done| steps.push(done))
            .await
            .unwrap();
        assert_eq!((done.removed, done.passed_over, done.left), (1, 1, 0));
        assert_eq!(steps, [1, 2]);
        assert_eq!(store.get("old").await.unwrap(), None);
        let back = store.get("back").await.unwrap().unwrap();
        assert_eq!(back.value.as_deref(), Some(&b"again"[..]));
        assert_eq!(
            store.get("young").await.unwrap().unwrap().revision,
            young,
            "a young marker stays"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_stopped_tells_what_is_left() {
        let memory = Arc::new(Memory::new());
        let config = BucketConfig::new(BucketName::new("b").unwrap());
        memory.create_bucket(&config).await.unwrap();
        let store = Store::open(&*memory, "b").await.unwrap();
        for n in 0..100 {
            store.delete(format!("k{n}"), None).await.unwrap();
        }
        let later = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        let found = survey(&store, Duration::ZERO, later).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut stop = Some(stop);
        let stopped = async { drop(stopped.await) };
        let some = compact(&store, &found, stopped, |done| {
            if done == 10 {
                stop.take();
            }
        });
        let some = some.await.unwrap();
        assert!((10..100).contains(&some.removed), "{some:?}");
        assert_eq!(some.removed + some.left, 100);
        let rest = survey(&store, Duration::ZERO, later).await.unwrap();
        assert_eq!(rest.markers(), some.left);
    }
}
