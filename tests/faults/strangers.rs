//! Servers and clients that are not as one would like: older servers, and messages that no KV
//! client writes.

use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig, Write};
use kvscope::kv::{Error, Filter, Key, Store, WatchOptions, WriteError};
use tokio::io::AsyncWriteExt as _;

use crate::picture::Picture;
use crate::setup::{bucket, connect, name};
use crate::support::proxy::Proxy;
use crate::support::{NatsServer, eventually, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_server_says_what_it_can_not_do() {
    let server = NatsServer::start();
    let old = Proxy::disguised(server.port(), "2.9.25").await;
    let backend = connect(old.url()).await;
    let can = backend.capabilities();
    assert!(!can.entry_ttl);

    let store = bucket(&backend, "b").await;
    let write = Write::put(Key::new("a").unwrap(), "1").with_ttl(Duration::from_secs(5));
    let refused = store.write(write).await;
    assert!(
        matches!(refused, Err(WriteError::Failed(Error::Unsupported { .. }))),
        "{refused:?}"
    );
    assert_eq!(store.get("a").await.unwrap(), None);

    // Such a server leaves out of a request what it does not know.
    let mut marked = BucketConfig::new(name("marked"));
    marked.marker_ttl = Some(Duration::from_mins(1));
    let mut compressed = BucketConfig::new(name("compressed"));
    compressed.compression = true;
    for config in [&marked, &compressed] {
        let refused = backend.create_bucket(config).await;
        assert!(
            matches!(refused, Err(Error::Unsupported { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(backend.buckets().await.unwrap().len(), 1);
}

/// Publishes a message with headers that no client would let pass.
async fn publish_raw(server: &NatsServer, subject: &str, headers: &[u8], value: &[u8]) {
    let total = headers.len() + value.len();
    let mut bytes = format!("HPUB {subject} {} {total}\r\n", headers.len()).into_bytes();
    bytes.extend(headers);
    bytes.extend(value);
    bytes.extend(b"\r\n");
    send_raw(server, bytes).await;
}

/// Publishes messages whose subjects are no text.
async fn publish_unnameable(server: &NatsServer, subjects: &[&[u8]]) {
    let mut bytes = Vec::new();
    for subject in subjects {
        bytes.extend([b"PUB ", *subject, b" 5\r\nvalue\r\n"].concat());
    }
    send_raw(server, bytes).await;
}

/// Sends operations of the protocol as they are, until the server has taken them.
async fn send_raw(server: &NatsServer, operations: Vec<u8>) {
    let mut wire = tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    let mut bytes = b"CONNECT {\"headers\":true,\"verbose\":false}\r\n".to_vec();
    bytes.extend(operations);
    bytes.extend(b"PING\r\n");
    wire.write_all(&bytes).await.unwrap();
    let mut answers = tokio::io::BufReader::new(wire);
    let mut line = String::new();
    while !line.starts_with("PONG") {
        line.clear();
        let read = tokio::io::AsyncBufReadExt::read_line(&mut answers, &mut line).await;
        assert!(read.unwrap() > 0, "the server hung up");
    }
}

const STRANGE: [&[u8]; 3] = [
    b"NATS/1.0\r\nName: \xff\xfe\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\na name: with a space\r\nKV-Operation: DEL\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_can_not_be_read_stop_neither_reads_nor_watches() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    store.put("before", "1").await.unwrap();
    for (n, headers) in STRANGE.iter().enumerate() {
        publish_raw(&server, &format!("$KV.b.strange{n}"), headers, b"value").await;
    }
    store.put("after", "2").await.unwrap();

    let entry = store.get("strange0").await.unwrap().expect("it is there");
    assert_eq!(store.peek("strange0").await.unwrap().as_ref(), Some(&entry));
    assert_eq!(entry.live_value().unwrap(), "value");
    assert!(store.get("strange2").await.unwrap().unwrap().is_marker());

    // A snapshot, and then live. Each strange message costs the connection, perhaps while the watch
    // is being begun.
    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready >= 1)
        .await;
    picture
        .until("all of them", &watch, |picture| {
            ["before", "strange0", "strange1", "after"]
                .iter()
                .all(|key| picture.keys.contains_key(*key))
        })
        .await;
    let other = connect(server.url()).await;
    let other = Store::new(other.bucket(&name("b")).await.unwrap());
    publish_raw(&server, "$KV.b.live", STRANGE[0], b"value").await;
    other.put("last", "3").await.unwrap();
    picture
        .until("the live ones", &watch, |picture| {
            picture.keys.contains_key("live") && picture.keys.contains_key("last")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blanks_that_are_not_of_ascii_stop_no_watch() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    store.put("before", "1").await.unwrap();
    let headers = b"NATS/1.0\r\nX: y\r\n\r\n";
    publish_raw(&server, "$KV.b.wide\u{3000}x", headers, b"1").await;
    publish_raw(&server, "$KV.b.firm\u{a0}x", headers, b"1").await;
    store.put("after", "2").await.unwrap();
    // Where values are large on average, a watch without them is told sizes in headers.
    let large = bucket(&backend, "large").await;
    for n in 0..5 {
        large.put(format!("k{n}"), vec![b'v'; 6000]).await.unwrap();
    }
    publish_unnameable(&server, &["$KV.large.firm\u{a0}x".as_bytes()]).await;

    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    let mut picture = Picture::default();
    picture
        .until("all of them", &watch, |picture| {
            let keys = ["before", "wide\u{3000}x", "firm\u{a0}x", "after"];
            picture.ready >= 1 && keys.iter().all(|key| picture.keys.contains_key(*key))
        })
        .await;
    let entries = soon("a list", large.entries(Filter::all())).await.unwrap();
    let mut keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["firm\u{a0}x", "k0", "k1", "k2", "k3", "k4"]);
}

/// How many connections the server has had.
async fn connections(server: &NatsServer) -> u64 {
    let client = async_nats::connect(server.url()).await.unwrap();
    client.server_info().client_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subjects_that_are_no_text_are_told_as_well_as_they_can_be() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    let unharmed = bucket(&backend, "unharmed").await;
    store.put("first", "1").await.unwrap();
    store.put("first", "2").await.unwrap();
    publish_unnameable(&server, &[b"$KV.b.bad\xff\xfe", b"$KV.b.bad\xfe\xff"]).await;
    for n in 0..60 {
        store.put(&format!("k{n}"), "1").await.unwrap();
        let subject = [format!("$KV.b.n{n}.").as_bytes(), b"\xff"].concat();
        publish_unnameable(&server, &[&subject]).await;
    }
    store.put("last", "1").await.unwrap();
    let before = connections(&server).await;

    let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
    let mut picture = Picture::default();
    picture
        .until("ready", &watch, |picture| picture.ready >= 1)
        .await;
    picture
        .until("all of them", &watch, |picture| {
            [
                "first",
                "bad\u{fffd}\u{fffd}",
                "k59",
                "n59.\u{fffd}",
                "last",
            ]
            .iter()
            .all(|key| picture.keys.contains_key(*key))
        })
        .await;
    assert_eq!(picture.keys.len(), 1 + 1 + 60 + 60 + 1);
    assert_eq!(picture.gaps, 0, "{:?}", picture.interruptions);
    let after = connections(&server).await;
    assert!(after - before < 12, "{} connections", after - before);

    // What is written from now on costs no more, and concerns no other bucket.
    publish_unnameable(&server, &[b"$KV.b.live\xff"]).await;
    let other = connect(server.url()).await;
    let other = Store::new(other.bucket(&name("b")).await.unwrap());
    other.put("later", "3").await.unwrap();
    picture
        .until("the live ones", &watch, |picture| {
            picture.keys.contains_key("live\u{fffd}") && picture.keys.contains_key("later")
        })
        .await;
    eventually("the connection is back", async || {
        unharmed.put("k", "1").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_can_not_be_named_is_not_written_to() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let store = bucket(&backend, "b").await;
    publish_unnameable(&server, &[b"$KV.b.bad\xff"]).await;

    let refused = store.delete("bad\u{fffd}", None).await;
    assert!(
        matches!(
            refused,
            Err(WriteError::Failed(Error::InvalidKey(ref invalid))) if invalid.fault.contains("bytes")
        ),
        "{refused:?}"
    );
    assert_eq!(backend.buckets().await.unwrap()[0].keys, 1);
    for read in [
        store.get("bad\u{fffd}").await,
        store.peek("bad\u{fffd}").await,
    ] {
        assert!(matches!(read, Err(Error::InvalidKey(_))), "{read:?}");
    }

    // One that is really called so can be removed.
    publish_unnameable(&server, &["$KV.b.so\u{fffd}".as_bytes()]).await;
    store.delete("so\u{fffd}", None).await.unwrap();
    assert!(store.get("so\u{fffd}").await.unwrap().unwrap().is_marker());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_change_does_not_speak_of_stays_as_another_program_set_it() {
    use async_nats::jetstream::stream::{Config, Source};

    let server = NatsServer::start();
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let elsewhere = Config {
        name: "EVENTS".to_owned(),
        subjects: vec!["events.>".to_owned()],
        ..Config::default()
    };
    context.create_stream(elsewhere).await.unwrap();
    let theirs = Config {
        name: "KV_theirs".to_owned(),
        subjects: vec!["$KV.theirs.>".to_owned()],
        max_messages_per_subject: -1,
        max_messages: 1000,
        sources: Some(vec![Source {
            name: "EVENTS".to_owned(),
            filter_subject: Some("events.some.>".to_owned()),
            ..Source::default()
        }]),
        ..Config::default()
    };
    context.create_stream(theirs).await.unwrap();
    let stream = async || {
        let stream = context.get_stream("KV_theirs").await.unwrap();
        stream.cached_info().config.clone()
    };
    let before = stream().await;

    let backend = connect(server.url()).await;
    let info = backend.bucket(&name("theirs")).await.unwrap().info().await;
    let seen = info.unwrap().config;
    assert!(seen.sources.is_empty(), "a stream of events is no bucket");
    let mut wanted = seen.clone();
    wanted.description = "described".to_owned();
    wanted
        .metadata
        .insert("team".to_owned(), "billing".to_owned());
    let changed = backend.change_bucket(&wanted).await.unwrap();
    assert_eq!(changed.config, wanted);

    let mut after = stream().await;
    assert_eq!(after.description.as_deref(), Some("described"));
    after.description = before.description.clone();
    after.metadata.remove("team");
    assert_eq!(after, before);
}
