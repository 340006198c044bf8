//! The sum of two tensors of one shape: a residual connection.
//!
//! Source: He et al. 2016, "Deep Residual Learning for Image Recognition", eq. 1. The gradient goes to both
//! sides as it is, without a copy.

use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::{expect_dtype, expect_shape, fused, operand};
use crate::real::Real;
use crate::rows::each_block;
use crate::tape;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// Elements handed to one thread at a time.
const BLOCK: usize = 1 << 14;

/// `a + b`, elementwise; shapes and types are equal.
///
/// # Errors
/// Shapes or types differ; the message names both.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    expect_shape("add", "b", b, a.dims())?;
    expect_dtype("add", "b", b, a)?;
    if !fused(a) {
        return a.add(b);
    }
    tape::apply2(&a.contiguous()?, &b.contiguous()?, Add)
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
        for ((sum, a), b) in self.sums.iter_mut().zip(self.a).zip(self.b) {
            *sum = *a + *b;
        }
    }
}

fn forward<T: Real>(a: &[T], b: &[T]) -> CpuStorage {
    let mut sums = vec![T::ZERO; a.len()];
    each_block(&mut sums, BLOCK, a.len(), |index, sums| {
        let from = index * BLOCK;
        dispatch(Sum { a: &a[from..][..sums.len()], b: &b[from..][..sums.len()], sums });
    });
    T::to_cpu_storage_owned(sums)
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
            CpuStorage::F32(_) => forward::<f32>(operand(a, a_layout)?, operand(b, b_layout)?),
            _ => forward::<f64>(operand(a, a_layout)?, operand(b, b_layout)?),
        };
        Ok((sums, a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(gradient.clone()), Some(gradient.clone())))
    }
}
