//! Data that vanishes behind a watcher's back: streams replaced, rolled back, purged.

use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig, Write};
use kvscope::kv::{Interruption, Key, Store};

use crate::picture::Picture;
use crate::setup::{bucket, connect, name, stream, watch_all};
use crate::support::proxy::{Proxy, Wire};
use crate::support::{NatsServer, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_deleted_and_made_again_while_connected() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    for key in ["a", "b", "c"] {
        store.put(key, "old").await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    backend.delete_bucket(&name("b")).await.unwrap();
    picture
        .until("told that it is gone", &watch, |picture| {
            picture.interruptions.contains(&Interruption::BucketGone)
        })
        .await;
    backend
        .create_bucket(&BucketConfig::new(name("b")))
        .await
        .unwrap();
    store.put("z", "new").await.unwrap();
    picture
        .until("ready again", &watch, |picture| picture.ready == 2)
        .await;
    picture.until_like("only the new key", &watch, &store).await;
    assert_eq!(picture.keys.keys().collect::<Vec<_>>(), ["z"]);
    assert_eq!(picture.gaps, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_replaced_at_once_is_noticed() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    for n in 0..10 {
        store.put(format!("k{n}"), "old").await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    // The new stream has fewer messages: going on after the tenth would be silence for ever.
    backend.delete_bucket(&name("b")).await.unwrap();
    backend
        .create_bucket(&BucketConfig::new(name("b")))
        .await
        .unwrap();
    store.put("k3", "new").await.unwrap();
    picture
        .until("a gap", &watch, |picture| picture.gaps == 1)
        .await;
    picture.until_like("only the new key", &watch, &store).await;
    assert_eq!(picture.keys.len(), 1);
    assert!(
        picture
            .interruptions
            .contains(&Interruption::BucketReplaced)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_rolled_back_while_it_was_down() {
    let mut server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    for n in 0..5 {
        store.put(format!("k{n}"), "early").await.unwrap();
    }
    server.kill();
    let backup = tempfile::tempdir().unwrap();
    copy_dir(&server.store(), backup.path());
    server.restart();
    eventually("writable again", async || {
        store.put("lost", "1").await.is_ok()
    })
    .await;
    for n in 0..5 {
        store.put(format!("lost{n}"), "2").await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;
    assert_eq!(picture.keys.len(), 11);

    server.kill();
    std::fs::remove_dir_all(server.store()).unwrap();
    copy_dir(backup.path(), &server.store());
    // Nobody may see it in between: other writes carry the count past where the watcher was.
    server.restart();
    let url = server.url();
    let other = connect(&url).await;
    let other = Store::new(other.bucket(&name("b")).await.unwrap());
    for n in 0..9 {
        other.put(format!("after{n}"), "3").await.unwrap();
    }
    picture
        .until("a gap", &watch, |picture| picture.gaps >= 1)
        .await;
    picture.until_like("like the store", &watch, &store).await;
    assert!(!picture.keys.contains_key("lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_hidden_by_as_many_writes_is_noticed() {
    let mut server = NatsServer::start();
    let url = server.url();
    let backend = connect(&url).await;
    let store = bucket(&backend, "b").await;
    store.put("a", "1").await.unwrap();
    server.kill();
    let backup = tempfile::tempdir().unwrap();
    copy_dir(&server.store(), backup.path());
    server.restart();
    eventually("writable again", async || {
        store.put("lost", "1").await.is_ok()
    })
    .await;

    // The watcher reaches the server over a wire that is cut while all this happens.
    let proxy = Proxy::to(server.port()).await;
    let far = connect(proxy.url()).await;
    let far = Store::new(far.bucket(&name("b")).await.unwrap());
    let watch = watch_all(&far).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;
    proxy.set(Wire::Cut);
    picture
        .until("cut", &watch, |picture| picture.interrupted)
        .await;
    server.kill();
    std::fs::remove_dir_all(server.store()).unwrap();
    copy_dir(backup.path(), &server.store());
    server.restart();
    // As many messages as before, and one more: the counts alone look like nothing happened.
    eventually("writable again", async || {
        store.put("other", "1").await.is_ok()
    })
    .await;
    store.put("another", "1").await.unwrap();
    proxy.set(Wire::Whole);
    picture
        .until("a gap", &watch, |picture| picture.gaps == 1)
        .await;
    picture.until_like("like the store", &watch, &store).await;
    assert!(!picture.keys.contains_key("lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_where_entries_expire_is_noticed() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let mut config = BucketConfig::new(name("b"));
    config.ttl = Some(Duration::from_hours(1));
    config.marker_ttl = Some(Duration::from_mins(1));
    backend.create_bucket(&config).await.unwrap();
    let store = Store::new(backend.bucket(&config.name).await.unwrap());
    for n in 0..10 {
        store.put(format!("k{n}"), "1").await.unwrap();
    }
    // These go of themselves, and are no reason for a gap.
    for n in 0..5 {
        let brief = Write::put(Key::new(format!("brief{n}")).unwrap(), "1");
        let brief = brief.with_ttl(Duration::from_secs(1));
        store.write(brief).await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("expired", &watch, |picture| {
            picture.ready == 1 && picture.keys.len() == 10
        })
        .await;
    let stream = stream(&server.url(), "b").await;
    stream.purge().filter("$KV.b.k5").await.unwrap();
    picture
        .until("a gap", &watch, |picture| picture.ready == 2)
        .await;
    picture.until_like("like the store", &watch, &store).await;
    assert_eq!((picture.keys.len(), picture.gaps), (9, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_while_the_wire_was_cut() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let backend = connect(proxy.url()).await;
    let store = bucket(&backend, "b").await;
    for n in 0..10 {
        store.put(format!("k{n}"), "1").await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    proxy.set(Wire::Cut);
    picture
        .until("cut", &watch, |picture| picture.interrupted)
        .await;
    let stream = stream(&server.url(), "b").await;
    stream.purge().filter("$KV.b.k5").await.unwrap();
    proxy.set(Wire::Whole);
    picture
        .until("resumed", &watch, |picture| picture.ready == 2)
        .await;
    picture.until_like("like the store", &watch, &store).await;
    assert_eq!((picture.keys.len(), picture.gaps), (9, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_under_a_watch_is_noticed() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    for n in 0..10 {
        store.put(format!("k{n}"), "1").await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;
    stream(&server.url(), "b").await.purge().await.unwrap();
    picture
        .until("a gap", &watch, |picture| picture.ready == 2)
        .await;
    assert!(picture.keys.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_purged_while_others_are_written_is_noticed() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let mut config = BucketConfig::new(name("b"));
    config.history = 5;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::new(backend.bucket(&config.name).await.unwrap());
    for n in 0..10 {
        store.put(format!("k{n}"), "1").await.unwrap();
    }
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0.. {
                store.put("busy", n.to_string()).await.unwrap();
                if n % 50 == 0 {
                    store.put(format!("new{n}"), "1").await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let stream = stream(&server.url(), "b").await;
    stream.purge().filter("$KV.b.k5").await.unwrap();
    picture
        .until("a gap", &watch, |picture| picture.ready == 2)
        .await;
    writing.abort();
    assert!(!picture.keys.contains_key("k5"));
    assert!(picture.keys.contains_key("k4"));
    assert_eq!(picture.gaps, 1);
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
