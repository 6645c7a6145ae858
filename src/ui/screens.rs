//! The screens, a file each: what they hold, how they take commands, how they are drawn.

pub mod activity;
pub mod browse;
pub mod connect;
pub mod locks;
pub mod server;
