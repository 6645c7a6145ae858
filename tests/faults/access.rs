//! Getting in, or not: credentials, permissions, accounts, domains.

use std::time::Duration;

use kvscope::kv::backend::Backend;
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret, Tls};
use kvscope::kv::{Error, Store, WriteError};

use crate::picture::Picture;
use crate::setup::{bucket, name, options, watch_all};
use crate::support::{NatsServer, soon};

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
