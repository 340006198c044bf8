//! The selective scan unrolled over time, one candle operation per arithmetic operation.

use super::count::weighted;
use super::scan::{stacked, taken};
use crate::scan::selective::{SelectiveInputs, SelectiveParameters, check};
use candle_core::{D, Result, Tensor};

/// [`selective_scan`](crate::selective_scan), with the same shapes and errors.
///
/// # Errors
/// Shapes, types or devices disagree.
pub fn selective_scan(
    us: &Tensor,
    inputs: &SelectiveInputs,
    parameters: &SelectiveParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let sizes = check(us, inputs, parameters, state, lengths)?;
    let complex = sizes.parts == 2;
    // Real and imaginary part; a real number has the first alone.
    let parts = |tensor: &Tensor| -> Result<Vec<Tensor>> {
        if !complex {
            return Ok(vec![tensor.clone()]);
        }
        (0..2).map(|part| tensor.narrow(D::Minus1, part, 1)?.squeeze(D::Minus1)).collect()
    };
    let a = parts(&parameters.a)?;
    // [batch, dim, n] each
    let mut h = parts(state)?;
    let mut states = vec![state.clone()];
    let mut ys = Vec::with_capacity(sizes.time);
    for step in 0..sizes.time {
        let at = |tensor: &Tensor| tensor.narrow(1, step, 1)?.squeeze(1);
        let (u, delta) = (at(us)?, at(&inputs.delta)?);
        let wide = delta.unsqueeze(2)?;
        let v = (&delta * &u)?.unsqueeze(2)?;
        let mixes = |tensor: &Tensor| -> Result<Vec<Tensor>> {
            parts(&at(tensor)?)?.iter().map(|part| part.unsqueeze(1)).collect()
        };
        let (b, c) = (mixes(&inputs.b)?, mixes(&inputs.c)?);
        let decay = wide.broadcast_mul(&a[0])?.exp()?;
        let sum = if complex {
            let angle = wide.broadcast_mul(&a[1])?;
            let (re, im) = ((&decay * angle.cos()?)?, (&decay * angle.sin()?)?);
            let next_re = (weighted(&re, &h[0])? - weighted(&im, &h[1])?)?;
            let next_im = (weighted(&re, &h[1])? + weighted(&im, &h[0])?)?;
            h = vec![(next_re + weighted(&v, &b[0])?)?, (next_im + weighted(&v, &b[1])?)?];
            (weighted(&h[0], &c[0])? - weighted(&h[1], &c[1])?)?
        } else {
            h = vec![(weighted(&decay, &h[0])? + weighted(&v, &b[0])?)?];
            weighted(&h[0], &c[0])?
        };
        ys.push((sum.sum(2)? + weighted(&u, &parameters.d)?)?);
        states.push(if complex { Tensor::stack(&h, 3)? } else { h[0].clone() });
    }
    Ok((stacked(us, &ys)?, taken(states, lengths)?))
}
