//! The forward pass of a recurrence over one block of rows.

use super::block::{Coming, gather, steps};
use super::{Gating, Sizes};
use crate::isa::{Arith, Kernel};
use crate::lanes::copy;
use crate::product::{Matrix, Packed, Start};
use crate::real::Real;

/// The weights as a step uses them.
#[derive(Clone, Debug)]
pub(super) struct Weights<T> {
    /// `[input, input gates]`
    input: Packed<T>,
    /// `[hidden, recurrent gates]`
    recurrent: Packed<T>,
    /// `b_ih + b_hh`, as far as a gate has each: the value each chain begins with.
    bias: Vec<T>,
    /// Where the recurrent gates begin in a row of pre-activations.
    first: usize,
}

/// The blocks that see the input alone stand last in the parameters and first in a row of pre-activations.
pub(super) fn rotated<T: Real>(values: &[T], alone: usize) -> Vec<T> {
    let (others, alone) = values.split_at(values.len() - alone);
    [alone, others].concat()
}

impl<T: Real> Weights<T> {
    /// From w_ih `[input gates, input]`, w_hh `[recurrent gates, hidden]` and their biases.
    pub(super) fn new<G: Gating>([w_ih, w_hh, b_ih, b_hh]: [&[T]; 4], input: usize, hidden: usize) -> Self {
        let first = G::RECURRENT * hidden;
        let w_ih = &rotated(w_ih, first * input)[..];
        let mut bias = rotated(b_ih, first);
        let both = bias.len() - first;
        bias[first..].iter_mut().zip(b_hh).for_each(|(sum, b)| *sum += *b);
        bias.extend(&b_hh[both..]);
        Weights {
            input: Packed::new(Matrix::new(w_ih, input).transposed(), input, b_ih.len()),
            recurrent: Packed::new(Matrix::new(w_hh, hidden).transposed(), hidden, b_hh.len()),
            bias,
            first,
        }
    }

    /// Pre-activations `[m, gates]` from the inputs alone, xs `[m, input]`.
    #[inline(always)]
    pub(super) fn project<A: Arith>(&self, gates: &mut [T], m: usize, xs: Matrix<'_, T>) {
        let width = self.bias.len();
        for row in gates.chunks_exact_mut(width.max(1)).take(m) {
            copy::<A, T>(&self.bias, row);
        }
        self.input.product::<A>(gates, width, m, xs, Start::Existing);
    }

    /// Continues their chains with the previous hidden state.
    #[inline(always)]
    pub(super) fn recur<A: Arith>(
        &self,
        gates: &mut [T],
        m: usize,
        h: Matrix<'_, T>,
        beside: &mut impl FnMut(),
    ) {
        let gates = &mut gates[self.first..];
        self.recurrent.product_beside::<A>(gates, self.bias.len(), m, h, Start::Existing, beside);
    }
}

/// One block of rows, whose tensors begin at its first row.
pub(super) struct Block<'a, G, T> {
    pub(super) gating: G,
    /// Of the whole call, except `batch`: the rows of this block.
    pub(super) sizes: Sizes,
    pub(super) weights: &'a Weights<T>,
    /// `[rows, time, input]`
    pub(super) xs: &'a [T],
    /// `[rows, hidden]`
    pub(super) h0: &'a [T],
    /// `[rows, (S − 1) · hidden]`
    pub(super) c0: &'a [T],
    pub(super) lengths: Option<&'a [usize]>,
    /// `[rows, time, hidden]`
    pub(super) ys: &'a mut [T],
    /// As `h0`.
    pub(super) h: &'a mut [T],
    /// As `c0`.
    pub(super) c: &'a mut [T],
    /// What backward needs, if it will be called.
    pub(super) kept: Option<Kept<'a, T>>,
}

/// Room for what backward needs and the outputs do not hold: activations `[time, rows, gates]` where
/// [`Gating::KEEPS`] says so, and cells `[time, rows, (S − 1) · hidden]`.
pub(super) struct Kept<'a, T> {
    pub(super) gates: &'a mut [T],
    pub(super) cells: &'a mut [T],
}

impl<G: Gating, T: Real> Kernel for Block<'_, G, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Block { gating, sizes, weights, xs, h0, c0, lengths, ys, h: last_h, c: last_c, kept } = self;
        let Sizes { batch: rows, time, input, hidden } = sizes;
        let (width, cell) = (G::GATES * hidden, (G::STATES - 1) * hidden);
        let most = steps(rows).min(time);

        let (mut h, mut c) = (h0.to_vec(), c0.to_vec());
        // Rows of length 0 keep what they came with.
        last_h.copy_from_slice(h0);
        last_c.copy_from_slice(c0);
        let mut chunk = vec![T::ZERO; most * rows * input];
        let (mut kept_gates, mut kept_cells) = match kept {
            Some(Kept { gates, cells }) => (Some(gates).filter(|_| G::KEEPS), Some(cells)),
            None => (None, None),
        };
        let mut own = vec![T::ZERO; if kept_gates.is_some() { 0 } else { most * rows * width }];
        for begin in (0..time).step_by(most) {
            let count = most.min(time - begin);
            gather::<A, T>(xs, [rows, time, input], begin, count, &mut chunk, input);
            let gates = match &mut kept_gates {
                Some(gates) => &mut gates[begin * rows * width..][..count * rows * width],
                None => &mut own[..],
            };
            let mut coming = Coming {
                sources: [(xs, input)],
                rows,
                time,
                steps: begin + count..(begin + count + most).min(time),
                row: 0,
            };
            let mut beside = || {
                coming.one();
                coming.one();
            };
            weights.project::<A>(gates, count * rows, Matrix::new(&chunk, input));
            for step in 0..count {
                let t = begin + step;
                let gates = &mut gates[step * rows * width..][..rows * width];
                weights.recur::<A>(gates, rows, Matrix::new(&h, hidden), &mut beside);
                gating.forward::<A, T>(gates, &mut h, &mut c, hidden);
                for b in 0..rows {
                    let (h, c) = (&h[b * hidden..][..hidden], &c[b * cell..][..cell]);
                    copy::<A, T>(h, &mut ys[(b * time + t) * hidden..][..hidden]);
                    if lengths.map_or(time, |lengths| lengths[b]) == t + 1 {
                        last_h[b * hidden..][..hidden].copy_from_slice(h);
                        last_c[b * cell..][..cell].copy_from_slice(c);
                    }
                }
                if let Some(cells) = &mut kept_cells {
                    cells[t * rows * cell..][..rows * cell].copy_from_slice(&c);
                }
            }
        }
    }
}
