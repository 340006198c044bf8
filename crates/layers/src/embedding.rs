//! Learned vectors of symbols.

use candle_core::Tensor;
use seqbench_core::{Error, Init, Params, Result};

/// One learned vector a symbol.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Tensor,
}

impl Embedding {
    /// Parameter `weight` `[vocabulary, dim]`, normal with this standard deviation. PyTorch's `nn.Embedding`
    /// takes 1; a recurrent network with saturating units may need far less.
    ///
    /// # Errors
    /// The vocabulary is empty, the deviation is not a finite number of at least 0, or the parameter cannot
    /// be had (see [`Params::get_with`]).
    pub fn new(params: &Params, vocabulary: usize, dim: usize, deviation: f64) -> Result<Self> {
        if vocabulary == 0 || dim == 0 {
            return Err(Error::invalid(format!(
                "an embedding of {vocabulary} symbols in {dim} has no weights"
            )));
        }
        if !deviation.is_finite() || deviation < 0.0 {
            return Err(Error::invalid(format!("an embedding's deviation must be finite, got {deviation}")));
        }
        Ok(Embedding { table: params.get(&[vocabulary, dim], "weight", &Init::Normal { deviation })? })
    }

    /// The vectors of `tokens`, which are `[batch, time]` in row-major order: `[batch, time, dim]`.
    ///
    /// # Errors
    /// A symbol outside the vocabulary, or not `batch · time` of them.
    pub fn forward(&self, tokens: &[u32], shape: (usize, usize)) -> Result<Tensor> {
        Ok(seqbench_kernels::embedding(&self.table, tokens, shape)?)
    }

    /// The table, `[vocabulary, dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_all_reached, assert_same_seed_same_bits, flat, fresh};
    use candle_core::DType;

    #[test]
    fn equal_symbols_have_equal_vectors_and_the_table_is_reached() {
        let params = fresh(DType::F64);
        let layer = Embedding::new(&params, 5, 3, 1.0).unwrap();
        let ys = layer.forward(&[4, 1, 4, 0, 2, 3], (2, 3)).unwrap();
        assert_eq!(ys.dims(), [2, 3, 3]);
        let values = flat(&ys);
        assert_eq!(values[..3], values[6..9]);
        assert_ne!(values[..3], values[3..6]);
        assert_all_reached(&params, &ys, &[("weight", false)]);
    }

    #[test]
    fn starts_normal_with_the_deviation_asked_for() {
        for deviation in [0.02, 1.0] {
            let table = flat(Embedding::new(&fresh(DType::F64), 211, 100, deviation).unwrap().weight());
            let count = table.len() as f64;
            let mean = table.iter().sum::<f64>() / count / deviation;
            let variance = table.iter().map(|w| w * w).sum::<f64>() / count / deviation / deviation;
            let tails = table.iter().filter(|w| w.abs() > 2.0 * deviation).count() as f64 / count;
            assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
            // A normal distribution leaves 4.55 % beyond two deviations.
            assert!((tails - 0.0455).abs() < 0.006, "{tails}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        assert_same_seed_same_bits(|params| Embedding::new(params, 7, 5, 0.1).map(|_| ()));
    }

    #[test]
    fn impossible_settings_and_symbols_are_named() {
        let message = |vocabulary, deviation| {
            Embedding::new(&fresh(DType::F32), vocabulary, 3, deviation).unwrap_err().to_string()
        };
        assert!(message(0, 1.0).contains("0 symbols"));
        assert!(message(5, f64::NAN).contains("NaN"));
        let layer = Embedding::new(&fresh(DType::F32), 5, 3, 1.0).unwrap();
        assert!(layer.forward(&[5], (1, 1)).unwrap_err().to_string().contains("token 5"));
    }
}
