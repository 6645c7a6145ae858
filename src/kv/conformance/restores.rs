//! Entries that were read elsewhere are put in place as they were there, or not at all.

use std::time::Duration;

use time::OffsetDateTime;

use super::bench::keys;
use super::{Bench, Failure, Outcome, equal};
use crate::kv::{Entry, Error, Filter, Key, Operation, Revision, Store};

fn entry(key: &str, revision: u64, operation: Operation) -> Outcome<Entry> {
    let value = match operation {
        Operation::Put => format!("{key} at {revision}"),
        Operation::Delete | Operation::Purge | Operation::Expire => String::new(),
    };
    Ok(Entry {
        key: Key::new(key)?,
        revision: Revision(revision),
        created: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(revision % 100_000),
        operation,
        size: value.len() as u64,
        value: Some(value.into()),
        ttl: None,
        expires: None,
    })
}

/// Restores them; says whether the place can. One that can't has to say so, and leave no trace.
async fn restored(bench: &Bench, store: &Store, entries: &[Entry]) -> Outcome<bool> {
    let result = store.backend().restore(entries.to_vec()).await;
    if bench.can().restores {
        result?;
        return Ok(true);
    }
    refused(result)?;
    equal(store.info().await?.entries, 0, "entries after a refusal")?;
    Ok(false)
}

fn refused(result: Result<(), Error>) -> Outcome {
    match result {
        Err(Error::Unsupported { .. }) => Ok(()),
        other => Err(Failure::new(format!("not refused: {other:?}"))),
    }
}

pub(super) async fn entries_are_put_in_place_as_they_were(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let past = [
        entry("a", 40, Operation::Put)?,
        entry("b", 41, Operation::Put)?,
        entry("a", 7_000, Operation::Put)?,
        entry("b", 7_001, Operation::Delete)?,
    ];
    if !restored(&bench, &store, &past).await? {
        return Ok(());
    }
    for key in ["a", "b"] {
        let own = past.iter().filter(|entry| entry.key.as_str() == key);
        let own: Vec<_> = own.cloned().collect();
        equal(store.history(key).await?, own, "the history")?;
    }
    let info = store.info().await?;
    equal(
        (info.keys, info.entries, info.last_revision),
        (2, 4, Revision(7_001)),
        "keys, entries and last revision",
    )?;
    let live = store.entries(Filter::all()).await?;
    equal(keys(&live), ["a"], "live keys")?;
    equal(
        store.put("c", "new").await?,
        Revision(7_002),
        "what follows",
    )
}

pub(super) async fn what_is_not_behind_is_refused_with_all_that_comes_with_it(
    bench: Bench,
) -> Outcome {
    let store = bench.store(5).await?;
    let first = [entry("a", 10, Operation::Put)?];
    if !restored(&bench, &store, &first).await? {
        return Ok(());
    }
    let before = store.info().await?;
    for revisions in [[11, 10], [11, 11], [9, 12], [11, u64::MAX]] {
        let [one, other] = revisions;
        let entries = vec![
            entry("b", one, Operation::Put)?,
            entry("c", other, Operation::Put)?,
        ];
        refused(store.backend().restore(entries).await)?;
        equal(store.info().await?, before.clone(), "the bucket afterwards")?;
    }
    Ok(())
}
