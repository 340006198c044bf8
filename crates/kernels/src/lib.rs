//! Fused differentiable operations on the CPU: recurrences, scans, attention, norms, losses and the
//! optimizer's step. This crate knows tensors and knows no model. Each operation has a plain formulation in
//! candle's own operations beside it (`reference`), which serves as its test and as its fallback on other
//! devices.
//!
//! Bits do not depend on the number of threads: every output element is one multiply-add chain in a fixed
//! order, and work is split over outputs only.

pub mod isa;
pub mod real;
mod plumbing;
