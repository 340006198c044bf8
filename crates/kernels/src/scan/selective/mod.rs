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

use crate::plumbing::{fused, room, tensor, with_all};
use crate::real::Real;
use crate::reference;
use crate::tape;
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
    let SelectiveInputs { delta, b, c } = inputs;
    let SelectiveParameters { a, d } = parameters;
    let mut operands = [us, delta, b, c, a, d, state].map(Clone::clone);
    for operand in &mut operands {
        *operand = operand.contiguous()?;
    }
    let lengths = lengths.map_or_else(|| vec![sizes.time; sizes.batch], <[usize]>::to_vec);
    match us.dtype() {
        DType::F64 => run::<f64>(&operands, sizes, lengths),
        _ => run::<f32>(&operands, sizes, lengths),
    }
}

/// Noted on a tape or without a graph the two results are apart; in candle's graph operands go in packed and results
/// are cut from one.
fn run<T: Real>(operands: &[Tensor; 7], sizes: Sizes, lengths: Vec<usize>) -> Result<(Tensor, Tensor)> {
    let [us, delta, b, c, a, d, state] = operands;
    let keep = operands.iter().any(Tensor::track_op);
    let scan = Selective::<T> { sizes, lengths, keep, boundaries: OnceLock::new() };
    if tape::wants_graph(operands) {
        let flat = |tensors: &[&Tensor]| {
            let flat = tensors.iter().map(|tensor| tensor.flatten_all()).collect::<Result<Vec<_>>>()?;
            Tensor::cat(&flat, 0)?.contiguous()
        };
        let both = flat(&[us, delta, b, c])?.apply_op3(&flat(&[a, d])?, state, scan)?;
        let ys = both.narrow(0, 0, us.elem_count())?.reshape(us.shape())?;
        let last = both.narrow(0, us.elem_count(), state.elem_count())?.reshape(state.shape())?;
        return Ok((ys, last));
    }
    let (mut ys, mut last) = (room(us.elem_count()), room(state.elem_count()));
    with_all::<T, _, 7>(operands.each_ref(), |[us, delta, b, c, a, d, state]| {
        scan.forward([us, delta, b, c], &[a, d].concat(), state, &mut ys, &mut last);
        Ok(())
    })?;
    if !tape::records(&operands.each_ref()) {
        return Ok((tensor(ys, us.shape())?, tensor(last, state.shape())?));
    }
    let ys = tape::result(T::to_cpu_storage_owned(ys), us.shape())?;
    let last = tape::result(T::to_cpu_storage_owned(last), state.shape())?;
    tape::note(scan, &operands.each_ref(), &[&ys, &last]);
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
