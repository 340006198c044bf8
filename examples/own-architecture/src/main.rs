//! An architecture of one's own.
fn main() {}
