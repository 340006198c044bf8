//! The gradients' global norm and how they are clipped on their way into an update.
//!
//! Clipping by norm is Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural
//! networks", algorithm 1: above the limit, all gradients are scaled by `limit / norm`.

use super::update::splits;
use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::operand;
use crate::real::Real;
use candle_core::{CpuStorage, Device, Result, Storage, Tensor, Var, bail};
use rayon::prelude::*;

/// How gradients are limited before an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Not at all.
    None,
    /// Scales all gradients together, so that their global norm is at most this.
    Norm(f64),
    /// Clamps each element to at most this in absolute value.
    Value(f64),
}

/// Global norms of a step's gradients after `gradient_scale`, before and after clipping. Without clipping the
/// two are the same. Not finite where a gradient is not, in which case the step changed nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a norm that is not finite means that the step changed nothing"]
pub struct GradientNorms {
    /// Before clipping.
    pub before: f64,
    /// After clipping: what the update consumed.
    pub after: f64,
}

impl GradientNorms {
    /// Whether the update was applied; false is divergence.
    pub fn is_finite(&self) -> bool {
        self.before.is_finite() && self.after.is_finite()
    }
}

/// Euclidean norm of all gradients together, accumulated in double precision in the order of the slice and,
/// within a tensor, in blocks of a fixed size and a fixed number of interleaved chains. A missing gradient counts as 0.
///
/// # Errors
/// A gradient is neither `f32` nor `f64`.
pub fn global_norm(gradients: &[Option<&Tensor>]) -> Result<f64> {
    Ok(squares(gradients, Scaling { factor: 1.0, limit: f64::INFINITY })?.0.sqrt())
}

/// What happens to each gradient element as an update consumes it: multiplied by `factor`, then clamped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scaling {
    factor: f64,
    limit: f64,
}

impl Scaling {
    pub(super) fn narrow<T: Real>(self) -> (T, T) {
        (T::of(self.factor), T::of(self.limit))
    }
}

/// One gradient element as an update consumes it. A value that is not a number stays so.
#[inline(always)]
pub(super) fn scaled<T: Real>(gradient: T, (factor, limit): (T, T)) -> T {
    let value = gradient * factor;
    let value = if value > limit { limit } else { value };
    if value < -limit { -limit } else { value }
}

/// Checks a step's arguments and measures its gradients.
pub(super) fn measure(
    parameters: &[Var],
    gradients: &[Option<&Tensor>],
    sizes: &[Vec<f32>],
    learning_rate: f64,
    gradient_scale: f64,
    clip: Clip,
) -> Result<(GradientNorms, Scaling)> {
    if parameters.len() != sizes.len() || gradients.len() != sizes.len() {
        bail!(
            "optimizer: made for {} parameters, given {} and {} gradients",
            sizes.len(),
            parameters.len(),
            gradients.len()
        );
    }
    for (index, ((parameter, gradient), size)) in parameters.iter().zip(gradients).zip(sizes).enumerate() {
        if parameter.elem_count() != size.len() {
            bail!(
                "optimizer: parameter {index} has shape {:?}, but {} elements were expected",
                parameter.shape(),
                size.len()
            );
        }
        let Some(gradient) = gradient else { continue };
        if gradient.shape() != parameter.shape() || gradient.dtype() != parameter.dtype() {
            bail!(
                "optimizer: parameter {index} is {:?} {:?}, its gradient {:?} {:?}",
                parameter.dtype(),
                parameter.shape(),
                gradient.dtype(),
                gradient.shape()
            );
        }
    }
    if !learning_rate.is_finite() || !gradient_scale.is_finite() {
        bail!("optimizer: learning rate {learning_rate} and gradient scale {gradient_scale} must be finite");
    }
    let limit = match clip {
        Clip::Norm(limit) | Clip::Value(limit) if limit.is_nan() || limit <= 0.0 => {
            bail!("optimizer: the clipping limit must be positive, got {limit}")
        }
        Clip::Value(limit) => limit,
        Clip::None | Clip::Norm(_) => f64::INFINITY,
    };
    let mut scaling = Scaling { factor: gradient_scale, limit };
    let (before, after) = squares(gradients, scaling)?;
    let mut norms = GradientNorms { before: before.sqrt(), after: after.sqrt() };
    match clip {
        Clip::Norm(limit) if norms.before > limit && norms.before.is_finite() => {
            scaling.factor *= limit / norms.before;
            norms.after = limit;
        }
        Clip::Norm(_) | Clip::None | Clip::Value(_) => {}
    }
    Ok((norms, scaling))
}

/// Elements summed before the sum is joined to the others in order: a fixed number, so that the order of
/// additions does not depend on the number of threads.
const BLOCK: usize = 1 << 14;

/// Sums of squares over all gradients: scaled only, and scaled and clamped.
fn squares(gradients: &[Option<&Tensor>], scaling: Scaling) -> Result<(f64, f64)> {
    let total: usize = gradients.iter().flatten().map(|gradient| gradient.elem_count()).sum();
    let mut sum = (0.0, 0.0);
    let mut join = |(before, after): (f64, f64)| {
        sum.0 += before;
        sum.1 += after;
    };
    if splits(total) {
        let parts = gradients.par_iter().flatten().map(|gradient| squares_of(gradient, scaling, true));
        parts.collect::<Result<Vec<_>>>()?.into_iter().for_each(&mut join);
    } else {
        for gradient in gradients.iter().flatten() {
            join(squares_of(gradient, scaling, false)?);
        }
    }
    Ok(sum)
}

fn squares_of(gradient: &Tensor, scaling: Scaling, split: bool) -> Result<(f64, f64)> {
    let here;
    let gradient = if gradient.device().is_cpu() && gradient.is_contiguous() {
        gradient
    } else {
        here = gradient.to_device(&Device::Cpu)?.contiguous()?;
        &here
    };
    let (storage, layout) = gradient.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu @ CpuStorage::F32(_)) => Ok(blocks(operand::<f32>(cpu, layout)?, scaling, split)),
        Storage::Cpu(cpu @ CpuStorage::F64(_)) => Ok(blocks(operand::<f64>(cpu, layout)?, scaling, split)),
        _ => bail!("optimizer: a gradient is {:?}; f32 and f64 are supported", gradient.dtype()),
    }
}

fn blocks<T: Real>(g: &[T], scaling: Scaling, split: bool) -> (f64, f64) {
    let join = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
    if split && g.len() > BLOCK {
        let parts: Vec<_> = g.par_chunks(BLOCK).map(|g| dispatch(Squares { g, scaling })).collect();
        return parts.into_iter().fold((0.0, 0.0), join);
    }
    g.chunks(BLOCK).map(|g| dispatch(Squares { g, scaling })).fold((0.0, 0.0), join)
}

struct Squares<'a, T> {
    g: &'a [T],
    scaling: Scaling,
}

/// Interleaved chains of a sum: enough of them that additions need not wait for each other.
const CHAINS: usize = 64;

impl<T: Real> Kernel for Squares<'_, T> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run<A: Arith>(self) -> (f64, f64) {
        let Scaling { factor, limit } = self.scaling;
        let before = sum_of_squares::<T, A>(self.g, |g| g * factor);
        if limit == f64::INFINITY {
            return (before, before);
        }
        (before, sum_of_squares::<T, A>(self.g, |g| scaled(g, (factor, limit))))
    }
}

#[inline(always)]
fn sum_of_squares<T: Real, A: Arith>(values: &[T], change: impl Fn(f64) -> f64) -> f64 {
    let mut chains = [0.0; CHAINS];
    let whole = values.chunks_exact(CHAINS);
    let rest = whole.remainder();
    for values in whole {
        for (chain, value) in chains.iter_mut().zip(values) {
            let value = change(value.wide());
            *chain = A::fma(value, value, *chain);
        }
    }
    for (chain, value) in chains.iter_mut().zip(rest) {
        let value = change(value.wide());
        *chain = A::fma(value, value, *chain);
    }
    let mut width = CHAINS / 2;
    while width > 0 {
        for at in 0..width {
            chains[at] += chains[at + width];
        }
        width /= 2;
    }
    chains[0]
}
