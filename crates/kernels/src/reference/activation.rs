//! Smooth activations, in candle's own operations.

use candle_core::{Result, Tensor};

/// [`crate::gelu`], plainly. Not candle's `gelu_erf`, whose gradient uses a constant of eight digits.
///
/// # Errors
/// The type is not a floating-point one.
pub fn gelu(xs: &Tensor) -> Result<Tensor> {
    let distribution = (((xs * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?;
    xs * distribution
}

/// [`crate::silu`], plainly.
///
/// # Errors
/// The type is not a floating-point one.
pub fn silu(xs: &Tensor) -> Result<Tensor> {
    xs.silu()
}

/// [`crate::softplus`], plainly: the larger of x and 0, and `ln(1 + exp(−|x|))`, which cannot overflow.
///
/// # Errors
/// The type is not a floating-point one.
pub fn softplus(xs: &Tensor) -> Result<Tensor> {
    xs.relu()? + (xs.abs()?.neg()?.exp()? + 1.0)?.log()?
}
