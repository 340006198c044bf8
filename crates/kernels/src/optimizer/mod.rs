//! The optimizer's step: gradients in, parameters changed in place, nothing allocated for each step.
//!
//! Parameters and gradients are ordered slices, the same order at every step. Moments are single precision
//! whatever the parameters are. A parameter without a gradient is left alone: no decay, no moment, no count.

mod adamw;
mod intake;
mod sgd;
mod update;

pub use adamw::{Adamw, AdamwSettings};
pub use intake::{Clip, GradientNorms, global_norm};
pub use sgd::{Sgd, SgdSettings};

use candle_core::{Result, Tensor, Var};

/// A rule that turns gradients into changed parameters, with the state it keeps between steps.
pub trait Optimizer: Send {
    /// Changes `parameters` in place. Each gradient is multiplied by `gradient_scale`, then clipped, as it
    /// is consumed. Where the global norm is not finite nothing is changed, neither parameters nor moments:
    /// ask the result with [`GradientNorms::is_finite`].
    ///
    /// # Errors
    /// The slices do not match the parameters this optimizer was made for in number, size or type, or the
    /// rate, the scale or the limit is not a usable number.
    fn step(
        &mut self,
        parameters: &[Var],
        gradients: &[Option<&Tensor>],
        learning_rate: f64,
        gradient_scale: f64,
        clip: Clip,
    ) -> Result<GradientNorms>;

    /// What is kept between steps, to be written into a checkpoint.
    fn moments(&self) -> &Moments;

    /// Continues from a checkpoint.
    ///
    /// # Errors
    /// The moments belong to other parameters or to another rule; nothing is changed then.
    fn restore(&mut self, moments: Moments) -> Result<()>;
}

/// An optimizer's state: one entry a parameter, in the order of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Updates each parameter has had.
    pub steps: Vec<u64>,
    /// First moments: the running mean of the gradient, or the momentum buffer.
    pub first: Vec<Vec<f32>>,
    /// Second moments: the running mean of the squared gradient. Each is empty where the rule keeps none.
    pub second: Vec<Vec<f32>>,
}

impl Moments {
    fn zeros(parameters: &[Var], second: bool) -> Self {
        let sizes = || parameters.iter().map(|parameter| parameter.elem_count());
        Moments {
            steps: vec![0; parameters.len()],
            first: sizes().map(|size| vec![0.0; size]).collect(),
            second: sizes().map(|size| vec![0.0; if second { size } else { 0 }]).collect(),
        }
    }

    fn sizes(&self) -> (usize, Vec<usize>, Vec<usize>) {
        let lengths = |moments: &[Vec<f32>]| moments.iter().map(Vec::len).collect();
        (self.steps.len(), lengths(&self.first), lengths(&self.second))
    }

    fn replace(&mut self, other: Moments) -> Result<()> {
        if self.sizes() != other.sizes() {
            candle_core::bail!(
                "optimizer: the moments of {} parameters do not fit these {}, or sizes differ",
                other.steps.len(),
                self.steps.len()
            );
        }
        *self = other;
        Ok(())
    }
}
