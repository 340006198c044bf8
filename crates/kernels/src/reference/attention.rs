//! Attention with the whole matrix of weights.

use crate::attention::{AttentionOptions, Plan};
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
    weights(q, k, &plan)?.matmul(&v)?.transpose(1, 2)?.contiguous()
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
    let scores = (q.matmul(&k)? * plan.scale)?;
    let bias = Tensor::from_vec(bias(plan), scores.shape(), &candle_core::Device::Cpu)?;
    let scores = (scores + bias.to_dtype(q.dtype())?.to_device(q.device())?)?;
    candle_nn::ops::softmax(&scores, 3)
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
