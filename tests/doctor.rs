//! Every finding of the doctor, provoked on a real nats-server, or on a file where it applies; and
//! that a place that is set up well has none.

#![cfg(all(feature = "nats", feature = "local"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[cfg(all(feature = "console", unix))]
#[path = "doctor/fixes.rs"]
mod fixes;
#[path = "support/nats.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use kvscope::kv::backend::{Backend, BucketConfig, Storage};
use kvscope::kv::doctor::{Clock, Facts, Finding, Look, Severity, Synced, diagnose, gather};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::nats::{Auth, NatsBackend, NatsOptions, Secret, sync_of_servers};
use kvscope::kv::{BucketName, Entry, Error, Store};
use support::proxy::Proxy;
use support::{Cluster, NatsServer, eventually};
use time::OffsetDateTime;

/// What is found with everything seen that can be.
async fn found_at(backend: &dyn Backend, synced: Synced, clock: Clock) -> Vec<Finding> {
    diagnose(&facts(backend, None, synced, clock).await.unwrap())
}

async fn facts(
    backend: &dyn Backend,
    bucket: Option<&str>,
    synced: Synced,
    clock: Clock,
) -> Result<Facts, Error> {
    let is_secret = |entry: &Entry| entry.key.as_str().contains("password");
    let look = Look {
        command: "kvscope",
        bucket: bucket.map(|bucket| BucketName::new(bucket).unwrap()),
        values: 1000,
        is_secret: &is_secret,
        synced,
        clock,
    };
    gather(backend, &look).await
}

/// What is found in one bucket.
async fn found_in(backend: &dyn Backend, bucket: &str) -> Result<Vec<Finding>, Error> {
    let clock = OffsetDateTime::now_utc;
    let facts = facts(backend, Some(bucket), Synced::Always, clock).await?;
    Ok(diagnose(&facts))
}

async fn found(backend: &dyn Backend) -> Vec<Finding> {
    found_at(backend, Synced::Always, OffsetDateTime::now_utc).await
}

/// The finding of that check.
#[track_caller]
fn finding<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    let mut those = findings.iter().filter(|finding| finding.check == check);
    let first = those.next();
    first.unwrap_or_else(|| panic!("no {check} in {findings:#?}"))
}

fn checks(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().map(|finding| finding.check).collect()
}

async fn server() -> (NatsServer, Arc<NatsBackend>) {
    let server = NatsServer::start();
    let backend = connect(&server).await;
    (server, backend)
}

async fn connect(server: &NatsServer) -> Arc<NatsBackend> {
    NatsBackend::connect(NatsOptions::new(server.url()))
        .await
        .unwrap()
}

fn config(name: &str) -> BucketConfig {
    BucketConfig::new(BucketName::new(name).unwrap())
}

/// A bucket with those settings, and a lock in it.
async fn with_lock(backend: &dyn Backend, config: &BucketConfig) -> Store {
    backend.create_bucket(config).await.unwrap();
    let store = Store::open(backend, config.name.as_str()).await.unwrap();
    store
        .put("_lock.a", r#"{"v":1,"next":0,"q":[]}"#)
        .await
        .unwrap();
    store
}

async fn context(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

#[tokio::test]
async fn a_bucket_of_configuration_that_is_set_up_well_has_only_notes() {
    let (_server, backend) = server().await;
    let mut config = config("config");
    config.history = 5;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(&*backend, "config").await.unwrap();
    store.put("a", "1").await.unwrap();
    let findings = found(&*backend).await;
    assert_eq!(checks(&findings), BTreeSet::from(["replicas"]));
    assert!(findings.iter().all(|f| f.severity == Severity::Note));
}

#[tokio::test]
async fn locks_on_one_server_without_history() {
    let (_server, backend) = server().await;
    with_lock(&*backend, &config("locks")).await;
    let findings = found(&*backend).await;
    let replicas = finding(&findings, "replicas");
    assert_eq!(replicas.severity, Severity::Warning);
    // A server alone can't keep copies, and locks that come back from a copy are none.
    let fix = replicas.fix.as_deref().unwrap();
    assert!(
        fix.starts_with("cluster {") && fix.contains("in no cluster"),
        "{fix}"
    );
    let history = finding(&findings, "lock-history");
    assert_eq!(history.severity, Severity::Note);
    assert_eq!(findings.len(), 2, "{findings:#?}");
}

#[tokio::test]
async fn a_lease_is_enough_to_know_that_locks_are_kept() {
    let (_server, backend) = server().await;
    let mut config = config("locks");
    config.history = 8;
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(&*backend, "locks").await.unwrap();
    let guard = store.locks().write("r").await.unwrap();
    let findings = found_at(&*backend, Synced::Unseen, OffsetDateTime::now_utc).await;
    let unseen = finding(&findings, "sync-unseen");
    assert_eq!(unseen.severity, Severity::Note);
    assert!(
        unseen.what.contains("can't be seen from here"),
        "{}",
        unseen.what
    );
    guard.release().await.unwrap();
    store.locks().close().await;
}

#[tokio::test]
async fn when_servers_write_to_disk_is_seen_by_the_system_account_alone() {
    let accounts = "accounts { APP { jetstream: enabled, users: [{user: app, password: a}] }, \
                    SYS { users: [{user: sys, password: s}] } }\nsystem_account: SYS";
    let user = |server: &NatsServer, name: &str, password: &str| {
        let mut options = NatsOptions::new(server.url());
        options.timeout = Duration::from_secs(10);
        options.auth = Auth::User {
            name: name.to_owned(),
            password: Secret::new(password),
        };
        options
    };
    let server = NatsServer::with_config(accounts);
    let synced = sync_of_servers(&user(&server, "sys", "s")).await.unwrap();
    let Synced::Late { after, .. } = &synced else {
        panic!("{synced:?}");
    };
    assert_eq!(*after, Duration::from_secs(120));
    let denied = sync_of_servers(&user(&server, "app", "a")).await;
    assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");

    let backend = NatsBackend::connect(user(&server, "app", "a"))
        .await
        .unwrap();
    with_lock(&*backend, &config("locks")).await;
    let findings = found_at(&*backend, synced, OffsetDateTime::now_utc).await;
    let late = finding(&findings, "sync-late");
    assert_eq!(late.severity, Severity::Severe);
    assert!(late.fix.as_ref().unwrap().contains("sync_interval: always"));

    // As NatsServer writes it, the block of JetStream comes first; a second one adds to it.
    let server = NatsServer::with_config(&format!(
        "{accounts}\njetstream: {{ sync_interval: always }}"
    ));
    let synced = sync_of_servers(&user(&server, "sys", "s")).await.unwrap();
    assert_eq!(synced, Synced::Always);
}

#[tokio::test]
async fn locks_in_memory_or_in_a_bucket_that_forgets() {
    let (_server, backend) = server().await;
    let mut memory = config("memory");
    memory.storage = Storage::Memory;
    with_lock(&*backend, &memory).await;
    let mut forgets = config("forgets");
    forgets.ttl = Some(Duration::from_secs(3600));
    with_lock(&*backend, &forgets).await;
    let findings = found(&*backend).await;
    assert_eq!(
        finding(&findings, "locks-in-memory").severity,
        Severity::Severe
    );
    let ttl = finding(&findings, "lock-ttl");
    assert_eq!(ttl.severity, Severity::Severe);
    assert_eq!(ttl.bucket.as_ref().unwrap().as_str(), "forgets");
    let silent = finding(&findings, "silent-expiry");
    assert_eq!(
        silent.fix.as_deref(),
        Some("kvscope bucket edit forgets --marker-ttl 1h")
    );
    assert_eq!(findings[0].severity, Severity::Severe, "the worst first");
}

#[tokio::test]
async fn acknowledging_before_storing() {
    let (server, backend) = server().await;
    let context = context(&server).await;
    let config = stream::Config {
        name: "KV_early".to_owned(),
        subjects: vec!["$KV.early.>".to_owned()],
        max_messages_per_subject: 1,
        persist_mode: Some(stream::PersistenceMode::Async),
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let findings = found(&*backend).await;
    let early = finding(&findings, "early-acknowledgement");
    assert_eq!(early.severity, Severity::Severe);
}

#[tokio::test]
async fn a_mirror_that_locks_are_read_from() {
    let (server, backend) = server().await;
    with_lock(&*backend, &config("origin")).await;
    let context = context(&server).await;
    let mirror = stream::Config {
        name: "KV_copy".to_owned(),
        max_messages_per_subject: 1,
        mirror: Some(stream::Source {
            name: "KV_origin".to_owned(),
            ..Default::default()
        }),
        mirror_direct: true,
        ..Default::default()
    };
    context.create_stream(mirror).await.unwrap();
    eventually("a mirror with a lock", async || {
        let findings = found_in(&*backend, "copy").await.unwrap();
        let mirror = finding(&findings, "mirror");
        mirror.severity == Severity::Severe && mirror.what.contains("mirror of origin")
    })
    .await;
    // Where both are looked at, what is in it is told once, and it may be there just in case.
    let both = found(&*backend).await;
    assert_eq!(finding(&both, "mirror").severity, Severity::Warning);
    let timelines = both.iter().filter(|one| one.check == "lock-history");
    assert_eq!(timelines.count(), 1, "{both:#?}");
    let findings = found_in(&*backend, "copy").await.unwrap();
    assert!(
        finding(&findings, "direct-reads")
            .what
            .contains("any copy may answer")
    );
}

async fn leader(backend: &dyn Backend, bucket: &str) -> String {
    let bucket = BucketName::new(bucket).unwrap();
    let bucket = backend.bucket(&bucket).await.unwrap();
    let info = bucket.info().await.unwrap();
    info.copies.unwrap().leader.unwrap()
}

#[tokio::test]
async fn copies_that_are_away_and_any_that_answer() {
    let mut cluster = Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    let mut locks = config("locks");
    locks.replicas = 3;
    locks.history = 8;
    with_lock(&*backend, &locks).await;
    let findings = found(&*backend).await;
    assert_eq!(
        finding(&findings, "direct-reads").severity,
        Severity::Warning
    );
    assert!(!checks(&findings).contains("replicas"));
    // The next leader has never heard of the one before, and nobody leads for a while.
    let led = leader(&*backend, "locks").await;
    let node = led.strip_prefix("node").unwrap().parse::<usize>().unwrap();
    cluster.nodes[node].kill();
    let expected = format!("nats stream cluster peer-remove KV_locks {led}");
    eventually("a copy that is away", async || {
        let findings = found_in(&*backend, "locks").await.unwrap_or_default();
        let away = findings.iter().find(|one| one.check == "replica-offline");
        let fix = away.and_then(|one| one.fix.as_deref());
        fix.is_some_and(|fix| fix.starts_with(&expected))
    })
    .await;
}

#[tokio::test]
async fn limits_that_are_near() {
    let limits = "accounts { APP { jetstream: { max_store: 100000, max_streams: 5 }, \
                  users: [{user: app, password: a}] } }\nno_auth_user: app";
    let server = NatsServer::with_config(limits);
    let backend = connect(&server).await;
    let mut config = config("full");
    config.max_bytes = Some(20_000);
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(&*backend, "full").await.unwrap();
    for n in 0..17 {
        store.put(format!("k{n}"), "x".repeat(980)).await.unwrap();
    }
    let findings = found(&*backend).await;
    let full = finding(&findings, "bucket-limit");
    assert_eq!(full.severity, Severity::Warning, "{}", full.what);
    for n in 1..5 {
        backend
            .create_bucket(&self::config(&format!("b{n}")))
            .await
            .unwrap();
    }
    for n in 17..19 {
        store.put(format!("k{n}"), "x".repeat(900)).await.unwrap();
    }
    let findings = found(&*backend).await;
    assert_eq!(
        finding(&findings, "bucket-limit").severity,
        Severity::Severe
    );
    let account = finding(&findings, "account-limit");
    assert!(account.what.contains("streams"), "{}", account.what);
}

#[tokio::test]
async fn consumers_to_which_nobody_listens() {
    let (server, backend) = server().await;
    backend.create_bucket(&config("config")).await.unwrap();
    let stream = context(&server)
        .await
        .get_stream("KV_config")
        .await
        .unwrap();
    for n in 0..12 {
        let config = consumer::push::Config {
            durable_name: Some(format!("left-{n}")),
            deliver_subject: format!("nobody.{n}"),
            ..Default::default()
        };
        stream.create_consumer(config).await.unwrap();
    }
    let findings = found(&*backend).await;
    let idle = finding(&findings, "idle-consumers");
    assert!(
        idle.what.contains("nobody listens to 12 of its"),
        "{}",
        idle.what
    );
    let fix = idle.fix.as_deref().unwrap();
    assert!(
        fix.starts_with("for name in left-0 left-1 left-10 left-11 left-2")
            && fix.ends_with("nats consumer rm -f KV_config \"$name\"; done"),
        "{fix}"
    );
}

#[tokio::test]
async fn clocks_that_are_apart() {
    let (_server, backend) = server().await;
    backend.create_bucket(&config("config")).await.unwrap();
    let behind: Clock = || OffsetDateTime::now_utc() - Duration::from_secs(30);
    let ahead: Clock = || OffsetDateTime::now_utc() + Duration::from_secs(30);
    for (clock, words) in [(behind, "ahead of"), (ahead, "behind")] {
        let findings = found_at(&*backend, Synced::Always, clock).await;
        let clock = finding(&findings, "clock");
        assert_eq!(clock.severity, Severity::Warning);
        assert!(clock.what.contains(words), "{}", clock.what);
    }
}

#[tokio::test]
async fn servers_that_are_known_to_lose_something() {
    let server = NatsServer::start();
    for (version, words, severity) in [
        ("2.10.22", "forget a stream", Severity::Severe),
        ("2.10.19", "compare-and-set is broken", Severity::Severe),
        ("2.10.7", "keys can't be found", Severity::Severe),
        ("2.10.25", "no time to live", Severity::Note),
    ] {
        let proxy = Proxy::disguised(server.port(), version).await;
        let backend = NatsBackend::connect(NatsOptions::new(proxy.url()))
            .await
            .unwrap();
        let findings = found(&*backend).await;
        let old = finding(&findings, "server-version");
        assert_eq!(old.severity, severity, "{}", old.what);
        assert!(old.what.contains(words), "{version}: {}", old.what);
    }
    let findings = found(&*connect(&server).await).await;
    assert!(!checks(&findings).contains("server-version"));
}

/// What a place with locks of `shizuku` services and secrets is told, on any engine.
async fn shizuku_and_secrets(backend: &dyn Backend) {
    backend.create_bucket(&config("old")).await.unwrap();
    let store = Store::open(backend, "old").await.unwrap();
    let mut record = vec![1];
    record.extend(2_u64.to_be_bytes());
    record.extend(0_u64.to_be_bytes());
    store.put("zeroed", record).await.unwrap();
    store.put("db.password", "hunter2").await.unwrap();
    store.put("plain", "1").await.unwrap();
    let findings = found(backend).await;
    let fault = finding(&findings, "shizuku-fault");
    assert_eq!(fault.severity, Severity::Severe);
    assert!(
        fault.what.contains("zeroed (its time was set to zero"),
        "{}",
        fault.what
    );
    assert_eq!(
        fault.fix.as_deref(),
        Some("kvscope lock break old zeroed --reset")
    );
    let secrets = finding(&findings, "secrets");
    assert!(secrets.what.contains("db.password") && !secrets.what.contains("hunter2"));
}

#[tokio::test]
async fn shizuku_locks_and_secrets_on_a_server() {
    let (_server, backend) = server().await;
    shizuku_and_secrets(&*backend).await;
}

#[tokio::test]
async fn shizuku_locks_and_secrets_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let backend = LocalBackend::open(&folder.path().join("f.db"), OpenOptions::create())
        .await
        .unwrap();
    shizuku_and_secrets(&*backend).await;
    // What only a server can have wrong is not held against a file.
    with_lock(&*backend, &config("locks")).await;
    let findings = found_at(&*backend, Synced::Unseen, OffsetDateTime::now_utc).await;
    let expected = BTreeSet::from(["lock-history", "secrets", "shizuku-fault"]);
    assert_eq!(checks(&findings), expected);
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_told() {
    let users = "authorization { users: [ {user: op, password: p, permissions: { publish: \
                 { allow: [\"$JS.API.INFO\", \"$JS.API.STREAM.INFO.>\", \"$JS.API.CONSUMER.>\", \
                 \"$JS.FC.>\"] }, subscribe: \">\" } }, {user: all, password: p} ] }";
    let server = NatsServer::with_config(users);
    let user = |name: &str| {
        let mut options = NatsOptions::new(server.url());
        options.timeout = Duration::from_secs(10);
        options.auth = Auth::User {
            name: name.to_owned(),
            password: Secret::new("p"),
        };
        options
    };
    let all = NatsBackend::connect(user("all")).await.unwrap();
    all.create_bucket(&config("config")).await.unwrap();
    let one = NatsBackend::connect(user("op")).await.unwrap();
    let findings = found(&*one).await;
    let unseen = finding(&findings, "unseen");
    assert!(
        unseen.what.contains("could not be listed"),
        "{}",
        unseen.what
    );
    // Named, the bucket can be looked at.
    let clock = OffsetDateTime::now_utc;
    let facts = facts(&*one, Some("config"), Synced::Always, clock)
        .await
        .unwrap();
    assert_eq!(facts.buckets.len(), 1, "{:?}", facts.unseen);
}

#[tokio::test]
async fn a_copy_that_lags_is_seen_while_it_lags() {
    // Provoked by a frozen server: it stays connected and falls behind.
    let cluster = Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    let mut locks = config("lagging");
    locks.replicas = 3;
    backend.create_bucket(&locks).await.unwrap();
    let store = Store::open(&*backend, "lagging").await.unwrap();
    store.put("a", "1").await.unwrap();
    // One that neither leads the stream nor has us connected, or nothing could be asked.
    let mut stream = jetstream::new(async_nats::connect(cluster.nodes[0].url()).await.unwrap())
        .get_stream("KV_lagging")
        .await
        .unwrap();
    let leader = stream.info().await.unwrap().cluster.clone().unwrap().leader;
    let server_here = backend.overview().await.unwrap();
    let here = format!("{:?}", server_here.sections[0].facts);
    let frozen = (0..3)
        .find(|n| {
            let name = format!("node{n}");
            leader.as_deref() != Some(name.as_str()) && !here.contains(&name)
        })
        .unwrap();
    let seen = async || {
        let findings = found_in(&*backend, "lagging").await.unwrap_or_default();
        checks(&findings).contains("replica-behind")
    };
    // Silent for long it is away and no longer behind. Where that moment is missed, once more.
    let mut is_seen = false;
    for _ in 0..5 {
        cluster.nodes[frozen].pause();
        let _ = store.put("a", "2").await;
        let until = tokio::time::Instant::now() + Duration::from_secs(8);
        while !is_seen && tokio::time::Instant::now() < until {
            is_seen = seen().await;
        }
        if is_seen {
            break;
        }
        cluster.nodes[frozen].go_on();
        eventually("it has caught up", async || {
            let findings = found_in(&*backend, "lagging").await;
            findings.is_ok_and(|findings| !checks(&findings).contains("replica-offline"))
        })
        .await;
    }
    assert!(is_seen, "no copy that is behind");
    cluster.nodes[frozen].go_on();
}
