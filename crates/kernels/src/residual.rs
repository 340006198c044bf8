//! The sum of two tensors: a residual connection, or positions added to every row of a batch.
//!
//! Source: He et al. 2016, "Deep Residual Learning for Image Recognition", eq. 1. The gradient goes to both
//! sides as it is, without a copy.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{expect_dtype, fused, operand, room, tensor, with_all, with_values};
use crate::real::Real;
use crate::rows::{combine, each_block};
use crate::tape;
use crate::vector::{Vector, load, store};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

/// Elements handed to one thread at a time.
const BLOCK: usize = 1 << 14;

/// `a + b`, elementwise. The shapes are equal, or that of `b` is the end of that of `a`, and every part of `a` of
/// that shape has `b` added.
///
/// # Errors
/// Shapes do not fit or types differ; the message names both.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !a.dims().ends_with(b.dims()) {
        bail!("add: b is {:?}, expected {:?} or an end of it", b.dims(), a.dims());
    }
    expect_dtype("add", "b", b, a)?;
    if !fused(a) || b.elem_count() == 0 {
        return a.broadcast_add(b);
    }
    tape::apply2(&a.contiguous()?, &b.contiguous()?, Add)
}

/// [`add`] of equal shapes without a graph, for gradients that meet.
pub(crate) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    fn of<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        with_all::<T, _, 2>([a, b], |[x, y]| tensor(forward(x, y), a.shape()))
    }
    match a.dtype() {
        _ if a.shape() != b.shape() || !fused(a) || a.dtype() != b.dtype() => a.add(b),
        DType::F32 => of::<f32>(a, b),
        _ => of::<f64>(a, b),
    }
}

struct Add;

struct Sum<'a, T> {
    a: &'a [T],
    b: &'a [T],
    sums: &'a mut [T],
}

impl<T: Real> Kernel for Sum<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let lanes = A::Vector::<T>::LANES;
        let whole = self.sums.len() - self.sums.len() % lanes;
        for at in (0..whole).step_by(lanes) {
            store(load::<A::Vector<T>>(self.a, at) + load(self.b, at), self.sums, at);
        }
        let last = A::Vector::<T>::load_part(&self.a[whole..]) + A::Vector::<T>::load_part(&self.b[whole..]);
        last.store_part(&mut self.sums[whole..]);
    }
}

/// `b` is added again and again, as often as `a` has room for it.
fn forward<T: Real>(a: &[T], b: &[T]) -> Vec<T> {
    let mut sums = room(a.len());
    each_block(&mut sums, BLOCK, a.len(), |index, mut sums| {
        let mut from = index * BLOCK;
        while !sums.is_empty() {
            let at = from % b.len();
            let count = sums.len().min(b.len() - at);
            let (now, later) = sums.split_at_mut(count);
            dispatch(Sum { a: &a[from..][..count], b: &b[at..][..count], sums: now });
            (from, sums) = (from + count, later);
        }
    });
    sums
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sums = match a {
            CpuStorage::F32(_) => CpuStorage::F32(forward(operand(a, a_layout)?, operand(b, b_layout)?)),
            _ => CpuStorage::F64(forward(operand(a, a_layout)?, operand(b, b_layout)?)),
        };
        Ok((sums, a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_b = if a.dims() == b.dims() {
            Some(gradient.clone())
        } else if !b.track_op() {
            None
        } else if b.dtype() == DType::F32 {
            Some(with_values(gradient, |g| tensor(combine::<f32>(g, b.elem_count()), b.shape()))?)
        } else {
            Some(with_values(gradient, |g| tensor(combine::<f64>(g, b.elem_count()), b.shape()))?)
        };
        Ok((Some(gradient.clone()), of_b))
    }
}
