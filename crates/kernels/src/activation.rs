//! Smooth activations, elementwise.
//!
//! Sources: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", eq. 2 (the exact form, with the error
//! function) and its SiLU, section 2. The backward pass recomputes from the input, so nothing is stored.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{fused, operand, room, tensor, with_all};
use crate::real::Real;
use crate::reference;
use crate::rows::each_block;
use crate::tape;
use crate::vector::{Vector, load, store};
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

/// `ln(1 + exp(x))`, which makes any number positive; any shape, which the result keeps.
///
/// # Errors
/// The type is not a floating-point one.
pub fn softplus(xs: &Tensor) -> Result<Tensor> {
    if !fused(xs) {
        return reference::activation::softplus(xs);
    }
    tape::apply1(&xs.contiguous()?, Elementwise::<Softplus>(PhantomData))
}

/// Elements handed to one thread at a time.
const BLOCK: usize = 1 << 12;

trait Activation: Send + Sync + 'static {
    const NAME: &'static str;
    fn value<T: Real, V: Vector<Number = T>>(x: V) -> V;
    fn slope<T: Real, V: Vector<Number = T>>(x: V) -> V;
}

struct Gelu;

impl Activation for Gelu {
    const NAME: &'static str = "gelu";
    #[inline(always)]
    fn value<T: Real, V: Vector<Number = T>>(x: V) -> V {
        T::gelu_each(x)
    }
    #[inline(always)]
    fn slope<T: Real, V: Vector<Number = T>>(x: V) -> V {
        T::gelu_slope_each(x)
    }
}

struct Silu;

impl Activation for Silu {
    const NAME: &'static str = "silu";
    #[inline(always)]
    fn value<T: Real, V: Vector<Number = T>>(x: V) -> V {
        x.below(floor(), V::zero(), x * T::logistic_each(x))
    }
    #[inline(always)]
    fn slope<T: Real, V: Vector<Number = T>>(x: V) -> V {
        let gate = T::logistic_each(x);
        let slope = gate * x.fma(V::splat(T::ONE) - gate, V::splat(T::ONE));
        x.below(floor(), V::zero(), slope)
    }
}

struct Softplus;

impl Activation for Softplus {
    const NAME: &'static str = "softplus";
    #[inline(always)]
    fn value<T: Real, V: Vector<Number = T>>(x: V) -> V {
        T::softplus_each(x)
    }
    #[inline(always)]
    fn slope<T: Real, V: Vector<Number = T>>(x: V) -> V {
        x.below(floor(), V::zero(), T::logistic_each(x))
    }
}

/// Below it the logistic function is 0: what it is held at, times a huge x, would be no small number.
#[inline(always)]
fn floor<T: Real, V: Vector<Number = T>>() -> V {
    V::splat(T::of(if size_of::<T>() == size_of::<f32>() { -87.0 } else { -740.0 }))
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
        let lanes = A::Vector::<T>::LANES;
        let whole = self.xs.len() - self.xs.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            store(F::value(load::<A::Vector<T>>(self.xs, at)), self.ys, at);
        }
        F::value(A::Vector::<T>::load_part(&self.xs[whole..])).store_part(&mut self.ys[whole..]);
    }
}

/// What [`gelu`] computes, on this thread and without allocating.
pub(crate) fn gelu_into<T: Real>(xs: &[T], ys: &mut [T]) {
    dispatch(Forward { xs, ys, function: PhantomData::<Gelu> });
}

/// What [`softplus`] computes, on this thread and without allocating.
pub(crate) fn softplus_into<T: Real>(xs: &[T], ys: &mut [T]) {
    dispatch(Forward { xs, ys, function: PhantomData::<Softplus> });
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
        let lanes = A::Vector::<T>::LANES;
        let whole = self.xs.len() - self.xs.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            let slope = F::slope(load::<A::Vector<T>>(self.xs, at));
            store(load::<A::Vector<T>>(self.grads, at) * slope, self.out, at);
        }
        let grads = A::Vector::<T>::load_part(&self.grads[whole..]);
        (grads * F::slope(A::Vector::<T>::load_part(&self.xs[whole..]))).store_part(&mut self.out[whole..]);
    }
}

fn forward<T: Real, F: Activation>(xs: &[T]) -> CpuStorage {
    let mut ys = room(xs.len());
    each_block(&mut ys, BLOCK, xs.len(), |index, ys| {
        let xs = &xs[index * BLOCK..][..ys.len()];
        dispatch(Forward { xs, ys, function: PhantomData::<F> });
    });
    T::to_cpu_storage_owned(ys)
}

fn backward<T: Real, F: Activation>(xs: &Tensor, grads: &Tensor) -> Result<Tensor> {
    let mut out = room(xs.elem_count());
    with_all::<T, _, 2>([xs, grads], |[xs, grads]| {
        each_block(&mut out, BLOCK, xs.len(), |index, out| {
            let xs = &xs[index * BLOCK..][..out.len()];
            let grads = &grads[index * BLOCK..][..out.len()];
            dispatch(Backward { xs, grads, out, function: PhantomData::<F> });
        });
        Ok(())
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
