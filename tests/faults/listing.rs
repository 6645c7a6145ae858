//! Which buckets there are: mirrors among them, between streams of other kinds, on many pages, for
//! those who may not ask for everything.

use async_nats::jetstream::{self, stream};
use kvscope::kv::backend::{Backend, BucketConfig, Origin, originals};
use kvscope::kv::nats::{Auth, NatsBackend, Secret};

use crate::setup::{bucket, connect, name, options};
use crate::support::NatsServer;

async fn names(backend: &NatsBackend) -> Vec<String> {
    let infos = backend.buckets().await.unwrap();
    infos
        .iter()
        .map(|info| info.config.name.to_string())
        .collect()
}

async fn mirror(backend: &NatsBackend, copy: &str, of: &str) {
    let mut config = BucketConfig::new(name(copy));
    config.mirror = Some(Origin {
        bucket: name(of),
        domain: None,
    });
    backend.create_bucket(&config).await.unwrap();
}

async fn foreign(context: &jetstream::Context, name: &str) {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        storage: stream::StorageType::Memory,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirrors_are_listed_and_streams_of_other_kinds_are_not() {
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    bucket(&backend, "origin").await;
    mirror(&backend, "copy", "origin").await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    // Neither what only looks like a bucket by its name, nor a mirror of it.
    for stream in ["ORDERS", "KV_not-one"] {
        foreign(&context, stream).await;
    }
    let config = stream::Config {
        name: "KV_copy-of-orders".to_owned(),
        mirror: Some(stream::Source {
            name: "ORDERS".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();

    let infos = backend.buckets().await.unwrap();
    let told: Vec<(&str, bool)> = infos
        .iter()
        .map(|info| (info.config.name.as_str(), info.config.mirror.is_some()))
        .collect();
    assert_eq!(told, [("copy", true), ("origin", false)]);
    let once: Vec<&str> = originals(&infos)
        .map(|info| info.config.name.as_str())
        .collect();
    assert_eq!(once, ["origin"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_many_pages_is_whole() {
    // A page has 256 streams, or 1024 names.
    const OTHERS: usize = 800;
    const BUCKETS: usize = 300;
    let server = NatsServer::start();
    let backend = connect(server.url()).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for n in 0..OTHERS {
        foreign(&context, &format!("A{n}")).await;
    }
    for n in 0..BUCKETS {
        let mut config = BucketConfig::new(name(&format!("b{n:03}")));
        config.storage = kvscope::kv::backend::Storage::Memory;
        backend.create_bucket(&config).await.unwrap();
    }
    mirror(&backend, "zz", "b007").await;
    let names = names(&backend).await;
    assert_eq!(names.len(), BUCKETS + 1);
    assert_eq!(
        (&*names[0], &*names[299], &*names[300]),
        ("b000", "b299", "zz")
    );
}

const ACCOUNTS: &str = r#"
authorization { users: [
    { user: all, password: p },
    { user: no-names, password: p, permissions: { subscribe: ">", publish: { deny:
        ["$JS.API.STREAM.NAMES"] } } },
    { user: no-copy, password: p, permissions: { subscribe: ">", publish: { deny:
        ["$JS.API.STREAM.INFO.KV_copy"] } } },
] }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_for_everything_is_told_the_rest() {
    let server = NatsServer::with_config(ACCOUNTS);
    let user = async |user: &str| {
        let mut options = options(server.url());
        options.auth = Auth::User {
            name: user.to_owned(),
            password: Secret::new("p"),
        };
        NatsBackend::connect(options).await.unwrap()
    };
    let all = user("all").await;
    bucket(&all, "origin").await;
    mirror(&all, "copy", "origin").await;
    assert_eq!(names(&all).await, ["copy", "origin"]);
    for restricted in ["no-names", "no-copy"] {
        assert_eq!(
            names(&*user(restricted).await).await,
            ["origin"],
            "{restricted}"
        );
    }
}
