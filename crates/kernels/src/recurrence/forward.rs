//! The forward pass of a recurrence over some rows of the batch.

use super::{Gating, Sizes};
use crate::isa::{Arith, Kernel};
use crate::product::{Matrix, Packed, Start};
use crate::real::Real;

/// Steps projected at once: their pre-activations are still in the cache when their turn comes.
pub(super) const CHUNK: usize = 16;

/// The weights as a step uses them.
#[derive(Clone, Debug)]
pub(super) struct Weights<T> {
    /// `[input, gates]`
    input: Packed<T>,
    /// `[hidden, gates]`
    recurrent: Packed<T>,
    /// `b_ih + b_hh`: the value each chain begins with.
    bias: Vec<T>,
}

impl<T: Real> Weights<T> {
    /// From the parameters one after another: w_ih, w_hh, b_ih, b_hh, `gates` rows each.
    pub(super) fn new(parameters: &[T], gates: usize, input: usize, hidden: usize) -> Self {
        let (w_ih, rest) = parameters.split_at(gates * input);
        let (w_hh, biases) = rest.split_at(gates * hidden);
        let (b_ih, b_hh) = biases.split_at(gates);
        Weights {
            input: Packed::new(Matrix::new(w_ih, input).transposed(), input, gates),
            recurrent: Packed::new(Matrix::new(w_hh, hidden).transposed(), hidden, gates),
            bias: b_ih.iter().zip(b_hh).map(|(a, b)| *a + *b).collect(),
        }
    }

    /// Pre-activations from the inputs alone, for `m` rows.
    #[inline(always)]
    pub(super) fn project<A: Arith>(&self, gates: &mut [T], stride: usize, m: usize, xs: Matrix<'_, T>) {
        for i in 0..m {
            gates[i * stride..][..self.bias.len()].copy_from_slice(&self.bias);
        }
        self.input.product::<A>(gates, stride, m, xs, Start::Existing);
    }

    /// Continues their chains with the previous hidden state.
    #[inline(always)]
    pub(super) fn recur<A: Arith>(&self, gates: &mut [T], stride: usize, m: usize, h: Matrix<'_, T>) {
        self.recurrent.product::<A>(gates, stride, m, h, Start::Existing);
    }
}

/// The rows of one thread. `S` is the number of states, `G` the number of pre-activations of a step.
pub(super) struct Shard<'a, G, T> {
    pub(super) gating: G,
    /// Of the whole call, except `batch`: the rows of this shard.
    pub(super) sizes: Sizes,
    pub(super) weights: &'a Weights<T>,
    /// `[batch, time, input]`
    pub(super) xs: &'a [T],
    /// `[batch, S, hidden]`
    pub(super) state: &'a [T],
    pub(super) lengths: Option<&'a [usize]>,
    /// `[batch, time + S, hidden]`: the outputs, then the state.
    pub(super) out: &'a mut [T],
    /// What backward needs, if it will be called.
    pub(super) saved: Option<Saved<'a, T>>,
}

/// Room for what backward needs: activations `[batch, time, G]` and cells `[batch, time, (S − 1) · hidden]`.
pub(super) struct Saved<'a, T> {
    pub(super) gates: &'a mut [T],
    pub(super) cells: &'a mut [T],
}

impl<G: Gating, T: Real> Kernel for Shard<'_, G, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Shard { gating, sizes, weights, xs, state, lengths, out, saved } = self;
        let Sizes { batch, time, input, hidden } = sizes;
        let width = G::GATES * hidden;
        let cell = (G::STATES - 1) * hidden;
        let out_row = (time + G::STATES) * hidden;

        let mut h = vec![T::ZERO; batch * hidden];
        let mut c = vec![T::ZERO; batch * cell];
        for b in 0..batch {
            let state = &state[b * G::STATES * hidden..][..G::STATES * hidden];
            h[b * hidden..][..hidden].copy_from_slice(&state[..hidden]);
            c[b * cell..][..cell].copy_from_slice(&state[hidden..]);
            if lengths.is_some_and(|lengths| lengths[b] == 0) {
                out[b * out_row + time * hidden..][..G::STATES * hidden].copy_from_slice(state);
            }
        }

        let tracked = saved.is_some();
        let mut scratch = Vec::new();
        let (kept, gates, cells) = match saved {
            Some(Saved { gates, cells }) => (time, gates, cells),
            None => {
                let kept = CHUNK.min(time);
                scratch.resize(batch * kept * width, T::ZERO);
                (kept, &mut scratch[..], &mut [][..])
            }
        };
        for begin in (0..time).step_by(CHUNK) {
            let end = (begin + CHUNK).min(time);
            let offset = if tracked { begin } else { 0 };
            // Both forms are the same chains; the longer side makes the fuller tiles.
            if batch > end - begin {
                for t in begin..end {
                    let slot = &mut gates[(offset + t - begin) * width..];
                    let xs = Matrix::new(&xs[t * input..], time * input);
                    weights.project::<A>(slot, kept * width, batch, xs);
                }
            } else {
                for b in 0..batch {
                    let slots = &mut gates[(b * kept + offset) * width..];
                    let xs = Matrix::new(&xs[(b * time + begin) * input..], input);
                    weights.project::<A>(slots, width, end - begin, xs);
                }
            }
            for t in begin..end {
                let slot = &mut gates[(offset + t - begin) * width..];
                weights.recur::<A>(slot, kept * width, batch, Matrix::new(&h, hidden));
                for b in 0..batch {
                    let gates = &mut slot[b * kept * width..][..width];
                    let (h, c) = (&mut h[b * hidden..][..hidden], &mut c[b * cell..][..cell]);
                    gating.forward::<A, T>(gates, h, c);
                    out[b * out_row + t * hidden..][..hidden].copy_from_slice(h);
                    if lengths.map_or(time, |lengths| lengths[b]) == t + 1 {
                        let state = &mut out[b * out_row + time * hidden..][..hidden + cell];
                        state[..hidden].copy_from_slice(h);
                        state[hidden..].copy_from_slice(c);
                    }
                    if tracked {
                        cells[(b * time + t) * cell..][..cell].copy_from_slice(c);
                    }
                }
            }
        }
    }
}
