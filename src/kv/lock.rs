//! The distributed read-write lock: many readers or one writer, writers first, in the order in
//! which they asked.
//!
//! So far this holds the lock's record and what can happen to it, pure: [`record`]. Sessions, the
//! acquiring of locks and guards are to stand on it.

pub mod record;
