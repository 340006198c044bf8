//! The plain formulation of every fused operation, in candle's own operations: what the fused ones are
//! tested against, and what runs on devices they do not serve. Unrolled, so only for short sequences.

pub mod activation;
mod attention;
pub mod gather;
mod linear;
pub mod loss;
mod lstm;
pub mod norm;
mod rnn;
mod rope;
mod scan;
mod selective;

pub use attention::{attention, attention_weights};
pub use linear::linear;
pub use lstm::lstm;
pub use rnn::rnn;
pub use rope::rope;
pub use scan::{diagonal_scan, real_diagonal_scan};
pub use selective::selective_scan;
