//! The console: screens, and what moves them.
