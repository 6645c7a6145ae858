//! Many at once: writers against each other, and watchers against writers.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, future, stream};

use super::bench::{Probe, newest};
use super::entries::newest_of;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::{
    CreateError, Entry, Filter, Key, Revision, Store, WatchEvent, WatchOptions, WriteError,
};

const WRITERS: usize = 8;

/// Runs that many of the same in tasks of their own.
async fn at_once<T, F, R>(count: usize, run: F) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Fn(usize) -> R,
    R: Future<Output = Outcome<T>> + Send + 'static,
{
    let tasks = (0..count).map(|number| tokio::spawn(run(number)));
    let ended = future::join_all(tasks.collect::<Vec<_>>()).await;
    ended
        .into_iter()
        .map(|task| task.map_err(Failure::from).flatten())
        .collect()
}

/// Puts values under `k.<n % 100>.<n>` for `n` up to `count`, many at a time.
async fn fill(store: &Store, count: usize) -> Outcome {
    stream::iter((0..count).map(Ok))
        .try_for_each_concurrent(64, |at| async move {
            store
                .put(format!("k.{}.{at}", at % 100), at.to_string())
                .await?;
            Ok::<_, Failure>(())
        })
        .await
}

pub(super) async fn one_writer_wins_each_revision(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    let mut revision = store.put("a", "start").await?;
    for _ in 0..10 {
        let won = at_once(WRITERS, |writer| {
            let store = store.clone();
            async move {
                match store.update("a", writer.to_string(), revision).await {
                    Ok(revision) => Ok(Some((writer, revision))),
                    Err(WriteError::Conflict { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        })
        .await?;
        let won: Vec<_> = won.into_iter().flatten().collect();
        equal(won.len(), 1, "winners")?;
        let entry = newest_of(&store, "a").await?;
        equal(entry.revision, won[0].1, "the winner's revision")?;
        equal(
            entry.value.as_deref(),
            Some(won[0].0.to_string().as_bytes()),
            "the winner's value",
        )?;
        revision = entry.revision;
    }
    Ok(())
}

pub(super) async fn no_increment_is_lost(bench: Bench) -> Outcome {
    const EACH: usize = 25;
    let store = bench.store(1).await?;
    store.put("count", "0").await?;
    let revisions = at_once(WRITERS, |_| {
        let store = store.clone();
        async move {
            let mut won = Vec::new();
            while won.len() < EACH {
                let entry = newest_of(&store, "count").await?;
                let value = entry.value.unwrap_or_default();
                let count: usize = std::str::from_utf8(&value)?.parse()?;
                let next = (count + 1).to_string();
                match store.update("count", next, entry.revision).await {
                    Ok(revision) => won.push(revision),
                    Err(WriteError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(won)
        }
    })
    .await?;
    let revisions: BTreeSet<Revision> = revisions.into_iter().flatten().collect();
    equal(revisions.len(), WRITERS * EACH, "different revisions")?;
    let entry = newest_of(&store, "count").await?;
    let wanted = (WRITERS * EACH).to_string();
    equal(entry.value.as_deref(), Some(wanted.as_bytes()), "the count")?;
    equal(Some(&entry.revision), revisions.last(), "its revision")
}

pub(super) async fn one_create_wins(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    // On a key that never was, over a delete marker, and over a purge marker.
    for round in 0..3 {
        let won = at_once(WRITERS, |_| {
            let store = store.clone();
            async move {
                match store.create("a", "mine", None).await {
                    Ok(revision) => Ok(Some(revision)),
                    Err(CreateError::Exists { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        })
        .await?;
        equal(won.iter().flatten().count(), 1, "winners")?;
        if round == 0 {
            store.delete("a", None).await?;
        } else {
            store.purge("a", None).await?;
        }
    }
    Ok(())
}

pub(super) async fn watcher_ends_with_the_newest(bench: Bench) -> Outcome {
    const EACH: usize = 250;
    let store = bench.store(2).await?;
    let (taking, _) = Probe::all(&store).await?;
    let (sleeping, _) = Probe::all(&store).await?;
    let writers = tokio::spawn({
        let store = store.clone();
        at_once(4, move |writer| {
            let store = store.clone();
            async move {
                for at in 0..EACH {
                    let key = format!("k.{}", (at + writer) % 10);
                    match at % 25 {
                        24 => store.delete(key, None).await?,
                        _ => store.put(key, format!("{writer}.{at}")).await?,
                    };
                }
                Ok(())
            }
        })
    });
    // One watcher takes all along, the other only when all is written.
    let taking = tokio::spawn(until_last(taking));
    writers.await??;
    store.put("last", "1").await?;
    let first = taking.await??;
    let second = until_last(sleeping).await?;
    equal(&first, &second, "what the two watchers know")?;
    for (key, entry) in first {
        let real = newest_of(&store, key.as_str()).await?;
        equal(entry, real, "what the watcher knows of a key")?;
    }
    Ok(())
}

/// What a watch has told of each key when it comes to the key `last`.
async fn until_last(probe: Probe) -> Outcome<BTreeMap<Key, Entry>> {
    let mut told = Vec::new();
    while told
        .last()
        .is_none_or(|entry: &Entry| entry.key.as_str() != "last")
    {
        told.push(probe.entry().await?);
    }
    newest(told)
}

pub(super) async fn snapshot_of_many_keys(bench: Bench) -> Outcome {
    let count = bench.many_keys;
    let store = bench.store(1).await?;
    fill(&store, count).await?;
    equal(store.info().await?.keys, count as u64, "keys in the info")?;
    let (_probe, snapshot) = Probe::all(&store).await?;
    let snapshot = newest(snapshot)?;
    equal(snapshot.len(), count, "keys in the snapshot")?;
    for at in [0, count / 2, count - 1] {
        let entry = snapshot.get(format!("k.{}.{at}", at % 100).as_str());
        let value = entry.and_then(|entry| entry.value.as_deref());
        equal(value, Some(at.to_string().as_bytes()), "a value")?;
    }
    let some = store.entries(Filter::new("k.7.*")?).await?;
    equal(
        some.len(),
        (0..count).filter(|at| at % 100 == 7).count(),
        "keys under a filter",
    )?;
    let all = store.entries(Filter::all()).await?;
    equal(all.len(), count, "keys in the listing")?;
    that(
        all.is_sorted_by(|a, b| a.revision < b.revision),
        "the listing is not in the order of writes",
    )
}

pub(super) async fn snapshot_while_writing_misses_nothing(bench: Bench) -> Outcome {
    let count = bench.many_keys / 10;
    let store = bench.store(1).await?;
    let filling = tokio::spawn({
        let store = store.clone();
        async move {
            fill(&store, count).await?;
            Ok::<_, Failure>(store.put("last", "1").await?)
        }
    });
    // Begun at several moments of the writing.
    let watches: Vec<Probe> = stream::iter(0..5)
        .then(async |_| {
            let probe = Probe::new(&store, WatchOptions::new(Filter::all())).await?;
            tokio::task::yield_now().await;
            Ok::<_, Failure>(probe)
        })
        .try_collect()
        .await?;
    let last = filling.await??;
    for probe in watches {
        let (mut told, mut ready) = (Vec::new(), false);
        while !ready
            || told
                .last()
                .is_none_or(|entry: &Entry| entry.revision < last)
        {
            match probe.event().await? {
                WatchEvent::Entry(entry) => told.push(entry),
                WatchEvent::Ready if !ready => ready = true,
                event => return Err(Failure::new(format!("found {event:?}"))),
            }
        }
        equal(newest(told)?.len(), count + 1, "keys that were told")?;
    }
    Ok(())
}
