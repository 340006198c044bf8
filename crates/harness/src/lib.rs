//! Plans and measures any architecture on any task, and names neither.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod clock;
pub mod plan;
pub mod run;
pub mod spec;

pub mod cell;
pub mod checkpoint;
pub mod data;
mod decode;
pub mod evaluate;
mod gate;
pub mod inputs;
pub mod keep;
pub mod machine;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod probe;
pub mod schedule;
pub mod throughput;
pub mod train;

pub mod contracts;

pub use decode::ModelDecoder;

/// The kernels' instruction set: the one `SEQBENCH_ISA` asks for, or the best this machine has.
///
/// # Errors
/// The variable names one that there is not, or that this machine lacks.
pub fn instruction_set() -> Result<&'static str, String> {
    seqbench_kernels::isa::requested().map(seqbench_kernels::isa::Isa::name)
}

/// Runs `work` with every kernel in its plain formulation, as far as this thread calls it: what is computed fast can be
/// compared with what is computed plainly, whole models in training included.
pub fn on_plain_formulations<R>(work: impl FnOnce() -> R) -> R {
    seqbench_kernels::reference::alone(work)
}

/// As [`on_plain_formulations`], and the multiply-adds that the plain formulations make: of products with weights, of scans and
/// convolutions, and of attention over the pairs that its mask leaves.
pub fn counting_multiply_adds<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let (result, count) = seqbench_kernels::reference::counted(work);
    (result, count.total())
}

/// Bytes a second, read and written together, that this many threads copy from memory to memory at once, in GB/s.
pub fn memory_bandwidth(threads: u32) -> f64 {
    seqbench_kernels::peak::memory_copy_bandwidth(threads as usize)
}

/// Single-precision multiply-adds in registers that this many threads make at once, in GFLOP/s, measured for a second: what
/// a share of peak is a share of.
pub fn multiply_add_peak(threads: u32) -> f64 {
    seqbench_kernels::peak::multiply_add_peak(threads as usize, std::time::Duration::from_secs(1))
}
