//! A diagonal state space layer: a complex linear recurrence for each channel between two linear maps.
//!
//! # Source
//! Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences" (LRU), eq. 3 to 8, and Gu et
//! al. 2022, "On the parameterization and initialization of diagonal state space models" (S4D), eq. 2 to 9:
//!
//! ```text
//! u_t = W_in x_t + b_in
//! s_t = λ ⊙ s_{t−1} + b u_t,   z_t = Re Σ_n c_n s_{t,n} + D u_t         complex, N states for each channel
//! y_t = W_out gelu(z_t) + b_out
//!
//! lru:  λ = exp(−exp(ν) + iθ),   b = γ = √(1 − |λ|²)
//!       |λ| uniform over the ring radius_min ≤ |λ| ≤ radius_max (Lemma 3.2), θ ~ U[0, phase_max)
//! s4d:  λ = exp(Δ A),   b = (λ − 1) / A,   A = −exp(log_a_re) + i a_im         zero-order hold, B = 1
//!       lin: A_n = −½ + iπn;   inv: A_n = −½ + i (2N/π)(2N/(2n + 1) − 1);   real: A_n = −(n + 1);
//!       log Δ ~ U[log dt_min, log dt_max), one for each channel
//! ```
//!
//! # Symbols
//! H = dim; N = `states`; n counts from 0; ν: `nu`; θ: `theta`; c: `c_re` + i `c_im`; Δ: exp(`log_dt`).
//!
//! # Shapes
//! xs and ys `[batch, time, H]`; `w_in.weight`, `w_out.weight` `[H, H]`; `w_in.bias`, `w_out.bias`, `D`, `log_dt`
//! `[H]`; `nu`, `theta`, `log_a_re`, `a_im`, `c_re`, `c_im` `[H, N]`; state `s` `[batch, H, N, 2]` (real,
//! imaginary), or `[batch, H, N]` where the system is real.
//!
//! # Cost
//! 2H² + 3H + 4HN parameters, H more for `s4d`, and 2HN fewer if it is `real`; time and memory linear in time; the linear maps are parallel over
//! time, the scan over channels.
//!
//! # Deviations from the source
//! Each channel has states of its own, as in S4D; the LRU's are shared by dense B and C. The LRU learns log θ; here
//! θ itself is learned, which spans the same λ and lets a phase reach 0. γ follows λ, where the LRU learns it from
//! that start. The LRU's θ starts anywhere in [0, 2π); slow phases hold long delays (see `phase_max`). S4D sums
//! conjugate pairs; here Re of one half, with the factor 2 in the initial c, and `states` counts the half. A `real`
//! system has neither `a_im` nor `c_im`.
//!
//! # Errors
//! A wrong rank, width or batch; a state without `s`; settings out of range, or of the other parameterisation.

use crate::check;
use crate::discretisation::{Coefficients, Recurrence, Scanned, Start};
use candle_core::{DType, Device, Tensor};
use seqbench_core::architecture::{Architecture, ArchitectureInfo, BlockNorm, Decoder, Dims, SequenceCore};
use seqbench_core::error::{Error, Result};
use seqbench_core::inspection::{Factors, Inspection, Theory};
use seqbench_core::parameter::{Init, Params};
use seqbench_core::state::State;
use seqbench_kernels::{self as kernels, LinearCell, Norm, RealScanParameters, ScanCell, ScanParameters};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

pub use crate::discretisation::SystemInit;

/// The registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Ssm;

/// What is learned of the recurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parameterisation {
    /// The eigenvalue of a step, and a normaliser that follows it (Orvieto et al. 2023).
    #[default]
    Lru,
    /// A continuous system and the length of its step (Gu et al. 2022).
    S4d,
}

/// Settings of [`Ssm`]. Those of the other parameterisation are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct SsmConfig {
    /// What is learned of the recurrence.
    pub parameterisation: Parameterisation,
    /// Complex states of each channel.
    pub states: usize,
    /// Smallest initial |λ| of `lru`.
    pub radius_min: Option<f64>,
    /// Largest initial |λ| of `lru`.
    pub radius_max: Option<f64>,
    /// Largest initial phase of `lru`, in radians a step.
    pub phase_max: Option<f64>,
    /// How the system of `s4d` starts.
    pub init: Option<SystemInit>,
    /// Smallest initial step of `s4d`.
    pub dt_min: Option<f64>,
    /// Largest initial step of `s4d`.
    pub dt_max: Option<f64>,
}

/// What a person writes: absent settings of the chosen parameterisation get their defaults.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    parameterisation: Parameterisation,
    states: usize,
    radius_min: Option<f64>,
    radius_max: Option<f64>,
    phase_max: Option<f64>,
    init: Option<SystemInit>,
    dt_min: Option<f64>,
    dt_max: Option<f64>,
}

impl Default for Written {
    fn default() -> Self {
        Written {
            parameterisation: Parameterisation::Lru,
            states: 1,
            radius_min: None,
            radius_max: None,
            phase_max: None,
            init: None,
            dt_min: None,
            dt_max: None,
        }
    }
}

impl From<Written> for SsmConfig {
    fn from(written: Written) -> Self {
        let Written { parameterisation, states, .. } = written;
        let lru = |value: Option<f64>, default| match parameterisation {
            Parameterisation::Lru => value.or(Some(default)),
            Parameterisation::S4d => value,
        };
        let s4d = |value: Option<f64>, default| match parameterisation {
            Parameterisation::Lru => value,
            Parameterisation::S4d => value.or(Some(default)),
        };
        let system = (parameterisation == Parameterisation::S4d).then_some(SystemInit::Inv);
        SsmConfig {
            parameterisation,
            states,
            radius_min: lru(written.radius_min, 0.9),
            radius_max: lru(written.radius_max, 0.999),
            phase_max: lru(written.phase_max, PI / 10.0),
            init: written.init.or(system),
            dt_min: s4d(written.dt_min, 1e-3),
            dt_max: s4d(written.dt_max, 1e-1),
        }
    }
}

impl Default for SsmConfig {
    fn default() -> Self {
        Written::default().into()
    }
}

impl SsmConfig {
    /// Whether states are real numbers.
    fn is_real(&self) -> bool {
        self.init == Some(SystemInit::Real)
    }

    /// Numbers in a state.
    fn parts(&self) -> usize {
        if self.is_real() { 1 } else { 2 }
    }

    fn start(&self) -> Result<Start> {
        if self.states == 0 {
            return Err(Error::invalid("`states` is 0, expected 1 or more"));
        }
        let lru = [
            ("radius_min", self.radius_min.is_some()),
            ("radius_max", self.radius_max.is_some()),
            ("phase_max", self.phase_max.is_some()),
        ];
        let s4d = [
            ("init", self.init.is_some()),
            ("dt_min", self.dt_min.is_some()),
            ("dt_max", self.dt_max.is_some()),
        ];
        match self.parameterisation {
            Parameterisation::Lru => {
                check::belong(&s4d, "s4d")?;
                let radius = [self.radius_min.unwrap_or(0.9), self.radius_max.unwrap_or(0.999)];
                let phase = self.phase_max.unwrap_or(PI / 10.0);
                check::ordered(["radius_min", "radius_max"], radius)?;
                if radius[1] >= 1.0 {
                    return Err(Error::invalid(format!(
                        "`radius_max` is {}, expected less than 1",
                        radius[1]
                    )));
                }
                check::positive("phase_max", phase)?;
                Ok(Start::Lru { radius, phase })
            }
            Parameterisation::S4d => {
                check::belong(&lru, "lru")?;
                let dt = [self.dt_min.unwrap_or(1e-3), self.dt_max.unwrap_or(1e-1)];
                check::ordered(["dt_min", "dt_max"], dt)?;
                let system = self.init.unwrap_or(SystemInit::Inv);
                if system == SystemInit::Lin && self.states < 2 {
                    return Err(Error::invalid(
                        "`init` is lin, whose first frequency is 0, with 1 state; take `states` of 2 or more, inv or real",
                    ));
                }
                Ok(Start::S4d { system, dt })
            }
        }
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "ssm",
    title: "SSM (diagonal, complex)",
    summary: "States that each turn and shrink by a factor of their own at every step, whatever the input.",
    citation: "A. Orvieto et al., Resurrecting recurrent neural networks for long sequences, ICML 2023; \
               A. Gu et al., On the parameterization and initialization of diagonal state space models, NeurIPS 2022",
    deviations: &[
        "Each channel has states of its own, as in S4D; the LRU's are shared by dense input and output matrices.",
        "The phase itself is learned, not its logarithm, and the LRU's normaliser follows the eigenvalue.",
        "Initial phases are at most π/10 unless set otherwise; the LRU's fill the circle.",
    ],
};

impl Architecture for Ssm {
    type Config = SsmConfig;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    fn build(&self, config: &SsmConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        let start = config.start()?;
        let (h, n) = (dims.dim, config.states);
        let linear = Init::Uniform { bound: 1.0 / (h as f64).sqrt() };
        let map = |name: &str| -> Result<[Tensor; 2]> {
            let params = params.under(name);
            Ok([params.get(&[h, h], "weight", &linear)?, params.get(&[h], "bias", &linear)?])
        };
        // Such that z keeps the variance of u (LRU); S4D's of unit variance, doubled for the conjugates left out.
        let c = Init::Normal {
            deviation: match start {
                Start::Lru { .. } => 1.0 / (n as f64).sqrt(),
                Start::S4d { system: SystemInit::Real, .. } => 1.0,
                Start::S4d { .. } => std::f64::consts::SQRT_2,
            },
        };
        let real = matches!(start, Start::S4d { system: SystemInit::Real, .. });
        Ok(Box::new(Core {
            dim: h,
            states: n,
            w_in: map("w_in")?,
            recurrence: Recurrence::new(start, h, n, params)?,
            c_re: params.get(&[h, n], "c_re", &c)?,
            c_im: match real {
                true => None,
                false => Some(params.get(&[h, n], "c_im", &c)?),
            },
            skip: params.get(&[h], "D", &Init::Normal { deviation: 1.0 })?,
            w_out: map("w_out")?,
        }))
    }

    /// 2H² + 3H + 4HN, H more for `s4d`, and 2HN fewer if that is `real`.
    fn parameter_count(&self, config: &SsmConfig, dim: usize) -> usize {
        let (steps, each) = match (config.parameterisation, config.init) {
            (Parameterisation::Lru, _) => (0, 4),
            (Parameterisation::S4d, Some(SystemInit::Real)) => (dim, 2),
            (Parameterisation::S4d, _) => (dim, 4),
        };
        2 * dim * dim + 3 * dim + each * dim * config.states + steps
    }

    /// 8HN, or 4HN where the system is real, whatever the context.
    fn state_bytes(&self, config: &SsmConfig, dim: usize, _: usize) -> usize {
        config.parts() * size_of::<f32>() * dim * config.states
    }

    /// 2H² T in the maps in and out and H (8N + 1) T in the scan: of a state four in the decay, two each in input and output,
    /// and the skip; 3N + 1 where the system is real.
    fn forward_operations(&self, config: &SsmConfig, dim: usize, length: usize) -> f64 {
        let each = if config.is_real() { 3 } else { 8 };
        (dim * (2 * dim + each * config.states + 1)) as f64 * length as f64
    }

    fn forward_elements(&self, config: &SsmConfig, dim: usize, length: usize) -> f64 {
        2.0 * (dim * config.states * length) as f64
    }

    /// 3H T: u, gelu(z) and outputs; and the states at the start of every 64 steps, 16 where there is one a channel, of
    /// channels rounded up to registers of 16.
    fn kept_elements(&self, config: &SsmConfig, dim: usize, length: usize) -> f64 {
        let chunk = if config.states == 1 { 16 } else { 64 };
        let each = config.parts() * config.states * dim.next_multiple_of(16);
        (3 * dim * length + length.div_ceil(chunk) * each) as f64
    }

    /// The same: norm and sum are computed with the first and the last map.
    fn kept_in_block_elements(&self, config: &SsmConfig, dim: usize, length: usize) -> f64 {
        self.kept_elements(config, dim, length)
    }

    /// 2H T, and for each row sums of the gradients of λ, b, c and D.
    fn backward_elements(&self, config: &SsmConfig, dim: usize, length: usize) -> f64 {
        let sums = (3 * config.parts() * config.states + 1) * dim.next_multiple_of(16);
        (2 * dim * length + sums) as f64
    }
}

struct Core {
    dim: usize,
    states: usize,
    w_in: [Tensor; 2],
    recurrence: Recurrence,
    c_re: Tensor,
    /// A real system has none.
    c_im: Option<Tensor>,
    skip: Tensor,
    w_out: [Tensor; 2],
}

impl Core {
    fn scanned(&self) -> Result<Scanned> {
        let (c, d) = (self.c_re.clone(), self.skip.clone());
        Ok(match (self.recurrence.coefficients()?, &self.c_im) {
            (Coefficients::Complex { lambda, b }, c_im) => {
                let ([lambda_re, lambda_im], [b_re, b_im]) = (lambda, b);
                let c_im = c_im.clone().map_or_else(|| c.zeros_like(), Ok)?;
                Scanned::Complex(ScanParameters { lambda_re, lambda_im, b_re, b_im, c_re: c, c_im, d })
            }
            (Coefficients::Real { lambda, b }, _) => Scanned::Real(RealScanParameters { lambda, b, c, d }),
        })
    }

    /// What W_out is applied to: everything behind the map into the recurrence, and the state after it.
    fn scan(
        &self,
        xs: &Tensor,
        us: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let (batch, time) = check::input("ssm", xs, self.dim)?;
        check::lengths("ssm", lengths, batch, time)?;
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(batch)?;
                &fresh
            }
        };
        let s = check::entry("ssm", state, "s", &self.shape(batch))?;
        let (zs, s) = self.scanned()?.run(&us(xs)?, s, lengths)?;
        Ok((zs, State::empty().with("s", s)))
    }

    fn shape(&self, batch: usize) -> Vec<usize> {
        let mut shape = vec![batch, self.dim, self.states];
        if self.c_im.is_some() {
            shape.push(2);
        }
        shape
    }
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let us = |xs: &Tensor| kernels::linear(xs, &self.w_in[0], Some(&self.w_in[1]));
        let (zs, state) = self.scan(xs, us, state, lengths)?;
        Ok((kernels::linear(&zs, &self.w_out[0], Some(&self.w_out[1]))?, state))
    }

    fn forward_in_block(
        &self,
        xs: &Tensor,
        norm: &BlockNorm<'_>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<Option<(Tensor, State)>> {
        let norm = Norm { weight: norm.weight, bias: norm.bias, eps: norm.epsilon };
        let us = |xs: &Tensor| kernels::normed_linear(xs, &norm, &self.w_in[0], Some(&self.w_in[1]));
        let (zs, state) = self.scan(xs, us, state, lengths)?;
        let ys = kernels::linear_onto(&zs, &self.w_out[0], Some(&self.w_out[1]), xs)?;
        Ok(Some((ys, state)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let s = Tensor::zeros(self.shape(batch), self.c_re.dtype(), self.c_re.device())?;
        Ok(State::empty().with("s", s))
    }

    /// The theory of ∂L/∂s is |λ|^k for every pole, whatever the input.
    fn inspect(&self, _: &Tensor, _: &State) -> Result<Inspection> {
        let poles = self.recurrence.coefficients()?.poles()?;
        let radii = poles.iter().map(|[re, im]| libm::hypot(*re, *im)).collect();
        let theories = vec![Theory { name: "poles", entry: "s", factors: Factors::Constant(radii) }];
        Ok(Inspection { poles, theories, ..Inspection::default() })
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        check::decodable("ssm", &self.c_re)?;
        let scanned = self.scanned()?;
        let zeros = Tensor::zeros(self.shape(batch), DType::F32, &Device::Cpu)?;
        Ok(Box::new(SsmDecoder {
            core: self,
            batch,
            w_in: LinearCell::new(&self.w_in[0], Some(&self.w_in[1]))?,
            cell: scanned.cell(&zeros)?,
            scanned,
            w_out: LinearCell::new(&self.w_out[0], Some(&self.w_out[1]))?,
            us: vec![0.0; batch * self.dim],
            zs: vec![0.0; batch * self.dim],
        }))
    }
}

struct SsmDecoder<'a> {
    core: &'a Core,
    batch: usize,
    w_in: LinearCell<f32>,
    scanned: Scanned,
    cell: ScanCell<f32>,
    w_out: LinearCell<f32>,
    /// `[batch, dim]`
    us: Vec<f32>,
    /// `[batch, dim]`
    zs: Vec<f32>,
}

impl Decoder for SsmDecoder<'_> {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        check::token("ssm", x, y, self.batch, self.core.dim)?;
        self.w_in.step(x, &mut self.us);
        self.cell.step(&self.us, &mut self.zs)?;
        self.w_out.step(&self.zs, y);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let s = check::entry("ssm", state, "s", &self.core.shape(self.batch))?;
        self.cell = self.scanned.cell(s)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.core.shape(self.batch).iter().product::<usize>() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::config::{Value, read};

    fn configured(json: &serde_json::Value) -> SsmConfig {
        read(&Value::from_json(json)).unwrap()
    }

    fn start(json: &serde_json::Value) -> Result<Start> {
        configured(json).start()
    }

    #[test]
    fn settings_out_of_range_or_of_the_other_parameterisation_are_refused() {
        let message = |json| start(&json).unwrap_err().to_string();
        assert!(message(serde_json::json!({"states": 0})).starts_with("`states` is 0"));
        assert!(message(serde_json::json!({"radius_max": 1.0})).starts_with("`radius_max` is 1"));
        assert!(
            message(serde_json::json!({"radius_min": 0.9995})).starts_with("`radius_min` is 0.9995, more")
        );
        assert!(message(serde_json::json!({"dt_min": 0.1})).starts_with("`dt_min` needs"));
        assert!(
            message(serde_json::json!({"parameterisation": "s4d", "init": "lin"}))
                .starts_with("`init` is lin")
        );
        let other = serde_json::json!({"parameterisation": "s4d", "phase_max": 1.0});
        assert!(message(other).starts_with("`phase_max` needs `parameterisation = \"lru\"`"));
        assert_eq!(
            start(&serde_json::json!({})).unwrap(),
            Start::Lru { radius: [0.9, 0.999], phase: PI / 10.0 }
        );
    }
}
