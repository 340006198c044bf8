//! The backward pass of a recurrence over one block of rows: back through the steps of a chunk, then the
//! products over the whole chunk while it is in the cache.

use super::block::{Coming, gather, scatter, steps};
use super::forward::rotated;
use super::{Gating, Sizes, widths};
use crate::isa::{Arith, Kernel};
use crate::lanes::{add, copy};
use crate::product::{Matrix, PAD, Packed, Start, accumulate_outer, accumulate_outer_beside};
use crate::real::Real;

/// The weights as backward uses them.
pub(super) struct Weights<T> {
    /// `[input gates, input]`
    input: Packed<T>,
    /// `[recurrent gates, hidden]`
    recurrent: Packed<T>,
}

impl<T: Real> Weights<T> {
    /// From w_ih `[input gates, input]` and w_hh `[recurrent gates, hidden]`.
    pub(super) fn new<G: Gating>(w_ih: &[T], w_hh: &[T], input: usize, hidden: usize) -> Self {
        let [_, from_input, from_state] = widths::<G>(hidden);
        let w_ih = &rotated(w_ih, G::RECURRENT * hidden * input)[..];
        Weights {
            input: Packed::new(Matrix::new(w_ih, input), from_input, input),
            recurrent: Packed::new(Matrix::new(w_hh, hidden), from_state, hidden),
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
    /// This block's share, zeros: `[input gates, input]`, in the order of a row of pre-activations, `[recurrent gates,
    /// hidden]` and `[gates]` one after another.
    pub(super) dweights: &'a mut [T],
}

impl<G: Gating, T: Real> Kernel for Block<'_, G, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(mut self) {
        let Sizes { batch: rows, time, input, hidden } = self.sizes;
        let ([width, from_input, from_state], cell) = (widths::<G>(hidden), (G::STATES - 1) * hidden);
        // Where the recurrent gates begin in a row.
        let inner = G::RECURRENT * hidden;
        let most = steps(rows).min(time);
        let (mut ch, mut cc) = (vec![T::ZERO; rows * hidden], vec![T::ZERO; rows * cell]);
        // Rows of these are `PAD` values longer than wide.
        let [wide_g, wide_h, wide_x] = [width, hidden, input].map(|width| width + PAD);
        let mut dgates = vec![T::ZERO; most * rows * wide_g];
        // The hidden state before every step of a chunk, and after the last.
        let mut hiddens = vec![T::ZERO; (most + 1) * rows * wide_h];
        let mut inputs = vec![T::ZERO; most * rows * wide_x];
        let (dw_ih, rest) = self.dweights.split_at_mut(from_input * input);
        let (dw_hh, db) = rest.split_at_mut(from_state * hidden);
        for begin in (0..time).step_by(most).rev() {
            let count = most.min(time - begin);
            load_hiddens::<A, T>(self.h0, self.ys, self.sizes, begin, count, &mut hiddens);
            let mut coming = Coming {
                sources: [(self.ys_gradient.unwrap_or(&[]), hidden), (self.ys, hidden), (self.xs, input)],
                rows,
                time,
                steps: begin.saturating_sub(most)..begin,
                row: 0,
            };
            let mut beside = || coming.one();
            for step in (0..count).rev() {
                let t = begin + step;
                let cells_before = if t == 0 { self.c0 } else { &self.cells[(t - 1) * rows * cell..] };
                for b in 0..rows {
                    let (ch, cc) = (&mut ch[b * hidden..][..hidden], &mut cc[b * cell..][..cell]);
                    // The state after this step is what some rows returned.
                    if self.lengths.map_or(time, |lengths| lengths[b]) == t + 1 {
                        add::<A, T>(ch, &self.dh[b * hidden..][..hidden]);
                        add::<A, T>(cc, &self.dc[b * cell..][..cell]);
                    }
                    if let Some(gradient) = self.ys_gradient {
                        add::<A, T>(ch, &gradient[(b * time + t) * hidden..][..hidden]);
                    }
                    let gates = match G::KEEPS {
                        true => &self.gates[(t * rows + b) * width..][..width],
                        false => &hiddens[((step + 1) * rows + b) * wide_h..][..width],
                    };
                    let before = &hiddens[(step * rows + b) * wide_h..][..hidden];
                    let cells =
                        [&cells_before[b * cell..][..cell], &self.cells[(t * rows + b) * cell..][..cell]];
                    let dgates = &mut dgates[(step * rows + b) * wide_g..][..width];
                    self.gating.backward::<A, T>(gates, before, cells, ch, cc, dgates);
                    add::<A, T>(db, dgates);
                }
                let dgates = Matrix::new(&dgates[step * rows * wide_g + inner..], wide_g);
                let start = if G::PASSES { Start::Existing } else { Start::Zero };
                self.weights.recurrent.product_beside::<A>(&mut ch, hidden, rows, dgates, start, &mut beside);
            }

            let depth = count * rows;
            let shape = [from_state, hidden, depth];
            accumulate_outer_beside::<A, T>(dw_hh, shape, &dgates[inner..], wide_g, &hiddens, &mut beside);
            gather::<A, T>(self.xs, [rows, time, input], begin, count, &mut inputs, wide_x);
            accumulate_outer::<A, T>(dw_ih, [from_input, input, depth], &dgates, wide_g, &inputs);
            if let Some(dxs) = &mut self.dxs {
                let g = Matrix::new(&dgates, wide_g);
                self.weights.input.product::<A>(&mut inputs, wide_x, depth, g, Start::Zero);
                scatter::<A, T>(&inputs, wide_x, [rows, time, input], begin, count, dxs);
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
            add::<A, T>(dh, &ch[b * hidden..][..hidden]);
            add::<A, T>(dc, &cc[b * cell..][..cell]);
        }
    }
}

/// The hidden state before every step of a chunk, and after its last: `[steps + 1, rows, hidden + PAD]`.
#[inline(always)]
fn load_hiddens<A: Arith, T: Real>(
    h0: &[T],
    ys: &[T],
    sizes: Sizes,
    begin: usize,
    count: usize,
    out: &mut [T],
) {
    let Sizes { batch: rows, time, hidden, .. } = sizes;
    let wide = hidden + PAD;
    if begin > 0 {
        return gather::<A, T>(ys, [rows, time, hidden], begin - 1, count + 1, out, wide);
    }
    let (first, rest) = out.split_at_mut(rows * wide);
    for b in 0..rows {
        copy::<A, T>(&h0[b * hidden..][..hidden], &mut first[b * wide..][..hidden]);
    }
    gather::<A, T>(ys, [rows, time, hidden], 0, count, rest, wide);
}
