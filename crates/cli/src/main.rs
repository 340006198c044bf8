//! The `seqbench` program.
fn main() {}
