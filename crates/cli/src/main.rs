//! The `seqbench` program: the command line over the built-in architectures and tasks.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: seqbench::KeepBig = seqbench::KeepBig;

fn main() -> ExitCode {
    seqbench::main_with(seqbench::builtin())
}
