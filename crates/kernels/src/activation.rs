//! Smooth activations, elementwise.
//!
//! Sources: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", eq. 2 (the exact form, with the error
//! function) and its SiLU, section 2. The backward pass recomputes from the input, so nothing is stored.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::rows::each_block;
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;

/// `x · Φ(x)` with Φ the normal distribution function; any shape, which the result keeps.
///
/// # Errors
/// The type is not a floating-point one.
pub fn gelu(xs: &Tensor) -> Result<Tensor> {
    if !fused(xs) {
        return reference::activation::gelu(xs);
    }
    tape::apply1(&xs.contiguous()?, Elementwise::<Gelu>(PhantomData))
}

/// `x · σ(x)` with σ the logistic function; any shape, which the result keeps.
///
/// # Errors
/// The type is not a floating-point one.
pub fn silu(xs: &Tensor) -> Result<Tensor> {
    if !fused(xs) {
        return reference::activation::silu(xs);
    }
    tape::apply1(&xs.contiguous()?, Elementwise::<Silu>(PhantomData))
}

/// Elements handed to one thread at a time.
const BLOCK: usize = 1 << 12;

trait Activation: Send + Sync + 'static {
    const NAME: &'static str;
    fn value<T: Real, A: Arith>(x: T) -> T;
    fn slope<T: Real, A: Arith>(x: T) -> T;
}

struct Gelu;

impl Activation for Gelu {
    const NAME: &'static str = "gelu";
    #[inline(always)]
    fn value<T: Real, A: Arith>(x: T) -> T {
        x * normal_distribution::<T, A>(x)
    }
    #[inline(always)]
    fn slope<T: Real, A: Arith>(x: T) -> T {
        // The square of a large x overflows to ∞, whose exponential is 0 as it should be.
        let density = T::of(0.398_942_280_401_432_7) * (-(x * x) * T::of(0.5)).exp::<A>();
        A::fma(x, density, normal_distribution::<T, A>(x))
    }
}

#[inline(always)]
fn normal_distribution<T: Real, A: Arith>(x: T) -> T {
    T::of(0.5) * (T::ONE + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf::<A>())
}

struct Silu;

impl Activation for Silu {
    const NAME: &'static str = "silu";
    #[inline(always)]
    fn value<T: Real, A: Arith>(x: T) -> T {
        x * x.sigmoid::<A>()
    }
    #[inline(always)]
    fn slope<T: Real, A: Arith>(x: T) -> T {
        let gate = x.sigmoid::<A>();
        gate * A::fma(x, T::ONE - gate, T::ONE)
    }
}

struct Forward<'a, T, F> {
    xs: &'a [T],
    ys: &'a mut [T],
    function: PhantomData<F>,
}

impl<T: Real, F: Activation> Kernel for Forward<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        for (y, x) in self.ys.iter_mut().zip(self.xs) {
            *y = F::value::<T, A>(*x);
        }
    }
}

/// What [`gelu`] computes, on this thread and without allocating.
pub(crate) fn gelu_into<T: Real>(xs: &[T], ys: &mut [T]) {
    dispatch(Forward { xs, ys, function: PhantomData::<Gelu> });
}

struct Backward<'a, T, F> {
    xs: &'a [T],
    grads: &'a [T],
    out: &'a mut [T],
    function: PhantomData<F>,
}

impl<T: Real, F: Activation> Kernel for Backward<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        for ((out, x), grad) in self.out.iter_mut().zip(self.xs).zip(self.grads) {
            *out = *grad * F::slope::<T, A>(*x);
        }
    }
}

fn forward<T: Real, F: Activation>(xs: &[T]) -> CpuStorage {
    let mut ys = vec![T::ZERO; xs.len()];
    each_block(&mut ys, BLOCK, xs.len(), |index, ys| {
        let xs = &xs[index * BLOCK..][..ys.len()];
        dispatch(Forward { xs, ys, function: PhantomData::<F> });
    });
    T::to_cpu_storage_owned(ys)
}

fn backward<T: Real, F: Activation>(xs: &Tensor, grads: &Tensor) -> Result<Tensor> {
    let mut out = vec![T::ZERO; xs.elem_count()];
    with_values::<T, _>(xs, |xs| {
        with_values::<T, _>(grads, |grads| {
            each_block(&mut out, BLOCK, xs.len(), |index, out| {
                let xs = &xs[index * BLOCK..][..out.len()];
                let grads = &grads[index * BLOCK..][..out.len()];
                dispatch(Backward { xs, grads, out, function: PhantomData::<F> });
            });
            Ok(())
        })
    })?;
    tensor(out, xs.shape())
}

struct Elementwise<F>(PhantomData<F>);

impl<F: Activation> CustomOp1 for Elementwise<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ys = match xs {
            CpuStorage::F32(_) => forward::<f32, F>(operand(xs, layout)?),
            _ => forward::<f64, F>(operand(xs, layout)?),
        };
        Ok((ys, layout.shape().clone()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, grads: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(match xs.dtype() {
            DType::F32 => backward::<f32, F>(xs, grads)?,
            _ => backward::<f64, F>(xs, grads)?,
        }))
    }
}
