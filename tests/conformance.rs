//! The contract: every backend and every wrapper runs the same suite, and random operations agree
//! with a plain model.

#[path = "support/model.rs"]
mod model;
#[path = "support/nats.rs"]
mod support;

use std::sync::Arc;

use kvscope::kv::conformance::{READ_ONLY_CASES, Suite};
use kvscope::kv::faulty::Faulty;
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::memory::Memory;
use kvscope::kv::nats::{NatsBackend, NatsOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    let suite = Suite::new(Arc::new(Memory::new()));
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_faulty_wrapper_passes_without_faults() {
    let (faulty, _faults) = Faulty::new(Arc::new(Memory::new()));
    let suite = Suite::new(Arc::new(faulty));
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("buckets.kvs");
    let backend = LocalBackend::open(&file, OpenOptions::create())
        .await
        .unwrap();
    // Each put waits for the disk.
    let suite = Suite::new(backend).many_keys(4_000);
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
}

/// One server, as a developer runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats() {
    let server = support::NatsServer::start();
    let backend = NatsBackend::connect(NatsOptions::new(server.url()))
        .await
        .unwrap();
    let suite = Suite::new(backend);
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
}

/// Three servers, each bucket on all of them, as a fleet runs them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_with_three_replicas() {
    let cluster = support::Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    let suite = Suite::new(backend).replicas(3);
    suite.run().await.assert_passed();
}

#[test]
fn memory_agrees_with_the_model() {
    model::check(400, async || Arc::new(Memory::new()));
}

#[test]
fn a_local_file_agrees_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("buckets.kvs");
    model::check(100, async || {
        LocalBackend::open(&file, OpenOptions::create())
            .await
            .unwrap()
    });
}

#[test]
fn nats_agrees_with_the_model() {
    let server = support::NatsServer::start();
    model::check(100, async || {
        NatsBackend::connect(NatsOptions::new(server.url()))
            .await
            .unwrap()
    });
}
