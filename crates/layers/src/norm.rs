//! Normalisation of the last dimension, with learned gains.

use candle_core::Tensor;
use seqbench_core::{Init, Params, Result};
use seqbench_kernels::Norm;

/// Added to the variance, or to the mean square: PyTorch's default for `nn.LayerNorm`.
pub const EPSILON: f64 = 1e-5;

/// Layer normalisation: Ba, Kiros and Hinton 2016, "Layer Normalization", eq. 4.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    /// Parameters `weight` `[dim]`, all 1, and `bias` `[dim]`, all 0. Weight decay leaves both alone.
    ///
    /// # Errors
    /// The parameters cannot be had (see [`Params::get_with`]).
    pub fn new(params: &Params, dim: usize) -> Result<Self> {
        let weight = params.get(&[dim], "weight", &Init::Ones)?;
        let bias = params.get(&[dim], "bias", &Init::Zeros)?;
        Ok(LayerNorm { weight, bias })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// Another width or type, named with both shapes.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(seqbench_kernels::layer_norm(xs, &self.weight, &self.bias, EPSILON)?)
    }

    /// The gain, `[dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[dim]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// For an operation that normalises first.
    pub fn parameters(&self) -> Norm<'_> {
        Norm { weight: &self.weight, bias: Some(&self.bias), eps: EPSILON }
    }
}

/// Root-mean-square normalisation: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Tensor,
}

impl RmsNorm {
    /// Parameter `weight` `[dim]`, all 1. Weight decay leaves it alone.
    ///
    /// # Errors
    /// The parameter cannot be had (see [`Params::get_with`]).
    pub fn new(params: &Params, dim: usize) -> Result<Self> {
        Ok(RmsNorm { weight: params.get(&[dim], "weight", &Init::Ones)? })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// Another width or type, named with both shapes.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(seqbench_kernels::rms_norm(xs, &self.weight, EPSILON)?)
    }

    /// The gain, `[dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// For an operation that normalises first.
    pub fn parameters(&self) -> Norm<'_> {
        Norm { weight: &self.weight, bias: None, eps: EPSILON }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_all_reached, flat, fresh, inputs};
    use candle_core::DType;

    #[test]
    fn layer_norm_starts_as_pure_normalisation_and_reaches_every_parameter() {
        let params = fresh(DType::F64);
        let norm = LayerNorm::new(&params, 7).unwrap();
        let ys = norm.forward(&inputs((3, 2, 7), DType::F64)).unwrap();
        assert_eq!(ys.dims(), [3, 2, 7]);
        for row in flat(&ys).chunks(7) {
            assert!(row.iter().sum::<f64>().abs() < 1e-9);
            assert!((row.iter().map(|y| y * y).sum::<f64>() / 7.0 - 1.0).abs() < 1e-2);
        }
        assert_all_reached(&params, &ys, &[("weight", true), ("bias", true)]);
    }

    #[test]
    fn rms_norm_starts_with_a_mean_square_of_one_and_keeps_the_direction() {
        let params = fresh(DType::F64);
        let norm = RmsNorm::new(&params, 7).unwrap();
        let xs = inputs((3, 7), DType::F64);
        let ys = norm.forward(&xs).unwrap();
        for (xs, ys) in flat(&xs).chunks(7).zip(flat(&ys).chunks(7)) {
            assert!((ys.iter().map(|y| y * y).sum::<f64>() / 7.0 - 1.0).abs() < 1e-2);
            assert!(xs.iter().zip(ys).all(|(x, y)| (x / y - xs[0] / ys[0]).abs() < 1e-9));
        }
        assert_all_reached(&params, &ys, &[("weight", true)]);
    }

    #[test]
    fn a_width_that_does_not_fit_is_named() {
        let xs = inputs((3, 5), DType::F32);
        let error = LayerNorm::new(&fresh(DType::F32), 7).unwrap().forward(&xs).unwrap_err().to_string();
        assert!(error.contains("[3, 5]") && error.contains("[7]"), "{error}");
        let error = RmsNorm::new(&fresh(DType::F32), 7).unwrap().forward(&xs).unwrap_err().to_string();
        assert!(error.contains("[3, 5]") && error.contains("[7]"), "{error}");
    }
}
