//! Locks that something is the matter with.

use std::time::{Duration, Instant};

use futures_util::future::{FutureExt as _, join_all};
use kvscope::kv::lock::breaking::{Manner, Sight};
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::session::Cause;
use kvscope::kv::lock::{Locks, Settings};
use kvscope::kv::{Key, Store};
use rustix::process::Signal;

use crate::forged::{self, beating, held, waits};
use crate::stage::{Outcome, Stage, wanted};

/// The lease of those that are killed and stopped: what they leave behind shows soon.
const SHORT: u64 = 2;
/// The lease of those that must not be taken for dead.
const LONG: u64 = 9;

/// What has to be there before anybody looks.
pub(crate) async fn before(stage: &mut Stage) {
    if let Some(path) = stage.place.strip_prefix("file:") {
        // A real queue that is five minutes old, and a flag that is two minutes old: as a file
        // tells, and no server can be made to.
        let (mut holder, mut waiter) = tokio::join!(stage.worker(LONG), stage.worker(LONG));
        holder.take("write one slow").await;
        waiter.say("write w slow").await;
        stage.waiters("slow", 1).await;
        forged::shizuku(&stage.store, "their-stale-flag", 4, 0, Some(500)).await;
        let file = rusqlite::Connection::open(path).unwrap();
        file.busy_timeout(Duration::from_secs(5)).unwrap();
        let earlier = "UPDATE entry SET created = created - ?1 * 1000000000 WHERE key = ?2";
        file.execute(earlier, (300, "_lock.slow")).unwrap();
        file.execute(earlier, (120, "their-stale-flag")).unwrap();
        stage.keep((holder, waiter));
    }
}

pub(crate) async fn run(stage: &Stage) -> Vec<Outcome> {
    let all = join_all([
        killed(stage).boxed_local(),
        stopped(stage).boxed_local(),
        crashed_waiter(stage).boxed_local(),
        deadlocks(stage).boxed_local(),
        quarantine(stage).boxed_local(),
        forged_holders(stage).boxed_local(),
        long(stage).boxed_local(),
        records(stage).boxed_local(),
        foreign(stage).boxed_local(),
    ]);
    all.await.into_iter().flatten().collect()
}

/// Killed holders for whom nobody waits, on this machine and on another.
async fn killed(stage: &Stage) -> Vec<Outcome> {
    let (mut here, mut there) = tokio::join!(stage.worker(LONG), stage.worker_elsewhere(SHORT));
    here.take("write one killed").await;
    there.take("write one killed-elsewhere").await;
    let begun = Instant::now();
    here.kill().await;
    there.kill().await;
    let here = wanted(
        "kill -9 of a holder, same machine",
        "killed",
        "dead-holder",
        &["suspect-holder"],
    );
    let there = wanted(
        "kill -9 of a holder, other machine",
        "killed-elsewhere",
        "suspect-holder",
        &[],
    );
    let (here, there) = tokio::join!(stage.sees(here, begun), stage.sees(there, begun));
    vec![here, there]
}

/// A holder that is stopped; and one that is stopped, and goes on.
async fn stopped(stage: &Stage) -> Vec<Outcome> {
    let (mut one, mut two) = tokio::join!(stage.worker(SHORT), stage.worker(SHORT));
    one.take("write one stopped").await;
    two.take("write one woken").await;
    let begun = Instant::now();
    one.signal(Signal::STOP);
    two.signal(Signal::STOP);
    let stopped = wanted("SIGSTOP of a holder", "stopped", "suspect-holder", &[]);
    let stopped = stage.sees(stopped, begun).await;
    let suspect = wanted(
        "SIGSTOP of a holder, before it goes on",
        "woken",
        "suspect-holder",
        &[],
    );
    let suspect = stage.sees(suspect, begun).await;
    let begun = Instant::now();
    two.signal(Signal::CONT);
    let woken = wanted(
        "SIGCONT of a stopped holder",
        "woken",
        "healthy",
        &["suspect-holder"],
    );
    let woken = stage.sees(woken, begun).await;
    // Nobody takes it for stopped while it ends.
    stage.keep((one, two));
    vec![stopped, suspect, woken]
}

/// The first in line is killed, and the next can't take it out, for it is stopped.
async fn crashed_waiter(stage: &Stage) -> Vec<Outcome> {
    let (mut holder, mut first, mut second) =
        tokio::join!(stage.worker(LONG), stage.worker(LONG), stage.worker(LONG));
    holder.take("write one crashed").await;
    first.say("write w crashed").await;
    stage.waiters("crashed", 1).await;
    second.say("write w crashed").await;
    stage.waiters("crashed", 2).await;
    second.signal(Signal::STOP);
    let begun = Instant::now();
    first.kill().await;
    let crashed = wanted(
        "kill -9 of the first in line",
        "crashed",
        "ghost-waiter",
        &[],
    );
    let crashed = stage.sees(crashed, begun).await;
    stage.keep((holder, second));
    vec![crashed]
}

/// Tasks that wait for each other, two and three of them, each in a process of its own.
async fn deadlocks(stage: &Stage) -> Vec<Outcome> {
    let (mut left, mut right) = tokio::join!(stage.worker(LONG), stage.worker(LONG));
    left.take("write t two-a").await;
    right.take("write t two-b").await;
    left.say("write t two-b").await;
    stage.waiters("two-b", 1).await;
    let begun = Instant::now();
    right.say("write t two-a").await;
    let two = stage
        .sees(wanted("a deadlock of two", "two-a", "deadlock", &[]), begun)
        .await;
    let other = stage
        .sees(
            wanted("the other lock of it", "two-b", "deadlock", &[]),
            begun,
        )
        .await;
    let (mut first, mut second, mut third) =
        tokio::join!(stage.worker(LONG), stage.worker(LONG), stage.worker(LONG));
    first.take("write t three-a").await;
    second.take("read t three-b").await;
    third.take("write t three-c").await;
    first.say("write t three-b").await;
    second.say("write t three-c").await;
    stage.waiters("three-c", 1).await;
    stage.waiters("three-b", 1).await;
    let begun = Instant::now();
    third.say("read t three-a").await;
    let three = wanted("a deadlock of three", "three-b", "deadlock", &[]);
    let three = stage.sees(three, begun).await;
    stage.keep((left, right, first, second, third));
    vec![two, other, three]
}

/// An operator breaks a session that beats; then its guards run out.
async fn quarantine(stage: &Stage) -> Vec<Outcome> {
    let backend = crate::worker::connect(&stage.place).await;
    let store = Store::open(&*backend, crate::worker::BUCKET).await.unwrap();
    let lease = Lease::new(Duration::from_secs(30)).unwrap();
    let locks = Locks::new(&store, Settings::default().lease(lease).label("broken"));
    let guard = locks.write("broken").await.unwrap();
    let mut waiter = stage.worker(LONG).await;
    waiter.say("write w broken").await;
    stage.waiters("broken", 1).await;
    // It does not hear of it, and so does not let go by itself.
    let sight = Sight::take(&stage.store, "broken", guard.session())
        .await
        .unwrap();
    let begun = Instant::now();
    let breaking = sight
        .begin(Manner::Quarantined, "an operator")
        .await
        .unwrap();
    // When it is over and nobody took it out, that is told too.
    let seen = wanted(
        "a quarantine that runs",
        "broken",
        "quarantined",
        &["dead-holder"],
    );
    let seen = stage.sees(seen, begun).await;
    stage.keep((breaking, guard, locks, backend, waiter));
    vec![seen]
}

/// Claims whose sessions are dead, or were never there.
async fn forged_holders(stage: &Stage) -> Vec<Outcome> {
    let store = &stage.store;
    let lease = Duration::from_secs(LONG);
    for id in ["s_alive", "s_next", "s_behind"] {
        stage.keep(beating(store, id, lease, 0.3).await);
    }
    forged::killed(store, "s_silent", Cause::Silent).await;
    let begun = Instant::now();
    forged::lock(
        store,
        "left-over",
        &[held("s_silent", "w"), waits("s_next", "w", 0)],
    )
    .await;
    forged::lock(store, "orphan", &[held("s_never", "w")]).await;
    let ghost = [
        held("s_alive", "r"),
        waits("s_never", "w", 0),
        waits("s_behind", "r", 0),
    ];
    forged::lock(store, "ghost", &ghost).await;
    let left = wanted(
        "a killed holder that nobody takes out",
        "left-over",
        "dead-holder",
        &["suspect-holder"],
    );
    let orphan = wanted("a holder without a session", "orphan", "dead-holder", &[]);
    let ghost = wanted("a waiter without a session", "ghost", "ghost-waiter", &[]);
    let (a, b, c) = tokio::join!(
        stage.sees(left, begun),
        stage.sees(orphan, begun),
        stage.sees(ghost, begun)
    );
    vec![a, b, c]
}

/// Waits that last for minutes, behind holders that live.
async fn long(stage: &Stage) -> Vec<Outcome> {
    let store = &stage.store;
    let lease = Duration::from_secs(LONG);
    for id in ["s_slow", "s_writer", "s_reader"] {
        stage.keep(beating(store, id, lease, 0.3).await);
    }
    let begun = Instant::now();
    let queue = [
        held("s_slow", "r"),
        waits("s_writer", "w", 252),
        waits("s_reader", "r", 240),
    ];
    forged::lock(store, "starving", &queue).await;
    let starving = wanted(
        "readers starve behind a queued writer",
        "starving",
        "long-held",
        &[],
    );
    let mut outcomes = vec![stage.sees(starving, begun).await];
    if stage.engine == "file" {
        let slow = wanted("a slow holder", "slow", "long-held", &[]);
        outcomes.push(stage.sees(slow, stage.opened()).await);
    }
    outcomes
}

/// What is no record, or one of a program to come.
async fn records(stage: &Stage) -> Vec<Outcome> {
    let begun = Instant::now();
    forged::text(&stage.store, "torn", r#"{"v":1,"next":3,"q":["#).await;
    forged::text(&stage.store, "newer", r#"{"v":2,"next":0,"q":[]}"#).await;
    stage
        .store
        .put(Key::new("_lock.bytes").unwrap(), vec![0xff; 40])
        .await
        .unwrap();
    let (a, b, c) = tokio::join!(
        stage.sees(wanted("a record cut off", "torn", "malformed", &[]), begun),
        stage.sees(
            wanted("a record of a newer version", "newer", "malformed", &[]),
            begun
        ),
        stage.sees(
            wanted("bytes that are no text", "bytes", "malformed", &[]),
            begun
        ),
    );
    vec![a, b, c]
}

/// Locks of `shizuku` services with the faults that these are known for.
async fn foreign(stage: &Stage) -> Vec<Outcome> {
    let store = &stage.store;
    let begun = Instant::now();
    forged::shizuku(store, "their-expired", 2, 0, Some(100)).await;
    forged::shizuku(store, "their-zeroed", 1, 2, None).await;
    forged::shizuku(store, "their-nonsense", 0, 2, Some(1)).await;
    forged::shizuku(store, "their-former", 0, 0, Some(1)).await;
    let former = wanted(
        "a shizuku lock, before it is none",
        "their-former",
        "idle",
        &["malformed"],
    );
    let former = stage.sees(former, begun).await;
    let later = Instant::now();
    store.put("their-former", "just some text").await.unwrap();
    let (a, b, c) = tokio::join!(
        stage.sees(
            wanted(
                "a shizuku writer over its time",
                "their-expired",
                "expired",
                &[]
            ),
            begun
        ),
        stage.sees(
            wanted(
                "shizuku readers, a zeroed time",
                "their-zeroed",
                "expired",
                &[]
            ),
            begun
        ),
        stage.sees(
            wanted(
                "a shizuku lock that contradicts itself",
                "their-nonsense",
                "malformed",
                &[]
            ),
            begun
        ),
    );
    let mut outcomes = vec![former, a, b, c];
    // The command line looks once, and does not know what was there before.
    let screen = wanted(
        "a shizuku lock that is none any more",
        "their-former",
        "malformed",
        &[],
    );
    outcomes.push(stage.screen_sees(screen, later).await);
    if stage.engine == "file" {
        let stale = wanted(
            "a stale shizuku flag",
            "their-stale-flag",
            "ghost-waiter",
            &[],
        );
        outcomes.push(stage.sees(stale, stage.opened()).await);
    }
    outcomes
}
