//! Values of any size and content, and keys of any name that is allowed.

use bytes::Bytes;

use super::bench::keys;
use super::entries::newest_of;
use super::{Bench, Failure, Outcome, equal, that};
use crate::kv::backend::{BucketConfig, Write};
use crate::kv::{Error, Filter, Key, Operation, Revision, Store, WriteError};

/// Where a place sets no limit, this much has to fit.
const MEBIBYTE: u64 = 1 << 20;

/// That many bytes, no two neighbours alike.
pub(super) fn bytes(size: u64) -> Bytes {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn too_large(result: Result<Revision, WriteError>, size: u64) -> Outcome {
    match result {
        Err(WriteError::Failed(Error::TooLarge { size: told, limit })) => {
            equal(told, size, "the size in the error")?;
            that(limit < size, "the limit in the error is not below the size")
        }
        other => Err(Failure::new(format!("{size} bytes gave {other:?}"))),
    }
}

async fn comes_back(store: &Store, key: &str, value: &Bytes, revision: Revision) -> Outcome {
    let entry = newest_of(store, key).await?;
    equal(entry.revision, revision, "revision")?;
    equal(entry.size, value.len() as u64, "size")?;
    // Not shown: a mebibyte in a failure helps nobody.
    that(
        entry.value.as_ref() == Some(value),
        "another value came back",
    )
}

pub(super) async fn sizes_come_back(bench: Bench) -> Outcome {
    let store = bench.store(10).await?;
    for size in [0, 1, 9, 17, 255, 256, 4096, 65_536] {
        let value = bytes(size);
        let revision = store.put("a", value.clone()).await?;
        comes_back(&store, "a", &value, revision).await?;
        let kept = store.get_revision("a", revision).await?;
        that(
            kept.is_some_and(|entry| entry.value.as_ref() == Some(&value)),
            format_args!("the revision with {size} bytes is another"),
        )?;
    }
    let sizes: Vec<_> = store.history("a").await?.iter().map(|e| e.size).collect();
    equal(
        sizes,
        [0, 1, 9, 17, 255, 256, 4096, 65_536],
        "sizes in the history",
    )
}

pub(super) async fn largest_value_fits(bench: Bench) -> Outcome {
    let store = bench.store(2).await?;
    let limit = bench.can().max_value_size.unwrap_or(MEBIBYTE);
    let value = bytes(limit.min(8 * MEBIBYTE));
    let revision = store.put("a", value.clone()).await?;
    comes_back(&store, "a", &value, revision).await?;
    let revision = store.update("a", value.clone(), revision).await?;
    comes_back(&store, "a", &value, revision).await
}

pub(super) async fn too_large_is_refused(bench: Bench) -> Outcome {
    let Some(limit) = bench
        .can()
        .max_value_size
        .filter(|max| *max <= 64 * MEBIBYTE)
    else {
        return Ok(());
    };
    let store = bench.store(1).await?;
    let first = store.put("a", "1").await?;
    let size = limit + 65_536;
    too_large(store.put("a", bytes(size)).await, size)?;
    too_large(store.update("a", bytes(size), first).await, size)?;
    equal(
        newest_of(&store, "a").await?.revision,
        first,
        "the key afterwards",
    )?;
    // The connection has to live on.
    store.update("a", "2", first).await?;
    Ok(())
}

pub(super) async fn bucket_limit_is_kept(bench: Bench) -> Outcome {
    let config = BucketConfig {
        max_value_size: Some(1000),
        ..bench.config()?
    };
    let store = bench.make(&config).await?;
    // Some stores count what they add to a value, so nothing is tried close to the limit.
    let revision = store.put("a", bytes(800)).await?;
    too_large(store.put("a", bytes(1200)).await, 1200)?;
    too_large(store.update("a", bytes(1200), revision).await, 1200)?;
    comes_back(&store, "a", &bytes(800), revision).await
}

pub(super) async fn any_bytes_come_back(bench: Bench) -> Outcome {
    let store = bench.store(1).await?;
    let all: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 8] = [
        &all,
        b"\0",
        b"\r\n",
        b"\xff\xfe\x80 not UTF-8",
        b"MSG 1 2 3\r\nPING\r\n",
        b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n",
        b"'; DROP TABLE entries; --",
        "\u{1b}[31m\u{202e}日本".as_bytes(),
    ];
    for value in values {
        let value = Bytes::copy_from_slice(value);
        let revision = store.put("a", value.clone()).await?;
        comes_back(&store, "a", &value, revision).await?;
    }
    Ok(())
}

pub(super) async fn awkward_keys_work(bench: Bench) -> Outcome {
    let store = bench.store(2).await?;
    let long = "segment.".repeat(20) + "end";
    let mut names = vec![
        "-",
        "/",
        "_",
        "=",
        "0",
        "a",
        "A",
        "a.b",
        "a/b",
        "a-b",
        "a_b",
        "a=b",
        "a./.b",
        "=.=",
        "_lock.a",
        "CON",
        "null",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n",
        &long,
    ];
    for name in &names {
        store
            .update(*name, name.to_string(), Revision::ABSENT)
            .await?;
    }
    for name in &names {
        let entry = newest_of(&store, name).await?;
        equal(entry.value.as_deref(), Some(name.as_bytes()), "value")?;
        equal(store.history(name).await?.len(), 1, "entries of one key")?;
    }
    names.sort_unstable();
    let entries = store.entries(Filter::all()).await?;
    equal(keys(&entries), names, "the keys listed")
}

pub(super) async fn foreign_keys_are_removed_but_never_put(bench: Bench) -> Outcome {
    let store = bench.store(2).await?;
    for name in [
        "a b",
        "a*",
        "ä",
        "a..b",
        ".a",
        "a.",
        "",
        "a:b",
        "a\u{1b}[31m",
        ">",
        "a\r\nb",
    ] {
        let write = Write::put(Key::from_stored(name), "v");
        match store.write(write.clone()).await {
            Err(WriteError::Failed(Error::InvalidKey(_))) => {}
            other => return Err(Failure::new(format!("{name:?} gave {other:?}"))),
        }
        match store.write(write.expecting(Revision::ABSENT)).await {
            Err(WriteError::Failed(Error::InvalidKey(_))) => {}
            other => return Err(Failure::new(format!("{name:?} gave {other:?}"))),
        }
    }
    equal(store.info().await?.entries, 0, "entries")?;
    // Names that some other client could have written.
    for name in ["a:b", "ä"] {
        equal(
            store.get(name).await?,
            None,
            "a foreign key that is not there",
        )?;
        let deleted = store.delete(name, None).await?;
        let marker = newest_of(&store, name).await?;
        equal(marker.revision, deleted, "the marker's revision")?;
        store.purge(name, Some(deleted)).await?;
        let marker = newest_of(&store, name).await?;
        equal(marker.operation, Operation::Purge, "operation")?;
        equal(marker.key.as_str(), name, "key")?;
    }
    Ok(())
}
