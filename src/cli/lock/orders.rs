//! What `lock run` tells the supervisor of its command, over a pipe between the two.
//!
//! A pipe, because it ends with whoever writes to it, however that one ends. And no signals: they
//! can't say whether they come from the keyboard or are to be passed on.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::unix::pipe;

/// What the supervisor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The lock is held until then, by the time since boot in milliseconds.
    Until(Duration),
    /// The command is being stopped, and must be gone by then.
    Gone(Duration),
    /// The command is to have this signal.
    Signal(Signal),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(time) => write!(f, "until {}", time.as_millis()),
            Self::Gone(time) => write!(f, "gone {}", time.as_millis()),
            Self::Signal(signal) => write!(f, "signal {}", signal.as_raw()),
        }
    }
}

impl Order {
    fn of(line: &str) -> Option<Self> {
        let (word, number) = line.split_once(' ')?;
        let time = || number.parse().ok().map(Duration::from_millis);
        match word {
            "until" => time().map(Self::Until),
            "gone" => time().map(Self::Gone),
            "signal" => Signal::from_named_raw(number.parse().ok()?).map(Self::Signal),
            _ => None,
        }
    }
}

/// The end of the one who tells.
#[derive(Debug)]
pub(super) struct Teller {
    pipe: PipeWriter,
    /// Kept open, so that the other process can open it too.
    other_end: PipeReader,
}

impl Teller {
    pub(super) fn new() -> io::Result<Self> {
        let (other_end, pipe) = io::pipe()?;
        // One that is stopped hears nothing, and is not to be waited for.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe, other_end })
    }

    /// The number of the other end, among this process's open files.
    pub(super) fn number(&self) -> RawFd {
        self.other_end.as_raw_fd()
    }

    pub(super) fn tell(&mut self, order: Order) {
        if let Err(error) = writeln!(self.pipe, "{order}") {
            tracing::debug!(%order, %error, "the supervisor was not told");
        }
    }
}

/// The end of the one who is told.
#[derive(Debug)]
pub(super) struct Orders(Lines<BufReader<pipe::Receiver>>);

impl Orders {
    /// Opens the file with that number of another process of the same user.
    pub(super) fn open(process: i32, number: RawFd) -> io::Result<Self> {
        let path = format!("/proc/{process}/fd/{number}");
        let pipe = pipe::OpenOptions::new().open_receiver(path)?;
        Ok(Self(BufReader::new(pipe).lines()))
    }

    /// The next one. `None` when there is nobody any more who tells. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Order> {
        loop {
            let line = self.0.next_line().await.ok()??;
            if let Some(order) = Order::of(&line) {
                return Some(order);
            }
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_is_heard_until_the_teller_is_gone() {
        let mut teller = Teller::new().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let mut orders = Orders::open(own, teller.number()).unwrap();
        for order in [
            Order::Until(Duration::from_millis(4711)),
            Order::Signal(Signal::USR1),
            Order::Gone(Duration::ZERO),
        ] {
            teller.tell(order);
            assert_eq!(orders.next().await, Some(order));
        }
        teller.pipe.write_all(b"what\nsignal 0\n").unwrap();
        drop(teller);
        assert_eq!(orders.next().await, None);
    }
}
