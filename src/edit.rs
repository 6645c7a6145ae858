//! Editing values safely: what is typed, what changes by it, and how it gets into the store.
//!
//! Everything here is pure but [`save::carry_out`], which reads and writes through [`crate::kv`].
//! No terminal, no arguments, no configuration file, no other files and no clock.
//!
//! The way of an edit:
//! 1. [`Source::open`] makes a text of the stored bytes: JSON, text, or bytes in hexadecimal.
//! 2. The text is edited. [`fault`] says where it is not JSON, [`Draft`] keeps it from getting lost.
//! 3. [`Proposal::new`] makes bytes of it again, in which only what was meant differs, and warns.
//!    [`Diff::between`] shows what changes, [`command::equivalent`] how the `nats` CLI would write it.
//! 4. What was agreed to, [`Approved`], is given to a [`Save`], which writes on the revision that was
//!    seen and ends in exactly one [`Ending`].
//! 5. After a conflict a [`Merge`] joins both sides; its result is proposed and saved like any other.

mod align;
pub mod bulk;
pub mod command;
pub mod diff;
pub mod draft;
mod excerpt;
mod form;
mod hex;
pub mod json;
mod layout;
pub mod merge;
mod path;
mod proposal;
pub mod save;
pub mod schema;
mod secrets;
#[cfg(test)]
mod testing;
mod tree;
pub mod undo;

pub use bulk::Bulk;
pub use diff::Diff;
pub use draft::Draft;
pub use excerpt::{Excerpt, Part};
pub use form::{Form, Lines, Source, SourceFault};
pub use json::{Fault, fault};
pub use layout::{minified, pretty};
pub use merge::Merge;
pub use path::{Path, Step};
pub use proposal::{Approved, Proposal, Unacknowledged, Warning};
pub use save::{Base, Ending, Save};
pub use schema::Schema;
pub use secrets::{MASK, Masking, Masks};
pub use undo::Undoable;
