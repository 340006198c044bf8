//! The apparatus around the cores, the same for all: encoder → layers → readout.
//!
//! Encoder: an embedding of symbols or a linear map of features, plus sinusoidal positions where an architecture's
//! settings ask for them. Layers: bare cores (`plain`), or pre-norm residual blocks with an MLP (`residual`).
//! Readout: a linear map at chosen steps only.

use crate::spec::{Block, ModelSpec, Norm};
use candle_core::{DType, Device, Tensor};
use seqbench_core::config::Value;
use seqbench_core::{
    BlockNorm, ConfiguredCore, Dims, Error, InputData, InputKind, Inputs, ParameterStore, Params, Registry,
    Result, SequenceCore, Signature, State,
};
use seqbench_kernels::{self as kernels, add, gather_steps};
use seqbench_layers::{Embedding, LayerNorm, Linear, Mlp, RmsNorm, sinusoidal};
use std::sync::{Mutex, PoisonError};

/// What a model carries between two chunks of a sequence.
#[derive(Clone, Debug)]
pub struct ModelState {
    /// Steps each row has consumed, `[batch]`: the counter positions are made from.
    pub positions: Vec<u32>,
    /// The state of every layer's core.
    pub layers: Vec<State>,
}

impl ModelState {
    /// The same values cut from their graph.
    #[must_use]
    pub fn detach(&self) -> Self {
        ModelState {
            positions: self.positions.clone(),
            layers: self.layers.iter().map(State::detach).collect(),
        }
    }

    /// Bytes of all live state tensors, over the whole batch. The counter of positions is bookkeeping of the
    /// apparatus and is not counted.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(State::bytes).sum()
    }
}

/// A model: a function of a specification, a signature and where its parameters come from.
pub struct Model {
    pub(crate) encoder: Encoder,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Option<AnyNorm>,
    pub(crate) readout: Linear,
    pub(crate) positions: bool,
    sinusoids: Mutex<Option<(Vec<u32>, Tensor)>>,
    width: usize,
}

pub(crate) enum Encoder {
    Tokens(Embedding),
    Features(Linear),
}

/// One layer: a core, bare or inside a residual block.
pub(crate) struct Layer {
    pub(crate) core: Box<dyn SequenceCore>,
    pub(crate) residual: Option<Residual>,
}

pub(crate) struct Residual {
    pub(crate) norm: AnyNorm,
    pub(crate) mlp: Option<(AnyNorm, Mlp)>,
}

pub(crate) enum AnyNorm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

impl AnyNorm {
    fn new(kind: Norm, params: &Params, dim: usize) -> Result<Self> {
        Ok(match kind {
            Norm::Layer => AnyNorm::Layer(LayerNorm::new(params, dim)?),
            Norm::Rms => AnyNorm::Rms(RmsNorm::new(params, dim)?),
        })
    }

    pub(crate) fn parameters(&self) -> kernels::Norm<'_> {
        match self {
            AnyNorm::Layer(norm) => norm.parameters(),
            AnyNorm::Rms(norm) => norm.parameters(),
        }
    }

    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(self.parameters().forward(xs)?)
    }
}

/// The cores of a specification, configured but not built.
///
/// # Errors
/// An unknown architecture or setting.
pub fn configured_cores(spec: &ModelSpec, registry: &Registry) -> Result<Vec<Box<dyn ConfiguredCore>>> {
    let configure = |layer: &crate::spec::KindSpec| {
        registry.architecture(&layer.kind, &None)?.configure(&Value::from_json(&layer.config))
    };
    spec.layers.iter().map(configure).collect()
}

/// Parameters of the model a specification makes: what [`Model::fresh`] would hold.
pub fn parameter_count(spec: &ModelSpec, cores: &[Box<dyn ConfiguredCore>], signature: Signature) -> usize {
    let width = spec.width;
    let encoder = match signature.input {
        InputKind::Tokens(vocabulary) => vocabulary * width,
        InputKind::Features(features) => (features + 1) * width,
    };
    let norm = match spec.norm {
        Norm::Layer => 2 * width,
        Norm::Rms => width,
    };
    let (each, last) = match (spec.block, hidden(spec)) {
        (Block::Plain, _) => (0, 0),
        (Block::Residual, 0) => (norm, norm),
        (Block::Residual, hidden) => (2 * norm + 2 * width * hidden + hidden + width, norm),
    };
    let layers: usize = cores.iter().map(|core| core.parameter_count(width) + each).sum();
    encoder + layers + last + (width + 1) * signature.output.width()
}

/// Hidden width of the MLPs.
fn hidden(spec: &ModelSpec) -> usize {
    (spec.mlp * spec.width as f64).round() as usize
}

impl Model {
    /// Builds the model. `horizon` is the number of steps of the longest sequence expected.
    ///
    /// # Errors
    /// Settings that do not fit, or a parameter store that belongs to another model.
    pub fn build(
        spec: &ModelSpec,
        signature: Signature,
        horizon: usize,
        registry: &Registry,
        params: &Params,
    ) -> Result<Model> {
        let width = spec.width;
        let cores = configured_cores(spec, registry)?;
        let encoder = match signature.input {
            InputKind::Tokens(vocabulary) => Encoder::Tokens(Embedding::new(
                &params.under("encoder"),
                vocabulary,
                width,
                spec.embedding_deviation,
            )?),
            InputKind::Features(features) => {
                Encoder::Features(Linear::new(&params.under("encoder"), features, width)?)
            }
        };
        let positions = cores.iter().any(|core| core.wants_positions());
        let layers = cores
            .iter()
            .enumerate()
            .map(|(index, core)| {
                Layer::build(spec, core.as_ref(), horizon, &params.under(format!("layers.{index}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let norm = match spec.block {
            Block::Plain => None,
            Block::Residual => Some(AnyNorm::new(spec.norm, &params.under("norm"), width)?),
        };
        let readout = Linear::new(&params.under("readout"), width, signature.output.width())?;
        Ok(Model { encoder, layers, norm, readout, positions, sinusoids: Mutex::new(None), width })
    }

    /// Fresh parameters of the model, in single precision.
    ///
    /// # Errors
    /// As [`Model::build`].
    pub fn fresh(
        spec: &ModelSpec,
        signature: Signature,
        horizon: usize,
        seed: u64,
        registry: &Registry,
    ) -> Result<ParameterStore> {
        let params = Params::fresh(seed, DType::F32, &Device::Cpu);
        Model::build(spec, signature, horizon, registry, &params)?;
        Ok(params.store())
    }

    /// Layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Width of every layer.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The state before the first step.
    ///
    /// # Errors
    /// It could not be allocated.
    pub fn initial_state(&self, batch: usize) -> Result<ModelState> {
        let layers =
            self.layers.iter().map(|layer| layer.core.initial_state(batch)).collect::<Result<_>>()?;
        Ok(ModelState { positions: vec![0; batch], layers })
    }

    /// Encodes inputs to `[batch, time, width]`; `positions` are the steps each row has consumed before.
    ///
    /// # Errors
    /// Inputs of the wrong kind, or a symbol outside the vocabulary.
    pub fn encode(&self, inputs: &Inputs, positions: &[u32]) -> Result<Tensor> {
        let shape = (inputs.batch, inputs.time);
        let xs = match (&self.encoder, &inputs.data) {
            (Encoder::Tokens(embedding), InputData::Tokens(tokens)) => embedding.forward(tokens, shape)?,
            (Encoder::Features(linear), InputData::Features { dim, values }) => {
                let weight = linear.weight();
                let features =
                    Tensor::from_slice(values, (inputs.batch, inputs.time, *dim), weight.device())?;
                linear.forward(&features.to_dtype(weight.dtype())?)?
            }
            (Encoder::Tokens(_), _) => {
                return Err(Error::invalid("this model reads symbols, the inputs are features"));
            }
            (Encoder::Features(_), _) => {
                return Err(Error::invalid("this model reads features, the inputs are symbols"));
            }
        };
        if !self.positions {
            return Ok(xs);
        }
        Ok(add(&xs, &self.sinusoids(positions, &xs)?)?)
    }

    /// Positions for `xs` `[batch, time, width]`: of one row for all where they begin together, as in training. Kept
    /// until others are asked for.
    fn sinusoids(&self, starts: &[u32], xs: &Tensor) -> Result<Tensor> {
        let together = starts.iter().all(|start| Some(start) == starts.first());
        let starts = if together { &starts[..starts.len().min(1)] } else { starts };
        let mut kept = self.sinusoids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, waves)) = &*kept
            && of == starts
            && waves.dim(1)? == xs.dim(1)?
        {
            return Ok(if together { waves.squeeze(0)? } else { waves.clone() });
        }
        let waves = sinusoidal(starts, xs.dim(1)?, self.width, xs.dtype(), xs.device())?;
        *kept = Some((starts.to_vec(), waves.clone()));
        Ok(if together { waves.squeeze(0)? } else { waves })
    }

    /// Runs inputs through encoder and layers: the outputs before the readout, `[batch, time, width]`, and the state
    /// at each row's own end.
    ///
    /// # Errors
    /// As [`Model::encode`] and the cores' `forward`.
    pub fn forward(
        &self,
        inputs: &Inputs,
        state: Option<&ModelState>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, ModelState)> {
        let fresh;
        let state = match state {
            Some(state) => state,
            None => {
                fresh = self.initial_state(inputs.batch)?;
                &fresh
            }
        };
        let xs = self.encode(inputs, &state.positions)?;
        self.run(xs, state, lengths, &[])
    }

    /// Runs encoded inputs `[batch, time, width]` through the layers. Where `taps` names a tensor for a layer, it is
    /// added to that layer's input: a zero leaf there makes its gradient readable.
    ///
    /// # Errors
    /// As the cores' `forward`.
    pub fn run(
        &self,
        mut xs: Tensor,
        state: &ModelState,
        lengths: Option<&[usize]>,
        taps: &[Tensor],
    ) -> Result<(Tensor, ModelState)> {
        let time = xs.dim(1)?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, (layer, carried)) in self.layers.iter().zip(&state.layers).enumerate() {
            if let Some(tap) = taps.get(index) {
                xs = xs.add(tap)?;
            }
            let (ys, carried) = layer.forward(&xs, carried, lengths)?;
            layers.push(carried);
            xs = ys;
        }
        if let Some(norm) = &self.norm {
            xs = norm.forward(&xs)?;
        }
        let advance =
            |(row, position): (usize, &u32)| position + lengths.map_or(time, |lengths| lengths[row]) as u32;
        let positions = state.positions.iter().enumerate().map(advance).collect();
        Ok((xs, ModelState { positions, layers }))
    }

    /// The cores, from the lowest.
    pub(crate) fn cores(&self) -> impl Iterator<Item = &dyn SequenceCore> {
        self.layers.iter().map(|layer| layer.core.as_ref())
    }

    /// What every core reads of inputs that follow `state`, `[batch, time, width]` each: behind the norm of a residual
    /// block.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub(crate) fn core_inputs(&self, inputs: &Inputs, state: &ModelState) -> Result<Vec<Tensor>> {
        let mut xs = self.encode(inputs, &state.positions)?;
        let mut all = Vec::with_capacity(self.layers.len());
        for (layer, carried) in self.layers.iter().zip(&state.layers) {
            all.push(match &layer.residual {
                Some(residual) => residual.norm.forward(&xs)?,
                None => xs.clone(),
            });
            xs = layer.forward(&xs, carried, None)?.0;
        }
        Ok(all)
    }

    /// Reads answers out at chosen (row, step) only: `[batch, time, width]` to `[n, outputs]`.
    ///
    /// # Errors
    /// A step outside the outputs.
    pub fn read_out(&self, ys: &Tensor, at: &[(usize, usize)]) -> Result<Tensor> {
        self.readout.forward(&gather_steps(ys, at)?)
    }
}

impl Layer {
    fn build(spec: &ModelSpec, core: &dyn ConfiguredCore, horizon: usize, params: &Params) -> Result<Self> {
        let dim = spec.width;
        let built = core.build(Dims { dim, horizon }, &params.under("core"))?;
        let residual = match spec.block {
            Block::Plain => None,
            Block::Residual => {
                let hidden = hidden(spec);
                let mlp = if hidden == 0 {
                    None
                } else {
                    let norm = AnyNorm::new(spec.norm, &params.under("mlp_norm"), dim)?;
                    Some((norm, Mlp::new(&params.under("mlp"), dim, hidden)?))
                };
                Some(Residual { norm: AnyNorm::new(spec.norm, &params.under("norm"), dim)?, mlp })
            }
        };
        Ok(Layer { core: built, residual })
    }

    fn forward(&self, xs: &Tensor, state: &State, lengths: Option<&[usize]>) -> Result<(Tensor, State)> {
        let Some(residual) = &self.residual else {
            return self.core.forward(xs, Some(state), lengths);
        };
        let norm = residual.norm.parameters();
        let stated = BlockNorm { weight: norm.weight, bias: norm.bias, epsilon: norm.eps };
        let (xs, state) = match self.core.forward_in_block(xs, &stated, Some(state), lengths)? {
            Some(computed) => computed,
            None => {
                let (ys, state) = self.core.forward(&norm.forward(xs)?, Some(state), lengths)?;
                (add(xs, &ys)?, state)
            }
        };
        Ok(match &residual.mlp {
            Some((norm, mlp)) => (mlp.forward_in_block(&xs, &norm.parameters())?, state),
            None => (xs, state),
        })
    }
}
