//! kvscope: a console for NATS JetStream key-value buckets, and the engine under it.
//!
//! ```text
//! main ─► cli ─► ui ─► kv          config ◄── main, cli, ui        kv imports none of them
//! ```
//!
//! [`kv`] is the engine: no terminal, no argument parser, no configuration file. A service links
//! it alone with `default-features = false` and one or both of the features `nats` and `local`.
//! The console (`ui`), the command line (`cli`) and the configuration (`config`) come with the
//! feature `console`, which is on by default.

#[cfg(feature = "console")]
pub mod cli;
#[cfg(feature = "console")]
pub mod config;
pub mod kv;
#[cfg(feature = "console")]
pub mod ui;
