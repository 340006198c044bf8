//! The selective scan on plain slices, forward and backward, and as an operation of candle's.

use super::backward::{Adjoint, Gradients, Workspace};
use super::coefficients::{Coefficients, GROUP, Sizes};
use super::forward::{Buffers, Forward, Inputs};
use crate::isa::dispatch;
use crate::parallel::split;
use crate::plumbing::{operand, room, tensor, with_all};
use crate::real::Real;
use crate::scan::columns::Shared;
use crate::scan::tasks::over_tasks;
use crate::tape::Reverse;
use crate::vector::{Aligned, MOST};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Partial sums of the weights' gradients, over as many groups of rows; see the diagonal scan.
const SUMS: usize = 32;

/// One selective scan: what it is beside its tensors, and what its backward pass needs of the forward pass.
pub(crate) struct Selective<T> {
    pub(super) sizes: Sizes,
    /// Steps of each row until the state is taken.
    pub(super) lengths: Vec<usize>,
    /// Whether a backward pass may follow.
    pub(super) keep: bool,
    /// States at chunk starts, `[batch, chunk, n, parts, width]`.
    pub(super) boundaries: OnceLock<Aligned<T>>,
}

/// Where gradients are written, shaped like what they are of: us, Δ, B and C, A and d in one slice, and the state.
/// Every element is.
pub(crate) struct SelectiveGradients<'a, T> {
    pub(crate) inputs: [&'a mut [T]; 4],
    pub(crate) weights: &'a mut [T],
    pub(crate) state: &'a mut [T],
}

impl<T: Real> Selective<T> {
    /// One row of us, Δ, B and C.
    fn inputs<'a>(&self, [us, deltas, b, c]: [&'a [T]; 4], row: usize) -> Inputs<'a, T> {
        let (steps, mixes) = (self.sizes.steps(), self.sizes.mixes());
        Inputs {
            us: &us[row * steps..][..steps],
            deltas: &deltas[row * steps..][..steps],
            b: &b[row * mixes..][..mixes],
            c: &c[row * mixes..][..mixes],
        }
    }

    /// Us, Δ, B and C, which stand in one vector in candle's graph.
    fn divide<'a>(&self, all: &'a [T]) -> [&'a [T]; 4] {
        let (wide, narrow) = (self.sizes.batch * self.sizes.steps(), self.sizes.batch * self.sizes.mixes());
        let (us, rest) = all.split_at(wide);
        let (deltas, rest) = rest.split_at(wide);
        let (b, c) = rest.split_at(narrow);
        [us, deltas, b, c]
    }

    /// About how many multiply-adds the whole takes.
    fn cost(&self) -> usize {
        self.sizes.batch * self.sizes.time * self.sizes.states() * 20
    }

    /// `inputs` are us and Δ `[batch, time, dim]`, B and C `[batch, time, n, parts]`; `weights` A `[dim, n, parts]` and d
    /// `[dim]` in one vector. Writes every element of `ys` `[batch, time, dim]` and `last` `[batch, dim, n, parts]`.
    pub(crate) fn forward(
        &self,
        inputs: [&[T]; 4],
        weights: &[T],
        state: &[T],
        ys: &mut [T],
        last: &mut [T],
    ) {
        let sizes = self.sizes;
        let k = Coefficients::new(weights, sizes);
        let kept = if self.keep { sizes.batch * sizes.chunks() * sizes.planes() } else { 0 };
        let mut boundaries = Aligned::zeros(kept);
        let shared = self.keep.then(|| Shared::new(&mut boundaries));
        let (ys, last) = (Shared::new(ys), Shared::new(last));
        over_tasks(sizes.batch, sizes.groups(), 1, self.cost(), |task| {
            let (mut states, mut buffers) = (Aligned::zeros(sizes.planes()), Buffers::new());
            for row in task.rows {
                for group in task.channels.clone() {
                    Forward {
                        k: &k,
                        row,
                        group,
                        length: self.lengths[row],
                        inputs: self.inputs(inputs, row),
                        state: &state[row * sizes.states()..][..sizes.states()],
                        ys,
                        last,
                        boundaries: shared,
                        states: &mut states,
                        buffers: &mut buffers,
                    }
                    .run();
                }
            }
        });
        if self.keep {
            let _ = self.boundaries.set(boundaries);
        }
    }

    /// The gradients, given those of `ys` and `last`, of which an absent one is zero. It may run more than once.
    ///
    /// # Errors
    /// The forward pass was told that none would follow.
    pub(crate) fn backward(
        &self,
        inputs: [&[T]; 4],
        weights: &[T],
        ys_grad: Option<&[T]>,
        last_grad: Option<&[T]>,
        to: SelectiveGradients<'_, T>,
    ) -> Result<()> {
        let Some(boundaries) = self.boundaries.get() else {
            bail!("selective_scan: a backward pass through a scan whose inputs were not tracked");
        };
        let sizes = self.sizes;
        let k = Coefficients::new(weights, sizes);
        let (steps, mixes, states) = (sizes.steps(), sizes.mixes(), sizes.states());
        let zeros;
        let ys_grad = match ys_grad {
            Some(grad) => grad,
            None => {
                zeros = vec![T::ZERO; sizes.batch * steps];
                &zeros
            }
        };
        let rows: Vec<_> = split(sizes.batch, sizes.batch.min(SUMS)).collect();
        let each = sizes.planes() + sizes.width();
        let mut sums = Aligned::zeros(rows.len() * each);
        let mut to_inputs = to.inputs;
        // Of B and C, a sum for each group of channels.
        let mut parts = vec![T::ZERO; 2 * sizes.batch * sizes.groups() * mixes];
        {
            let [us, deltas, ..] = &mut to_inputs;
            let (b, c) = parts.split_at_mut(sizes.batch * sizes.groups() * mixes);
            let gradients = Gradients {
                us: Shared::new(us),
                deltas: Shared::new(deltas),
                b: Shared::new(b),
                c: Shared::new(c),
                state: Shared::new(to.state),
                weights: Shared::new(&mut sums),
            };
            over_tasks(rows.len(), sizes.groups(), 1, 2 * self.cost(), |task| {
                let mut workspace = Workspace::new(sizes);
                for sum in task.rows {
                    for row in rows[sum].0..rows[sum].0 + rows[sum].1 {
                        for group in task.channels.clone() {
                            dispatch(Adjoint {
                                k: &k,
                                row,
                                group,
                                length: self.lengths[row],
                                inputs: self.inputs(inputs, row),
                                ys_grad: &ys_grad[row * steps..][..steps],
                                last_grad: last_grad.map_or(&[], |grad| &grad[row * states..][..states]),
                                boundaries: &boundaries[row * sizes.chunks() * sizes.planes()..],
                                gradients,
                                sums: sum * each,
                                workspace: &mut workspace,
                            });
                        }
                    }
                }
            });
        }
        // Both in order, so that no sum depends on who computed its parts.
        let [_, _, b, c] = to_inputs;
        b.fill(T::ZERO);
        c.fill(T::ZERO);
        let rows = b.chunks_exact_mut(mixes).chain(c.chunks_exact_mut(mixes));
        for (to, parts) in rows.zip(parts.chunks_exact(sizes.groups() * mixes)) {
            for part in parts.chunks_exact(mixes) {
                to.iter_mut().zip(part).for_each(|(sum, value)| *sum += *value);
            }
        }
        let mut total = vec![T::ZERO; each];
        for sum in sums.chunks_exact(each) {
            total.iter_mut().zip(sum).for_each(|(total, value)| *total += *value);
        }
        let (a_grad, d_grad) = to.weights.split_at_mut(states);
        sizes.store(&total, 0..sizes.dim, a_grad);
        d_grad.copy_from_slice(&total[sizes.planes()..][..sizes.dim]);
        Ok(())
    }
}

/// Operands are us, Δ, B, C, A, d and the state; results the outputs and the last state.
impl<T: Real> Reverse for Selective<T> {
    fn reverse(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let [us, deltas, b, c, a, d, state] = operands else {
            bail!("selective_scan: {} operands", operands.len());
        };
        let [mut for_us, mut for_deltas, mut for_b, mut for_c, mut for_state] =
            [us, deltas, b, c, state].map(|of| room(of.elem_count()));
        let mut for_weights = room(a.elem_count() + d.elem_count());
        // An absent gradient lends nothing; something must stand in its place.
        let lent = [0, 1].map(|which| gradients[which].as_ref().unwrap_or(d));
        let tensors = [us, deltas, b, c, a, d, lent[0], lent[1]];
        with_all::<T, _, 8>(tensors, |[us, deltas, b, c, a, d, ys_grad, last_grad]| {
            let ys_grad = gradients[0].as_ref().map(|_| ys_grad);
            let last_grad = gradients[1].as_ref().map(|_| last_grad);
            let to = SelectiveGradients {
                inputs: [&mut for_us, &mut for_deltas, &mut for_b, &mut for_c],
                weights: &mut for_weights,
                state: &mut for_state,
            };
            self.backward([us, deltas, b, c], &[a, d].concat(), ys_grad, last_grad, to)
        })?;
        let for_d = for_weights.split_off(a.elem_count());
        Ok(vec![
            Some(tensor(for_us, us.shape())?),
            Some(tensor(for_deltas, deltas.shape())?),
            Some(tensor(for_b, b.shape())?),
            Some(tensor(for_c, c.shape())?),
            Some(tensor(for_weights, a.shape())?),
            Some(tensor(for_d, d.shape())?),
            Some(tensor(for_state, state.shape())?),
        ])
    }
}

impl<T: Real> CustomOp3 for Selective<T> {
    fn name(&self) -> &'static str {
        "selective-scan"
    }

    /// Outputs and last states in one vector, all of the former first.
    fn cpu_fwd(
        &self,
        inputs: &CpuStorage,
        inputs_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let steps = self.sizes.batch * self.sizes.steps();
        let (inputs, state) = (operand::<T>(inputs, inputs_layout)?, operand::<T>(state, state_layout)?);
        let mut both = vec![T::ZERO; steps + state.len()];
        let (ys, last) = both.split_at_mut(steps);
        self.forward(self.divide(inputs), operand::<T>(weights, weights_layout)?, state, ys, last);
        let len = both.len();
        Ok((T::to_cpu_storage_owned(both), len.into()))
    }

    fn bwd(
        &self,
        inputs: &Tensor,
        weights: &Tensor,
        state: &Tensor,
        _both: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [mut for_inputs, mut for_weights, mut for_state] =
            [inputs, weights, state].map(|of| vec![T::ZERO; of.elem_count()]);
        with_all([inputs, weights, grad], |[inputs, weights, grad]| {
            let (ys_grad, last_grad) = grad.split_at(self.sizes.batch * self.sizes.steps());
            let (wide, narrow) =
                (self.sizes.batch * self.sizes.steps(), self.sizes.batch * self.sizes.mixes());
            let (for_us, rest) = for_inputs.split_at_mut(wide);
            let (for_deltas, rest) = rest.split_at_mut(wide);
            let (for_b, for_c) = rest.split_at_mut(narrow);
            let to = SelectiveGradients {
                inputs: [for_us, for_deltas, for_b, for_c],
                weights: &mut for_weights,
                state: &mut for_state,
            };
            self.backward(self.divide(inputs), weights, Some(ys_grad), Some(last_grad), to)
        })?;
        Ok((
            Some(tensor(for_inputs, inputs.shape())?),
            Some(tensor(for_weights, weights.shape())?),
            Some(tensor(for_state, state.shape())?),
        ))
    }
}

/// A group is what threads divide a row by.
const _: () = assert!(GROUP.is_multiple_of(MOST));
