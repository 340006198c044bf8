//! A recurrence as one operation of candle: operands xs, parameters and state, result outputs and state.

use super::backward::Pass;
use super::forward::{Saved, Shard, Weights};
use super::{Gating, Parameters, Sizes};
use crate::isa::dispatch;
use crate::parallel;
use crate::plumbing::{operand, tensor, with_all};
use crate::real::Real;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// Runs a recurrence whose arguments have been checked. Returns the outputs `[batch, time, hidden]` and the
/// states `[batch, hidden]`.
pub(super) fn apply<G: Gating>(
    gating: G,
    sizes: Sizes,
    xs: &Tensor,
    parameters: &Parameters<'_>,
    states: &[&Tensor],
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Vec<Tensor>)> {
    let Parameters { w_ih, w_hh, b_ih, b_hh } = parameters;
    let flat = [w_ih.flatten_all()?, w_hh.flatten_all()?, (*b_ih).clone(), (*b_hh).clone()];
    let parameters = Tensor::cat(&flat, 0)?;
    let state = Tensor::stack(states, 1)?.contiguous()?;
    let xs = xs.contiguous()?;
    let out = match xs.dtype() {
        DType::F32 => Operation::<G, f32>::new(gating, sizes, lengths).apply(&xs, &parameters, &state)?,
        _ => Operation::<G, f64>::new(gating, sizes, lengths).apply(&xs, &parameters, &state)?,
    };
    let ys = out.narrow(1, 0, sizes.time)?;
    let state = |which| out.narrow(1, sizes.time + which, 1)?.squeeze(1);
    Ok((ys, (0..G::STATES).map(state).collect::<Result<_>>()?))
}

struct Operation<G, T> {
    gating: G,
    sizes: Sizes,
    lengths: Option<Vec<usize>>,
    tracked: bool,
    /// Filled by the forward pass and kept as long as the graph, so that backward can run more than once.
    workspace: OnceLock<Workspace<T>>,
}

/// Activations `[batch, time, gates]` and cells `[batch, time, (S − 1) · hidden]` of every step.
struct Workspace<T> {
    gates: Vec<T>,
    cells: Vec<T>,
}

impl<G: Gating, T: Real> Operation<G, T> {
    fn new(gating: G, sizes: Sizes, lengths: Option<&[usize]>) -> Self {
        let lengths = lengths.map(<[usize]>::to_vec);
        Operation { gating, sizes, lengths, tracked: false, workspace: OnceLock::new() }
    }

    fn apply(mut self, xs: &Tensor, parameters: &Tensor, state: &Tensor) -> Result<Tensor> {
        self.tracked = xs.track_op() || parameters.track_op() || state.track_op();
        if self.tracked {
            xs.apply_op3(parameters, state, self)
        } else {
            xs.apply_op3_no_bwd(parameters, state, &self)
        }
    }

    fn forward(&self, xs: &[T], parameters: &[T], state: &[T]) -> (Vec<T>, Workspace<T>) {
        let Sizes { batch, time, input, hidden } = self.sizes;
        let width = G::GATES * hidden;
        let weights = Weights::new(parameters, width, input, hidden);
        let (state_row, out_row) = (G::STATES * hidden, (time + G::STATES) * hidden);
        let (gates_row, cells_row) =
            if self.tracked { (time * width, time * (G::STATES - 1) * hidden) } else { (0, 0) };
        let mut out = vec![T::ZERO; batch * out_row];
        let mut gates = vec![T::ZERO; batch * gates_row];
        let mut cells = vec![T::ZERO; batch * cells_row];

        let parts = parallel::parts(batch, batch * time * width * (input + hidden));
        let ranges: Vec<_> = parallel::split(batch, parts).collect();
        let out_parts = parallel::shards(&mut out, out_row, &ranges);
        let gates_parts = parallel::shards(&mut gates, gates_row, &ranges);
        let cells_parts = parallel::shards(&mut cells, cells_row, &ranges);
        let items: Vec<_> = ranges.into_iter().zip(out_parts).zip(gates_parts).zip(cells_parts).collect();
        parallel::each(items, |((((first, rows), out), gates), cells)| {
            dispatch(Shard {
                gating: self.gating,
                sizes: Sizes { batch: rows, ..self.sizes },
                weights: &weights,
                xs: &xs[first * time * input..],
                state: &state[first * state_row..],
                lengths: self.lengths.as_deref().map(|lengths| &lengths[first..first + rows]),
                out,
                saved: self.tracked.then_some(Saved { gates, cells }),
            });
        });
        (out, Workspace { gates, cells })
    }
}

impl<G: Gating, T: Real> CustomOp3 for Operation<G, T> {
    fn name(&self) -> &'static str {
        G::NAME
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let (out, workspace) = self.forward(
            operand(xs, xs_layout)?,
            operand(parameters, parameters_layout)?,
            operand(state, state_layout)?,
        );
        if self.tracked && self.workspace.set(workspace).is_err() {
            candle_core::bail!("{}: one operation was run forward twice", G::NAME);
        }
        Ok((T::to_cpu_storage_owned(out), (batch, time + G::STATES, hidden).into()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        parameters: &Tensor,
        state: &Tensor,
        out: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(workspace) = self.workspace.get() else {
            candle_core::bail!("{}: backward without a tracked forward", G::NAME);
        };
        let operands = [xs, parameters, state, out, upstream];
        let found = with_all::<T, _, 5>(operands, |[xs, parameters, state, out, upstream]| {
            let pass = Pass {
                gating: self.gating,
                sizes: self.sizes,
                xs,
                parameters,
                state,
                lengths: self.lengths.as_deref(),
                out,
                gates: &workspace.gates,
                cells: &workspace.cells,
                upstream,
            };
            Ok(pass.gradients())
        })?;
        Ok((
            Some(tensor(found.xs, xs.shape())?),
            Some(tensor(found.parameters, parameters.shape())?),
            Some(tensor(found.state, state.shape())?),
        ))
    }
}
