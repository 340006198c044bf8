//! The whole of `seqbench`, with one architecture more: its file is `ema.rs`, its registration the line in `main`.

mod ema;

use std::process::ExitCode;

fn main() -> ExitCode {
    seqbench::main_with(seqbench::builtin().with_architecture(&&ema::Ema))
}
