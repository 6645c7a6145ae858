//! What happens when a NATS server, its streams or the wire to it fail.

#![cfg(feature = "nats")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;
use kvscope::kv::backend::{Backend, BucketConfig, Connection};
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret, Tls};
use kvscope::kv::{
    BucketName, Error, Filter, Interruption, Revision, Store, Watch, WatchEvent, WatchOptions,
    WriteError,
};
use support::proxy::{Proxy, Wire};
use support::{Cluster, NatsServer, eventually, soon};

/// A value, and the revision it came with.
type Held = (Revision, Bytes);

/// What a watcher knows of a bucket, from what it was told alone.
#[derive(Default)]
struct Picture {
    keys: BTreeMap<String, Held>,
    /// The keys that a snapshot has brought so far.
    since_gap: Option<BTreeMap<String, Held>>,
    interruptions: Vec<Interruption>,
    gaps: usize,
    resumptions: usize,
    ready: usize,
    interrupted: bool,
}

impl Picture {
    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Entry(entry) => {
                let keys = self.since_gap.as_mut().unwrap_or(&mut self.keys);
                let name = entry.key.to_string();
                match entry.live_value() {
                    Some(value) => keys.insert(name, (entry.revision, value.clone())),
                    None => keys.remove(&name),
                };
            }
            WatchEvent::Ready => {
                self.ready += 1;
                if let Some(keys) = self.since_gap.take() {
                    self.keys = keys;
                }
            }
            WatchEvent::Interrupted { cause } => {
                self.interruptions.push(cause);
                self.interrupted = true;
            }
            WatchEvent::Resumed { gap } => {
                self.resumptions += 1;
                self.interrupted = false;
                if gap {
                    self.gaps += 1;
                    self.since_gap = Some(BTreeMap::new());
                }
            }
        }
    }

    /// Takes events until the condition holds.
    async fn until(&mut self, what: &str, watch: &Watch, holds: impl Fn(&Self) -> bool) {
        soon(what, async {
            while !holds(self) {
                self.take(watch.next().await.expect("the watch goes on"));
            }
        })
        .await;
    }

    /// Takes events until the picture is that of the store.
    async fn until_like(&mut self, what: &str, watch: &Watch, store: &Store) {
        let wanted = content(store).await;
        self.until(what, watch, |picture| {
            picture.since_gap.is_none() && !picture.interrupted && picture.keys == wanted
        })
        .await;
    }
}

/// What is in a bucket, asked of the store key by key.
async fn content(store: &Store) -> BTreeMap<String, Held> {
    let mut content = BTreeMap::new();
    for entry in soon("a list of keys", store.entries(Filter::all()))
        .await
        .unwrap()
    {
        let entry = store
            .get(&entry.key)
            .await
            .unwrap()
            .expect("the key is there");
        let value = entry.live_value().expect("it has a value").clone();
        content.insert(entry.key.to_string(), (entry.revision, value));
    }
    content
}

fn options(url: impl Into<String>) -> NatsOptions {
    NatsOptions::new(url)
}

async fn connect(url: impl Into<String>) -> Arc<NatsBackend> {
    NatsBackend::connect(options(url)).await.unwrap()
}

fn name(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

/// The bucket of that name, made first.
async fn bucket(backend: &NatsBackend, bucket: &str) -> Store {
    let config = BucketConfig::new(name(bucket));
    eventually("a bucket can be made", async || {
        backend.create_bucket(&config).await.is_ok()
    })
    .await;
    Store::new(backend.bucket(&config.name).await.unwrap())
}

async fn watch_all(store: &Store) -> Watch {
    store.watch(WatchOptions::new(Filter::all())).await.unwrap()
}

/// The stream of a bucket, behind the engine's back.
async fn stream(url: &str, bucket: &str) -> jetstream::stream::Stream {
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

async fn consumers(url: &str, bucket: &str) -> usize {
    let info = stream(url, bucket).await.get_info().await;
    info.map_or(usize::MAX, |info| info.state.consumer_count)
}

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
async fn a_lost_acknowledgement_is_unknown() {
    let server = NatsServer::start();
    let proxy = Proxy::to(server.port()).await;
    let mut options = options(proxy.url());
    options.timeout = Duration::from_millis(700);
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
    options.timeout = Duration::from_millis(500);
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

const ACCOUNTS: &str = r#"
authorization {
  users = [
    { user: admin, password: s3cr3t }
    { user: reader, password: s3cr3t, permissions: {
        publish: { deny: ["$KV.>", "$JS.API.STREAM.LIST", "$JS.API.STREAM.DELETE.>", "$JS.API.INFO"] } } }
    { user: blind, password: s3cr3t, permissions: {
        publish: { deny: ["$JS.API.STREAM.INFO.>"] } } }
  ]
}
"#;

fn user(url: String, user: &str) -> NatsOptions {
    let mut options = options(url);
    options.auth = Auth::User {
        name: user.to_owned(),
        password: Secret::new("s3cr3t"),
    };
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_permitted_is_denied_at_once() {
    let server = NatsServer::with_config(ACCOUNTS);
    let admin = NatsBackend::connect(user(server.url(), "admin"))
        .await
        .unwrap();
    bucket(&admin, "b").await.put("a", "1").await.unwrap();

    let mut options = user(server.url(), "reader");
    options.timeout = Duration::from_mins(1);
    let reader = NatsBackend::connect(options).await.unwrap();
    let denied = soon("a refusal", reader.buckets()).await;
    assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
    let store = Store::new(reader.bucket(&name("b")).await.unwrap());
    assert!(store.get("a").await.unwrap().is_some());
    let denied = soon("a refusal", store.put("a", "2")).await;
    assert!(
        matches!(denied, Err(WriteError::Failed(Error::Denied { .. }))),
        "{denied:?}"
    );
    let denied = soon("a refusal", reader.delete_bucket(&name("b"))).await;
    assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
    assert!(soon("a ping", reader.ping()).await.is_ok());
    assert!(soon("an overview", reader.overview()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_can_be_used_without_looking_at_its_stream() {
    let server = NatsServer::with_config(ACCOUNTS);
    let admin = NatsBackend::connect(user(server.url(), "admin"))
        .await
        .unwrap();
    bucket(&admin, "b").await.put("a", "1").await.unwrap();

    let blind = NatsBackend::connect(user(server.url(), "blind"))
        .await
        .unwrap();
    let store = Store::new(blind.bucket(&name("b")).await.unwrap());
    store.put("b", "2").await.unwrap();
    let watch = watch_all(&store).await;
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready == 1)
        .await;
    assert_eq!(picture.keys.len(), 2);
    assert_eq!(store.history("a").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_to_connect_are_told_apart_and_hold_no_secret() {
    let server = NatsServer::with_config(ACCOUNTS);
    let told = |error: &Error| {
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("wr0ng") && !text.contains("s3cr3t"),
            "{text}"
        );
    };
    let host = server.url().replace("nats://", "");

    let error = NatsBackend::connect(options(format!("nats://admin:wr0ng@{host}")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    told(&error);
    // Credentials in the address are used.
    NatsBackend::connect(options(format!("nats://admin:s3cr3t@{host}")))
        .await
        .unwrap();

    let mut encrypted = user(server.url(), "admin");
    encrypted.tls = Tls {
        required: true,
        ..Tls::default()
    };
    let error = NatsBackend::connect(encrypted).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    told(&error);

    drop(server);
    let error = NatsBackend::connect(options(format!("nats://admin:s3cr3t@{host}")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    told(&error);

    let quiet = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = options(format!("nats://{}", quiet.local_addr().unwrap()));
    options.timeout = Duration::from_millis(200);
    let error = soon("an end", NatsBackend::connect(options))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_or_domain_without_jetstream_is_said_to_have_none() {
    let server = NatsServer::with_config(
        "accounts {
            plain { users: [ { user: admin, password: s3cr3t } ] }
            other { jetstream: enabled }
        }",
    );
    let error = NatsBackend::connect(user(server.url(), "admin"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoJetStream { .. }), "{error:?}");

    let server = NatsServer::start();
    let mut options = options(server.url());
    options.jetstream_domain = Some("elsewhere".to_owned());
    let error = NatsBackend::connect(options).await.unwrap_err();
    assert!(matches!(error, Error::NoJetStream { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_is_read_and_written_through_its_prefix() {
    let server = NatsServer::in_domain("hub");
    let mut options = options(server.url());
    options.jetstream_domain = Some("hub".to_owned());
    options.inbox_prefix = Some("_OWN".to_owned());
    let backend = NatsBackend::connect(options).await.unwrap();
    let store = bucket(&backend, "b").await;
    let watch = watch_all(&store).await;
    let revision = store.put("a", "1").await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().revision, revision);
    let mut picture = Picture::default();
    picture.until_like("told", &watch, &store).await;
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
