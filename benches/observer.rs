//! The Locks screen of the real console over a large place that is busy, on a real nats-server:
//! 10,000 locks with 50,000 waiters of 1,000 sessions, and 2,000 changes a second.
//!
//! ```text
//! cargo bench --bench observer
//! ```
//!
//! The server is the one that `NATS_SERVER` names, one on the `PATH`, or the one that
//! `scripts/test` installed. It prints what was measured and what is allowed, and fails if anything
//! is over. Times are those of a clock, on a machine that writes the changes, serves them and shows
//! them.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that can't be made ends the benchmark"
)]

#[path = "observer/place.rs"]
mod place;
#[path = "console/screen.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of this")]
mod screen;
#[path = "../tests/support/nats.rs"]
mod support;
#[path = "console/table.rs"]
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use place::{CHANGES, LOCKS, Place, SESSIONS, WAITERS, Writer};
use screen::Console;
use support::NatsServer;
use table::{Table, in_ms};

/// How often a key is pressed for one figure.
const PRESSES: usize = 200;
/// How often a change is waited for.
const CHANGES_SEEN: usize = 60;

#[tokio::main]
async fn main() -> ExitCode {
    let mut table = Table::begin();
    let server = NatsServer::start();
    let place = Place::fill(&server.url()).await;
    // The console has a thread's attention; writing goes on beside it.
    tokio::task::block_in_place(|| measure(&server, &place, &mut table));
    table.end()
}

fn measure(server: &NatsServer, place: &Place, table: &mut Table) {
    let home = tempfile::tempdir().unwrap();
    let url = server.url();
    let mut console = Console::start(home.path(), &["--no-context", "--server", &url]);
    console.wait("place", |screen| contains(screen, "● live"));
    let begun = console.press("2");
    let all = console.wait("all locks", |screen| contains(screen, "50,000 waiting"));
    let name = format!(
        "{LOCKS} locks, {} waiters, {SESSIONS} sessions: first shown",
        LOCKS * WAITERS
    );
    Table::note(&name, &in_ms(all - begun));

    let writer = Writer::start(&url, 0);
    // What the load left to be done is not what is measured.
    std::thread::sleep(Duration::from_secs(3));
    changes(&console, place, table, "at rest");
    wait(writer.stop());
    let writer = Writer::start(&url, CHANGES);
    std::thread::sleep(Duration::from_secs(3));
    let before = console.processor_time();
    let since = Instant::now();
    changes(
        &console,
        place,
        table,
        &format!("{CHANGES} changes a second"),
    );
    keys(&mut console, table);
    let busy = console
        .processor_time()
        .saturating_sub(before)
        .as_secs_f64()
        / since.elapsed().as_secs_f64();
    Table::note("processors in use by the console", &format!("{busy:.2}"));
    deadlock(&mut console, place);
    let (rate, beats) = wait(writer.stop());
    Table::note("changes of locks a second", &format!("{rate:.0}"));
    Table::note("beats of sessions a second", &format!("{beats:.0}"));
}

/// From a change in the store to the screen that shows it.
fn changes(console: &Console, place: &Place, table: &mut Table, when: &str) {
    let mut times = Vec::new();
    for _ in 0..CHANGES_SEEN {
        let mark = place.next_mark();
        let begun = Instant::now();
        wait(place.mark(&mark));
        let shown = console.wait("the change", |screen| contains(screen, &mark));
        times.push(shown.saturating_duration_since(begun));
        // Not always at the same moment after the report before.
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
    }
    table.percentile(&format!("change to screen, {when}"), &mut times, 100);
}

fn keys(console: &mut Console, table: &mut Table) {
    let (mut help, mut moves, mut typed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PRESSES / 2 {
        for (key, is_open) in [("?", true), ("\x1b", false)] {
            let pressed = console.press(key);
            let shown = console.wait(key, |screen| contains(screen, "Esc closes") == is_open);
            help.push(shown - pressed);
        }
        for key in ["j", "k"] {
            let before = console.look(selected);
            let pressed = console.press(key);
            let shown = console.wait(key, |screen| selected(screen) != before);
            moves.push(shown - pressed);
        }
    }
    for word in ["lock-04", "service-7", "s_12", "!lock-1"] {
        console.press("/");
        console.wait("filter", |screen| contains(screen, "┃/"));
        for end in 1..=word.len() {
            let pressed = console.press(&word[end - 1..end]);
            let line = format!("┃/{} ", &word[..end]);
            let shown = console.wait(&line, |screen| contains(screen, &line));
            typed.push(shown - pressed);
            std::thread::sleep(Duration::from_millis(80));
        }
        console.press("\r");
        for key in ["j", "k"].repeat(10) {
            let before = console.look(selected);
            let pressed = console.press(key);
            let shown = console.wait(key, |screen| selected(screen) != before);
            moves.push(shown - pressed);
        }
        console.press("\x1b");
        console.wait("no filter", |screen| !contains(screen, "┃/"));
    }
    table.percentile("key to frame (help)", &mut help, 50);
    table.percentile("key to frame (selection)", &mut moves, 50);
    table.percentile("key to frame (filter)", &mut typed, 50);
}

/// From two tasks that wait for each other to the verdict, for which a search goes over all locks.
fn deadlock(console: &mut Console, place: &Place) {
    // What is at fault comes first.
    console.press("g");
    console.wait("the first", |screen| contains(screen, "1 of "));
    let begun = Instant::now();
    wait(place.deadlock());
    let shown = console.wait("deadlock", |screen| contains(screen, "✖ deadlock"));
    Table::note("a deadlock, until it is named", &in_ms(shown - begun));
}

/// The row on the screen that is laid out in the colour of the selection.
fn selected(screen: &vt100::Screen) -> Option<u16> {
    let column = screen.size().1 / 3;
    let background = |row| screen.cell(row, column).map(vt100::Cell::bgcolor);
    (0..screen.size().0).find(|&row| background(row) != background(0))
}

fn contains(screen: &vt100::Screen, text: &str) -> bool {
    screen.contents().contains(text)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}
