//! Norms and activations on plain slices for decoders: parameters are taken over once and a call allocates
//! nothing. Values equal those of the operations bit for bit, because they are the same kernels.

use crate::activation::{gelu_into, softplus_into};
use crate::norm::normalise;
use crate::plumbing::{expect_shape, with_values};
use crate::real::Real;
use candle_core::{Result, Tensor};

/// [`layer_norm`](crate::layer_norm) or [`rms_norm`](crate::rms_norm) on plain slices.
#[derive(Clone, Debug)]
pub struct NormCell<T> {
    weight: Vec<T>,
    // Only the centred norm has one.
    bias: Option<Vec<T>>,
    eps: f64,
}

impl<T: Real> NormCell<T> {
    /// Takes over the layer norm's weight and bias, both `[dim]`.
    ///
    /// # Errors
    /// Shapes differ, or the tensors are not CPU tensors of type `T`.
    pub fn layer(weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Self> {
        let dim = weight.dims1()?;
        expect_shape("layer_norm", "bias", bias, &[dim])?;
        Ok(NormCell { weight: taken(weight)?, bias: Some(taken(bias)?), eps })
    }

    /// Takes over the root-mean-square norm's weight, `[dim]`.
    ///
    /// # Errors
    /// Another shape, or no CPU tensor of type `T`.
    pub fn rms(weight: &Tensor, eps: f64) -> Result<Self> {
        weight.dims1()?;
        Ok(NormCell { weight: taken(weight)?, bias: None, eps })
    }

    /// `ys[batch, dim]` from `xs[batch, dim]`; whole rows of the shorter of the two.
    pub fn step(&self, xs: &[T], ys: &mut [T]) {
        match &self.bias {
            Some(bias) => normalise::<T, true>(xs, &self.weight, bias, self.eps, ys),
            None => normalise::<T, false>(xs, &self.weight, &[], self.eps, ys),
        }
    }
}

/// [`gelu`](crate::gelu) on plain slices, as many elements as the shorter has.
pub fn gelu_slice<T: Real>(xs: &[T], ys: &mut [T]) {
    gelu_into(xs, ys);
}

/// [`softplus`](crate::softplus) on plain slices of equal lengths.
pub fn softplus_slice<T: Real>(xs: &[T], ys: &mut [T]) {
    softplus_into(xs, ys);
}

fn taken<T: Real>(tensor: &Tensor) -> Result<Vec<T>> {
    with_values(tensor, |values| Ok(values.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i * 37 % 101) as f32 * 0.07 - 3.1).collect()
    }

    fn tensor(values: &[f32], shape: (usize, usize)) -> Tensor {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn cells_compute_the_operations_bit_for_bit() {
        for (batch, dim) in [(1, 1), (5, 3), (1, 17), (3, 100)] {
            let xs = values(batch * dim);
            let weight = Tensor::new(&values(2 * dim)[dim..], &Device::Cpu).unwrap();
            let bias = Tensor::new(&values(3 * dim)[2 * dim..], &Device::Cpu).unwrap();
            let input = tensor(&xs, (batch, dim));
            let mut got = vec![0.0; xs.len()];
            let mut expect = |step: &dyn Fn(&[f32], &mut [f32]), want: Tensor| {
                step(&xs, &mut got);
                assert_eq!(got, want.flatten_all().unwrap().to_vec1::<f32>().unwrap(), "[{batch}, {dim}]");
            };
            let layer = NormCell::layer(&weight, &bias, 1e-5).unwrap();
            let want = crate::layer_norm(&input, &weight, &bias, 1e-5).unwrap();
            expect(&|xs, ys| layer.step(xs, ys), want);
            let rms = NormCell::rms(&weight, 1e-5).unwrap();
            expect(&|xs, ys| rms.step(xs, ys), crate::rms_norm(&input, &weight, 1e-5).unwrap());
            expect(&|xs, ys| gelu_slice(xs, ys), crate::gelu(&input).unwrap());
        }
    }

    #[test]
    fn parameters_that_do_not_fit_are_named() {
        let (three, four) = ([1f32; 3], [1f32; 4]);
        let [weight, bias] = [&three[..], &four[..]].map(|x| Tensor::new(x, &Device::Cpu).unwrap());
        let message = NormCell::<f32>::layer(&weight, &bias, 1e-5).unwrap_err().to_string();
        assert!(message.contains("bias is [4], expected [3]"), "{message}");
        assert!(NormCell::<f64>::rms(&weight, 1e-5).is_err());
    }
}
