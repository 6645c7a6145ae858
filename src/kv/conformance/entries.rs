//! Entries: put, read, deleted, purged, and kept as history.

use std::time::Duration;

use super::bench::keys;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::{Entry, Filter, Key, Operation, Revision, Store};

/// The newest entry of a key that has one.
pub(super) async fn newest_of(store: &Store, key: &str) -> Outcome<Entry> {
    let entry = store.get(key).await?;
    entry.ok_or_else(|| Failure::new(format!("{key} has no entry")))
}

fn revisions(entries: &[Entry]) -> Vec<Revision> {
    entries.iter().map(|entry| entry.revision).collect()
}

pub(super) async fn absent_key_has_nothing(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    store.put("other", "1").await?;
    equal(store.get("a").await?, None, "get")?;
    equal(store.peek("a").await?, None, "peek")?;
    equal(store.history("a").await?, Vec::new(), "history")?;
    equal(
        store.get_revision("a", Revision(7)).await?,
        None,
        "get_revision",
    )
}

pub(super) async fn put_and_get(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    let revision = store.put("a", "one").await?;
    let entry = newest_of(&store, "a").await?;
    equal(entry.key.as_str(), "a", "key")?;
    equal(entry.revision, revision, "revision")?;
    equal(entry.operation, Operation::Put, "operation")?;
    equal(entry.value.as_deref(), Some(&b"one"[..]), "value")?;
    equal(entry.size, 3, "size")?;
    equal((entry.ttl, entry.expires), (None, None), "time to live")?;
    let made = store.info().await?.created;
    that(entry.created >= made, "written before its bucket was made")?;
    let again = store.put("a", "two").await?;
    that(again > revision, "the revision did not rise")?;
    let after = newest_of(&store, "a").await?;
    equal(
        after.value.as_deref(),
        Some(&b"two"[..]),
        "value after a second put",
    )?;
    that(after.created >= entry.created, "time went backwards")
}

pub(super) async fn revisions_rise_over_the_whole_bucket(bench: Bench) -> Outcome {
    let store = bench.store(10).await?;
    let mut before = Revision::ABSENT;
    for round in 0..4 {
        for key in ["a", "b", "c.d"] {
            let revision = match round {
                2 => store.delete(key, None).await?,
                3 => store.purge(key, None).await?,
                _ => store.put(key, "v").await?,
            };
            that(
                revision > before,
                format_args!("{revision} came after {before}"),
            )?;
            before = revision;
        }
    }
    Ok(())
}

pub(super) async fn delete_leaves_a_marker_and_the_history(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let first = store.put("a", "one").await?;
    let second = store.put("a", "two").await?;
    let gone = store.delete("a", None).await?;
    let marker = newest_of(&store, "a").await?;
    equal(marker.revision, gone, "the marker's revision")?;
    equal(marker.operation, Operation::Delete, "its operation")?;
    equal(marker.size, 0, "its size")?;
    that(
        marker.value.as_deref().is_none_or(<[u8]>::is_empty),
        "a marker has a value",
    )?;
    let history = store.history("a").await?;
    equal(revisions(&history), [first, second, gone], "history")?;
    let old = store.get_revision("a", first).await?;
    equal(old.as_ref(), history.first(), "the first entry")?;
    equal(
        history[0].value.as_deref(),
        Some(&b"one"[..]),
        "the first value in the history",
    )?;
    let again = store.put("a", "three").await?;
    equal(
        revisions(&store.history("a").await?),
        [first, second, gone, again],
        "history after it was put again",
    )
}

pub(super) async fn forgetting_leaves_nothing_of_a_gone_key(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    store.put("a", "one").await?;
    store.put("b", "kept").await?;
    let gone = store.delete("a", None).await?;
    let key = Key::new("a")?;
    that(
        store.backend().forget(&key, gone).await?,
        "the marker was not found",
    )?;
    equal(store.get("a").await?, None, "the key afterwards")?;
    equal(store.history("a").await?, Vec::new(), "its history")?;
    let info = store.info().await?;
    equal((info.keys, info.entries), (1, 1), "counts afterwards")?;
    equal(info.last_revision, gone, "last revision")?;
    that(
        !store.backend().forget(&key, gone).await?,
        "it was forgotten twice",
    )?;
    let again = store.update("a", "two", Revision::ABSENT).await?;
    that(again > gone, "revisions went back")
}

pub(super) async fn forgetting_spares_what_is_there(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let key = Key::new("a")?;
    let first = store.put("a", "one").await?;
    that(
        !store.backend().forget(&key, first).await?,
        "a value was taken for a marker",
    )?;
    equal(store.history("a").await?.len(), 1, "history of a value")?;
    let gone = store.delete("a", None).await?;
    let put = store.put("a", "two").await?;
    let other = Key::new("b")?;
    that(
        !store.backend().forget(&other, gone).await?,
        "the marker of another key",
    )?;
    // Somebody wrote since the marker was seen: what they wrote stays.
    that(
        store.backend().forget(&key, gone).await?,
        "the marker was not found",
    )?;
    let history = store.history("a").await?;
    equal(revisions(&history), [put], "what is left")
}

pub(super) async fn purge_leaves_a_marker_alone(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let first = store.put("a", "one").await?;
    store.put("a", "two").await?;
    store.put("b", "kept").await?;
    let gone = store.purge("a", None).await?;
    let history = store.history("a").await?;
    equal(revisions(&history), [gone], "history")?;
    equal(history[0].operation, Operation::Purge, "its operation")?;
    equal(history[0].size, 0, "its size")?;
    equal(
        store.get_revision("a", first).await?,
        None,
        "a purged revision",
    )?;
    equal(store.history("b").await?.len(), 1, "history of another key")
}

pub(super) async fn absent_key_can_be_deleted(bench: Bench) -> Outcome {
    let store = bench.store(2).await?;
    let deleted = store.delete("a", None).await?;
    let marker = newest_of(&store, "a").await?;
    equal(marker.revision, deleted, "the marker of a delete")?;
    equal(marker.operation, Operation::Delete, "its operation")?;
    let purged = store.purge("b", None).await?;
    let marker = newest_of(&store, "b").await?;
    equal(marker.revision, purged, "the marker of a purge")?;
    equal(marker.operation, Operation::Purge, "its operation")?;
    store.delete("a", None).await?;
    equal(
        store.history("a").await?.len(),
        2,
        "history after deleting twice",
    )
}

pub(super) async fn history_is_trimmed_per_key(bench: Bench) -> Outcome {
    let store = bench.store(3).await?;
    let mut all = Vec::new();
    for value in ["1", "2", "3", "4", "5"] {
        all.push(store.put("a", value).await?);
        store.put("b", value).await?;
    }
    let history = store.history("a").await?;
    equal(revisions(&history), &all[2..], "what is kept")?;
    equal(
        store.get_revision("a", all[1]).await?,
        None,
        "a trimmed revision",
    )?;
    let values: Vec<_> = history.iter().filter_map(|e| e.value.as_deref()).collect();
    equal(values, [b"3", b"4", b"5"], "the values that are kept")?;
    let one = bench.store(1).await?;
    one.put("a", "1").await?;
    let last = one.put("a", "2").await?;
    equal(
        revisions(&one.history("a").await?),
        [last],
        "a history of one",
    )
}

pub(super) async fn revision_belongs_to_its_key(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let a = store.put("a", "1").await?;
    let b = store.put("a.b", "2").await?;
    equal(
        store.get_revision("a", b).await?,
        None,
        "another key's revision",
    )?;
    equal(
        store.get_revision("a.b", a).await?,
        None,
        "another key's revision",
    )?;
    let found = store.get_revision("a", a).await?;
    equal(found, store.get("a").await?, "its own revision")?;
    for beyond in [0, b.0 + 1, b.0 + 1000, u64::from(u32::MAX), u64::MAX] {
        let found = store.get_revision("a", Revision(beyond)).await?;
        equal(found, None, "a revision that never was")?;
    }
    Ok(())
}

pub(super) async fn any_copy_catches_up(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    store.put("a", "1").await?;
    let revision = store.put("a", "2").await?;
    for _ in 0..500 {
        if store
            .peek("a")
            .await?
            .is_some_and(|e| e.revision == revision)
        {
            return Ok(());
        }
        // A replica may be behind for as long as the server is busy.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(Failure::new(
        "no copy but the leader's has the newest entry",
    ))
}

pub(super) async fn key_listing_is_what_is_there(bench: Bench) -> Outcome {
    let store = bench.store(3).await?;
    equal(
        store.entries(Filter::all()).await?,
        Vec::new(),
        "an empty bucket",
    )?;
    for key in ["b", "a.x", "a.y", "gone", "purged"] {
        store.put(key, "value").await?;
    }
    store.delete("gone", None).await?;
    store.purge("purged", None).await?;
    let last = store.put("b", "longer value").await?;
    let entries = store.entries(Filter::all()).await?;
    equal(keys(&entries), ["a.x", "a.y", "b"], "keys")?;
    let sizes: Vec<_> = entries.iter().map(|entry| entry.size).collect();
    equal(sizes, [5, 5, 12], "sizes, in the order of writes")?;
    equal(entries[2].revision, last, "the newest revision")?;
    that(
        entries.iter().all(|entry| entry.value.is_none()),
        "values were moved",
    )?;
    let some = store.entries(Filter::new("a.*")?).await?;
    equal(keys(&some), ["a.x", "a.y"], "keys under a filter")
}
