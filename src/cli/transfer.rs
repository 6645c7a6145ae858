//! `export` and `import`: a bucket as lines of JSON, and back.
//!
//! - `line`: what stands in a line. Pure.
//! - `export`: from a bucket to lines. `import`: from lines to a bucket; `landing` decides and does
//!   what becomes of one line.
//! - `ranges`: what is written and done. `resume`: how far an import got, in a file.
//! - `progress`: the bar on a terminal.

mod export;
mod import;
mod landing;
mod line;
mod progress;
mod ranges;
mod reader;
mod resume;

pub(super) use export::ExportError;
pub(super) use export::run as export;
pub(super) use import::ImportError;
pub(super) use import::run as import;
pub(super) use landing::Mode;
