//! What the tests against a real server share: servers of their own, and ways to hurt them.

// Each test binary uses a part of this.
#![allow(dead_code, reason = "each test binary uses a part of this")]

pub mod proxy;
pub mod server;

use std::future::Future;
use std::time::Duration;

pub use proxy::Proxy;
pub use server::{Cluster, NatsServer};

/// How long a condition may take. Far more than it needs on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds; fails with its name when it never does.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let until = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < until,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The future's output, or a failure with its name when it takes too long.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}
