//! The position-wise half of a residual block, as one operation: norm, map up, GELU, map down, residual.
//!
//! Source: Vaswani et al. 2017, "Attention Is All You Need", eq. 2, with the GELU of Hendrycks and Gimpel 2016 and the
//! norm before it as in Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture". Its inner rows are
//! four times as wide as the stream, so that separate operations move more than ten times the stream through memory
//! for them; here they are made and used up while they are in the second-level cache. Only what GELU was taken of is
//! kept for the backward pass.

mod passes;

use crate::activation::gelu;
use crate::linear::{check, linear_onto, normed_linear};
use crate::norm::{Norm, Parameters};
use crate::plumbing::{expect_dtype, expect_shape, fused, tensor, with_each};
use crate::product::{Matrix, Packed};
use crate::real::Real;
use crate::tape::{self, Reverse};
use candle_core::{DType, Result, Tensor};
use passes::{Network, Sizes};

/// `x + W₂ gelu(W₁ norm(x) + b₁) + b₂`: xs `[.., dim]`, `up` is W₁ `[hidden, dim]` and b₁ `[hidden]`, `down` is W₂
/// `[dim, hidden]` and b₂ `[dim]`; result `[.., dim]`. Differentiable in all arguments. Values are those of
/// [`normed_linear`], [`gelu`](crate::gelu()) and [`linear_onto`] bit for bit.
///
/// # Errors
/// Shapes do not fit together or types differ.
pub fn feed_forward(
    xs: &Tensor,
    norm: &Norm<'_>,
    up: (&Tensor, &Tensor),
    down: (&Tensor, &Tensor),
) -> Result<Tensor> {
    norm.check("feed_forward", xs)?;
    check(xs, up.0, Some(up.1))?;
    let (hidden, dim) = up.0.dims2()?;
    expect_shape("feed_forward", "down.weight", down.0, &[dim, hidden])?;
    expect_shape("feed_forward", "down.bias", down.1, &[dim])?;
    let parameters = [up.0, up.1, down.0, down.1];
    let mut operands = vec![xs.contiguous()?];
    for parameter in parameters.into_iter().chain(norm.tensors()) {
        expect_dtype("feed_forward", "a parameter", parameter, xs)?;
        operands.push(parameter.contiguous()?);
    }
    if !fused(xs) || hidden == 0 || tape::wants_graph(&operands) {
        let inner = gelu(&normed_linear(xs, norm, up.0, Some(up.1))?)?;
        return linear_onto(&inner, down.0, Some(down.1), xs);
    }
    match xs.dtype() {
        DType::F32 => forward::<f32>(&operands, norm.eps),
        _ => forward::<f64>(&operands, norm.eps),
    }
}

fn sizes(operands: &[Tensor]) -> Result<Sizes> {
    let (hidden, dim) = operands[1].dims2()?;
    Ok(Sizes { rows: operands[0].elem_count() / dim.max(1), dim, hidden })
}

/// The norm among the operands: xs, W₁, b₁, W₂, b₂, the norm's weight and its bias if it has one.
fn norm<'a, T: Real>(operands: &[&'a [T]], eps: f64) -> Parameters<'a, T> {
    Parameters { weight: operands[5], bias: operands.get(6).copied(), eps: T::of(eps) }
}

fn forward<T: Real>(operands: &[Tensor], eps: f64) -> Result<Tensor> {
    let sizes = sizes(operands)?;
    let lent: Vec<_> = operands.iter().collect();
    let records = tape::records(&lent);
    let (ys, inner) = with_each::<T, _>(&lent, |operands| {
        let Sizes { dim, hidden, .. } = sizes;
        let up = Packed::new(Matrix::new(operands[1], dim).transposed(), dim, hidden);
        let down = Packed::new(Matrix::new(operands[3], hidden).transposed(), hidden, dim);
        let biases = [operands[2], operands[4]];
        let network =
            Network { xs: operands[0], norm: norm(operands, eps), up: &up, down: &down, biases, sizes };
        Ok(passes::forward(&network, records))
    })?;
    if !records {
        return tensor(ys, operands[0].shape());
    }
    let ys = tape::result(T::to_cpu_storage_owned(ys), operands[0].shape())?;
    tape::note(FeedForward { eps, inner }, &lent, &[&ys]);
    Ok(ys)
}

struct FeedForward<T> {
    eps: f64,
    /// What GELU was taken of, `[rows, hidden]`.
    inner: Vec<T>,
}

impl<T: Real> Reverse for FeedForward<T> {
    fn reverse(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(upstream) = &gradients[0] else { return Ok(Vec::new()) };
        let sizes = sizes(operands)?;
        let lent: Vec<_> = operands.iter().chain([upstream]).collect();
        let (xs, found) = with_each::<T, _>(&lent, |lent| {
            let Sizes { dim, hidden, .. } = sizes;
            let (operands, upstream) = lent.split_at(operands.len());
            let up = Packed::new(Matrix::new(operands[1], dim), hidden, dim);
            let down = Packed::new(Matrix::new(operands[3], hidden), dim, hidden);
            let biases = [operands[2], operands[4]];
            let network = Network {
                xs: operands[0],
                norm: norm(operands, self.eps),
                up: &up,
                down: &down,
                biases,
                sizes,
            };
            Ok(passes::backward(&network, &self.inner, upstream[0]))
        })?;
        let mut gradients = vec![Some(tensor(xs, operands[0].shape())?)];
        let mut rest = &found[..];
        for operand in &operands[1..] {
            let (own, others) = rest.split_at(operand.elem_count());
            gradients.push(Some(tensor(own.to_vec(), operand.shape())?));
            rest = others;
        }
        Ok(gradients)
    }
}
