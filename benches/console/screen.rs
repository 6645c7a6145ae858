//! The real console in a pseudo-terminal: keys in, and the moment at which a screen was there.
//!
//! What is to be seen, and how soon, is the business of the measurements.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const ROWS: u16 = 50;
const COLUMNS: u16 = 160;
/// How long anything may take. Far more than it needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A console that runs. Dropping it ends it.
pub(crate) struct Console {
    /// When the program was started.
    pub(crate) started: Instant,
    pid: u32,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Seen>,
    _pty: Box<dyn MasterPty + Send>,
}

struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    terminal: vt100::Parser,
    /// When the last bytes came.
    at: Instant,
    over: bool,
}

impl Console {
    /// Starts the console with these arguments, where it finds no configuration.
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: COLUMNS,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_kvscope"));
        command.args(arguments);
        command.env_clear();
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let seen = Arc::new(Seen {
            state: Mutex::new(State {
                terminal: vt100::Parser::new(ROWS, COLUMNS, 0),
                at: started,
                over: false,
            }),
            changed: Condvar::new(),
        });
        let output = pty.master.try_clone_reader().unwrap();
        let to = Arc::clone(&seen);
        std::thread::spawn(move || read(output, &to));
        Self {
            started,
            pid: child.process_id().unwrap(),
            child,
            keys: pty.master.take_writer().unwrap(),
            seen,
            _pty: pty.master,
        }
    }

    /// Presses keys; the moment at which they were pressed.
    pub(crate) fn press(&mut self, keys: &str) -> Instant {
        let now = Instant::now();
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        now
    }

    /// Waits for a screen, and tells when it was there.
    pub(crate) fn wait(&self, what: &str, shows: impl Fn(&vt100::Screen) -> bool) -> Instant {
        let begun = Instant::now();
        let mut state = self.seen.lock();
        loop {
            if shows(state.terminal.screen()) {
                return state.at;
            }
            let contents = || state.terminal.screen().contents();
            assert!(!state.over, "the console ended:\n{}", contents());
            assert!(begun.elapsed() < PATIENCE, "no {what}:\n{}", contents());
            let waited = self
                .seen
                .changed
                .wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks at the screen as it is now.
    pub(crate) fn look<T>(&self, of: impl FnOnce(&vt100::Screen) -> T) -> T {
        of(self.seen.lock().terminal.screen())
    }

    /// The most memory that the process ever had, in megabytes of a million bytes.
    pub(crate) fn peak_memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        (number(&status, "VmHWM:") * 1024) as f64 / 1e6
    }

    /// How often each thread of the process went to sleep of itself so far: each time something
    /// woke it up before.
    pub(crate) fn sleeps(&self) -> HashMap<OsString, u64> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
        threads
            .map(|thread| {
                let thread = thread.unwrap();
                let status = std::fs::read_to_string(thread.path().join("status"));
                let sleeps = number(&status.unwrap_or_default(), "\nvoluntary_ctxt_switches:");
                (thread.file_name(), sleeps)
            })
            .collect()
    }

    /// The processor time of the process so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        // The name, in brackets, can hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(mut output: Box<dyn Read + Send>, seen: &Seen) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = output.read(&mut buffer).unwrap_or(0);
        let at = Instant::now();
        let mut state = seen.lock();
        state.terminal.process(&buffer[..length]);
        state.at = at;
        state.over = length == 0;
        drop(state);
        seen.changed.notify_all();
        if length == 0 {
            return;
        }
    }
}

fn number(status: &str, name: &str) -> u64 {
    let rest = status.split(name).nth(1).unwrap_or_default();
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.parse().unwrap_or_default()
}
