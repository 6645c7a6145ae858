//! What a read-only backend promises: every read and watch, and no write at all.

use super::bench::{Probe, keys};
use super::{Bench, Case, Failure, Outcome, cases, equal, that};
use crate::kv::backend::{Backend, BucketConfig, Write};
use crate::kv::{Error, Filter, Key, ReadOnly, ReadOnlySwitch, Revision, Store, WriteError};

/// Every case for [`ReadOnly`] over the backend under test, which itself has to be writable.
pub const READ_ONLY_CASES: &[Case] = {
    use super::read_only;
    cases![
        read_only::it_says_so,
        read_only::reads_and_watches_pass,
        read_only::every_write_is_refused,
        read_only::every_change_of_buckets_is_refused,
        read_only::a_switch_holds_for_handles_from_before,
    ]
};

/// A bucket with a key, and the same bucket through the wrapper.
async fn stores(bench: &Bench) -> Outcome<(Store, Store, ReadOnly<dyn Backend>)> {
    let store = bench.store(3).await?;
    store.put("a", "1").await?;
    let wrapped = ReadOnly::new(std::sync::Arc::clone(&bench.backend));
    let guarded = Store::open(&wrapped, store.name().as_str()).await?;
    Ok((store, guarded, wrapped))
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Outcome {
    match result {
        Err(Error::ReadOnly { action }) => that(!action.is_empty(), "no action is named"),
        other => Err(Failure::new(format!("not refused: {other:?}"))),
    }
}

pub(super) async fn it_says_so(bench: Bench) -> Outcome {
    let (store, guarded, wrapped) = stores(&bench).await?;
    that(
        !store.capabilities().read_only,
        "the backend itself is read-only",
    )?;
    that(
        guarded.capabilities().read_only,
        "the bucket does not say so",
    )?;
    that(
        wrapped.capabilities().read_only,
        "the backend does not say so",
    )
}

pub(super) async fn reads_and_watches_pass(bench: Bench) -> Outcome {
    let (store, guarded, wrapped) = stores(&bench).await?;
    wrapped.ping().await?;
    // Not all of it: an overview counts what has happened meanwhile.
    let (overview, same) = (wrapped.overview().await?, bench.backend.overview().await?);
    equal(overview.address, same.address, "address")?;
    equal(overview.engine, same.engine, "engine")?;
    equal(guarded.name(), store.name(), "name")?;
    equal(guarded.info().await?, store.info().await?, "info")?;
    equal(
        wrapped.report().await?.version,
        bench.backend.report().await?.version,
        "the version in a report",
    )?;
    let (report, same) = (
        guarded.backend().report().await?,
        store.backend().report().await?,
    );
    equal(
        (report.clock.is_some(), report.direct_reads),
        (same.clock.is_some(), same.direct_reads),
        "a bucket's report",
    )?;
    let entry = store.get("a").await?;
    let revision = entry.as_ref().map_or(Revision::ABSENT, |e| e.revision);
    equal(guarded.get("a").await?, entry.clone(), "get")?;
    equal(
        guarded.get_revision("a", revision).await?,
        entry,
        "get_revision",
    )?;
    equal(
        guarded.history("a").await?,
        store.history("a").await?,
        "history",
    )?;
    equal(
        keys(&guarded.entries(Filter::all()).await?),
        ["a"],
        "entries",
    )?;
    let listed = wrapped.buckets().await?;
    that(
        listed.iter().any(|info| info.config.name == *store.name()),
        "the bucket is not listed",
    )?;
    let (probe, snapshot) = Probe::all(&guarded).await?;
    equal(keys(&snapshot), ["a"], "snapshot")?;
    let live = store.put("b", "2").await?;
    equal(probe.entry().await?.revision, live, "a live entry")
}

pub(super) async fn every_write_is_refused(bench: Bench) -> Outcome {
    let (store, guarded, _wrapped) = stores(&bench).await?;
    let before = store.info().await?;
    let key = Key::new("a")?;
    for write in [
        Write::put(key.clone(), "2"),
        Write::delete(key.clone()),
        Write::purge(key.clone()),
    ] {
        for write in [
            write.clone(),
            write.clone().expecting(Revision::ABSENT),
            write.expecting(before.last_revision),
        ] {
            match guarded.write(write).await {
                Err(WriteError::Failed(error)) => refused::<()>(Err(error))?,
                other => return Err(Failure::new(format!("not refused: {other:?}"))),
            }
        }
    }
    refused(guarded.backend().forget(&key, before.last_revision).await)?;
    let entries = store.entries(Filter::all()).await?;
    refused(guarded.backend().restore(entries).await)?;
    equal(store.info().await?, before, "the bucket afterwards")
}

pub(super) async fn every_change_of_buckets_is_refused(bench: Bench) -> Outcome {
    let (store, _guarded, wrapped) = stores(&bench).await?;
    let before = store.info().await?;
    refused(wrapped.create_bucket(&bench.config()?).await)?;
    refused(wrapped.create_bucket(&before.config).await)?;
    let changed = BucketConfig {
        description: "changed".to_owned(),
        ..before.config.clone()
    };
    refused(wrapped.change_bucket(&changed).await)?;
    refused(wrapped.delete_bucket(store.name()).await)?;
    equal(store.info().await?, before, "the bucket afterwards")
}

pub(super) async fn a_switch_holds_for_handles_from_before(bench: Bench) -> Outcome {
    let switch = ReadOnlySwitch::default();
    let inner = std::sync::Arc::clone(&bench.backend);
    let switched = ReadOnly::switched(inner, switch.clone());
    let store = bench.store(3).await?;
    let handle = Store::open(&switched, store.name().as_str()).await?;
    that(!handle.capabilities().read_only, "it is read-only at first")?;
    handle.put("a", "1").await?;
    switch.set(true);
    that(handle.capabilities().read_only, "the handle does not know")?;
    that(
        switched.capabilities().read_only,
        "the backend does not know",
    )?;
    match handle.put("a", "2").await {
        Err(WriteError::Failed(error)) => refused(Err::<(), _>(error))?,
        other => return Err(Failure::new(format!("not refused: {other:?}"))),
    }
    refused(switched.delete_bucket(store.name()).await)?;
    switch.set(false);
    handle.put("a", "3").await?;
    // What is read-only inside stays so.
    let inner = std::sync::Arc::new(ReadOnly::new(std::sync::Arc::clone(&bench.backend)));
    let twice = ReadOnly::switched(inner, switch);
    that(twice.capabilities().read_only, "it was made writable")?;
    refused(twice.delete_bucket(store.name()).await)
}
