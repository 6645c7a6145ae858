//! Locks against raw compare-and-sets, on a real nats-server and, for comparison, on a file.
//!
//! ```text
//! cargo bench --bench locks --all-features
//! ```
//!
//! The server is the one that `NATS_SERVER` names, one on the `PATH`, or the one that
//! `scripts/test` installed. It prints what was measured, what it was measured against, and what
//! is allowed, and fails if anything on the server is over. Times are those of a clock: on a
//! machine that does other things at the same time only the ratios tell something, since what they
//! compare ran by turns.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that can't be made ends the benchmark"
)]

#[path = "../tests/locks/held.rs"]
mod held;
#[path = "../tests/support/nats.rs"]
mod support;
#[path = "../tests/locks/worker.rs"]
mod worker;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvscope::kv::backend::BucketConfig;
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::{Locks, Settings};
use kvscope::kv::{BucketName, Revision, Store};
use support::NatsServer;
use worker::{BUCKET, Orders, Rigged, Worker, connect, now_ms};

/// How often each thing is timed.
const ROUNDS: usize = 1000;
/// How many processes take turns, for how long, and how often.
const PROCESSES: usize = 32;
const RACE: Duration = Duration::from_secs(3);
const RACES: usize = 3;
const MANY_LOCKS: usize = 1000;
const TAKEOVERS: usize = 5;
/// As long as the record of a lock that one process holds.
const RECORD: usize = 170;

fn main() -> ExitCode {
    worker::serve_if_asked();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let over = runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start();
        println!("load of the machine at the start: {}", load());
        println!(
            "{:<54}{:>12}{:>14}{:>9}{:>10}",
            "what", "measured", "yardstick", "ratio", "allowed"
        );
        let over = Bench::new(server.url()).await.run().await;
        println!("\non a file, for comparison:");
        let file = format!("file:{}", folder.path().join("locks.kvs").display());
        Bench::new(file).await.run().await;
        println!("load of the machine at the end: {}", load());
        over
    });
    if over == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{over} over");
    ExitCode::FAILURE
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.trim().to_owned()
}

struct Bench {
    place: String,
    store: Store,
    over: usize,
}

impl Bench {
    async fn new(place: String) -> Self {
        let backend = connect(&place).await;
        let config = BucketConfig::new(BucketName::new(BUCKET).unwrap());
        backend.create_bucket(&config).await.unwrap();
        Self {
            store: Store::open(&*backend, BUCKET).await.unwrap(),
            place,
            over: 0,
        }
    }

    async fn run(mut self) -> usize {
        let only = std::env::var("ONLY").unwrap_or_default();
        let wants = |what: &str| only.is_empty() || only.split(',').any(|one| one == what);
        if wants("alone") {
            self.uncontended().await;
        }
        if wants("handoff") {
            self.hand_off().await;
        }
        if wants("race") {
            self.race().await;
        }
        if wants("beats") {
            self.renewals().await;
        }
        if wants("takeover") {
            self.takeover().await;
        }
        self.over
    }

    /// Locks on a connection of their own.
    async fn locks(&self) -> Locks {
        let backend = connect(&self.place).await;
        let store = Store::open(&*backend, BUCKET).await.unwrap();
        Locks::new(&store, Settings::default())
    }

    async fn raw(&self, key: &str) -> Raw {
        let backend = connect(&self.place).await;
        Raw {
            store: Store::open(&*backend, BUCKET).await.unwrap(),
            key: key.to_owned(),
            length: RECORD,
            revision: Revision::ABSENT,
        }
    }

    /// Acquire and release against two compare-and-sets, by turns.
    async fn uncontended(&mut self) {
        let locks = self.locks().await;
        let mut raw = self.raw("raw.uncontended").await;
        let (mut write, mut read, mut two) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            raw.write().await;
            raw.write().await;
            two.push(begun.elapsed());
            let begun = Instant::now();
            let guard = locks.write("uncontended").await.unwrap();
            guard.release().await.unwrap();
            write.push(begun.elapsed());
            let begun = Instant::now();
            let guard = locks.read("uncontended").await.unwrap();
            guard.release().await.unwrap();
            read.push(begun.elapsed());
        }
        let two = at(&mut two, 50);
        for (what, times) in [("write", &mut write), ("read", &mut read)] {
            let what = format!("uncontended {what}: acquire + release, median");
            self.times(&what, at(times, 50), two, 1.25);
        }
        locks.close().await;
    }

    /// From the call that releases to the guard of the one who waits.
    async fn hand_off(&mut self) {
        let (one, other) = (self.locks().await, self.locks().await);
        let mut raw = self.raw("raw.hand-off").await;
        let (mut times, mut sets) = (Vec::new(), Vec::new());
        let mut guard = one.write("hand-off").owner("0").await.unwrap();
        for round in 0..ROUNDS {
            let begun = Instant::now();
            raw.write().await;
            sets.push(begun.elapsed());

            let next = if round % 2 == 0 { &other } else { &one };
            let next = next.clone();
            let waits = tokio::spawn(async move {
                let guard = next.write("hand-off").owner("0").await.unwrap();
                (guard, Instant::now())
            });
            while !self.somebody_waits("hand-off").await {}
            let begun = Instant::now();
            guard.release().await.unwrap();
            let (next, granted) = waits.await.unwrap();
            times.push(granted - begun);
            guard = next;
        }
        guard.release().await.unwrap();
        let set = at(&mut sets, 50);
        self.times("hand-off, median", at(&mut times, 50), set, 3.0);
        self.times("hand-off, 99th percentile", at(&mut times, 99), set, 10.0);
        one.close().await;
        other.close().await;
    }

    async fn record(&self, resource: &str) -> Bytes {
        let key = kvscope::kv::lock::key_of(resource).unwrap();
        let entry = self.store.get(key).await.unwrap().unwrap();
        entry.live_value().unwrap().clone()
    }

    async fn somebody_waits(&self, resource: &str) -> bool {
        let record = self.record(resource).await;
        let record = kvscope::kv::lock::record::Record::from_bytes(&record);
        record.unwrap().waiters().next().is_some()
    }

    /// Processes that take turns on one lock, as fast as they can.
    async fn race(&mut self) {
        let orders = Orders::lease(Lease::default().length());
        let mut workers = Vec::new();
        for _ in 0..PROCESSES {
            workers.push(Worker::start(&self.place, &orders).await);
        }
        let (mut turns, mut writes, mut sets, mut setting) = (0, 0, 0_u64, Duration::ZERO);
        let (mut fewest, mut longest) = (u64::MAX, 0);
        for _ in 0..RACES {
            let start = now_ms() + 1000;
            for (number, worker) in workers.iter_mut().enumerate() {
                let time = RACE.as_millis();
                worker
                    .say(&format!("race r{number} race {start} {time}"))
                    .await;
            }
            tokio::time::sleep(Duration::from_secs(1) + RACE / 2).await;
            let record = self.record("race").await.len();
            for (number, worker) in workers.iter_mut().enumerate() {
                let raced = worker.hear(&format!("r{number} raced")).await;
                let (some_turns, some_writes) = raced.split_once(' ').unwrap();
                let some_turns: u64 = some_turns.parse().unwrap();
                fewest = fewest.min(some_turns);
                turns += some_turns;
                writes += some_writes.parse::<u64>().unwrap();
            }

            let mut raw = self.raw(&format!("raw.race.{}", now_ms())).await;
            raw.length = record;
            let begun = Instant::now();
            while begun.elapsed() < RACE {
                raw.write().await;
                sets += 1;
            }
            setting += begun.elapsed();
            longest = longest.max(record);
        }
        let hand_offs = turns as f64 / (RACE * u32::try_from(RACES).unwrap()).as_secs_f64();
        let sets = sets as f64 / setting.as_secs_f64();
        self.row(
            &format!("{PROCESSES} processes: hand-offs a second"),
            &format!("{hand_offs:.0}/s"),
            &format!("{sets:.0}/s"),
            hand_offs / sets,
            "0.3 or more",
            hand_offs / sets < 0.3,
        );
        let tried = writes as f64 / turns as f64;
        self.row(
            &format!("{PROCESSES} processes: writes tried per turn"),
            &format!("{tried:.2}"),
            "",
            tried,
            "3",
            tried > 3.0,
        );
        println!(
            "    the one with the fewest turns had {fewest} in {RACE:?}; compare-and-sets of {longest} \
             bytes, as the record had"
        );
    }

    /// The writes of a process that holds many locks and does nothing.
    async fn renewals(&mut self) {
        let backend = connect(&self.place).await;
        let name = BucketName::new(BUCKET).unwrap();
        let bucket = Arc::new(Rigged::new(backend.bucket(&name).await.unwrap()));
        let store = Store::new(Arc::clone(&bucket) as Arc<_>);
        let lease = Lease::new(Duration::from_secs(3)).unwrap();
        let locks = Locks::new(&store, Settings::default().lease(lease));
        let mut guards = Vec::new();
        for number in 0..MANY_LOCKS {
            guards.push(locks.write(format!("many/{number}")).await.unwrap());
        }
        let before = bucket.writes();
        let begun = Instant::now();
        tokio::time::sleep(lease.beat() * 6).await;
        let thirds = begun.elapsed().as_secs_f64() / lease.beat().as_secs_f64();
        let writes = (bucket.writes() - before) as f64;
        assert!(guards.iter().all(|guard| guard.check().is_ok()));
        self.row(
            &format!("renewals of {MANY_LOCKS} locks: writes per lease/3"),
            &format!("{:.2}", writes / thirds),
            "",
            writes / thirds,
            "1",
            writes > thirds.ceil(),
        );
        drop(guards);
        locks.close().await;
    }

    async fn takeover(&mut self) {
        let lease = Duration::from_secs(2);
        for (what, orders, at_most) in [
            ("same machine", Orders::lease(lease), Duration::from_secs(1)),
            (
                "other machine",
                Orders::lease(lease).elsewhere(),
                lease * 13 / 10,
            ),
        ] {
            let mut times = Vec::new();
            for _ in 0..TAKEOVERS {
                let mut holder = Worker::start(&self.place, &orders).await;
                let mut waiter = Worker::start(&self.place, &Orders::lease(lease)).await;
                holder.take("write h takeover").await;
                waiter.say("write w takeover").await;
                while !self.somebody_waits("takeover").await {}
                let died = holder.kill().await;
                let (_, granted) = waiter.granted("w").await;
                let took = u64::try_from(granted.saturating_sub(died)).unwrap();
                times.push(Duration::from_millis(took));
                waiter.ask("release w", "w released").await;
            }
            let longest = at(&mut times, 100);
            self.row(
                &format!("takeover after kill -9, {what}, longest of {TAKEOVERS}"),
                &format!("{} ms", longest.as_millis()),
                &format!("lease {} ms", lease.as_millis()),
                longest.as_secs_f64() / lease.as_secs_f64(),
                &format!("{} ms", at_most.as_millis()),
                longest > at_most,
            );
        }
    }

    fn times(&mut self, what: &str, measured: Duration, yardstick: Duration, allowed: f64) {
        let ratio = measured.as_secs_f64() / yardstick.as_secs_f64();
        self.row(
            what,
            &in_ms(measured),
            &in_ms(yardstick),
            ratio,
            &format!("{allowed}"),
            ratio > allowed,
        );
    }

    fn row(
        &mut self,
        what: &str,
        measured: &str,
        yardstick: &str,
        ratio: f64,
        allowed: &str,
        is_over: bool,
    ) {
        self.over += usize::from(is_over);
        let ok = if is_over { "OVER" } else { "ok" };
        println!("{what:<54}{measured:>12}{yardstick:>14}{ratio:>9.2}{allowed:>12}  {ok}");
    }
}

/// Compare-and-sets on one key, one after the other.
struct Raw {
    store: Store,
    key: String,
    length: usize,
    revision: Revision,
}

impl Raw {
    async fn write(&mut self) {
        let value = vec![b'x'; self.length];
        let written = self.store.update(&self.key, value, self.revision).await;
        self.revision = written.unwrap();
    }
}

/// A percentile; the times are sorted afterwards.
fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn in_ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
