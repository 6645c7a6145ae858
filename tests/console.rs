//! The console as a user meets it: keys in, screens out.
//!
//! Tokio's clock is paused in these tests: what takes time takes none, and a test goes on when
//! there is nothing left to be done. The console's own clock is the test's.

#![cfg(all(feature = "console", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

#[path = "console/awkward.rs"]
mod awkward;
#[path = "console/breaking.rs"]
mod breaking;
#[path = "console/browse.rs"]
mod browse;
#[path = "console/buckets.rs"]
mod buckets;
#[path = "console/clock.rs"]
mod clock;
#[path = "console/conflict.rs"]
mod conflict;
#[path = "console/connect.rs"]
mod connect;
#[path = "console/drafts.rs"]
mod drafts;
#[path = "console/editing.rs"]
mod editing;
#[path = "console/freshness.rs"]
mod freshness;
#[path = "support/console.rs"]
mod harness;
#[path = "console/history.rs"]
mod history;
#[path = "console/locks.rs"]
mod locks;
#[path = "console/looks.rs"]
mod looks;
#[path = "support/planted.rs"]
mod planted;
#[path = "console/pointer.rs"]
mod pointer;
#[path = "console/removal.rs"]
mod removal;
#[path = "support/scene.rs"]
mod scene;
#[path = "console/screens.rs"]
mod screens;
#[path = "console/session.rs"]
mod session;
#[path = "console/sifting.rs"]
mod sifting;
#[path = "console/sight.rs"]
mod sight;
#[path = "console/sizes.rs"]
mod sizes;
#[path = "console/snapshot.rs"]
mod snapshot;
#[path = "console/undo.rs"]
mod undo;
#[path = "console/value.rs"]
mod value;

use std::sync::Arc;
use std::time::Duration;

use harness::Console;
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Filter, Store};

/// A new bucket.
async fn bucket(backend: &dyn Backend, name: &str) -> Store {
    let mut config = BucketConfig::new(BucketName::new(name).unwrap());
    config.history = 5;
    config.marker_ttl = Some(Duration::from_secs(3600));
    backend.create_bucket(&config).await.unwrap();
    Store::open(backend, name).await.unwrap()
}

/// A store with the bucket `config`, and these entries in it.
async fn store(entries: &[(&str, &str)]) -> (Arc<Memory>, Store) {
    let memory = Arc::new(Memory::new());
    let config = bucket(&*memory, "config").await;
    for (key, value) in entries {
        config.put(key, (*value).to_owned()).await.unwrap();
        // No two entries are of the same age.
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    (memory, config)
}

/// A console on that, with everything that there is to show, and the keyboard in the keys.
async fn opened(entries: &[(&str, &str)]) -> (Console, Store) {
    let (memory, config) = store(entries).await;
    (in_keys(Console::on(memory, 120, 30)).await, config)
}

/// The same with the keyboard in the keys of the first bucket.
async fn in_keys(mut console: Console) -> Console {
    console.is_live().await;
    console.settle().await;
    console.settled("enter").await;
    console
}

/// The keys of the pane as they are shown: name and revision.
fn shown_keys(console: &Console) -> Vec<(String, u64)> {
    let rows = console.pane(" Keys ").into_iter().skip(1);
    let words = rows.filter_map(|row| {
        let row = row.trim_start_matches([' ', '●']);
        let mut words = row.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    words.collect()
}

/// The keys of a bucket as the store has them.
async fn stored_keys(store: &Store) -> Vec<(String, u64)> {
    let entries = store.entries(Filter::all()).await.unwrap();
    let mut keys: Vec<_> = entries
        .iter()
        .map(|entry| (entry.key.to_string(), entry.revision.0))
        .collect();
    keys.sort();
    keys
}
