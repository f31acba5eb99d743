//! The `worldloop` command.
fn main() {}
