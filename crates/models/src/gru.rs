//! Gated recurrent units.
//!
//! # Source
//! Cho et al. 2014, "Learning phrase representations using RNN encoder–decoder for statistical machine translation",
//! EMNLP, eq. 5–8, in the form that cuDNN and PyTorch compute:
//!
//! ```text
//! r, z = σ(W_r x_t + U_r h_{t−1} + b_r), σ(… z …)        n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t−1} + b′_n))
//! y_t = h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}
//! ```
//!
//! Chrono initialisation: Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 3: the gate that
//! keeps the state, here z, starts at b_z ~ log U[1, T_max − 1].
//!
//! # Symbols
//! H = dim; r, z, n: reset gate, update gate, candidate, in this order in every parameter; W: `weight_ih_l0`, U:
//! `weight_hh_l0`, b = `bias_ih_l0` + `bias_hh_l0`, but b_n and b′_n apart; T_max: `t_max`.
//!
//! # Shapes
//! xs and ys `[batch, time, H]`; `weight_ih_l0`, `weight_hh_l0` `[3H, H]`; `bias_ih_l0`, `bias_hh_l0` `[3H]`; state `h`
//! `[batch, H]`.
//!
//! # Cost
//! 6H² + 6H parameters, all but the biases a multiply-add a step; time and memory linear in time; steps follow one another.
//!
//! # Deviations from the source
//! The reset gate multiplies the product U_n h instead of h, and z keeps where the paper's z renews (its z is 1 − z
//! here): both as in PyTorch, which the parameters are compatible with. Chrono initialisation holds the whole update bias
//! in `bias_ih_l0`; that part of `bias_hh_l0` is 0.
//!
//! # Errors
//! A wrong rank, width or batch; a state without `h`; `t_max` without `chrono` or below 2; a gain that is no positive
//! number.

use crate::lstm::RecurrentInit;
use crate::{check, init, inspect};
use candle_core::Tensor;
use seqbench_core::architecture::{Architecture, ArchitectureInfo, Decoder, Dims, SequenceCore};
use seqbench_core::error::{Error, Result};
use seqbench_core::inspection::{Inspection, SignalKind};
use seqbench_core::parameter::{Init, Params};
use seqbench_core::seed::Stream;
use seqbench_core::state::State;
use seqbench_kernels as kernels;
use serde::{Deserialize, Serialize};

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Gru;

/// Settings of [`Gru`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GruConfig {
    /// Whether the bias of the update gate is spread over the time scales up to `t_max`.
    pub chrono: bool,
    /// The longest dependency `chrono` expects, in steps; the longest sequence of the task where absent.
    pub t_max: Option<usize>,
    /// How the recurrent weight of each gate starts.
    pub init: RecurrentInit,
    /// Factor on the recurrent weight.
    pub gain: f64,
}

impl Default for GruConfig {
    fn default() -> Self {
        GruConfig { chrono: false, t_max: None, init: RecurrentInit::Uniform, gain: 1.0 }
    }
}

impl GruConfig {
    /// T_max, where the update bias is to be spread.
    fn spread(&self, horizon: usize) -> Result<Option<usize>> {
        check::positive("gain", self.gain)?;
        match (self.chrono, self.t_max) {
            (true, Some(t_max)) if t_max < 2 => {
                Err(Error::invalid(format!("`t_max` is {t_max}, expected 2 steps or more")))
            }
            (true, t_max) => Ok(Some(t_max.unwrap_or(horizon).max(2))),
            (false, Some(_)) => Err(Error::invalid("`t_max` needs `chrono = true`")),
            (false, None) => Ok(None),
        }
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "gru",
    title: "GRU",
    summary: "One gate mixes the old state with a new one, another hides the old from the new.",
    citation: "K. Cho et al., Learning phrase representations using RNN encoder-decoder for statistical machine \
               translation, EMNLP 2014",
    deviations: &[
        "The reset gate multiplies the product with the state, and the update gate keeps: PyTorch's form.",
        "With chrono initialisation the first bias holds the whole update bias, that part of the second is 0.",
    ],
};

impl Architecture for Gru {
    type Config = GruConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    fn build(&self, config: &GruConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        let spread = config.spread(dims.horizon)?;
        let n = dims.dim;
        let bound = 1.0 / (n as f64).sqrt();
        let uniform = Init::Uniform { bound };
        let recurrent = |stream: &mut Stream| config.init.recurrent(stream, n, 3, config.gain);
        let bias = |stream: &mut Stream, update: &dyn Fn(&mut Stream, usize) -> f64| {
            let mut bias = init::uniform(stream, 3 * n, bound);
            if let Some(t_max) = spread {
                bias[n..2 * n].fill_with(|| update(stream, t_max));
            }
            bias
        };
        let time_scale =
            |stream: &mut Stream, t_max: usize| libm::log(stream.uniform_in(1.0, (t_max - 1) as f64));
        let input = |stream: &mut Stream| bias(stream, &time_scale);
        let hidden = |stream: &mut Stream| bias(stream, &|_, _| 0.0);
        Ok(Box::new(Core {
            dim: n,
            w_ih: params.get(&[3 * n, n], "weight_ih_l0", &uniform)?,
            w_hh: params.get(&[3 * n, n], "weight_hh_l0", &Init::From(&recurrent))?,
            b_ih: params.get(&[3 * n], "bias_ih_l0", &Init::From(&input))?,
            b_hh: params.get(&[3 * n], "bias_hh_l0", &Init::From(&hidden))?,
        }))
    }

    /// 6H² + 6H.
    fn parameter_count(&self, _: &GruConfig, dim: usize) -> usize {
        6 * dim * dim + 6 * dim
    }

    /// 4H, whatever the context.
    fn state_bytes(&self, _: &GruConfig, dim: usize, _: usize) -> usize {
        size_of::<f32>() * dim
    }

    /// 6H² T: the products of three gates with input and state.
    fn forward_operations(&self, _: &GruConfig, dim: usize, length: usize) -> f64 {
        (6 * dim * dim * length) as f64
    }

    fn forward_elements(&self, _: &GruConfig, dim: usize, length: usize) -> f64 {
        (6 * dim * length) as f64
    }

    /// 5H T: outputs, two gates, the candidate and its product with the state.
    fn kept_elements(&self, _: &GruConfig, dim: usize, length: usize) -> f64 {
        (5 * dim * length) as f64
    }

    /// 2H T, and about 6H²/8: a sum of the weights' gradient for every eight rows.
    fn backward_elements(&self, _: &GruConfig, dim: usize, length: usize) -> f64 {
        (2 * dim * length + 3 * dim * dim / 4) as f64
    }

    /// H T: the outputs.
    fn live_elements(&self, _: &GruConfig, dim: usize, length: usize) -> f64 {
        (dim * length) as f64
    }
}

struct Core {
    dim: usize,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let (batch, time) = check::input("gru", xs, self.dim)?;
        check::lengths("gru", lengths, batch, time)?;
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(batch)?;
                &fresh
            }
        };
        let h0 = check::entry("gru", state, "h", &[batch, self.dim])?;
        let Core { w_ih, w_hh, b_ih, b_hh, .. } = self;
        let (ys, h) = kernels::gru(xs, w_ih, w_hh, b_ih, b_hh, h0, lengths)?;
        Ok((ys, State::empty().with("h", h)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let zeros = Tensor::zeros((batch, self.dim), self.w_hh.dtype(), self.w_hh.device())?;
        Ok(State::empty().with("h", zeros))
    }

    /// The theory of ∂L/∂h is the product of the update gates, the path along which the state is kept.
    fn inspect(&self, xs: &Tensor, state: &State) -> Result<Inspection> {
        let (ys, _) = self.forward(xs, Some(state), None)?;
        let before = inspect::before(&ys, state.get("h")?)?;
        let n = self.dim;
        let from_x = inspect::values(&kernels::linear(xs, &self.w_ih, Some(&self.b_ih))?)?;
        let from_h = inspect::values(&kernels::linear(&before, &self.w_hh, Some(&self.b_hh))?)?;
        let sums: Vec<f64> = from_x.iter().zip(&from_h).map(|(x, h)| x + h).collect();
        let [r, z] = [0, 1].map(|gate| inspect::part(&sums, 3, n, gate, inspect::sigmoid));
        let of = |from: &[f64]| inspect::part(from, 3, n, 2, |value| value);
        let candidates = of(&from_x).into_iter().zip(of(&from_h)).zip(&r);
        let candidate = candidates.map(|((x, h), r)| libm::tanh(x + r * h)).collect();
        let theories = vec![inspect::diagonal("update gates", "h", n, z.clone())];
        Ok(Inspection {
            signals: vec![
                inspect::signal("reset", SignalKind::Gate, n, r),
                inspect::signal("update", SignalKind::Gate, n, z),
                inspect::signal("candidate", SignalKind::Squashed, n, candidate),
                inspect::signal("h", SignalKind::Plain, n, inspect::values(&ys)?),
            ],
            matrices: inspect::blocks(&inspect::values(&self.w_hh)?, n, &["U_r", "U_z", "U_n"]),
            theories,
            ..Inspection::default()
        })
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        check::decodable("gru", &self.w_hh)?;
        let Core { w_ih, w_hh, b_ih, b_hh, dim } = self;
        let cell = kernels::GruCell::new(w_ih, w_hh, b_ih, b_hh, batch)?;
        Ok(Box::new(GruDecoder { cell, h: vec![0.0; batch * dim], batch, dim: *dim }))
    }
}

struct GruDecoder {
    cell: kernels::GruCell<f32>,
    /// `[batch, dim]`
    h: Vec<f32>,
    batch: usize,
    dim: usize,
}

impl Decoder for GruDecoder {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        check::token("gru", x, y, self.batch, self.dim)?;
        self.cell.step(x, &mut self.h);
        y.copy_from_slice(&self.h);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        check::copy(check::entry("gru", state, "h", &[self.batch, self.dim])?, &mut self.h)
    }

    fn state_bytes(&self) -> usize {
        size_of_val(&self.h[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use seqbench_core::config::{Value, read};

    const N: usize = 301;

    fn biases(json: &serde_json::Value, horizon: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        let params = Params::fresh(5, DType::F64, &Device::Cpu);
        Gru.build(&read(&Value::from_json(json)).unwrap(), Dims { dim: N, horizon }, &params)?;
        let store = params.store();
        let values = |name| store.get(name).unwrap().var.to_vec1::<f64>().unwrap();
        Ok((values("bias_ih_l0"), values("bias_hh_l0")))
    }

    #[test]
    fn chrono_spreads_the_update_bias_over_the_time_scales() {
        let (ih, hh) = biases(&serde_json::json!({"chrono": true, "t_max": 101}), 7).unwrap();
        let longest = 100f64.ln();
        assert!(ih[N..2 * N].iter().all(|b| (0.0..=longest).contains(b)));
        assert!(ih[N..2 * N].iter().any(|b| *b > 0.8 * longest));
        assert!(hh[N..2 * N].iter().all(|b| *b == 0.0));
        let bound = 1.0 / (N as f64).sqrt();
        for bias in [&ih, &hh] {
            assert!(bias[..N].iter().chain(&bias[2 * N..]).all(|b| b.abs() <= bound && *b != 0.0));
        }
        // Without `t_max` the task's horizon.
        let (ih, _) = biases(&serde_json::json!({"chrono": true}), 4).unwrap();
        assert!(ih[N..2 * N].iter().all(|b| *b <= 3f64.ln()));
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        let message = |json| biases(&json, 9).unwrap_err().to_string();
        assert!(message(serde_json::json!({"t_max": 9})).starts_with("`t_max` needs `chrono = true`"));
        assert!(message(serde_json::json!({"chrono": true, "t_max": 1})).starts_with("`t_max` is 1"));
        assert!(message(serde_json::json!({"gain": 0.0})).starts_with("`gain` is 0"));
    }
}
