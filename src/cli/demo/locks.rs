//! The simulated services that lock: readers and writers that take turns, one that is slow now and
//! then, one that loses its connection while it holds, and two that wait for each other.
//!
//! Each has a connection and a session of its own, as a process would.

mod cut;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Barrier, watch};
use tracing::debug;

use crate::kv::Store;
use crate::kv::backend::Backend;
use crate::kv::lock::lease::Lease;
use crate::kv::lock::record::Mode;
use crate::kv::lock::{Guard, Kind, LockError, Locks, ReadGuard, Settings, WriteGuard};

use super::data::LOCKS;
use super::plan::around;
use cut::{Cut, cuttable};

/// A lease that shows within seconds what others show within a minute.
const SHORT_LEASE: Duration = Duration::from_secs(9);
/// Long enough to be seen as suspect before it is taken over.
const USUAL_LEASE: Duration = Duration::from_secs(15);
/// How long a service is cut off: until after it was taken for dead.
const CUT_OFF: Duration = Duration::from_secs(24);
/// How long a slow turn lasts: others wait for longer than is healthy.
const SLOW_MILLIS: u64 = 85_000;
/// How long the end of the demo waits for a service to let go.
const LAST: Duration = Duration::from_secs(1);

/// A simulated service that locks.
#[derive(Debug)]
pub(super) struct Locker {
    /// What it calls itself.
    label: &'static str,
    lease: Duration,
    rng: fastrand::Rng,
    habit: Habit,
}

/// What a service does, again and again.
#[derive(Debug)]
enum Habit {
    /// It holds a lock for a while, and does without it for a while.
    Turns(Turn),
    /// The same, and every so many turns it holds the lock for very long, though it is alive.
    Slow { turn: Turn, every: u32 },
    /// The same, and every so many turns it loses its connection while it holds.
    CutOff { turn: Turn, every: u32 },
    /// It takes one lock and then another. Another service takes them the other way round, at the
    /// same time, and whichever is less patient gives up.
    Cross {
        first: &'static str,
        then: &'static str,
        patience: Duration,
        meets: Arc<Barrier>,
    },
}

/// A turn at a lock: around so many milliseconds.
#[derive(Debug, Clone, Copy)]
struct Turn {
    resource: &'static str,
    mode: Mode,
    rests: u64,
    holds: u64,
}

/// A guard of either kind.
enum Held {
    Read(ReadGuard),
    Write(WriteGuard),
}

/// All services that lock.
pub(super) fn lockers(seed: u64) -> Vec<Locker> {
    let turn = |resource, mode, rests, holds| Turn {
        resource,
        mode,
        rests,
        holds,
    };
    let (read, write) = (Mode::Read, Mode::Write);
    let prices = |rests| Habit::Turns(turn("catalog.prices", read, rests, 4000));
    let shard = |rests| Habit::Turns(turn("orders.shard-7", write, rests, 2500));
    let ledger = |mode, rests, holds| turn("billing.ledger", mode, rests, holds);
    let meets = Arc::new(Barrier::new(2));
    let cross = |first, then, seconds| Habit::Cross {
        first,
        then,
        patience: Duration::from_secs(seconds),
        meets: Arc::clone(&meets),
    };
    let habits = [
        ("web-1", SHORT_LEASE, prices(3000)),
        ("web-2", SHORT_LEASE, prices(5000)),
        (
            "price-feed",
            SHORT_LEASE,
            Habit::Turns(turn("catalog.prices", write, 9000, 1500)),
        ),
        ("order-worker-1", SHORT_LEASE, shard(2000)),
        ("order-worker-2", SHORT_LEASE, shard(3000)),
        (
            "order-worker-3",
            USUAL_LEASE,
            Habit::CutOff {
                turn: turn("orders.shard-7", write, 2500, 2500),
                every: 5,
            },
        ),
        (
            "report",
            SHORT_LEASE,
            Habit::Slow {
                turn: ledger(read, 4000, 3000),
                every: 8,
            },
        ),
        (
            "nightly-export",
            SHORT_LEASE,
            Habit::Turns(ledger(write, 12_000, 2000)),
        ),
        (
            "invoice-api",
            SHORT_LEASE,
            Habit::Turns(ledger(read, 6000, 1000)),
        ),
        (
            "restock",
            SHORT_LEASE,
            cross("stock.berlin", "stock.lisbon", 12),
        ),
        (
            "returns",
            SHORT_LEASE,
            cross("stock.lisbon", "stock.berlin", 18),
        ),
    ];
    let mut seeds = fastrand::Rng::with_seed(seed);
    let locker = |(label, lease, habit)| Locker {
        label,
        lease,
        rng: fastrand::Rng::with_seed(seeds.u64(..)),
        habit,
    };
    habits.into_iter().map(locker).collect()
}

/// Runs a service until the demo ends, which is when the sender of `demo` is dropped. It lets go
/// of what it holds then.
pub(super) async fn run(
    mut locker: Locker,
    backend: Arc<dyn Backend>,
    mut demo: watch::Receiver<()>,
) {
    let (store, cut) = match Store::open(&*backend, LOCKS).await {
        Ok(store) => cuttable(&store),
        Err(error) => {
            debug!(service = locker.label, %error, "no locks");
            return;
        }
    };
    let lease = Lease::new(locker.lease).unwrap_or_default();
    let settings = Settings::default().lease(lease).label(locker.label);
    #[cfg(test)]
    let settings = settings.clock(crate::kv::lock::Clock::tokio());
    let locks = Locks::new(&store, settings);
    tokio::select! {
        _ = demo.changed() => {}
        () = locker.work(&locks, &cut) => {}
    }
    cut.restore();
    // What is not let go by then is found out by the next demo: this process is gone.
    let _ = tokio::time::timeout(LAST, locks.close()).await;
}

impl Locker {
    async fn work(&mut self, locks: &Locks, cut: &Cut) {
        let mut turns = 0;
        loop {
            turns += 1;
            let done = match &self.habit {
                Habit::Turns(turn) => {
                    let holds = around(&mut self.rng, turn.holds);
                    take(turn, locks, &mut self.rng, holds).await.map(drop)
                }
                // The first of them comes soon, so that nobody has to wait for it.
                Habit::Slow { turn, every } => {
                    let is_slow = turns % every == 1;
                    let holds = if is_slow { SLOW_MILLIS } else { turn.holds };
                    let holds = around(&mut self.rng, holds).max(Duration::from_millis(holds));
                    take(turn, locks, &mut self.rng, holds).await.map(drop)
                }
                Habit::CutOff { turn, every } => {
                    let held = take(turn, locks, &mut self.rng, Duration::ZERO).await;
                    if turns % every == 2 {
                        cut.cut();
                        tokio::time::sleep(CUT_OFF).await;
                        cut.restore();
                    } else {
                        tokio::time::sleep(around(&mut self.rng, turn.holds)).await;
                    }
                    held.map(drop)
                }
                Habit::Cross {
                    first,
                    then,
                    patience,
                    meets,
                } => {
                    // The first time soon, so that nobody has to wait for it.
                    let rests = if turns == 1 { 8_000 } else { 45_000 };
                    tokio::time::sleep(around(&mut self.rng, rests)).await;
                    meets.wait().await;
                    cross(locks, first, then, *patience).await
                }
            };
            // An operator may have caused it on purpose, by breaking the lock.
            if let Err(error) = done {
                debug!(service = self.label, %error, "a lock was not held");
                tokio::time::sleep(around(&mut self.rng, 2000)).await;
            }
        }
    }
}

/// Rests, takes a lock, and holds it for that long.
async fn take(
    turn: &Turn,
    locks: &Locks,
    rng: &mut fastrand::Rng,
    holds: Duration,
) -> Result<Held, LockError> {
    tokio::time::sleep(around(rng, turn.rests)).await;
    let held = match turn.mode {
        Mode::Read => Held::Read(locks.read(turn.resource).await?),
        Mode::Write => Held::Write(locks.write(turn.resource).await?),
    };
    let lost = async {
        match &held {
            Held::Read(guard) => lost(guard).await,
            Held::Write(guard) => lost(guard).await,
        }
    };
    tokio::select! {
        error = lost => Err(error),
        () = tokio::time::sleep(holds) => Ok(held),
    }
}

async fn lost<K: Kind>(guard: &Guard<K>) -> LockError {
    LockError::Lost(guard.lost().await)
}

/// Takes one lock, and then another.
async fn cross(
    locks: &Locks,
    first: &str,
    then: &str,
    patience: Duration,
) -> Result<(), LockError> {
    let outer = locks.write(first).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let inner = locks.write(then).within(patience).await;
    if inner.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    drop(inner?);
    outer.release().await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::data::Data;
    use super::*;
    use crate::kv::lock::record::Record;
    use crate::kv::lock::resource_of;
    use crate::kv::lock::session::{Cause, SESSION_PREFIX, Session};
    use crate::kv::memory::Memory;
    use crate::kv::{Entry, Filter, WatchEvent, WatchOptions};
    use tokio::task::JoinSet;

    /// What was seen of the services' locks.
    #[derive(Default)]
    struct Seen {
        waited_for: HashSet<String>,
        was_deadlock: bool,
        was_silent: bool,
        /// In the history of one lock, so many others came while one held it.
        longest_queue: usize,
    }

    impl Seen {
        fn see(&mut self, entry: &Entry) {
            let (key, Some(value)) = (entry.key.as_str(), entry.live_value()) else {
                return;
            };
            if key.starts_with(SESSION_PREFIX) {
                let death = Session::from_bytes(value).unwrap().dead;
                self.was_silent |= death.is_some_and(|death| death.why == Cause::Silent);
            }
            let Some((resource, Ok(record))) =
                resource_of(key).map(|resource| (resource, Record::from_bytes(value)))
            else {
                return;
            };
            let waiters = record.waiters().count();
            self.longest_queue = self.longest_queue.max(waiters);
            if waiters > 0 {
                self.waited_for.insert(resource);
            } else {
                self.waited_for.remove(&resource);
            }
            let circle = ["stock.berlin", "stock.lisbon"];
            self.was_deadlock |= circle.iter().all(|lock| self.waited_for.contains(*lock));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn within_a_minute_there_is_a_queue_a_deadlock_and_a_silent_session() {
        let memory = Arc::new(Memory::new());
        let data = Data::read().unwrap();
        for seed in data.buckets(memory.capabilities(), 1).unwrap() {
            memory.create_bucket(&seed.config).await.unwrap();
        }
        let (runs, demo) = watch::channel(());
        let mut tasks = JoinSet::new();
        for locker in lockers(1) {
            tasks.spawn(run(locker, Arc::<Memory>::clone(&memory), demo.clone()));
        }
        let store = Store::open(&*memory, LOCKS).await.unwrap();
        let watch = store.watch(WatchOptions::new(Filter::all())).await.unwrap();
        let mut seen = Seen::default();
        let looks = async {
            while !(seen.was_deadlock && seen.was_silent && seen.longest_queue >= 2) {
                if let Some(WatchEvent::Entry(entry)) = watch.next().await {
                    seen.see(&entry);
                }
            }
        };
        let looked = tokio::time::timeout(Duration::from_secs(60), looks).await;
        assert!(
            looked.is_ok(),
            "deadlock {}, silent {}, queue {}",
            seen.was_deadlock,
            seen.was_silent,
            seen.longest_queue
        );
        drop(runs);
        while tasks.join_next().await.is_some() {}
        let locks = store
            .entries(Filter::new("_lock.>").unwrap())
            .await
            .unwrap();
        assert!(locks.len() >= 5);
        for lock in locks {
            let entry = store.get(lock.key.as_str()).await.unwrap().unwrap();
            let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
            assert!(record.claims().is_empty(), "{} at the end", lock.key);
        }
    }
}
