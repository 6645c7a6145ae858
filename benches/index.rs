//! The key index with a million keys, against the figures that a smooth console asks for.
//!
//! `cargo bench --bench index` prints what was measured, what is allowed, and the ratio. Times are
//! those of the processor for this thread, so that a busy machine changes them little.

use std::time::{Duration, Instant};

use kvscope::kv::{Entry, Key, Operation, Revision, WatchEvent};
use kvscope::ui::index::{KeyIndex, Layout, Query, Sort, SortBy};
use peak_alloc::PeakAlloc;
use time::OffsetDateTime;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const KEYS: u64 = 1_000_000;
const BATCH: u64 = 8192;
const UPDATES_A_SECOND: u64 = 20_000;
const FRAMES: u64 = 60;

fn main() {
    println!(
        "{:<58}{:>12}{:>12}{:>8}",
        "", "measured", "allowed", "ratio"
    );
    let index = load("random order, flat", Layout::Flat, scattered);
    drop(index);
    let index = load("random order, tree open", Layout::Tree, scattered);
    drop(index);
    let mut index = load("key order, flat", Layout::Flat, |n| n);
    let mut updates = Updates { revision: KEYS };

    windows("flat", &index);
    updates.run("flat", &mut index);

    for text in [
        "b", "bi", "bil", "billing", "!billing", "7", "72", "725", "B", "",
    ] {
        let started = CpuTime::now();
        index.set_query(Query::new(text));
        row(
            &format!("filter {text:?} ({} found)", index.shown()),
            started.elapsed(),
            ms(100),
        );
    }
    index.set_query(Query::new("7"));
    windows("filtered", &index);
    updates.run("filtered", &mut index);
    index.set_query(Query::default());

    for (name, by) in [
        ("revision", SortBy::Revision),
        ("age", SortBy::Age),
        ("size", SortBy::Size),
    ] {
        for descending in [false, true] {
            let started = CpuTime::now();
            index.set_sort(Sort { by, descending });
            let label = format!(
                "sort by {name}{}",
                if descending { ", descending" } else { "" }
            );
            row(&label, started.elapsed(), ms(300));
        }
        windows(name, &index);
        updates.run(name, &mut index);
    }
    memory(
        "peak memory so far, a ranking included",
        MEMORY.peak_usage_as_mb(),
    );
    index.set_sort(Sort::default());

    let started = CpuTime::now();
    index.set_layout(Layout::Tree);
    row("to the tree, closed", started.elapsed(), ms(300));
    windows("tree, closed", &index);
    index.open("app");
    index.open("app.billing");
    index.open("app.billing.eu-1");
    windows("tree, three open", &index);
    updates.run("tree, three open", &mut index);
    let started = CpuTime::now();
    index.open_all();
    row("open every node", started.elapsed(), ms(300));
    windows("tree, all open", &index);
    updates.run("tree, all open", &mut index);
    let started = CpuTime::now();
    index.close("app.billing");
    row("close one node of many", started.elapsed(), ms(10));
    for text in ["b", "bil", ""] {
        let started = CpuTime::now();
        index.set_query(Query::new(text));
        row(
            &format!("filter {text:?} in the tree"),
            started.elapsed(),
            ms(100),
        );
    }
    index.set_layout(Layout::Flat);

    index.apply(&[WatchEvent::Resumed { gap: true }], Instant::now());
    let started = CpuTime::now();
    index.apply(&[WatchEvent::Ready], Instant::now());
    row(
        "a gap after which every key is gone",
        started.elapsed(),
        ms(100),
    );
    expire();
}

/// Loads a million keys in batches, with a look at the screen after each.
fn load(name: &str, layout: Layout, place: impl Fn(u64) -> u64) -> KeyIndex {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage_as_mb();
    let mut index = KeyIndex::new(Duration::from_secs(3));
    index.set_layout(layout);
    index.open_all();
    let (mut batches, mut looks) = (Vec::new(), Vec::new());
    for start in (0..KEYS).step_by(8192) {
        let end = (start + BATCH).min(KEYS);
        let events: Vec<_> = (start..end).map(|n| event(place(n), n + 1)).collect();
        let started = CpuTime::now();
        index.apply(&events, Instant::now());
        batches.push(started.elapsed());
        let started = CpuTime::now();
        look(&index, index.len() / 2);
        looks.push(started.elapsed());
    }
    index.apply(&[WatchEvent::Ready], Instant::now());
    assert_eq!(index.counts().live as u64, KEYS);
    let total: Duration = batches.iter().sum();
    row(&format!("load ({name}): all"), total, ms(1000));
    row(
        &format!("load ({name}): batch of 8192, median"),
        median(&mut batches),
        ms(8),
    );
    row(
        &format!("load ({name}): batch of 8192, slowest"),
        batches[batches.len() - 1],
        ms(8),
    );
    row(
        &format!("load ({name}): window of 60, median"),
        median(&mut looks),
        ms(1),
    );
    memory(
        &format!("load ({name}): peak memory"),
        MEMORY.peak_usage_as_mb() - before,
    );
    memory(
        &format!("load ({name}): memory after"),
        MEMORY.current_usage_as_mb() - before,
    );
    index
}

/// Windows of 60 rows all over the view, each with the search for its selected row.
fn windows(name: &str, index: &KeyIndex) {
    let mut times: Vec<Duration> = (0..500)
        .map(|n| {
            let from = index.len().saturating_sub(60) * n / 499;
            let started = CpuTime::now();
            look(index, from);
            started.elapsed()
        })
        .collect();
    row(
        &format!("window of 60 ({name}), median"),
        median(&mut times),
        ms(1),
    );
    row(
        &format!("window of 60 ({name}), slowest"),
        times[times.len() - 1],
        ms(1),
    );
}

fn look(index: &KeyIndex, from: usize) {
    let rows = index.rows(from..from + 60, Instant::now());
    if let Some(selected) = rows.get(rows.len() / 2) {
        assert_eq!(index.locate(selected.path, 0), Some(from + rows.len() / 2));
    }
}

struct Updates {
    revision: u64,
}

impl Updates {
    /// A second of updates, a batch for each frame: nine of ten of keys that are there.
    fn run(&mut self, name: &str, index: &mut KeyIndex) {
        let mut total = Duration::ZERO;
        let mut slowest = Duration::ZERO;
        for _ in 0..FRAMES {
            let batch: Vec<_> = (0..UPDATES_A_SECOND / FRAMES)
                .map(|_| {
                    self.revision += 1;
                    let n = scattered(self.revision);
                    match self.revision % 20 {
                        0 => event(KEYS + n, self.revision),
                        1 => marker(n, self.revision),
                        _ => event(n, self.revision),
                    }
                })
                .collect();
            let started = CpuTime::now();
            index.apply(&batch, Instant::now());
            let taken = started.elapsed();
            total += taken;
            slowest = slowest.max(taken);
        }
        row(
            &format!("a second of 20,000 updates ({name})"),
            total,
            ms(200),
        );
        row(
            &format!("a batch of 333 of them ({name}), slowest"),
            slowest,
            ms(8),
        );
    }
}

fn expire() {
    let mut index = KeyIndex::new(Duration::from_secs(3));
    let events: Vec<_> = (0..100_000)
        .map(|n| match event(scattered(n), n + 1) {
            WatchEvent::Entry(entry) => WatchEvent::Entry(Entry {
                expires: Some(entry.created),
                ..entry
            }),
            other => other,
        })
        .collect();
    index.apply(&events, Instant::now());
    let mut slices = Vec::new();
    while index.next_expiry().is_some() {
        let started = CpuTime::now();
        index.expire(OffsetDateTime::now_utc());
        slices.push(started.elapsed());
    }
    assert!(index.is_empty());
    row(
        "a slice of 100,000 expiries at once, median",
        median(&mut slices),
        ms(8),
    );
}

/// Visits every number below [`KEYS`], all over the place.
fn scattered(n: u64) -> u64 {
    n * 618_033 % KEYS
}

/// A key of about 30 bytes; in the order of `n`.
fn key(n: u64) -> Key {
    const SERVICES: [&str; 5] = ["billing", "checkout", "endpoints", "inventory", "search"];
    let n_in = n % KEYS;
    let service = SERVICES[usize::try_from(n_in / 200_000).unwrap_or(0)];
    let region = n_in / 20_000 % 10;
    let unit = n_in / 50 % 400;
    let more = if n < KEYS { "" } else { "x" };
    Key::from_stored(format!(
        "app.{service}.eu-{region}.u{unit:03}.limit-{:03}{more}",
        n_in % 50
    ))
}

fn event(n: u64, revision: u64) -> WatchEvent {
    entry(n, revision, Operation::Put)
}

fn marker(n: u64, revision: u64) -> WatchEvent {
    entry(n, revision, Operation::Delete)
}

fn entry(n: u64, revision: u64, operation: Operation) -> WatchEvent {
    WatchEvent::Entry(Entry {
        key: key(n),
        revision: Revision(revision),
        created: OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + revision),
        operation,
        size: scattered(n) % 2000,
        value: None,
        ttl: None,
        expires: None,
    })
}

/// The time that this thread has had of a processor.
struct CpuTime(Duration);

impl CpuTime {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Duration::try_from(time).unwrap_or_default())
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The median; the times are sorted afterwards.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(name: &str, measured: Duration, allowed: Duration) {
    let ratio = measured.as_secs_f64() / allowed.as_secs_f64();
    let (measured, allowed) = (measured.as_secs_f64() * 1e3, allowed.as_secs_f64() * 1e3);
    println!("{name:<58}{measured:>9.3} ms{allowed:>9.0} ms{ratio:>8.2}");
}

fn memory(name: &str, megabytes: f32) {
    let ratio = megabytes / 100.0;
    println!("{name:<58}{megabytes:>9.1} MB{:>9.0} MB{ratio:>8.2}", 100.0);
}
