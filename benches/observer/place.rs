//! A bucket full of locks and sessions, written as raw records, and what goes on in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use async_nats::jetstream::{self, kv};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// The bucket's name.
const BUCKET: &str = "locks";
/// How many locks there are.
pub(crate) const LOCKS: usize = 10_000;
/// How many wait for each.
pub(crate) const WAITERS: usize = 5;
/// How many sessions hold and wait.
pub(crate) const SESSIONS: usize = 1_000;
/// How many records of locks are written in a second.
pub(crate) const CHANGES: usize = 2_000;
/// How often a session beats.
const BEAT: Duration = Duration::from_secs(5);
/// How many writes are under way at once.
const AT_ONCE: usize = 2_048;

/// The place.
pub(crate) struct Place {
    context: jetstream::Context,
    marks: AtomicUsize,
}

impl Place {
    /// Writes everything.
    pub(crate) async fn fill(url: &str) -> Self {
        let context = jetstream::new(async_nats::connect(url).await.unwrap());
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            history: 5,
            ..kv::Config::default()
        };
        context.create_key_value(config).await.unwrap();
        let sessions = (0..SESSIONS).map(|session| session_record(session, 1));
        let locks = (0..LOCKS).map(|lock| lock_record(lock, 0));
        let mut under_way = FuturesUnordered::new();
        for (key, value) in sessions.chain(locks) {
            let publish = context.publish(key, value.into()).await.unwrap();
            under_way.push(publish.into_future());
            while under_way.len() >= AT_ONCE {
                under_way.next().await.unwrap().unwrap();
            }
        }
        while let Some(done) = under_way.next().await {
            done.unwrap();
        }
        let place = Self {
            context,
            marks: AtomicUsize::new(0),
        };
        // It is the first of the table, and stays where it is.
        place.mark(&place.next_mark()).await;
        place
    }

    /// A text that stands nowhere yet.
    pub(crate) fn next_mark(&self) -> String {
        format!("mark-{:04}", self.marks.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a text into the first lock of the table; returns when it was stored.
    pub(crate) async fn mark(&self, mark: &str) {
        let claim = claim("mark", "s_0", 'w', Some(1), "marker", mark, 0);
        self.put("aaa-mark", &[claim]).await;
    }

    /// Two tasks that wait for each other.
    pub(crate) async fn deadlock(&self) {
        let one = |state, ticket| claim("one", "s_1", 'w', state, "first", "one", ticket);
        let two = |state, ticket| claim("two", "s_2", 'w', state, "second", "two", ticket);
        self.put("circle-a", &[one(Some(1), 0), two(None, 1)]).await;
        self.put("circle-b", &[two(Some(1), 0), one(None, 1)]).await;
    }

    async fn put(&self, resource: &str, claims: &[String]) {
        let (key, value) = record(resource, claims);
        let publish = self.context.publish(key, value.into()).await.unwrap();
        publish.await.unwrap();
    }
}

fn claim(
    id: &str,
    session: &str,
    mode: char,
    fence: Option<usize>,
    owner: &str,
    label: &str,
    ticket: usize,
) -> String {
    let state = match fence {
        Some(fence) => format!(r#""s":"held","fence":{fence}"#),
        None => r#""s":"wait""#.to_owned(),
    };
    format!(
        r#"{{"id":"{id}","sid":"{session}","k":"{mode}",{state},"tkt":{ticket},"own":"{owner}","label":"{label}","t_ms":{}}}"#,
        UNIX_EPOCH.elapsed().unwrap().as_millis()
    )
}

fn record(resource: &str, claims: &[String]) -> (String, String) {
    let next = 1_000_000_000;
    let value = format!(r#"{{"v":1,"next":{next},"q":[{}]}}"#, claims.join(","));
    (format!("$KV.{BUCKET}._lock.{resource}"), value)
}

/// A lock after so many turns: the first in line holds, others wait behind it.
fn lock_record(lock: usize, turn: usize) -> (String, String) {
    let claims: Vec<String> = (turn..=turn + WAITERS)
        .map(|ticket| {
            let session = (lock * 7 + ticket) % SESSIONS;
            let fence = (ticket == turn).then_some(ticket + 1);
            claim(
                &format!("{lock}-{ticket}"),
                &format!("s_{session}"),
                if ticket == turn || ticket % 3 > 0 {
                    'w'
                } else {
                    'r'
                },
                fence,
                &format!("task-{lock}-{ticket}"),
                &format!("service-{}", session % 40),
                ticket,
            )
        })
        .collect();
    record(&format!("lock-{lock:05}"), &claims)
}

fn session_record(session: usize, beat: usize) -> (String, String) {
    let value = format!(
        r#"{{"v":1,"host":"host-{}","boot_id":"machine-{}","pid":{},"pidns":1,"start":{session},"lease_ms":15000,"beat":{beat}}}"#,
        session % 50,
        session % 50,
        1000 + session,
    );
    (format!("$KV.{BUCKET}._session.s_{session}"), value)
}

/// Writes to locks and lets sessions beat until it is stopped.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<(f64, f64)>,
}

impl Writer {
    /// Begins: so many locks a second, and every session as often as it must.
    pub(crate) fn start(url: &str, changes: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(url.to_owned(), changes, Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Stops, and tells how many locks were written and how many sessions beat in a second.
    pub(crate) async fn stop(self) -> (f64, f64) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn write(url: String, changes: usize, stop: Arc<AtomicBool>) -> (f64, f64) {
    let context = jetstream::new(async_nats::connect(&url).await.unwrap());
    let begun = Instant::now();
    let mut under_way = FuturesUnordered::new();
    let (mut written, mut beats) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let passed = usize::try_from(begun.elapsed().as_millis()).unwrap();
        let mut records = Vec::new();
        while written < passed * changes / 1000 {
            // A prime that visits all of them, all over the place.
            let (lock, turn) = (written * 6_151 % LOCKS, 1 + written / LOCKS);
            records.push(lock_record(lock, turn));
            written += 1;
        }
        let beat = usize::try_from(BEAT.as_millis()).unwrap();
        while beats < passed * SESSIONS / beat {
            records.push(session_record(beats % SESSIONS, 2 + beats / SESSIONS));
            beats += 1;
        }
        for (key, value) in records {
            let publish = context.publish(key, value.into()).await.unwrap();
            under_way.push(publish.into_future());
        }
        while under_way.len() >= AT_ONCE {
            under_way.next().await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    while let Some(done) = under_way.next().await {
        done.unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    (written as f64 / seconds, beats as f64 / seconds)
}
