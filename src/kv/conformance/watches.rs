//! What a watch tells, and in which order, as long as nothing goes wrong.

use super::bench::{Probe, keys, newest};
use super::entries::newest_of;
use super::values::bytes;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::{
    Entry, Error, Filter, Operation, Revision, Store, WatchEvent, WatchFrom, WatchOptions,
};

fn everything() -> WatchOptions {
    WatchOptions::new(Filter::all())
}

fn revisions(entries: &[Entry]) -> Vec<Revision> {
    entries.iter().map(|entry| entry.revision).collect()
}

/// The next entry has to be that write, and nothing else may come before it.
async fn next_is(probe: &Probe, key: &str, revision: Revision) -> Outcome {
    let entry = probe.entry().await?;
    equal(
        (entry.key.as_str(), entry.revision),
        (key, revision),
        "the next entry",
    )
}

/// Every way of beginning, for a bucket that holds nothing that matches.
const BEGINNINGS: [WatchFrom; 4] = [
    WatchFrom::Newest,
    WatchFrom::History,
    WatchFrom::Now,
    WatchFrom::Revision(Revision(1)),
];

pub(super) async fn empty_bucket_is_ready(bench: Bench) -> Outcome {
    for from in BEGINNINGS {
        let store = bench.store(1).await?;
        let probe = Probe::new(&store, everything().from(from)).await?;
        equal(probe.event().await?, WatchEvent::Ready, "first event")?;
        let revision = store.put("a", "1").await?;
        next_is(&probe, "a", revision).await?;
    }
    Ok(())
}

pub(super) async fn filter_that_matches_nothing_is_ready(bench: Bench) -> Outcome {
    for from in BEGINNINGS {
        let store = bench.store(1).await?;
        store.put("a.b", "1").await?;
        let options = WatchOptions::new(Filter::new("none.>")?).from(from);
        let probe = Probe::new(&store, options).await?;
        equal(probe.event().await?, WatchEvent::Ready, "first event")?;
        store.put("a.c", "not told").await?;
        let revision = store.put("none.here", "told").await?;
        next_is(&probe, "none.here", revision).await?;
    }
    Ok(())
}

pub(super) async fn snapshot_then_live(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    store.put("a", "old").await?;
    let b = store.put("b", "1").await?;
    let a = store.put("a", "new").await?;
    let (probe, snapshot) = Probe::all(&store).await?;
    let snapshot = newest(snapshot)?;
    equal(snapshot.len(), 2, "keys in the snapshot")?;
    equal(
        snapshot.get("a").cloned(),
        store.get("a").await?,
        "a in the snapshot",
    )?;
    equal(
        snapshot.get("b").map(|e| e.revision),
        Some(b),
        "b in the snapshot",
    )?;

    let third = store.update("a", "newer", a).await?;
    let fourth = store.put("c", "1").await?;
    next_is(&probe, "a", third).await?;
    let entry = probe.entry().await?;
    equal(entry.revision, fourth, "the next revision")?;
    equal(Some(entry), store.get("c").await?, "the same as by reading")
}

pub(super) async fn markers_are_in_the_snapshot(bench: Bench) -> Outcome {
    let store = bench.store(3).await?;
    for key in ["here", "deleted", "purged"] {
        store.put(key, "1").await?;
    }
    let deleted = store.delete("deleted", None).await?;
    let purged = store.purge("purged", None).await?;
    let (_probe, snapshot) = Probe::all(&store).await?;
    let snapshot = newest(snapshot)?;
    equal(
        keys(snapshot.values()),
        ["deleted", "here", "purged"],
        "keys",
    )?;
    let told = |key| snapshot.get(key).map(|e| (e.operation, e.revision));
    equal(
        told("deleted"),
        Some((Operation::Delete, deleted)),
        "the deleted key",
    )?;
    equal(
        told("purged"),
        Some((Operation::Purge, purged)),
        "the purged key",
    )
}

pub(super) async fn live_markers_come(bench: Bench) -> Outcome {
    let store = bench.store(3).await?;
    store.put("a", "1").await?;
    let (probe, _) = Probe::all(&store).await?;
    for operation in [Operation::Delete, Operation::Put, Operation::Purge] {
        let revision = match operation {
            Operation::Delete => store.delete("a", None).await?,
            Operation::Put => store.put("a", "2").await?,
            Operation::Purge | Operation::Expire => store.purge("a", None).await?,
        };
        let entry = probe.entry().await?;
        equal(
            (entry.operation, entry.revision),
            (operation, revision),
            "what came",
        )?;
        equal(Some(entry), store.get("a").await?, "the same as by reading")?;
    }
    Ok(())
}

pub(super) async fn filters_are_kept(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    let names = ["a", "a.b", "a.b.c", "a.c", "b", "b.b", "b.b.c"];
    for name in names {
        store.put(name, "1").await?;
    }
    let mut probes = Vec::new();
    for pattern in ["a", "a.*", "a.>", "*", "*.b", "*.*.c", ">", "b.b"] {
        let filter = Filter::new(pattern)?;
        let probe = Probe::new(&store, WatchOptions::new(filter.clone())).await?;
        let snapshot = probe.until_ready().await?;
        let wanted: Vec<_> = names.into_iter().filter(|n| filter.matches(n)).collect();
        equal(keys(newest(snapshot)?.values()), wanted, pattern)?;
        probes.push((filter, probe));
    }
    let mut written = Vec::new();
    for name in names {
        written.push((name, store.put(name, "2").await?));
    }
    for (filter, probe) in &probes {
        for (name, revision) in written.iter().filter(|(name, _)| filter.matches(name)) {
            next_is(probe, name, *revision).await?;
        }
    }
    Ok(())
}

pub(super) async fn values_stay_behind_when_not_wanted(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    store.put("a", bytes(1000)).await?;
    store.put("empty", "").await?;
    store.put("gone", "1").await?;
    store.delete("gone", None).await?;
    let probe = Probe::new(&store, everything().without_values()).await?;
    let snapshot = newest(probe.until_ready().await?)?;
    let told: Vec<_> = snapshot
        .values()
        .map(|e| (e.key.as_str(), e.size, e.operation))
        .collect();
    let wanted = [
        ("a", 1000, Operation::Put),
        ("empty", 0, Operation::Put),
        ("gone", 0, Operation::Delete),
    ];
    equal(told, wanted, "the snapshot")?;
    that(
        snapshot.values().all(|e| e.value.is_none()),
        "values came in the snapshot",
    )?;
    store.put("a", bytes(77)).await?;
    let live = probe.entry().await?;
    equal(
        (live.size, live.value),
        (77, None),
        "size and value of a live entry",
    )?;
    store.purge("a", None).await?;
    let live = probe.entry().await?;
    equal(
        (live.size, live.operation),
        (0, Operation::Purge),
        "a live marker",
    )
}

/// A bucket with some history, and the revisions that are kept in it.
async fn with_history(bench: &Bench) -> Outcome<(Store, Vec<Revision>)> {
    let store = bench.store(2).await?;
    store.put("a", "trimmed").await?;
    let mut kept = Vec::new();
    kept.push(store.put("a", "1").await?);
    store.put("b", "purged").await?;
    kept.push(store.put("c", "1").await?);
    kept.push(store.purge("b", None).await?);
    kept.push(store.put("a", "2").await?);
    kept.push(store.delete("c", None).await?);
    Ok((store, kept))
}

pub(super) async fn history_comes_in_order(bench: Bench) -> Outcome {
    let (store, kept) = with_history(&bench).await?;
    let probe = Probe::new(&store, everything().from(WatchFrom::History)).await?;
    let told = probe.until_ready().await?;
    equal(revisions(&told), &kept[..], "what is told")?;
    let a: Vec<_> = told.into_iter().filter(|e| e.key.as_str() == "a").collect();
    equal(a, store.history("a").await?, "the same as by reading")?;
    let live = store.put("a", "3").await?;
    next_is(&probe, "a", live).await?;
    let one = WatchOptions::new(Filter::new("c")?).from(WatchFrom::History);
    let told = Probe::new(&store, one).await?.until_ready().await?;
    equal(told, store.history("c").await?, "one key's history")
}

pub(super) async fn revision_is_a_beginning(bench: Bench) -> Outcome {
    let (store, kept) = with_history(&bench).await?;
    for from in 0..kept.len() {
        let options = everything().from(WatchFrom::Revision(kept[from]));
        let probe = Probe::new(&store, options).await?;
        let told = probe.until_ready().await?;
        equal(revisions(&told), &kept[from..], "what is told")?;
    }
    // A revision that is not kept any more.
    let options = everything().from(WatchFrom::Revision(Revision(1)));
    let probe = Probe::new(&store, options).await?;
    equal(
        revisions(&probe.until_ready().await?),
        &kept[..],
        "what is told",
    )?;
    let live = store.put("d", "1").await?;
    next_is(&probe, "d", live).await?;
    // The one that comes next.
    let next = Revision(live.0 + 1);
    let probe = Probe::new(&store, everything().from(WatchFrom::Revision(next))).await?;
    equal(probe.until_ready().await?, Vec::new(), "what is told")?;
    let live = store.put("d", "2").await?;
    next_is(&probe, "d", live).await
}

pub(super) async fn now_skips_what_was(bench: Bench) -> Outcome {
    let (store, _) = with_history(&bench).await?;
    let probe = Probe::new(&store, everything().from(WatchFrom::Now)).await?;
    // Written before the watcher has looked at anything.
    let live = store.put("a", "3").await?;
    equal(probe.event().await?, WatchEvent::Ready, "first event")?;
    next_is(&probe, "a", live).await
}

pub(super) async fn two_watches_are_independent(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    let (first, _) = Probe::all(&store).await?;
    let one = store.put("a", "1").await?;
    let (second, snapshot) = Probe::all(&store).await?;
    equal(revisions(&snapshot), [one], "the second's snapshot")?;
    let two = store.put("b", "2").await?;
    next_is(&second, "b", two).await?;
    drop(second);
    let three = store.put("c", "3").await?;
    next_is(&first, "a", one).await?;
    next_is(&first, "b", two).await?;
    next_is(&first, "c", three).await
}

pub(super) async fn missing_bucket_cannot_be_watched(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    bench.backend.delete_bucket(store.name()).await?;
    match store.watch(everything()).await {
        Err(Error::NoSuchBucket { .. }) => Ok(()),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}

pub(super) async fn large_values_come_through(bench: Bench) -> Outcome {
    let limit = bench.can().max_value_size.unwrap_or(1 << 20).min(1 << 20);
    let store = bench.store(1).await?;
    let value = bytes(limit);
    // More than any queue holds at once.
    for at in 0..40 {
        store.put(format!("k.{at}"), value.clone()).await?;
    }
    let (probe, snapshot) = Probe::all(&store).await?;
    let snapshot = newest(snapshot)?;
    equal(snapshot.len(), 40, "keys in the snapshot")?;
    for entry in snapshot.values() {
        that(entry.value.as_ref() == Some(&value), "another value came")?;
    }
    store.put("k.0", value.slice(1..)).await?;
    let live = probe.entry().await?;
    that(
        live.value.as_deref() == Some(&value[1..]),
        "another live value came",
    )?;
    equal(live.size, limit - 1, "its size")
}

pub(super) async fn dropped_watch_harms_nobody(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    store.put("a", "1").await?;
    for _ in 0..20 {
        // Dropped before, in and after its snapshot.
        drop(Probe::new(&store, everything()).await?);
        let probe = Probe::new(&store, everything()).await?;
        probe.event().await?;
        drop(probe);
        drop(Probe::all(&store).await?);
    }
    let (probe, _) = Probe::all(&store).await?;
    let revision = store.put("a", "2").await?;
    next_is(&probe, "a", revision).await?;
    equal(newest_of(&store, "a").await?.revision, revision, "revision")
}
