//! Locks between real processes that are killed, stopped and broken, on a real nats-server and on
//! a file. What only a server can suffer is in `servers.rs`.

use std::sync::Arc;
use std::time::Duration;

use kvscope::kv::backend::{Backend, BucketConfig};
use kvscope::kv::faulty::Faulty;
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::record::{Mode, Record, Request, Step};
use kvscope::kv::lock::session::{Cause, Process, Session};
use kvscope::kv::lock::{Locks, Settings, key_of};
use kvscope::kv::{BucketName, Entry, Key, Revision, Store, WriteError};
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::support::{NatsServer, eventually, soon};
use crate::worker::{BUCKET, Orders, Worker, connect, now_ms};

/// The lease of whoever has to be found silent: short, and yet long enough that a busy machine makes
/// nobody silent who lives.
const LEASE: Duration = Duration::from_secs(4);
/// The lease where a death must be found out without waiting for it.
const LONG: Duration = Duration::from_secs(60);

/// The bucket that all workers share, and a way to it of one's own.
pub(crate) struct Ground {
    pub(crate) place: String,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) store: Store,
    /// What services on the `shizuku` crate keep there.
    shizuku: Vec<Entry>,
}

impl Ground {
    pub(crate) async fn new(place: String) -> Self {
        Self::with(place, 1).await
    }

    pub(crate) async fn with(place: String, replicas: u64) -> Self {
        let backend = connect(&place).await;
        let mut config = BucketConfig::new(BucketName::new(BUCKET).unwrap());
        config.replicas = replicas;
        backend.create_bucket(&config).await.unwrap();
        let store = Store::open(&*backend, BUCKET).await.unwrap();
        let mut shizuku = Vec::new();
        // Locked for writing, for reading with a writer who waits, free; and in the old form.
        for (key, mode, readers, length) in [
            ("a", 2, 0, 17),
            ("billing", 5, 3, 17),
            ("dead", 0, 0, 17),
            ("old", 1, 1, 9),
        ] {
            let mut bytes = vec![mode];
            bytes.extend(u64::to_be_bytes(readers));
            bytes.extend(u64::to_be_bytes(1_790_000_000));
            bytes.truncate(length);
            store.put(key, bytes).await.unwrap();
            shizuku.push(store.get(key).await.unwrap().unwrap());
        }
        Self {
            place,
            backend,
            store,
            shizuku,
        }
    }

    pub(crate) async fn worker(&self) -> Worker {
        Worker::start(&self.place, &Orders::lease(LEASE)).await
    }

    /// One for whom nobody here would wait until its lease is over.
    async fn long_worker(&self) -> Worker {
        Worker::start(&self.place, &Orders::lease(LONG)).await
    }

    async fn worker_elsewhere(&self) -> Worker {
        Worker::start(&self.place, &Orders::lease(LEASE).elsewhere()).await
    }

    pub(crate) async fn record(&self, resource: &str) -> Record {
        let entry = self.store.get(key_of(resource).unwrap()).await.unwrap();
        let bytes = entry.as_ref().and_then(Entry::live_value);
        bytes.map_or_else(Record::default, |bytes| Record::from_bytes(bytes).unwrap())
    }

    pub(crate) async fn waiters(&self, resource: &str, count: usize) {
        eventually("they wait", async || {
            self.record(resource).await.waiters().count() == count
        })
        .await;
    }

    pub(crate) async fn free(&self, resource: &str) {
        eventually("nobody holds or waits", async || {
            self.record(resource).await.claims().is_empty()
        })
        .await;
    }

    pub(crate) async fn session(&self, id: &str) -> Option<(Revision, Session)> {
        let entry = self
            .store
            .get(Session::key_of(id).unwrap())
            .await
            .unwrap()?;
        let session = Session::from_bytes(entry.live_value()?).unwrap();
        Some((entry.revision, session))
    }

    /// Waits for the next beat of a session. It has not landed before the time that is given.
    async fn beats(&self, id: &str) -> u128 {
        let beat = async || {
            let at = now_ms();
            let (_, session) = self.session(id).await.expect("a session");
            assert_eq!(session.dead, None, "{id} lives");
            (at, session.beat)
        };
        let (mut before, last) = beat().await;
        eventually("the next beat", async || {
            let (at, beat) = beat().await;
            if beat == last {
                before = at;
            }
            beat != last
        })
        .await;
        before
    }

    /// Whatever was done here, locks of others were not.
    pub(crate) async fn end(&self) {
        for before in &self.shizuku {
            let after = self.store.get(before.key.as_str()).await.unwrap();
            assert_eq!(after.as_ref(), Some(before));
        }
    }
}

/// Those that mostly wait do so together; after them, one by one, those that keep a machine busy.
macro_rules! run {
    ($ground:expr, $engine:literal, [$($quiet:ident),* $(,)?], $($busy:ident),* $(,)?) => {
        tokio::join!($(timed($engine, stringify!($quiet), $quiet(&$ground))),*);
        $(timed($engine, stringify!($busy), $busy(&$ground)).await;)*
        $ground.end().await;
    };
}

async fn timed(engine: &str, name: &str, case: impl Future<Output = ()>) {
    let begun = std::time::Instant::now();
    case.await;
    println!(
        "    ok {engine} {name} ({} ms)",
        begun.elapsed().as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("file:{}", folder.path().join("locks.kvs").display());
    let ground = Ground::new(place).await;
    run!(
        ground,
        "file",
        [
            killed_holder,
            killed_holder_elsewhere,
            killed_waiters,
            killed_observer,
            stopped_holder,
            broken_holder,
            clocks_apart,
            boots_apart,
        ],
        a_thousand_readers,
        one_dead_among_hundreds,
        twenty_processes,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_server() {
    let server = NatsServer::start();
    let ground = Ground::new(server.url()).await;
    run!(
        ground,
        "nats",
        [
            killed_holder,
            killed_holder_elsewhere,
            killed_waiters,
            killed_observer,
            stopped_holder,
            broken_holder,
            clocks_apart,
            boots_apart,
        ],
        a_thousand_readers,
        one_dead_among_hundreds,
        fifty_processes,
    );
}

fn takeover(what: &str, died: u128, granted: u128, at_most: Duration) {
    let took = granted.saturating_sub(died);
    println!("    takeover: {what}: {took} ms");
    assert!(took <= at_most.as_millis(), "{what}: {took} ms");
}

/// How long it may take until somebody is let in past one whose lease has to run out, and plenty for
/// a busy machine. How long it does take is measured in `benches/locks.rs`.
fn past(lease: Duration) -> Duration {
    lease * 13 / 10 + Duration::from_secs(10)
}

/// A death on the same machine is seen; whoever waited for the lease would come far too late.
const SEEN: Duration = Duration::from_secs(30);

async fn killed_holder(ground: &Ground) {
    let (mut holder, mut waiter) = tokio::join!(ground.long_worker(), ground.long_worker());
    let (fence, _) = holder.take("write h killed").await;
    waiter.say("write w killed").await;
    ground.waiters("killed", 1).await;
    let died = holder.kill().await;
    let (next, granted) = waiter.granted("w").await;
    assert!(next > fence);
    takeover("kill -9, same machine", died, granted, SEEN);
    waiter.ask("release w", "w released").await;
    ground.free("killed").await;
}

async fn killed_holder_elsewhere(ground: &Ground) {
    let (mut holder, mut waiter) = tokio::join!(ground.worker_elsewhere(), ground.worker());
    holder.take("write h elsewhere").await;
    waiter.say("write w elsewhere").await;
    ground.waiters("elsewhere", 1).await;
    let died = holder.kill().await;
    let (_, granted) = waiter.granted("w").await;
    takeover("kill -9, other machine", died, granted, past(LEASE));
    waiter.ask("release w", "w released").await;
}

/// The first of three who wait, and the last.
async fn killed_waiters(ground: &Ground) {
    let (mut holder, mut first) = tokio::join!(ground.long_worker(), ground.long_worker());
    let (mut second, mut third) = tokio::join!(ground.long_worker(), ground.worker_elsewhere());
    holder.take("write h waiters").await;
    for (worker, count) in [(&mut first, 1), (&mut second, 2), (&mut third, 3)] {
        worker.say("write w waiters").await;
        ground.waiters("waiters", count).await;
    }
    let died = first.kill().await;
    third.kill().await;
    holder.ask("release h", "h released").await;
    let (_, granted) = second.granted("w").await;
    takeover("kill -9 of the first who waits", died, granted, SEEN);
    second.ask("release w", "w released").await;
    // Whoever comes later need not wait for the dead longer than anybody must.
    let died = now_ms();
    let (_, granted) = holder.take("read late waiters").await;
    takeover(
        "kill -9 of a waiter, other machine",
        died,
        granted,
        past(LEASE),
    );
    holder.ask("release late", "late released").await;
    ground.free("waiters").await;
}

/// The one who took over dies between killing and taking out; the next finishes it.
async fn killed_observer(ground: &Ground) {
    let orders = Orders {
        dies_midway: true,
        ..Orders::lease(LONG)
    };
    let (mut holder, mut observer) =
        tokio::join!(ground.long_worker(), Worker::start(&ground.place, &orders));
    let mut next = ground.long_worker().await;
    holder.take("write h midway").await;
    observer.say("write o midway").await;
    ground.waiters("midway", 1).await;
    next.say("write n midway").await;
    ground.waiters("midway", 2).await;
    holder.kill().await;
    observer.hear("dies").await;
    observer.dies().await;
    let died = now_ms();
    let (_, granted) = next.granted("n").await;
    takeover("an observer in the middle of it", died, granted, SEEN);
    next.ask("release n", "n released").await;
    ground.free("midway").await;
}

/// A holder that sleeps through its lease wakes up without a lock.
async fn stopped_holder(ground: &Ground) {
    let (mut holder, mut rival) = tokio::join!(ground.worker(), ground.worker());
    holder.take("write h stopped").await;
    assert_eq!(holder.ask("guarded h", "h written").await, "true");
    rival.say("write r stopped").await;
    ground.waiters("stopped", 1).await;
    let stopped = now_ms();
    holder.signal(Signal::STOP);
    let (_, granted) = rival.granted("r").await;
    takeover("SIGSTOP", stopped, granted, past(LEASE));
    assert_eq!(rival.ask("guarded r", "r written").await, "true");
    holder.signal(Signal::CONT);
    assert!(!holder.is_valid("h").await, "its lease is over");
    assert_eq!(holder.ask("guarded h", "h written").await, "false");
    assert!(rival.is_valid("r").await);
    // It hears of its death at the next beat, and can take locks again.
    holder.say("release h").await;
    rival.ask("release r", "r released").await;
    eventually("a new session takes the lock", async || {
        holder.say("write again stopped").await;
        holder.hear("again").await.starts_with("granted")
    })
    .await;
    holder.ask("release again", "again released").await;
    ground.free("stopped").await;
}

/// An operator breaks a session that beats: nobody is let in before its guards have run out.
async fn broken_holder(ground: &Ground) {
    let (mut holder, mut waiter) = tokio::join!(ground.worker(), ground.worker());
    holder.take("write h broken").await;
    waiter.say("write w broken").await;
    ground.waiters("broken", 1).await;
    let session = holder.ask("session", "session").await;
    let key = Session::key_of(&session).unwrap();
    let broken = loop {
        let (revision, session) = ground.session(&session).await.unwrap();
        let killed = session.killed(Cause::Broken, "operator").unwrap();
        let bytes = killed.to_bytes().unwrap();
        // The waiter may hear of it before this does.
        let before = now_ms();
        match ground.store.update(&key, bytes, revision).await {
            Ok(_) => break before,
            // A beat was on its way, and it wins.
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let (_, granted) = waiter.granted("w").await;
    assert!(!holder.is_valid("h").await);
    let took = granted - broken;
    takeover("broken, after its quarantine", broken, granted, past(LEASE));
    let quarantine = Lease::new(LEASE).unwrap().silence().as_millis();
    assert!(took >= quarantine, "let in after {took} ms");
    let lost = holder.ask("release h", "h failed").await;
    assert!(lost.contains("broken"), "{lost}");
    waiter.ask("release w", "w released").await;
    ground.free("broken").await;
}

/// Two machines, one of which was started an hour before the other: whichever of them it is, the
/// other sees it live as long as it beats, and dead when it does not. No time of one machine's is
/// ever compared with one of another's; their times of day are in `clocks_apart`.
async fn boots_apart(ground: &Ground) {
    let hour = Duration::from_secs(3600);
    let rounds = [
        ("apart.holder", hour, Duration::ZERO),
        ("apart.waiter", Duration::ZERO, hour),
    ];
    let rounds = rounds.map(|(resource, holder, waiter)| async move {
        let orders = |ahead| Orders {
            ahead,
            ..Orders::lease(LEASE)
        };
        let (holder, waiter) = (orders(holder).elsewhere(), orders(waiter));
        let (mut holder, mut waiter) = tokio::join!(
            Worker::start(&ground.place, &holder),
            Worker::start(&ground.place, &waiter)
        );
        holder.take(&format!("write h {resource}")).await;
        waiter.say(&format!("write w {resource}")).await;
        ground.waiters(resource, 1).await;
        // For longer than it takes to find that somebody is silent.
        let session = holder.ask("session", "session").await;
        for _ in 0..5 {
            ground.beats(&session).await;
        }
        eventually("it holds", async || holder.is_valid("h").await).await;
        assert_eq!(ground.record(resource).await.waiters().count(), 1);
        let beaten = ground.beats(&session).await;
        let died = holder.kill().await;
        let (_, granted) = waiter.granted("w").await;
        takeover(resource, died, granted, past(LEASE));
        let silence = Lease::new(LEASE).unwrap().silence();
        assert!(granted - beaten >= silence.as_millis(), "{resource}");
        waiter.ask("release w", "w released").await;
    });
    futures_util::future::join_all(rounds).await;
}

/// Claims from machines whose clocks are an hour late or early are claims like all others.
async fn clocks_apart(ground: &Ground) {
    let hour = 3_600_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = u64::try_from(now.unwrap().as_millis()).unwrap();
    let machine = Process {
        boot_id: "elsewhere".to_owned(),
        ..Process::current().clone()
    };
    let lease = Lease::new(LEASE).unwrap();
    let claims = [
        ("clocks.late", now - hour, "s_late"),
        ("clocks.early", now + hour, "s_early"),
    ];
    let claims = claims.map(|(resource, asked_ms, session)| {
        let machine = machine.clone();
        async move {
            let key = key_of(resource).unwrap();
            let mut worker = ground.worker().await;
            let session_key = Session::key_of(session).unwrap();
            let mut beat = Session::new(machine, lease);
            let mut at = ground
                .store
                .update(&session_key, beat.to_bytes().unwrap(), Revision::ABSENT)
                .await
                .unwrap();
            let request = Request {
                id: format!("{session}.0"),
                session: session.to_owned(),
                mode: Mode::Write,
                owner: "forged".to_owned(),
                label: "forged".to_owned(),
                asked_ms,
                max_writer_streak: None,
            };
            let id = request.id.clone();
            step(ground, &key, |record, base| {
                record.acquire(request.clone(), base).unwrap()
            })
            .await;
            worker.say(&format!("write w {resource}")).await;
            ground.waiters(resource, 1).await;
            // As long as it beats, it holds.
            for _ in 0..4 {
                tokio::time::sleep(lease.beat()).await;
                beat = beat.beaten().unwrap();
                at = ground
                    .store
                    .update(&session_key, beat.to_bytes().unwrap(), at)
                    .await
                    .expect("nobody kills it");
            }
            assert_eq!(ground.record(resource).await.waiters().count(), 1);
            step(ground, &key, |record, base| record.release(&id, base)).await;
            worker.granted("w").await;
            worker.ask("release w", "w released").await;
            ground.store.purge(&session_key, None).await.unwrap();
        }
    });
    futures_util::future::join_all(claims).await;
}

/// Takes one step in a record.
async fn step(ground: &Ground, key: &Key, step: impl Fn(&Record, Revision) -> Step) {
    loop {
        let entry = ground.store.get(key).await.unwrap();
        let base = entry
            .as_ref()
            .map_or(Revision::ABSENT, |entry| entry.revision);
        let bytes = entry.as_ref().and_then(Entry::live_value);
        let record = bytes.map_or_else(Record::default, |bytes| Record::from_bytes(bytes).unwrap());
        let Step::Write(after) = step(&record, base) else {
            return;
        };
        let written = ground.store.update(key, after.to_bytes().unwrap(), base);
        if written.await.is_ok() {
            return;
        }
    }
}

/// They read together, on ten connections; then a writer, alone; then they again.
async fn a_thousand_readers(ground: &Ground) {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 100;
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        let backend = connect(&ground.place).await;
        let store = Store::open(&*backend, BUCKET).await.unwrap();
        all.push(Locks::new(&store, Settings::default()));
    }
    let mut readers = JoinSet::new();
    for locks in &all {
        for _ in 0..EACH {
            let locks = locks.clone();
            readers.spawn(async move { locks.read("thousand").await.unwrap() });
        }
    }
    let guards = soon("all of them read", readers.join_all()).await;
    assert_eq!(guards.len(), CONNECTIONS * EACH);
    assert!(guards.iter().all(|guard| guard.check().is_ok()));
    let mut writer = ground.worker().await;
    writer.say("write w thousand").await;
    ground.waiters("thousand", 1).await;
    let late = all[0].try_read("thousand").await;
    assert!(late.is_err(), "a writer waits");
    drop(late);
    drop(guards);
    writer.granted("w").await;
    assert_eq!(ground.record("thousand").await.claims().len(), 1);
    writer.ask("release w", "w released").await;
    for locks in &all {
        locks
            .try_read("thousand")
            .await
            .unwrap()
            .release()
            .await
            .unwrap();
        soon("closing", locks.close()).await;
    }
    ground.free("thousand").await;
}

/// Six hundred sessions read, and one of them dies: it is found out, and nobody else is; by one who
/// is near the store, and by one whose requests take 200 ms.
async fn one_dead_among_hundreds(ground: &Ground) {
    let crowd = Crowd::gather(&ground.store, 598).await;
    let (faulty, faults) = Faulty::new(Arc::clone(&ground.backend));
    let far = Store::open(&faulty, BUCKET).await.unwrap();
    let distance = Duration::from_millis(200);
    faults.delay(distance);
    tokio::join!(
        crowd.loses_one(ground, "near", &ground.store, Duration::ZERO),
        crowd.loses_one(ground, "far", &far, distance)
    );
    for id in &crowd.ids {
        let (_, session) = ground.session(id).await.unwrap();
        assert_eq!(session.dead, None, "{id} beats");
    }
}

/// Sessions of other machines that beat until they are dropped.
struct Crowd {
    ids: Vec<String>,
    _hearts: JoinSet<()>,
}

impl Crowd {
    const LEASE: Duration = Duration::from_secs(30);

    async fn gather(store: &Store, count: usize) -> Self {
        let ids: Vec<String> = (0..count)
            .map(|number| format!("s_crowd{number}"))
            .collect();
        let mut hearts = JoinSet::new();
        for id in &ids {
            hearts.spawn(heart(store, id, Self::LEASE).await);
        }
        Self {
            ids,
            _hearts: hearts,
        }
    }

    /// All read, and one more, which dies while somebody waits who reaches the store that way, over
    /// that distance.
    async fn loses_one(&self, ground: &Ground, resource: &str, way: &Store, distance: Duration) {
        let lease = Duration::from_secs(6);
        let dying = format!("s_dies_{resource}");
        let heart = tokio::spawn(heart(&ground.store, &dying, lease).await);
        let key = key_of(resource).unwrap();
        let ids = || self.ids.iter().chain([&dying]);
        step(ground, &key, |record, base| {
            let record = ids().fold(record.clone(), |record, session| {
                let request = Request {
                    id: format!("{session}.0"),
                    session: session.clone(),
                    mode: Mode::Read,
                    owner: "forged".to_owned(),
                    label: "forged".to_owned(),
                    asked_ms: 0,
                    max_writer_streak: None,
                };
                after(record.acquire(request, base).unwrap(), &record)
            });
            Step::Write(record)
        })
        .await;
        let locks = Locks::new(way, Settings::default());
        let writer = locks.clone();
        let name = resource.to_owned();
        let writes = tokio::spawn(async move { writer.write(name).await });
        ground.waiters(resource, 1).await;
        // It is seen to live, and then it does not.
        tokio::time::sleep(lease / 2).await;
        heart.abort();
        let died = now_ms();
        let is_out = async || {
            let record = ground.record(resource).await;
            !record.claims().iter().any(|claim| claim.session == dying)
        };
        eventually("the dead one is taken out", is_out).await;
        let what = format!("one of {}, {resource}", self.ids.len() + 1);
        takeover(&what, died, now_ms(), past(lease) + distance * 3);
        assert!(!writes.is_finished(), "the others read");
        step(ground, &key, |record, base| {
            let record = ids().fold(record.clone(), |record, session| {
                after(record.release(&format!("{session}.0"), base), &record)
            });
            Step::Write(record)
        })
        .await;
        let guard = soon("the writer is let in", writes).await.unwrap();
        guard.unwrap().release().await.unwrap();
        soon("closing", locks.close()).await;
    }
}

fn after(step: Step, before: &Record) -> Record {
    match step {
        Step::Write(after) => after,
        Step::Nothing => before.clone(),
    }
}

/// Makes a session of another machine. What it returns beats for it.
async fn heart(store: &Store, id: &str, lease: Duration) -> impl Future<Output = ()> + use<> {
    let machine = Process {
        boot_id: "elsewhere".to_owned(),
        ..Process::current().clone()
    };
    let mut session = Session::new(machine, Lease::new(lease).unwrap());
    let key = Session::key_of(id).unwrap();
    let made = store.put(&key, session.to_bytes().unwrap()).await;
    let (store, mut at) = (store.clone(), made.unwrap());
    let mut pause = (lease / 3).mul_f64(fastrand::f64());
    async move {
        loop {
            tokio::time::sleep(pause).await;
            session = session.beaten().unwrap();
            let beat = store.update(&key, session.to_bytes().unwrap(), at).await;
            at = beat.expect("nobody kills it");
            pause = lease / 3;
        }
    }
}

async fn fifty_processes(ground: &Ground) {
    many_processes(ground, 50).await;
}

/// A file tells its readers less quickly, and they are all on this machine.
async fn twenty_processes(ground: &Ground) {
    many_processes(ground, 20).await;
}

async fn many_processes(ground: &Ground, processes: usize) {
    const TURNS: usize = 1;
    let mut workers = Vec::new();
    let mut starting = JoinSet::new();
    for _ in 0..processes {
        let place = ground.place.clone();
        starting.spawn(async move {
            Worker::start(&place, &Orders::lease(Duration::from_secs(15))).await
        });
    }
    while let Some(worker) = starting.join_next().await {
        workers.push(worker.unwrap());
    }
    take_turns(ground, "many", &mut workers, TURNS).await;
}

/// All of them count under the lock, and the log of when each was inside shows that they did so
/// one after the other.
pub(crate) async fn take_turns(
    ground: &Ground,
    resource: &str,
    workers: &mut [Worker],
    turns: usize,
) {
    let command = format!("turns t {resource} {turns}");
    for worker in workers.iter_mut() {
        worker.say(&command).await;
    }
    let mut log = Vec::new();
    for worker in workers.iter_mut() {
        worker.hear("t counted").await;
        log.extend(inside(worker));
    }
    assert!(log.len() >= workers.len() * turns);
    one_after_the_other(log);
    let count = ground.store.get(format!("count.{resource}")).await.unwrap();
    let count = String::from_utf8_lossy(count.unwrap().live_value().unwrap())
        .parse::<usize>()
        .unwrap();
    assert!(count >= workers.len() * turns);
    ground.free(resource).await;
}

/// When it was inside, and with which fence.
pub(crate) fn inside(worker: &Worker) -> Vec<(u64, u128, u128)> {
    let said = worker.said().iter();
    said.filter_map(|line| {
        assert!(!line.contains("VIOLATION"), "{line}");
        let numbers = line.split_once(" inside ")?.1;
        let mut numbers = numbers.split(' ');
        let mut next = || numbers.next().unwrap();
        Some((
            next().parse().unwrap(),
            next().parse().unwrap(),
            next().parse().unwrap(),
        ))
    })
    .collect()
}

/// By their fences, nobody came before the one before had left.
pub(crate) fn one_after_the_other(mut log: Vec<(u64, u128, u128)>) {
    log.sort_unstable();
    for pair in log.windows(2) {
        let [(fence, entered, left), (next, came, _)] = pair else {
            continue;
        };
        assert!(next > fence, "a fence twice: {pair:?}");
        assert!(entered <= left && left <= came, "two inside: {pair:?}");
    }
}
