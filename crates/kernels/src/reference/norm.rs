//! Layer and root-mean-square normalisation, in candle's own operations.

use candle_core::{D, Result, Tensor};

/// [`crate::layer_norm`], plainly.
///
/// # Errors
/// Shapes or types do not fit.
pub fn layer_norm(xs: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = xs.broadcast_sub(&xs.mean_keepdim(D::Minus1)?)?;
    rms_norm(&centred, weight, eps)?.broadcast_add(bias)
}

/// [`crate::rms_norm`], plainly.
///
/// # Errors
/// Shapes or types do not fit.
pub fn rms_norm(xs: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let deviation = (xs.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    xs.broadcast_div(&deviation)?.broadcast_mul(weight)
}
