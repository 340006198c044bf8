//! One architecture under one configuration, at a width it can be built for.

use super::tensors::normal;
use super::{Fault, ensure};
use candle_core::{DType, Device, Tensor};
use seqbench_core::config::Value;
use seqbench_core::{
    AnyArchitecture, ConfiguredCore, Dims, ParameterStore, Params, Result, SequenceCore, State,
};

/// Batch and time of most checks: primes unlike each other and the first widths, so that no transposition passes by
/// luck.
pub(crate) const BATCH: usize = 3;
pub(crate) const TIME: usize = 7;

const HORIZON: usize = 29;

/// Widths in the order in which they are tried: primes, then numbers that many others divide.
const WIDTHS: [usize; 8] = [5, 11, 13, 12, 24, 60, 64, 120];

/// What the contracts of an architecture are checked on.
pub(crate) struct Subject {
    pub(crate) entry: &'static dyn AnyArchitecture,
    pub(crate) configured: Box<dyn ConfiguredCore>,
    pub(crate) dim: usize,
}

impl Subject {
    /// The subject at the first width that `build` accepts.
    pub(crate) fn new(
        entry: &'static dyn AnyArchitecture,
        settings: &Value,
    ) -> std::result::Result<Self, Fault> {
        let configured = entry.configure(settings)?;
        let mut refusal = String::new();
        for dim in WIDTHS {
            let params = Params::fresh(0, DType::F32, &Device::Cpu);
            match configured.build(Dims { dim, horizon: HORIZON }, &params) {
                Ok(_) => return Ok(Subject { entry, configured, dim }),
                Err(error) => refusal = error.to_string(),
            }
        }
        ensure!(false, "none of the widths {WIDTHS:?} is accepted; the last one's refusal: {refusal}");
        Err(Fault::from(refusal))
    }

    pub(crate) fn dims(&self) -> Dims {
        Dims { dim: self.dim, horizon: HORIZON }
    }

    /// Fresh parameters of a seed, in single precision or exactly those in double.
    pub(crate) fn store(&self, seed: u64, dtype: DType) -> Result<ParameterStore> {
        let params = Params::fresh(seed, DType::F32, &Device::Cpu);
        self.configured.build(self.dims(), &params)?;
        params.store().to_dtype(dtype)
    }

    /// A core whose parameters are leaves of the graph.
    pub(crate) fn tracked(&self, store: &ParameterStore) -> Result<Box<dyn SequenceCore>> {
        self.configured.build(self.dims(), &Params::tracked(store))
    }

    /// A core without a graph, in that precision.
    pub(crate) fn still(&self, dtype: DType) -> Result<Box<dyn SequenceCore>> {
        self.configured.build(self.dims(), &Params::detached(&self.store(11, dtype)?))
    }

    /// Inputs `[BATCH, time, dim]`, standard normal.
    pub(crate) fn xs(&self, time: usize, dtype: DType) -> Result<Tensor> {
        normal(&[BATCH, time, self.dim], time as u64, dtype)
    }
}

/// Runs a core over pieces of the given lengths, each from the state the one before it ended in.
pub(crate) fn run(
    core: &dyn SequenceCore,
    xs: &Tensor,
    mut state: State,
    pieces: &[usize],
) -> Result<(Tensor, State)> {
    let mut ys = Vec::new();
    let mut from = 0;
    for piece in pieces {
        let (part, next) = core.forward(&xs.narrow(1, from, *piece)?, Some(&state), None)?;
        ys.push(part);
        state = next;
        from += piece;
    }
    Ok((Tensor::cat(&ys, 1)?, state))
}
