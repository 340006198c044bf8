//! The simple recurrent network as an unrolled loop.

use super::linear;
use crate::{Activation, recurrence};
use candle_core::{Result, Tensor};

/// [`rnn`](crate::rnn()) in candle's operations; the same arguments.
///
/// # Errors
/// As [`rnn`](crate::rnn()).
pub fn rnn(
    xs: &Tensor,
    w_ih: &Tensor,
    w_hh: &Tensor,
    b_ih: &Tensor,
    b_hh: &Tensor,
    h0: &Tensor,
    lengths: Option<&[usize]>,
    activation: Activation,
) -> Result<(Tensor, Tensor)> {
    let parameters = recurrence::Parameters { w_ih, w_hh, b_ih, b_hh };
    let sizes = recurrence::check::<recurrence::Rnn>(xs, &parameters, &[("h0", h0)], lengths)?;
    let mut states = vec![h0.clone()];
    for t in 0..sizes.time {
        let x = xs.narrow(1, t, 1)?.squeeze(1)?.contiguous()?;
        let sum = (linear(&x, w_ih, Some(b_ih))? + linear(&states[t], w_hh, Some(b_hh))?)?;
        states.push(match activation {
            Activation::Tanh => sum.tanh()?,
            Activation::Relu => sum.relu()?,
            Activation::Identity => sum,
        });
    }
    Ok((Tensor::stack(&states[1..], 1)?, after(&states, lengths)?))
}

/// The state each row returns: of `states` `[batch, hidden]` after 0, 1, … steps, the one after its length.
pub(super) fn after(states: &[Tensor], lengths: Option<&[usize]>) -> Result<Tensor> {
    let Some(lengths) = lengths else { return Ok(states[states.len() - 1].clone()) };
    let rows = lengths.iter().enumerate().map(|(b, length)| states[*length].narrow(0, b, 1));
    Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)
}
