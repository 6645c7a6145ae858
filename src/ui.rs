//! The console: screens, and what moves them.
//!
//! [`theme`] gives every colour by its role; nothing else names a colour.

pub mod theme;
