//! Causal multi-head attention.
//!
//! # Source
//! Vaswani et al. 2017, "Attention is all you need", eq. 1 and section 3.2.2, masked to the past:
//!
//! ```text
//! q_t, k_t, v_t = W_q x_t + b_q, W_k x_t + b_k, W_v x_t + b_v            split into heads of d = D / heads
//! a_ts = softmax over s ≤ t of (q_t · k_s / √d)                          for each head
//! y_t = W_o [Σ_s a_ts v_s of every head] + b_o
//! ```
//!
//! Positions: `rope` turns q_t and k_t by angles proportional to t (Su et al. 2021, "RoFormer", eq. 34); `alibi`
//! takes m_h (t − s) from the score (Press, Smith & Lewis 2022, "Train short, test long", section 3);
//! `sinusoidal` asks the apparatus to add Vaswani's section 3.5 to the encoder's output; `none` leaves order to the
//! causal mask (Haviv et al. 2022).
//!
//! # Symbols
//! D = dim; W_q, W_k, W_v: the three blocks of `in_proj_weight`; b_q, b_k, b_v: `in_proj_bias.q`, `.k`, `.v`;
//! W_o, b_o: `out_proj.weight`, `out_proj.bias`; m_h: ALiBi's slope of head h.
//!
//! # Shapes
//! xs and ys `[batch, time, D]`; `in_proj_weight` `[3D, D]`; `in_proj_bias.*` `[D]`; `out_proj.weight` `[D, D]`;
//! `out_proj.bias` `[D]`. State: `kv` `[batch, context, 2D]`, each token's key (turned already) before its value,
//! and `position` `[batch]` (u32). Row b's tokens are the first `position[b]`; what follows is never read.
//!
//! # Cost
//! 4D² + 4D parameters. Time quadratic and memory linear in time; a decoded token reads the whole context. All
//! steps of a chunk are computed together.
//!
//! # Deviations from the source
//! This is the sequence mixer alone: residual paths, norms and the MLP are the apparatus's. Names and layout are
//! those of `torch.nn.MultiheadAttention`, but for `in_proj_bias`, which is held as its three parts (stacked they
//! are PyTorch's): without rotation the key bias adds the same to all scores of a query, which softmax removes, so
//! its gradient is zero, and a parameter of its own can say so.
//!
//! # Errors
//! A wrong rank, width or batch; a state without `kv` and `position`; `heads` that do not divide the width, or that
//! leave an odd width for `rope`; a `rope_base` that is no positive number.

use crate::{alibi, cache, check, init, inspect};
use candle_core::{DType, Device, Tensor};
use seqbench_core::architecture::{Architecture, ArchitectureInfo, BlockNorm, Decoder, Dims, SequenceCore};
use seqbench_core::error::{Error, Result};
use seqbench_core::inspection::{Attention, Inspection};
use seqbench_core::parameter::{Flags, Init, Params};
use seqbench_core::seed::Stream;
use seqbench_core::state::State;
use seqbench_kernels::{
    self as kernels, AttentionCell, AttentionOptions, LinearCell, Norm, PackedOptions, Rope, RopeCell,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Transformer;

/// How attention knows the order of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// Only by the causal mask.
    None,
    /// Sinusoids added to the encoder's output.
    Sinusoidal,
    /// Rotation of queries and keys.
    Rope,
    /// A bias on scores that grows with distance.
    Alibi,
}

/// Settings of [`Transformer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformerConfig {
    /// Number of heads; divides the width.
    pub heads: usize,
    /// How it knows the order of its tokens.
    pub positions: Positions,
    /// Base of the wavelengths of `rope`.
    pub rope_base: f64,
}

impl Default for TransformerConfig {
    fn default() -> Self {
        TransformerConfig { heads: 4, positions: Positions::Rope, rope_base: 10_000.0 }
    }
}

impl TransformerConfig {
    fn check(&self, dim: usize) -> Result<()> {
        let heads = self.heads;
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(Error::invalid(format!(
                "`heads` is {heads}, which does not divide the width {dim}; choose a divisor of the width"
            )));
        }
        if self.positions == Positions::Rope && !(dim / heads).is_multiple_of(2) {
            return Err(Error::invalid(format!(
                "`heads` is {heads}, which leaves {} dimensions a head of the width {dim}; `rope` turns pairs and \
                 needs an even number",
                dim / heads
            )));
        }
        check::positive("rope_base", self.rope_base)
    }

    /// Why the key bias has no gradient, where it has none.
    fn key_bias_is_free(&self) -> Option<&'static str> {
        match self.positions {
            Positions::Rope => None,
            Positions::None | Positions::Sinusoidal | Positions::Alibi => {
                Some("it adds the same to every score of a query, which softmax removes")
            }
        }
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "transformer",
    title: "Transformer (causal attention)",
    summary: "Every step keeps its key and value, and each later step reads all of them by similarity.",
    citation: "A. Vaswani et al., Attention is all you need, NeurIPS 2017",
    deviations: &[
        "The sequence mixer alone: residual paths, norms and the MLP belong to the apparatus.",
        "Positions are rotary (Su et al. 2021) unless set otherwise; the paper's are sinusoidal.",
        "The bias of the projection is held as its three parts, so that the key's can be declared free of gradient.",
    ],
};

impl Architecture for Transformer {
    type Config = TransformerConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    /// PyTorch's initial values: W_q, W_k, W_v together uniform after Glorot & Bengio 2010, W_o uniform with bound
    /// 1/√D, biases 0.
    fn build(
        &self,
        config: &TransformerConfig,
        dims: Dims,
        params: &Params,
    ) -> Result<Box<dyn SequenceCore>> {
        config.check(dims.dim)?;
        let d = dims.dim;
        let glorot = Init::Uniform { bound: (6.0 / (4 * d) as f64).sqrt() };
        let out_init = |stream: &mut Stream| init::uniform(stream, d * d, 1.0 / (d as f64).sqrt());
        let free = Flags { no_decay: true, gradient_free: config.key_bias_is_free() };
        let in_weight = params.get(&[3 * d, d], "in_proj_weight", &glorot)?;
        let in_bias = params.under("in_proj_bias");
        Ok(Box::new(Core {
            dim: d,
            heads: config.heads,
            rope_base: (config.positions == Positions::Rope).then_some(config.rope_base),
            alibi: (config.positions == Positions::Alibi).then(|| alibi::slopes(config.heads)),
            in_weight,
            in_bias: [
                in_bias.get(&[d], "q", &Init::Zeros)?,
                in_bias.get_with(&[d], "k", &Init::Zeros, free)?,
                in_bias.get(&[d], "v", &Init::Zeros)?,
            ],
            out_weight: params.get(&[d, d], "out_proj.weight", &Init::From(&out_init))?,
            out_bias: params.get(&[d], "out_proj.bias", &Init::Zeros)?,
        }))
    }

    /// 4D² + 4D.
    fn parameter_count(&self, _: &TransformerConfig, dim: usize) -> usize {
        4 * dim * dim + 4 * dim
    }

    /// 8D bytes a token of the context, and 4 for the position.
    fn state_bytes(&self, _: &TransformerConfig, dim: usize, context: usize) -> usize {
        context * 2 * dim * size_of::<f32>() + size_of::<u32>()
    }

    /// 4D² T + D T (T + 1): the projections, and two products, scores and sums of values, over the T (T + 1) / 2 pairs of
    /// the causal triangle.
    fn forward_operations(&self, _: &TransformerConfig, dim: usize, length: usize) -> f64 {
        let (dim, length) = (dim as f64, length as f64);
        (4.0 * dim * dim + dim * (length + 1.0)) * length
    }

    fn forward_elements(&self, config: &TransformerConfig, dim: usize, length: usize) -> f64 {
        (0.5 * config.heads as f64 * length as f64 + 14.0 * dim as f64) * length as f64
    }

    /// (7D + 2 `heads`) T with `rope`: queries, keys and values (3D), the turned keys with the values as state (2D), what W_o
    /// is applied to, outputs, and maximum and sum of each query's weights. (5D + 2 `heads`) T otherwise: the state is then
    /// a view of the projections. No square of T: weights are computed again.
    fn kept_elements(&self, config: &TransformerConfig, dim: usize, length: usize) -> f64 {
        let state = if config.positions == Positions::Rope { 2 * dim } else { 0 };
        ((5 * dim + state + 2 * config.heads) * length) as f64
    }

    /// The same: norm and sum are computed with the first and the last map.
    fn kept_in_block_elements(&self, config: &TransformerConfig, dim: usize, length: usize) -> f64 {
        self.kept_elements(config, dim, length)
    }

    /// 4D T: gradients of what W_o is applied to and of queries, keys and values. What a thread holds of one head, about
    /// 6D / `heads` a step, is left out.
    fn backward_elements(&self, _: &TransformerConfig, dim: usize, length: usize) -> f64 {
        (4 * dim * length) as f64
    }

    /// 3D T without rotation: the state is a view of the projections.
    fn returned_elements(&self, config: &TransformerConfig, dim: usize, length: usize) -> f64 {
        let parts = if config.positions == Positions::Rope { 2 } else { 3 };
        (parts * dim * length) as f64
    }

    /// 4D T with `rope`: queries, keys and values, and what W_o is applied to. 2D T otherwise: that and the outputs.
    fn live_elements(&self, config: &TransformerConfig, dim: usize, length: usize) -> f64 {
        let streams = if config.positions == Positions::Rope { 4 } else { 2 };
        (streams * dim * length) as f64
    }

    fn wants_positions(&self, config: &TransformerConfig) -> bool {
        config.positions == Positions::Sinusoidal
    }
}

struct Core {
    dim: usize,
    heads: usize,
    /// Where positions are rotary.
    rope_base: Option<f64>,
    /// Slopes `[heads]`, where positions are ALiBi's.
    alibi: Option<Vec<f64>>,
    in_weight: Tensor,
    in_bias: [Tensor; 3],
    out_weight: Tensor,
    out_bias: Tensor,
}

impl Core {
    /// The past of a batch: `kv` and the position of every row.
    fn past<'a>(&self, state: &'a State, batch: usize) -> Result<(&'a Tensor, Vec<u32>)> {
        let kv = state.get("kv")?;
        let context = kv.dims().get(1).copied().unwrap_or(0);
        check::entry("transformer", state, "kv", &[batch, context, 2 * self.dim])?;
        let position = check::entry("transformer", state, "position", &[batch])?.to_vec1::<u32>()?;
        match position.iter().find(|position| **position as usize > context) {
            Some(far) => Err(Error::invalid(format!(
                "transformer: state `position` holds {far}, but `kv` is {:?}",
                kv.dims()
            ))),
            None => Ok((kv, position)),
        }
    }

    /// What W_o is applied to, `[batch, time, D]`, and the state after it. `project` maps xs to the heads' queries, keys
    /// and values, given the bias.
    fn mix(
        &self,
        xs: &Tensor,
        project: impl FnOnce(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let (batch, time) = check::input("transformer", xs, self.dim)?;
        check::lengths("transformer", lengths, batch, time)?;
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(batch)?;
                &fresh
            }
        };
        let (kv, position) = self.past(state, batch)?;
        let bias = Tensor::cat(&self.in_bias, 0)?;
        // [batch, time, 3D]
        let qkv = project(xs, &bias)?;
        let past: Vec<usize> = position.iter().map(|position| *position as usize).collect();
        // [batch, time, D] and [batch, context + time, 2D]
        let (mixed, kv) = if past.iter().all(|past| *past == 0) {
            self.begin(&qkv)?
        } else {
            self.go_on(&qkv, kv, &position, &past)?
        };
        let read = |row: usize| lengths.map_or(time, |lengths| lengths[row]);
        let ends: Vec<usize> = past.iter().enumerate().map(|(row, past)| past + read(row)).collect();
        let kept = ends.iter().copied().max().unwrap_or(0);
        let kv = if kept < kv.dim(1)? { kv.narrow(1, 0, kept)? } else { kv };
        let ends = ends.into_iter().map(position_of).collect::<Result<Vec<_>>>()?;
        let position = Tensor::from_vec(ends, batch, xs.device())?;
        Ok((mixed, State::empty().with("kv", kv).with("position", position)))
    }

    /// What tokens from position 0 on, whose projections are `qkv` `[batch, time, 3D]`, see, and the keys and values
    /// they leave.
    fn begin(&self, qkv: &Tensor) -> Result<(Tensor, Tensor)> {
        let options = PackedOptions { scale: None, alibi: self.alibi.as_deref(), rope: self.rope_base };
        let mixed = kernels::attention_packed(qkv, self.heads, &options)?;
        Ok((mixed, kernels::attention_state(qkv, self.heads, self.rope_base)?))
    }

    /// The same for tokens that follow each row's first `past` of `kv`.
    fn go_on(&self, qkv: &Tensor, kv: &Tensor, position: &[u32], past: &[usize]) -> Result<(Tensor, Tensor)> {
        let (batch, time, _) = qkv.dims3()?;
        let d = self.dim;
        let (q, kv) = self.place(qkv, kv, position)?;
        let (k, v) = (self.split(&kv.narrow(2, 0, d)?)?, self.split(&kv.narrow(2, d, d)?)?);
        let mixed = kernels::attention(&q, &k, &v, &self.options(past))?.reshape((batch, time, d))?;
        Ok((mixed, kv))
    }

    /// The heads' queries, and the keys and values so far, each turned to its position.
    fn place(&self, qkv: &Tensor, kv: &Tensor, position: &[u32]) -> Result<(Tensor, Tensor)> {
        let (batch, time, _) = qkv.dims3()?;
        let d = self.dim;
        let mut q = self.split(&qkv.narrow(2, 0, d)?)?;
        let mut new = qkv.narrow(2, d, 2 * d)?;
        if let Some(base) = self.rope_base {
            q = kernels::rope(&q, position, base)?;
            let k = kernels::rope(&self.split(&new.narrow(2, 0, d)?)?, position, base)?;
            new = Tensor::cat(&[&k.reshape((batch, time, d))?, &new.narrow(2, d, d)?], 2)?;
        }
        Ok((q, cache::append(kv, position, &new)?))
    }

    fn options<'a>(&'a self, past: &'a [usize]) -> AttentionOptions<'a> {
        AttentionOptions { scale: None, past: Some(past), alibi: self.alibi.as_deref() }
    }

    /// `[batch, time, D]` as `[batch, time, heads, D / heads]`.
    fn split(&self, xs: &Tensor) -> Result<Tensor> {
        let (batch, time, dim) = xs.dims3()?;
        Ok(xs.reshape((batch, time, self.heads, dim / self.heads))?)
    }
}

fn position_of(tokens: usize) -> Result<u32> {
    u32::try_from(tokens).map_err(|_| Error::invalid("transformer: a position exceeds 32 bits"))
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let qkv = |xs: &Tensor, bias: &Tensor| kernels::linear(xs, &self.in_weight, Some(bias));
        let (mixed, state) = self.mix(xs, qkv, state, lengths)?;
        Ok((kernels::linear(&mixed, &self.out_weight, Some(&self.out_bias))?, state))
    }

    fn forward_in_block(
        &self,
        xs: &Tensor,
        norm: &BlockNorm<'_>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<Option<(Tensor, State)>> {
        let norm = Norm { weight: norm.weight, bias: norm.bias, eps: norm.epsilon };
        let qkv = |xs: &Tensor, bias: &Tensor| kernels::normed_linear(xs, &norm, &self.in_weight, Some(bias));
        let (mixed, state) = self.mix(xs, qkv, state, lengths)?;
        Ok(Some((kernels::linear_onto(&mixed, &self.out_weight, Some(&self.out_bias), xs)?, state)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let device = self.in_weight.device();
        let kv = Tensor::zeros((batch, 0, 2 * self.dim), self.in_weight.dtype(), device)?;
        let position = Tensor::zeros(batch, DType::U32, device)?;
        Ok(State::empty().with("kv", kv).with("position", position))
    }

    /// Who attends to whom.
    fn inspect(&self, xs: &Tensor, state: &State) -> Result<Inspection> {
        let (batch, _) = check::input("transformer", xs, self.dim)?;
        let (kv, position) = self.past(state, batch)?;
        let bias = Tensor::cat(&self.in_bias, 0)?;
        let (q, kv) = self.place(&kernels::linear(xs, &self.in_weight, Some(&bias))?, kv, &position)?;
        let past: Vec<usize> = position.iter().map(|position| *position as usize).collect();
        let keys = self.split(&kv.narrow(2, 0, self.dim)?)?;
        let weights = kernels::reference::attention_weights(&q, &keys, &self.options(&past))?;
        let attention = Attention { heads: self.heads, weights: inspect::values(&weights)? };
        Ok(Inspection { attention: Some(attention), ..Inspection::default() })
    }

    fn decoder(&self, batch: usize, capacity: usize) -> Result<Box<dyn Decoder + '_>> {
        check::decodable("transformer", &self.in_weight)?;
        let d = self.dim;
        let project =
            |part: usize| LinearCell::new(&self.in_weight.narrow(0, part * d, d)?, Some(&self.in_bias[part]));
        let projections = [project(0)?, project(1)?, project(2)?];
        let rope = self.rope_base.map(|base| Rope::new(d / self.heads, base)).transpose()?.map(RopeCell::new);
        let empty = Tensor::zeros((batch, 0, self.heads, d / self.heads), DType::F32, &Device::Cpu)?;
        let options = AttentionOptions { scale: None, past: None, alibi: self.alibi.as_deref() };
        Ok(Box::new(AttentionDecoder {
            core: self,
            batch,
            capacity,
            projections,
            rope,
            cell: AttentionCell::new(&empty, &empty, capacity, &options)?,
            out: LinearCell::new(&self.out_weight, Some(&self.out_bias))?,
            qkv: [(); 3].map(|()| vec![0.0; batch * d]),
            mixed: vec![0.0; batch * d],
        }))
    }
}

struct AttentionDecoder<'a> {
    core: &'a Core,
    batch: usize,
    capacity: usize,
    projections: [LinearCell<f32>; 3],
    rope: Option<RopeCell<f32>>,
    cell: AttentionCell<f32>,
    out: LinearCell<f32>,
    /// Query, key and value of the present token, each `[batch, D]`.
    qkv: [Vec<f32>; 3],
    /// `[batch, D]`
    mixed: Vec<f32>,
}

impl Decoder for AttentionDecoder<'_> {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        let d = self.core.dim;
        check::token("transformer", x, y, self.batch, d)?;
        for (projection, part) in self.projections.iter().zip(&mut self.qkv) {
            projection.step(x, part);
        }
        if let Some(rope) = &mut self.rope {
            for part in &mut self.qkv[..2] {
                for (row, position) in part.chunks_exact_mut(d).zip(self.cell.lengths()) {
                    rope.rotate(row, position_of(*position)?);
                }
            }
        }
        let [q, k, v] = &self.qkv;
        self.cell.step(q, k, v, &mut self.mixed)?;
        self.out.step(&self.mixed, y);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let core = self.core;
        let (kv, position) = core.past(state, self.batch)?;
        let past: Vec<usize> = position.iter().map(|position| *position as usize).collect();
        let options = AttentionOptions { scale: None, past: Some(&past), alibi: core.alibi.as_deref() };
        let part = |first: usize| core.split(&kv.narrow(2, first, core.dim)?.detach());
        self.cell = AttentionCell::new(&part(0)?, &part(core.dim)?, self.capacity, &options)?;
        Ok(())
    }

    /// Keys, values and positions.
    fn state_bytes(&self) -> usize {
        self.cell.bytes() + self.batch * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_do_not_fit_the_width_are_named() {
        let message = |heads, positions, dim| {
            let config = TransformerConfig { heads, positions, ..TransformerConfig::default() };
            let params = Params::fresh(0, DType::F32, &Device::Cpu);
            Transformer.build(&config, Dims { dim, horizon: 9 }, &params).err().map(|error| error.to_string())
        };
        assert!(message(5, Positions::None, 12).unwrap().starts_with("`heads` is 5"));
        assert!(message(0, Positions::None, 12).unwrap().starts_with("`heads` is 0"));
        assert!(message(4, Positions::Rope, 12).unwrap().starts_with("`heads` is 4"));
        assert_eq!(message(4, Positions::Alibi, 12), None);
        assert_eq!(message(3, Positions::Rope, 12), None);
    }

    #[test]
    fn only_rotation_gives_the_key_bias_a_gradient() {
        for (positions, free) in [(Positions::Rope, false), (Positions::Alibi, true), (Positions::None, true)]
        {
            let config = TransformerConfig { positions, ..TransformerConfig::default() };
            let params = Params::fresh(0, DType::F32, &Device::Cpu);
            Transformer.build(&config, Dims { dim: 8, horizon: 9 }, &params).unwrap();
            let flags = params.store().get("in_proj_bias.k").unwrap().flags;
            assert_eq!(flags.gradient_free.is_some(), free, "{positions:?}");
        }
    }
}
