//! The selective scan: a diagonal linear recurrence whose coefficients depend on the input.
//!
//! Source: Gu and Dao 2023, "Mamba: Linear-time sequence modeling with selective state spaces", section 3 and eq.
//! 2 to 4, with the zero-order hold of A and the Euler step of B that its implementation takes. Each channel has N
//! states of its own, real or complex:
//!
//! ```text
//! h_t = exp(Δ_t A) ⊙ h_{t−1} + (Δ_t u_t) B_t     Δ_t one number a channel, B_t and C_t one a state
//! y_t = Re(C_t · h_t) + d u_t
//! ```
//!
//! Time is linear in T. Backward keeps the inputs and one state in 32 steps, and recomputes the rest.

mod cell;

mod backward;
mod coefficients;
mod forward;
mod operation;

pub use cell::SelectiveScanCell;

use crate::plumbing::fused;
use crate::reference;
use crate::vector::Aligned;
use candle_core::{DType, Result, Tensor, bail};
use coefficients::Sizes;
use operation::Selective;
use std::sync::OnceLock;

/// What depends on the input, step by step.
#[derive(Clone, Debug)]
pub struct SelectiveInputs {
    /// Δ, positive, `[batch, time, dim]`.
    pub delta: Tensor,
    /// B, `[batch, time, n]`, or `[batch, time, n, 2]` (real, imaginary) where A is complex.
    pub b: Tensor,
    /// C, shaped like B.
    pub c: Tensor,
}

/// What does not.
#[derive(Clone, Debug)]
pub struct SelectiveParameters {
    /// A, `[dim, n]`, or `[dim, n, 2]` (real, imaginary); its real part is negative in a system that forgets.
    pub a: Tensor,
    /// Skip from input to output, `[dim]`.
    pub d: Tensor,
}

/// Runs the recurrence over `us` `[batch, time, dim]` from `state` `[batch, dim, n]`, or `[batch, dim, n, 2]` where
/// A is complex.
///
/// Returns the outputs `[batch, time, dim]` and the state after each row's own last step, shaped like the incoming
/// one: after `lengths[row]` steps (0 leaves the incoming state), or the whole time where `lengths` is absent.
/// Differentiable in all tensors, also through the returned state.
///
/// # Errors
/// Shapes, types or devices disagree, or a length exceeds the time; the message names the argument.
pub fn selective_scan(
    us: &Tensor,
    inputs: &SelectiveInputs,
    parameters: &SelectiveParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let sizes = check(us, inputs, parameters, state, lengths)?;
    if !fused(us) {
        return reference::selective_scan(us, inputs, parameters, state, lengths);
    }
    let flat = |tensors: &[&Tensor]| {
        let flat = tensors.iter().map(|tensor| tensor.flatten_all()).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&flat, 0)?.contiguous()
    };
    let all = flat(&[us, &inputs.delta, &inputs.b, &inputs.c])?;
    let (weights, state) = (flat(&[&parameters.a, &parameters.d])?, state.contiguous()?);
    let lengths = lengths.map_or_else(|| vec![sizes.time; sizes.batch], <[usize]>::to_vec);
    let keep = all.track_op() || weights.track_op() || state.track_op();
    let both = match us.dtype() {
        DType::F64 => {
            let boundaries = OnceLock::<Aligned<f64>>::new();
            crate::tape::apply3(&all, &weights, &state, Selective { sizes, lengths, keep, boundaries })?
        }
        _ => {
            let boundaries = OnceLock::<Aligned<f32>>::new();
            crate::tape::apply3(&all, &weights, &state, Selective { sizes, lengths, keep, boundaries })?
        }
    };
    let ys = both.narrow(0, 0, us.elem_count())?.reshape(us.shape())?;
    let last = both.narrow(0, us.elem_count(), state.elem_count())?.reshape(state.shape())?;
    Ok((ys, last))
}

/// The sizes, or which argument does not fit.
pub(crate) fn check(
    us: &Tensor,
    inputs: &SelectiveInputs,
    parameters: &SelectiveParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<Sizes> {
    let (dim, n, parts) = match *parameters.a.dims() {
        [dim, n] if dim > 0 && n > 0 => (dim, n, 1),
        [dim, n, 2] if dim > 0 && n > 0 => (dim, n, 2),
        _ => bail!(
            "selective_scan: a is {:?}, expected [dim, n] or [dim, n, 2] with a channel and a state",
            parameters.a.dims()
        ),
    };
    let &[batch, time, channels] = us.dims() else {
        bail!("selective_scan: us is {:?}, expected [batch, time, {dim}]", us.dims());
    };
    if channels != dim {
        bail!("selective_scan: us is {:?}, but a is {:?}", us.dims(), parameters.a.dims());
    }
    let complex = |shape: &[usize]| [shape, if parts == 2 { &[2] } else { &[] }].concat();
    for (name, tensor, expected) in [
        ("delta", &inputs.delta, vec![batch, time, dim]),
        ("b", &inputs.b, complex(&[batch, time, n])),
        ("c", &inputs.c, complex(&[batch, time, n])),
        ("d", &parameters.d, vec![dim]),
        ("state", state, complex(&[batch, dim, n])),
    ] {
        if tensor.dims() != expected {
            bail!("selective_scan: {name} is {:?}, expected {expected:?}", tensor.dims());
        }
        if tensor.dtype() != us.dtype() {
            bail!("selective_scan: {name} is {:?}, but us is {:?}", tensor.dtype(), us.dtype());
        }
    }
    if parameters.a.dtype() != us.dtype() {
        bail!("selective_scan: a is {:?}, but us is {:?}", parameters.a.dtype(), us.dtype());
    }
    super::check_lengths("selective_scan", lengths, us, batch, time)?;
    Ok(Sizes { batch, time, dim, n, parts })
}
