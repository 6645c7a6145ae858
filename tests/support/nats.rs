//! What the tests against a real server share: servers of their own, and ways to hurt them.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "where the bench breaks, the test fails"
)]

pub(crate) mod proxy;
pub(crate) mod server;

use std::future::Future;
use std::time::Duration;

#[allow(unused_imports, reason = "each test binary uses a part of this")]
pub(crate) use server::{Cluster, NatsServer};

/// How long a condition may take. Far more than it needs on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds; fails with its name when it never does.
pub(crate) async fn eventually<F>(what: &str, mut condition: F)
where
    F: AsyncFnMut() -> bool,
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
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
