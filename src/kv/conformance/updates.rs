//! Writes that expect a revision.

use super::entries::newest_of;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::{CreateError, Operation, Revision, Store, WriteError};

/// The write has to end in a conflict that tells the truth as far as it tells anything, and must
/// not have changed the key.
async fn conflict(
    store: &Store,
    key: &str,
    expected: Revision,
    write: impl Future<Output = Result<Revision, WriteError>>,
) -> Outcome {
    let before = store.history(key).await?;
    match write.await {
        Err(WriteError::Conflict {
            key: named,
            expected: told,
            current,
        }) => {
            equal(named.as_str(), key, "the key in the conflict")?;
            equal(told, expected, "the expected revision in the conflict")?;
            let real = before.last().map_or(Revision::ABSENT, |e| e.revision);
            that(
                current.is_none_or(|current| current == real),
                format_args!("the conflict tells {current:?}, and it is {real}"),
            )?;
        }
        Ok(revision) => return Err(Failure::new(format!("it was written, at {revision}"))),
        Err(error) => return Err(Failure::new(format!("wanted a conflict, found {error:?}"))),
    }
    equal(
        store.history(key).await?,
        before,
        "the key after a conflict",
    )
}

pub(super) async fn absent_means_no_entry_at_all(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let absent = Revision::ABSENT;
    let first = store.update("a", "1", absent).await?;
    equal(newest_of(&store, "a").await?.revision, first, "revision")?;
    conflict(&store, "a", absent, store.update("a", "2", absent)).await?;
    store.delete("a", None).await?;
    conflict(&store, "a", absent, store.update("a", "2", absent)).await?;
    store.purge("a", None).await?;
    conflict(&store, "a", absent, store.update("a", "2", absent)).await?;
    // Also where other keys were written before.
    store.update("b", "1", absent).await?;
    Ok(())
}

pub(super) async fn marker_revision_creates_anew(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    for purge in [false, true] {
        let old = store.put("a", "1").await?;
        let marker = if purge {
            store.purge("a", None).await?
        } else {
            store.delete("a", None).await?
        };
        conflict(&store, "a", old, store.update("a", "2", old)).await?;
        store.update("a", "2", marker).await?;
        let entry = newest_of(&store, "a").await?;
        equal(entry.operation, Operation::Put, "operation")?;
        equal(entry.value.as_deref(), Some(&b"2"[..]), "value")?;
    }
    Ok(())
}

pub(super) async fn update_needs_the_newest_revision(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let first = store.put("a", "1").await?;
    let second = store.update("a", "2", first).await?;
    that(second > first, "the revision did not rise")?;
    conflict(&store, "a", first, store.update("a", "3", first)).await?;
    let third = store.update("a", "3", second).await?;
    let other = store.put("b", "1").await?;
    conflict(&store, "a", other, store.update("a", "4", other)).await?;
    equal(newest_of(&store, "a").await?.revision, third, "revision")?;
    // The same value again is a write like any other.
    let again = store.update("a", "3", third).await?;
    that(again > third, "the revision did not rise")
}

pub(super) async fn delete_and_purge_can_expect(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let first = store.put("a", "1").await?;
    let second = store.put("a", "2").await?;
    let stale = Some(first);
    conflict(&store, "a", first, store.delete("a", stale)).await?;
    conflict(&store, "a", first, store.purge("a", stale)).await?;
    let absent = Revision::ABSENT;
    conflict(&store, "a", absent, store.delete("a", Some(absent))).await?;
    let deleted = store.delete("a", Some(second)).await?;
    equal(
        newest_of(&store, "a").await?.operation,
        Operation::Delete,
        "operation",
    )?;
    let purged = store.purge("a", Some(deleted)).await?;
    let history = store.history("a").await?;
    equal(history.len(), 1, "entries after the purge")?;
    equal(history[0].revision, purged, "the purge's revision")?;
    conflict(&store, "a", second, store.purge("a", Some(second))).await
}

pub(super) async fn impossible_revisions_conflict(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let real = store.put("a", "1").await?;
    for impossible in [
        real.0 + 1,
        real.0 + 1_000_000,
        u64::from(u32::MAX) + 1,
        i64::MAX as u64,
    ] {
        let impossible = Revision(impossible);
        conflict(&store, "a", impossible, store.update("a", "2", impossible)).await?;
        conflict(
            &store,
            "none",
            impossible,
            store.update("none", "2", impossible),
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn other_keys_do_not_disturb(bench: Bench) -> Outcome {
    let store = bench.store(2).await?;
    let mut revision = store.put("a.b", "0").await?;
    for _ in 0..5 {
        for neighbour in ["a", "a.b.c", "a.bb", "A.b", "a.b_"] {
            store.put(neighbour, "noise").await?;
        }
        revision = store.update("a.b", "1", revision).await?;
    }
    Ok(())
}

pub(super) async fn create_goes_over_markers(bench: Bench) -> Outcome {
    let store = bench.store(5).await?;
    let first = store.create("a", "1", None).await?;
    match store.create("a", "2", None).await {
        Err(CreateError::Exists { key, current }) => {
            equal((key.as_str(), current), ("a", first), "what is there")?;
        }
        other => return Err(Failure::new(format!("{other:?}"))),
    }
    store.delete("a", None).await?;
    store.create("a", "2", None).await?;
    store.purge("a", None).await?;
    let last = store.create("a", "3", None).await?;
    let entry = newest_of(&store, "a").await?;
    equal(entry.revision, last, "revision")?;
    equal(entry.value.as_deref(), Some(&b"3"[..]), "value")
}
