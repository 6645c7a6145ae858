//! Times to live, of entries and of buckets. The only cases that let time pass.

use std::time::Duration;

use time::OffsetDateTime;

use super::bench::Probe;
use super::entries::newest_of;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::backend::{BucketConfig, Write};
use crate::kv::{Entry, Error, Key, Operation, Revision, Store, WatchEvent, WriteError};

const SECOND: Duration = Duration::from_secs(1);
/// What has to be seen before it expires lives so long: far longer than that takes.
const LIFE: Duration = Duration::from_secs(3);

/// A bucket for entries with a time to live, or `None` where the place has none; then it is
/// checked that it says so.
async fn store(bench: &Bench) -> Outcome<Option<Store>> {
    let config = BucketConfig {
        marker_ttl: Some(Duration::from_secs(60)),
        ..bench.config()?
    };
    if bench.can().entry_ttl {
        return Ok(Some(bench.make(&config).await?));
    }
    match bench.backend.create_bucket(&config).await {
        Err(Error::BucketConfig { .. } | Error::Unsupported { .. }) => Ok(None),
        other => Err(Failure::new(format!(
            "a bucket with markers gave {other:?}"
        ))),
    }
}

fn put(key: &str, ttl: Duration) -> Outcome<Write> {
    Ok(Write::put(Key::new(key)?, "v").with_ttl(ttl))
}

/// Waits until a key has no value. A store may need some seconds more than the time to live.
async fn until_gone(store: &Store, key: &str) -> Outcome<Option<Entry>> {
    for _ in 0..800 {
        match store.get(key).await? {
            Some(entry) if !entry.is_marker() => {}
            gone => return Ok(gone),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::new(format!("{key} did not expire within 40 s")))
}

pub(super) async fn entry_expires(bench: Bench) -> Outcome {
    let Some(store) = store(&bench).await? else {
        return Ok(());
    };
    let (probe, _) = Probe::all(&store).await?;
    store.put("b", "stays").await?;
    let revision = store.write(put("a", LIFE)?).await?;
    let entry = newest_of(&store, "a").await?;
    equal(entry.ttl, Some(LIFE), "time to live")?;
    equal(entry.expires, Some(entry.created + LIFE), "expiry")?;
    let stays = newest_of(&store, "b").await?;
    equal(
        (stays.ttl, stays.expires),
        (None, None),
        "another key's time to live",
    )?;
    equal(probe.entry().await?.key.as_str(), "b", "first told")?;
    equal(probe.entry().await?, entry, "what the watch tells")?;

    if let Some(marker) = until_gone(&store, "a").await? {
        equal(
            marker.operation,
            Operation::Expire,
            "the marker's operation",
        )?;
    }
    let told = probe.entry().await?;
    equal(told.key.as_str(), "a", "the marker's key")?;
    equal(told.operation, Operation::Expire, "its operation")?;
    that(told.revision > revision, "it has no revision of its own")?;
    equal(newest_of(&store, "b").await?, stays, "another key")?;
    store.create("a", "anew", None).await?;
    Ok(())
}

pub(super) async fn update_without_ttl_takes_it_away(bench: Bench) -> Outcome {
    let Some(store) = store(&bench).await? else {
        return Ok(());
    };
    // On a busy machine it may expire before it is updated: then there is a marker, and another key
    // is taken.
    let mut taken = None;
    for attempt in 0..20 {
        let key = format!("a{attempt}");
        let revision = store.write(put(&key, SECOND)?).await?;
        store.write(put("reference", SECOND)?).await?;
        match store.update(&key, "2", revision).await {
            Err(WriteError::Conflict { .. }) => {}
            updated => {
                updated?;
                taken = Some(key);
                break;
            }
        }
    }
    let Some(key) = taken else {
        return Err(Failure::new("it always expired before it was updated"));
    };
    let a = key.as_str();
    equal(newest_of(&store, a).await?.ttl, None, "time to live")?;
    until_gone(&store, "reference").await?;
    let entry = newest_of(&store, a).await?;
    equal(entry.value.as_deref(), Some(&b"2"[..]), "value afterwards")
}

pub(super) async fn fraction_of_a_second_is_never_cut(bench: Bench) -> Outcome {
    let Some(store) = store(&bench).await? else {
        return Ok(());
    };
    for asked in [Duration::from_millis(2500), Duration::from_millis(1)] {
        match store.write(put("a", asked)?).await {
            Err(WriteError::Failed(_)) => {}
            Err(other) => return Err(other.into()),
            Ok(_) => {
                let kept = newest_of(&store, "a").await?.ttl;
                that(
                    kept.is_some_and(|kept| kept >= asked && kept.subsec_nanos() == 0),
                    format_args!("{asked:?} became {kept:?}"),
                )?;
            }
        }
    }
    Ok(())
}

pub(super) async fn ttl_needs_a_bucket_set_up_for_it(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    match store.write(put("a", SECOND)?).await {
        Err(WriteError::Failed(Error::Unsupported { .. })) => {}
        other => return Err(Failure::new(format!("{other:?}"))),
    }
    equal(store.get("a").await?, None, "the key")
}

pub(super) async fn create_keeps_its_ttl_over_a_marker(bench: Bench) -> Outcome {
    let Some(store) = store(&bench).await? else {
        return Ok(());
    };
    store.put("a", "1").await?;
    store.delete("a", None).await?;
    store.create("a", "2", Some(90 * SECOND)).await?;
    let entry = newest_of(&store, "a").await?;
    equal(entry.ttl, Some(90 * SECOND), "time to live")?;
    let again = store.get_revision("a", entry.revision).await?;
    equal(again, Some(entry.clone()), "the same by its revision")?;
    equal(
        store.history("a").await?,
        vec![entry],
        "the same in the history",
    )
}

pub(super) async fn bucket_ttl_drops_everything(bench: Bench) -> Outcome {
    let config = BucketConfig {
        ttl: Some(LIFE),
        ..bench.config()?
    };
    let store = bench.make(&config).await?;
    let revision = store.put("a", "1").await?;
    let entry = newest_of(&store, "a").await?;
    equal(entry.ttl, None, "a time to live of its own")?;
    equal(entry.expires, Some(entry.created + LIFE), "expiry")?;
    store.delete("b", None).await?;
    until_gone(&store, "a").await?;
    for _ in 0..800 {
        if store.info().await?.entries == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    equal(store.get("a").await?, None, "an entry that ran out")?;
    equal(store.get("b").await?, None, "a marker that ran out")?;
    equal(
        store.get_revision("a", revision).await?,
        None,
        "its revision",
    )?;
    equal(store.history("a").await?, Vec::new(), "its history")?;
    equal(store.info().await?.entries, 0, "entries")?;
    let (probe, mut snapshot) = Probe::all(&store).await?;
    // A replica may drop them a little later than the leader; the watcher does it itself.
    let now = OffsetDateTime::now_utc();
    snapshot.retain(|entry| entry.expires.is_none_or(|end| end > now));
    equal(snapshot, Vec::new(), "what a watch is told")?;
    let next = store.update("a", "2", Revision::ABSENT).await?;
    that(next > revision, "revisions began anew")?;
    match probe.event().await? {
        WatchEvent::Entry(entry) => equal(entry.revision, next, "what comes next"),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}
