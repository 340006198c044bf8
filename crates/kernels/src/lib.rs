//! Fused differentiable operations on the CPU: recurrences, scans, attention, norms, losses and the
//! optimizer's step. This crate knows tensors and knows no model. Each operation has a plain formulation in
//! candle's own operations beside it ([`reference`](mod@reference)), which serves as its test and as its
//! fallback on other devices.
//!
//! Bits do not depend on the number of threads: every output element is one multiply-add chain in a fixed
//! order, and work is split over outputs only.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod isa;
pub mod memory;
pub mod peak;
pub mod real;
pub mod vector;

mod lanes;
mod parallel;
mod plumbing;
mod product;
mod rows;
pub mod tape;

mod activation;
mod attention;
mod cells;
mod convolution;
mod embedding;
mod feed_forward;
mod gate;
mod gather;
mod linear;
mod loss;
mod norm;
pub mod optimizer;
mod recurrence;
pub mod reference;
mod residual;
mod rope;
mod scan;

pub use activation::{gelu, silu, softplus};
pub use attention::{
    AttentionCell, AttentionOptions, PackedOptions, attention, attention_packed, attention_state,
};
pub use cells::{NormCell, gelu_slice, softplus_slice};
pub use convolution::{ConvolutionCell, short_convolution};
pub use embedding::embedding;
pub use feed_forward::feed_forward;
pub use gate::{gate_slice, gated};
pub use gather::gather_steps;
pub use linear::{LinearCell, linear, linear_onto, normed_linear};
pub use loss::{cross_entropy, cross_entropy_rows, mean_squared_error, mean_squared_error_rows};
pub use norm::{Norm, layer_norm, rms_norm};
pub use recurrence::{Activation, GruCell, LstmCell, RnnCell, gru, lstm, rnn};
pub use residual::add;
pub use rope::{Rope, RopeCell, rope};
pub use scan::selective::{SelectiveInputs, SelectiveParameters, SelectiveScanCell, selective_scan};
pub use scan::{
    RealScanParameters, ScanCell, ScanCoefficients, ScanOutput, ScanParameters, diagonal_scan,
    diagonal_scan_gelu,
};
