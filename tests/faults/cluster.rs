//! Three servers, some of them down.

use std::time::{Duration, Instant};

use kvscope::kv::backend::{Backend, BucketConfig, FactValue};
use kvscope::kv::nats::NatsBackend;
use kvscope::kv::{Error, Store, WriteError};

use crate::picture::Picture;
use crate::setup::{self, name, watch_all};
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
    let copies = async || store.info().await.ok().and_then(|info| info.copies);
    eventually("a leader, and two followers that have it all", async || {
        copies().await.is_some_and(|copies| {
            let current = copies.followers.iter().filter(|node| node.is_current);
            copies.cluster.as_deref() == Some("test")
                && copies.leader.is_some()
                && current.count() == 2
        })
    })
    .await;
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
        let gone = format!("node{node}");
        eventually("the one that is gone is known to be", async || {
            copies().await.is_some_and(|copies| {
                let mut followers = copies.followers.iter();
                copies.leader.as_ref() != Some(&gone)
                    && followers.any(|node| node.name == gone && !node.is_current)
            })
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_announces_its_end_is_left_for_another() {
    let mut cluster = Cluster::start().await;
    // The others are heard of from the server itself.
    let backend = setup::connect(cluster.nodes[0].url()).await;
    let mut config = BucketConfig::new(name("b"));
    config.replicas = 3;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::new(backend.bucket(&config.name).await.unwrap());
    store.put("before", "1").await.unwrap();
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture.until_like("like the store", &watch, &store).await;
    let reconnects = async || {
        let overview = backend.overview().await.ok()?;
        let sections = overview.sections.into_iter();
        let mut facts = sections.flat_map(|section| section.facts);
        facts.find_map(|fact| match fact.value {
            FactValue::Count { used, .. } if fact.name == "Reconnects" => Some(used),
            _ => None,
        })
    };
    assert_eq!(reconnects().await, Some(0));
    cluster.nodes[0].announce_end();
    eventually("another server is gone to", async || {
        reconnects().await.is_some_and(|count| count > 0)
    })
    .await;
    cluster.nodes[0].kill();
    eventually("a write at another server", async || {
        store.put("after", "1").await.is_ok()
    })
    .await;
    picture.until_like("like the store", &watch, &store).await;
    assert_eq!(picture.keys.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_any_copy_still_answers() {
    let mut cluster = Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    let mut config = BucketConfig::new(name("b"));
    config.replicas = 3;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::new(backend.bucket(&config.name).await.unwrap());
    let written = store.put("a", "1").await.unwrap();
    // Whoever looks from now on does not wait long for an answer.
    let mut options = cluster.options();
    options.timeout = Duration::from_secs(1);
    let backend = NatsBackend::connect(options).await.unwrap();
    let store = Store::new(backend.bucket(&config.name).await.unwrap());
    // Two of three are enough for an acknowledgement, and these two may be the ones that go.
    eventually("all three have it", async || {
        let info = setup::stream(&cluster.nodes[2].url(), "b")
            .await
            .get_info()
            .await;
        let cluster = info.ok().and_then(|info| info.cluster);
        cluster.is_some_and(|cluster| {
            let mut replicas = cluster.replicas.iter();
            replicas.len() == 2 && replicas.all(|node| node.current && node.lag.unwrap_or(0) == 0)
        })
    })
    .await;
    cluster.nodes[0].kill();
    cluster.nodes[1].kill();

    // The node that is left has its copy, perhaps with a moment's delay.
    eventually("any copy answers", async || {
        let entry = store.peek("a").await;
        entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.revision == written))
    })
    .await;
    // A leader that has lost the others goes on answering until it notices, within some seconds.
    eventually("the leader is missed", async || {
        let begun = Instant::now();
        let answer = store.get("a").await;
        let took = begun.elapsed();
        assert!(
            took < Duration::from_secs(15),
            "with a limit of 1 s: {took:?}"
        );
        matches!(
            answer,
            Err(Error::NoAnswer { .. } | Error::Refused { .. } | Error::Unreachable { .. })
        )
    })
    .await;
    let unknown = store.put("a", "2").await;
    assert!(
        matches!(
            unknown,
            Err(WriteError::Unknown { .. } | WriteError::Failed(_))
        ),
        "{unknown:?}"
    );

    // The same for whoever comes only now.
    let mut options = setup::options(cluster.nodes[2].url());
    options.timeout = Duration::from_secs(5);
    eventually("any copy answers who comes late", async || {
        let Ok(late) = NatsBackend::connect(options.clone()).await else {
            return false;
        };
        let Ok(bucket) = late.bucket(&config.name).await else {
            return false;
        };
        let entry = Store::new(bucket).peek("a").await;
        entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.revision == written))
    })
    .await;
}
