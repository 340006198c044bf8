//! Multiply-adds of the plain formulations, counted from the tensors that are multiplied: what formulas of cost are
//! tested against.

use super::alone;
use candle_core::{Result, Tensor};
use std::cell::Cell;

/// Multiply-adds of a piece of work, as its plain formulations write them: products whose results are summed. Biases,
/// gates, rotations, norms and other element-wise functions are none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// In products with matrices of weights: m · k · n of `[m, k]` by `[k, n]`.
    pub weights: u64,
    /// In attention's two products, of the pairs of query and key that the mask leaves. The plain formulation computes
    /// the whole square and throws the rest away, which is no work that attention has.
    pub attention: u64,
    /// In scans and short convolutions: each product that enters a state or an output.
    pub scans: u64,
}

impl Count {
    /// All of them.
    pub fn total(self) -> u64 {
        self.weights + self.attention + self.scans
    }
}

thread_local! {
    static COUNT: Cell<Option<Count>> = const { Cell::new(None) };
}

/// Runs `work` with every operation of this crate in its plain formulation, as [`alone`] does, and counts the
/// multiply-adds of those that this thread calls. Within another count both see them.
pub fn counted<R>(work: impl FnOnce() -> R) -> (R, Count) {
    struct Restore(Option<Count>);
    impl Drop for Restore {
        fn drop(&mut self) {
            if let (Some(outer), Some(inner)) = (self.0, COUNT.get()) {
                self.0 = Some(Count {
                    weights: outer.weights + inner.weights,
                    attention: outer.attention + inner.attention,
                    scans: outer.scans + inner.scans,
                });
            }
            COUNT.set(self.0);
        }
    }
    let restore = Restore(COUNT.replace(Some(Count::default())));
    let result = alone(work);
    let count = COUNT.get().unwrap_or_default();
    drop(restore);
    (result, count)
}

fn add(to: impl FnOnce(&mut Count)) {
    COUNT.set(COUNT.get().map(|mut count| {
        to(&mut count);
        count
    }));
}

/// `a` `[m, k]` times `weight` `[k, n]`.
pub(super) fn product(a: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ys = a.matmul(weight)?;
    let depth = a.dims().last().copied().unwrap_or(0);
    add(|count| count.weights += (ys.elem_count() * depth) as u64);
    Ok(ys)
}

/// `a` times `b`, broadcast, where the products are summed: in a scan or a convolution.
pub(super) fn weighted(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let products = a.broadcast_mul(b)?;
    add(|count| count.scans += products.elem_count() as u64);
    Ok(products)
}

/// Notes a product over `pairs` of query and key, of heads of this width.
pub(super) fn note_pairs(pairs: usize, head_dim: usize) {
    add(|count| count.attention += (pairs * head_dim) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, AttentionOptions, attention, linear, rnn};
    use candle_core::{DType, Device};

    fn ones(shape: &[usize]) -> Tensor {
        Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_product_is_its_three_sizes_and_a_bias_nothing() {
        let (ys, count) = counted(|| linear(&ones(&[2, 3, 5]), &ones(&[7, 5]), Some(&ones(&[7]))).unwrap());
        assert_eq!(ys.dims(), [2, 3, 7]);
        assert_eq!(count, Count { weights: 2 * 3 * 5 * 7, ..Count::default() });
    }

    #[test]
    fn attention_is_counted_over_the_pairs_the_mask_leaves() {
        let of = |time: usize, past: usize| {
            let [q, k] = [time, past + time].map(|length| ones(&[2, length, 3, 5]));
            counted(|| attention(&q, &k, &k, &AttentionOptions::default()).unwrap()).1
        };
        // 1 + 2 + … + 7 pairs, and two products.
        assert_eq!(of(7, 0), Count { attention: 2 * 2 * 3 * 5 * 28, ..Count::default() });
        assert_eq!(of(2, 4).attention, 2 * 2 * 3 * 5 * (5 + 6));
    }

    #[test]
    fn counts_end_with_their_work_and_join_those_around_them() {
        let map = || drop(linear(&ones(&[2, 3]), &ones(&[5, 3]), None).unwrap());
        let (inner, outer) = counted(|| {
            map();
            counted(map).1
        });
        assert_eq!((inner.weights, outer.weights), (30, 60));
        map();
        assert_eq!(counted(|| ()).1, Count::default());
    }

    #[test]
    fn steps_of_a_recurrence_add_up() {
        let b = ones(&[5]);
        let run = || {
            rnn(
                &ones(&[2, 7, 3]),
                &ones(&[5, 3]),
                &ones(&[5, 5]),
                &b,
                &b,
                &ones(&[2, 5]),
                None,
                Activation::Tanh,
            )
        };
        assert_eq!(counted(|| run().unwrap()).1.total(), 2 * 7 * (3 * 5 + 5 * 5));
    }
}
