//! Random schedules: several processes in one, on one store, on a clock that needs no waiting.
//! They read, write, give up, downgrade, stall and die, while their stores lose acknowledgements,
//! deliver writes late, fail and are cut off.
//!
//! `KVSCOPE_LOCK_SCHEDULES` says how many to run, and `KVSCOPE_LOCK_SEED` with which to begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::{Faults, Faulty, Odds};
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::record::{Record, Refusal, Step};
use kvscope::kv::lock::session::{Cause, Session};
use kvscope::kv::lock::{Clock, LockError, Locks, Settings, key_of};
use kvscope::kv::memory::Memory;
use kvscope::kv::{BucketName, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::held::Held;
use crate::layers::{Mortal, Pulse, Witnessed};
use crate::oracle::{Oracle, Presence, Tally, shown};

const RESOURCES: [&str; 2] = ["a", "b"];
/// How many schedules there are when nobody asks for more.
const A_FEW: u64 = 48;
/// How long faults are made.
const CHAOS: Duration = Duration::from_secs(40);
/// How long, afterwards, until everybody who lives must have come to an end.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn random_schedules_violate_nothing() {
    let number = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
    let first = number("KVSCOPE_LOCK_SEED").unwrap_or(0);
    let count = number("KVSCOPE_LOCK_SCHEDULES").unwrap_or(A_FEW);
    let begun = std::time::Instant::now();
    let seeds = AtomicU64::new(first);
    let run_some = || {
        let next =
            || Some(seeds.fetch_add(1, Ordering::Relaxed)).filter(|&seed| seed < first + count);
        let ends = std::iter::from_fn(next).map(|seed| (seed, run(seed)));
        ends.collect::<Vec<_>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_some)).collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        ends.flatten().collect()
    });
    let mut sum = Tally::default();
    let (mut takeovers, mut violations) = (Vec::new(), 0);
    for (seed, end) in ends {
        match end {
            Ok(end) => {
                sum.guards += end.tally.guards;
                sum.landed += end.tally.landed;
                sum.refused += end.tally.refused;
                takeovers.extend(end.takeovers);
            }
            Err(what) => {
                violations += 1;
                println!("seed {seed}: {what}");
            }
        }
    }
    takeovers.sort_unstable_by(f64::total_cmp);
    println!(
        "{count} schedules in {:.1} s, {violations} violations; {} guards, {} writes, \
         {} late writes refused by their fence; {} locks taken over from the dead, \
         after {:.2} leases at most",
        begun.elapsed().as_secs_f64(),
        sum.guards,
        sum.landed,
        sum.refused,
        takeovers.len(),
        takeovers.last().unwrap_or(&0.0),
    );
    assert_eq!(violations, 0, "the seeds are above");
}

struct End {
    tally: Tally,
    /// How long it took to get what only the dead held, in leases.
    takeovers: Vec<f64>,
}

fn run(seed: u64) -> Result<End, String> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut schedule = Schedule::new(seed).await;
        schedule.chaos().await;
        let takeovers = schedule.calm().await;
        schedule.oracle.verdict()?;
        let tally = schedule.oracle.tally();
        Ok(End { tally, takeovers })
    })
}

/// One of the processes.
struct Process {
    number: usize,
    locks: Option<Locks>,
    faults: Faults,
    pulse: watch::Sender<Pulse>,
    tasks: JoinSet<()>,
}

struct Schedule {
    random: fastrand::Rng,
    oracle: Arc<Oracle>,
    backend: Arc<dyn Backend>,
    /// The store itself, without faults.
    store: Store,
    lease: Lease,
    processes: Vec<Process>,
    /// The numbers of those who died.
    dead: Vec<usize>,
    begun: u64,
}

impl Schedule {
    async fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let oracle = Oracle::begin();
        let backend: Arc<dyn Backend> = Arc::new(Witnessed {
            inner: Arc::new(Memory::new()),
            witness: Arc::clone(&oracle),
        });
        let config = BucketConfig::new(BucketName::new("locks").unwrap());
        backend.create_bucket(&config).await.unwrap();
        let lease = Lease::new(Duration::from_millis(random.u64(1000..4000))).unwrap();
        let mut schedule = Self {
            store: Store::open(&*backend, "locks").await.unwrap(),
            random,
            oracle,
            backend,
            lease,
            processes: Vec::new(),
            dead: Vec::new(),
            begun: 0,
        };
        for _ in 0..schedule.random.usize(2..6) {
            schedule.start_process().await;
        }
        schedule
    }

    async fn start_process(&mut self) {
        let number = self.processes.len() + self.dead.len();
        let (faulty, faults) = Faulty::new(Arc::clone(&self.backend));
        let (pulse, felt) = watch::channel(Pulse::Beating);
        let bucket = BucketName::new("locks").unwrap();
        let store = Store::new(Arc::new(Mortal {
            inner: faulty.bucket(&bucket).await.unwrap(),
            pulse: felt,
        }));
        let settings = Settings::default()
            .lease(self.lease)
            .label(format!("p{number}"))
            .clock(Clock::tokio());
        let locks = Locks::new(&store, settings);
        let mut odds = || match self.random.u8(0..3) {
            0 => self.random.f64() * 0.12,
            _ => 0.0,
        };
        let odds = Odds {
            fail: odds(),
            lose_ack: odds(),
            drop: odds(),
            late: odds(),
        };
        faults.at_random(self.random.u64(..), odds);
        faults.lose_notices(self.random.u64(0..4));
        faults.delay(Duration::from_micros(self.random.u64(0..20_000)));
        let mut process = Process {
            number,
            locks: None,
            faults,
            pulse,
            tasks: JoinSet::new(),
        };
        for task in 0..self.random.usize(1..5) {
            let customer = Customer {
                process: number,
                name: format!("p{number}.{task}"),
                lease: self.lease,
                locks: locks.clone(),
                oracle: Arc::clone(&self.oracle),
                random: self.random.fork(),
            };
            process.tasks.spawn(customer.run());
        }
        process.locks = Some(locks);
        self.processes.push(process);
    }

    async fn chaos(&mut self) {
        let end = Instant::now() + CHAOS;
        while Instant::now() < end {
            let most = self.lease.length().as_secs_f64();
            sleep(Duration::from_secs_f64(self.random.f64() * most)).await;
            self.oracle.look();
            self.strike().await;
        }
    }

    /// Something happens to one of the processes.
    async fn strike(&mut self) {
        if self.processes.is_empty() {
            self.start_process().await;
            return;
        }
        let at = self.random.usize(..self.processes.len());
        let kind = self.random.u8(0..20);
        let number = self.processes[at].number;
        let process = &mut self.processes[at];
        let faults = &process.faults;
        self.oracle.note(format_args!("strike {kind} at p{number}"));
        match kind {
            0 => self.crash(at),
            1 | 2 => {
                process.pulse.send_replace(Pulse::Frozen);
            }
            3 | 4 => faults.cut(),
            5..=7 => faults.fail_reads(self.random.u32(1..6)),
            8 => faults.delay(Duration::from_millis(self.random.u64(0..400))),
            9 | 10 => {
                faults.deliver_late().await;
            }
            11 => self.break_one(at).await,
            12 if self.begun < 3 => {
                self.begun += 1;
                self.start_process().await;
            }
            // A task is dropped wherever it is.
            13 if self.random.bool() => {
                process.tasks.abort_all();
            }
            14 => faults.delay(Duration::ZERO),
            _ => {
                process.pulse.send_replace(Pulse::Beating);
                if self.random.bool() {
                    faults.restore();
                } else {
                    faults.restore_with_gap();
                }
            }
        }
    }

    fn crash(&mut self, at: usize) {
        let mut process = self.processes.swap_remove(at);
        process.pulse.send_replace(Pulse::Dead);
        self.oracle.bury(process.number);
        process.tasks.abort_all();
        self.dead.push(process.number);
        // What it had sent may still come, from wherever it is on its way.
        if self.random.bool() {
            let (faults, wait) = (process.faults.clone(), self.random.u64(0..8000));
            tokio::spawn(async move {
                sleep(Duration::from_millis(wait)).await;
                faults.deliver_late().await;
            });
        }
        // Its tasks hang for ever in a store that never answers.
        std::mem::forget(process.pulse);
    }

    /// An operator breaks its session: the waiters see to the rest.
    async fn break_one(&self, at: usize) {
        let Some(locks) = &self.processes[at].locks else {
            return;
        };
        let Some(session) = locks.session() else {
            return;
        };
        let key = Session::key_of(&session).unwrap();
        let Some(entry) = self.store.get(&key).await.unwrap() else {
            return;
        };
        let Some(session) = entry.live_value().map(|value| Session::from_bytes(value)) else {
            return;
        };
        if let Some(broken) = session.unwrap().killed(Cause::Broken, "operator") {
            let bytes = broken.to_bytes().unwrap();
            self.store.update(&key, bytes, entry.revision).await.ok();
        }
    }

    /// No faults any more: whoever lives comes to an end, and what is left is free.
    async fn calm(&mut self) -> Vec<f64> {
        self.oracle.note("calm");
        for process in &self.processes {
            process.pulse.send_replace(Pulse::Beating);
            process.faults.clear();
            process.faults.restore();
            process.faults.deliver_late().await;
        }
        for process in &mut self.processes {
            let ended = timeout(PATIENCE, async {
                while let Some(ended) = process.tasks.join_next().await {
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        self.oracle.violated(error);
                    }
                }
            });
            if ended.await.is_err() {
                let left = process.tasks.len();
                let what = format!("p{}: {left} tasks never ended", process.number);
                self.oracle.violated(what);
            }
        }
        // Whoever gave up has done so.
        sleep(Duration::from_secs(10)).await;
        self.nothing_is_left_of_the_living().await;
        let takeovers = self.everything_can_be_had().await;
        for process in &mut self.processes {
            // Nobody uses them any more: the last one closes the session.
            if let Some(locks) = process.locks.take()
                && timeout(PATIENCE, locks.close()).await.is_err()
            {
                self.oracle
                    .violated(format_args!("p{}: never closed", process.number));
            }
        }
        takeovers
    }

    async fn record(&self, resource: &str) -> Record {
        let entry = self.store.get(key_of(resource).unwrap()).await.unwrap();
        let bytes = entry.as_ref().and_then(|entry| entry.live_value());
        bytes.map_or_else(Record::default, |bytes| Record::from_bytes(bytes).unwrap())
    }

    /// No claim of a process that lives lacks an owner.
    async fn nothing_is_left_of_the_living(&self) {
        for resource in RESOURCES {
            let record = self.record(resource).await;
            let lives = |label: &str| {
                let mut dead = self.dead.iter();
                !dead.any(|number| format!("p{number}") == label)
            };
            if record.claims().iter().any(|claim| lives(&claim.label)) {
                let what = format!("a ghost at {resource}: {}", shown(&record));
                self.oracle.violated(what);
            }
        }
    }

    /// A newcomer gets every lock, and leaves it free.
    async fn everything_can_be_had(&self) -> Vec<f64> {
        let settings = Settings::default().lease(self.lease).clock(Clock::tokio());
        let locks = Locks::new(&self.store, settings);
        let mut takeovers = Vec::new();
        for resource in RESOURCES {
            let left = self.record(resource).await;
            let begun = Instant::now();
            match timeout(PATIENCE, locks.write(resource)).await {
                Ok(Ok(guard)) => {
                    guard.release().await.unwrap();
                    if !left.claims().is_empty() {
                        let leases = begun.elapsed().as_secs_f64();
                        takeovers.push(leases / self.lease.length().as_secs_f64());
                    }
                }
                Ok(Err(error)) => self.oracle.violated(format_args!("{resource}: {error}")),
                Err(_) => self
                    .oracle
                    .violated(format_args!("{resource}: never free: {}", shown(&left))),
            }
        }
        self.nothing_is_left_of_the_living().await;
        locks.close().await;
        takeovers
    }
}

/// One task, which wants locks.
struct Customer {
    process: usize,
    name: String,
    lease: Lease,
    locks: Locks,
    oracle: Arc<Oracle>,
    random: fastrand::Rng,
}

impl Customer {
    async fn run(mut self) {
        for _ in 0..self.random.usize(2..12) {
            sleep(self.some(1.0)).await;
            self.turn().await;
        }
    }

    /// A time of up to so many leases, mostly short.
    fn some(&mut self, leases: f64) -> Duration {
        let part = self.random.f64();
        self.lease.length().mul_f64(leases * part * part * part)
    }

    async fn turn(&mut self) {
        let resource = RESOURCES[self.random.usize(..RESOURCES.len())];
        let (wait, kind) = (self.some(3.0), self.random.u8(0..6));
        let owner = self.name.clone();
        self.oracle
            .note(format_args!("{owner} asks for {resource} ({kind})"));
        let locks = &self.locks;
        let result = match kind {
            0 => locks.write(resource).owner(owner).await.map(Held::Write),
            1 => locks.read(resource).owner(owner).await.map(Held::Read),
            2 => locks
                .try_write(resource)
                .owner(owner)
                .await
                .map(Held::Write),
            3 => locks.try_read(resource).owner(owner).await.map(Held::Read),
            4 => {
                let within = locks.write(resource).owner(owner).within(wait);
                within.await.map(Held::Write)
            }
            _ => match timeout(wait, locks.read(resource).owner(owner)).await {
                Ok(guard) => guard.map(Held::Read),
                // The future is dropped where it is.
                Err(_) => return,
            },
        };
        match result {
            Ok(guard) => self.inside(guard).await,
            Err(
                LockError::TimedOut { .. }
                | LockError::Lost(_)
                | LockError::Store(_)
                | LockError::Unknown(_)
                | LockError::Refused {
                    refusal: Refusal::WouldWait,
                    ..
                },
            ) => {}
            Err(error) => self.oracle.violated(format_args!("{}: {error}", self.name)),
        }
    }

    async fn inside(&mut self, guard: Held) {
        let name = self.name.clone();
        let mut presence = self.oracle.enter(self.process, guard);
        let stay = self.some(2.0);
        presence.stay(stay).await;
        if self.random.u8(0..4) == 0 {
            let Some(guard) = presence.leave() else {
                return;
            };
            let Held::Write(guard) = guard else {
                drop(guard);
                return;
            };
            self.oracle.note(format_args!("{name} downgrades"));
            match guard.downgrade().await {
                Ok(guard) => presence = self.downgraded(guard),
                Err(LockError::Lost(_) | LockError::Store(_)) => return,
                Err(error) => {
                    self.oracle.violated(format_args!("{}: {error}", self.name));
                    return;
                }
            }
            let stay = self.some(1.0);
            presence.stay(stay).await;
        }
        self.oracle.note(format_args!("{name} lets go"));
        if self.random.bool() {
            // Let go in the background.
            drop(presence);
            return;
        }
        let released = match presence.leave() {
            Some(guard) => guard.release().await,
            None => Ok(()),
        };
        match released {
            // An outage as long as a lease is told, and letting go is gone on with.
            Ok(()) | Err(LockError::Lost(_) | LockError::Store(_)) => {}
            Err(error) => self.oracle.violated(format_args!("{}: {error}", self.name)),
        }
    }

    fn downgraded(&self, guard: kvscope::kv::lock::ReadGuard) -> Presence {
        self.oracle.resume(self.process, Held::Read(guard))
    }
}

/// Those who died together are found out together, not one after the other.
#[tokio::test(start_paused = true)]
async fn a_queue_of_the_dead_takes_hardly_longer_than_one() {
    let lease = Lease::new(Duration::from_secs(2)).unwrap();
    let config = BucketConfig::new(BucketName::new("locks").unwrap());
    let (memory, store) = Memory::with_bucket(&config).await.unwrap();
    let settings = || Settings::default().lease(lease).clock(Clock::tokio());
    let mut dying = Vec::new();
    for number in 0..6 {
        let (pulse, felt) = watch::channel(Pulse::Beating);
        let inner = memory.bucket(&config.name).await.unwrap();
        let theirs = Store::new(Arc::new(Mortal { inner, pulse: felt }));
        let locks = Locks::new(&theirs, settings().label(format!("p{number}")));
        tokio::spawn(async move {
            let guard = locks.write("a").await;
            std::future::pending::<()>().await;
            drop(guard);
        });
        sleep(Duration::from_millis(10)).await;
        dying.push(pulse);
    }
    let locks = Locks::new(&store, settings());
    let waits = locks.write("a");
    let dies = async {
        sleep(lease.length()).await;
        for pulse in &dying {
            pulse.send_replace(Pulse::Dead);
        }
        Instant::now()
    };
    let (guard, died) = tokio::join!(async { (waits.await.unwrap(), Instant::now()) }, dies);
    let took = guard.1 - died;
    assert!(took < lease.length() * 9 / 5, "{took:?}");
    guard.0.release().await.unwrap();
}

/// A store that took long to answer is no reason to rest for long: what is given up is in the way
/// of others.
#[tokio::test(start_paused = true)]
async fn who_was_frozen_gives_up_at_once() {
    let config = BucketConfig::new(BucketName::new("locks").unwrap());
    let (memory, store) = Memory::with_bucket(&config).await.unwrap();
    let lease = Lease::new(Duration::from_secs(600)).unwrap();
    let settings = || Settings::default().lease(lease).clock(Clock::tokio());
    let (pulse, felt) = watch::channel(Pulse::Beating);
    let inner = memory.bucket(&config.name).await.unwrap();
    let theirs = Store::new(Arc::new(Mortal { inner, pulse: felt }));
    let frozen = Locks::new(&theirs, settings());
    let locks = Locks::new(&store, settings());
    let holder = locks.write("a").owner("holder").await.unwrap();
    let left = |label: &'static str| {
        let store = store.clone();
        async move {
            let entry = store.get(key_of("a").unwrap()).await.unwrap().unwrap();
            let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
            record.claims().iter().any(|claim| claim.label == label)
        }
    };
    {
        let waits = frozen.read("a").label("frozen");
        assert!(timeout(Duration::from_secs(1), waits).await.is_err());
        // Given up, and not yet told to the store: nothing has run since.
        pulse.send_replace(Pulse::Frozen);
    }
    let other = locks.clone();
    let late = tokio::spawn(async move { other.write("a").owner("late").await });
    sleep(Duration::from_secs(60)).await;
    assert!(left("frozen").await);
    pulse.send_replace(Pulse::Beating);
    sleep(Duration::from_secs(1)).await;
    assert!(!left("frozen").await);
    holder.release().await.unwrap();
    late.await.unwrap().unwrap().release().await.unwrap();
}

/// A claim that was taken out and seen to be gone can't be downgraded, and says so.
#[tokio::test(start_paused = true)]
async fn a_downgrade_after_the_eviction_ends() {
    let config = BucketConfig::new(BucketName::new("locks").unwrap());
    let (_memory, store) = Memory::with_bucket(&config).await.unwrap();
    let locks = Locks::new(&store, Settings::default().clock(Clock::tokio()));
    let guard = locks.write("a").owner("writer").await.unwrap();
    // Somebody of the same process waits, and so it watches.
    let same = locks.clone();
    let waits = tokio::spawn(async move { same.read("a").owner("reader").await.map(drop) });
    sleep(Duration::from_secs(1)).await;
    let key = key_of("a").unwrap();
    let entry = store.get(&key).await.unwrap().unwrap();
    let record = Record::from_bytes(entry.live_value().unwrap()).unwrap();
    let Step::Write(evicted) = record.evict(guard.session(), entry.revision) else {
        panic!("there is a claim");
    };
    let evicted = evicted.to_bytes().unwrap();
    store.update(&key, evicted, entry.revision).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let downgraded = timeout(Duration::from_secs(60), guard.downgrade()).await;
    let downgraded = downgraded.expect("it ends");
    assert!(
        matches!(downgraded, Err(LockError::Lost(_))),
        "{downgraded:?}"
    );
    assert!(waits.await.unwrap().is_err());
}
