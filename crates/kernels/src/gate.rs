//! One tensor gated by another.
//!
//! Source: Gu and Dao 2023, "Mamba: Linear-time sequence modeling with selective state spaces", figure 3; the gated
//! linear unit of Shazeer 2020, "GLU Variants Improve Transformer", eq. 6: `y ⊙ silu(z)`.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{expect_dtype, expect_shape, fused, operand, room, tensor, with_all};
use crate::real::Real;
use crate::reference;
use crate::rows::{each_block, each_block_of_two};
use crate::tape;
use crate::vector::{Vector, load, store};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};

/// Elements handed to one thread at a time.
const BLOCK: usize = 1 << 13;

/// `ys ⊙ silu(zs)`, elementwise; shapes and types are equal.
///
/// # Errors
/// Shapes or types differ; the message names both.
pub fn gated(ys: &Tensor, zs: &Tensor) -> Result<Tensor> {
    expect_shape("gated", "zs", zs, ys.dims())?;
    expect_dtype("gated", "zs", zs, ys)?;
    if !fused(ys) {
        return ys.mul(&reference::activation::silu(zs)?);
    }
    tape::apply2(&ys.contiguous()?, &zs.contiguous()?, Gated)
}

/// What [`gated`] computes, on this thread and in place of `ys`.
pub fn gate_slice<T: Real>(ys: &mut [T], zs: &[T]) {
    dispatch(InPlace { ys, zs });
}

struct Gated;

#[inline(always)]
fn value<T: Real, V: Vector<Number = T>>(y: V, z: V) -> V {
    y * (z * T::logistic_each(z))
}

/// Of y and of z.
#[inline(always)]
fn slopes<T: Real, V: Vector<Number = T>>(y: V, z: V, grad: V) -> [V; 2] {
    let gate = T::logistic_each(z);
    [grad * (z * gate), grad * y * gate * z.fma(V::splat(T::ONE) - gate, V::splat(T::ONE))]
}

struct InPlace<'a, T> {
    ys: &'a mut [T],
    zs: &'a [T],
}

impl<T: Real> Kernel for InPlace<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let lanes = A::Vector::<T>::LANES;
        let whole = self.ys.len() - self.ys.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            store(value(load::<A::Vector<T>>(self.ys, at), load(self.zs, at)), self.ys, at);
        }
        let last =
            value(A::Vector::<T>::load_part(&self.ys[whole..]), A::Vector::<T>::load_part(&self.zs[whole..]));
        last.store_part(&mut self.ys[whole..]);
    }
}

struct Forward<'a, T> {
    ys: &'a [T],
    zs: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let lanes = A::Vector::<T>::LANES;
        let whole = self.out.len() - self.out.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            store(value(load::<A::Vector<T>>(self.ys, at), load(self.zs, at)), self.out, at);
        }
        let last =
            value(A::Vector::<T>::load_part(&self.ys[whole..]), A::Vector::<T>::load_part(&self.zs[whole..]));
        last.store_part(&mut self.out[whole..]);
    }
}

struct Backward<'a, T> {
    ys: &'a [T],
    zs: &'a [T],
    grads: &'a [T],
    of_ys: &'a mut [T],
    of_zs: &'a mut [T],
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let lanes = A::Vector::<T>::LANES;
        let whole = self.ys.len() - self.ys.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            let [y, z] = slopes(load::<A::Vector<T>>(self.ys, at), load(self.zs, at), load(self.grads, at));
            store(y, self.of_ys, at);
            store(z, self.of_zs, at);
        }
        let part = |values: &[T]| A::Vector::<T>::load_part(&values[whole..]);
        let [y, z] = slopes(part(self.ys), part(self.zs), part(self.grads));
        y.store_part(&mut self.of_ys[whole..]);
        z.store_part(&mut self.of_zs[whole..]);
    }
}

fn forward<T: Real>(ys: &[T], zs: &[T]) -> Vec<T> {
    let mut out = room(ys.len());
    each_block(&mut out, BLOCK, ys.len(), |index, out| {
        let here = index * BLOCK..index * BLOCK + out.len();
        dispatch(Forward { ys: &ys[here.clone()], zs: &zs[here], out });
    });
    out
}

fn backward<T: Real>(ys: &Tensor, zs: &Tensor, grads: &Tensor) -> Result<(Tensor, Tensor)> {
    let (mut of_ys, mut of_zs) = (room(ys.elem_count()), room(ys.elem_count()));
    with_all::<T, _, 3>([ys, zs, grads], |[ys, zs, grads]| {
        each_block_of_two((&mut of_ys, BLOCK), (&mut of_zs, BLOCK), ys.len(), |index, of_ys, of_zs| {
            let here = index * BLOCK..index * BLOCK + of_ys.len();
            let (ys, zs, grads) = (&ys[here.clone()], &zs[here.clone()], &grads[here]);
            dispatch(Backward { ys, zs, grads, of_ys, of_zs });
        });
        Ok(())
    })?;
    Ok((tensor(of_ys, ys.shape())?, tensor(of_zs, zs.shape())?))
}

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        ys: &CpuStorage,
        ys_layout: &Layout,
        zs: &CpuStorage,
        zs_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = match ys {
            CpuStorage::F32(_) => CpuStorage::F32(forward(operand(ys, ys_layout)?, operand(zs, zs_layout)?)),
            _ => CpuStorage::F64(forward(operand(ys, ys_layout)?, operand(zs, zs_layout)?)),
        };
        Ok((out, ys_layout.shape().clone()))
    }

    fn bwd(
        &self,
        ys: &Tensor,
        zs: &Tensor,
        _: &Tensor,
        grads: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (of_ys, of_zs) = match ys.dtype() {
            DType::F32 => backward::<f32>(ys, zs, grads)?,
            _ => backward::<f64>(ys, zs, grads)?,
        };
        Ok((Some(of_ys), Some(of_zs)))
    }
}
