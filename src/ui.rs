//! The console: screens, and what moves them.
//!
//! [`theme`] gives every colour by its role; nothing else names a colour. [`text`] is the only
//! way by which text from a store comes to the screen; [`value`] is what the value pane shows of it.

pub mod text;
pub mod theme;
pub mod value;
