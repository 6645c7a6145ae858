//! Locks that nothing is the matter with, however busy or odd they are: each false alarm counts.

use std::time::{Duration, Instant};

use futures_util::future::{FutureExt as _, join_all};
use kvscope::kv::lock::{Locks, Settings};
use tokio::task::JoinSet;

use crate::forged::{self, beating, held, waits};
use crate::stage::{Outcome, Stage, wanted};

/// Longer than this machine is ever too busy to beat.
const LEASE: u64 = 9;
/// For how long those that take turns do so.
const BUSY: Duration = Duration::from_secs(20);

pub(crate) async fn run(stage: &Stage) -> Vec<Outcome> {
    let all = join_all([
        plain(stage).boxed_local(),
        taking_turns(stage).boxed_local(),
        many_readers(stage).boxed_local(),
        two_tasks(stage).boxed_local(),
        slow_beats(stage).boxed_local(),
        clocks_apart(stage).boxed_local(),
        let_go(stage).boxed_local(),
        shizuku(stage).boxed_local(),
    ]);
    all.await.into_iter().flatten().collect()
}

/// Held by a process that beats; and one that another waits for.
async fn plain(stage: &Stage) -> Vec<Outcome> {
    let (mut holder, mut waiter) = tokio::join!(stage.worker(LEASE), stage.worker(LEASE));
    let begun = Instant::now();
    holder.take("write one held").await;
    holder.take("write two queued").await;
    waiter.say("write w queued").await;
    let first = wanted("held by one that beats", "held", "healthy", &[]);
    let second = wanted("a short queue", "queued", "contended", &[]);
    let (first, second) = tokio::join!(stage.sees(first, begun), stage.sees(second, begun));
    stage.keep((holder, waiter));
    vec![first, second]
}

/// Processes that hand a lock to each other all the time.
async fn taking_turns(stage: &Stage) -> Vec<Outcome> {
    let mut workers = Vec::new();
    let begun = Instant::now();
    for _ in 0..3 {
        let mut worker = stage.worker(LEASE).await;
        worker.say("turns t busy 1000000").await;
        workers.push(worker);
    }
    let seen = stage
        .sees(
            wanted("a queue that moves all the time", "busy", "contended", &[]),
            begun,
        )
        .await;
    tokio::time::sleep(BUSY).await;
    // In order, so that what is seen last is nobody's crash.
    for worker in &mut workers {
        worker.say("close").await;
    }
    stage.keep(workers);
    vec![seen]
}

/// Many who read and let go, and a writer now and then.
async fn many_readers(stage: &Stage) -> Vec<Outcome> {
    let backend = crate::worker::connect(&stage.place).await;
    let store = kvscope::kv::Store::open(&*backend, crate::worker::BUCKET)
        .await
        .unwrap();
    let locks = Locks::new(&store, Settings::default().label("many"));
    let begun = Instant::now();
    let until = tokio::time::Instant::now() + BUSY;
    let mut tasks = JoinSet::new();
    for number in 0..20_u64 {
        let locks = locks.clone();
        tasks.spawn(async move {
            while tokio::time::Instant::now() < until {
                if number == 0 {
                    let guard = locks.write("readers").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    guard.release().await.unwrap();
                } else {
                    let guard = locks.read("readers").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(number * 7)).await;
                    guard.release().await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let seen = stage
        .sees(
            wanted(
                "readers that come and go, and a writer",
                "readers",
                "contended",
                &[],
            ),
            begun,
        )
        .await;
    tasks.join_all().await;
    locks.close().await;
    vec![seen]
}

/// Two processes hold what the other waits for, in different tasks: each can let go.
async fn two_tasks(stage: &Stage) -> Vec<Outcome> {
    let (mut one, mut two) = tokio::join!(stage.worker(LEASE), stage.worker(LEASE));
    let begun = Instant::now();
    one.take("write holds apart-a").await;
    two.take("write holds apart-b").await;
    one.say("write waits apart-b").await;
    two.say("write waits apart-a").await;
    let seen = stage
        .sees(
            wanted(
                "a circle of processes, not of tasks",
                "apart-a",
                "contended",
                &[],
            ),
            begun,
        )
        .await;
    stage.keep((one, two));
    vec![seen]
}

/// One that beats as late as it may.
async fn slow_beats(stage: &Stage) -> Vec<Outcome> {
    let begun = Instant::now();
    // A quarter of it is all that is left to a busy machine.
    let lease = Duration::from_secs(20);
    stage.keep(beating(&stage.store, "s_late", lease, 0.75).await);
    forged::lock(&stage.store, "late", &[held("s_late", "w")]).await;
    vec![
        stage
            .sees(
                wanted("a holder that beats late", "late", "healthy", &[]),
                begun,
            )
            .await,
    ]
}

/// Claims from machines whose clocks are an hour ahead.
async fn clocks_apart(stage: &Stage) -> Vec<Outcome> {
    let begun = Instant::now();
    let lease = Duration::from_secs(LEASE);
    for id in ["s_ahead", "s_right"] {
        stage.keep(beating(&stage.store, id, lease, 0.3).await);
    }
    forged::lock(&stage.store, "ahead", &[held("s_right", "w")]).await;
    let queue = [held("s_right", "w"), waits("s_ahead", "w", -3600)];
    forged::lock(&stage.store, "ahead", &queue).await;
    let queue = [held("s_right", "w"), waits("s_ahead", "w", 3600)];
    forged::lock(&stage.store, "behind", &queue[..1]).await;
    forged::lock(&stage.store, "behind", &queue).await;
    let ahead = wanted(
        "a waiter whose clock is an hour ahead",
        "ahead",
        "contended",
        &[],
    );
    let behind = wanted(
        "a waiter whose clock is an hour behind",
        "behind",
        "contended",
        &[],
    );
    let (ahead, behind) = tokio::join!(stage.sees(ahead, begun), stage.sees(behind, begun));
    vec![ahead, behind]
}

/// Held, and let go of.
async fn let_go(stage: &Stage) -> Vec<Outcome> {
    let mut worker = stage.worker(LEASE).await;
    worker.take("write one rest").await;
    worker.ask("release one", "one released").await;
    let begun = Instant::now();
    let seen = stage
        .sees(wanted("let go of", "rest", "idle", &[]), begun)
        .await;
    worker.ask("close", "closed").await;
    vec![seen]
}

/// Locks of other services that are in use.
async fn shizuku(stage: &Stage) -> Vec<Outcome> {
    let begun = Instant::now();
    forged::shizuku(&stage.store, "their-writer", 2, 0, Some(1)).await;
    forged::shizuku(&stage.store, "their-readers", 1 | 4, 3, Some(1)).await;
    forged::shizuku(&stage.store, "their-flag", 4, 0, Some(1)).await;
    stage.store.put("a-value", "nine byte").await.unwrap();
    let (a, b, c) = tokio::join!(
        stage.sees(
            wanted("a shizuku writer", "their-writer", "healthy", &["expired"]),
            begun
        ),
        stage.sees(
            wanted(
                "shizuku readers, and a flag",
                "their-readers",
                "contended",
                &["expired"]
            ),
            begun
        ),
        stage.sees(
            wanted(
                "a shizuku flag that was just set",
                "their-flag",
                "contended",
                &["ghost-waiter"]
            ),
            begun
        ),
    );
    vec![a, b, c]
}
