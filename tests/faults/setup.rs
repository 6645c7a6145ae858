//! What most tests begin with: a connection, a bucket, a watch; and a look behind the engine's back.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::nats::{NatsBackend, NatsOptions};
use kvscope::kv::{BucketName, Filter, Store, Watch, WatchOptions};

use crate::support::{eventually, soon};

pub(crate) fn options(url: impl Into<String>) -> NatsOptions {
    NatsOptions::new(url)
}

pub(crate) async fn connect(url: impl Into<String>) -> Arc<NatsBackend> {
    NatsBackend::connect(options(url)).await.unwrap()
}

pub(crate) fn name(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

/// The bucket of that name, made first.
pub(crate) async fn bucket(backend: &NatsBackend, bucket: &str) -> Store {
    let config = BucketConfig::new(name(bucket));
    eventually("a bucket can be made", async || {
        backend.create_bucket(&config).await.is_ok()
    })
    .await;
    Store::new(backend.bucket(&config.name).await.unwrap())
}

pub(crate) async fn watch_all(store: &Store) -> Watch {
    store.watch(WatchOptions::new(Filter::all())).await.unwrap()
}

/// The stream of a bucket, behind the engine's back.
pub(crate) async fn stream(url: &str, bucket: &str) -> jetstream::stream::Stream {
    let client = async_nats::connect(url).await.unwrap();
    let context = jetstream::new(client);
    soon("the stream", async {
        loop {
            if let Ok(stream) = context.get_stream(format!("KV_{bucket}")).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

pub(crate) async fn consumers(url: &str, bucket: &str) -> usize {
    let info = stream(url, bucket).await.get_info().await;
    info.map_or(usize::MAX, |info| info.state.consumer_count)
}
