//! The backward pass of a recurrence over one block of rows: back through the steps of a chunk, then the
//! products over the whole chunk while it is in the cache.

use super::block::{gather, scatter, steps};
use super::{Gating, Sizes};
use crate::isa::{Arith, Kernel};
use crate::product::{Matrix, Packed, Start, accumulate_outer};
use crate::real::Real;

/// The weights as backward uses them.
pub(super) struct Weights<T> {
    /// `[gates, input]`
    input: Packed<T>,
    /// `[gates, hidden]`
    recurrent: Packed<T>,
}

impl<T: Real> Weights<T> {
    /// From w_ih `[gates, input]` and w_hh `[gates, hidden]`.
    pub(super) fn new(w_ih: &[T], w_hh: &[T], gates: usize, input: usize, hidden: usize) -> Self {
        Weights {
            input: Packed::new(Matrix::new(w_ih, input), gates, input),
            recurrent: Packed::new(Matrix::new(w_hh, hidden), gates, hidden),
        }
    }
}

/// One block of rows, whose tensors begin at its first row; shapes as in the forward pass.
pub(super) struct Block<'a, G, T> {
    pub(super) gating: G,
    /// Of the whole call, except `batch`: the rows of this block.
    pub(super) sizes: Sizes,
    pub(super) weights: &'a Weights<T>,
    pub(super) xs: &'a [T],
    pub(super) h0: &'a [T],
    pub(super) c0: &'a [T],
    pub(super) lengths: Option<&'a [usize]>,
    pub(super) ys: &'a [T],
    pub(super) gates: &'a [T],
    pub(super) cells: &'a [T],
    /// Gradient of the outputs, `[rows, time, hidden]`.
    pub(super) ys_gradient: Option<&'a [T]>,
    /// Gradients of the returned states; they become those of the incoming ones.
    pub(super) dh: &'a mut [T],
    pub(super) dc: &'a mut [T],
    /// `[rows, time, input]`, where the inputs are tracked.
    pub(super) dxs: Option<&'a mut [T]>,
    /// This block's share, zeros: `[gates, input]`, `[gates, hidden]` and `[gates]` one after another.
    pub(super) dweights: &'a mut [T],
}

impl<G: Gating, T: Real> Kernel for Block<'_, G, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(mut self) {
        let Sizes { batch: rows, time, input, hidden } = self.sizes;
        let (width, cell) = (G::GATES * hidden, (G::STATES - 1) * hidden);
        let most = steps(rows).min(time);
        let (mut ch, mut cc) = (vec![T::ZERO; rows * hidden], vec![T::ZERO; rows * cell]);
        let mut dgates = vec![T::ZERO; most * rows * width];
        let mut befores = vec![T::ZERO; most * rows * hidden];
        let mut afters = vec![T::ZERO; if G::KEEPS { 0 } else { most * rows * hidden }];
        let mut inputs = vec![T::ZERO; most * rows * input];
        let mut scratch = Vec::new();
        let (dw_ih, rest) = self.dweights.split_at_mut(width * input);
        let (dw_hh, db) = rest.split_at_mut(width * hidden);
        for begin in (0..time).step_by(most).rev() {
            let count = most.min(time - begin);
            if !G::KEEPS {
                gather(self.ys, [rows, time, hidden], begin, count, &mut afters);
            }
            for step in (0..count).rev() {
                let t = begin + step;
                for b in 0..rows {
                    let (ch, cc) = (&mut ch[b * hidden..][..hidden], &mut cc[b * cell..][..cell]);
                    // The state after this step is what some rows returned.
                    if self.lengths.map_or(time, |lengths| lengths[b]) == t + 1 {
                        add(ch, &self.dh[b * hidden..][..hidden]);
                        add(cc, &self.dc[b * cell..][..cell]);
                    }
                    if let Some(gradient) = self.ys_gradient {
                        add(ch, &gradient[(b * time + t) * hidden..][..hidden]);
                    }
                }
                let before = match t {
                    0 => self.c0,
                    _ => &self.cells[(t - 1) * rows * cell..],
                };
                let gates = if G::KEEPS {
                    &self.gates[t * rows * width..][..rows * width]
                } else {
                    &afters[step * rows * width..][..rows * width]
                };
                let cells = [&before[..rows * cell], &self.cells[t * rows * cell..][..rows * cell]];
                let dgates = &mut dgates[step * rows * width..][..rows * width];
                self.gating.backward::<A, T>(gates, cells, &ch, &mut cc, dgates, hidden);
                let dgates = Matrix::new(dgates, width);
                self.weights.recurrent.product::<A>(&mut ch, hidden, rows, dgates, Start::Zero);
            }

            let depth = count * rows;
            let dgates = &dgates[..depth * width];
            hidden_before(self.h0, self.ys, self.sizes, begin, count, &mut befores);
            accumulate_outer::<A, T>(dw_hh, [width, hidden, depth], dgates, &befores, &mut scratch);
            gather(self.xs, [rows, time, input], begin, count, &mut inputs);
            accumulate_outer::<A, T>(dw_ih, [width, input, depth], dgates, &inputs, &mut scratch);
            for row in dgates.chunks_exact(width.max(1)) {
                add(db, row);
            }
            if let Some(dxs) = &mut self.dxs {
                let g = Matrix::new(dgates, width);
                self.weights.input.product::<A>(&mut inputs, input, depth, g, Start::Zero);
                scatter(&inputs, [rows, time, input], begin, count, dxs);
            }
        }
        for b in 0..rows {
            // A row of length 0 returned what it was given.
            let returned = self.lengths.is_some_and(|lengths| lengths[b] == 0);
            let (dh, dc) = (&mut self.dh[b * hidden..][..hidden], &mut self.dc[b * cell..][..cell]);
            if !returned {
                dh.fill(T::ZERO);
                dc.fill(T::ZERO);
            }
            add(dh, &ch[b * hidden..][..hidden]);
            add(dc, &cc[b * cell..][..cell]);
        }
    }
}

/// The hidden state each step of a chunk began with, `[steps, rows, hidden]`: the outputs one step earlier.
#[inline(always)]
fn hidden_before<T: Real>(h0: &[T], ys: &[T], sizes: Sizes, begin: usize, count: usize, out: &mut [T]) {
    let Sizes { batch: rows, time, hidden, .. } = sizes;
    if begin > 0 {
        return gather(ys, [rows, time, hidden], begin - 1, count, out);
    }
    let (first, rest) = out.split_at_mut(rows * hidden);
    first.copy_from_slice(h0);
    gather(ys, [rows, time, hidden], 0, count - 1, rest);
}

#[inline(always)]
fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += *term;
    }
}
