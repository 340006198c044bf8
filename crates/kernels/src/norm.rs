//! Layer normalisation and root-mean-square normalisation over the last dimension.
//!
//! Sources: Ba, Kiros and Hinton 2016, "Layer Normalization", eq. 3–4; Zhang and Sennrich 2019, "Root Mean
//! Square Layer Normalization", eq. 4. Both are one kernel: the second is the first with the mean held at 0
//! and without a bias. The backward pass recomputes a row's statistics instead of keeping them, so nothing is
//! stored between the passes and a second backward is as good as the first.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::rows::{ROW_BLOCK, combine, each_block, each_block_of_two};
use crate::tape;
use crate::vector::{Vector, load, store};
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

/// A register of 16 lanes: as many interleaved chains as every sum along a row has, whatever the processor.
type Group<A, T> = <<A as Arith>::Vector<T> as Vector>::Group;

const LANES: usize = 16;

/// A group of a row, or what is left of it, with zeros behind.
#[inline(always)]
fn group<V: Vector>(row: &[V::Number], at: usize, whole: bool) -> V {
    if whole { load(row, at) } else { V::load_part(&row[at..]) }
}

#[inline(always)]
fn put<V: Vector>(value: V, row: &mut [V::Number], at: usize, whole: bool) {
    if whole { store(value, row, at) } else { value.store_part(&mut row[at..]) }
}

/// Runs a body for every group of a row: where it begins, and whether it is whole, which is a constant.
macro_rules! groups {
    ($dim:expr, |$at:ident, $whole:ident| $body:expr) => {{
        let rest = $dim - $dim % LANES;
        let mut first = 0;
        while first < rest {
            let ($at, $whole) = (first, true);
            $body;
            first += LANES;
        }
        if rest < $dim {
            let ($at, $whole) = (rest, false);
            $body;
        }
    }};
}

/// Rows that are gone through side by side: a sum along one has to wait for every addition, those of several do
/// not wait for each other.
const TOGETHER: usize = 4;

/// Mean (0 where the norm does not centre) and reciprocal deviation of a row.
#[inline(always)]
fn statistics<V: Vector, const CENTRED: bool>(row: &[V::Number], eps: V::Number) -> (V::Number, V::Number) {
    let (dim, one) = (row.len(), V::Number::ONE / V::Number::of(row.len() as f64));
    let mut mean = V::Number::ZERO;
    if CENTRED {
        let mut sum = V::zero();
        groups!(dim, |at, whole| sum = sum + group(row, at, whole));
        mean = sum.sum() * one;
    }
    let about = V::splat(mean);
    let mut squares = V::zero();
    groups!(dim, |at, whole| {
        // Lanes beyond the end stand at the mean, so that their deviation is 0.
        let x = if whole { load::<V>(row, at) } else { V::load_part_or(&row[at..], mean) };
        squares = (x - about).fma(x - about, squares);
    });
    (mean, V::Number::ONE / (squares.sum() * one + eps).sqrt())
}

struct Forward<'a, T, const CENTRED: bool> {
    xs: &'a [T],
    weight: &'a [T],
    bias: &'a [T],
    eps: T,
    ys: &'a mut [T],
}

impl<T: Real, const CENTRED: bool> Kernel for Forward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let dim = self.weight.len();
        let together = self.xs.chunks(TOGETHER * dim).zip(self.ys.chunks_mut(TOGETHER * dim));
        for (xs, ys) in together {
            let mut found = [(T::ZERO, T::ZERO); TOGETHER];
            for (found, xs) in found.iter_mut().zip(xs.chunks_exact(dim)) {
                *found = statistics::<Group<A, T>, CENTRED>(xs, self.eps);
            }
            for ((xs, ys), found) in xs.chunks_exact(dim).zip(ys.chunks_exact_mut(dim)).zip(found) {
                let (mean, scale) = (Group::<A, T>::splat(found.0), Group::<A, T>::splat(found.1));
                groups!(dim, |at, whole| {
                    let normal = (group::<Group<A, T>>(xs, at, whole) - mean) * scale;
                    let weight = group(self.weight, at, whole);
                    let y = if CENTRED {
                        normal.fma(weight, group(self.bias, at, whole))
                    } else {
                        normal * weight
                    };
                    put(y, ys, at, whole);
                });
            }
        }
    }
}

/// Normalises rows on this thread: what [`layer_norm`] (centred) and [`rms_norm`] compute, without allocating.
pub(crate) fn normalise<T: Real, const CENTRED: bool>(
    xs: &[T],
    weight: &[T],
    bias: &[T],
    eps: f64,
    ys: &mut [T],
) {
    dispatch(Forward::<T, CENTRED> { xs, weight, bias, eps: T::of(eps), ys });
}

struct Backward<'a, T, const CENTRED: bool> {
    xs: &'a [T],
    weight: &'a [T],
    grads: &'a [T],
    eps: T,
    grad_xs: &'a mut [T],
    // [weight ‖ bias], 2 · dim, summed over the rows of this block.
    grad_parameters: &'a mut [T],
}

/// Of a row: mean, reciprocal deviation, and the means of the weighted gradient and of it times the normalised
/// row.
#[inline(always)]
fn moments<V: Vector, const CENTRED: bool>(
    xs: &[V::Number],
    weight: &[V::Number],
    grads: &[V::Number],
    eps: V::Number,
) -> [V::Number; 4] {
    let (dim, one) = (xs.len(), V::Number::ONE / V::Number::of(xs.len() as f64));
    let (mean, scale) = statistics::<V, CENTRED>(xs, eps);
    let about = V::splat(mean);
    // The weight's group is 0 beyond the end of the row, and with it both terms.
    let (mut shift, mut slant) = (V::zero(), V::zero());
    groups!(dim, |at, whole| {
        let g = group::<V>(grads, at, whole) * group(weight, at, whole);
        shift = shift + g;
        slant = g.fma(group::<V>(xs, at, whole) - about, slant);
    });
    let shift = if CENTRED { shift.sum() * one } else { V::Number::ZERO };
    [mean, scale, shift, slant.sum() * scale * one]
}

impl<T: Real, const CENTRED: bool> Kernel for Backward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let dim = self.weight.len();
        let (grad_weight, grad_bias) = self.grad_parameters.split_at_mut(dim);
        let together = self.xs.chunks(TOGETHER * dim).zip(self.grads.chunks(TOGETHER * dim));
        for ((xs, grads), out) in together.zip(self.grad_xs.chunks_mut(TOGETHER * dim)) {
            let rows = xs.chunks_exact(dim).zip(grads.chunks_exact(dim));
            let mut found = [[T::ZERO; 4]; TOGETHER];
            for (found, (xs, grads)) in found.iter_mut().zip(rows.clone()) {
                *found = moments::<Group<A, T>, CENTRED>(xs, self.weight, grads, self.eps);
            }
            for (((xs, grads), out), found) in rows.zip(out.chunks_exact_mut(dim)).zip(found) {
                let mean = Group::<A, T>::splat(found[0]);
                let scale = Group::<A, T>::splat(found[1]);
                let shift = Group::<A, T>::splat(-found[2]);
                let slant = Group::<A, T>::splat(found[3]);
                groups!(dim, |at, whole| {
                    let g = group::<Group<A, T>>(grads, at, whole);
                    let normal = (group::<Group<A, T>>(xs, at, whole) - mean) * scale;
                    let along = normal.fnma(slant, g.fma(group(self.weight, at, whole), shift));
                    put(along * scale, out, at, whole);
                    put(g.fma(normal, group(grad_weight, at, whole)), grad_weight, at, whole);
                    if CENTRED {
                        put(group::<Group<A, T>>(grad_bias, at, whole) + g, grad_bias, at, whole);
                    }
                });
            }
        }
    }
}

fn forward<T: Real, const CENTRED: bool>(xs: &[T], weight: &[T], bias: &[T], eps: f64) -> CpuStorage {
    let block = ROW_BLOCK * weight.len();
    let mut ys = vec![T::ZERO; xs.len()];
    each_block(&mut ys, block, xs.len(), |index, ys| {
        let xs = &xs[index * block..][..ys.len()];
        dispatch(Forward::<T, CENTRED> { xs, weight, bias, eps: T::of(eps), ys });
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
    let mut grad_xs = vec![T::ZERO; xs.elem_count()];
    let mut parts = vec![T::ZERO; grad_xs.len().div_ceil(block) * 2 * dim];
    with_values::<T, _>(xs, |xs| {
        with_values::<T, _>(weight, |weight| {
            with_values::<T, _>(grads, |grads| {
                each_block_of_two(
                    (&mut grad_xs, block),
                    (&mut parts, 2 * dim),
                    xs.len(),
                    |index, out, part| {
                        dispatch(Backward::<T, CENTRED> {
                            xs: &xs[index * block..][..out.len()],
                            weight,
                            grads: &grads[index * block..][..out.len()],
                            eps: T::of(eps),
                            grad_xs: out,
                            grad_parameters: part,
                        });
                    },
                );
                Ok(())
            })
        })
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
