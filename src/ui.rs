//! The console: screens, and what moves them.
//!
//! [`index`] holds what is known of every key of a bucket.
//! [`theme`] gives every colour by its role; nothing else names a colour.

pub mod index;
pub mod theme;
pub mod value;
pub mod viewport;
pub mod widgets;
pub mod worker;

pub use run::run;
