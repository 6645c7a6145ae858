//! Three servers, some of them down.

use kvscope::kv::Store;
use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::nats::NatsBackend;

use crate::picture::Picture;
use crate::setup::{name, watch_all};
use crate::support::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_of_a_cluster_in_turn() {
    let mut cluster = Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    let mut config = BucketConfig::new(name("b"));
    config.replicas = 3;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::new(backend.bucket(&config.name).await.unwrap());
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    for node in 0..cluster.nodes.len() {
        cluster.nodes[node].kill();
        // Whoever was the leader: two of three can go on.
        eventually("two nodes take a write", async || {
            store.put(format!("without{node}"), "1").await.is_ok()
        })
        .await;
        let key = format!("without{node}");
        picture
            .until("told of it", &watch, |picture| {
                picture.keys.contains_key(&key)
            })
            .await;
        cluster.nodes[node].restart();
        eventually("three nodes take a write", async || {
            store.put(format!("with{node}"), "1").await.is_ok()
        })
        .await;
    }
    eventually("a last write", async || {
        store.put("last", "1").await.is_ok()
    })
    .await;
    picture.until_like("like the store", &watch, &store).await;
    assert_eq!(picture.keys.len(), 7);
}
