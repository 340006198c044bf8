//! Stochastic gradient descent with momentum, in PyTorch's formulation.
//!
//! `b ← μ b + (g + λ θ)`, `θ ← θ − η b` (Sutskever et al. 2013, "On the importance of initialization and
//! momentum", eq. 1–2, with the rate moved from the buffer to the update, so that a schedule acts at once).

use super::intake::{Clip, GradientNorms, measure};
use super::update::{Moment, Rule, each, elements, entered};
use super::{Moments, Optimizer};
use crate::isa::Arith;
use crate::real::Real;
use candle_core::{Result, Tensor, Var, bail};

/// What [`Sgd`] is told once; the learning rate comes with each step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SgdSettings {
    /// Momentum μ; 0 for plain descent.
    pub momentum: f64,
    /// L2 penalty λ, added to the gradient of the parameters that decay.
    pub weight_decay: f64,
}

/// Gradient descent with momentum over an ordered slice of parameters.
#[derive(Clone, Debug)]
pub struct Sgd {
    settings: SgdSettings,
    decays: Vec<bool>,
    moments: Moments,
}

impl Sgd {
    /// An optimizer for these parameters; `decays` says which of them weight decay applies to.
    ///
    /// # Errors
    /// `decays` has another length, or a setting is out of range.
    pub fn new(settings: SgdSettings, parameters: &[Var], decays: &[bool]) -> Result<Self> {
        let SgdSettings { momentum, weight_decay } = settings;
        if decays.len() != parameters.len() {
            bail!("sgd: {} decay flags for {} parameters", decays.len(), parameters.len());
        }
        if !(0.0..1.0).contains(&momentum) || weight_decay < 0.0 || !weight_decay.is_finite() {
            bail!("sgd: momentum {momentum} must lie in [0, 1) and weight decay {weight_decay} not below 0");
        }
        Ok(Sgd { settings, decays: decays.to_vec(), moments: Moments::zeros(parameters, false) })
    }
}

impl Optimizer for Sgd {
    fn step(
        &mut self,
        parameters: &[Var],
        gradients: &[Option<&Tensor>],
        learning_rate: f64,
        gradient_scale: f64,
        clip: Clip,
    ) -> Result<GradientNorms> {
        let Sgd { settings, decays, moments } = self;
        let SgdSettings { momentum, weight_decay } = *settings;
        entered(elements(moments), || {
            let first = &moments.first;
            let (norms, scaling) =
                measure(parameters, gradients, first, learning_rate, gradient_scale, clip)?;
            if !norms.is_finite() {
                return Ok(norms);
            }
            each(parameters, gradients, decays, moments, scaling, |decays, _| {
                let decay = if decays { weight_decay } else { 0.0 };
                Descend { momentum, decay, rate: learning_rate }
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

struct Descend {
    momentum: f64,
    decay: f64,
    rate: f64,
}

impl Rule for Descend {
    #[inline(always)]
    fn update<T: Real, A: Arith>(&self, parameter: T, gradient: T, moment: &mut Moment<T>) -> T {
        let gradient = A::fma(T::of(self.decay), parameter, gradient);
        moment.first = A::fma(T::of(self.momentum), moment.first, gradient);
        A::fma(T::of(-self.rate), moment.first, parameter)
    }
}
