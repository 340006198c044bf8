//! The diagonal scan unrolled over time, one candle operation per arithmetic operation.

use super::count::weighted;
use crate::scan::{RealScanParameters, ScanParameters, check};
use candle_core::{Result, Tensor};

/// [`diagonal_scan`](crate::scan::diagonal_scan), with the same shapes and errors.
///
/// # Errors
/// Shapes, types or devices disagree.
pub fn diagonal_scan(
    us: &Tensor,
    parameters: &ScanParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let (batch, time, dim, n) = check(us, parameters, state, lengths)?;
    let ScanParameters { lambda_re, lambda_im, b_re, b_im, c_re, c_im, d } = parameters;
    // [batch, dim, n] each
    let mut re = state.narrow(3, 0, 1)?.squeeze(3)?;
    let mut im = state.narrow(3, 1, 1)?.squeeze(3)?;
    let mut states = vec![state.clone()];
    let mut ys = Vec::with_capacity(time);
    for step in 0..time {
        let u = us.narrow(1, step, 1)?.squeeze(1)?;
        let wide = u.unsqueeze(2)?.broadcast_as((batch, dim, n))?;
        let next_re = ((weighted(&re, lambda_re)? - weighted(&im, lambda_im)?)? + weighted(&wide, b_re)?)?;
        let next_im = ((weighted(&im, lambda_re)? + weighted(&re, lambda_im)?)? + weighted(&wide, b_im)?)?;
        (re, im) = (next_re, next_im);
        let sum = (weighted(&re, c_re)? - weighted(&im, c_im)?)?.sum(2)?;
        ys.push((sum + weighted(&u, d)?)?);
        states.push(Tensor::stack(&[&re, &im], 3)?);
    }
    Ok((stacked(us, &ys)?, taken(states, lengths)?))
}

/// [`diagonal_scan`](crate::scan::diagonal_scan) with real coefficients, with the same shapes and errors.
///
/// # Errors
/// Shapes, types or devices disagree.
pub fn real_diagonal_scan(
    us: &Tensor,
    parameters: &RealScanParameters,
    state: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let (batch, time, dim, n) = check(us, parameters, state, lengths)?;
    let RealScanParameters { lambda, b, c, d } = parameters;
    let mut states = vec![state.clone()];
    let mut ys = Vec::with_capacity(time);
    for step in 0..time {
        let u = us.narrow(1, step, 1)?.squeeze(1)?;
        let wide = u.unsqueeze(2)?.broadcast_as((batch, dim, n))?;
        let next = (weighted(&states[step], lambda)? + weighted(&wide, b)?)?;
        ys.push((weighted(&next, c)?.sum(2)? + weighted(&u, d)?)?);
        states.push(next);
    }
    Ok((stacked(us, &ys)?, taken(states, lengths)?))
}

/// Outputs of all steps; `us` where there are none.
pub(super) fn stacked(us: &Tensor, ys: &[Tensor]) -> Result<Tensor> {
    if ys.is_empty() { Ok(us.clone()) } else { Tensor::stack(ys, 1) }
}

/// Of the states before the first and after every step, those at each row's own end.
pub(super) fn taken(mut states: Vec<Tensor>, lengths: Option<&[usize]>) -> Result<Tensor> {
    match lengths {
        Some(lengths) if !lengths.is_empty() => {
            let rows: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(row, length)| states[*length].narrow(0, row, 1))
                .collect::<Result<_>>()?;
            Tensor::cat(&rows, 0)
        }
        _ => Ok(states.swap_remove(states.len() - 1)),
    }
}
