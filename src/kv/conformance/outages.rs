//! Buckets that go away under a watch. Outages of the connection need more than a contract to be
//! made; each backend tries its own.

use super::bench::{Probe, keys, newest};
use super::{Bench, Outcome, equal, that};
use crate::kv::{Filter, Revision, WatchEvent, WatchFrom, WatchOptions};

pub(super) async fn deleted_bucket_interrupts_until_it_is_back(bench: Bench) -> Outcome {
    let config = bench.config()?;
    let store = bench.make(&config).await?;
    store.put("a", "old").await?;
    store.put("b", "old").await?;
    let (probe, _) = Probe::all(&store).await?;
    bench.backend.delete_bucket(&config.name).await?;
    let event = probe.event().await?;
    that(
        matches!(event, WatchEvent::Interrupted { .. }),
        format_args!("deleting the bucket gave {event:?}"),
    )?;

    bench.backend.create_bucket(&config).await?;
    let revision = store.update("b", "new", Revision::ABSENT).await?;
    loop {
        match probe.event().await? {
            WatchEvent::Interrupted { .. } => {}
            event => {
                equal(event, WatchEvent::Resumed { gap: true }, "how it went on")?;
                break;
            }
        }
    }
    let mut told = probe.until_ready().await?;
    if told.is_empty() {
        // It was resumed before the key was put.
        told.push(probe.entry().await?);
    }
    let told = newest(told)?;
    equal(keys(told.values()), ["b"], "keys afterwards")?;
    equal(
        told.get("b").map(|e| e.revision),
        Some(revision),
        "its revision",
    )?;
    let live = store.put("c", "live").await?;
    equal(probe.entry().await?.revision, live, "the next entry")
}

pub(super) async fn replaced_bucket_is_a_gap(bench: Bench) -> Outcome {
    let config = bench.config()?;
    let store = bench.make(&config).await?;
    for at in 0..20 {
        store.put(format!("old.{at}"), "old").await?;
    }
    let (probe, _) = Probe::all(&store).await?;
    // So fast that it may not be seen to be gone; and its revisions begin anew.
    bench.backend.delete_bucket(&config.name).await?;
    bench.backend.create_bucket(&config).await?;
    store.put("new.1", "1").await?;
    let last = store.put("new.2", "2").await?;
    that(
        probe.until_resumed().await?,
        "it went on as if nothing had been missed",
    )?;
    let mut told = probe.until_ready().await?;
    while told.last().is_none_or(|entry| entry.revision < last) {
        told.push(probe.entry().await?);
    }
    equal(
        keys(newest(told)?.values()),
        ["new.1", "new.2"],
        "keys afterwards",
    )?;
    let live = store.put("old.3", "live").await?;
    equal(probe.entry().await?.revision, live, "the next entry")
}

pub(super) async fn replaced_bucket_has_no_snapshot_for_what_is_new(bench: Bench) -> Outcome {
    let config = bench.config()?;
    let store = bench.make(&config).await?;
    for at in 0..20 {
        store.put(format!("old.{at}"), "old").await?;
    }
    let options = WatchOptions::new(Filter::all()).from(WatchFrom::Now);
    let probe = Probe::new(&store, options).await?;
    equal(probe.event().await?, WatchEvent::Ready, "first event")?;
    bench.backend.delete_bucket(&config.name).await?;
    bench.backend.create_bucket(&config).await?;
    that(
        probe.until_resumed().await?,
        "it went on as if nothing had been missed",
    )?;
    equal(probe.event().await?, WatchEvent::Ready, "after the gap")?;
    let live = store.put("new", "live").await?;
    equal(probe.entry().await?.revision, live, "the next entry")
}
