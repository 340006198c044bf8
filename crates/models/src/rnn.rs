//! The simple recurrent network.
//!
//! # Source
//! Elman 1990, "Finding structure in time", Cognitive Science 14, as PyTorch writes it:
//!
//! ```text
//! h_t = a(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh),    y_t = h_t
//! ```
//!
//! Initialisations of W_hh: `uniform` is PyTorch's, U[−1/√H, 1/√H); `gaussian` has deviation 1/√H, so that its
//! spectral radius tends to 1 (the circular law); `orthogonal` is Saxe, McClelland & Ganguli 2014, section 3;
//! `identity` is Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear
//! units", section 2, who use it with `relu`, zero biases and inputs of deviation 0.001.
//!
//! # Symbols
//! H = dim: the width of inputs, state and outputs. `a`: `activation`. ρ: the spectral radius of W_hh, the largest
//! modulus of its eigenvalues.
//!
//! # Shapes
//! xs and ys `[batch, time, H]`; `weight_ih_l0`, `weight_hh_l0` `[H, H]`; `bias_ih_l0`, `bias_hh_l0` `[H]`; state
//! `h` `[batch, H]`.
//!
//! # Cost
//! 2H² + 2H parameters, all but the biases a multiply-add a step; time and memory linear in time. Its steps follow one another: only
//! batch and width are parallel.
//!
//! # Deviations from the source
//! Elman's `a` is the logistic function and his outputs are a second layer's; here `a` is tanh unless asked
//! otherwise and the readout belongs to the apparatus.
//!
//! # Errors
//! A wrong rank, width or batch, a state without `h`; gains or radii that are no positive numbers; `gain` together
//! with `spectral_radius`.

use crate::{check, init, inspect, spectrum};
use candle_core::Tensor;
use seqbench_core::architecture::{Architecture, ArchitectureInfo, Decoder, Dims, SequenceCore};
use seqbench_core::error::{Error, Result};
use seqbench_core::inspection::{Factors, Inspection, Matrix, SignalKind, Theory};
use seqbench_core::parameter::{Init, Params};
use seqbench_core::seed::Stream;
use seqbench_core::state::State;
use seqbench_kernels as kernels;
use serde::{Deserialize, Serialize};

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Rnn;

/// The elementwise function of the recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x`: a linear recurrence, whose gradients theory gives in closed form.
    Identity,
}

/// How the recurrent weight starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecurrentInit {
    /// Uniform on [−gain/√H, gain/√H), PyTorch's.
    Uniform,
    /// Normal of deviation gain/√H.
    Gaussian,
    /// A uniformly distributed orthogonal matrix times the gain.
    Orthogonal,
    /// The identity times the gain.
    Identity,
}

/// How the input weight starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputInit {
    /// Uniform on [−input_gain/√H, input_gain/√H), PyTorch's.
    Uniform,
    /// Normal of deviation input_gain/√H.
    Gaussian,
    /// A uniformly distributed orthogonal matrix times the input gain.
    Orthogonal,
}

/// How both biases start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BiasInit {
    /// Uniform on [−1/√H, 1/√H), PyTorch's.
    Uniform,
    /// 0.
    Zeros,
}

/// Settings of [`Rnn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RnnConfig {
    /// The function `a`.
    pub activation: Activation,
    /// How the recurrent weight starts.
    pub init: RecurrentInit,
    /// Factor on the recurrent weight.
    pub gain: f64,
    /// Rescales the recurrent weight until its spectral radius is this, whatever `init` gave it.
    pub spectral_radius: Option<f64>,
    /// How the input weight starts.
    pub input_init: InputInit,
    /// Factor on the input weight.
    pub input_gain: f64,
    /// How the biases start.
    pub bias_init: BiasInit,
}

impl Default for RnnConfig {
    fn default() -> Self {
        RnnConfig {
            activation: Activation::Tanh,
            init: RecurrentInit::Uniform,
            gain: 1.0,
            spectral_radius: None,
            input_init: InputInit::Uniform,
            input_gain: 1.0,
            bias_init: BiasInit::Uniform,
        }
    }
}

impl RnnConfig {
    fn check(&self) -> Result<()> {
        check::positive("gain", self.gain)?;
        check::positive("input_gain", self.input_gain)?;
        let Some(radius) = self.spectral_radius else { return Ok(()) };
        if self.gain != 1.0 {
            return Err(Error::invalid(
                "`gain` and `spectral_radius` both set the scale of the recurrent weight; give one of them",
            ));
        }
        check::positive("spectral_radius", radius)
    }

    /// The recurrent weight `[n, n]`.
    fn recurrent(&self, stream: &mut Stream, n: usize) -> Vec<f64> {
        let bound = 1.0 / (n as f64).sqrt();
        let w = match self.init {
            RecurrentInit::Uniform => init::uniform(stream, n * n, bound),
            RecurrentInit::Gaussian => init::gaussian(stream, n * n, bound),
            RecurrentInit::Orthogonal => init::orthogonal(stream, n, n),
            RecurrentInit::Identity => init::identity(n),
        };
        let factor = match self.spectral_radius {
            Some(radius) => radius / spectrum::spectral_radius(&w, n),
            None => self.gain,
        };
        init::scaled(w, factor)
    }

    /// The input weight `[n, n]`.
    fn input(&self, stream: &mut Stream, n: usize) -> Vec<f64> {
        let bound = 1.0 / (n as f64).sqrt();
        let w = match self.input_init {
            InputInit::Uniform => init::uniform(stream, n * n, bound),
            InputInit::Gaussian => init::gaussian(stream, n * n, bound),
            InputInit::Orthogonal => init::orthogonal(stream, n, n),
        };
        init::scaled(w, self.input_gain)
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "rnn",
    title: "RNN (Elman)",
    summary: "One state vector, replaced at every step by a function of itself and the input.",
    citation: "J. L. Elman, Finding structure in time, Cognitive Science 14:179-211, 1990",
    deviations: &[
        "The activation is tanh unless set otherwise; Elman's is the logistic function.",
        "Two biases, as in PyTorch, where one would do.",
    ],
};

impl Architecture for Rnn {
    type Config = RnnConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    fn build(&self, config: &RnnConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        config.check()?;
        let n = dims.dim;
        let bias = match config.bias_init {
            BiasInit::Uniform => Init::Uniform { bound: 1.0 / (n as f64).sqrt() },
            BiasInit::Zeros => Init::Zeros,
        };
        let input = |stream: &mut Stream| config.input(stream, n);
        let recurrent = |stream: &mut Stream| config.recurrent(stream, n);
        Ok(Box::new(Core {
            dim: n,
            w_ih: params.get(&[n, n], "weight_ih_l0", &Init::From(&input))?,
            w_hh: params.get(&[n, n], "weight_hh_l0", &Init::From(&recurrent))?,
            b_ih: params.get(&[n], "bias_ih_l0", &bias)?,
            b_hh: params.get(&[n], "bias_hh_l0", &bias)?,
            activation: match config.activation {
                Activation::Tanh => kernels::Activation::Tanh,
                Activation::Relu => kernels::Activation::Relu,
                Activation::Identity => kernels::Activation::Identity,
            },
        }))
    }

    /// 2H² + 2H.
    fn parameter_count(&self, _: &RnnConfig, dim: usize) -> usize {
        2 * dim * dim + 2 * dim
    }

    /// 4H, whatever the context.
    fn state_bytes(&self, _: &RnnConfig, dim: usize, _: usize) -> usize {
        size_of::<f32>() * dim
    }

    /// 2H² T: the products with input and state.
    fn forward_operations(&self, _: &RnnConfig, dim: usize, length: usize) -> f64 {
        (2 * dim * dim * length) as f64
    }

    /// H T: the outputs, of which slopes are computed.
    fn kept_elements(&self, _: &RnnConfig, dim: usize, length: usize) -> f64 {
        (dim * length) as f64
    }

    /// 2H T, and about 2H²/8: a sum of the weights' gradient for every eight rows.
    fn backward_elements(&self, _: &RnnConfig, dim: usize, length: usize) -> f64 {
        (2 * dim * length + dim * dim / 4) as f64
    }

    /// H T: the outputs.
    fn live_elements(&self, _: &RnnConfig, dim: usize, length: usize) -> f64 {
        (dim * length) as f64
    }
}

struct Core {
    dim: usize,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    activation: kernels::Activation,
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let (batch, time) = check::input("rnn", xs, self.dim)?;
        check::lengths("rnn", lengths, batch, time)?;
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(batch)?;
                &fresh
            }
        };
        let h0 = check::entry("rnn", state, "h", &[batch, self.dim])?;
        let Core { w_ih, w_hh, b_ih, b_hh, activation, .. } = self;
        let (ys, h) = kernels::rnn(xs, w_ih, w_hh, b_ih, b_hh, h0, lengths, *activation)?;
        Ok((ys, State::empty().with("h", h)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let h = Tensor::zeros((batch, self.dim), self.w_hh.dtype(), self.w_hh.device())?;
        Ok(State::empty().with("h", h))
    }

    /// Theories of ∂L/∂h: the mean-field gain ‖W‖_F/√H · rms(a′) (Poole et al. 2016), the spectral radius ρ(W) · rms(a′)
    /// (Pascanu, Mikolov & Bengio 2013), and the step Jacobians diag(a′) W themselves.
    fn inspect(&self, xs: &Tensor, state: &State) -> Result<Inspection> {
        let (ys, _) = self.forward(xs, Some(state), None)?;
        let (n, h, w) = (self.dim, inspect::values(&ys)?, inspect::values(&self.w_hh)?);
        let (kind, slope): (_, fn(&f64) -> f64) = match self.activation {
            kernels::Activation::Tanh => (SignalKind::Squashed, |h| 1.0 - h * h),
            kernels::Activation::Relu => (SignalKind::Plain, |h| f64::from(u8::from(*h > 0.0))),
            kernels::Activation::Identity => (SignalKind::Plain, |_| 1.0),
        };
        let slopes: Vec<f64> = h.iter().map(slope).collect();
        let mean_slopes = inspect::root_mean_squares(&slopes, n);
        let gain = |factor: f64| mean_slopes.iter().map(|slope| factor * slope).collect();
        let theories = vec![
            inspect::diagonal("mean field", "h", 1, gain(inspect::frobenius(&w) / (n as f64).sqrt())),
            inspect::diagonal("spectral radius", "h", 1, gain(spectrum::spectral_radius(&w, n))),
            Theory {
                name: "step Jacobians",
                entry: "h",
                factors: Factors::Jacobian { units: n, left: slopes, matrix: w.clone() },
            },
        ];
        Ok(Inspection {
            signals: vec![inspect::signal("h", kind, n, h)],
            matrices: vec![Matrix { name: "weight_hh_l0", size: n, values: w }],
            theories,
            ..Inspection::default()
        })
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        check::decodable("rnn", &self.w_hh)?;
        let Core { w_ih, w_hh, b_ih, b_hh, activation, dim } = self;
        let cell = kernels::RnnCell::new(w_ih, w_hh, b_ih, b_hh, *activation, batch)?;
        Ok(Box::new(RnnDecoder { cell, h: vec![0.0; batch * dim], batch, dim: *dim }))
    }
}

struct RnnDecoder {
    cell: kernels::RnnCell<f32>,
    /// `[batch, dim]`
    h: Vec<f32>,
    batch: usize,
    dim: usize,
}

impl Decoder for RnnDecoder {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        check::token("rnn", x, y, self.batch, self.dim)?;
        self.cell.step(x, &mut self.h);
        y.copy_from_slice(&self.h);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        check::copy(check::entry("rnn", state, "h", &[self.batch, self.dim])?, &mut self.h)
    }

    fn state_bytes(&self) -> usize {
        size_of_val(&self.h[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn recurrent(config: &RnnConfig, dim: usize) -> Vec<f64> {
        let params = Params::fresh(5, DType::F64, &Device::Cpu);
        Rnn.build(config, Dims { dim, horizon: 9 }, &params).unwrap();
        let store = params.store();
        store.get("weight_hh_l0").unwrap().var.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_spectral_radius_is_the_one_asked_for_whatever_the_initialisation() {
        use RecurrentInit::{Gaussian, Identity, Orthogonal, Uniform};
        for init in [Uniform, Gaussian, Orthogonal, Identity] {
            for radius in [0.5, 0.99, 1.0, 1.2] {
                let config = RnnConfig { init, spectral_radius: Some(radius), ..RnnConfig::default() };
                let found = spectrum::spectral_radius(&recurrent(&config, 23), 23);
                assert!((found - radius).abs() < 1e-11, "{init:?} {radius}: {found}");
            }
        }
    }

    #[test]
    fn the_identity_initialisation_is_the_identity_times_the_gain() {
        let config = RnnConfig { init: RecurrentInit::Identity, gain: 0.5, ..RnnConfig::default() };
        assert_eq!(recurrent(&config, 2), [0.5, 0.0, 0.0, 0.5]);
    }

    #[test]
    fn gaussian_weights_have_deviation_gain_over_root_h() {
        let config = RnnConfig { init: RecurrentInit::Gaussian, gain: 1.5, ..RnnConfig::default() };
        let w = recurrent(&config, 101);
        let deviation = (w.iter().map(|value| value * value).sum::<f64>() / w.len() as f64).sqrt();
        assert!((deviation * 101f64.sqrt() - 1.5).abs() < 0.05, "{deviation}");
    }

    #[test]
    fn settings_that_contradict_each_other_or_are_no_scale_are_refused() {
        let build = |config: RnnConfig| {
            let params = Params::fresh(0, DType::F32, &Device::Cpu);
            Rnn.build(&config, Dims { dim: 3, horizon: 9 }, &params).err().map(|error| error.to_string())
        };
        let both = RnnConfig { gain: 2.0, spectral_radius: Some(1.0), ..RnnConfig::default() };
        assert!(build(both).unwrap().starts_with("`gain` and `spectral_radius`"));
        let zero = RnnConfig { spectral_radius: Some(0.0), ..RnnConfig::default() };
        assert!(build(zero).unwrap().starts_with("`spectral_radius` is 0"));
        let nan = RnnConfig { input_gain: f64::NAN, ..RnnConfig::default() };
        assert!(build(nan).unwrap().starts_with("`input_gain` is NaN"));
        assert_eq!(build(RnnConfig::default()), None);
    }
}
