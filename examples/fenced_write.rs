//! A holder that is paused past its lease, and writes when it wakes up: the fencing token keeps the
//! write out.
//!
//! ```sh
//! cargo run --example fenced_write                           # on a file that is made for it
//! cargo run --example fenced_write -- nats://localhost:4222  # on a server
//! ```
//!
//! The register that the lock guards keeps the highest fence that it has seen, and refuses a lower
//! one in the same compare-and-set. It need not be in the bucket that keeps the lock: a row of a
//! database with a column for the fence does as well.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::{Locks, Settings};
use kvscope::kv::nats::{NatsBackend, NatsOptions};
use kvscope::kv::{BucketName, Entry, Revision, Store, WriteError};
use serde_json::{Value, json};

const BUCKET: &str = "example-fenced-write";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("example.db").display().to_string();
    let place = std::env::args().nth(1).unwrap_or(file);
    // The holder has a runtime of its own: it can be paused, as a whole process can be.
    let holder = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rival = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;

    let (store, guard) = holder.block_on(async {
        let backend = connect(&place).await?;
        let config = BucketConfig::new(BucketName::new(BUCKET)?);
        backend.create_bucket(&config).await?;
        let store = Store::open(&*backend, BUCKET).await?;
        let guard = locks(&store, "holder")?.write("account").await?;
        write(&store, "the holder's first", guard.fence()).await?;
        println!("the holder has fence {} and has written", guard.fence());
        Ok::<_, Failure>((store, guard))
    })?;

    println!("the holder is paused: its session does not beat any more");
    rival.block_on(async {
        let backend = connect(&place).await?;
        let store = Store::open(&*backend, BUCKET).await?;
        let locks = locks(&store, "rival")?;
        let guard = locks.write("account").await?;
        write(&store, "the rival's", guard.fence()).await?;
        println!(
            "the rival took over with fence {} and has written",
            guard.fence()
        );
        guard.release().await?;
        locks.close().await;
        Ok::<_, Failure>(())
    })?;

    holder.block_on(async {
        println!("the holder wakes up; its guard says: {:?}", guard.state());
        match write(&store, "the holder's second", guard.fence()).await {
            Ok(()) => Err("the late write went through".into()),
            Err(refused) => {
                println!("it writes all the same, and is refused: {refused}");
                Ok(())
            }
        }
    })
}

/// A lease as short as it can be, so that nobody has to wait long for this example.
fn locks(store: &Store, label: &str) -> Result<Locks, Failure> {
    let lease = Lease::new(Duration::from_secs(1))?;
    Ok(Locks::new(
        store,
        Settings::default().lease(lease).label(label),
    ))
}

/// Writes to the register, unless it has seen a higher fence.
async fn write(store: &Store, text: &str, fence: u64) -> Result<(), Failure> {
    loop {
        let entry = store.get("account").await?;
        let revision = entry
            .as_ref()
            .map_or(Revision::ABSENT, |entry| entry.revision);
        let register: Value = match entry.as_ref().and_then(Entry::live_value) {
            Some(value) => serde_json::from_slice(value)?,
            None => json!({ "fence": 0 }),
        };
        let seen = register["fence"].as_u64().unwrap_or(u64::MAX);
        if fence < seen {
            return Err(format!("fence {fence} is lower than {seen}").into());
        }
        let register = json!({ "fence": fence, "text": text }).to_string();
        // Whoever writes in between has perhaps a higher fence: it is looked at again.
        match store.update("account", register, revision).await {
            Ok(_) => return Ok(()),
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn connect(place: &str) -> Result<Arc<dyn Backend>, Failure> {
    Ok(if place.contains("://") {
        NatsBackend::connect(NatsOptions::new(place)).await?
    } else {
        LocalBackend::open(place, OpenOptions::create()).await?
    })
}
