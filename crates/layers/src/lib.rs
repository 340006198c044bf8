//! Linear, norm, MLP, embedding: parameters joined to operations.
//!
//! A layer is its tensors and a `forward`. It asks [`Params`](seqbench_core::Params) for them under PyTorch's
//! names, and calls a fused operation of `seqbench-kernels`. Biases and the gains of norms are exempt from
//! weight decay.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod embedding;
mod linear;
mod mlp;
mod norm;
mod positions;
#[cfg(test)]
mod testing;

pub use embedding::Embedding;
pub use linear::Linear;
pub use mlp::Mlp;
pub use norm::{EPSILON, LayerNorm, RmsNorm};
pub use positions::{Sinusoids, sinusoidal};
