//! Two processes that count in one key, under one lock, and lose no count.
//!
//! ```sh
//! cargo run --example mutual_exclusion                           # on a file that is made for it
//! cargo run --example mutual_exclusion -- nats://localhost:4222  # on a server
//! ```
//!
//! This process starts itself twice. Each of the two takes the write lock, reads the number, adds
//! one, and writes it: without the lock they would overwrite each other's counts.

use std::process::Command;
use std::sync::Arc;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::nats::{NatsBackend, NatsOptions};
use kvscope::kv::{BucketName, Store};

const BUCKET: &str = "example-mutual-exclusion";
const TURNS: u64 = 25;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    match (words.next(), words.next()) {
        (Some(place), Some(name)) => count(&place, &name).await,
        (place, _) => {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("example.db").display().to_string();
            run_two(&place.unwrap_or(file)).await
        }
    }
}

/// The first process: makes the bucket, and starts the two that count.
async fn run_two(place: &str) -> Result<(), Failure> {
    let backend = connect(place).await?;
    let mut config = BucketConfig::new(BucketName::new(BUCKET)?);
    config.history = 32;
    backend.create_bucket(&config).await?;
    let store = Store::open(&*backend, BUCKET).await?;
    store.put("count", "0").await?;

    let program = std::env::current_exe()?;
    let mut counting = Vec::new();
    for name in ["left", "right"] {
        counting.push(Command::new(&program).args([place, name]).spawn()?);
    }
    for mut child in counting {
        if !child.wait()?.success() {
            return Err("one of the two failed".into());
        }
    }
    let count = read(&store).await?;
    println!("counted to {count}, and {} were to be counted", 2 * TURNS);
    backend.delete_bucket(&config.name).await?;
    backend.close().await;
    if count == 2 * TURNS {
        Ok(())
    } else {
        Err("a count was lost".into())
    }
}

/// One of the two.
async fn count(place: &str, name: &str) -> Result<(), Failure> {
    let backend = connect(place).await?;
    let store = Store::open(&*backend, BUCKET).await?;
    for _ in 0..TURNS {
        let guard = store.locks().write("count").label(name).await?;
        let count = read(&store).await?;
        store.put("count", (count + 1).to_string()).await?;
        println!("{name} counts to {}, fence {}", count + 1, guard.fence());
        guard.release().await?;
    }
    // The session goes, so that nobody has to find out that this process has ended.
    store.locks().close().await;
    backend.close().await;
    Ok(())
}

async fn read(store: &Store) -> Result<u64, Failure> {
    let entry = store.get("count").await?.ok_or("there is no count")?;
    let value = entry.live_value().ok_or("there is no count")?;
    Ok(std::str::from_utf8(value)?.parse()?)
}

async fn connect(place: &str) -> Result<Arc<dyn Backend>, Failure> {
    Ok(if place.contains("://") {
        NatsBackend::connect(NatsOptions::new(place)).await?
    } else {
        LocalBackend::open(place, OpenOptions::create()).await?
    })
}
