//! The short convolution as a sum of shifted products.

use super::count::weighted;
use super::scan::taken;
use crate::convolution::check;
use candle_core::{Result, Tensor};

/// [`short_convolution`](crate::short_convolution) in candle's operations; the same arguments.
///
/// # Errors
/// As [`short_convolution`](crate::short_convolution).
pub fn short_convolution(
    xs: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    past: &Tensor,
    lengths: Option<&[usize]>,
) -> Result<(Tensor, Tensor)> {
    let sizes = check(xs, weight, bias, past, lengths)?;
    let kept = sizes.taps - 1;
    let all = if kept == 0 { xs.clone() } else { Tensor::cat(&[past, xs], 1)? };
    let mut sum = None;
    for tap in 0..sizes.taps {
        let product = weighted(&all.narrow(1, tap, sizes.time)?, &weight.narrow(1, tap, 1)?.squeeze(1)?)?;
        sum = Some(match sum {
            Some(sum) => (sum + product)?,
            None => product,
        });
    }
    let sum = match sum {
        Some(sum) => sum.broadcast_add(bias)?,
        None => xs.zeros_like()?,
    };
    let last = if kept == 0 {
        past.clone()
    } else {
        // What could be the end, for every length.
        let ends = (0..=sizes.time).map(|length| all.narrow(1, length, kept)).collect::<Result<Vec<_>>>()?;
        taken(ends, lengths)?
    };
    Ok((sum.silu()?, last))
}
