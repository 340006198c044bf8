//! Attention with the whole matrix of weights.

use super::count::note_pairs;
use super::rope;
use crate::attention::{AttentionOptions, PackedOptions, Plan};
use candle_core::{Result, Tensor};

/// [`attention`](crate::attention()) in candle's operations; the same arguments. Memory is quadratic in time.
///
/// # Errors
/// As [`attention`](crate::attention()).
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions<'_>) -> Result<Tensor> {
    let plan = Plan::new(q, k, v, options)?;
    if plan.time == 0 {
        return Ok(q.clone());
    }
    // [batch, heads, context, head_dim]
    let v = v.transpose(1, 2)?.contiguous()?;
    note_pairs(pairs(&plan), plan.head_dim);
    weights(q, k, &plan)?.matmul(&v)?.transpose(1, 2)?.contiguous()
}

/// [`attention_packed`](crate::attention_packed()) over its three parts, rotated apart; the same arguments.
///
/// # Errors
/// As [`attention_packed`](crate::attention_packed()).
pub fn attention_packed(qkv: &Tensor, heads: usize, options: &PackedOptions<'_>) -> Result<Tensor> {
    let Plan { batch, time, head_dim, .. } = Plan::packed(qkv, heads, options)?;
    let part = |at: usize| {
        qkv.narrow(2, at * heads * head_dim, heads * head_dim)?.reshape((batch, time, heads, head_dim))
    };
    let turned = |at: usize| match options.rope {
        Some(base) => rope(&part(at)?, &vec![0; batch], base),
        None => part(at),
    };
    let plain = AttentionOptions { scale: options.scale, past: None, alibi: options.alibi };
    attention(&turned(0)?, &turned(1)?, &part(2)?, &plain)?.reshape((batch, time, heads * head_dim))
}

/// [`attention_state`](crate::attention_state()) in candle's operations; the same arguments.
///
/// # Errors
/// As [`attention_state`](crate::attention_state()).
pub fn attention_state(qkv: &Tensor, heads: usize, base: Option<f64>) -> Result<Tensor> {
    let (batch, time, width) = qkv.dims3()?;
    let width = width / 3;
    let (mut k, v) = (qkv.narrow(2, width, width)?, qkv.narrow(2, 2 * width, width)?);
    if let Some(base) = base {
        let heads = k.reshape((batch, time, heads, width / heads))?;
        k = rope(&heads, &vec![0; batch], base)?.reshape((batch, time, width))?;
    }
    Tensor::cat(&[k, v], 2)
}

/// The attention weights `[batch, heads, time, context]`, for looking at: row `i` sums to 1.
///
/// # Errors
/// As [`attention`](crate::attention()).
pub fn attention_weights(q: &Tensor, k: &Tensor, options: &AttentionOptions<'_>) -> Result<Tensor> {
    weights(q, k, &Plan::new(q, k, k, options)?)
}

fn weights(q: &Tensor, k: &Tensor, plan: &Plan) -> Result<Tensor> {
    let q = q.transpose(1, 2)?.contiguous()?;
    let k = k.transpose(1, 2)?.transpose(2, 3)?.contiguous()?;
    note_pairs(pairs(plan), plan.head_dim);
    let scores = (q.matmul(&k)? * plan.scale)?;
    let bias = Tensor::from_vec(bias(plan), scores.shape(), &candle_core::Device::Cpu)?;
    let scores = (scores + bias.to_dtype(q.dtype())?.to_device(q.device())?)?;
    candle_nn::ops::softmax(&scores, 3)
}

/// Pairs of query and key that the mask leaves, over all heads and rows.
fn pairs(plan: &Plan) -> usize {
    bias(plan).iter().filter(|bias| bias.is_finite()).count()
}

/// What is added to each score: −slope · distance, and −∞ where the key lies ahead.
fn bias(plan: &Plan) -> Vec<f64> {
    let mut bias = Vec::with_capacity(plan.batch * plan.heads * plan.time * plan.context);
    for past in &plan.past {
        for slope in &plan.slopes {
            for query in *past..past + plan.time {
                bias.extend(
                    (0..plan.context).map(|key| {
                        if key <= query { -slope * (query - key) as f64 } else { f64::NEG_INFINITY }
                    }),
                );
            }
        }
    }
    bias
}
