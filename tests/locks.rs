//! The lock as a service meets it, on every backend.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "locks/cases.rs"]
mod cases;
#[path = "locks/held.rs"]
mod held;
#[path = "locks/layers.rs"]
mod layers;
#[path = "locks/limits.rs"]
mod limits;
#[path = "locks/notices.rs"]
mod notices;
#[path = "locks/observed.rs"]
mod observed;
#[path = "locks/oracle.rs"]
mod oracle;
#[path = "locks/processes.rs"]
mod processes;
#[path = "locks/processors.rs"]
mod processors;
#[path = "locks/schedules.rs"]
mod schedules;
#[path = "locks/servers.rs"]
mod servers;
#[path = "support/nats.rs"]
mod support;
#[path = "locks/worker.rs"]
mod worker;

use std::sync::Arc;

use kvscope::kv::backend::Backend;
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::memory::Memory;
use kvscope::kv::nats::{NatsBackend, NatsOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    cases::run(async || Arc::new(Memory::new()) as Arc<dyn Backend>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locks.kvs");
    let connect = async || {
        let backend = LocalBackend::open(&file, OpenOptions::create()).await;
        backend.unwrap() as Arc<dyn Backend>
    };
    cases::run(connect).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats() {
    let server = support::NatsServer::start();
    let connect = async || {
        let backend = NatsBackend::connect(NatsOptions::new(server.url())).await;
        backend.unwrap() as Arc<dyn Backend>
    };
    cases::run(connect).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observed_in_memory() {
    observed::run(Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observed_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locks.kvs");
    let backend = LocalBackend::open(&file, OpenOptions::create()).await;
    observed::run(backend.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observed_on_a_server() {
    let server = support::NatsServer::start();
    let backend = NatsBackend::connect(NatsOptions::new(server.url())).await;
    observed::run(backend.unwrap()).await;
}
