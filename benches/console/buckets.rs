//! The buckets that are measured: filled once, drained raw, and written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// The bucket's name, at every server.
pub(crate) const BUCKET: &str = "million";
/// The length of a value in bytes.
const VALUE: usize = 134;
/// How many writes are under way at once.
const AT_ONCE: usize = 2048;

/// The name of the n-th of some keys: a service's settings, in the order of `n`.
pub(crate) fn key(n: u64, keys: u64) -> String {
    const SERVICES: [&str; 5] = ["billing", "checkout", "endpoints", "inventory", "search"];
    let service = SERVICES[usize::try_from(n * 5 / keys).unwrap_or(0)];
    let (region, unit, limit) = (n / 20_000 % 10, n / 50 % 400, n % 50);
    let turn = n / 200_000;
    format!("app.{service}.eu-{region}.u{turn}{unit:03}.limit-{limit:03}")
}

/// Visits every number below `keys`, all over the place.
fn scattered(n: u64, keys: u64) -> u64 {
    // A prime that divides none of the sizes in use.
    n * 618_041 % keys
}

/// Makes the bucket and writes all keys, in no order; with a history, a tenth of them five times.
pub(crate) async fn fill(url: &str, keys: u64, history: i64) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let config = kv::Config {
        bucket: BUCKET.to_owned(),
        history,
        ..kv::Config::default()
    };
    context.create_key_value(config).await.unwrap();
    let again = if history > 1 { 4 } else { 0 };
    let more = (0..again).flat_map(|_| (0..keys / 10).map(|n| n * 10));
    let mut under_way = FuturesUnordered::new();
    for n in (0..keys).chain(more) {
        let subject = format!("$KV.{BUCKET}.{}", key(scattered(n, keys), keys));
        let publish = context.publish(subject, value(n)).await.unwrap();
        under_way.push(publish.into_future());
        while under_way.len() >= AT_ONCE {
            under_way.next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = under_way.next().await {
        done.unwrap();
    }
}

fn value(n: u64) -> Bytes {
    let mut value = format!("{{\"revision\":{n},\"text\":\"");
    while value.len() < VALUE - 2 {
        value.push('x');
    }
    value.push_str("\"}");
    value.into()
}

/// Takes everything that the bucket holds, as the client's own watch tells it.
pub(crate) async fn drain(url: &str) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let store = context.get_key_value(BUCKET).await.unwrap();
    let mut watch = store.watch_with_history(">").await.unwrap();
    while let Some(entry) = watch.next().await {
        if entry.unwrap().delta == 0 {
            return;
        }
    }
}

/// Writes to keys that are there, so many times a second, until it is stopped.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<f64>,
}

impl Writer {
    /// Begins to write.
    pub(crate) fn start(url: &str, keys: u64, a_second: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(url.to_owned(), keys, a_second, Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Stops, and tells how many writes a second were stored.
    pub(crate) async fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn write(url: String, keys: u64, a_second: u64, stop: Arc<AtomicBool>) -> f64 {
    let context = jetstream::new(async_nats::connect(&url).await.unwrap());
    let stream = context.get_stream(format!("KV_{BUCKET}")).await.unwrap();
    let before = stream.get_info().await.unwrap().state.last_sequence;
    let begun = Instant::now();
    let mut under_way = FuturesUnordered::new();
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(begun.elapsed().as_millis()).unwrap() * a_second / 1000;
        while written < due {
            let subject = format!("$KV.{BUCKET}.{}", key(scattered(written, keys), keys));
            let publish = context.publish(subject, value(written)).await.unwrap();
            under_way.push(publish.into_future());
            written += 1;
        }
        while under_way.len() >= AT_ONCE {
            under_way.next().await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = begun.elapsed();
    let after = stream.get_info().await.unwrap().state.last_sequence;
    (after - before) as f64 / took.as_secs_f64()
}
