//! The real program in a terminal: against a real nats-server, on a file that others write, on the
//! demo; killed servers, cut wires, signals, a panic, suspension.
//!
//! Everything here waits for conditions, on the screen or in the store, and never for time.

#![cfg(all(unix, feature = "console", feature = "testing"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "terminal/editing.rs"]
mod editing;
#[path = "terminal/endings.rs"]
mod endings;
#[path = "terminal/file.rs"]
mod file;
#[path = "terminal/lock.rs"]
mod lock;
#[path = "terminal/pty.rs"]
mod pty;
#[path = "terminal/server.rs"]
mod server;
#[path = "support/nats.rs"]
mod support;
#[path = "terminal/typing.rs"]
mod typing;
