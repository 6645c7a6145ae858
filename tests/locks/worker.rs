//! A process that takes locks on command, to be killed, stopped and lied to.
//!
//! The test program runs itself again: with [`PLACE`] set, its only test is to be such a worker.
//! A line on its input is a command; what comes of it is a line that begins with an `@`.

#![allow(dead_code, reason = "the benchmark uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "where the bench breaks, the test fails"
)]

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kvscope::kv::backend::{
    Backend, BucketBackend, BucketInfo, BucketReport, Capabilities, Change, Consistency, Write,
};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::lock::lease::Lease;
use kvscope::kv::lock::session::{Process, Session};
use kvscope::kv::lock::{Clock, Locks, Settings, resource_of};
use kvscope::kv::nats::{NatsBackend, NatsOptions, Secret};
use kvscope::kv::{
    BucketName, Entry, Error, Key, Notices, Revision, Store, Watch, WatchOptions, WriteError,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::held::Held;
use crate::support::soon;

/// Where the store is: `file:` and a path, or servers' addresses with commas between them.
const PLACE: &str = "KVSCOPE_LOCK_WORKER";
/// The rest of [`Orders`], in JSON.
const ORDERS: &str = "KVSCOPE_LOCK_ORDERS";
/// The bucket that all of them use.
pub(crate) const BUCKET: &str = "locks";

/// How a worker is to be.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Orders {
    pub(crate) lease: Duration,
    /// A name for the machine that it pretends to run on; empty for the true one.
    pub(crate) machine: String,
    /// Dies between killing a session and taking out its claims.
    pub(crate) dies_midway: bool,
    /// How much earlier the machine that it pretends to run on was started.
    pub(crate) ahead: Duration,
}

impl Orders {
    pub(crate) fn lease(lease: Duration) -> Self {
        Self {
            lease,
            machine: String::new(),
            dies_midway: false,
            ahead: Duration::ZERO,
        }
    }

    pub(crate) fn elsewhere(self) -> Self {
        let machine = "elsewhere".to_owned();
        Self { machine, ..self }
    }
}

/// A connection to where a worker's store is.
pub(crate) async fn connect(place: &str) -> Arc<dyn Backend> {
    connect_within(place, Duration::from_secs(5)).await
}

/// The same, with a limit for what a request may take. On a busy machine even one that is answered
/// may need longer: then it is tried again.
async fn connect_within(place: &str, timeout: Duration) -> Arc<dyn Backend> {
    if let Some(path) = place.strip_prefix("file:") {
        return LocalBackend::open(path, OpenOptions::create())
            .await
            .unwrap();
    }
    let mut options = NatsOptions::new(String::new());
    options.servers = place
        .split(',')
        .map(|server| Secret::new(server.to_owned()))
        .collect();
    options.timeout = timeout;
    let connected = retried(async || NatsBackend::connect(options.clone()).await);
    soon("a connection", connected).await
}

/// What comes of it once it is done.
async fn retried<T>(mut attempt: impl AsyncFnMut() -> Result<T, Error>) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => eprintln!("tried again: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The time since boot in milliseconds: the same for all processes of a machine.
pub(crate) fn now_ms() -> u128 {
    Clock::boot().now().as_millis()
}

/// What the store guards by a fence: writes unless somebody with a higher one was there. Whether
/// it was written.
pub(crate) async fn guarded(store: &Store, resource: &str, fence: u64) -> bool {
    let key = format!("guarded.{resource}");
    loop {
        let entry = store.get(&key).await.unwrap();
        let highest = entry.as_ref().and_then(Entry::live_value);
        let highest = highest.map_or(0, |value| {
            String::from_utf8_lossy(value).parse::<u64>().unwrap()
        });
        if highest > fence {
            return false;
        }
        let base = entry.map_or(Revision::ABSENT, |entry| entry.revision);
        if store.update(&key, fence.to_string(), base).await.is_ok() {
            return true;
        }
    }
}

/// Is a worker to the end, if this process was started as one.
pub(crate) fn serve_if_asked() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let orders = serde_json::from_str(&std::env::var(ORDERS).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let program = Program::begin(&place, &orders).await;
        answer("ready");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let program = Arc::clone(&program);
            tokio::spawn(async move { program.obey(&line).await });
        }
    });
    // The harness has nothing to add.
    std::process::exit(0);
}

#[test]
fn serve() {
    serve_if_asked();
}

fn answer(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n@{what}\n").unwrap();
    out.flush().unwrap();
}

struct Program {
    store: Store,
    bucket: Arc<Rigged>,
    locks: Locks,
    held: Mutex<HashMap<String, Held>>,
}

impl Program {
    async fn begin(place: &str, orders: &Orders) -> Arc<Self> {
        let backend = connect_within(place, Duration::from_secs(1)).await;
        let name = BucketName::new(BUCKET).unwrap();
        let bucket = retried(async || backend.bucket(&name).await);
        let bucket = soon("the bucket", bucket).await;
        let bucket = Arc::new(Rigged {
            dies_midway: orders.dies_midway,
            ..Rigged::new(bucket)
        });
        let store = Store::new(Arc::clone(&bucket) as Arc<dyn BucketBackend>);
        let lease = Lease::new(orders.lease).unwrap();
        let label = format!("worker-{}", std::process::id());
        let mut settings = Settings::default().lease(lease).label(label);
        settings = settings.clock(Clock::boot_ahead(orders.ahead));
        if !orders.machine.is_empty() {
            settings = settings.process(Process {
                boot_id: orders.machine.clone(),
                ..Process::current().clone()
            });
        }
        Arc::new(Self {
            locks: Locks::new(&store, settings),
            store,
            bucket,
            held: Mutex::default(),
        })
    }

    async fn obey(&self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["write", name, resource] => {
                let guard = self.locks.write(resource).owner(name).await;
                self.keep(name, guard.map(Held::Write));
            }
            ["read", name, resource] => {
                let guard = self.locks.read(resource).owner(name).await;
                self.keep(name, guard.map(Held::Read));
            }
            ["release", name] => {
                let held = self.held.lock().unwrap().remove(name);
                let released = match held {
                    Some(guard) => guard.release().await,
                    None => return answer(format_args!("{name} nothing held")),
                };
                match released {
                    Ok(()) => answer(format_args!("{name} released {}", now_ms())),
                    Err(error) => answer(format_args!("{name} failed {error}")),
                }
            }
            ["check", name] => {
                let held = self.held.lock().unwrap();
                let is_valid = held[name].is_valid();
                answer(format_args!("{name} valid {is_valid} {}", now_ms()));
            }
            ["guarded", name] => {
                let (resource, fence) = {
                    let held = self.held.lock().unwrap();
                    (held[name].resource().to_owned(), held[name].fence())
                };
                let is_written = guarded(&self.store, &resource, fence).await;
                answer(format_args!("{name} written {is_written}"));
            }
            ["session"] => {
                let session = self.locks.session();
                answer(format_args!("session {}", session.unwrap_or_default()));
            }
            ["turns", name, resource, turns] => {
                self.turns(name, resource, turns.parse().unwrap()).await;
            }
            ["race", name, resource, at_ms, time_ms] => {
                let (at, time) = (at_ms.parse().unwrap(), time_ms.parse().unwrap());
                self.race(name, resource, at, time).await;
            }
            ["close"] => {
                self.locks.close().await;
                answer("closed");
            }
            _ => answer(format_args!("what is {line:?}?")),
        }
    }

    /// Takes turns from one time on, for so long: how many, and how many writes were tried for it.
    async fn race(&self, name: &str, resource: &str, at_ms: u128, time_ms: u128) {
        // The session is there before.
        self.locks
            .write(name)
            .await
            .unwrap()
            .release()
            .await
            .unwrap();
        let wait = at_ms.saturating_sub(now_ms());
        tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap())).await;
        let before = self.bucket.writes();
        let mut turns = 0;
        while now_ms() < at_ms + time_ms {
            let guard = self.locks.write(resource).owner(name).await.unwrap();
            turns += 1;
            guard.release().await.unwrap();
        }
        let writes = self.bucket.writes() - before;
        answer(format_args!("{name} raced {turns} {writes}"));
    }

    fn keep(&self, name: &str, guard: Result<Held, kvscope::kv::lock::LockError>) {
        match guard {
            Ok(guard) => {
                let fence = guard.fence();
                self.held.lock().unwrap().insert(name.to_owned(), guard);
                answer(format_args!("{name} granted {fence} {}", now_ms()));
            }
            Err(error) => answer(format_args!("{name} failed {error}")),
        }
    }

    /// Counts to so many under the lock. Tells when it was inside, and with which fence.
    async fn turns(&self, name: &str, resource: &str, turns: usize) {
        let key = format!("count.{resource}");
        let mut done = 0;
        while done < turns {
            let guard = match self.locks.write(resource).owner(name).await {
                Ok(guard) => guard,
                Err(error) => {
                    answer(format_args!("{name} retries {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let entered = now_ms();
            let count = async {
                let entry = self.store.get(&key).await.ok()?;
                let base = entry
                    .as_ref()
                    .map_or(Revision::ABSENT, |entry| entry.revision);
                let count: u64 = entry
                    .as_ref()
                    .and_then(Entry::live_value)
                    .map_or(0, |value| String::from_utf8_lossy(value).parse().unwrap());
                guard.check().ok()?;
                // Nobody else may write it: a conflict is no retry but a violation.
                match self.store.update(&key, (count + 1).to_string(), base).await {
                    Ok(_) => Some(true),
                    Err(WriteError::Conflict { .. }) => Some(false),
                    Err(_) => None,
                }
            };
            let counted = count.await;
            let (is_valid, left, fence) = (guard.check().is_ok(), now_ms(), guard.fence());
            match counted {
                Some(true) => done += 1,
                Some(false) if is_valid => answer(format_args!("{name} VIOLATION at {fence}")),
                _ => {}
            }
            if is_valid {
                answer(format_args!("{name} inside {fence} {entered} {left}"));
            }
            if let Err(error) = guard.release().await {
                answer(format_args!("{name} retries {error}"));
            }
        }
        answer(format_args!("{name} counted {done}"));
    }
}

/// A store that counts the writes that are tried, and can end its process between killing a
/// session and taking out its claims.
#[derive(Debug)]
pub(crate) struct Rigged {
    inner: Arc<dyn BucketBackend>,
    dies_midway: bool,
    has_killed: AtomicBool,
    writes: AtomicU64,
}

impl Rigged {
    pub(crate) fn new(inner: Arc<dyn BucketBackend>) -> Self {
        Self {
            inner,
            dies_midway: false,
            has_killed: AtomicBool::new(false),
            writes: AtomicU64::new(0),
        }
    }

    /// How many writes were tried.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl BucketBackend for Rigged {
    fn name(&self) -> &BucketName {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn info(&self) -> Result<BucketInfo, Error> {
        self.inner.info().await
    }

    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Entry>, Error> {
        self.inner.get(key, consistency).await
    }

    async fn get_revision(&self, key: &Key, revision: Revision) -> Result<Option<Entry>, Error> {
        self.inner.get_revision(key, revision).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        self.inner.history(key).await
    }

    async fn forget(&self, key: &Key, marker: Revision) -> Result<bool, Error> {
        self.inner.forget(key, marker).await
    }

    async fn write(&self, write: Write) -> Result<Revision, WriteError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let is_lock = resource_of(write.key.as_str()).is_some();
        if self.dies_midway && is_lock && self.has_killed.load(Ordering::SeqCst) {
            answer("dies");
            std::process::abort();
        }
        let kills = match &write.change {
            Change::Put(value) if Session::id_of(write.key.as_str()).is_some() => {
                Session::from_bytes(value).is_ok_and(|session| session.dead.is_some())
            }
            _ => false,
        };
        let written = self.inner.write(write).await;
        if kills && written.is_ok() {
            self.has_killed.store(true, Ordering::SeqCst);
        }
        written
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.inner.watch(options).await
    }

    async fn report(&self) -> Result<BucketReport, Error> {
        self.inner.report().await
    }

    async fn restore(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.inner.restore(entries).await
    }

    async fn listen(&self, name: &str) -> Result<Option<Notices>, Error> {
        self.inner.listen(name).await
    }

    async fn notify(&self, name: &str, notice: Bytes) {
        self.inner.notify(name, notice).await;
    }
}

/// A worker, as the test sees it. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// What was said and not waited for yet.
    said: Vec<String>,
}

impl Worker {
    pub(crate) async fn start(place: &str, orders: &Orders) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "worker::serve",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PLACE, place)
            .env(ORDERS, serde_json::to_string(orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut worker = Self {
            input: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            said: Vec::new(),
        };
        worker.hear("ready").await;
        worker
    }

    pub(crate) async fn say(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    /// The rest of the first line that begins so, now or soon.
    pub(crate) async fn hear(&mut self, beginning: &str) -> String {
        let heard = soon(beginning, async {
            loop {
                let is_it = |line: &String| line.starts_with(beginning);
                if let Some(at) = self.said.iter().position(is_it) {
                    return self.said.remove(at);
                }
                let line = self.lines.next_line().await.unwrap();
                let line = line
                    .unwrap_or_else(|| panic!("{beginning:?} was never said; but {:?}", self.said));
                if let Some(line) = line.strip_prefix('@') {
                    self.said.push(line.to_owned());
                }
            }
        });
        let heard = heard.await;
        heard[beginning.len()..].trim().to_owned()
    }

    /// What was said so far besides what was waited for.
    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }

    pub(crate) async fn ask(&mut self, command: &str, answer: &str) -> String {
        self.say(command).await;
        self.hear(answer).await
    }

    /// Asks for a lock and waits until it is granted: its fence, and when that was.
    pub(crate) async fn take(&mut self, command: &str) -> (u64, u128) {
        self.say(command).await;
        self.granted(command.split_whitespace().nth(1).unwrap())
            .await
    }

    pub(crate) async fn granted(&mut self, name: &str) -> (u64, u128) {
        let granted = self.hear(&format!("{name} granted")).await;
        let (fence, at) = granted.split_once(' ').unwrap();
        (fence.parse().unwrap(), at.parse().unwrap())
    }

    pub(crate) async fn is_valid(&mut self, name: &str) -> bool {
        let valid = self
            .ask(&format!("check {name}"), &format!("{name} valid"))
            .await;
        valid.starts_with("true")
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Kills it, and says when.
    pub(crate) async fn kill(&mut self) -> u128 {
        let at = now_ms();
        self.signal(rustix::process::Signal::KILL);
        self.child.wait().await.unwrap();
        at
    }

    /// Waits until it has died by itself.
    pub(crate) async fn dies(&mut self) {
        soon("it dies", self.child.wait()).await.unwrap();
    }
}
