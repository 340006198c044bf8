//! Long short-term memory as an unrolled loop.

use super::linear;
use super::rnn::after;
use crate::recurrence;
use candle_core::{Result, Tensor};

/// [`lstm`](crate::lstm()) in candle's operations; the same arguments.
///
/// # Errors
/// As [`lstm`](crate::lstm()).
pub fn lstm(
    xs: &Tensor,
    w_ih: &Tensor,
    w_hh: &Tensor,
    b_ih: &Tensor,
    b_hh: &Tensor,
    h0: &Tensor,
    c0: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor, Tensor)> {
    let parameters = recurrence::Parameters { w_ih, w_hh, b_ih, b_hh };
    let sizes = recurrence::check::<recurrence::Lstm>(xs, &parameters, &[("h0", h0), ("c0", c0)], lengths)?;
    let (mut hs, mut cs) = (vec![h0.clone()], vec![c0.clone()]);
    for t in 0..sizes.time {
        let x = xs.narrow(1, t, 1)?.squeeze(1)?.contiguous()?;
        let sum = (linear(&x, w_ih, Some(b_ih))? + linear(&hs[t], w_hh, Some(b_hh))?)?;
        let gate = |which| sum.narrow(1, which * sizes.hidden, sizes.hidden);
        let (i, f) = (sigmoid(&gate(0)?)?, sigmoid(&gate(1)?)?);
        let (g, o) = (gate(2)?.tanh()?, sigmoid(&gate(3)?)?);
        let c = ((f * &cs[t])? + (i * g)?)?;
        hs.push((o * c.tanh()?)?);
        cs.push(c);
    }
    Ok((Tensor::stack(&hs[1..], 1)?, after(&hs, lengths)?, after(&cs, lengths)?))
}

/// `1 / (1 + e^{−x})`, as `(tanh(x / 2) + 1) / 2`, which cannot overflow.
pub(super) fn sigmoid(xs: &Tensor) -> Result<Tensor> {
    (xs * 0.5)?.tanh()?.affine(0.5, 0.5)
}
