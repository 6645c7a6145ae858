//! Export and import against the raw client, on a real nats-server: the program itself, with its
//! lines, against async-nats without any. The same with a file, against rusqlite alone.
//!
//! ```text
//! cargo bench --bench transfer --all-features
//! ```
//!
//! The yardsticks: for the import, as many plain publishes with their acknowledgements, as many
//! under way at once; for the export, an ordered push consumer with values. For a file: as many rows,
//! inserted in transactions of as many, with the same tables and the same care for the disk; and a
//! select of all of them, each written as JSON. The program may take twice as long, and no more memory
//! than is allowed, however many keys there are.
//! `KEYS=100000` takes fewer. By turns with the yardsticks, so that a busy machine slows both.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that can't be made ends the benchmark"
)]

#[path = "../tests/support/nats.rs"]
mod support;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::DeliverPolicy};
use futures_util::StreamExt as _;
use support::NatsServer;

/// The size of a value.
const VALUE: usize = 134;
/// How many publishes of the raw client are under way at once: as many as of an import.
const FLYING: usize = 1024;
/// How many rows are in one transaction: as many as when keys are written, and when they are restored.
const WRITTEN: usize = 512;
const RESTORED: usize = 4096;
/// How many times as long as the raw client the program may take.
const TIMES: f64 = 2.0;
/// How much memory it may take, in bytes.
const MEMORY: u64 = 256 << 20;

fn main() -> ExitCode {
    let keys: usize = match std::env::var("KEYS") {
        Ok(keys) => keys.parse().unwrap(),
        Err(_) => 1_000_000,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    println!("{keys} keys with values of {VALUE} bytes");
    println!(
        "{:<34}{:>12}{:>12}{:>8}{:>9}{:>12}",
        "what", "program", "raw client", "ratio", "allowed", "memory"
    );

    let put = runtime.block_on(raw_put(&server.url(), keys));
    let get = runtime.block_on(raw_get(&server.url(), keys));
    let export = program(&server, &["export", "raw"], None, Some(&file));
    let import = program(&server, &["import", "copy", "--create"], Some(&file), None);
    let get_again = runtime.block_on(raw_get(&server.url(), keys));
    let mut over = 0;
    over += told("export, a server to a file", export, get.min(get_again));
    over += told("import, a file to a server", import, put);
    over += of_a_file(folder.path(), &file, keys);
    if over == 0 {
        ExitCode::SUCCESS
    } else {
        println!("{over} over");
        ExitCode::FAILURE
    }
}

/// The same with a file for the store.
fn of_a_file(folder: &Path, lines: &Path, keys: usize) -> usize {
    println!(
        "{:<34}{:>12}{:>12}{:>8}{:>9}{:>12}",
        "", "program", "rusqlite", "ratio", "allowed", "memory"
    );
    let raw = folder.join("raw.db");
    let put = raw_insert(&raw, keys, WRITTEN);
    let get = raw_select(&raw, &folder.join("raw.jsonl"), keys);
    std::fs::remove_file(&raw).unwrap();
    let put_many = raw_insert(&raw, keys, RESTORED);
    let place = folder.join("copy.db");
    let words = ["--local", place.to_str().unwrap()];
    let run = |arguments: &[&str], input, output| program_at(&words, arguments, input, output);
    let import = run(&["import", "copy", "--create"], Some(lines), None);
    let exact = ["import", "exact", "--create", "--exact"];
    let exact = run(&exact, Some(lines), None);
    let export = run(&["export", "copy"], None, Some(&folder.join("again.jsonl")));
    told("import, lines to a file", import, put)
        + told("import --exact, lines to a file", exact, put_many)
        + told("export, a file to lines", export, get)
}

/// Prints a line; says how much of it is over.
fn told(what: &str, (time, memory): (Duration, u64), raw: Duration) -> usize {
    let ratio = time.as_secs_f64() / raw.as_secs_f64();
    println!(
        "{what:<34}{:>10.2} s{:>10.2} s{ratio:>8.2}{TIMES:>9.2}{:>8} MB",
        time.as_secs_f64(),
        raw.as_secs_f64(),
        memory >> 20,
    );
    usize::from(ratio > TIMES) + usize::from(memory > MEMORY)
}

fn program(
    server: &NatsServer,
    words: &[&str],
    input: Option<&Path>,
    output: Option<&Path>,
) -> (Duration, u64) {
    program_at(&["--server", &server.url()], words, input, output)
}

/// Runs the program; how long it took, and the most memory that it had.
fn program_at(
    place: &[&str],
    words: &[&str],
    input: Option<&Path>,
    output: Option<&Path>,
) -> (Duration, u64) {
    let stdin = input.map_or_else(Stdio::null, |path| File::open(path).unwrap().into());
    let stdout = output.map_or_else(Stdio::null, |path| File::create(path).unwrap().into());
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kvscope"))
        .args(words)
        .args(place)
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
        .unwrap();
    let mut memory = 0;
    let status = loop {
        memory = peak(child.id()).max(memory);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let time = begun.elapsed();
    assert!(status.success(), "{words:?}");
    (time, memory)
}

/// The most memory that a process had, in bytes.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

async fn raw_put(url: &str, keys: usize) -> Duration {
    let client = async_nats::connect(url).await.unwrap();
    let context = jetstream::new(client);
    let config = jetstream::kv::Config {
        bucket: "raw".to_owned(),
        ..Default::default()
    };
    context.create_key_value(config).await.unwrap();
    let value = "v".repeat(VALUE);
    let begun = Instant::now();
    let published = futures_util::stream::iter(0..keys).map(|n| {
        let subject = format!("$KV.raw.{}", key_of(n));
        let (context, value) = (context.clone(), value.clone());
        async move {
            let acknowledgement = context.publish(subject, value.into()).await.unwrap();
            acknowledgement.await.unwrap();
        }
    });
    published
        .buffer_unordered(FLYING)
        .for_each(|()| std::future::ready(()))
        .await;
    begun.elapsed()
}

async fn raw_get(url: &str, keys: usize) -> Duration {
    let client = async_nats::connect(url).await.unwrap();
    let inbox = client.new_inbox();
    let stream = jetstream::new(client).get_stream("KV_raw").await.unwrap();
    let config = jetstream::consumer::push::OrderedConfig {
        deliver_subject: inbox,
        deliver_policy: DeliverPolicy::All,
        ..Default::default()
    };
    let begun = Instant::now();
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for _ in 0..keys {
        messages.next().await.unwrap().unwrap();
    }
    begun.elapsed()
}

/// Rows like those of the engine, with its indexes, in transactions of so many.
fn raw_insert(path: &Path, keys: usize, at_once: usize) -> Duration {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    let setup = "PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE TABLE entry (
            bucket INTEGER NOT NULL, revision INTEGER NOT NULL, key TEXT NOT NULL,
            created INTEGER NOT NULL, operation INTEGER NOT NULL, size INTEGER NOT NULL,
            ttl INTEGER, expires INTEGER, value BLOB NOT NULL,
            PRIMARY KEY (bucket, revision)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX entry_by_key ON entry (bucket, key, revision);
        CREATE INDEX entry_by_expiry ON entry (expires) WHERE expires IS NOT NULL;";
    connection.execute_batch(setup).unwrap();
    let value = "v".repeat(VALUE);
    let numbers: Vec<usize> = (0..keys).collect();
    let begun = Instant::now();
    for batch in numbers.chunks(at_once) {
        let transaction = connection.transaction().unwrap();
        let insert = "INSERT INTO entry VALUES (1, ?1, ?2, ?3, 0, ?4, NULL, NULL, ?5)";
        let mut insert = transaction.prepare_cached(insert).unwrap();
        for n in batch {
            let key = key_of(*n);
            let (n, size) = (i64::try_from(*n).unwrap(), i64::try_from(VALUE).unwrap());
            let row = rusqlite::params![n + 1, key, n, size, value.as_bytes()];
            insert.execute(row).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    begun.elapsed()
}

/// A row as JSON.
#[derive(serde::Serialize)]
struct Row {
    key: String,
    revision: i64,
    created: i64,
    value: String,
}

fn raw_select(path: &Path, lines: &Path, keys: usize) -> Duration {
    let connection = rusqlite::Connection::open(path).unwrap();
    let begun = Instant::now();
    let mut lines = BufWriter::new(File::create(lines).unwrap());
    let select = "SELECT key, revision, created, value FROM entry";
    let mut select = connection.prepare(select).unwrap();
    let mut rows = select.query([]).unwrap();
    let mut read = 0;
    while let Some(row) = rows.next().unwrap() {
        let row = Row {
            key: row.get(0).unwrap(),
            revision: row.get(1).unwrap(),
            created: row.get(2).unwrap(),
            value: String::from_utf8(row.get(3).unwrap()).unwrap(),
        };
        serde_json::to_writer(&mut lines, &row).unwrap();
        lines.write_all(b"\n").unwrap();
        read += 1;
    }
    lines.flush().unwrap();
    assert_eq!(read, keys);
    begun.elapsed()
}

fn key_of(n: usize) -> String {
    format!("app.service-{:03}.setting-{n:07}", n % 500)
}
