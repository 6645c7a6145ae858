//! Editing values safely: nobody's edit is lost, nothing is changed that was not meant, and what is
//! said of a save is true. Many editors and strangers on one value, wires that are cut at every point
//! of a save, and the command line with a real editor in a real terminal.

#![cfg(all(unix, feature = "console", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

#[path = "editing/commands.rs"]
mod commands;
#[path = "editing/cuts.rs"]
mod cuts;
#[path = "cli/program.rs"]
#[expect(dead_code, reason = "each test binary uses a part of this")]
mod program;
#[path = "terminal/pty.rs"]
#[expect(dead_code, reason = "each test binary uses a part of this")]
mod pty;
#[path = "editing/recorder.rs"]
mod recorder;
#[path = "editing/storm.rs"]
mod storm;
#[path = "editing/stranger.rs"]
mod stranger;
#[path = "support/nats.rs"]
mod support;
#[path = "editing/terminal.rs"]
mod terminal;
