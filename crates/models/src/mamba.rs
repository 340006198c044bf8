//! A selective state-space layer.
//!
//! # Source
//! Gu & Dao 2023, "Mamba: Linear-time sequence modeling with selective state spaces", sections 3.2 to 3.6 and algorithm 2:
//!
//! ```text
//! u_t, z_t = W_u x_t, W_z x_t                                            two halves of in_proj, E channels each
//! v_t = silu(Σ_j w_j ⊙ u_{t−K+1+j} + b)                                  a short causal convolution of each channel
//! δ_t, B_t, C_t = x_proj v_t                                             R, N and N numbers
//! Δ_t = softplus(W_Δ δ_t + b_Δ)
//! h_t = exp(Δ_t A) ⊙ h_{t−1} + Δ_t B_t v_t                               N states a channel, A = −exp(A_log)
//! y_t = W_o ((C_t · h_t + D ⊙ v_t) ⊙ silu(z_t))
//! ```
//!
//! # Symbols
//! D = dim; E = `expand` · dim; N = `states`; K = `convolution`; R = ⌈dim/16⌉ unless `dt_rank` says otherwise; W_u, W_z: the
//! halves of `in_proj.weight`; W_Δ, b_Δ: `dt_proj`; w, b: `conv1d`; W_o: `out_proj.weight`. The skip D of the source is the
//! parameter `D`.
//!
//! # Shapes
//! xs and ys `[batch, time, D]`; `in_proj.weight` `[2E, D]`; `conv1d.weight` `[E, 1, K]`, `conv1d.bias` `[E]`; `x_proj.weight`
//! `[R + 2N, E]`; `dt_proj.weight` `[E, R]`, `dt_proj.bias` `[E]`; `A_log` `[E, N]`; `D` `[E]`; `out_proj.weight` `[D, E]`. State:
//! `conv` `[batch, K − 1, E]`, the last inputs of the convolution, and `ssm` `[batch, E, N]`.
//!
//! # Cost
//! E (3D + K + 2R + 3N + 3) parameters. Time and memory linear in time; the scan keeps its inputs and one state in 32 steps.
//!
//! # Deviations from the source
//! The sequence mixer alone: norm and residual belong to the apparatus. Names are those of the published code.
//!
//! # Errors
//! A wrong rank, width or batch; a state without `conv` and `ssm`; sizes of 0; time scales that are no increasing positive
//! pair.

use crate::{check, inspect};
use candle_core::{DType, Device, Tensor};
use seqbench_core::architecture::{Architecture, ArchitectureInfo, BlockNorm, Decoder, Dims, SequenceCore};
use seqbench_core::error::{Error, Result};
use seqbench_core::inspection::{Inspection, SignalKind};
use seqbench_core::parameter::{Flags, Init, Params};
use seqbench_core::seed::Stream;
use seqbench_core::state::State;
use seqbench_kernels::{
    self as kernels, ConvolutionCell, LinearCell, Norm, SelectiveInputs, SelectiveParameters,
    SelectiveScanCell,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Mamba;

/// Settings of [`Mamba`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MambaConfig {
    /// N, states a channel.
    pub states: usize,
    /// Channels of the scan for each of the width.
    pub expand: usize,
    /// K, steps the convolution sees.
    pub convolution: usize,
    /// R, the width Δ is computed from; ⌈dim/16⌉ where absent.
    pub dt_rank: Option<usize>,
    /// The smallest time step at the start.
    pub dt_min: f64,
    /// The largest time step at the start.
    pub dt_max: f64,
}

impl Default for MambaConfig {
    fn default() -> Self {
        MambaConfig { states: 16, expand: 2, convolution: 4, dt_rank: None, dt_min: 0.001, dt_max: 0.1 }
    }
}

/// Sizes of a layer.
#[derive(Clone, Copy)]
struct Sizes {
    dim: usize,
    /// E
    inner: usize,
    states: usize,
    taps: usize,
    rank: usize,
}

impl MambaConfig {
    fn sizes(&self, dim: usize) -> Sizes {
        let rank = self.dt_rank.unwrap_or(dim.div_ceil(16));
        Sizes { dim, inner: self.expand * dim, states: self.states, taps: self.convolution, rank }
    }

    fn check(&self) -> Result<()> {
        let counts = [
            ("states", self.states),
            ("expand", self.expand),
            ("convolution", self.convolution),
            ("dt_rank", self.dt_rank.unwrap_or(1)),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(Error::invalid(format!("`{key}` is 0, expected 1 or more")));
        }
        check::positive("dt_min", self.dt_min)?;
        check::positive("dt_max", self.dt_max)?;
        if self.dt_min > self.dt_max {
            return Err(Error::invalid(format!(
                "`dt_min` is {}, more than `dt_max` = {}; exchange them",
                self.dt_min, self.dt_max
            )));
        }
        Ok(())
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "mamba",
    title: "Mamba (selective SSM)",
    summary: "A linear recurrence whose step, input and output weights depend on the input, so that it can choose what \
              to keep.",
    citation: "A. Gu and T. Dao, Mamba: Linear-time sequence modeling with selective state spaces, 2023",
    deviations: &["The sequence mixer alone: norm and residual belong to the apparatus."],
};

impl Architecture for Mamba {
    type Config = MambaConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    /// The published code's initial values: A = −(1, …, N) in every channel, D = 1, Δ between `dt_min` and `dt_max` evenly
    /// in the logarithm, W_Δ uniform on ±R^−1/2, maps and convolution as PyTorch's.
    fn build(&self, config: &MambaConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        config.check()?;
        let sizes @ Sizes { dim, inner, states, taps, rank } = config.sizes(dims.dim);
        let bound = |inputs: usize| Init::Uniform { bound: 1.0 / (inputs as f64).sqrt() };
        // The step whose softplus is drawn: ln(e^Δ − 1) = Δ + ln(1 − e^−Δ).
        let steps = |stream: &mut Stream| -> Vec<f64> {
            let draw = |stream: &mut Stream| {
                let step = libm::exp(stream.uniform_in(libm::log(config.dt_min), libm::log(config.dt_max)));
                step + libm::log(-libm::expm1(-step))
            };
            (0..inner).map(|_| draw(stream)).collect()
        };
        let rates = |_: &mut Stream| -> Vec<f64> {
            (0..inner).flat_map(|_| (1..=states).map(|n| libm::log(n as f64))).collect()
        };
        let still = Flags { no_decay: true, gradient_free: None };
        Ok(Box::new(Core {
            sizes,
            in_proj: params.get(&[2 * inner, dim], "in_proj.weight", &bound(dim))?,
            conv_weight: params.get(&[inner, 1, taps], "conv1d.weight", &bound(taps))?,
            conv_bias: params.get(&[inner], "conv1d.bias", &bound(taps))?,
            x_proj: params.get(&[rank + 2 * states, inner], "x_proj.weight", &bound(inner))?,
            dt_weight: params.get(&[inner, rank], "dt_proj.weight", &bound(rank))?,
            dt_bias: params.get_with(&[inner], "dt_proj.bias", &Init::From(&steps), still)?,
            a_log: params.get_with(&[inner, states], "A_log", &Init::From(&rates), still)?,
            skip: params.get_with(&[inner], "D", &Init::Ones, still)?,
            out_proj: params.get(&[dim, inner], "out_proj.weight", &bound(inner))?,
        }))
    }

    /// E (3D + K + 2R + 3N + 3).
    fn parameter_count(&self, config: &MambaConfig, dim: usize) -> usize {
        let Sizes { inner, states, taps, rank, .. } = config.sizes(dim);
        inner * (3 * dim + taps + 2 * rank + 3 * states + 3)
    }

    /// 4E (K − 1 + N), whatever the context.
    fn state_bytes(&self, config: &MambaConfig, dim: usize, _: usize) -> usize {
        let Sizes { inner, states, taps, .. } = config.sizes(dim);
        size_of::<f32>() * inner * (taps - 1 + states)
    }

    /// E (3D + 2R + 2N) T in products with weights, E K T in the convolution and E (3N + 1) T in the scan: decay, input and
    /// output of a state, and the skip. Δ A, of which the decay is the exponential, and Δ v are element-wise.
    fn forward_operations(&self, config: &MambaConfig, dim: usize, length: usize) -> f64 {
        let Sizes { inner, states, taps, rank, .. } = config.sizes(dim);
        let (weights, scans) = (3 * dim + 2 * rank + 2 * states, taps + 3 * states + 1);
        (inner * (weights + scans)) as f64 * length as f64
    }

    fn forward_elements(&self, config: &MambaConfig, dim: usize, length: usize) -> f64 {
        let Sizes { inner, states, .. } = config.sizes(dim);
        (inner * (states + 4) * length) as f64
    }

    /// (7E + D + R + 2N) T: u, z, v, Δ before and after softplus, the scan's outputs before and after the gate; outputs, δ, B
    /// and C; and the states at the start of every 32 steps, of channels rounded up to registers of 16.
    fn kept_elements(&self, config: &MambaConfig, dim: usize, length: usize) -> f64 {
        let Sizes { inner, states, rank, .. } = config.sizes(dim);
        let starts = length.div_ceil(32) * states * inner.next_multiple_of(16);
        ((7 * inner + dim + rank + 2 * states) * length + starts) as f64
    }

    /// D T more: what the norm gives, which both halves of `in_proj` read.
    fn kept_in_block_elements(&self, config: &MambaConfig, dim: usize, length: usize) -> f64 {
        self.kept_elements(config, dim, length) + (dim * length) as f64
    }

    /// (3E + 2N (1 + G)) T while the scan goes back: gradients of z, v and Δ, those of B and C and the sums of the latter for
    /// each of the G = ⌈E/64⌉ groups of channels; and for each row sums of the gradients of A and D.
    fn backward_elements(&self, config: &MambaConfig, dim: usize, length: usize) -> f64 {
        let Sizes { inner, states, .. } = config.sizes(dim);
        let sums = (states + 1) * inner.next_multiple_of(16);
        ((3 * inner + 2 * states * (1 + inner.div_ceil(64))) * length + sums) as f64
    }

    /// (6E + 2N) T: u, z, v, Δ, the scan's outputs before and after the gate, B and C.
    fn live_elements(&self, config: &MambaConfig, dim: usize, length: usize) -> f64 {
        let Sizes { inner, states, .. } = config.sizes(dim);
        ((6 * inner + 2 * states) * length) as f64
    }
}

struct Core {
    sizes: Sizes,
    in_proj: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    a_log: Tensor,
    skip: Tensor,
    out_proj: Tensor,
}

impl Core {
    /// W_u and W_z.
    fn halves(&self) -> Result<[Tensor; 2]> {
        let inner = self.sizes.inner;
        Ok([self.in_proj.narrow(0, 0, inner)?, self.in_proj.narrow(0, inner, inner)?])
    }

    /// The rows of x_proj that give δ, B and C.
    fn mixes(&self) -> Result<[Tensor; 3]> {
        let Sizes { rank, states, .. } = self.sizes;
        let part = |first: usize, count: usize| self.x_proj.narrow(0, first, count);
        Ok([part(0, rank)?, part(rank, states)?, part(rank + states, states)?])
    }

    fn kernel(&self) -> Result<Tensor> {
        Ok(self.conv_weight.squeeze(1)?)
    }

    fn parameters(&self) -> Result<SelectiveParameters> {
        Ok(SelectiveParameters { a: self.a_log.exp()?.neg()?, d: self.skip.clone() })
    }

    fn entries<'a>(&self, state: &'a State, batch: usize) -> Result<[&'a Tensor; 2]> {
        let Sizes { inner, states, taps, .. } = self.sizes;
        Ok([
            check::entry("mamba", state, "conv", &[batch, taps - 1, inner])?,
            check::entry("mamba", state, "ssm", &[batch, inner, states])?,
        ])
    }

    /// Δ `[batch, time, E]` of the convolved inputs, whose map to δ is `low`.
    fn steps(&self, vs: &Tensor, low: &Tensor) -> Result<Tensor> {
        let low = kernels::linear(vs, low, None)?;
        Ok(kernels::softplus(&kernels::linear(&low, &self.dt_weight, Some(&self.dt_bias))?)?)
    }

    /// What W_o is applied to, and the state after it; `map` is the map of xs by half of `in_proj`.
    fn mix(
        &self,
        xs: &Tensor,
        map: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let (batch, time) = check::input("mamba", xs, self.sizes.dim)?;
        check::lengths("mamba", lengths, batch, time)?;
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(batch)?;
                &fresh
            }
        };
        let [past, s] = self.entries(state, batch)?;
        let [w_u, w_z] = self.halves()?;
        let (us, zs) = (map(&w_u)?, map(&w_z)?);
        let (vs, conv) = kernels::short_convolution(&us, &self.kernel()?, &self.conv_bias, past, lengths)?;
        let [delta, b, c] = self.mixes()?;
        let inputs = SelectiveInputs {
            delta: self.steps(&vs, &delta)?,
            b: kernels::linear(&vs, &b, None)?,
            c: kernels::linear(&vs, &c, None)?,
        };
        let (ys, ssm) = kernels::selective_scan(&vs, &inputs, &self.parameters()?, s, lengths)?;
        Ok((kernels::gated(&ys, &zs)?, State::empty().with("conv", conv).with("ssm", ssm)))
    }
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let (mixed, state) = self.mix(xs, |weight| kernels::linear(xs, weight, None), state, lengths)?;
        Ok((kernels::linear(&mixed, &self.out_proj, None)?, state))
    }

    fn forward_in_block(
        &self,
        xs: &Tensor,
        norm: &BlockNorm<'_>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<Option<(Tensor, State)>> {
        let norm = Norm { weight: norm.weight, bias: norm.bias, eps: norm.epsilon };
        // Both halves read the same rows, which are normalised once.
        let normal = norm.forward(xs)?;
        let (mixed, state) = self.mix(xs, |weight| kernels::linear(&normal, weight, None), state, lengths)?;
        Ok(Some((kernels::linear_onto(&mixed, &self.out_proj, None, xs)?, state)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let Sizes { inner, states, taps, .. } = self.sizes;
        let (dtype, device) = (self.a_log.dtype(), self.a_log.device());
        let conv = Tensor::zeros((batch, taps - 1, inner), dtype, device)?;
        let ssm = Tensor::zeros((batch, inner, states), dtype, device)?;
        Ok(State::empty().with("conv", conv).with("ssm", ssm))
    }

    /// The theory of ∂L/∂s is the product of the decays exp(Δ_t A), the path along the state alone.
    fn inspect(&self, xs: &Tensor, state: &State) -> Result<Inspection> {
        let Sizes { inner, states, .. } = self.sizes;
        let [past, _] = self.entries(state, xs.dim(0)?)?;
        let us = kernels::linear(xs, &self.halves()?[0], None)?;
        let (vs, _) = kernels::short_convolution(&us, &self.kernel()?, &self.conv_bias, past, None)?;
        let delta = inspect::values(&self.steps(&vs, &self.mixes()?[0])?)?;
        let rates = inspect::values(&self.a_log.exp()?)?;
        let decays = delta.iter().enumerate().flat_map(|(at, delta)| {
            let channel = at % inner;
            rates[channel * states..(channel + 1) * states].iter().map(move |rate| libm::exp(-rate * delta))
        });
        let theories = vec![inspect::diagonal("decays", "ssm", inner * states, decays.collect())];
        let signals = vec![inspect::signal("delta", SignalKind::Plain, inner, delta)];
        Ok(Inspection { signals, theories, ..Inspection::default() })
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        check::decodable("mamba", &self.a_log)?;
        let Sizes { inner, states, taps, rank, .. } = self.sizes;
        let [w_u, w_z] = self.halves()?;
        let [delta, b, c] = self.mixes()?;
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let map = |weight: &Tensor| LinearCell::new(&weight.contiguous()?.detach(), None);
        Ok(Box::new(MambaDecoder {
            core: self,
            batch,
            maps: [map(&w_u)?, map(&w_z)?, map(&delta)?, map(&b)?, map(&c)?, map(&self.out_proj)?],
            step: LinearCell::new(&self.dt_weight, Some(&self.dt_bias))?,
            convolution: ConvolutionCell::new(
                &self.kernel()?.detach(),
                &self.conv_bias,
                &zeros(&[batch, taps - 1, inner])?,
            )?,
            scan: SelectiveScanCell::new(&self.still()?, &zeros(&[batch, inner, states])?)?,
            wide: [(); 5].map(|()| vec![0.0; batch * inner]),
            low: vec![0.0; batch * rank],
            narrow: [(); 2].map(|()| vec![0.0; batch * states]),
        }))
    }
}

impl Core {
    /// [`Core::parameters`] without a graph.
    fn still(&self) -> Result<SelectiveParameters> {
        let SelectiveParameters { a, d } = self.parameters()?;
        Ok(SelectiveParameters { a: a.detach(), d: d.detach() })
    }
}

struct MambaDecoder<'a> {
    core: &'a Core,
    batch: usize,
    /// To u, z, δ, B, C, and out.
    maps: [LinearCell<f32>; 6],
    step: LinearCell<f32>,
    convolution: ConvolutionCell<f32>,
    scan: SelectiveScanCell<f32>,
    /// u, z, v, Δ and y, each `[batch, E]`.
    wide: [Vec<f32>; 5],
    /// `[batch, R]`
    low: Vec<f32>,
    /// B and C, each `[batch, N]`.
    narrow: [Vec<f32>; 2],
}

impl Decoder for MambaDecoder<'_> {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        check::token("mamba", x, y, self.batch, self.core.sizes.dim)?;
        let MambaDecoder { maps, step, convolution, scan, wide, low, narrow, .. } = self;
        let [to_u, to_z, to_low, to_b, to_c, to_out] = maps;
        let [us, zs, vs, deltas, ys] = wide;
        let [b, c] = narrow;
        to_u.step(x, us);
        to_z.step(x, zs);
        convolution.step(us, vs);
        to_low.step(vs, low);
        // The map of u is used up.
        step.step(low, us);
        kernels::softplus_slice(us, deltas);
        to_b.step(vs, b);
        to_c.step(vs, c);
        scan.step(vs, deltas, b, c, ys)?;
        kernels::gate_slice(ys, zs);
        to_out.step(ys, y);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let [past, s] = self.core.entries(state, self.batch)?;
        let kernel = self.core.kernel()?.detach();
        self.convolution = ConvolutionCell::new(&kernel, &self.core.conv_bias, &past.detach())?;
        self.scan = SelectiveScanCell::new(&self.core.still()?, &s.detach())?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let Sizes { inner, states, .. } = self.core.sizes;
        size_of_val(self.convolution.past()) + self.batch * inner * states * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(config: &MambaConfig) -> Result<seqbench_core::parameter::ParameterStore> {
        let params = Params::fresh(3, DType::F64, &Device::Cpu);
        Mamba.build(config, Dims { dim: 20, horizon: 9 }, &params)?;
        Ok(params.store())
    }

    #[test]
    fn steps_start_between_their_bounds_and_rates_are_the_whole_numbers() {
        let store = built(&MambaConfig::default()).unwrap();
        let values = |name| store.get(name).unwrap().var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let softplus = |x: f64| libm::log1p(libm::exp(x));
        assert!(values("dt_proj.bias").into_iter().all(|b| (0.000_999..0.100_1).contains(&softplus(b))));
        for (at, rate) in values("A_log").into_iter().enumerate() {
            assert!((rate.exp() - (at % 16 + 1) as f64).abs() < 1e-12);
        }
        assert_eq!(values("dt_proj.weight").len(), 40 * 2);
    }

    #[test]
    fn sizes_of_nothing_and_scales_out_of_order_are_refused() {
        let message = |config: MambaConfig| built(&config).err().unwrap().to_string();
        let default = MambaConfig::default;
        assert!(message(MambaConfig { states: 0, ..default() }).starts_with("`states` is 0"));
        assert!(message(MambaConfig { dt_rank: Some(0), ..default() }).starts_with("`dt_rank` is 0"));
        assert!(message(MambaConfig { dt_min: 1.0, ..default() }).starts_with("`dt_min` is 1"));
        assert!(message(MambaConfig { dt_max: -1.0, ..default() }).starts_with("`dt_max` is -1"));
    }
}
