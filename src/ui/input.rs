//! What the user types, from the terminal.
//!
//! On Linux the loop reads it itself. The library's stream of events reads on a thread of its own,
//! and where the processors are busy that thread waits for its turn: close to a tenth of a second
//! went by between a key and the loop while a large bucket was loading.

#[cfg(target_os = "linux")]
mod own;

use std::io;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;

/// The terminal's input, and its size.
pub(super) enum Input {
    #[cfg(target_os = "linux")]
    Own(own::Terminal),
    /// Where the terminal can't be opened once more: after `su`, say, it is another user's.
    Library(EventStream),
}

impl Input {
    pub(super) fn new() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(terminal) = own::Terminal::open() {
            return Self::Own(terminal);
        }
        Self::Library(EventStream::new())
    }

    /// Leaves the terminal to another program until the next event is asked for.
    pub(super) fn let_go(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Own(_) => {}
            // Its thread goes on reading until it is dropped.
            Self::Library(events) => *events = EventStream::new(),
        }
    }

    /// The next event.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) async fn next(&mut self) -> io::Result<Event> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Own(terminal) => terminal.next().await,
            Self::Library(events) => {
                let end = || Err(io::ErrorKind::UnexpectedEof.into());
                events.next().await.unwrap_or_else(end)
            }
        }
    }
}
