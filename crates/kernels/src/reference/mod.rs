//! The plain formulation of every fused operation, in candle's own operations: what the fused ones are
//! tested against, and what runs on devices they do not serve. Unrolled, so only for short sequences.

pub mod activation;
mod attention;
mod convolution;
mod count;
pub mod gather;
mod gru;
mod linear;
pub mod loss;
mod lstm;
pub mod norm;
mod rnn;
mod rope;
mod scan;
mod selective;

pub use attention::{attention, attention_packed, attention_state, attention_weights};
pub use convolution::short_convolution;
pub use count::{Count, counted};
pub use gru::gru;
pub use linear::linear;
pub use lstm::lstm;
pub use rnn::rnn;
pub use rope::rope;
pub use scan::{diagonal_scan, real_diagonal_scan};
pub use selective::selective_scan;

use std::cell::Cell;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with every operation of this crate in its plain formulation, as far as this thread calls it: a
/// whole model can be trained both ways and compared.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restore = Restore(ALONE.replace(true));
    work()
}

/// Whether this thread is within [`alone`].
pub fn is_alone() -> bool {
    ALONE.get()
}
