//! The gradients' global norm and how they are clipped on their way into an update.
//!
//! Clipping by norm is Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural
//! networks", algorithm 1: above the limit, all gradients are scaled by `limit / norm`.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::with_values;
use crate::real::Real;
use crate::rows::fold;
use candle_core::{DType, Device, Result, Tensor, Var, bail};

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
/// within a tensor, in a fixed number of interleaved chains. A missing gradient counts as 0.
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

/// Sums of squares over all gradients: scaled only, and scaled and clamped.
fn squares(gradients: &[Option<&Tensor>], scaling: Scaling) -> Result<(f64, f64)> {
    let (mut before, mut after) = (0.0, 0.0);
    for gradient in gradients.iter().flatten() {
        let gradient = gradient.to_device(&Device::Cpu)?;
        let (scaled, clamped) = match gradient.dtype() {
            DType::F32 => with_values::<f32, _>(&gradient, |g| Ok(dispatch(Squares { g, scaling })))?,
            DType::F64 => with_values::<f64, _>(&gradient, |g| Ok(dispatch(Squares { g, scaling })))?,
            other => bail!("optimizer: a gradient is {other:?}; f32 and f64 are supported"),
        };
        before += scaled;
        after += clamped;
    }
    Ok((before, after))
}

struct Squares<'a, T> {
    g: &'a [T],
    scaling: Scaling,
}

impl<T: Real> Kernel for Squares<'_, T> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run<A: Arith>(self) -> (f64, f64) {
        let Scaling { factor, limit } = self.scaling;
        let square = |total: f64, value: f64| A::fma(value, value, total);
        let before = fold(0.0, [self.g], |total, [g]| square(total, g.wide() * factor), |a, b| a + b);
        if limit == f64::INFINITY {
            return (before, before);
        }
        let clamped = |total, [g]: [T; 1]| square(total, scaled(g.wide(), (factor, limit)));
        (before, fold(0.0, [self.g], clamped, |a, b| a + b))
    }
}
