//! The `seqbench` program: the command line over the built-in architectures and tasks.

use std::process::ExitCode;

fn main() -> ExitCode {
    seqbench::main_with(seqbench::builtin())
}
