//! Layer normalisation and root-mean-square normalisation over the last dimension.
//!
//! Sources: Ba, Kiros and Hinton 2016, "Layer Normalization", eq. 3–4; Zhang and Sennrich 2019, "Root Mean
//! Square Layer Normalization", eq. 4. Both are one kernel: the second is the first with the mean held at 0
//! and without a bias. The backward pass recomputes a row's statistics instead of keeping them, so nothing is
//! stored between the passes and a second backward is as good as the first.

mod rows;

use crate::isa::dispatch;
use crate::plumbing::{fused, operand, room, tensor, with_all};
use crate::real::Real;
use crate::reference;
use crate::rows::{ROW_BLOCK, combine, each_block, each_block_of_two};
use crate::tape;
use rows::{Backward, Forward};
pub(crate) use rows::{Parameters, normalise};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

/// `(x − mean) / √(variance + eps) · weight + bias` over the last dimension, with the biased variance.
///
/// `xs` is `[.., dim]`, `weight` and `bias` are `[dim]`; returns `[.., dim]`.
///
/// # Errors
/// `xs` is a scalar or empty in its last dimension, the parameters are not `[dim]`, or types differ.
pub fn layer_norm(xs: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    check("layer_norm", xs, &[("weight", weight), ("bias", bias)])?;
    if !fused(xs) {
        return reference::norm::layer_norm(xs, weight, bias, eps);
    }
    tape::apply3(&xs.contiguous()?, &weight.contiguous()?, &bias.contiguous()?, LayerNorm { eps })
}

/// `x / √(mean(x²) + eps) · weight` over the last dimension.
///
/// `xs` is `[.., dim]`, `weight` is `[dim]`; returns `[.., dim]`.
///
/// # Errors
/// `xs` is a scalar or empty in its last dimension, the weight is not `[dim]`, or types differ.
pub fn rms_norm(xs: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    check("rms_norm", xs, &[("weight", weight)])?;
    if !fused(xs) {
        return reference::norm::rms_norm(xs, weight, eps);
    }
    tape::apply2(&xs.contiguous()?, &weight.contiguous()?, RmsNorm { eps })
}

/// A norm that stands before another operation and is computed with it.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[dim]`
    pub weight: &'a Tensor,
    /// `[dim]`: with it, it is [`layer_norm`]; without, [`rms_norm`].
    pub bias: Option<&'a Tensor>,
    /// Added to the variance, or to the mean square.
    pub eps: f64,
}

impl Norm<'_> {
    /// [`layer_norm`] or [`rms_norm`] on its own.
    ///
    /// # Errors
    /// As theirs.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        match self.bias {
            Some(bias) => layer_norm(xs, self.weight, bias, self.eps),
            None => rms_norm(xs, self.weight, self.eps),
        }
    }

    /// Its tensors, in the order of their gradients.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(self.weight).chain(self.bias)
    }

    pub(crate) fn check(&self, name: &str, xs: &Tensor) -> Result<()> {
        let parameters: Vec<_> = ["norm.weight", "norm.bias"].into_iter().zip(self.tensors()).collect();
        check(name, xs, &parameters)
    }
}

fn check(name: &str, xs: &Tensor, parameters: &[(&str, &Tensor)]) -> Result<()> {
    let dim = match xs.dims().last() {
        Some(&dim) if dim > 0 => dim,
        _ => bail!("{name}: xs must be [.., dim] with dim > 0, got {:?}", xs.shape()),
    };
    for (which, parameter) in parameters {
        if parameter.dims() != [dim] {
            bail!("{name}: {which} must be [{dim}] for xs {:?}, got {:?}", xs.shape(), parameter.shape());
        }
        if parameter.dtype() != xs.dtype() {
            bail!("{name}: {which} is {:?} but xs is {:?}", parameter.dtype(), xs.dtype());
        }
    }
    Ok(())
}

fn forward<T: Real, const CENTRED: bool>(xs: &[T], weight: &[T], bias: &[T], eps: f64) -> CpuStorage {
    let stride = weight.len();
    let block = ROW_BLOCK * stride;
    let mut ys = room(xs.len());
    each_block(&mut ys, block, xs.len(), |index, ys| {
        let xs = &xs[index * block..][..ys.len()];
        dispatch(Forward::<T, CENTRED> { xs, weight, bias, eps: T::of(eps), ys, stride });
    });
    T::to_cpu_storage_owned(ys)
}

/// Gradients of `xs`, the weight and (where centred) the bias.
fn backward<T: Real, const CENTRED: bool>(
    xs: &Tensor,
    weight: &Tensor,
    grads: &Tensor,
    eps: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    let dim = weight.elem_count();
    let block = ROW_BLOCK * dim;
    let mut grad_xs = room(xs.elem_count());
    let mut parts = vec![T::ZERO; grad_xs.len().div_ceil(block) * 2 * dim];
    with_all::<T, _, 3>([xs, weight, grads], |[xs, weight, grads]| {
        each_block_of_two((&mut grad_xs, block), (&mut parts, 2 * dim), xs.len(), |index, out, part| {
            dispatch(Backward::<T, CENTRED> {
                xs: &xs[index * block..][..out.len()],
                weight,
                grads: &grads[index * block..][..out.len()],
                eps: T::of(eps),
                onto: None,
                grad_xs: out,
                grad_parameters: part,
            });
        });
        Ok(())
    })?;
    let mut grad_weight = combine(&parts, 2 * dim);
    let grad_bias = grad_weight.split_off(dim);
    Ok((tensor(grad_xs, xs.shape())?, tensor(grad_weight, dim)?, tensor(grad_bias, dim)?))
}

struct LayerNorm {
    eps: f64,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ys = match xs {
            CpuStorage::F32(_) => forward::<f32, true>(
                operand(xs, xs_layout)?,
                operand(weight, weight_layout)?,
                operand(bias, bias_layout)?,
                self.eps,
            ),
            _ => forward::<f64, true>(
                operand(xs, xs_layout)?,
                operand(weight, weight_layout)?,
                operand(bias, bias_layout)?,
                self.eps,
            ),
        };
        Ok((ys, xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _ys: &Tensor,
        grads: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (xs, weight, bias) = match xs.dtype() {
            DType::F32 => backward::<f32, true>(xs, weight, grads, self.eps)?,
            _ => backward::<f64, true>(xs, weight, grads, self.eps)?,
        };
        Ok((Some(xs), Some(weight), Some(bias)))
    }
}

struct RmsNorm {
    eps: f64,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ys = match xs {
            CpuStorage::F32(_) => {
                forward::<f32, false>(operand(xs, xs_layout)?, operand(weight, weight_layout)?, &[], self.eps)
            }
            _ => {
                forward::<f64, false>(operand(xs, xs_layout)?, operand(weight, weight_layout)?, &[], self.eps)
            }
        };
        Ok((ys, xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _ys: &Tensor,
        grads: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (xs, weight, _) = match xs.dtype() {
            DType::F32 => backward::<f32, false>(xs, weight, grads, self.eps)?,
            _ => backward::<f64, false>(xs, weight, grads, self.eps)?,
        };
        Ok((Some(xs), Some(weight)))
    }
}
