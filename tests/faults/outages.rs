//! Watches and writes through an outage: of the server, the wire, a node.

use std::time::Duration;

use kvscope::kv::backend::{Backend, Connection};
use kvscope::kv::nats::NatsBackend;
use kvscope::kv::{
    Error, Filter, Interruption, Store, WatchEvent, WatchFrom, WatchOptions, WriteError,
};

use crate::picture::Picture;
use crate::setup::{bucket, connect, consumers, name, options, stream, watch_all};
use crate::support::proxy::{Proxy, Wire};
use crate::support::{NatsServer, eventually, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_restarts_under_a_watch() {
    let mut server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();

    let writing = tokio::spawn({
        let backend = connect(server.url()).await;
        let store = Store::new(backend.bucket(&name("b")).await.unwrap());
        async move {
            for n in 0_u64.. {
                let key = format!("k{}", n % 17);
                // Whether it lands is not the point; that the watcher knows if it did, is.
                if n % 5 == 0 {
                    let _ = store.delete(&key, None).await;
                } else {
                    let _ = store.put(&key, n.to_string()).await;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    for round in 0..20 {
        let told = picture.interruptions.len();
        server.kill();
        let down = |picture: &Picture| picture.interruptions.len() > told;
        picture.until("told of the outage", &watch, down).await;
        server.restart();
        let up = |picture: &Picture| !picture.interrupted && picture.since_gap.is_none();
        picture
            .until(&format!("back, round {round}"), &watch, up)
            .await;
    }
    writing.abort();
    let _ = writing.await;
    let probe = soon("a write", async {
        loop {
            if let Ok(revision) = store.put("probe", "1").await {
                return revision;
            }
        }
    })
    .await;
    picture
        .until("the last write", &watch, |picture| {
            picture
                .keys
                .get("probe")
                .is_some_and(|held| held.0 == probe)
        })
        .await;
    picture
        .until_like("the picture is that of the store", &watch, &store)
        .await;
    assert!(picture.resumptions >= 20);
    assert_eq!(picture.interruptions[0], Interruption::Disconnected);

    let url = server.url();
    eventually("one consumer is left", async || {
        consumers(&url, "b").await == 1
    })
    .await;
    drop(watch);
    eventually("no consumer is left", async || {
        consumers(&url, "b").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_bucket_resumes_without_a_gap() {
    let mut server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    store.put("a", "1").await.unwrap();
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    server.kill();
    picture
        .until("down", &watch, |picture| picture.interrupted)
        .await;
    let state = backend.connection();
    eventually("it is told how it fails", async || {
        matches!(&*state.borrow(), Connection::Reconnecting { attempts, reason, .. }
            if *attempts > 0 && reason.contains("refused"))
    })
    .await;
    let refused = store.put("b", "1").await;
    assert!(
        matches!(refused, Err(WriteError::Failed(Error::Unreachable { .. }))),
        "{refused:?}"
    );
    server.restart();
    picture
        .until("up", &watch, |picture| picture.resumptions == 1)
        .await;
    assert_eq!(picture.gaps, 0);
    store.put("b", "2").await.unwrap();
    picture.until_like("live again", &watch, &store).await;
    assert_eq!((picture.gaps, picture.ready), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_told_and_mended() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let backend = connect(proxy.url()).await;
    let store = bucket(&backend, "b").await;
    let direct = connect(server.url()).await;
    let direct = Store::new(direct.bucket(&name("b")).await.unwrap());
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    proxy.set(Wire::Cut);
    picture
        .until("cut", &watch, |picture| picture.interrupted)
        .await;
    assert!(matches!(
        *backend.connection().borrow(),
        Connection::Reconnecting { .. }
    ));
    let refused = store.get("a").await;
    assert!(
        matches!(refused, Err(Error::Unreachable { .. })),
        "{refused:?}"
    );
    direct.put("a", "meanwhile").await.unwrap();
    proxy.set(Wire::Whole);
    picture.until_like("like the store", &watch, &direct).await;
    assert_eq!(picture.keys.len(), 1);
    assert_eq!(picture.gaps, 0, "one more message, and none is gone");
    eventually("connected", async || {
        *backend.connection().borrow() == Connection::Connected
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_somebody_deletes_is_made_again() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    store.put("a", "1").await.unwrap();
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;

    let stream = stream(&server.url(), "b").await;
    let consumer = futures_util::StreamExt::next(&mut stream.consumer_names()).await;
    stream
        .delete_consumer(&consumer.unwrap().unwrap())
        .await
        .unwrap();
    store.put("b", "2").await.unwrap();
    picture
        .until("resumed", &watch, |picture| picture.resumptions == 1)
        .await;
    picture.until_like("like the store", &watch, &store).await;
    assert_eq!(picture.gaps, 0);
    assert_eq!(picture.interruptions, [Interruption::Stalled]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_acknowledgement_is_unknown() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let mut options = options(proxy.url());
    options.timeout = Duration::from_secs(3);
    let backend = NatsBackend::connect(options).await.unwrap();
    let store = bucket(&backend, "b").await;
    let first = store.put("a", "1").await.unwrap();

    proxy.set(Wire::DropAnswers);
    let lost = store.update("a", "2", first).await;
    assert!(matches!(lost, Err(WriteError::Unknown { .. })), "{lost:?}");
    let silent = store.get("a").await;
    assert!(matches!(silent, Err(Error::NoAnswer { .. })), "{silent:?}");

    // It had landed.
    let direct = connect(server.url()).await;
    let direct = Store::new(direct.bucket(&name("b")).await.unwrap());
    let entry = direct.get("a").await.unwrap().unwrap();
    assert_eq!(entry.live_value().unwrap(), "2");
    assert!(matches!(
        direct.update("a", "3", first).await,
        Err(WriteError::Conflict { current: Some(current), .. }) if current == entry.revision
    ));

    // A connection that breaks while a write waits leaves it unknown too, at once.
    let writing = tokio::spawn(async move { store.put("c", "1").await });
    eventually("the write is stored", async || {
        direct.get("c").await.unwrap().is_some()
    })
    .await;
    proxy.set(Wire::Cut);
    let lost = soon("an end", writing).await.unwrap();
    assert!(matches!(lost, Err(WriteError::Unknown { .. })), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_leaves_a_write_unknown_and_is_survived() {
    let server = NatsServer::start();
    let mut options = options(server.url());
    options.timeout = Duration::from_secs(3);
    let backend = NatsBackend::connect(options).await.unwrap();
    let store = bucket(&backend, "b").await;
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    server.pause();
    let lost = store.put("a", "1").await;
    assert!(matches!(lost, Err(WriteError::Unknown { .. })), "{lost:?}");
    picture
        .until("told of silence", &watch, |picture| picture.interrupted)
        .await;
    server.go_on();
    picture
        .until("the write that was unknown", &watch, |picture| {
            picture.keys.contains_key("a") && !picture.interrupted
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_for_what_is_new_never_brings_a_snapshot() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let direct = connect(server.url()).await;
    let direct = bucket(&direct, "b").await;
    for key in ["a", "b", "c"] {
        direct.put(key, "1").await.unwrap();
    }
    let backend = connect(proxy.url()).await;
    let store = Store::new(backend.bucket(&name("b")).await.unwrap());
    let options = WatchOptions::new(Filter::all()).from(WatchFrom::Now);
    let watch = store.watch(options).await.unwrap();
    let next = async || soon("an event", watch.next()).await.unwrap();
    assert_eq!(next().await, WatchEvent::Ready);

    proxy.set(Wire::Cut);
    assert!(matches!(next().await, WatchEvent::Interrupted { .. }));
    // One that can't be told any more, and the one that replaced it.
    direct.put("a", "2").await.unwrap();
    let newest = direct.put("a", "3").await.unwrap();
    proxy.set(Wire::Whole);
    assert_eq!(next().await, WatchEvent::Resumed { gap: true });
    assert_eq!(next().await, WatchEvent::Ready);
    let WatchEvent::Entry(entry) = next().await else {
        panic!("no entry");
    };
    assert_eq!(entry.revision, newest);
    let live = direct.put("b", "2").await.unwrap();
    assert!(matches!(next().await, WatchEvent::Entry(entry) if entry.revision == live));
}
