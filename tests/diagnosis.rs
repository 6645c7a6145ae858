//! What is said of a lock, against what is the matter with it: each scenario brings a real store into
//! a state, with real processes that are killed and stopped where it needs them, and the verdict must
//! appear in the JSON and on the screen. A healthy lock must never be called anything worse.
//!
//! ```sh
//! scripts/test --test diagnosis -- --nocapture     # prints the table of all scenarios
//! ```

#![cfg(all(feature = "console", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

#[path = "diagnosis/eyes.rs"]
mod eyes;
#[path = "diagnosis/faults.rs"]
mod faults;
#[path = "diagnosis/forged.rs"]
mod forged;
#[path = "support/console.rs"]
#[expect(dead_code, reason = "this uses a part of it")]
mod harness;
#[path = "diagnosis/healthy.rs"]
mod healthy;
#[path = "locks/held.rs"]
mod held;
#[path = "diagnosis/outages.rs"]
mod outages;
#[path = "diagnosis/stage.rs"]
mod stage;
#[path = "support/nats.rs"]
mod support;
#[path = "locks/worker.rs"]
mod worker;

use std::time::Instant;

use stage::{Outcome, Stage, report};
use support::NatsServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verdict_is_right_and_nothing_healthy_is_called_a_fault() {
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start();
    let file = format!("file:{}", folder.path().join("locks.kvs").display());
    let (mut outcomes, more, outages): (Vec<Outcome>, _, _) =
        tokio::join!(on("nats", server.url()), on("file", file), outages::run(),);
    outcomes.extend(more);
    outcomes.extend(outages);
    report(&outcomes, begun.elapsed());
}

/// All scenarios that need nothing but a store, beside each other in one bucket.
async fn on(engine: &'static str, place: String) -> Vec<Outcome> {
    let mut stage = Stage::new(engine, place).await;
    faults::before(&mut stage).await;
    stage.open().await;
    let (mut outcomes, healthy) = tokio::join!(faults::run(&stage), healthy::run(&stage));
    outcomes.extend(healthy);
    stage.close(outcomes).await
}
