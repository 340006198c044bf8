//! The plain formulation of every fused operation, in candle's own operations: what the fused ones are
//! tested against, and what runs on devices they do not serve. Unrolled, so only for short sequences.

pub mod scan;
pub mod activation;
pub mod gather;
pub mod loss;
pub mod norm;
mod linear;

pub use linear::linear;
