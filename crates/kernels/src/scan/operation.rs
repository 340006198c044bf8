//! The diagonal scan on plain slices, forward and backward, and as an operation of candle's.

use super::backward::{Adjoint, Workspace as AdjointWorkspace};
use super::coefficients::{Coefficients, ScanOutput};
use super::columns::{Shared, chunks};
use super::forward::{Forward, Workspace};
use super::tasks::over_tasks;
use crate::isa::dispatch;
use crate::parallel::split;
use crate::plumbing::{operand, room, tensor, with_all};
use crate::real::Real;
use crate::tape::Reverse;
use crate::vector::{Aligned, MOST};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Partial sums of the coefficients' gradients, over as many groups of rows. A fixed number, so that the order of
/// additions does not depend on the number of threads.
const GROUPS: usize = 32;

/// What a scan is beside its tensors.
pub(super) struct Plan {
    pub(super) dim: usize,
    pub(super) n: usize,
    /// Numbers in a state: 1 real, 2 complex.
    pub(super) parts: usize,
    pub(super) time: usize,
    pub(super) output: ScanOutput,
    /// Steps of each row until the state is taken.
    pub(super) lengths: Vec<usize>,
    /// Whether a backward pass may follow.
    pub(super) keep: bool,
}

/// One scan, and what its backward pass needs of the forward pass.
pub(crate) struct Scan<T> {
    plan: Plan,
    /// States at chunk starts, `[batch, chunk, n, parts, width]`.
    boundaries: OnceLock<Aligned<T>>,
}

/// Where gradients are written, shaped like what they are of; every element is.
pub(crate) struct ScanGradients<'a, T> {
    pub(crate) us: &'a mut [T],
    pub(crate) packed: &'a mut [T],
    pub(crate) state: &'a mut [T],
}

impl<T: Real> Scan<T> {
    pub(super) fn new(plan: Plan) -> Self {
        Scan { plan, boundaries: OnceLock::new() }
    }

    pub(super) fn keep(&self) -> bool {
        self.plan.keep
    }

    fn batch(&self) -> usize {
        self.plan.lengths.len()
    }

    /// Values of a row of inputs or outputs.
    fn steps(&self) -> usize {
        self.plan.time * self.plan.dim
    }

    /// Values of a row's state.
    fn states(&self) -> usize {
        self.plan.dim * self.plan.n * self.plan.parts
    }

    /// Whether the caches between processor and memory are too small by far, so that asking ahead pays.
    fn far(&self) -> bool {
        self.batch() * self.steps() * size_of::<T>() > 1 << 20
    }

    /// About how many multiply-adds the whole takes.
    fn cost(&self) -> usize {
        self.batch() * self.plan.time * (self.states() * 4 + self.plan.dim * 16)
    }

    /// `us` and `ys` are `[batch, time, dim]`, `state` and `last` `[batch, dim, n, parts]`; `packed` as in
    /// [`Coefficients::new`]. Writes every element of `ys` and `last`.
    pub(crate) fn forward(&self, us: &[T], packed: &[T], state: &[T], ys: &mut [T], last: &mut [T]) {
        let k = Coefficients::new(packed, self.plan.dim, self.plan.n, self.plan.parts);
        let kept =
            if self.plan.keep { self.batch() * chunks(self.plan.time, self.plan.n) * k.states() } else { 0 };
        let mut boundaries = Aligned::zeros(kept);
        let shared = self.plan.keep.then(|| Shared::new(&mut boundaries));
        let (ys, last) = (Shared::new(ys), Shared::new(last));
        over_tasks(self.batch(), self.plan.dim, MOST, self.cost(), |task| {
            let mut workspace = Workspace::new(&k);
            for row in task.rows {
                Forward {
                    coefficients: &k,
                    output: self.plan.output,
                    row,
                    channels: task.channels.clone(),
                    length: self.plan.lengths[row],
                    far: self.far(),
                    us: &us[row * self.steps()..][..self.steps()],
                    state: &state[row * self.states()..][..self.states()],
                    ys,
                    last,
                    boundaries: shared,
                    workspace: &mut workspace,
                }
                .run();
            }
        });
        if self.plan.keep {
            let _ = self.boundaries.set(boundaries);
        }
    }

    /// The gradients, given those of `ys` and `last`, of which an absent one is zero. It may run more than once.
    ///
    /// # Errors
    /// The forward pass was told that none would follow.
    pub(crate) fn backward(
        &self,
        us: &[T],
        packed: &[T],
        ys_grad: Option<&[T]>,
        last_grad: Option<&[T]>,
        gradients: ScanGradients<'_, T>,
    ) -> Result<()> {
        let Some(boundaries) = self.boundaries.get() else {
            bail!("diagonal_scan: a backward pass through a scan whose inputs were not tracked");
        };
        let k = Coefficients::new(packed, self.plan.dim, self.plan.n, self.plan.parts);
        let zeros;
        let ys_grad = match ys_grad {
            Some(grad) => grad,
            None => {
                zeros = vec![T::ZERO; us.len()];
                &zeros
            }
        };
        let (steps, states, kept) =
            (self.steps(), self.states(), chunks(self.plan.time, self.plan.n) * k.states());
        let groups: Vec<_> = split(self.batch(), self.batch().min(GROUPS)).collect();
        let mut sums = Aligned::zeros(groups.len() * k.len());
        {
            let weights_grad = Shared::new(&mut sums);
            let (us_grad, state_grad) = (Shared::new(gradients.us), Shared::new(gradients.state));
            over_tasks(groups.len(), self.plan.dim, MOST, 2 * self.cost(), |task| {
                let mut workspace = AdjointWorkspace::new(&k);
                for group in task.rows {
                    let (first, count) = groups[group];
                    for row in first..first + count {
                        dispatch(Adjoint {
                            coefficients: &k,
                            output: self.plan.output,
                            row,
                            channels: task.channels.clone(),
                            length: self.plan.lengths[row],
                            far: self.far(),
                            us: &us[row * steps..][..steps],
                            ys_grad: &ys_grad[row * steps..][..steps],
                            last_grad: last_grad.map_or(&[], |grad| &grad[row * states..][..states]),
                            boundaries: &boundaries[row * kept..][..kept],
                            us_grad,
                            state_grad,
                            weights_grad,
                            sums: group * k.len(),
                            workspace: &mut workspace,
                        });
                    }
                }
            });
        }
        gradients.packed.fill(T::ZERO);
        sums.chunks_exact(k.len()).for_each(|planes| k.add_packed(planes, gradients.packed));
        Ok(())
    }
}

impl<T: Real> Reverse for Scan<T> {
    fn reverse(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let [us, packed, state] = operands else { bail!("diagonal_scan: {} operands", operands.len()) };
        let [mut for_us, mut for_packed, mut for_state] = [us, packed, state].map(|of| room(of.elem_count()));
        // An absent gradient lends nothing; something must stand in its place.
        let lent = [0, 1].map(|which| gradients[which].as_ref().unwrap_or(packed));
        with_all([us, packed, lent[0], lent[1]], |[us, packed, ys_grad, last_grad]| {
            let ys_grad = gradients[0].as_ref().map(|_| ys_grad);
            let last_grad = gradients[1].as_ref().map(|_| last_grad);
            let into = ScanGradients { us: &mut for_us, packed: &mut for_packed, state: &mut for_state };
            self.backward(us, packed, ys_grad, last_grad, into)
        })?;
        Ok(vec![
            Some(tensor(for_us, us.shape())?),
            Some(tensor(for_packed, packed.shape())?),
            Some(tensor(for_state, state.shape())?),
        ])
    }
}

impl<T: Real> CustomOp3 for Scan<T> {
    fn name(&self) -> &'static str {
        "diagonal-scan"
    }

    /// Outputs and last states in one vector, all of the former first.
    fn cpu_fwd(
        &self,
        us: &CpuStorage,
        us_layout: &Layout,
        packed: &CpuStorage,
        packed_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (us, state) = (operand::<T>(us, us_layout)?, operand::<T>(state, state_layout)?);
        let mut both = vec![T::ZERO; us.len() + state.len()];
        let (ys, last) = both.split_at_mut(us.len());
        self.forward(us, operand::<T>(packed, packed_layout)?, state, ys, last);
        let len = both.len();
        Ok((T::to_cpu_storage_owned(both), len.into()))
    }

    fn bwd(
        &self,
        us: &Tensor,
        packed: &Tensor,
        state: &Tensor,
        _both: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [mut for_us, mut for_packed, mut for_state] =
            [us, packed, state].map(|of| vec![T::ZERO; of.elem_count()]);
        with_all([us, packed, grad], |[us, packed, grad]| {
            let (ys_grad, last_grad) = grad.split_at(us.len());
            let gradients = ScanGradients { us: &mut for_us, packed: &mut for_packed, state: &mut for_state };
            self.backward(us, packed, Some(ys_grad), Some(last_grad), gradients)
        })?;
        Ok((
            Some(tensor(for_us, us.shape())?),
            Some(tensor(for_packed, packed.shape())?),
            Some(tensor(for_state, state.shape())?),
        ))
    }
}
