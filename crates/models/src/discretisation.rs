//! From what a state space layer learns to the coefficients of its recurrence, s_t = λ s_{t−1} + b u_t: the
//! eigenvalue of a step (Orvieto et al. 2023) or a continuous system and its step (Gu et al. 2022). The equations
//! stand in [`ssm`](crate::ssm).
//!
//! Differences of numbers near 1 are written so that single precision keeps their digits: slow states, the ones
//! that remember, are where they would be lost.

use crate::inspect;
use candle_core::Tensor;
use seqbench_core::error::Result;
use seqbench_core::parameter::{Flags, Init, Params};
use seqbench_core::seed::Stream;
use seqbench_kernels::{self as kernels, RealScanParameters, ScanCell, ScanOutput, ScanParameters};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the continuous system of `s4d` starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemInit {
    /// S4D-Lin: frequencies in equal steps from 0, so it takes two states or more.
    Lin,
    /// S4D-Inv: frequencies in inverse steps.
    Inv,
    /// S4D-Real: decays only, and they stay real.
    Real,
}

/// The initial distribution of a recurrence, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    Lru { radius: [f64; 2], phase: f64 },
    S4d { system: SystemInit, dt: [f64; 2] },
}

/// What is learned of λ and b.
pub(crate) enum Recurrence {
    Lru {
        nu: Tensor,
        theta: Tensor,
    },
    /// A real system has no `a_im`.
    S4d {
        log_dt: Tensor,
        log_a_re: Tensor,
        a_im: Option<Tensor>,
    },
}

/// λ and b, `[H, N]`, each as real and imaginary part where there is one.
pub(crate) enum Coefficients {
    Complex { lambda: [Tensor; 2], b: [Tensor; 2] },
    Real { lambda: Tensor, b: Tensor },
}

impl Recurrence {
    /// Asks for the parameters of a layer of `h` channels with `n` states each.
    pub(crate) fn new(start: Start, h: usize, n: usize, params: &Params) -> Result<Self> {
        // Decay would pull eigenvalues to a place that means nothing.
        let eigenvalue = Flags { no_decay: true, gradient_free: None };
        let get = |name: &str, shape: &[usize], values: &dyn Fn(&mut Stream) -> Vec<f64>| {
            params.get_with(shape, name, &Init::From(values), eigenvalue)
        };
        Ok(match start {
            Start::Lru { radius: [least, most], phase } => {
                // −log|λ| of a radius uniform by area.
                let rate =
                    |stream: &mut Stream| -0.5 * libm::log(stream.uniform_in(least * least, most * most));
                let nu = |stream: &mut Stream| (0..h * n).map(|_| libm::log(rate(stream))).collect();
                let theta = |stream: &mut Stream| (0..h * n).map(|_| stream.uniform_in(0.0, phase)).collect();
                Recurrence::Lru { nu: get("nu", &[h, n], &nu)?, theta: get("theta", &[h, n], &theta)? }
            }
            Start::S4d { system, dt: [least, most] } => {
                let dt = |stream: &mut Stream| {
                    (0..h).map(|_| stream.uniform_in(libm::log(least), libm::log(most))).collect()
                };
                let each = |of: fn(usize, usize, SystemInit) -> f64| {
                    move |_: &mut Stream| (0..h * n).map(|at| of(at % n, n, system)).collect()
                };
                Recurrence::S4d {
                    log_dt: get("log_dt", &[h], &dt)?,
                    log_a_re: get("log_a_re", &[h, n], &each(|at, _, system| libm::log(decay(at, system))))?,
                    a_im: match system {
                        SystemInit::Real => None,
                        SystemInit::Lin | SystemInit::Inv => Some(get("a_im", &[h, n], &each(frequency))?),
                    },
                }
            }
        })
    }

    /// λ and b, differentiably.
    pub(crate) fn coefficients(&self) -> Result<Coefficients> {
        match self {
            Recurrence::Lru { nu, theta } => {
                let rate = nu.exp()?;
                let radius = rate.neg()?.exp()?;
                // 1 − exp(−2x) = 2 tanh x / (1 + tanh x), which keeps its digits where |λ| is near 1.
                let t = rate.tanh()?;
                let gamma = ((&t * 2.0)? / (&t + 1.0)?)?.sqrt()?;
                let zero = gamma.detach().zeros_like()?;
                let lambda = [(&radius * theta.cos()?)?, (radius * theta.sin()?)?];
                Ok(Coefficients::Complex { lambda, b: [gamma, zero] })
            }
            Recurrence::S4d { log_dt, log_a_re, a_im } => {
                let dt = log_dt.exp()?.unsqueeze(1)?;
                let a_re = log_a_re.exp()?.neg()?;
                let x = a_re.broadcast_mul(&dt)?;
                // exp(x) − 1 = 2t / (1 − t) with t = tanh(x / 2), and 1 − cos y = 2 sin²(y / 2): both keep their
                // digits where the step is small.
                let t = (x / 2.0)?.tanh()?;
                let shrink = ((&t * 2.0)? / (1.0 - &t)?)?;
                let Some(a_im) = a_im else {
                    return Ok(Coefficients::Real { lambda: (&shrink + 1.0)?, b: (shrink / a_re)? });
                };
                let y = a_im.broadcast_mul(&dt)?;
                let turn = ((&y / 2.0)?.sin()?.sqr()? * 2.0)?;
                let re = ((&shrink * y.cos()?)? - turn)?;
                let im = ((shrink + 1.0)? * y.sin()?)?;
                let square = (a_re.sqr()? + a_im.sqr()?)?;
                let b_re = (((&re * &a_re)? + (&im * a_im)?)? / &square)?;
                let b_im = (((&im * &a_re)? - (&re * a_im)?)? / square)?;
                Ok(Coefficients::Complex { lambda: [(re + 1.0)?, im], b: [b_re, b_im] })
            }
        }
    }
}

impl Coefficients {
    /// λ of every state, real and imaginary part.
    pub(crate) fn poles(&self) -> Result<Vec<[f64; 2]>> {
        let (re, im) = match self {
            Coefficients::Complex { lambda: [re, im], .. } => (inspect::values(re)?, inspect::values(im)?),
            Coefficients::Real { lambda, .. } => {
                let re = inspect::values(lambda)?;
                let im = vec![0.0; re.len()];
                (re, im)
            }
        };
        Ok(re.into_iter().zip(im).map(|(re, im)| [re, im]).collect())
    }
}

/// The scan's coefficients.
pub(crate) enum Scanned {
    Complex(ScanParameters),
    Real(RealScanParameters),
}

impl Scanned {
    /// The activated scan.
    pub(crate) fn run(&self, us: &Tensor, s: &Tensor, lengths: Option<&[usize]>) -> Result<(Tensor, Tensor)> {
        Ok(match self {
            Scanned::Complex(parameters) => kernels::diagonal_scan_gelu(us, parameters, s, lengths)?,
            Scanned::Real(parameters) => kernels::diagonal_scan_gelu(us, parameters, s, lengths)?,
        })
    }

    /// The same, a token at a time.
    pub(crate) fn cell(&self, s: &Tensor) -> Result<ScanCell<f32>> {
        Ok(match self {
            Scanned::Complex(parameters) => ScanCell::new(parameters, ScanOutput::Gelu, s)?,
            Scanned::Real(parameters) => ScanCell::new(parameters, ScanOutput::Gelu, s)?,
        })
    }
}

/// −Re A_n of S4D's initialisations.
fn decay(at: usize, system: SystemInit) -> f64 {
    match system {
        SystemInit::Lin | SystemInit::Inv => 0.5,
        SystemInit::Real => (at + 1) as f64,
    }
}

/// Im A_n of S4D's initialisations; the paper's N is 2 · `states`.
fn frequency(at: usize, states: usize, system: SystemInit) -> f64 {
    let all = (2 * states) as f64;
    match system {
        SystemInit::Lin => PI * at as f64,
        SystemInit::Inv => all / PI * (all / (2 * at + 1) as f64 - 1.0),
        SystemInit::Real => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    /// λ and b in double precision, each (real, imaginary) `[H · N]`.
    fn coefficients(start: Start, h: usize, n: usize) -> ([Vec<f64>; 2], [Vec<f64>; 2]) {
        let params = Params::fresh(1, DType::F64, &Device::Cpu);
        let recurrence = Recurrence::new(start, h, n, &params).unwrap();
        let (lambda, b) = match recurrence.coefficients().unwrap() {
            Coefficients::Complex { lambda, b } => (lambda, b),
            Coefficients::Real { lambda, b } => {
                let zeros = lambda.zeros_like().unwrap();
                ([lambda, zeros.clone()], [b, zeros])
            }
        };
        let values = |parts: [Tensor; 2]| parts.map(|part| part.flatten_all().unwrap().to_vec1().unwrap());
        (values(lambda), values(b))
    }

    #[test]
    fn lru_eigenvalues_fill_their_ring_and_are_normalised() {
        let start = Start::Lru { radius: [0.5, 0.9], phase: 0.7 };
        let ([re, im], [gamma, zero]) = coefficients(start, 401, 3);
        let radii: Vec<f64> = re.iter().zip(&im).map(|(re, im)| libm::hypot(*re, *im)).collect();
        assert!(radii.iter().all(|radius| (0.5 - 1e-12..=0.9 + 1e-12).contains(radius)));
        // Uniform by area: the mean of |λ|² is the middle of its range, and so half of it lies below.
        let mean = radii.iter().map(|radius| radius * radius).sum::<f64>() / radii.len() as f64;
        assert!((mean - 0.53).abs() < 0.015, "{mean}");
        let phases: Vec<f64> = re.iter().zip(&im).map(|(re, im)| libm::atan2(*im, *re)).collect();
        assert!(phases.iter().all(|phase| (0.0..0.7).contains(phase)));
        assert!((phases.iter().sum::<f64>() / phases.len() as f64 - 0.35).abs() < 0.02);
        for ((gamma, zero), radius) in gamma.iter().zip(&zero).zip(&radii) {
            assert!((gamma * gamma + radius * radius - 1.0).abs() < 1e-12 && *zero == 0.0);
        }
    }

    #[test]
    fn the_normaliser_keeps_its_digits_in_single_precision() {
        let nu = |dtype| Tensor::new(&[[libm::log(1e-5f64)]], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let gamma = |dtype| {
            let theta = nu(dtype).zeros_like().unwrap();
            let found = Recurrence::Lru { nu: nu(dtype), theta }.coefficients().unwrap();
            let Coefficients::Complex { b, .. } = found else { unreachable!("an LRU is complex") };
            b[0].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()[0]
        };
        let (single, double) = (gamma(DType::F32), gamma(DType::F64));
        assert!((single / double - 1.0).abs() < 2e-6, "{single} {double}");
    }

    #[test]
    fn s4d_steps_are_the_zero_order_hold_of_its_system() {
        for (system, expected) in [
            (SystemInit::Lin, vec![(-0.5, 0.0), (-0.5, PI), (-0.5, 2.0 * PI)]),
            (SystemInit::Inv, vec![(-0.5, 30.0 / PI), (-0.5, 6.0 / PI), (-0.5, 1.2 / PI)]),
            (SystemInit::Real, vec![(-1.0, 0.0), (-2.0, 0.0), (-3.0, 0.0)]),
        ] {
            let dt = 0.03;
            let ([re, im], [b_re, b_im]) = coefficients(Start::S4d { system, dt: [dt, dt] }, 1, 3);
            for (n, (a, w)) in expected.into_iter().enumerate() {
                let radius = libm::exp(a * dt);
                let (x, y) = (radius * libm::cos(w * dt), radius * libm::sin(w * dt));
                assert!((re[n] - x).abs() < 1e-13 && (im[n] - y).abs() < 1e-13, "{system:?} {n}: λ");
                // A b = λ − 1
                let (p, q) = (a * b_re[n] - w * b_im[n], a * b_im[n] + w * b_re[n]);
                assert!((p - (x - 1.0)).abs() < 1e-13 && (q - y).abs() < 1e-13, "{system:?} {n}: b");
            }
        }
    }

    #[test]
    fn s4d_steps_are_spread_evenly_by_logarithm() {
        let params = Params::fresh(1, DType::F64, &Device::Cpu);
        let start = Start::S4d { system: SystemInit::Lin, dt: [0.001, 0.1] };
        Recurrence::new(start, 1000, 1, &params).unwrap();
        let log_dt = params.store().get("log_dt").unwrap().var.to_vec1::<f64>().unwrap();
        assert!(log_dt.iter().all(|value| (0.001..=0.1).contains(&value.exp())));
        let below = log_dt.iter().filter(|value| value.exp() < 0.01).count();
        assert!((440..560).contains(&below), "{below} of 1000 below the geometric mean");
    }
}
