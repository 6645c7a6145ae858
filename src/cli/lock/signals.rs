//! The signals that `lock run` hears and passes on.
//!
//! A key such as Ctrl-C is sent by the kernel to every process of the terminal's foreground group,
//! the command among them; to send it on would send it twice. What another process sends to this
//! one alone is passed on. Only the signal's own information tells the two apart, and tokio's
//! signals don't carry it.

use std::io;

use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithRawSiginfo;
use signal_hook::iterator::{Handle, SignalsInfo};
use tokio::sync::mpsc;

/// Those that a person or a program sends to end or steer another program.
const HEARD: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// A signal that came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caught {
    /// Its number.
    pub(super) number: i32,
    /// Whether the kernel sent it, for a terminal, to the whole group.
    pub(super) reaches_all: bool,
}

impl Caught {
    /// The signal, to be sent.
    pub(super) fn signal(self) -> Option<Signal> {
        Signal::from_named_raw(self.number)
    }
}

/// The signals that come from now on, in place of what they would do.
#[derive(Debug)]
pub(super) struct Signals {
    caught: mpsc::UnboundedReceiver<Caught>,
    handle: Handle,
}

impl Signals {
    /// Hears all but those that this process was told to ignore when it was started, as `nohup`
    /// does: the command is to ignore them too.
    pub(super) fn new() -> io::Result<Self> {
        let ignored = ignored();
        let heard = HEARD.into_iter();
        let heard = heard.filter(|number| ignored >> (number - 1) & 1 == 0);
        let mut signals = SignalsInfo::<WithRawSiginfo>::new(heard)?;
        let handle = signals.handle();
        let (tell, caught) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for info in signals.forever() {
                    let caught = Caught {
                        number: info.si_signo,
                        // What processes send has a code of zero or less, by POSIX.
                        reaches_all: info.si_code > 0,
                    };
                    if tell.send(caught).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { caught, handle })
    }

    /// Those that came already and were not asked for.
    pub(super) fn so_far(&mut self) -> impl Iterator<Item = Signal> {
        std::iter::from_fn(|| self.caught.try_recv().ok()).filter_map(Caught::signal)
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Caught {
        match self.caught.recv().await {
            Some(caught) => caught,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// The signals that are ignored, a bit for each, by proc(5). None where the system does not tell.
pub(in crate::cli) fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let bits = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let bits = bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.unwrap_or_default()
}
