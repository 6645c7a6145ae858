//! The contract: every backend and every wrapper runs the same suite.
#![cfg(feature = "testing")]

use std::sync::Arc;

use kvscope::kv::conformance::{READ_ONLY_CASES, Suite};
use kvscope::kv::memory::Memory;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    let suite = Suite::new(Arc::new(Memory::new()));
    suite.run().await.assert_passed();
    suite.run_cases(READ_ONLY_CASES).await.assert_passed();
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
