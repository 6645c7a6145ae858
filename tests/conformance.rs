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
