//! A model with its weights, outside any run: made fresh, written, read back, trained on from there, and what it computes
//! for inputs that come from elsewhere.

mod arrays;
mod examples;
mod file;
mod outputs;
mod study;

pub use examples::Examples;
pub(crate) use file::serialize;
pub use file::write_whole;
pub use outputs::{Outputs, outputs};
pub use study::{Learnt, STAGE, as_cell, gradients, learn};

use crate::model::Model;
use crate::plan::Training;
use crate::spec::ModelSpec;
use crate::train::{Decay, Trainer};
use candle_core::DType;
use seqbench_core::{ParameterStore, Registry, Result, Signature};

/// A model and its weights.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The model.
    pub model: ModelSpec,
    /// What goes in and what comes out.
    pub signature: Signature,
    /// Steps of the longest sequence expected when it was made.
    pub horizon: usize,
    /// The weights, in single precision.
    pub parameters: ParameterStore,
}

impl Checkpoint {
    /// Fresh weights: the same for the same seed, down to the bits.
    ///
    /// # Errors
    /// As [`Model::build`].
    pub fn fresh(
        model: ModelSpec,
        signature: Signature,
        horizon: usize,
        seed: u64,
        registry: &Registry,
    ) -> Result<Self> {
        let parameters = Model::fresh(&model, signature, horizon, seed, registry)?;
        Ok(Checkpoint { model, signature, horizon, parameters })
    }

    /// A trainer that starts from a copy of these weights.
    ///
    /// # Errors
    /// As [`Trainer::over`].
    pub fn trainer(&self, training: &Training, decay: Decay, registry: &Registry) -> Result<Trainer> {
        let copy = self.parameters.to_dtype(DType::F32)?;
        let Training { spec, rate } = training;
        Trainer::over(copy, decay, &self.model, spec, *rate, self.signature, self.horizon, registry)
    }

    /// Names of its architectures, `+`-joined where there are several.
    pub fn architecture(&self) -> String {
        let mut names: Vec<&str> = self.model.layers.iter().map(|layer| layer.kind.as_str()).collect();
        names.dedup();
        names.join("+")
    }
}
