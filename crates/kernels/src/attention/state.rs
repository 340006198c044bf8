//! What attention over packed projections leaves behind for the tokens to come.

use crate::isa::{Arith, Kernel, dispatch};
use crate::parallel;
use crate::plumbing::{fused, operand, room, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::rope::{Rope, Turns};
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

/// Keys, rotated where `rope` names a base, and values `[batch, time, 2 · heads · head_dim]` of the tokens of `qkv`
/// `[batch, time, 3 · heads · head_dim]`, which stand at positions from 0 on. Differentiable. A view, where nothing is
/// rotated; otherwise one pass.
///
/// # Errors
/// The width is no multiple of `3 · heads`, or rotation is asked for an odd head_dim.
pub fn attention_state(qkv: &Tensor, heads: usize, rope: Option<f64>) -> Result<Tensor> {
    let &[_, time, width] = qkv.dims() else {
        bail!("attention_state: qkv is {:?}, expected [batch, time, 3 · heads · head_dim]", qkv.dims());
    };
    if heads == 0 || !width.is_multiple_of(3 * heads) {
        bail!("attention_state: qkv is {:?}, whose width is no multiple of 3 · {heads} heads", qkv.dims());
    }
    let Some(base) = rope else { return qkv.narrow(2, width / 3, width / 3 * 2) };
    let rope = Rope::new(width / (3 * heads), base)?;
    if !fused(qkv) || qkv.elem_count() == 0 {
        return reference::attention_state(qkv, heads, Some(base));
    }
    tape::apply1(&qkv.contiguous()?, State { rope, time, width: width / 3 })
}

struct State {
    rope: Rope,
    time: usize,
    /// heads · head_dim
    width: usize,
}

impl State {
    /// Between rows of three parts and rows of two: each token's queries are left out, or get zeros.
    fn apply<T: Real>(&self, from: &[T], back: bool) -> Vec<T> {
        let State { time, width, .. } = *self;
        let (from_stride, stride) = if back { (2 * width, 3 * width) } else { (3 * width, 2 * width) };
        let len = from.len() / from_stride * stride;
        // Backward, the queries' places get nothing.
        let mut out = if back { vec![T::ZERO; len] } else { room(len) };
        let turns = Turns::before(time, &self.rope);
        let (rows, cost) = (out.len() / (time * stride), out.len());
        parallel::over_rows(&mut out, time * stride, rows, cost, |first, _, out| {
            let from = &from[first * time * from_stride..];
            dispatch(Keep { from, out, turns: &*turns, time, width, back });
        });
        out
    }
}

/// Some rows.
struct Keep<'a, 'out, T> {
    from: &'a [T],
    out: &'out mut [T],
    turns: &'a Turns<T>,
    time: usize,
    width: usize,
    back: bool,
}

impl<T: Real> Kernel for Keep<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arith>(self) {
        let Keep { from, out, turns, time, width, back } = self;
        let (from_stride, stride) = if back { (2 * width, 3 * width) } else { (3 * width, 2 * width) };
        let tokens = out.chunks_exact_mut(stride).zip(from.chunks_exact(from_stride));
        for (at, (out, from)) in tokens.enumerate() {
            let out = &mut out[stride - 2 * width..];
            out.copy_from_slice(&from[from_stride - 2 * width..]);
            for key in out[..width].chunks_exact_mut(turns.head_dim()) {
                if back {
                    turns.turn_back::<A>(key, at % time);
                } else {
                    turns.turn::<A>(key, at % time);
                }
            }
        }
    }
}

impl CustomOp1 for State {
    fn name(&self) -> &'static str {
        "attention_state"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, time, _) = layout.shape().dims3()?;
        let kv = match qkv {
            CpuStorage::F64(_) => CpuStorage::F64(self.apply(operand::<f64>(qkv, layout)?, false)),
            _ => CpuStorage::F32(self.apply(operand::<f32>(qkv, layout)?, false)),
        };
        Ok((kv, (batch, time, 2 * self.width).into()))
    }

    fn bwd(&self, qkv: &Tensor, _kv: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(match qkv.dtype() {
            DType::F64 => with_values::<f64, _>(grad, |grad| tensor(self.apply(grad, true), qkv.shape()))?,
            _ => with_values::<f32, _>(grad, |grad| tensor(self.apply(grad, true), qkv.shape()))?,
        }))
    }
}
