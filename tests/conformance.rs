//! The contract: every backend and every wrapper runs the same suite.
#![cfg(feature = "testing")]

#[cfg(feature = "nats")]
mod support;

use std::sync::Arc;

use kvscope::kv::conformance::{READ_ONLY_CASES, Suite};
use kvscope::kv::memory::Memory;
#[cfg(feature = "nats")]
use kvscope::kv::nats::{NatsBackend, NatsOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    let suite = Suite::new(Arc::new(Memory::new()));
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
}

/// One server, as a developer runs it.
#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats() {
    let server = support::NatsServer::start();
    let backend = NatsBackend::connect(NatsOptions::new(server.url()))
        .await
        .unwrap();
    let suite = Suite::new(backend);
    suite.run().await.assert_passed();
}

/// Three servers, each bucket on all of them, as a fleet runs them.
#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_with_three_replicas() {
    let cluster = support::Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    let suite = Suite::new(backend).replicas(3);
    suite.run().await.assert_passed();
}
