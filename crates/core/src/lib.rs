//! The vocabulary of seqbench: what an architecture is, what a task is, and what passes between them.
//! No model, no task, no input or output lives here.
//!
//! Suggested order of reading: [`architecture`] and [`task`] are the two traits one implements;
//! [`parameter`], [`state`] and [`batch`] are what they handle; [`config`] is how they are configured.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod architecture;
pub mod batch;
pub mod config;
mod deserialize;
pub mod error;
pub mod inspection;
pub mod parameter;
pub mod registry;
pub mod seed;
pub mod state;
pub mod task;

pub use architecture::{
    AnyArchitecture, Architecture, ArchitectureInfo, BlockNorm, ConfiguredCore, Decoder, Dims, SequenceCore,
    StepDecoder,
};
pub use batch::{Batch, Evidence, InputData, Inputs, Scored, Targets};
pub use error::{Error, Result};
pub use inspection::{Attention, Factors, Inspection, Matrix, Signal, SignalKind, Theory};
pub use parameter::{Flags, Init, Parameter, ParameterStore, Params};
pub use registry::Registry;
pub use seed::{Purpose, SeedRange, Stream};
pub use state::State;
pub use task::{
    AnyTask, Finite, Generated, InputKind, Instance, OutputKind, Reference, Signature, Split, Task, TaskInfo,
};
