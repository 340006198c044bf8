//! The backward pass of a recurrence: the loop over time for some rows of the batch, then the products over
//! all of them.

use super::{Gating, Sizes};
use crate::isa::{Arith, Kernel, dispatch};
use crate::linear::{bias_gradient, weight_gradient};
use crate::parallel;
use crate::product::{Matrix, Packed, Start, multiply};
use crate::real::Real;

/// What the forward pass was given, what it left and what flows back; shapes as in the forward pass.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a, G, T> {
    pub(super) gating: G,
    pub(super) sizes: Sizes,
    pub(super) xs: &'a [T],
    pub(super) parameters: &'a [T],
    pub(super) state: &'a [T],
    pub(super) lengths: Option<&'a [usize]>,
    pub(super) out: &'a [T],
    pub(super) gates: &'a [T],
    pub(super) cells: &'a [T],
    /// Gradient of `out`: `[batch, time + S, hidden]`.
    pub(super) upstream: &'a [T],
}

/// Gradients of the three operands, shaped like them.
pub(super) struct Gradients<T> {
    pub(super) xs: Vec<T>,
    pub(super) parameters: Vec<T>,
    pub(super) state: Vec<T>,
}

impl<G: Gating, T: Real> Pass<'_, G, T> {
    /// All gradients, whatever the number of threads with the same bits.
    pub(super) fn gradients(self) -> Gradients<T> {
        let Sizes { batch, time, input, hidden } = self.sizes;
        let width = G::GATES * hidden;
        let (w_ih, rest) = self.parameters.split_at(width * input);
        let recurrent = Packed::new(Matrix::new(&rest[..width * hidden], hidden), width, hidden);

        let mut dgates = vec![T::ZERO; batch * time * width];
        let mut dstate = vec![T::ZERO; batch * G::STATES * hidden];
        let parts = parallel::parts(batch, batch * time * width * hidden);
        let ranges: Vec<_> = parallel::split(batch, parts).collect();
        let dgates_parts = parallel::shards(&mut dgates, time * width, &ranges);
        let dstate_parts = parallel::shards(&mut dstate, G::STATES * hidden, &ranges);
        let items: Vec<_> = ranges.into_iter().zip(dgates_parts).zip(dstate_parts).collect();
        parallel::each(items, |(((first, rows), dgates), dstate)| {
            dispatch(Shard { pass: self.rows(first, rows), recurrent: &recurrent, dgates, dstate });
        });

        let rows = batch * time;
        let mut dxs = vec![T::ZERO; rows * input];
        let (g, w) = (Matrix::new(&dgates, width), Matrix::new(w_ih, input));
        multiply(&mut dxs, input, [rows, input, width], g, w, Start::Zero);
        let xs = Matrix::new(self.xs, input);
        let mut parameters = weight_gradient(&dgates, width, xs, input, rows);
        let before = self.hidden_before();
        parameters.extend(weight_gradient(&dgates, width, Matrix::new(&before, hidden), hidden, rows));
        let bias = bias_gradient(&dgates, width);
        // Both biases are added to the same sum.
        parameters.extend_from_slice(&bias);
        parameters.extend(bias);
        Gradients { xs: dxs, parameters, state: dstate }
    }

    /// The part of the pass that concerns some rows of the batch.
    fn rows(self, first: usize, rows: usize) -> Self {
        let Sizes { time, hidden, .. } = self.sizes;
        let part = |values, width| part(values, width, first, rows);
        Pass {
            sizes: Sizes { batch: rows, ..self.sizes },
            state: part(self.state, G::STATES * hidden),
            lengths: self.lengths.map(|lengths| &lengths[first..first + rows]),
            out: part(self.out, (time + G::STATES) * hidden),
            gates: part(self.gates, time * G::GATES * hidden),
            cells: part(self.cells, time * (G::STATES - 1) * hidden),
            upstream: part(self.upstream, (time + G::STATES) * hidden),
            ..self
        }
    }

    /// The hidden state each step began with, `[batch, time, hidden]`: the outputs shifted by one.
    fn hidden_before(self) -> Vec<T> {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let mut before = Vec::with_capacity(batch * time * hidden);
        for b in 0..batch {
            before.extend_from_slice(&self.state[b * G::STATES * hidden..][..hidden]);
            before.extend_from_slice(&self.out[b * (time + G::STATES) * hidden..][..(time - 1) * hidden]);
        }
        before
    }
}

fn part<T>(values: &[T], width: usize, first: usize, rows: usize) -> &[T] {
    &values[first * width..][..rows * width]
}

struct Shard<'a, G, T> {
    pass: Pass<'a, G, T>,
    /// `[gates, hidden]`
    recurrent: &'a Packed<T>,
    /// `[batch, time, gates]`
    dgates: &'a mut [T],
    /// `[batch, S, hidden]`
    dstate: &'a mut [T],
}

impl<G: Gating, T: Real> Kernel for Shard<'_, G, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Shard { pass, recurrent, dgates, dstate } = self;
        let Sizes { batch, time, hidden, .. } = pass.sizes;
        let width = G::GATES * hidden;
        let cell = (G::STATES - 1) * hidden;
        let out_row = (time + G::STATES) * hidden;

        let mut dh = vec![T::ZERO; batch * hidden];
        let mut dc = vec![T::ZERO; batch * cell];
        for t in (0..=time).rev() {
            // The state after t steps is what some rows returned.
            for b in 0..batch {
                if pass.lengths.map_or(time, |lengths| lengths[b]) == t {
                    let returned = &pass.upstream[b * out_row + time * hidden..][..hidden + cell];
                    add(&mut dh[b * hidden..][..hidden], &returned[..hidden]);
                    add(&mut dc[b * cell..][..cell], &returned[hidden..]);
                }
            }
            let Some(t) = t.checked_sub(1) else { break };
            for b in 0..batch {
                let step = b * time + t;
                let (dh, dc) = (&mut dh[b * hidden..][..hidden], &mut dc[b * cell..][..cell]);
                add(dh, &pass.upstream[b * out_row + t * hidden..][..hidden]);
                let before = match t {
                    0 => &pass.state[b * G::STATES * hidden + hidden..][..cell],
                    _ => &pass.cells[(step - 1) * cell..][..cell],
                };
                let after = &pass.cells[step * cell..][..cell];
                let gates = &pass.gates[step * width..][..width];
                pass.gating.backward::<A, T>(
                    gates,
                    before,
                    after,
                    dh,
                    dc,
                    &mut dgates[step * width..][..width],
                );
            }
            let dgates = Matrix::new(&dgates[t * width..], time * width);
            recurrent.product::<A>(&mut dh, hidden, batch, dgates, Start::Zero);
        }
        for b in 0..batch {
            let dstate = &mut dstate[b * G::STATES * hidden..][..hidden + cell];
            dstate[..hidden].copy_from_slice(&dh[b * hidden..][..hidden]);
            dstate[hidden..].copy_from_slice(&dc[b * cell..][..cell]);
        }
    }
}

#[inline(always)]
fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += *term;
    }
}
