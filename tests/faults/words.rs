//! What goes wrong on the way in or because of limits is said in words that tell what to look at.

use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig, Connection, FactValue};
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret};
use kvscope::kv::{Error, Store};

use crate::setup::{bucket, connect, name, options};
use crate::support::{NatsServer, eventually, soon};

fn as_user(server: &NatsServer, user: &str) -> NatsOptions {
    let mut options = options(server.url());
    options.auth = Auth::User {
        name: user.to_owned(),
        password: Secret::new("s3cr3t"),
    };
    options
}

async fn refusal(options: NatsOptions) -> String {
    let refused = soon("an end of connecting", NatsBackend::connect(options)).await;
    refused.err().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_without_an_address_and_a_port_without_a_server() {
    let text = refusal(options("nats://no.such.host.invalid:4222")).await;
    assert!(text.contains("its name leads to no address"), "{text}");
    let text = refusal(options("nats://127.0.0.1:1")).await;
    assert!(text.contains("nothing listens there"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_the_server_takes() {
    let server = NatsServer::with_config("max_connections: 1");
    let _first = connect(server.url()).await;
    let text = refusal(options(server.url())).await;
    assert!(text.contains("a limit of the server"), "{text}");
    assert!(text.contains("maximum connections exceeded"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_an_account() {
    let server = NatsServer::with_config(
        "accounts {
            small {
                jetstream: { max_streams: 1, max_file: 1MB }
                users: [ { user: app, password: s3cr3t } ]
            }
        }",
    );
    let backend = NatsBackend::connect(as_user(&server, "app")).await.unwrap();
    let mut large = config("large");
    large.max_bytes = Some(64 << 20);
    let error = backend.create_bucket(&large).await.unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    bucket(&backend, "one").await;
    let error = backend.create_bucket(&config("two")).await.unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert!(
        error.to_string().contains("making the bucket two"),
        "{error}"
    );
}

fn config(bucket: &str) -> BucketConfig {
    BucketConfig::new(name(bucket))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_announces_its_end() {
    let mut server = NatsServer::start();
    let backend = connect(server.url()).await;
    server.announce_end();
    let state = async || {
        let overview = backend.overview().await.ok()?;
        let facts = overview
            .sections
            .into_iter()
            .flat_map(|section| section.facts);
        facts.into_iter().find_map(|fact| match fact.value {
            FactValue::Text(words) if fact.name == "State" => Some(words),
            _ => None,
        })
    };
    eventually("the end is announced", async || {
        state()
            .await
            .is_some_and(|words| words.contains("about to stop"))
    })
    .await;
    server.kill();
    let mut connection = backend.connection();
    let lost = soon(
        "the loss",
        connection.wait_for(|state| *state != Connection::Connected),
    );
    let Connection::Reconnecting { reason, .. } = lost.await.unwrap().clone() else {
        panic!("it is not made again");
    };
    assert!(reason.contains("lame duck"), "{reason}");
    server.restart();
    let back = connection.wait_for(|state| *state == Connection::Connected);
    soon("the connection", back).await.unwrap();
    assert!(!state().await.unwrap().contains("about to stop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_its_subject() {
    let server = NatsServer::with_config(
        r#"authorization { users = [
            { user: admin, password: s3cr3t }
            { user: one, password: s3cr3t, permissions: {
                publish: { allow: [
                    "$JS.API.STREAM.INFO.KV_mine", "$JS.API.STREAM.MSG.GET.KV_mine",
                    "$JS.API.DIRECT.GET.KV_mine", "$JS.API.DIRECT.GET.KV_mine.>",
                    "$JS.API.CONSUMER.*.KV_mine.>", "$JS.FC.>" ] }
                subscribe: { allow: "_INBOX.>" } } }
        ] }"#,
    );
    let admin = NatsBackend::connect(as_user(&server, "admin"))
        .await
        .unwrap();
    bucket(&admin, "mine").await.put("a", "1").await.unwrap();
    bucket(&admin, "theirs").await;

    let mut restricted = as_user(&server, "one");
    restricted.timeout = Duration::from_secs(30);
    let backend = NatsBackend::connect(restricted).await.unwrap();
    let error = soon("a refusal", backend.buckets()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("publishing to $JS.API.STREAM.LIST"),
        "{error}"
    );
    let store = Store::open(&*backend, "mine").await.unwrap();
    assert!(store.get("a").await.unwrap().is_some());
    assert_eq!(store.info().await.unwrap().keys, 1);
    assert_eq!(store.history("a").await.unwrap().len(), 1);
    let entries = store.entries(kvscope::kv::Filter::all()).await.unwrap();
    assert_eq!(entries.len(), 1);
    let error = soon("a refusal", store.put("a", "2")).await.unwrap_err();
    assert!(
        error.to_string().contains("publishing to $KV.mine.a"),
        "{error}"
    );
    let theirs = Store::new(backend.bucket(&name("theirs")).await.unwrap());
    let error = soon("a refusal", theirs.get("a")).await.unwrap_err();
    let subject = "$JS.API.STREAM.MSG.GET.KV_theirs";
    assert!(error.to_string().contains(subject), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_under_a_name_of_an_accounts_own() {
    let service = |subject: &str, to: &str| {
        format!("{{ service: {{ account: main, subject: \"{subject}\" }}, to: \"{to}\" }}")
    };
    let imports = [
        service("$JS.API.INFO", "JS.main.INFO"),
        service("$JS.API.STREAM.>", "JS.main.STREAM.>"),
        service("$KV.>", "JS.main.$KV.>"),
    ];
    let server = NatsServer::with_config(&format!(
        "accounts {{
            main {{
                jetstream: enabled
                users: [ {{ user: admin, password: s3cr3t }} ]
                exports: [ {{ service: \"$JS.API.>\" }}, {{ service: \"$KV.>\" }} ]
            }}
            app {{
                users: [ {{ user: app, password: s3cr3t }} ]
                imports: [ {} ]
            }}
        }}",
        imports.join(", ")
    ));
    let mut options = as_user(&server, "app");
    options.jetstream_api_prefix = Some("JS.main".to_owned());
    let app = NatsBackend::connect(options).await.unwrap();
    let store = bucket(&app, "shared").await;
    let revision = store.put("a", "1").await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().revision, revision);

    let admin = NatsBackend::connect(as_user(&server, "admin"))
        .await
        .unwrap();
    let there = Store::open(&*admin, "shared").await.unwrap();
    assert_eq!(there.get("a").await.unwrap().unwrap().revision, revision);
    // Without the prefix this account has no JetStream.
    let text = refusal(as_user(&server, "app")).await;
    assert!(text.contains("no JetStream"), "{text}");
}
