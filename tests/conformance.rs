//! The contract: every backend and every wrapper runs the same suite, and random operations agree
//! with a plain model.
#![cfg(feature = "testing")]

#[path = "support/model.rs"]
mod model;

use std::sync::Arc;

use kvscope::kv::conformance::{READ_ONLY_CASES, Suite};
use kvscope::kv::faulty::Faulty;
use kvscope::kv::memory::Memory;

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

#[test]
fn memory_agrees_with_the_model() {
    model::check(400, async || Arc::new(Memory::new()));
}

#[cfg(feature = "local")]
#[test]
fn a_local_file_agrees_with_the_model() {
    use kvscope::kv::local::{LocalBackend, OpenOptions};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("buckets.kvs");
    model::check(100, async || {
        LocalBackend::open(&file, OpenOptions::create())
            .await
            .unwrap()
    });
}

#[cfg(feature = "local")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local() {
    use kvscope::kv::local::{LocalBackend, OpenOptions};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("buckets.kvs");
    let backend = LocalBackend::open(&file, OpenOptions::create())
        .await
        .unwrap();
    let suite = Suite::new(backend);
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
}
