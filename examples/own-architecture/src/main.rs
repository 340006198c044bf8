//! The whole of `seqbench`, with one architecture more: its file is `ema.rs`, its registration the line in `main`.

mod ema;

use std::process::ExitCode;

// Keeps big buffers between training steps; without it a step pays for its page faults again and again.
#[global_allocator]
static ALLOCATOR: seqbench::KeepBig = seqbench::KeepBig;

fn main() -> ExitCode {
    seqbench::main_with(seqbench::builtin().with_architecture(&&ema::Ema))
}
