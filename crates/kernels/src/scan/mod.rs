//! The diagonal linear recurrence of state space models, as one differentiable operation.
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
//! or real throughout, at half the cost. Time is linear in T. Backward keeps the inputs and one state in 64 steps,
//! and recomputes the rest.

mod cell;
mod parameters;
pub(crate) mod selective;

mod backward;
mod coefficients;
mod columns;
mod forward;
mod operation;
mod tasks;

pub use cell::ScanCell;
pub use coefficients::ScanOutput;
pub use parameters::{RealScanParameters, ScanCoefficients, ScanParameters};

use crate::plumbing::{fused, room, tensor, with_all};
use crate::real::Real;
use crate::tape;
use candle_core::{DType, Result, Tensor, bail};
use operation::{Plan, Scan};

/// Runs the recurrence over `us` `[batch, time, dim]` from `state` `[batch, dim, n, 2]` (real, imaginary), or
/// `[batch, dim, n]` where the coefficients are real.
///
/// Returns the outputs `[batch, time, dim]` and the state after each row's own last step, shaped like the incoming
/// one: after `lengths[row]` steps (0 leaves the incoming state), or the whole time where `lengths` is absent.
/// Differentiable in `us`, every parameter and `state`, also through the returned state.
///
/// # Errors
/// Shapes, types or devices disagree, or a length exceeds the time; the message names the argument.
pub fn diagonal_scan<P: ScanCoefficients>(
    us: &Tensor,
    parameters: &P,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    run(us, parameters, ScanOutput::Linear, state, lengths)
}

/// `gelu` of the outputs of [`diagonal_scan`], in one operation.
///
/// # Errors
/// As for [`diagonal_scan`].
pub fn diagonal_scan_gelu<P: ScanCoefficients>(
    us: &Tensor,
    parameters: &P,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    run(us, parameters, ScanOutput::Gelu, state, lengths)
}

fn run<P: ScanCoefficients>(
    us: &Tensor,
    parameters: &P,
    output: ScanOutput,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let (batch, time, dim, n) = check(us, parameters, state, lengths)?;
    if !fused(us) {
        let (ys, last) = parameters.plain(us, state, lengths)?;
        return Ok(match output {
            ScanOutput::Linear => (ys, last),
            ScanOutput::Gelu => (crate::gelu(&ys)?, last),
        });
    }
    let packed = parameters.pack()?.contiguous()?;
    let (us, state) = (us.contiguous()?, state.contiguous()?);
    let lengths = lengths.map_or_else(|| vec![time; batch], <[usize]>::to_vec);
    let keep = us.track_op() || packed.track_op() || state.track_op();
    let scan = Plan { dim, n, parts: P::PARTS, time, output, lengths, keep };
    match us.dtype() {
        DType::F64 => apply::<f64>(&us, &packed, &state, scan),
        _ => apply::<f32>(&us, &packed, &state, scan),
    }
}

/// Noted on a tape or without a graph the two results are apart; in candle's graph they are cut from one.
fn apply<T: Real>(us: &Tensor, packed: &Tensor, state: &Tensor, plan: Plan) -> Result<(Tensor, Tensor)> {
    let scan = Scan::<T>::new(plan);
    let records = tape::records(&[us, packed, state]);
    if records || !scan.keep() {
        let (mut ys, mut last) = (room(us.elem_count()), room(state.elem_count()));
        with_all::<T, _, 3>([us, packed, state], |[us, packed, state]| {
            scan.forward(us, packed, state, &mut ys, &mut last);
            Ok(())
        })?;
        if !records {
            return Ok((tensor(ys, us.shape())?, tensor(last, state.shape())?));
        }
        let ys = tape::result(T::to_cpu_storage_owned(ys), us.shape())?;
        let last = tape::result(T::to_cpu_storage_owned(last), state.shape())?;
        tape::note(scan, &[us, packed, state], &[&ys, &last]);
        return Ok((ys, last));
    }
    let both = us.apply_op3(packed, state, scan)?;
    let steps = us.elem_count();
    let ys = both.narrow(0, 0, steps)?.reshape(us.shape())?;
    let last = both.narrow(0, steps, state.elem_count())?.reshape(state.shape())?;
    Ok((ys, last))
}

/// The sizes `(batch, time, dim, n)`, or which argument does not fit.
pub(crate) fn check<P: ScanCoefficients>(
    us: &Tensor,
    parameters: &P,
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
    let expected: &[usize] = if P::PARTS == 2 { &[batch, dim, n, 2] } else { &[batch, dim, n] };
    if state.dims() != expected {
        bail!("diagonal_scan: state is {:?}, expected {expected:?}", state.dims());
    }
    for (name, tensor) in parameters.named().into_iter().chain([("state", state)]) {
        if tensor.dtype() != us.dtype() {
            bail!("diagonal_scan: {name} is {:?}, but us is {:?}", tensor.dtype(), us.dtype());
        }
    }
    check_lengths("diagonal_scan", lengths, us, batch, time)?;
    Ok((batch, time, dim, n))
}

/// One length a row, none beyond the time.
fn check_lengths(
    name: &str,
    lengths: Option<&[usize]>,
    us: &Tensor,
    batch: usize,
    time: usize,
) -> Result<()> {
    let Some(lengths) = lengths else { return Ok(()) };
    if lengths.len() != batch {
        bail!("{name}: lengths has {} entries, but us is {:?}", lengths.len(), us.dims());
    }
    if let Some(long) = lengths.iter().find(|length| **length > time) {
        bail!("{name}: lengths has {long}, but us is {:?}", us.dims());
    }
    Ok(())
}
