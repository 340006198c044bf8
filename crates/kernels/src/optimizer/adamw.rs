//! AdamW: adaptive moments with decoupled weight decay.
//!
//! Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2. Deviation, the
//! one PyTorch makes: the decay is multiplied by the learning rate, so that one schedule serves both.

use super::intake::{Clip, GradientNorms, measure};
use super::update::{Moment, Rule, each, elements, entered};
use super::{Moments, Optimizer};
use crate::isa::Arith;
use crate::real::Real;
use candle_core::{Result, Tensor, Var, bail};

/// What [`Adamw`] is told once; the learning rate comes with each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamwSettings {
    /// Decay of the first moment, β₁.
    pub beta1: f64,
    /// Decay of the second moment, β₂.
    pub beta2: f64,
    /// Added to the root of the second moment, ε.
    pub epsilon: f64,
    /// Decoupled weight decay λ, for the parameters that decay.
    pub weight_decay: f64,
}

impl Default for AdamwSettings {
    /// β = (0.9, 0.999), ε = 1e−8 and λ = 0.01: the paper's and PyTorch's.
    fn default() -> Self {
        AdamwSettings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// AdamW over an ordered slice of parameters.
#[derive(Clone, Debug)]
pub struct Adamw {
    settings: AdamwSettings,
    decays: Vec<bool>,
    moments: Moments,
}

impl Adamw {
    /// An optimizer for these parameters; `decays` says which of them weight decay applies to.
    ///
    /// # Errors
    /// `decays` has another length, or a setting is out of range.
    pub fn new(settings: AdamwSettings, parameters: &[Var], decays: &[bool]) -> Result<Self> {
        let AdamwSettings { beta1, beta2, epsilon, weight_decay } = settings;
        if decays.len() != parameters.len() {
            bail!("adamw: {} decay flags for {} parameters", decays.len(), parameters.len());
        }
        if !(0.0..1.0).contains(&beta1) || !(0.0..1.0).contains(&beta2) {
            bail!("adamw: betas must lie in [0, 1), got {beta1} and {beta2}");
        }
        if epsilon <= 0.0 || weight_decay < 0.0 || !epsilon.is_finite() || !weight_decay.is_finite() {
            bail!("adamw: epsilon {epsilon} must be positive and weight decay {weight_decay} not negative");
        }
        Ok(Adamw { settings, decays: decays.to_vec(), moments: Moments::zeros(parameters, true) })
    }
}

impl Optimizer for Adamw {
    fn step(
        &mut self,
        parameters: &[Var],
        gradients: &[Option<&Tensor>],
        learning_rate: f64,
        gradient_scale: f64,
        clip: Clip,
    ) -> Result<GradientNorms> {
        let Adamw { settings, decays, moments } = self;
        let AdamwSettings { beta1, beta2, epsilon, weight_decay } = *settings;
        entered(elements(moments), || {
            let first = &moments.first;
            let (norms, scaling) =
                measure(parameters, gradients, first, learning_rate, gradient_scale, clip)?;
            if !norms.is_finite() {
                return Ok(norms);
            }
            // Powers are dear beside a small parameter, and parameters mostly count alike.
            let correct = |steps: u64| {
                let root = (1.0 - libm::pow(beta2, steps as f64)).sqrt();
                (learning_rate * root / (1.0 - libm::pow(beta1, steps as f64)), epsilon * root)
            };
            let usual = moments.steps.iter().max().map_or(1, |steps| steps + 1);
            let corrected = correct(usual);
            each(parameters, gradients, decays, moments, scaling, |decays, steps| {
                let (rate, epsilon) = if steps == usual { corrected } else { correct(steps) };
                let keep = if decays { 1.0 - learning_rate * weight_decay } else { 1.0 };
                Adapt { beta1, beta2, epsilon, keep, rate }
            })?;
            Ok(norms)
        })
    }

    fn moments(&self) -> &Moments {
        &self.moments
    }

    fn restore(&mut self, moments: Moments) -> Result<()> {
        self.moments.replace(moments)
    }
}

/// Algorithm 2, lines 6–12, for one parameter at one step. Both bias corrections are moved out of the fraction:
/// `m/c₁ / (√v/√c₂ + ε) = √c₂/c₁ · m / (√v + ε√c₂)`, one division an element instead of three.
struct Adapt {
    beta1: f64,
    beta2: f64,
    // ε√c₂.
    epsilon: f64,
    // 1 − rate · decay.
    keep: f64,
    // The learning rate times √c₂/c₁.
    rate: f64,
}

impl Rule for Adapt {
    #[inline(always)]
    fn update<T: Real, A: Arith>(&self, parameter: T, gradient: T, moment: &mut Moment<T>) -> T {
        let (new1, new2) = (T::of(1.0 - self.beta1), T::of(1.0 - self.beta2));
        moment.first = A::fma(T::of(self.beta1), moment.first, new1 * gradient);
        moment.second = A::fma(T::of(self.beta2), moment.second, new2 * gradient * gradient);
        let deviation = moment.second.sqrt() + T::of(self.epsilon);
        parameter * T::of(self.keep) - T::of(self.rate) * (moment.first / deviation)
    }
}
