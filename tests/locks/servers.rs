//! Locks while servers, buckets and wires fail under them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::BucketConfig;
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::record::Record;
use kvscope::kv::lock::session::{Cause, Session};
use kvscope::kv::lock::{LockedResourceWriteProcessor, Locks, Settings, WithLockProcessError};
use kvscope::kv::{BucketName, Store, WriteError};

use crate::processes::{Ground, inside, one_after_the_other, take_turns};
use crate::support::proxy::{LateProxy, Proxy, Wire};
use crate::support::{Cluster, NatsServer, eventually, soon};
use crate::worker::{BUCKET, Orders, Worker, connect, now_ms};

/// The server dies and comes back within the lease: nobody notices more than a pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_back_within_the_lease() {
    let mut server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    // A server may take many seconds to start.
    let orders = Orders::lease(Duration::from_secs(60));
    let (mut holder, mut waiter) = tokio::join!(
        Worker::start(&ground.place, &orders),
        Worker::start(&ground.place, &orders)
    );
    let (fence, _) = holder.take("write h a").await;
    waiter.say("write w a").await;
    ground.waiters("a", 1).await;
    server.kill();
    server.restart();
    assert!(holder.is_valid("h").await);
    eventually("the record is there", async || {
        ground.store.get("_lock.a").await.is_ok()
    })
    .await;
    let record = ground.record("a").await;
    assert_eq!((record.holders().count(), record.waiters().count()), (1, 1));
    holder.ask("release h", "h released").await;
    let (next, _) = waiter.granted("w").await;
    assert!(next > fence);
    waiter.ask("release w", "w released").await;
    ground.free("a").await;
    ground.end().await;
}

/// The server is away for longer than a lease: guards run out, and yet nobody is killed for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_longer_than_the_lease() {
    let mut server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    // Much longer than clients take to come back.
    let lease = Duration::from_secs(8);
    let orders = Orders::lease(lease);
    let elsewhere = orders.clone().elsewhere();
    let (mut holder, mut waiter) = tokio::join!(
        Worker::start(&ground.place, &orders),
        Worker::start(&ground.place, &elsewhere)
    );
    holder.take("write h a").await;
    waiter.say("write w a").await;
    ground.waiters("a", 1).await;
    let session = holder.ask("session", "session").await;
    server.kill();
    tokio::time::sleep(lease * 3 / 2).await;
    assert!(!holder.is_valid("h").await, "nobody could renew it");
    server.restart();
    eventually("the guard is valid again", async || {
        holder.is_valid("h").await
    })
    .await;
    // For longer than it takes to find that somebody is silent.
    tokio::time::sleep(Lease::new(lease).unwrap().silence()).await;
    assert!(holder.is_valid("h").await);
    let (_, found) = ground.session(&session).await.unwrap();
    assert_eq!(found.dead, None);
    assert_eq!(ground.record("a").await.waiters().count(), 1);
    holder.ask("release h", "h released").await;
    waiter.granted("w").await;
    waiter.ask("release w", "w released").await;
    ground.free("a").await;
    ground.end().await;
}

/// A bucket that is deleted takes its locks with it. Whoever held or waited hears of it, and the
/// next bucket of the name works for the same processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_made_anew_under_a_watch() {
    let server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    let (mut holder, mut waiter) = tokio::join!(ground.worker(), ground.worker());
    holder.take("write h a").await;
    waiter.say("write w a").await;
    ground.waiters("a", 1).await;
    let name = BucketName::new(BUCKET).unwrap();
    ground.backend.delete_bucket(&name).await.unwrap();
    let config = BucketConfig::new(name);
    ground.backend.create_bucket(&config).await.unwrap();
    eventually("the guard is lost", async || !holder.is_valid("h").await).await;
    let failed = holder.ask("release h", "h failed").await;
    assert!(failed.contains("gone"), "{failed}");
    // It was granted or given up; either way it came to an end.
    let end = waiter.hear("w").await;
    if end.starts_with("granted") {
        waiter.say("release w").await;
    }
    let mut workers = [holder, waiter];
    let Ground { place, backend, .. } = ground;
    let store = Store::open(&*backend, BUCKET).await.unwrap();
    drop(store);
    let ground = Ground::new(place).await;
    take_turns(&ground, "b", &mut workers, 5).await;
    ground.end().await;
}

/// A bucket that is deleted and stays so: whatever waits for its locks comes to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_gone_for_good() {
    let server = NatsServer::start();
    let backend = connect(&server.url()).await;
    let lease = Duration::from_secs(4);
    let name = BucketName::new(BUCKET).unwrap();
    let open = async || {
        let config = BucketConfig::new(name.clone());
        backend.create_bucket(&config).await.unwrap();
        Store::open(&*backend, BUCKET).await.unwrap()
    };
    let locks_of = |store: &Store| {
        let settings = Settings::default().lease(Lease::new(lease).unwrap());
        Locks::new(store, settings)
    };
    let store = open().await;
    let (locks, others) = (locks_of(&store), locks_of(&store));
    let guard = locks.write("a").await.unwrap();
    let kept = locks.write("b").await.unwrap();
    let waits = {
        let others = others.clone();
        tokio::spawn(async move { others.write("a").await.map(drop) })
    };
    eventually("it waits", async || {
        let entry = store.get("_lock.a").await.unwrap().unwrap();
        let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
        record.waiters().count() == 1
    })
    .await;
    backend.delete_bucket(&name).await.unwrap();
    // Two leases, and plenty for a busy machine.
    let limit = lease * 2 + Duration::from_secs(20);
    let within = async |what: &str, ends: Pin<Box<dyn Future<Output = bool> + Send>>| {
        let ended = tokio::time::timeout(limit, ends).await;
        let is_as_wanted = ended.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"));
        assert!(is_as_wanted, "{what}");
    };
    let release = async { guard.release().await.is_err() };
    within("a release tells that it failed", Box::pin(release)).await;
    let waits = async { waits.await.unwrap().is_err() };
    within("a wait tells that it failed", Box::pin(waits)).await;
    soon("the other guard is lost", kept.lost()).await;
    drop(kept);
    for locks in [locks, others] {
        let close = async move {
            locks.close().await;
            true
        };
        within("the session is closed", Box::pin(close)).await;
    }

    let store = open().await;
    let (backend, name) = (Arc::clone(&backend), name.clone());
    let work = Arc::new(move |number: u32| {
        let (backend, name) = (Arc::clone(&backend), name.clone());
        async move {
            backend.delete_bucket(&name).await.unwrap();
            number + 1
        }
    });
    let processor = LockedResourceWriteProcessor::new(work, &store, "a");
    let ended = soon("work under the lock", processor.process(6)).await;
    let output = match ended {
        Err(WithLockProcessError::Release { output, .. }) => output,
        other => panic!("{other:?}"),
    };
    assert_eq!(output, 7);
    soon("closing", store.locks().close()).await;
}

/// The break lands, and then a beat that was on its way already: the beat has lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beat_that_comes_after_the_break() {
    let server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    let proxy = Proxy::to(server.port()).await;
    let lease = Duration::from_secs(4);
    let orders = Orders::lease(lease);
    let mut holder = Worker::start(&proxy.url(), &orders).await;
    let mut waiter = Worker::start(&ground.place, &orders).await;
    holder.take("write h a").await;
    waiter.say("write w a").await;
    ground.waiters("a", 1).await;
    let session = holder.ask("session", "session").await;
    let key = Session::key_of(&session).unwrap();
    // Nothing but beats is written by it now.
    proxy.stall_a_write().await;
    let (revision, alive) = ground.session(&session).await.unwrap();
    let killed = alive.killed(Cause::Broken, "operator").unwrap();
    let bytes = killed.to_bytes().unwrap();
    let broken = now_ms();
    let landed = ground.store.update(&key, bytes, revision).await.unwrap();
    proxy.set(Wire::Whole);
    eventually("the holder knows", async || !holder.is_valid("h").await).await;
    let (after, found) = ground.session(&session).await.unwrap();
    assert_eq!(
        (after, &found),
        (landed, &killed),
        "the beat came to nothing"
    );
    let (_, granted) = waiter.granted("w").await;
    let quarantine = Lease::new(lease).unwrap().silence().as_millis();
    let took = granted - broken;
    assert!(took >= quarantine, "let in after {took} ms");
    let told = holder.ask("release h", "h failed").await;
    assert!(told.contains("broken"), "{told}");
    waiter.ask("release w", "w released").await;
    ground.free("a").await;
    ground.end().await;
}

/// A beat lands, and then a break of what stood there before it: the break has lost, and the
/// holder holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_that_comes_after_the_beat() {
    let server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    let proxy = Proxy::to(server.port()).await;
    let operator = connect(&proxy.url()).await;
    let operator = Store::open(&*operator, BUCKET).await.unwrap();
    let orders = Orders::lease(Duration::from_secs(4));
    let mut holder = Worker::start(&ground.place, &orders).await;
    let mut waiter = Worker::start(&ground.place, &orders).await;
    holder.take("write h a").await;
    waiter.say("write w a").await;
    ground.waiters("a", 1).await;
    let session = holder.ask("session", "session").await;
    let key = Session::key_of(&session).unwrap();
    let (revision, alive) = ground.session(&session).await.unwrap();
    let killed = alive.killed(Cause::Broken, "operator").unwrap();
    let bytes = killed.to_bytes().unwrap();
    let breaks = async { operator.update(&key, bytes, revision).await };
    let beat = async {
        proxy.stall_a_write().await;
        eventually("a beat lands", async || {
            ground.session(&session).await.unwrap().0 > revision
        })
        .await;
        proxy.set(Wire::Whole);
    };
    // The wire is stalled before anything is sent.
    let ((), broken) = soon("the break", async { tokio::join!(beat, breaks) }).await;
    assert!(
        matches!(broken, Err(WriteError::Conflict { .. })),
        "{broken:?}"
    );
    let (_, found) = ground.session(&session).await.unwrap();
    assert_eq!(found.dead, None);
    assert!(found.beat > alive.beat);
    assert!(holder.is_valid("h").await);
    assert_eq!(ground.record("a").await.waiters().count(), 1);
    holder.ask("release h", "h released").await;
    waiter.granted("w").await;
    waiter.ask("release w", "w released").await;
    ground.free("a").await;
    ground.end().await;
}

/// Acknowledgements are lost for a while: what was done unheard is found, and nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_that_never_come() {
    let server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    let proxy = Proxy::to(server.port()).await;
    let orders = Orders::lease(Duration::from_secs(6));
    let (mut deaf, mut other) = (
        Worker::start(&proxy.url(), &orders).await,
        Worker::start(&ground.place, &orders).await,
    );
    for round in 0..2 {
        let resource = format!("a{round}");
        // What it will do is to write: it knows the record.
        deaf.take(&format!("write w{round} {resource}")).await;
        deaf.ask(&format!("release w{round}"), &format!("w{round} released"))
            .await;
        proxy.set(Wire::DropAnswers);
        deaf.say(&format!("write d{round} {resource}")).await;
        eventually("it has landed unheard", async || {
            ground.record(&resource).await.holders().count() == 1
        })
        .await;
        other.say(&format!("write o{round} {resource}")).await;
        ground.waiters(&resource, 1).await;
        if round == 1 {
            // Longer than a request is waited for.
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        proxy.set(Wire::Whole);
        let (fence, _) = deaf.granted(&format!("d{round}")).await;
        deaf.say(&format!("release d{round}")).await;
        let (next, _) = other.granted(&format!("o{round}")).await;
        assert!(next > fence);
        other
            .ask(&format!("release o{round}"), &format!("o{round} released"))
            .await;
        ground.free(&resource).await;
    }
    ground.end().await;
}

/// A write that was given up is delivered after its sender has come back: it leaves no ghost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_comes_after_the_reconnect() {
    let server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    for resource in ["free", "held"] {
        let proxy = LateProxy::to(server.port()).await;
        let orders = Orders::lease(Duration::from_secs(6));
        let mut late = Worker::start(&proxy.url(), &orders).await;
        let mut other = Worker::start(&ground.place, &orders).await;
        // The lane knows the record, so that what is kept is a write and no read.
        late.take(&format!("write l {resource}")).await;
        late.ask("release l", "l released").await;
        if resource == "held" {
            other.take(&format!("write o {resource}")).await;
            late.say(&format!("write seen {resource}")).await;
            ground.waiters(resource, 1).await;
            other.ask("release o", "o released").await;
            late.granted("seen").await;
            late.ask("release seen", "seen released").await;
        }
        proxy.keep();
        late.say(&format!("write l {resource}")).await;
        proxy.has_kept_a_write().await;
        proxy.hang_up();
        late.granted("l").await;
        late.ask("release l", "l released").await;
        ground.free(resource).await;
        let before = ground.store.get(format!("_lock.{resource}")).await.unwrap();
        proxy.deliver().await;
        let after = ground.store.get(format!("_lock.{resource}")).await.unwrap();
        assert_eq!(before, after, "nothing came late");
        let mut again = Worker::start(&ground.place, &orders).await;
        again.take(&format!("write l {resource}")).await;
        again.ask("release l", "l released").await;
        ground.free(resource).await;
    }
    ground.end().await;
}

/// Three servers, and each in turn dies and comes back while three processes take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_change() {
    let mut cluster = Cluster::start().await;
    let places: Vec<String> = cluster.nodes.iter().map(NatsServer::url).collect();
    let ground = Ground::with(places.join(","), 3).await;
    let orders = Orders::lease(Duration::from_secs(10));
    let mut workers = Vec::new();
    for _ in 0..3 {
        let mut worker = Worker::start(&ground.place, &orders).await;
        worker.take("write own own").await;
        worker.ask("release own", "own released").await;
        worker.say("turns t a 1000000").await;
        workers.push(worker);
    }
    for node in 0..3 {
        let counted = count(&ground).await;
        cluster.nodes[node].kill();
        eventually("two of three go on", async || {
            count(&ground).await > counted + 10
        })
        .await;
        cluster.nodes[node].restart();
        let counted = count(&ground).await;
        eventually("three go on", async || count(&ground).await > counted + 10).await;
    }
    let mut log = Vec::new();
    for worker in &mut workers {
        // Whatever it has said until now.
        worker.say("session").await;
        let session = worker.hear("session").await;
        let (_, session) = ground.session(&session).await.unwrap();
        let is_killed = session.dead.is_some_and(|death| death.why != Cause::Ended);
        assert!(!is_killed, "a process that lives was killed");
        log.extend(inside(worker));
    }
    assert!(log.len() > 60, "{}", log.len());
    one_after_the_other(log);
    ground.end().await;
}

async fn count(ground: &Ground) -> u64 {
    let entry = ground.store.get("count.a").await.ok().flatten();
    let value = entry.as_ref().and_then(|entry| entry.live_value());
    value.map_or(0, |value| String::from_utf8_lossy(value).parse().unwrap())
}
