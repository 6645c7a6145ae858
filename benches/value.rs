//! How long the value pane's document takes for values of a megabyte, against what is allowed.
//!
//! `cargo bench --bench value` prints a table and fails when a figure is over its limit.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvscope::ui::value::{Document, Masks, View};

const SIZE: usize = 1 << 20;
/// For all that walks every character: opening, and breaking lines to a width.
const OPEN: Duration = Duration::from_millis(100);
/// For what only puts the rows together anew.
const RELAY: Duration = Duration::from_millis(50);
const WINDOW: Duration = Duration::from_micros(500);

fn main() -> ExitCode {
    println!(
        "{:<22}{:>9}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "1 MiB of", "rows", "open", "window", "fold all", "wrap", "hex"
    );
    let mut over = 0;
    for (name, value) in values() {
        let value = Bytes::from(value);
        let masks = Masks::default();
        let open = best(5, || Document::new(value.clone(), &masks, false));
        let mut document = Document::new(value, &masks, false);
        let rows = document.len();
        let window = windows(&document);
        let fold = best(3, || document.fold_all());
        document.unfold_all();
        let wrap = best(3, || document.set_wrap(true));
        document.set_wrap(false);
        let hex = best(3, || document.set_view(View::Hex));
        println!(
            "{name:<22}{rows:>9}{open:>11.1?}{window:>11.1?}{fold:>11.1?}{wrap:>11.1?}{hex:>11.1?}"
        );
        let limits = [
            (open, OPEN),
            (window, WINDOW),
            (fold, RELAY),
            (wrap, OPEN),
            (hex, RELAY),
        ];
        over += limits.iter().filter(|(took, limit)| took > limit).count();
    }
    println!(
        "{:<22}{:>9}{OPEN:>11.1?}{WINDOW:>11.1?}{RELAY:>11.1?}{OPEN:>11.1?}{RELAY:>11.1?}",
        "allowed", ""
    );
    if over > 0 {
        println!("{over} over the limit");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The slowest window of 50 rows and 120 columns, of some at the edges and in the middle.
fn windows(document: &Document) -> Duration {
    let width = document.max_width();
    let mut slowest = Duration::ZERO;
    for row in [0, document.len() / 2, document.len().saturating_sub(50)] {
        for column in [0, width / 2, width.saturating_sub(120)] {
            let took = best(5, || document.lines(row..row + 50, column..column + 120));
            slowest = slowest.max(took);
        }
    }
    slowest
}

fn best<T>(times: usize, mut run: impl FnMut() -> T) -> Duration {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn values() -> Vec<(&'static str, Vec<u8>)> {
    let member = |at: usize| {
        format!(
            r#""service-{at}":{{"url":"https://pay.example/v{at}","retries":{at},"dbPassword":"hunter{at}","tags":["a","b"],"on":true}}"#
        )
    };
    let members: Vec<_> = (0..SIZE / 120).map(member).collect();
    let minified = format!("{{{}}}", members.join(","));
    let pretty = serde_json::from_str::<serde_json::Value>(&minified)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_default();
    let deep = 100_000;
    vec![
        ("minified JSON", minified.clone().into_bytes()),
        ("indented JSON", pretty[..].as_bytes().to_vec()),
        (
            "minified with a break",
            minified.replacen(',', ",\n", 1).into_bytes(),
        ),
        (
            "broken JSON",
            minified.as_bytes()[..minified.len() - 1].to_vec(),
        ),
        (
            "zeros in an array",
            format!("[{}0]", "0,".repeat(SIZE / 2)).into_bytes(),
        ),
        (
            "the same in two lines",
            format!("[\n{}0]", "0,".repeat(SIZE / 2)).into_bytes(),
        ),
        (
            "one string",
            format!("\"{}\"", "x".repeat(SIZE)).into_bytes(),
        ),
        (
            "one Japanese string",
            format!("\"{}\"", "日本".repeat(SIZE / 6)).into_bytes(),
        ),
        ("only [", "[".repeat(SIZE).into_bytes()),
        (
            "100,000 deep",
            format!("{}{}", "[".repeat(deep), "]".repeat(deep)).into_bytes(),
        ),
        ("a:a:a:", "a:".repeat(SIZE / 2).into_bytes()),
        ("ESC", vec![0x1B; SIZE]),
        ("one letter, marks", "\u{301}".repeat(SIZE / 2).into_bytes()),
        (
            "all bytes in turn",
            (0..=u8::MAX).cycle().take(SIZE).collect(),
        ),
    ]
}
