//! The real console against raw async-nats, on a real nats-server, in one run.
//!
//! ```text
//! cargo bench --bench console                   a million keys; takes some minutes
//! KEYS=100000 cargo bench --bench console       fewer
//! ONLY=loads cargo bench --bench console        one of file, loads, loading, filter, updates, history
//! ```
//!
//! The server is the one that `NATS_SERVER` names, one on the `PATH`, or the one that
//! `scripts/test` installed. It prints what was measured, what it was measured against, and what
//! is allowed, and fails if anything is over. Times are those of a clock: on a machine that does
//! other things at the same time only the ratios tell something, since what they compare ran by
//! turns.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that can't be made ends the benchmark"
)]

#[path = "console/buckets.rs"]
mod buckets;
#[path = "console/screen.rs"]
mod screen;
#[path = "../tests/support/nats.rs"]
mod support;
#[path = "console/table.rs"]
mod table;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use buckets::{BUCKET, Writer};
use kvscope::kv::backend::{Backend as _, BucketConfig};
use kvscope::kv::local::{LocalBackend, OpenOptions};
use kvscope::kv::{BucketName, Store};
use screen::Console;
use support::NatsServer;
use table::{Table, in_ms};
use tempfile::TempDir;

/// Tells this program that it is to drain the bucket at that address, and nothing else.
const DRAIN: &str = "KVSCOPE_BENCH_DRAIN";
/// How often a load and a drain are measured, by turns.
const ROUNDS: usize = 9;
/// The rows of the header and of the titles below it.
const HEADS: usize = 2;
/// How often a key is pressed for one figure.
const PRESSES: usize = 400;
const UPDATES_A_SECOND: u64 = 20_000;
const QUIET: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    if let Ok(url) = std::env::var(DRAIN) {
        buckets::drain(&url).await;
        return ExitCode::SUCCESS;
    }
    let keys = std::env::var("KEYS").ok();
    let keys = keys.map_or(1_000_000, |keys| keys.parse().unwrap());
    let mut table = Table::begin();
    let home = tempfile::tempdir().unwrap();
    // The console has a thread's attention; filling and writing go on beside it.
    tokio::task::block_in_place(|| {
        Bench {
            keys,
            home,
            table: &mut table,
        }
        .run();
    });
    table.end()
}

struct Bench<'a> {
    keys: u64,
    home: TempDir,
    table: &'a mut Table,
}

impl Bench<'_> {
    fn run(&mut self) {
        let only = std::env::var("ONLY").unwrap_or_default();
        let wants = |what: &str| only.is_empty() || only == what;
        let at_history_1 = ["loads", "loading", "filter", "updates"];
        let mut parts = ["file", "history"].into_iter().chain(at_history_1);
        assert!(parts.any(wants), "no part {only}");
        if wants("file") {
            self.local_file();
        }
        if at_history_1.into_iter().any(wants) {
            let server = self.filled(1);
            if wants("loads") {
                self.loads(&server, "history 1");
            }
            if wants("loading") {
                self.keys_while_loading(&server);
            }
            if wants("filter") {
                self.filter(&server);
            }
            if wants("updates") {
                self.keys_under_updates(&server);
            }
        }
        if wants("history") {
            let server = self.filled(5);
            self.loads(&server, "history 5");
        }
    }

    fn filled(&self, history: i64) -> NatsServer {
        let server = NatsServer::start();
        wait(buckets::fill(&server.url(), self.keys, history));
        server
    }

    fn console(&self, server: &NatsServer) -> Console {
        let url = server.url();
        Console::start(
            self.home.path(),
            &["--no-context", "--server", &url, BUCKET],
        )
    }

    /// Loads by turns with raw drains.
    fn loads(&mut self, server: &NatsServer, shape: &str) {
        let (mut first, mut whole, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let (mut busy, mut raw_busy) = (Vec::new(), Vec::new());
        let mut peaks = Vec::new();
        let end = title(self.keys);
        for _ in 0..ROUNDS {
            let (took, processor) = drain(&server.url());
            raw.push(took);
            raw_busy.push(processor);

            let console = self.console(server);
            let connected = console.wait("place", |screen| !heads(screen, "not connected"));
            let keys = console.wait("keys", |screen| contains(screen, "app."));
            first.push(keys - connected.max(console.started));
            let all = console.wait("all keys", |screen| {
                heads(screen, &end) && heads(screen, "● live")
            });
            whole.push(all - console.started);
            busy.push(console.processor_time());
            // What is taken and given back after the last key counts too.
            std::thread::sleep(Duration::from_secs(1));
            peaks.push(console.peak_memory());
        }
        let keys = self.keys;
        let name = |what: &str| format!("{keys} keys, {shape}: {what}");
        if shape == "history 1" {
            self.table
                .time(&name("first keys"), median(&mut first), 250);
        } else {
            Table::note(&name("first keys"), &in_ms(median(&mut first)));
        }
        let (whole, raw) = (median(&mut whole), median(&mut raw));
        self.table
            .ratio(&name("all, against the raw drain"), whole, raw, 1.25);
        let (busy, raw_busy) = (median(&mut busy), median(&mut raw_busy));
        Table::note(
            &name("processor time"),
            &format!("{} against {}", in_ms(busy), in_ms(raw_busy)),
        );
        peaks.sort_by(f64::total_cmp);
        let (middle, memory) = (peaks[ROUNDS / 2], peaks[ROUNDS - 1]);
        self.table.row(
            &name("peak memory"),
            &format!("{memory:.0} MB"),
            "",
            memory / 200.0,
            "200 MB",
        );
        Table::note(&name("peak memory, the median"), &format!("{middle:.0} MB"));
    }

    /// Opens and closes the help as long as keys come in.
    fn keys_while_loading(&mut self, server: &NatsServer) {
        let end = title(self.keys);
        let mut times = Vec::new();
        while times.len() < PRESSES {
            let mut console = self.console(server);
            console.wait("keys", |screen| contains(screen, "app."));
            let before = times.len();
            while !console.look(|screen| heads(screen, &end)) {
                help_and_back(&mut console, &mut times);
            }
            if times.len() == before {
                // There are too few keys to press any while they load.
                help_and_back(&mut console, &mut times);
            }
        }
        self.table
            .percentile("key to frame, loading", &mut times, 50);
    }

    /// Opens and closes the help, and moves the selection, while the bucket is written to.
    fn keys_under_updates(&mut self, server: &NatsServer) {
        let mut console = self.console(server);
        self.wait_for_all(&console);
        let writer = Writer::start(&server.url(), self.keys, UPDATES_A_SECOND);
        std::thread::sleep(Duration::from_secs(1));
        let (mut help, mut moves) = (Vec::new(), Vec::new());
        for _ in 0..PRESSES / 2 {
            help_and_back(&mut console, &mut help);
            down_and_up(&mut console, &mut moves);
        }
        let rate = wait(writer.stop());
        let name = |what: &str| format!("{what}, {rate:.0} updates a second");
        self.table
            .percentile(&name("key to frame (help)"), &mut help, 50);
        self.table
            .percentile(&name("key to frame (selection)"), &mut moves, 50);
    }

    fn filter(&mut self, server: &NatsServer) {
        let mut console = self.console(server);
        self.wait_for_all(&console);
        let mut slowest = Duration::ZERO;
        for word in ["billing", "limit-04", "u1", "!search"] {
            console.press("/");
            console.wait("filter", |screen| contains(screen, "┃/"));
            for end in 1..=word.len() {
                let typed = &word[..end];
                let pressed = console.press(&typed[end - 1..]);
                let shown = console.wait(typed, |screen| has_filter(screen, typed));
                slowest = slowest.max(shown - pressed);
                console.wait("a frame's end", |_| {
                    pressed.elapsed() > Duration::from_millis(1)
                });
            }
            console.press("\x1b");
            console.wait("no filter", |screen| !contains(screen, "┃/"));
        }
        self.table.time("filter, slowest key stroke", slowest, 100);
    }

    fn wait_for_all(&self, console: &Console) {
        let end = title(self.keys);
        console.wait("all keys", |screen| {
            heads(screen, &end) && heads(screen, "● live")
        });
    }

    /// The first frame on a file, and how quiet the console is afterwards.
    fn local_file(&mut self) {
        let file = self.home.path().join("bench.db");
        wait(make_file(&file));
        let arguments = ["--local", file.to_str().unwrap(), "config"];
        let (mut first, mut keys) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS * 2 {
            let console = Console::start(self.home.path(), &arguments);
            let frame = console.wait("frame", |screen| contains(screen, "kvscope"));
            first.push(frame - console.started);
            let there = console.wait("keys", |screen| contains(screen, "app.service-0"));
            keys.push(there - console.started);
        }
        self.table
            .time("local file: first frame", median(&mut first), 50);
        self.table
            .time("local file: first keys", median(&mut keys), 50);

        let console = Console::start(self.home.path(), &arguments);
        console.wait("ages", |screen| contains(screen, "2 h"));
        // Threads that had something to do at the start end after ten seconds without.
        std::thread::sleep(Duration::from_secs(15));
        let before = console.sleeps();
        std::thread::sleep(QUIET);
        let wakes = wakes(&before, &console.sleeps());
        self.table.row(
            "local file: wake-ups in 10 s of quiet",
            &wakes.to_string(),
            "",
            wakes as f64 / 2.0,
            "2",
        );
    }
}

/// A file with a bucket that was written two and a half hours ago.
async fn make_file(path: &Path) {
    let backend = LocalBackend::open(path, OpenOptions::create())
        .await
        .unwrap();
    let config = BucketConfig::new(BucketName::new("config").unwrap());
    backend.create_bucket(&config).await.unwrap();
    let store = Store::open(&*backend, "config").await.unwrap();
    for n in 0..100 {
        let key = format!("app.service-{n}.limits");
        store.put(key, "{\"max\":1}").await.unwrap();
    }
    drop((store, backend));
    let file = rusqlite::Connection::open(path).unwrap();
    let earlier = "UPDATE entry SET created = created - 9000 * 1000000000";
    file.execute(earlier, []).unwrap();
}

/// How often threads woke up between two looks at how often each went to sleep.
fn wakes(before: &HashMap<OsString, u64>, after: &HashMap<OsString, u64>) -> u64 {
    let ended = before.keys().filter(|thread| !after.contains_key(*thread));
    let slept = after
        .iter()
        .map(|(thread, sleeps)| sleeps - before.get(thread).unwrap_or(&0));
    // To end, a thread woke up as well.
    ended.count() as u64 + slept.sum::<u64>()
}

/// Drains the bucket in a process of its own: how long that took, of clock and of processor.
fn drain(url: &str) -> (Duration, Duration) {
    let before = children_time();
    let begun = Instant::now();
    let status = Command::new(std::env::current_exe().unwrap())
        .env(DRAIN, url)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    (begun.elapsed(), children_time().saturating_sub(before))
}

/// The processor time of all children that ended.
fn children_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(13).take(2);
    Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
}

fn help_and_back(console: &mut Console, times: &mut Vec<Duration>) {
    for (key, is_open) in [("?", true), ("\x1b", false)] {
        let pressed = console.press(key);
        let shown = console.wait(key, |screen| contains(screen, "Esc closes") == is_open);
        times.push(shown - pressed);
    }
}

fn down_and_up(console: &mut Console, times: &mut Vec<Duration>) {
    for key in ["j", "k"] {
        let before = console.look(selected_row);
        let pressed = console.press(key);
        let shown = console.wait(key, |screen| selected_row(screen) != before);
        times.push(shown - pressed);
    }
}

/// The row on the screen that is laid out in the colour of the selection.
fn selected_row(screen: &vt100::Screen) -> Option<u16> {
    let column = screen.size().1 / 3;
    let background = |row| screen.cell(row, column).map(vt100::Cell::bgcolor);
    (0..screen.size().0).find(|&row| background(row) != background(0))
}

fn title(keys: u64) -> String {
    let digits = keys.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("Keys {grouped} ")
}

fn has_filter(screen: &vt100::Screen, typed: &str) -> bool {
    let filter = format!("┃/{typed} ");
    contains(screen, &filter) && contains(screen, " found ")
}

fn contains(screen: &vt100::Screen, text: &str) -> bool {
    let mut rows = screen.rows(0, screen.size().1);
    rows.any(|row| row.contains(text))
}

/// Whether the header and the titles below it contain a text. Whoever looks at every row after each
/// piece of a frame takes a tenth of a processor from what is measured.
fn heads(screen: &vt100::Screen, text: &str) -> bool {
    let mut rows = screen.rows(0, screen.size().1).take(HEADS);
    rows.any(|row| row.contains(text))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}

/// The median; the times are sorted afterwards.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
