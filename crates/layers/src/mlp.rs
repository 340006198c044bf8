//! The position-wise network of a residual block.

use crate::linear::Linear;
use candle_core::Tensor;
use seqbench_core::{Params, Result};
use seqbench_kernels::{Norm, add, feed_forward};

/// Linear, GELU, linear: Vaswani et al. 2017, "Attention Is All You Need", eq. 2, with the GELU of Hendrycks
/// and Gimpel 2016 in place of the rectifier, as in GPT-2.
#[derive(Clone, Debug)]
pub struct Mlp {
    up: Linear,
    down: Linear,
}

impl Mlp {
    /// Parameters `up.weight` `[hidden, dim]`, `up.bias`, `down.weight` `[dim, hidden]`, `down.bias`, each
    /// started as [`Linear::new`] starts it.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn new(params: &Params, dim: usize, hidden: usize) -> Result<Self> {
        let up = Linear::new(&params.under("up"), dim, hidden)?;
        let down = Linear::new(&params.under("down"), hidden, dim)?;
        Ok(Mlp { up, down })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// Another width or type, named with both shapes.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.down.forward(&seqbench_kernels::gelu(&self.up.forward(xs)?)?)
    }

    /// `x + mlp(norm(x))`, the half of a residual block: `[.., dim] -> [.., dim]`, in one pass over the rows.
    ///
    /// # Errors
    /// Another width or type, named with both shapes.
    pub fn forward_in_block(&self, xs: &Tensor, norm: &Norm<'_>) -> Result<Tensor> {
        if let (Some(up), Some(down)) = (self.up.bias(), self.down.bias()) {
            return Ok(feed_forward(xs, norm, (self.up.weight(), up), (self.down.weight(), down))?);
        }
        Ok(add(xs, &self.forward(&norm.forward(xs)?)?)?)
    }

    /// The map to the hidden width.
    pub fn up(&self) -> &Linear {
        &self.up
    }

    /// The map back.
    pub fn down(&self) -> &Linear {
        &self.down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_all_reached, assert_same_seed_same_bits, flat, fresh, inputs};
    use candle_core::DType;

    #[test]
    fn keeps_the_width_and_reaches_every_parameter() {
        let params = fresh(DType::F64);
        let mlp = Mlp::new(&params, 7, 11).unwrap();
        let ys = mlp.forward(&inputs((3, 2, 7), DType::F64)).unwrap();
        assert_eq!(ys.dims(), [3, 2, 7]);
        assert_eq!(params.store().count(), 7 * 11 * 2 + 7 + 11);
        let names = [("up.weight", false), ("up.bias", true), ("down.weight", false), ("down.bias", true)];
        assert_all_reached(&params, &ys, &names);
    }

    #[test]
    fn in_a_block_it_is_the_same_network() {
        let mlp = Mlp::new(&fresh(DType::F64), 7, 11).unwrap();
        let norm = crate::LayerNorm::new(&fresh(DType::F64), 7).unwrap();
        let xs = inputs((3, 2, 7), DType::F64);
        let composed = (&xs + mlp.forward(&norm.forward(&xs).unwrap()).unwrap()).unwrap();
        assert_eq!(flat(&mlp.forward_in_block(&xs, &norm.parameters()).unwrap()), flat(&composed));
    }

    #[test]
    fn is_not_linear() {
        let mlp = Mlp::new(&fresh(DType::F64), 7, 11).unwrap();
        let xs = inputs((1, 7), DType::F64);
        let at = |scale: f64| flat(&mlp.forward(&(&xs * scale).unwrap()).unwrap())[0];
        assert!((at(4.0) - at(2.0) - (at(2.0) - at(0.0))).abs() > 1e-3);
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        assert_same_seed_same_bits(|params| Mlp::new(params, 7, 11).map(|_| ()));
    }
}
