//! The affine map of the last dimension.

use candle_core::Tensor;
use seqbench_core::{Error, Init, Params, Result};

/// `y = x Wᵀ + b`, with PyTorch's names, layout and default initialisation.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Parameters `weight` `[outputs, inputs]` and `bias` `[outputs]`, both uniform on ±1/√inputs: PyTorch's
    /// `nn.Linear`, which is He et al. 2015, "Delving Deep into Rectifiers", with a slope of √5.
    ///
    /// # Errors
    /// A size is 0, or the parameters cannot be had (see [`Params::get_with`]).
    pub fn new(params: &Params, inputs: usize, outputs: usize) -> Result<Self> {
        let init = default_init(inputs);
        Self::with_init(params, inputs, outputs, &init, Some(&init))
    }

    /// As [`Linear::new`], without the bias.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn without_bias(params: &Params, inputs: usize, outputs: usize) -> Result<Self> {
        Self::with_init(params, inputs, outputs, &default_init(inputs), None)
    }

    /// With other initial values, and a bias only where there is one for it.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn with_init(
        params: &Params,
        inputs: usize,
        outputs: usize,
        weight: &Init<'_>,
        bias: Option<&Init<'_>>,
    ) -> Result<Self> {
        if inputs == 0 || outputs == 0 {
            return Err(Error::invalid(format!("a linear map from {inputs} to {outputs} has no weights")));
        }
        let weight = params.get(&[outputs, inputs], "weight", weight)?;
        let bias = bias.map(|init| params.get(&[outputs], "bias", init)).transpose()?;
        Ok(Linear { weight, bias })
    }

    /// `[.., inputs] -> [.., outputs]`.
    ///
    /// # Errors
    /// Another width or type, named with both shapes.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(seqbench_kernels::linear(xs, &self.weight, self.bias.as_ref())?)
    }

    /// The weight, `[outputs, inputs]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[outputs]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

fn default_init(inputs: usize) -> Init<'static> {
    Init::Uniform { bound: 1.0 / (inputs.max(1) as f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_all_reached, assert_same_seed_same_bits, flat, fresh, inputs};
    use candle_core::DType;

    #[test]
    fn maps_the_last_dimension_and_reaches_every_parameter() {
        let params = fresh(DType::F64);
        let layer = Linear::new(&params, 7, 5).unwrap();
        let ys = layer.forward(&inputs((3, 2, 7), DType::F64)).unwrap();
        assert_eq!(ys.dims(), [3, 2, 5]);
        assert_all_reached(&params, &ys, &[("weight", false), ("bias", true)]);
    }

    #[test]
    fn without_a_bias_zero_maps_to_zero() {
        let params = fresh(DType::F32);
        let layer = Linear::without_bias(&params, 7, 5).unwrap();
        let zeros = inputs((3, 7), DType::F32).zeros_like().unwrap();
        assert!(flat(&layer.forward(&zeros).unwrap()).iter().all(|y| *y == 0.0));
        assert!(layer.bias().is_none());
        assert_all_reached(
            &params,
            &layer.forward(&inputs((3, 7), DType::F32)).unwrap(),
            &[("weight", false)],
        );
    }

    #[test]
    fn starts_uniform_on_one_over_the_root_of_the_inputs() {
        let layer = Linear::new(&fresh(DType::F64), 100, 211).unwrap();
        let weight = flat(layer.weight());
        let mean = weight.iter().sum::<f64>() / weight.len() as f64;
        let variance = weight.iter().map(|w| w * w).sum::<f64>() / weight.len() as f64;
        assert!(weight.iter().all(|w| w.abs() <= 0.1) && weight.iter().any(|w| w.abs() > 0.0999));
        // A uniform distribution on ±0.1 has variance 0.01/3.
        assert!(mean.abs() < 2e-3 && (variance * 300.0 - 1.0).abs() < 0.03, "{mean} {variance}");
        assert!(flat(layer.bias().unwrap()).iter().all(|b| b.abs() <= 0.1));
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        assert_same_seed_same_bits(|params| Linear::new(params, 7, 5).map(|_| ()));
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        assert!(Linear::new(&fresh(DType::F32), 0, 5).unwrap_err().to_string().contains("from 0 to 5"));
        let layer = Linear::new(&fresh(DType::F32), 7, 5).unwrap();
        let error = layer.forward(&inputs((3, 5), DType::F32)).unwrap_err().to_string();
        assert!(error.contains("[3, 5]") && error.contains("[5, 7]"), "{error}");
    }
}
