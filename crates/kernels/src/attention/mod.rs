//! Causal scaled-dot-product attention in tiles, as one differentiable operation.
//!
//! Source: Vaswani et al. 2017, "Attention Is All You Need", eq. 1; the running maximum and sum of Milakov
//! and Gimelshein 2018, "Online normalizer calculation for softmax", alg. 3; tiles and a backward pass that
//! recomputes the weights, Dao et al. 2022, "FlashAttention", alg. 2 and 4; linear biases of Press et al.
//! 2022, "Train Short, Test Long" (ALiBi).
//!
//! Memory is linear in time. Backward keeps each query's log-sum-exp, as its two parts: the maximum and the
//! sum, whose logarithm would lose digits. Tiles begin at fixed key positions and every sum is a chain over
//! keys in order, so a query's result is the same whole, in chunks and one token at a time.

mod backward;
mod block;
mod cell;
mod forward;
mod packed;
mod run;
mod scratch;
mod softmax;
mod state;
mod transpose;

pub use cell::AttentionCell;
pub use packed::{PackedOptions, attention_packed};
pub use state::attention_state;

use crate::plumbing::{expect_dtype, expect_shape, fused, operand, room, tensor, with_all};
use crate::real::Real;
use crate::{reference, tape};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use run::{Operands, Target};
use scratch::Shared;
use softmax::Normalizer;
use std::sync::OnceLock;

/// Columns a product computes together; wider heads take several.
const PANEL: usize = 32;

/// Values a row of `head_dim` takes where products read it in panels.
fn padded(head_dim: usize) -> usize {
    let rest = match head_dim % PANEL {
        0 => 0,
        1..=8 => 8,
        9..=16 => 16,
        _ => PANEL,
    };
    head_dim / PANEL * PANEL + rest
}

/// What [`attention`] needs besides queries, keys and values.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionOptions<'a> {
    /// Factor on each dot product; 1/√head_dim where absent.
    pub scale: Option<f64>,
    /// For each row, how many keys precede its first query; `context − time` where absent. Query i stands at
    /// position `past + i` and sees the keys up to that position.
    pub past: Option<&'a [usize]>,
    /// ALiBi's slope for each head: a key at distance r has `slope · r` taken from its score.
    pub alibi: Option<&'a [f64]>,
}

/// Sizes and defaults of a call, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) context: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) scale: f64,
    /// Per row.
    pub(crate) past: Vec<usize>,
    /// Per head; zeros without ALiBi.
    pub(crate) slopes: Vec<f64>,
}

impl Plan {
    pub(crate) fn new(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions<'_>) -> Result<Self> {
        let &[batch, time, heads, head_dim] = q.dims() else {
            bail!("attention: q is {:?}, expected [batch, time, heads, head_dim]", q.dims());
        };
        let &[_, context, _, _] = k.dims() else {
            bail!("attention: k is {:?}, expected [{batch}, context, {heads}, {head_dim}]", k.dims());
        };
        let shape = [batch, context, heads, head_dim];
        for (name, tensor) in [("k", k), ("v", v)] {
            expect_shape("attention", name, tensor, &shape)?;
            expect_dtype("attention", name, tensor, q)?;
        }
        if head_dim == 0 {
            bail!("attention: q is {:?}; head_dim must be positive", q.dims());
        }
        let past = match options.past {
            Some(past) if past.len() == batch => past.to_vec(),
            Some(past) => bail!("attention: past has {} entries, but q is {:?}", past.len(), q.dims()),
            None if time <= context => vec![context - time; batch],
            None => bail!("attention: q is {:?}, longer than k {:?}", q.dims(), k.dims()),
        };
        if let Some(past) = past.iter().find(|past| **past + time > context) {
            bail!("attention: past {past} and q {:?} reach beyond k {:?}", q.dims(), k.dims());
        }
        let slopes = slopes("attention", options.alibi, heads, q)?;
        let scale = options.scale.unwrap_or(1.0 / (head_dim as f64).sqrt());
        Ok(Plan { batch, time, context, heads, head_dim, scale, past, slopes })
    }
}

/// ALiBi's slopes, zeros where there are none.
fn slopes(operation: &str, alibi: Option<&[f64]>, heads: usize, like: &Tensor) -> Result<Vec<f64>> {
    match alibi {
        Some(slopes) if slopes.len() == heads => Ok(slopes.to_vec()),
        Some(slopes) => {
            bail!("{operation}: alibi has {} slopes for {heads} heads of {:?}", slopes.len(), like.dims())
        }
        None => Ok(vec![0.0; heads]),
    }
}

/// Causal attention: q `[batch, time, heads, head_dim]`, k and v `[batch, context, heads, head_dim]`, result
/// as q. Keys after a row's last query are never read. Differentiable in all three.
///
/// # Errors
/// Shapes, types or options disagree; the message names the argument and both shapes.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions<'_>) -> Result<Tensor> {
    let plan = Plan::new(q, k, v, options)?;
    if !fused(q) {
        return reference::attention(q, k, v, options);
    }
    if q.elem_count() == 0 {
        return Ok(q.clone());
    }
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    let keep = q.track_op() || k.track_op() || v.track_op();
    match q.dtype() {
        DType::F64 => tape::apply3(&q, &k, &v, Attention::<f64>::new(plan, keep)),
        _ => tape::apply3(&q, &k, &v, Attention::<f32>::new(plan, keep)),
    }
}

struct Attention<T> {
    plan: Plan,
    keep: bool,
    /// `[batch, heads, time]`, for the backward pass.
    normalizers: OnceLock<Vec<Normalizer<T>>>,
}

impl<T> Attention<T> {
    fn new(plan: Plan, keep: bool) -> Self {
        Attention { plan, keep, normalizers: OnceLock::new() }
    }

    fn operands<'a>(&self, [q, k, v]: [&'a [T]; 3]) -> Operands<'a, T> {
        Operands { q, k, v, strides: [self.plan.width(); 2], turns: None }
    }
}

impl<T: Real> CustomOp3 for Attention<T> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let operands = self.operands([operand(q, q_layout)?, operand(k, k_layout)?, operand(v, v_layout)?]);
        let (ys, normalizers) = run::forward(&self.plan, &operands);
        if self.keep {
            let _ = self.normalizers.set(normalizers);
        }
        Ok((T::to_cpu_storage_owned(ys), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        ys: &Tensor,
        ys_grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(normalizers) = self.normalizers.get() else {
            bail!("attention: a backward pass through an attention whose inputs were not tracked");
        };
        let mut grads = [q, k, v].map(|input| room(input.elem_count()));
        with_all::<T, _, 5>([q, k, v, ys, ys_grad], |[q, k, v, ys, ys_grad]| {
            let targets = grads.each_mut().map(|grad| Target { values: Shared::new(grad), first: 0 });
            run::backward(&self.plan, &self.operands([q, k, v]), normalizers, [ys, ys_grad], targets);
            Ok(())
        })?;
        let [q_grad, k_grad, v_grad] = grads;
        Ok((
            Some(tensor(q_grad, q.shape())?),
            Some(tensor(k_grad, k.shape())?),
            Some(tensor(v_grad, v.shape())?),
        ))
    }
}
