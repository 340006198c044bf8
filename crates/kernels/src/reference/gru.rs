//! The gated recurrent unit as an unrolled loop.

use super::linear;
use super::lstm::sigmoid;
use super::rnn::after;
use crate::recurrence;
use candle_core::{Result, Tensor};

/// [`gru`](crate::gru()) in candle's operations; the same arguments.
///
/// # Errors
/// As [`gru`](crate::gru()).
pub fn gru(
    xs: &Tensor,
    w_ih: &Tensor,
    w_hh: &Tensor,
    b_ih: &Tensor,
    b_hh: &Tensor,
    h0: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let parameters = recurrence::Parameters { w_ih, w_hh, b_ih, b_hh };
    let sizes = recurrence::check::<recurrence::Gru>(xs, &parameters, &[("h0", h0)], lengths)?;
    let mut hs = vec![h0.clone()];
    for t in 0..sizes.time {
        let x = xs.narrow(1, t, 1)?.squeeze(1)?.contiguous()?;
        let (from_x, from_h) = (linear(&x, w_ih, Some(b_ih))?, linear(&hs[t], w_hh, Some(b_hh))?);
        let part = |of: &Tensor, which: usize| of.narrow(1, which * sizes.hidden, sizes.hidden);
        let r = sigmoid(&(part(&from_x, 0)? + part(&from_h, 0)?)?)?;
        let z = sigmoid(&(part(&from_x, 1)? + part(&from_h, 1)?)?)?;
        let n = (part(&from_x, 2)? + (r * part(&from_h, 2)?)?)?.tanh()?;
        hs.push((((1.0 - &z)? * n)? + (z * &hs[t])?)?);
    }
    Ok((Tensor::stack(&hs[1..], 1)?, after(&hs, lengths)?))
}
