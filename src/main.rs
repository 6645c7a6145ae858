//! The `kvscope` program.

fn main() {}
