//! Long short-term memory.
//!
//! # Source
//! Hochreiter & Schmidhuber 1997, "Long short-term memory", Neural Computation 9, with the forget gate of Gers,
//! Schmidhuber & Cummins 2000, "Learning to forget", Neural Computation 12:
//!
//! ```text
//! i, f, o = σ(W_i x_t + U_i h_{t−1} + b_i), σ(… f …), σ(… o …)    g = tanh(W_g x_t + U_g h_{t−1} + b_g)
//! c_t = f ⊙ c_{t−1} + i ⊙ g                                        y_t = h_t = o ⊙ tanh(c_t)
//! ```
//!
//! Forget bias 1: Jozefowicz, Zaremba & Sutskever 2015, "An empirical exploration of recurrent network
//! architectures", section 4.2. Chrono initialisation: Tallec & Ollivier 2018, "Can recurrent neural networks warp
//! time?", eq. 16: b_f ~ log U[1, T_max − 1], b_i = −b_f.
//!
//! # Symbols
//! H = dim; i, f, g, o: input gate, forget gate, candidate, output gate, in this order in every parameter; W:
//! `weight_ih_l0`, U: `weight_hh_l0`, b = `bias_ih_l0` + `bias_hh_l0`; T_max: `t_max`.
//!
//! # Shapes
//! xs and ys `[batch, time, H]`; `weight_ih_l0`, `weight_hh_l0` `[4H, H]`; `bias_ih_l0`, `bias_hh_l0` `[4H]`; state
//! `h`, `c`, each `[batch, H]`.
//!
//! # Cost
//! 8H² + 8H parameters, all but the biases a multiply-add a step; time and memory linear in time; steps follow one another.
//!
//! # Deviations from the source
//! No peepholes. Two biases, as in PyTorch. PyTorch draws the forget bias as any other; here the forget part of
//! `bias_ih_l0` is `forget_bias` and that of `bias_hh_l0` is 0, so that the setting is the whole bias. Chrono
//! initialisation does the same with the parts of i and f.
//!
//! # Errors
//! A wrong rank, width or batch; a state without `h` and `c`; `forget_bias` together with `chrono`, `t_max` without
//! it or below 2; a gain that is no positive number.

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
use std::ops::Range;

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Lstm;

/// How the recurrent weight of each gate starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecurrentInit {
    /// Uniform on [−gain/√H, gain/√H), PyTorch's.
    #[default]
    Uniform,
    /// Normal of deviation gain/√H.
    Gaussian,
    /// A uniformly distributed orthogonal matrix times the gain, one for each gate.
    Orthogonal,
}

/// Settings of [`Lstm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct LstmConfig {
    /// The whole bias of the forget gate; 1 where neither it nor `chrono` is given, absent with `chrono`.
    pub forget_bias: Option<f64>,
    /// Whether the biases of the input and forget gates are spread over the time scales up to `t_max`.
    pub chrono: bool,
    /// The longest dependency `chrono` expects, in steps; the longest sequence of the task where absent.
    pub t_max: Option<usize>,
    /// How the recurrent weight starts.
    pub init: RecurrentInit,
    /// Factor on the recurrent weight.
    pub gain: f64,
}

/// What a person writes: a forget bias that is absent becomes 1 unless `chrono` sets it, so that settings filled in
/// say what is done and read back as themselves.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    forget_bias: Option<f64>,
    chrono: bool,
    t_max: Option<usize>,
    init: RecurrentInit,
    gain: f64,
}

impl Default for Written {
    fn default() -> Self {
        Written { forget_bias: None, chrono: false, t_max: None, init: RecurrentInit::Uniform, gain: 1.0 }
    }
}

impl From<Written> for LstmConfig {
    fn from(written: Written) -> Self {
        let Written { forget_bias, chrono, t_max, init, gain } = written;
        let forget_bias = if chrono { forget_bias } else { Some(forget_bias.unwrap_or(1.0)) };
        LstmConfig { forget_bias, chrono, t_max, init, gain }
    }
}

impl Default for LstmConfig {
    fn default() -> Self {
        Written::default().into()
    }
}

/// How the biases of the gates start, after the settings have been checked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Biases {
    Forget(f64),
    Chrono { t_max: usize },
}

impl LstmConfig {
    fn biases(&self, horizon: usize) -> Result<Biases> {
        check::positive("gain", self.gain)?;
        match (self.chrono, self.forget_bias, self.t_max) {
            (true, Some(_), _) => {
                Err(Error::invalid("`forget_bias` and `chrono` both set the forget bias; give one of them"))
            }
            (true, None, Some(t_max)) if t_max < 2 => {
                Err(Error::invalid(format!("`t_max` is {t_max}, expected 2 steps or more")))
            }
            (true, None, t_max) => Ok(Biases::Chrono { t_max: t_max.unwrap_or(horizon).max(2) }),
            (false, _, Some(_)) => Err(Error::invalid("`t_max` needs `chrono = true`")),
            (false, bias, None) => match bias.unwrap_or(1.0) {
                bias if bias.is_finite() => Ok(Biases::Forget(bias)),
                bias => Err(Error::invalid(format!("`forget_bias` is {bias}, expected a number"))),
            },
        }
    }
}

impl RecurrentInit {
    /// The recurrent weight of some gates, `[gates · n, n]`.
    pub(crate) fn recurrent(self, stream: &mut Stream, n: usize, gates: usize, gain: f64) -> Vec<f64> {
        let bound = 1.0 / (n as f64).sqrt();
        let w = match self {
            RecurrentInit::Uniform => init::uniform(stream, gates * n * n, bound),
            RecurrentInit::Gaussian => init::gaussian(stream, gates * n * n, bound),
            RecurrentInit::Orthogonal => (0..gates).flat_map(|_| init::orthogonal(stream, n, n)).collect(),
        };
        init::scaled(w, gain)
    }
}

/// Places of the input and the forget gate in a bias `[4n]`.
fn gates(n: usize) -> (Range<usize>, Range<usize>) {
    (0..n, n..2 * n)
}

impl Biases {
    /// `bias_ih_l0` `[4n]`.
    fn input(self, stream: &mut Stream, n: usize) -> Vec<f64> {
        let mut bias = init::uniform(stream, 4 * n, 1.0 / (n as f64).sqrt());
        let (i, f) = gates(n);
        match self {
            Biases::Forget(value) => bias[f].fill(value),
            Biases::Chrono { t_max } => {
                for (i, f) in i.zip(f) {
                    bias[f] = libm::log(stream.uniform_in(1.0, (t_max - 1) as f64));
                    bias[i] = -bias[f];
                }
            }
        }
        bias
    }

    /// `bias_hh_l0` `[4n]`: nothing where [`Biases::input`] holds the whole bias.
    fn hidden(self, stream: &mut Stream, n: usize) -> Vec<f64> {
        let mut bias = init::uniform(stream, 4 * n, 1.0 / (n as f64).sqrt());
        let (i, f) = gates(n);
        bias[f].fill(0.0);
        if let Biases::Chrono { .. } = self {
            bias[i].fill(0.0);
        }
        bias
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "lstm",
    title: "LSTM",
    summary: "A cell that gates decide to keep, write and show, so that what is kept passes unchanged.",
    citation: "S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9:1735-1780, 1997; \
               F. Gers, J. Schmidhuber and F. Cummins, Learning to forget, Neural Computation 12:2451-2471, 2000",
    deviations: &[
        "No peepholes.",
        "Two biases, as in PyTorch; the forget part of the first is the whole forget bias, that of the second is 0.",
    ],
};

impl Architecture for Lstm {
    type Config = LstmConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    fn build(&self, config: &LstmConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        let biases = config.biases(dims.horizon)?;
        let n = dims.dim;
        let uniform = Init::Uniform { bound: 1.0 / (n as f64).sqrt() };
        let recurrent = |stream: &mut Stream| config.init.recurrent(stream, n, 4, config.gain);
        let input = |stream: &mut Stream| biases.input(stream, n);
        let hidden = |stream: &mut Stream| biases.hidden(stream, n);
        Ok(Box::new(Core {
            dim: n,
            w_ih: params.get(&[4 * n, n], "weight_ih_l0", &uniform)?,
            w_hh: params.get(&[4 * n, n], "weight_hh_l0", &Init::From(&recurrent))?,
            b_ih: params.get(&[4 * n], "bias_ih_l0", &Init::From(&input))?,
            b_hh: params.get(&[4 * n], "bias_hh_l0", &Init::From(&hidden))?,
        }))
    }

    /// 8H² + 8H.
    fn parameter_count(&self, _: &LstmConfig, dim: usize) -> usize {
        8 * dim * dim + 8 * dim
    }

    /// 8H, whatever the context.
    fn state_bytes(&self, _: &LstmConfig, dim: usize, _: usize) -> usize {
        2 * size_of::<f32>() * dim
    }

    /// 8H² T: the products of four gates with input and state.
    fn forward_operations(&self, _: &LstmConfig, dim: usize, length: usize) -> f64 {
        (8 * dim * dim * length) as f64
    }

    fn forward_elements(&self, _: &LstmConfig, dim: usize, length: usize) -> f64 {
        (5 * dim * length) as f64
    }

    /// 6H T: outputs, four gates and the cells.
    fn kept_elements(&self, _: &LstmConfig, dim: usize, length: usize) -> f64 {
        (6 * dim * length) as f64
    }

    /// 2H T, and about 8H²/8: a sum of the weights' gradient for every eight rows.
    fn backward_elements(&self, _: &LstmConfig, dim: usize, length: usize) -> f64 {
        (2 * dim * length + dim * dim) as f64
    }

    /// H T: the outputs.
    fn live_elements(&self, _: &LstmConfig, dim: usize, length: usize) -> f64 {
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
        let (batch, time) = check::input("lstm", xs, self.dim)?;
        check::lengths("lstm", lengths, batch, time)?;
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(batch)?;
                &fresh
            }
        };
        let h0 = check::entry("lstm", state, "h", &[batch, self.dim])?;
        let c0 = check::entry("lstm", state, "c", &[batch, self.dim])?;
        let Core { w_ih, w_hh, b_ih, b_hh, .. } = self;
        let (ys, h, c) = kernels::lstm(xs, w_ih, w_hh, b_ih, b_hh, h0, c0, lengths)?;
        Ok((ys, State::empty().with("h", h).with("c", c)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let zeros = Tensor::zeros((batch, self.dim), self.w_hh.dtype(), self.w_hh.device())?;
        Ok(State::empty().with("h", zeros.clone()).with("c", zeros))
    }

    /// The theory of ∂L/∂c is the product of the forget gates, the path along the cell state alone.
    fn inspect(&self, xs: &Tensor, state: &State) -> Result<Inspection> {
        let (ys, _) = self.forward(xs, Some(state), None)?;
        let before = inspect::before(&ys, state.get("h")?)?;
        let from_x = kernels::linear(xs, &self.w_ih, Some(&self.b_ih))?;
        let sums = inspect::values(&(from_x + kernels::linear(&before, &self.w_hh, Some(&self.b_hh))?)?)?;
        let (n, time) = (self.dim, ys.dim(1)?);
        let part = |which, map| inspect::part(&sums, 4, n, which, map);
        let [i, f, o] = [0, 1, 3].map(|gate| part(gate, inspect::sigmoid));
        let g = part(2, libm::tanh);
        let mut carried = inspect::values(state.get("c")?)?;
        let mut c = vec![0.0; f.len()];
        for (at, value) in c.iter_mut().enumerate() {
            let (row, unit) = (at / (n * time), at % n);
            let cell = &mut carried[row * n + unit];
            *cell = f[at] * *cell + i[at] * g[at];
            *value = *cell;
        }
        let squashed = c.iter().map(|c| libm::tanh(*c)).collect();
        let theories = vec![inspect::diagonal("forget gates", "c", n, f.clone())];
        let signal = |name, kind, values| inspect::signal(name, kind, n, values);
        Ok(Inspection {
            signals: vec![
                signal("input", SignalKind::Gate, i),
                signal("forget", SignalKind::Gate, f),
                signal("candidate", SignalKind::Squashed, g),
                signal("output", SignalKind::Gate, o),
                signal("c", SignalKind::Plain, c),
                signal("tanh(c)", SignalKind::Squashed, squashed),
                signal("h", SignalKind::Plain, inspect::values(&ys)?),
            ],
            matrices: inspect::blocks(&inspect::values(&self.w_hh)?, n, &["U_i", "U_f", "U_g", "U_o"]),
            theories,
            ..Inspection::default()
        })
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        check::decodable("lstm", &self.w_hh)?;
        let Core { w_ih, w_hh, b_ih, b_hh, dim } = self;
        let cell = kernels::LstmCell::new(w_ih, w_hh, b_ih, b_hh, batch)?;
        let zeros = vec![0.0; batch * dim];
        Ok(Box::new(LstmDecoder { cell, h: zeros.clone(), c: zeros, batch, dim: *dim }))
    }
}

struct LstmDecoder {
    cell: kernels::LstmCell<f32>,
    /// `[batch, dim]`
    h: Vec<f32>,
    /// `[batch, dim]`
    c: Vec<f32>,
    batch: usize,
    dim: usize,
}

impl Decoder for LstmDecoder {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        check::token("lstm", x, y, self.batch, self.dim)?;
        self.cell.step(x, &mut self.h, &mut self.c);
        y.copy_from_slice(&self.h);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let shape = [self.batch, self.dim];
        let (h, c) = (check::entry("lstm", state, "h", &shape)?, check::entry("lstm", state, "c", &shape)?);
        check::copy(h, &mut self.h)?;
        check::copy(c, &mut self.c)
    }

    fn state_bytes(&self) -> usize {
        size_of_val(&self.h[..]) + size_of_val(&self.c[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use seqbench_core::config::{Value, read};

    const N: usize = 301;

    /// Both biases, `[4N]` each.
    fn biases(config: &LstmConfig, horizon: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        let params = Params::fresh(5, DType::F64, &Device::Cpu);
        Lstm.build(config, Dims { dim: N, horizon }, &params)?;
        let store = params.store();
        let values = |name| store.get(name).unwrap().var.to_vec1::<f64>().unwrap();
        Ok((values("bias_ih_l0"), values("bias_hh_l0")))
    }

    fn configured(json: &serde_json::Value) -> LstmConfig {
        read(&Value::from_json(json)).unwrap()
    }

    #[test]
    fn the_forget_bias_is_the_whole_bias_of_that_gate_and_no_other() {
        let (ih, hh) = biases(&configured(&serde_json::json!({"forget_bias": 2.5})), 100).unwrap();
        assert!(ih[N..2 * N].iter().all(|value| *value == 2.5));
        assert!(hh[N..2 * N].iter().all(|value| *value == 0.0));
        let bound = 1.0 / (N as f64).sqrt();
        for gate in [0, 2, 3] {
            let part = ih[gate * N..(gate + 1) * N].iter().chain(&hh[gate * N..(gate + 1) * N]);
            assert!(part.clone().all(|value| value.abs() <= bound && *value != 0.0), "gate {gate}");
        }
    }

    #[test]
    fn chrono_biases_span_the_time_scales_of_the_task_or_of_t_max() {
        let by_task = (configured(&serde_json::json!({"chrono": true})), 100);
        let by_setting = (configured(&serde_json::json!({"chrono": true, "t_max": 100})), 7);
        for (config, horizon) in [by_task, by_setting] {
            let (ih, hh) = biases(&config, horizon).unwrap();
            let forget = &ih[N..2 * N];
            let steps: Vec<f64> = forget.iter().map(|bias| bias.exp()).collect();
            assert!(steps.iter().all(|steps| (1.0..=99.0).contains(steps)));
            let mean = steps.iter().sum::<f64>() / N as f64;
            // U[1, 99]: mean 50, deviation of the mean of 301 draws 1.6.
            assert!((mean - 50.0).abs() < 6.5, "{mean}");
            assert!(ih[..N].iter().zip(forget).all(|(i, f)| *i == -f));
            assert!(hh[..2 * N].iter().all(|value| *value == 0.0));
            assert!(hh[2 * N..].iter().all(|value| *value != 0.0));
        }
    }

    #[test]
    fn chrono_on_a_task_of_one_step_is_finite() {
        let (ih, _) = biases(&configured(&serde_json::json!({"chrono": true})), 1).unwrap();
        assert!(ih[..2 * N].iter().all(|value| *value == 0.0));
    }

    #[test]
    fn two_settings_of_the_forget_bias_are_refused_and_so_is_a_lonely_t_max() {
        let message = |json| biases(&configured(&json), 9).unwrap_err().to_string();
        let both = message(serde_json::json!({"chrono": true, "forget_bias": 1.0}));
        assert!(both.starts_with("`forget_bias` and `chrono`"), "{both}");
        assert_eq!(message(serde_json::json!({"t_max": 9})), "`t_max` needs `chrono = true`");
        assert!(message(serde_json::json!({"chrono": true, "t_max": 1})).starts_with("`t_max` is 1"));
        let huge = LstmConfig { forget_bias: Some(f64::INFINITY), ..LstmConfig::default() };
        assert!(biases(&huge, 9).unwrap_err().to_string().starts_with("`forget_bias` is inf"));
    }

    #[test]
    fn settings_filled_in_say_what_is_done() {
        let json = |config: LstmConfig| serde_json::to_value(config).unwrap();
        assert_eq!(json(LstmConfig::default())["forget_bias"], 1.0);
        let chrono = json(configured(&serde_json::json!({"chrono": true})));
        assert!(chrono["forget_bias"].is_null());
        assert_eq!(json(configured(&chrono)), chrono);
    }

    #[test]
    fn orthogonal_initialisation_is_orthogonal_in_every_gate() {
        let config = LstmConfig { init: RecurrentInit::Orthogonal, gain: 0.5, ..LstmConfig::default() };
        let n = 7;
        let w = config.init.recurrent(
            &mut Stream::new(0, seqbench_core::seed::Purpose::Init, 0),
            n,
            4,
            config.gain,
        );
        for gate in w.chunks_exact(n * n) {
            for (i, j) in [(0, 0), (3, 3), (0, 6), (2, 5)] {
                let product: f64 = (0..n).map(|at| gate[i * n + at] * gate[j * n + at]).sum();
                assert!((product - if i == j { 0.25 } else { 0.0 }).abs() < 1e-14);
            }
        }
    }
}
