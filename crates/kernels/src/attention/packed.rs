//! Attention from positions 0 on over queries, keys and values that stand side by side, as one projection leaves them.

use super::run::{self, Operands, Target};
use super::scratch::Shared;
use super::softmax::Normalizer;
use super::{Plan, slopes};
use crate::plumbing::{fused, operand, room, tensor, with_all};
use crate::real::Real;
use crate::reference;
use crate::rope::{Rope, Turns};
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, OnceLock};

/// What [`attention_packed`] needs besides the projections.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackedOptions<'a> {
    /// Factor on each dot product; 1/√head_dim where absent.
    pub scale: Option<f64>,
    /// ALiBi's slope for each head: a key at distance r has `slope · r` taken from its score.
    pub alibi: Option<&'a [f64]>,
    /// Base of rotary positions, where queries and keys are to be rotated.
    pub rope: Option<f64>,
}

impl Plan {
    /// Of `[batch, time, 3 · heads · head_dim]` without a past.
    pub(crate) fn packed(qkv: &Tensor, heads: usize, options: &PackedOptions<'_>) -> Result<Self> {
        let &[batch, time, width] = qkv.dims() else {
            bail!("attention_packed: qkv is {:?}, expected [batch, time, 3 · heads · head_dim]", qkv.dims());
        };
        if heads == 0 || width == 0 || !width.is_multiple_of(3 * heads) {
            bail!(
                "attention_packed: qkv is {:?}, whose width is no multiple of 3 · {heads} heads",
                qkv.dims()
            );
        }
        let head_dim = width / (3 * heads);
        let slopes = slopes("attention_packed", options.alibi, heads, qkv)?;
        let scale = options.scale.unwrap_or(1.0 / (head_dim as f64).sqrt());
        Ok(Plan { batch, time, context: time, heads, head_dim, scale, past: vec![0; batch], slopes })
    }
}

/// Causal attention over `qkv` `[batch, time, 3 · heads · head_dim]`: all heads' queries, then their keys, then their
/// values. Result `[batch, time, heads · head_dim]`; differentiable. Equals [`rope`](crate::rope()) and
/// [`attention`](crate::attention()) over the three parts bit for bit, without a copy of any.
///
/// # Errors
/// The width is no multiple of `3 · heads`, options disagree with it, or rotation is asked for an odd head_dim.
pub fn attention_packed(qkv: &Tensor, heads: usize, options: &PackedOptions<'_>) -> Result<Tensor> {
    let plan = Plan::packed(qkv, heads, options)?;
    let rope = options.rope.map(|base| Rope::new(plan.head_dim, base)).transpose()?;
    if !fused(qkv) {
        return reference::attention_packed(qkv, heads, options);
    }
    if qkv.elem_count() == 0 {
        return Tensor::zeros((plan.batch, plan.time, plan.width()), qkv.dtype(), qkv.device());
    }
    let (qkv, keep) = (qkv.contiguous()?, qkv.track_op());
    match qkv.dtype() {
        DType::F64 => tape::apply1(&qkv, Packed::<f64>::new(plan, rope, keep)),
        _ => tape::apply1(&qkv, Packed::<f32>::new(plan, rope, keep)),
    }
}

struct Packed<T> {
    plan: Plan,
    turns: Option<Arc<Turns<T>>>,
    keep: bool,
    /// `[batch, heads, time]`, for the backward pass.
    normalizers: OnceLock<Vec<Normalizer<T>>>,
}

impl<T: Real> Packed<T> {
    fn new(plan: Plan, rope: Option<Rope>, keep: bool) -> Self {
        let turns = rope.map(|rope| Turns::before(plan.time, &rope));
        Packed { plan, turns, keep, normalizers: OnceLock::new() }
    }

    fn operands<'a>(&'a self, qkv: &'a [T]) -> Operands<'a, T> {
        let width = self.plan.width();
        let (k, v) = (&qkv[width..], &qkv[2 * width..]);
        Operands { q: qkv, k, v, strides: [3 * width; 2], turns: self.turns.as_deref() }
    }
}

impl<T: Real> CustomOp1 for Packed<T> {
    fn name(&self) -> &'static str {
        "attention_packed"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Plan { batch, time, .. } = self.plan;
        let (ys, normalizers) = run::forward(&self.plan, &self.operands(operand(qkv, layout)?));
        if self.keep {
            let _ = self.normalizers.set(normalizers);
        }
        Ok((T::to_cpu_storage_owned(ys), (batch, time, self.plan.width()).into()))
    }

    fn bwd(&self, qkv: &Tensor, ys: &Tensor, ys_grad: &Tensor) -> Result<Option<Tensor>> {
        let Some(normalizers) = self.normalizers.get() else {
            bail!("attention_packed: a backward pass through an attention whose input was not tracked");
        };
        let mut grads = room(qkv.elem_count());
        with_all::<T, _, 3>([qkv, ys, ys_grad], |[qkv, ys, ys_grad]| {
            let (values, width) = (Shared::new(&mut grads), self.plan.width());
            let targets = [0, width, 2 * width].map(|first| Target { values, first });
            run::backward(&self.plan, &self.operands(qkv), normalizers, [ys, ys_grad], targets);
            Ok(())
        })?;
        Ok(Some(tensor(grads, qkv.shape())?))
    }
}
