//! A terminal with the program in it.

use std::io::{Read as _, Write};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtyPair, PtySize};
use tempfile::TempDir;

/// How long a condition may take. Far more than it needs on a slow machine.
const PATIENCE: Duration = Duration::from_secs(40);
const SIZE: PtySize = PtySize {
    rows: 35,
    cols: 120,
    pixel_width: 0,
    pixel_height: 0,
};

/// A terminal of 120×35, and the program in it. Dropping it kills the program.
pub(crate) struct Terminal {
    program: Program,
    writer: Box<dyn Write + Send>,
    pair: PtyPair,
    shown: Arc<Shown>,
    reader: JoinHandle<()>,
    /// The user's home: empty, so that no setting of this machine plays a part.
    _home: TempDir,
    before: String,
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Program(Box<dyn Child + Send + Sync>);

#[derive(Default)]
struct Shown {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    /// Everything that the program ever sent.
    sent: Vec<u8>,
    /// Whether nobody looks any more.
    is_left: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            parser: vt100::Parser::new(SIZE.rows, SIZE.cols, 0),
            sent: Vec::new(),
            is_left: false,
        }
    }
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until something is so that is not on the screen.
///
/// # Panics
/// When it does not become so.
#[track_caller]
pub(crate) fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program, to be started by hand.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_kvscope")
}

impl Terminal {
    /// The program with these arguments.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        Self::with(program(), arguments, &[])
    }

    /// Some program with these arguments and variables.
    pub(crate) fn with(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pair = portable_pty::native_pty_system().openpty(SIZE).unwrap();
        let before = modes(&*pair.master);
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        command.env("HOME", home.path());
        command.env("XDG_CONFIG_HOME", home.path().join(".config"));
        command.env("TERM", "xterm-256color");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let shown = Arc::new(Shown::default());
        let mut reader = pair.master.try_clone_reader().unwrap();
        let reads = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let mut state = reads.lock();
                state.parser.process(&buffer[..length]);
                state.sent.extend_from_slice(&buffer[..length]);
                reads.changed.notify_all();
                if state.is_left {
                    return;
                }
            }
        });
        Self {
            program: Program(child),
            writer: pair.master.take_writer().unwrap(),
            pair,
            shown,
            reader,
            _home: home,
            before,
        }
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Changes how the terminal treats what is typed, as another program could.
    pub(crate) fn set(&self, modes: &[&str]) {
        let name = self.pair.master.tty_name().unwrap();
        let status = Command::new("stty")
            .arg("-F")
            .arg(name)
            .args(modes)
            .status();
        assert!(status.unwrap().success());
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let size = PtySize {
            cols: columns,
            rows,
            ..SIZE
        };
        self.shown
            .lock()
            .parser
            .screen_mut()
            .set_size(rows, columns);
        self.pair.master.resize(size).unwrap();
    }

    /// Waits until the screen is as wanted.
    ///
    /// # Panics
    /// With the screen, when it does not become so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut wanted: impl FnMut(&vt100::Screen) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.shown.lock();
        while !wanted(state.parser.screen()) {
            let left = until.saturating_duration_since(Instant::now());
            let screen = state.parser.screen().contents();
            assert!(!left.is_zero(), "never {what}:\n{screen}");
            let waited = self.shown.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.until(&format!("shows {text:?}"), |screen| {
            screen.contents().contains(text)
        });
    }

    /// Waits until the picture is live.
    #[track_caller]
    pub(crate) fn is_live(&self) {
        self.shows("● live");
    }

    /// Waits until the keys on the screen are these, with these revisions, and live.
    #[track_caller]
    pub(crate) fn shows_keys(&self, keys: &[(String, u64)]) {
        self.until(&format!("shows {keys:?}"), |screen| {
            screen.contents().contains("● live") && keys_on(screen) == keys
        });
    }

    /// What the screen shows now.
    pub(crate) fn screen(&self) -> String {
        self.shown.lock().parser.screen().contents()
    }

    /// Everything that the program ever sent.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.shown.lock().sent.clone()
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }

    /// Waits until the program has ended.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let status = self.program.ends();
        assert!(status.is_some(), "it does not end:\n{}", self.screen());
        status.unwrap()
    }

    /// Takes the terminal away from the program, as when its window is closed: the kernel hangs up
    /// and nothing can be read or written any more.
    pub(crate) fn close(mut self) -> Program {
        self.shown.lock().is_left = true;
        // Whoever reads lets go with the next that comes: all is drawn again.
        self.press("\x0c");
        self.reader.join().expect("the reader ends");
        self.program
    }

    /// Waits until the terminal is as it was before the program came.
    #[track_caller]
    pub(crate) fn is_given_back(&self) {
        self.until("gives the terminal back", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        assert_eq!(modes(&*self.pair.master), self.before);
    }
}

impl Program {
    fn signal(&self, signal: &str) {
        let id = self.0.process_id().unwrap().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until it has ended; `None` if it does not end.
    pub(crate) fn ends(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the terminal treats what is typed and shown.
fn modes(master: &dyn MasterPty) -> String {
    let modes = master.get_termios().expect("a terminal has modes");
    let (input, output, local) = (modes.input_flags, modes.output_flags, modes.local_flags);
    format!("{input:?} {output:?} {local:?}")
}

/// The keys on the screen and their revisions, in order.
fn keys_on(screen: &vt100::Screen) -> Vec<(String, u64)> {
    let rows = screen.rows(0, SIZE.cols);
    let keys = rows.filter_map(|row| {
        // Between borders, or the signs of selected rows in them: buckets, nothing, keys.
        let pane = row.split(['│', '┃', '►', '▻']).nth(3)?.to_owned();
        let mut words = pane.trim_start_matches([' ', '●']).split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    keys.collect()
}
