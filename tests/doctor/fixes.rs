//! The commands that findings propose really fix them: each of ours is run as it stands there, by a
//! shell, and the finding is gone. Those of the nats CLI and lines of configuration can't be run.

use std::process::{Command, Stdio};

use super::*;

/// Runs what a finding proposes.
#[track_caller]
fn run(server: &NatsServer, finding: &Finding) {
    let fix = finding.fix.as_deref().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // At a terminal it would ask first.
    let agreed = [
        ("bucket rm ", "bucket rm --force "),
        ("kvscope purge ", "kvscope purge --force "),
        (" --reset", " --reset --yes"),
    ];
    let agreed = agreed.iter().fold(fix.to_owned(), |fix, (asks, agrees)| {
        fix.replace(asks, agrees)
    });
    let script = format!("kvscope() {{ \"$PROGRAM\" \"$@\"; }}\n{agreed}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PROGRAM", env!("CARGO_BIN_EXE_kvscope"))
        .env("HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .env("NATS_URL", server.url())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{fix}:\n{told}");
}

/// Runs what is proposed for each of these checks, and looks that they find nothing any more.
async fn all_fixed(server: &NatsServer, backend: &dyn Backend, wanted: &[&str]) {
    for check in wanted {
        let findings = found(backend).await;
        run(server, finding(&findings, check));
        let left = found(backend).await;
        assert!(!checks(&left).contains(check), "{check}: {left:#?}");
    }
}

#[tokio::test]
async fn settings_of_buckets() {
    let (server, backend) = server().await;
    let mut locks = config("locks");
    locks.ttl = Some(Duration::from_secs(3600));
    locks.marker_ttl = Some(Duration::from_secs(3600));
    with_lock(&*backend, &locks).await;
    let mut silent = config("silent");
    silent.ttl = Some(Duration::from_secs(86_400));
    backend.create_bucket(&silent).await.unwrap();
    let mut full = config("full");
    full.max_bytes = Some(20_000);
    backend.create_bucket(&full).await.unwrap();
    let store = Store::open(&*backend, "full").await.unwrap();
    for n in 0..17 {
        store.put(format!("k{n}"), "x".repeat(980)).await.unwrap();
    }
    let wanted = ["lock-ttl", "lock-history", "silent-expiry", "bucket-limit"];
    all_fixed(&server, &*backend, &wanted).await;
}

#[tokio::test]
async fn records_and_secrets() {
    let (server, backend) = server().await;
    shizuku_and_secrets(&*backend).await;
    all_fixed(&server, &*backend, &["shizuku-fault", "secrets"]).await;
}

#[tokio::test]
async fn a_bucket_that_acknowledges_early_is_made_anew_with_what_is_in_it() {
    let (server, backend) = server().await;
    let context = context(&server).await;
    let config = stream::Config {
        name: "KV_early".to_owned(),
        subjects: vec!["$KV.early.>".to_owned()],
        max_messages_per_subject: 3,
        persist_mode: Some(stream::PersistenceMode::Async),
        allow_rollup: true,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let store = Store::open(&*backend, "early").await.unwrap();
    for value in ["1", "2"] {
        store.put("a", value).await.unwrap();
    }
    all_fixed(&server, &*backend, &["early-acknowledgement"]).await;
    let store = Store::open(&*backend, "early").await.unwrap();
    let history = store.history("a").await.unwrap();
    let values: Vec<_> = history.iter().filter_map(Entry::live_value).collect();
    assert_eq!(values, [&b"1"[..], b"2"]);
    assert_eq!(store.info().await.unwrap().config.history, 3);
}

#[tokio::test]
async fn locks_in_memory_get_a_bucket_to_move_to() {
    let (server, backend) = server().await;
    let mut memory = config("memory");
    memory.storage = Storage::Memory;
    with_lock(&*backend, &memory).await;
    run(&server, finding(&found(&*backend).await, "locks-in-memory"));
    with_lock_in(&*backend, "memory-on-disk").await;
    let new = found_in(&*backend, "memory-on-disk").await.unwrap();
    assert_eq!(checks(&new), BTreeSet::from(["replicas"]), "{new:#?}");
}

async fn with_lock_in(backend: &dyn Backend, bucket: &str) {
    let store = Store::open(backend, bucket).await.unwrap();
    let record = r#"{"v":1,"next":0,"q":[]}"#;
    store.put("_lock.a", record).await.unwrap();
}

#[tokio::test]
async fn what_a_server_alone_can_do_about_copies() {
    let (server, backend) = server().await;
    backend.create_bucket(&config("config")).await.unwrap();
    let findings = found(&*backend).await;
    let replicas = finding(&findings, "replicas");
    let fix = replicas.fix.as_deref().unwrap();
    assert!(fix.contains("in no cluster"), "{fix}");
    // It is a copy, and no more than that.
    run(&server, replicas);
}

#[tokio::test]
async fn copies_in_a_cluster() {
    let cluster = Cluster::start().await;
    let backend = NatsBackend::connect(cluster.options()).await.unwrap();
    with_lock(&*backend, &config("locks")).await;
    let findings = found(&*backend).await;
    let replicas = finding(&findings, "replicas");
    let wanted = "kvscope bucket edit locks --replicas 3";
    assert_eq!(replicas.fix.as_deref(), Some(wanted));
    run(&cluster.nodes[0], replicas);
    eventually("three copies", async || {
        let found = found_in(&*backend, "locks").await.unwrap_or_default();
        !found.is_empty() && !checks(&found).contains("replicas")
    })
    .await;
}

#[tokio::test]
async fn a_key_that_a_shell_would_act_on_is_quoted() {
    let (server, backend) = server().await;
    backend.create_bucket(&config("config")).await.unwrap();
    // No client of ours writes such a key.
    let client = async_nats::connect(server.url()).await.unwrap();
    let subject = "$KV.config.password;touch${IFS}gone";
    jetstream::new(client)
        .publish(subject, "x".into())
        .await
        .unwrap()
        .await
        .unwrap();
    all_fixed(&server, &*backend, &["secrets"]).await;
}
