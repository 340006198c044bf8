//! The affine map as a broadcast product.

use super::count::product;
use crate::linear::check;
use candle_core::{Result, Tensor};

/// [`linear`](crate::linear()) in candle's operations; the same arguments.
///
/// # Errors
/// As [`linear`](crate::linear()).
pub fn linear(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    check(xs, weight, bias)?;
    let (outputs, inputs) = weight.dims2()?;
    let mut shape = xs.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    let ys = product(&xs.reshape(((), inputs))?, &weight.t()?)?;
    let ys = match bias {
        Some(bias) => ys.broadcast_add(bias)?,
        None => ys,
    };
    ys.reshape(shape)
}
