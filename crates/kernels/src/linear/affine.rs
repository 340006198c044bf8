//! The affine map with a norm before it or a residual after it: the first and the last map of a residual block,
//! each of which then reads and writes the block's stream once.

use super::passes::{self, Map};
use super::{check, linear, mapped};
use crate::norm::{Norm, Parameters};
use crate::plumbing::{expect_dtype, expect_shape, fused, tensor, with_each};
use crate::product::{Matrix, Packed};
use crate::real::Real;
use crate::residual::add;
use crate::tape::{self, Reverse};
use candle_core::{DType, Result, Tensor};

/// `norm(x) Wᵀ + b`: [`linear`](super::linear) of the normalised rows, bit for bit. xs `[.., in]`, weight `[out, in]`,
/// bias `[out]`; result `[.., out]`. Differentiable in all arguments.
///
/// # Errors
/// As [`linear`](super::linear) and the norm.
pub fn normed_linear(xs: &Tensor, norm: &Norm<'_>, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    norm.check("normed_linear", xs)?;
    check(xs, weight, bias)?;
    let mut operands = vec![xs.contiguous()?, weight.contiguous()?];
    operands.extend(bias.map(Tensor::contiguous).transpose()?);
    operands.extend(norm.tensors().cloned());
    if !fused(xs) || tape::wants_graph(&operands) {
        return linear(&norm.forward(xs)?, weight, bias);
    }
    let affine =
        Affine { bias: bias.is_some(), norm: Some((norm.bias.is_some(), norm.eps)), residual: false };
    affine.apply(&operands)
}

/// `r + x Wᵀ + b`: [`add`](crate::add) of a residual r to [`linear`](super::linear), bit for bit. xs `[.., in]`,
/// weight `[out, in]`, bias `[out]`, residual and result `[.., out]`. Differentiable in all arguments.
///
/// # Errors
/// As [`linear`](super::linear), or the residual does not fit the result.
pub fn linear_onto(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>, residual: &Tensor) -> Result<Tensor> {
    check(xs, weight, bias)?;
    let (shape, _) = mapped(xs.shape(), weight.dims2()?.0);
    expect_shape("linear_onto", "residual", residual, shape.dims())?;
    expect_dtype("linear_onto", "residual", residual, xs)?;
    let mut operands = vec![xs.contiguous()?, weight.contiguous()?];
    operands.extend(bias.map(Tensor::contiguous).transpose()?);
    operands.push(residual.contiguous()?);
    if !fused(xs) || tape::wants_graph(&operands) {
        return add(residual, &linear(xs, weight, bias)?);
    }
    Affine { bias: bias.is_some(), norm: None, residual: true }.apply(&operands)
}

/// Which operands follow xs and the weight, in this order.
#[derive(Clone, Copy)]
struct Affine {
    bias: bool,
    /// Whether it has a bias, and its ε.
    norm: Option<(bool, f64)>,
    residual: bool,
}

impl Affine {
    fn apply(self, operands: &[Tensor]) -> Result<Tensor> {
        match operands[0].dtype() {
            DType::F32 => self.forward::<f32>(operands),
            _ => self.forward::<f64>(operands),
        }
    }

    /// The map of operands as they were noted, with the weight as it is packed.
    fn map<'a, T: Real>(
        self,
        operands: &[&'a [T]],
        weight: &'a Packed<T>,
        [rows, inputs, outputs]: [usize; 3],
    ) -> Map<'a, T> {
        let mut rest = operands[2..].iter().copied();
        let bias = self.bias.then(|| rest.next()).flatten();
        let norm = self.norm.and_then(|(has_bias, eps)| {
            let weight = rest.next()?;
            let bias = has_bias.then(|| rest.next()).flatten();
            Some(Parameters { weight, bias, eps: T::of(eps) })
        });
        let residual = self.residual.then(|| rest.next()).flatten();
        Map { xs: operands[0], weight, bias, norm, residual, rows, inputs, outputs }
    }

    fn forward<T: Real>(self, operands: &[Tensor]) -> Result<Tensor> {
        let (outputs, inputs) = operands[1].dims2()?;
        let (shape, rows) = mapped(operands[0].shape(), outputs);
        let lent: Vec<_> = operands.iter().collect();
        let ys = with_each::<T, _>(&lent, |operands| {
            let weight = Packed::new(Matrix::new(operands[1], inputs).transposed(), inputs, outputs);
            Ok(passes::forward(&self.map(operands, &weight, [rows, inputs, outputs])))
        })?;
        if !tape::records(&lent) {
            return tensor(ys, shape);
        }
        let ys = tape::result(T::to_cpu_storage_owned(ys), shape)?;
        tape::note(self, &lent, &[&ys]);
        Ok(ys)
    }

    fn backward<T: Real>(
        self,
        operands: &[Tensor],
        upstream: &Tensor,
        onto: Option<&Tensor>,
    ) -> Result<Vec<Option<Tensor>>> {
        let (outputs, inputs) = operands[1].dims2()?;
        let (_, rows) = mapped(operands[0].shape(), outputs);
        let lent: Vec<_> = operands.iter().chain([upstream]).chain(onto).collect();
        let found = with_each::<T, _>(&lent, |lent| {
            let (operands, gradients) = lent.split_at(operands.len());
            let weight = Packed::new(Matrix::new(operands[1], inputs), outputs, inputs);
            let map = self.map(operands, &weight, [rows, inputs, outputs]);
            Ok(passes::backward(&map, gradients[0], gradients.get(1).copied()))
        })?;
        let mut gradients = vec![
            Some(tensor(found.xs, operands[0].shape())?),
            Some(tensor(found.weight, operands[1].shape())?),
        ];
        if self.bias {
            gradients.push(Some(tensor(found.bias, outputs)?));
        }
        if let Some((has_bias, _)) = self.norm {
            let (weight, bias) = found.norm.split_at(inputs);
            gradients.push(Some(tensor(weight.to_vec(), inputs)?));
            if has_bias {
                gradients.push(Some(tensor(bias.to_vec(), inputs)?));
            }
        }
        if self.residual {
            gradients.push(Some(upstream.clone()));
        }
        Ok(gradients)
    }
}

impl Reverse for Affine {
    fn reverse(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        self.reverse_onto(operands, results, gradients, None)
    }

    fn reverse_onto(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Option<Tensor>],
        onto: Option<Tensor>,
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(upstream) = &gradients[0] else { return Ok(vec![onto]) };
        match upstream.dtype() {
            DType::F32 => self.backward::<f32>(operands, upstream, onto.as_ref()),
            _ => self.backward::<f64>(operands, upstream, onto.as_ref()),
        }
    }
}
