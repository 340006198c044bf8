//! A gated exponential moving average: every channel forgets at a constant rate of its own, and a gate decides what of
//! the average is read.
//!
//! # Source
//! The damped average of Ma et al. 2023, "Mega: moving average equipped gated attention", eq. 1, with one learned decay
//! a channel, and an output gate in the manner of its eq. 13:
//!
//! ```text
//! h_t = a ⊙ h_{t−1} + (1 − a) ⊙ x_t,   a = σ(α)
//! y_t = W_out (silu(W_gate x_t + b_gate) ⊙ h_t) + b_out
//! ```
//!
//! # Symbols
//! H = dim; α: `decay`, `[H]`. After k steps a^k of an input is left; its half-life is log ½ / log a steps.
//!
//! # Shapes
//! xs and ys `[batch, time, H]`; `gate.weight`, `out.weight` `[H, H]`; `gate.bias`, `out.bias`, `decay` `[H]`; state
//! `h` `[batch, H]`.
//!
//! # Cost
//! 2H² + 3H parameters; time and memory linear in time; the state has H numbers.
//!
//! # Deviations from the source
//! Mega expands each channel into several averages, and attention reads them; here there is one, and no attention.
//!
//! # Errors
//! A wrong rank, width or batch; a state without `h`; half-lives that are not positive and in order.

use candle_core::{DType, Tensor};
use seqbench_core::{
    Architecture, ArchitectureInfo, Decoder, Dims, Error, Init, Params, Result, SequenceCore, State,
    StepDecoder, Stream,
};
use seqbench_kernels::{ScanParameters, diagonal_scan, linear, silu};
use serde::{Deserialize, Serialize};

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ema;

/// Settings of [`Ema`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EmaConfig {
    /// Shortest half-life a channel starts with, in steps.
    half_life_min: f64,
    /// Longest half-life a channel starts with, in steps.
    half_life_max: f64,
}

impl Default for EmaConfig {
    fn default() -> Self {
        EmaConfig { half_life_min: 1.0, half_life_max: 300.0 }
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "ema",
    title: "Gated moving average",
    summary: "Channels that each forget at a constant learned rate, read through a gate.",
    citation: "X. Ma et al., Mega: moving average equipped gated attention, ICLR 2023",
    deviations: &["One average a channel, without Mega's expansion into several and without its attention."],
};

impl Architecture for Ema {
    type Config = EmaConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    fn build(&self, config: &EmaConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        let (low, high) = (config.half_life_min, config.half_life_max);
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return Err(Error::invalid(format!(
                "`half_life_max` is {high} and `half_life_min` {low}; expected positive numbers, the smaller one first"
            )));
        }
        let dim = dims.dim;
        // Half-lives even on a logarithmic scale: a^half_life = ½, and α is the logit of a.
        let decays = |stream: &mut Stream| -> Vec<f64> {
            let half_life = |u: f64| libm::exp(libm::log(low) + u * (libm::log(high) - libm::log(low)));
            let decay = |half_life: f64| libm::exp(libm::log(0.5) / half_life);
            (0..dim)
                .map(|_| decay(half_life(stream.uniform())))
                .map(|a| libm::log(a) - libm::log1p(-a))
                .collect()
        };
        let uniform = Init::Uniform { bound: 1.0 / (dim as f64).sqrt() };
        let map = |name: &str| -> Result<[Tensor; 2]> {
            let params = params.under(name);
            Ok([params.get(&[dim, dim], "weight", &uniform)?, params.get(&[dim], "bias", &uniform)?])
        };
        Ok(Box::new(Core {
            gate: map("gate")?,
            decay: params.get(&[dim], "decay", &Init::From(&decays))?,
            out: map("out")?,
            dim,
        }))
    }

    fn parameter_count(&self, _: &EmaConfig, dim: usize) -> usize {
        2 * dim * dim + 3 * dim
    }

    fn state_bytes(&self, _: &EmaConfig, dim: usize, _: usize) -> usize {
        dim * size_of::<f32>()
    }
}

/// One layer. `[weight, bias]` each.
struct Core {
    gate: [Tensor; 2],
    decay: Tensor,
    out: [Tensor; 2],
    dim: usize,
}

impl Core {
    /// The average as the scan of which it is a special case: real, one state a channel.
    fn scan(&self) -> Result<ScanParameters> {
        let column = (self.dim, 1);
        // σ(α), in candle's operations, so that the gradient finds its way back to α.
        let a = (self.decay.neg()?.exp()? + 1.0)?.recip()?.reshape(column)?;
        let zeros = a.zeros_like()?;
        Ok(ScanParameters {
            lambda_re: a.clone(),
            lambda_im: zeros.clone(),
            b_re: a.affine(-1.0, 1.0)?,
            b_im: zeros.clone(),
            c_re: a.ones_like()?,
            c_im: zeros,
            d: self.decay.zeros_like()?,
        })
    }
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let batch = match xs.dims() {
            &[batch, time, width] if width == self.dim && time > 0 => batch,
            got => return Err(Error::shape("ema: xs", got, format!("[batch, time, {}]", self.dim))),
        };
        let h = match state {
            Some(state) => state.get("h")?.clone(),
            None => self.initial_state(batch)?.get("h")?.clone(),
        };
        if h.dims() != [batch, self.dim] {
            return Err(Error::shape("ema: state `h`", h.dims(), format!("[{batch}, {}]", self.dim)));
        }
        // The scan's states are complex, `[batch, dim, 1, 2]`; those of a real one have no imaginary part.
        let h = h.reshape((batch, self.dim, 1, 1))?;
        let h = Tensor::cat(&[&h, &h.zeros_like()?], 3)?;
        let (averages, h) = diagonal_scan(xs, &self.scan()?, &h, lengths)?;
        let gates = silu(&linear(xs, &self.gate[0], Some(&self.gate[1]))?)?;
        let ys = linear(&(gates * averages)?, &self.out[0], Some(&self.out[1]))?;
        let h = h.narrow(3, 0, 1)?.reshape((batch, self.dim))?;
        Ok((ys, State::empty().with("h", h)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let h = Tensor::zeros((batch, self.dim), self.decay.dtype(), self.decay.device())?;
        Ok(State::empty().with("h", h))
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        if self.decay.dtype() != DType::F32 || !self.decay.device().is_cpu() {
            return Err(Error::invalid("ema: a decoder needs parameters in single precision on the CPU"));
        }
        Ok(Box::new(StepDecoder::new(self, batch, self.dim)?))
    }
}
