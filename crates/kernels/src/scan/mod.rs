//! The diagonal complex linear recurrence of state space models, as one differentiable operation.
//!
//! Source: Gu et al. 2022, "On the Parameterization and Initialization of Diagonal State Space Models"
//! (S4D), eq. 2 after discretisation; Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long
//! Sequences" (LRU), eq. 3. Each channel has N states of its own:
//!
//! ```text
//! h_t = λ ⊙ h_{t−1} + b · u_t          complex, N per channel
//! y_t = Re(Σ_n c_n h_{t,n}) + d · u_t  real
//! ```
//!
//! Time is linear in T. Backward keeps the inputs and one state in 64 steps, and recomputes the rest.

mod cell;
mod kernel;

pub use cell::ScanCell;

use crate::isa::dispatch;
use crate::plumbing::{fused, operand};
use crate::real::Real;
use crate::reference;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use kernel::{Adjoint, Coefficients, Complex, Forward, chunks};
use rayon::prelude::*;
use std::sync::OnceLock;

/// The recurrence's coefficients after discretisation: real tensors `[dim, n]`, and `[dim]` for the skip.
#[derive(Clone, Debug)]
pub struct ScanParameters {
    /// Real part of λ, `[dim, n]`.
    pub lambda_re: Tensor,
    /// Imaginary part of λ, `[dim, n]`.
    pub lambda_im: Tensor,
    /// Real part of the input coefficient b, `[dim, n]`.
    pub b_re: Tensor,
    /// Imaginary part of b, `[dim, n]`.
    pub b_im: Tensor,
    /// Real part of the output coefficient c, `[dim, n]`.
    pub c_re: Tensor,
    /// Imaginary part of c, `[dim, n]`.
    pub c_im: Tensor,
    /// Skip from input to output, `[dim]`.
    pub d: Tensor,
}

impl ScanParameters {
    /// `(dim, n)`: channels, and states per channel.
    ///
    /// # Errors
    /// The tensors disagree in shape; the message names the tensor and both shapes.
    pub fn dims(&self) -> Result<(usize, usize)> {
        let (dim, n) = self.lambda_re.dims2()?;
        for (name, tensor) in self.named() {
            let expected: &[usize] = if name == "d" { &[dim] } else { &[dim, n] };
            if tensor.dims() != expected {
                bail!("diagonal_scan: {name} is {:?}, expected {expected:?} as lambda_re", tensor.dims());
            }
        }
        if dim == 0 || n == 0 {
            bail!("diagonal_scan: lambda_re is [{dim}, {n}]; a scan needs a channel and a state");
        }
        Ok((dim, n))
    }

    fn named(&self) -> [(&'static str, &Tensor); 7] {
        [
            ("lambda_re", &self.lambda_re),
            ("lambda_im", &self.lambda_im),
            ("b_re", &self.b_re),
            ("b_im", &self.b_im),
            ("c_re", &self.c_re),
            ("c_im", &self.c_im),
            ("d", &self.d),
        ]
    }

    /// All coefficients in one vector `[6·dim·n + dim]`, through which gradients reach each tensor.
    fn pack(&self) -> Result<Tensor> {
        let flat = self.named().iter().map(|(_, tensor)| tensor.flatten_all()).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&flat, 0)
    }
}

/// Runs the recurrence over `us` `[batch, time, dim]` from `state` `[batch, dim, n, 2]` (real, imaginary).
///
/// Returns the outputs `[batch, time, dim]` and the state `[batch, dim, n, 2]` after each row's own last step:
/// `lengths[row]` (0 leaves the incoming state), or the whole time where `lengths` is absent. Differentiable
/// in `us`, every parameter and `state`, also through the returned state.
///
/// # Errors
/// Shapes, types or devices disagree, or a length exceeds the time; the message names the argument.
pub fn diagonal_scan(
    us: &Tensor,
    parameters: &ScanParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let sizes = check(us, parameters, state, lengths)?;
    if !fused(us) {
        return reference::diagonal_scan(us, parameters, state, lengths);
    }
    let (batch, time, dim, n) = sizes;
    let packed = parameters.pack()?.contiguous()?;
    let (us, state) = (us.contiguous()?, state.contiguous()?);
    let lengths = lengths.map_or_else(|| vec![time; batch], <[usize]>::to_vec);
    let keep = us.track_op() || packed.track_op() || state.track_op();
    let both = match us.dtype() {
        DType::F64 => us.apply_op3(&packed, &state, Scan::<f64>::new(n, lengths, keep))?,
        _ => us.apply_op3(&packed, &state, Scan::<f32>::new(n, lengths, keep))?,
    };
    let ys = both.narrow(1, 0, time * dim)?.reshape((batch, time, dim))?;
    let last = both.narrow(1, time * dim, dim * n * 2)?.reshape((batch, dim, n, 2))?;
    Ok((ys, last))
}

/// The sizes `(batch, time, dim, n)`, or which argument does not fit.
pub(crate) fn check(
    us: &Tensor,
    parameters: &ScanParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(usize, usize, usize, usize)> {
    let (dim, n) = parameters.dims()?;
    let &[batch, time, channels] = us.dims() else {
        bail!("diagonal_scan: us is {:?}, expected [batch, time, {dim}]", us.dims());
    };
    if channels != dim {
        bail!("diagonal_scan: us is {:?}, but the parameters are [{dim}, {n}]", us.dims());
    }
    if state.dims() != [batch, dim, n, 2] {
        bail!("diagonal_scan: state is {:?}, expected {:?}", state.dims(), [batch, dim, n, 2]);
    }
    for (name, tensor) in parameters.named().into_iter().chain([("state", state)]) {
        if tensor.dtype() != us.dtype() {
            bail!("diagonal_scan: {name} is {:?}, but us is {:?}", tensor.dtype(), us.dtype());
        }
    }
    if let Some(lengths) = lengths {
        if lengths.len() != batch {
            bail!("diagonal_scan: lengths has {} entries, but us is {:?}", lengths.len(), us.dims());
        }
        if let Some(long) = lengths.iter().find(|length| **length > time) {
            bail!("diagonal_scan: lengths has {long}, but us is {:?}", us.dims());
        }
    }
    Ok((batch, time, dim, n))
}

struct Scan<T> {
    n: usize,
    lengths: Vec<usize>,
    keep: bool,
    /// States at chunk starts, `[batch, block, chunk, n]`, for the backward pass.
    boundaries: OnceLock<Vec<Complex<T>>>,
}

impl<T> Scan<T> {
    fn new(n: usize, lengths: Vec<usize>, keep: bool) -> Self {
        Scan { n, lengths, keep, boundaries: OnceLock::new() }
    }
}

impl<T: Real> CustomOp3 for Scan<T> {
    fn name(&self) -> &'static str {
        "diagonal-scan"
    }

    fn cpu_fwd(
        &self,
        us: &CpuStorage,
        us_layout: &Layout,
        packed: &CpuStorage,
        packed_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, time, dim) = us_layout.shape().dims3()?;
        let us = operand::<T>(us, us_layout)?;
        let coefficients = Coefficients::new(operand::<T>(packed, packed_layout)?, dim, self.n);
        let state = operand::<T>(state, state_layout)?;
        let (steps, states) = (time * dim, dim * self.n * 2);
        let mut out = vec![T::ZERO; batch * (steps + states)];
        let kept = if self.keep { coefficients.states() * chunks(time) } else { 0 };
        let mut boundaries = vec![Complex::ZERO; batch * kept];
        // Rows get a slice each; where nothing is kept, an empty one.
        let mut shares: Vec<_> = boundaries.chunks_mut(kept.max(1)).collect();
        shares.resize_with(batch, Default::default);
        out.par_chunks_mut(steps + states).zip(shares).enumerate().for_each(|(row, (out, boundaries))| {
            let (ys, last) = out.split_at_mut(steps);
            dispatch(Forward {
                coefficients: &coefficients,
                length: self.lengths[row],
                us: &us[row * steps..][..steps],
                state: &state[row * states..][..states],
                ys,
                last,
                boundaries,
            });
        });
        if self.keep {
            let _ = self.boundaries.set(boundaries);
        }
        Ok((T::to_cpu_storage_owned(out), (batch, steps + states).into()))
    }

    fn bwd(
        &self,
        us: &Tensor,
        packed: &Tensor,
        state: &Tensor,
        _both: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        use crate::plumbing::{tensor, with_values};
        let (batch, time, dim) = us.dims3()?;
        let Some(boundaries) = self.boundaries.get() else {
            bail!("diagonal_scan: a backward pass through a scan whose inputs were not tracked");
        };
        let coefficients = with_values::<T, _>(packed, |values| Ok(Coefficients::new(values, dim, self.n)))?;
        let (steps, states, weights) = (time * dim, dim * self.n * 2, packed.elem_count());
        let kept = coefficients.states() * chunks(time);
        let mut us_grad = vec![T::ZERO; batch * steps];
        let mut state_grad = vec![T::ZERO; batch * states];
        let mut row_grads = vec![T::ZERO; batch * weights];
        with_values::<T, _>(us, |us| {
            with_values::<T, _>(grad, |grad| {
                let mut shares: Vec<_> = us_grad.chunks_mut(steps.max(1)).collect();
                shares.resize_with(batch, Default::default);
                state_grad
                    .par_chunks_mut(states)
                    .zip(row_grads.par_chunks_mut(weights))
                    .zip(shares)
                    .enumerate()
                    .for_each(|(row, ((state_grad, weights_grad), us_grad))| {
                        let grad = &grad[row * (steps + states)..][..steps + states];
                        dispatch(Adjoint {
                            coefficients: &coefficients,
                            length: self.lengths[row],
                            us: &us[row * steps..][..steps],
                            ys_grad: &grad[..steps],
                            last_grad: &grad[steps..],
                            boundaries: &boundaries[row * kept..][..kept],
                            us_grad,
                            state_grad,
                            weights_grad,
                        });
                    });
                Ok(())
            })
        })?;
        // Rows are added in order, so that the sum does not depend on who computed them.
        let mut weights_grad = vec![T::ZERO; weights];
        for row in row_grads.chunks(weights) {
            weights_grad.iter_mut().zip(row).for_each(|(sum, value)| *sum += *value);
        }
        Ok((
            Some(tensor(us_grad, us.shape())?),
            Some(tensor(weights_grad, packed.shape())?),
            Some(tensor(state_grad, state.shape())?),
        ))
    }
}
