//! Rotary position embedding by broadcast products of the two halves of each pair.

use crate::rope::check;
use candle_core::{Device, Result, Tensor};

/// [`rope`](crate::rope()) in candle's operations; the same arguments.
///
/// # Errors
/// As [`rope`](crate::rope()).
pub fn rope(xs: &Tensor, starts: &[u32], base: f64) -> Result<Tensor> {
    let rope = check(xs, starts, base)?;
    let (batch, time, heads, head_dim) = xs.dims4()?;
    let (mut cos, mut sin) = (Vec::new(), Vec::new());
    for start in starts {
        for at in 0..time as u64 {
            for (c, s) in rope.angles(u64::from(*start) + at) {
                cos.push(c);
                sin.push(s);
            }
        }
    }
    let table = |values: Vec<f64>| {
        Tensor::from_vec(values, (batch, time, 1, head_dim / 2), &Device::Cpu)?
            .to_dtype(xs.dtype())?
            .to_device(xs.device())
    };
    let (cos, sin) = (table(cos)?, table(sin)?);
    let pairs = xs.reshape((batch, time, heads, head_dim / 2, 2))?;
    let x = pairs.narrow(4, 0, 1)?.squeeze(4)?;
    let y = pairs.narrow(4, 1, 1)?.squeeze(4)?;
    let turned_x = (x.broadcast_mul(&cos)? - y.broadcast_mul(&sin)?)?;
    let turned_y = (y.broadcast_mul(&cos)? + x.broadcast_mul(&sin)?)?;
    Tensor::stack(&[turned_x, turned_y], 4)?.reshape((batch, time, heads, head_dim))
}
