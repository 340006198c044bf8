//! The affine map `y = x Wᵀ + b`. A row's result is one chain that begins with the bias, and depends neither on
//! the other rows nor on the threads; the weight gradient is summed over fixed shares of the rows.

mod affine;
mod passes;

pub use affine::{linear_onto, normed_linear};
pub(crate) use passes::{Share, begin, over_shares, some_rows, tiles};

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{expect_dtype, expect_shape, fused, operand, tensor, with_all, with_values};
use crate::product::{Matrix, Packed};
use crate::real::Real;
use crate::reference;
use crate::tape;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor};
use passes::Map;

/// Applies `y = x Wᵀ + b` to the last dimension: xs `[.., in]`, weight `[out, in]`, bias `[out]`, result
/// `[.., out]`. Differentiable in all arguments.
///
/// # Errors
/// Shapes do not fit together or types differ.
pub fn linear(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    check(xs, weight, bias)?;
    if !fused(xs) {
        return reference::linear(xs, weight, bias);
    }
    let (xs, weight) = (xs.contiguous()?, weight.contiguous()?);
    let Some(bias) = bias else { return tape::apply2(&xs, &weight, Linear) };
    tape::apply3(&xs, &weight, &bias.contiguous()?, Linear)
}

pub(crate) fn check(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<()> {
    let Ok((outputs, inputs)) = weight.dims2() else {
        candle_core::bail!("linear: weight is {:?}, expected [out, in]", weight.dims());
    };
    if xs.dims().last() != Some(&inputs) {
        candle_core::bail!(
            "linear: xs is {:?}, expected [.., {inputs}] for weight {:?}",
            xs.dims(),
            weight.dims()
        );
    }
    expect_dtype("linear", "weight", weight, xs)?;
    if let Some(bias) = bias {
        expect_shape("linear", "bias", bias, &[outputs])?;
        expect_dtype("linear", "bias", bias, xs)?;
    }
    Ok(())
}

/// [`linear`] on plain slices for decoders: the weight is laid out once and a call allocates nothing. Values
/// equal those of [`linear`] bit for bit.
#[derive(Clone, Debug)]
pub struct LinearCell<T> {
    weight: Packed<T>,
    bias: Option<Vec<T>>,
    inputs: usize,
    outputs: usize,
}

impl<T: Real> LinearCell<T> {
    /// Takes over weight `[out, in]` and bias `[out]`.
    ///
    /// # Errors
    /// Shapes do not fit together, or the tensors are not CPU tensors of type `T`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        if let Some(bias) = bias {
            expect_shape("linear", "bias", bias, &[outputs])?;
        }
        Ok(LinearCell {
            weight: packed_weight(weight, outputs, inputs)?,
            bias: bias.map(|bias| with_values(bias, |bias| Ok(bias.to_vec()))).transpose()?,
            inputs,
            outputs,
        })
    }

    /// `ys[batch, out] = xs[batch, in] · Wᵀ + b`; the batch follows from the length of `ys`. Panics where `xs`
    /// is shorter than that.
    pub fn step(&self, xs: &[T], ys: &mut [T]) {
        dispatch(Step { cell: self, xs, ys });
    }
}

/// A weight `[out, in]` laid out as the right-hand side `[in, out]`.
pub(crate) fn packed_weight<T: Real>(weight: &Tensor, outputs: usize, inputs: usize) -> Result<Packed<T>> {
    with_values(weight, |weight| Ok(Packed::new(Matrix::new(weight, inputs).transposed(), inputs, outputs)))
}

struct Step<'a, T> {
    cell: &'a LinearCell<T>,
    xs: &'a [T],
    ys: &'a mut [T],
}

impl<T: Real> Kernel for Step<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let LinearCell { weight, bias, inputs, outputs } = self.cell;
        let batch = self.ys.len() / outputs.max(&1);
        let start = passes::begin::<A, T>(self.ys, bias.as_deref());
        weight.product::<A>(self.ys, *outputs, batch, Matrix::new(self.xs, *inputs), start);
    }
}

struct Linear;

fn forward<T: Real>(
    xs: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    xs_shape: &Layout,
    weight_shape: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let (outputs, inputs) = weight_shape.shape().dims2()?;
    let (shape, rows) = mapped(xs_shape.shape(), outputs);
    let weight = &Packed::new(Matrix::new(weight, inputs).transposed(), inputs, outputs);
    let ys = passes::forward(&Map { xs, weight, bias, norm: None, residual: None, rows, inputs, outputs });
    Ok((T::to_cpu_storage_owned(ys), shape))
}

/// The result's shape, and its number of rows.
fn mapped(xs: &Shape, outputs: usize) -> (Shape, usize) {
    let mut shape = xs.dims().to_vec();
    let rows = shape[..shape.len() - 1].iter().product();
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    (shape.into(), rows)
}

/// Gradients of xs, weight and bias, the latter whether or not there is one: it costs a sum.
fn backward<T: Real>(xs: &Tensor, weight: &Tensor, upstream: &Tensor) -> Result<[Tensor; 3]> {
    let (outputs, inputs) = weight.dims2()?;
    let (_, rows) = mapped(xs.shape(), outputs);
    with_all::<T, _, 3>([xs, weight, upstream], |[x, w, g]| {
        let packed = &Packed::new(Matrix::new(w, inputs), outputs, inputs);
        let map =
            Map { xs: x, weight: packed, bias: None, norm: None, residual: None, rows, inputs, outputs };
        let found = passes::backward(&map, g, None);
        Ok([
            tensor(found.xs, xs.shape())?,
            tensor(found.weight, weight.shape())?,
            tensor(found.bias, outputs)?,
        ])
    })
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match xs {
            CpuStorage::F32(_) => forward::<f32>(operand(xs, xl)?, operand(w, wl)?, None, xl, wl),
            _ => forward::<f64>(operand(xs, xl)?, operand(w, wl)?, None, xl, wl),
        }
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = match xs.dtype() {
            DType::F32 => backward::<f32>(xs, weight, upstream)?,
            _ => backward::<f64>(xs, weight, upstream)?,
        };
        Ok((Some(dx), Some(dw)))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match xs {
            CpuStorage::F32(_) => {
                forward::<f32>(operand(xs, xl)?, operand(w, wl)?, Some(operand(b, bl)?), xl, wl)
            }
            _ => forward::<f64>(operand(xs, xl)?, operand(w, wl)?, Some(operand(b, bl)?), xl, wl),
        }
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = match xs.dtype() {
            DType::F32 => backward::<f32>(xs, weight, upstream)?,
            _ => backward::<f64>(xs, weight, upstream)?,
        };
        Ok((Some(dx), Some(dw), Some(db)))
    }
}
