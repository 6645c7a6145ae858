//! The console: screens, and what moves them.
//!
//! ```text
//! keys, mouse, size ─┐
//! worker replies ────┼─► Message ─► App::update ─► Effect ─► worker ─► kv ─► Message
//! watch batches ─────┘                  │ dirty
//! armed deadline ─────                  ▼
//!                               App::draw, at most 60 frames a second
//! ```
//!
//! [`app`] routes, [`screens`] and [`overlays`] hold and draw, [`worker`] does the IO, [`run()`]
//! turns the wheel. [`command`] is the one table of what a user can ask for; [`theme`] the only
//! place that names a colour; [`text`] the only way for a store's text to the screen.

pub mod app;
pub mod bucket;
pub mod canvas;
pub mod command;
pub mod context;
pub mod diff;
pub mod edits;
pub mod feeds;
pub mod filter;
pub mod index;
mod input;
pub mod keymap;
pub mod message;
pub mod outside;
pub mod overlays;
pub mod placeholders;
pub mod remote;
mod run;
pub mod screens;
pub mod shown;
pub mod store_clock;
mod terminal;
pub mod text;
pub mod theme;
pub mod value;
pub mod viewport;
pub mod widgets;
pub mod worker;

pub use run::run;
