//! What an architecture is: a registry entry that builds a [`SequenceCore`], the one trait every model stands
//! behind.

use crate::config::{self, Value};
use crate::error::{Error, Result};
use crate::inspection::Inspection;
use crate::parameter::Params;
use crate::state::State;
use crate::task::{placed, to_json};
use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an architecture says of itself.
#[derive(Clone, Copy, Debug)]
pub struct ArchitectureInfo {
    /// Registry name, as configurations and rows spell it.
    pub name: &'static str,
    /// Name for a heading.
    pub title: &'static str,
    /// One sentence: how it carries information along a sequence.
    pub summary: &'static str,
    /// Source paper.
    pub citation: &'static str,
    /// Where this implementation departs from its source, and why.
    pub deviations: &'static [&'static str],
}

/// What a core is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    /// Width of inputs and outputs.
    pub dim: usize,
    /// Steps of the longest sequence expected, for initialisations that need it (chrono's T_max).
    pub horizon: usize,
}

/// One layer's sequence mixer with its own projections: attention with its qkv and output weights, a state-space
/// layer with its input and output weights, an RNN or LSTM with its input and recurrent weights.
///
/// Every core is causal: the output of a step depends on that step and earlier ones only. All three forms are the
/// same function.
pub trait SequenceCore: Send + Sync {
    /// Maps `[batch, time, dim]` to `[batch, time, dim]`, of any length, differentiably in `xs`, the parameters and
    /// the floating-point entries of the incoming state. Two chunks, the second given the first's state, equal one
    /// pass over both, in values and in gradients.
    ///
    /// Sequences are right-padded. `lengths` only makes the returned state the one at each row's own end; outputs
    /// past it are whatever the padding gives and reach nothing, because the core is causal.
    ///
    /// # Errors
    /// A wrong rank, width or batch, named with both shapes; a state of another architecture.
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)>;

    /// `xs + forward(norm(xs))`, for a core that computes norm and residual together with its own first and last maps:
    /// values are those of the composition bit for bit, in fewer passes over memory. `None` where it does not, which
    /// any core may leave at that.
    ///
    /// # Errors
    /// As [`SequenceCore::forward`].
    fn forward_in_block(
        &self,
        xs: &Tensor,
        norm: &BlockNorm<'_>,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<Option<(Tensor, State)>> {
        let _ = (xs, norm, state, lengths);
        Ok(None)
    }

    /// The state before the first step, for a batch.
    ///
    /// # Errors
    /// It could not be allocated.
    fn initial_state(&self, batch: usize) -> Result<State>;

    /// One token, differentiably: `[batch, dim]` to `[batch, dim]`.
    ///
    /// # Errors
    /// As [`SequenceCore::forward`].
    fn step(&self, x: &Tensor, state: &State) -> Result<(Tensor, State)> {
        if x.rank() != 2 {
            return Err(Error::shape("step: x", x.dims(), "[batch, dim]"));
        }
        let (ys, state) = self.forward(&x.unsqueeze(1)?, Some(state), None)?;
        Ok((ys.squeeze(1)?, state))
    }

    /// What happens inside over `xs` `[batch, time, dim]` from `state` on, for the gradient laboratory: signals, recurrent
    /// matrices, eigenvalues, and what theory makes of them. Nothing, unless a core says more.
    ///
    /// # Errors
    /// As [`SequenceCore::forward`].
    fn inspect(&self, xs: &Tensor, state: &State) -> Result<Inspection> {
        let _ = (xs, state);
        Ok(Inspection::default())
    }

    /// One token after another on plain slices, without a graph. `capacity` is the most tokens it must hold.
    ///
    /// # Errors
    /// The parameters are not single-precision CPU tensors, or memory is short.
    fn decoder(&self, batch: usize, capacity: usize) -> Result<Box<dyn Decoder + '_>>;
}

/// The norm before the core of a residual block: layer norm with a bias, root-mean-square norm without.
#[derive(Clone, Copy, Debug)]
pub struct BlockNorm<'a> {
    /// `[dim]`
    pub weight: &'a Tensor,
    /// `[dim]`
    pub bias: Option<&'a Tensor>,
    /// Added to the variance, or to the mean square.
    pub epsilon: f64,
}

/// Decoding in place: one token a call, no graph, no allocation per token.
pub trait Decoder {
    /// Reads `x` `[batch, dim]` and writes `y` `[batch, dim]`, moving the state one step on.
    ///
    /// # Errors
    /// A slice of the wrong length, or more tokens than the capacity.
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()>;

    /// Continues from a state that `forward` returned: prefill, then decode.
    ///
    /// # Errors
    /// The state belongs to another architecture or batch, or exceeds the capacity.
    fn load(&mut self, state: &State) -> Result<()>;

    /// Bytes of the live state, over the whole batch: what must be kept between two tokens.
    fn state_bytes(&self) -> usize;
}

/// A decoder over [`SequenceCore::step`]: right for any core, and as slow as its graph. A core without a
/// decoder of its own returns this.
pub struct StepDecoder<'a, C: SequenceCore + ?Sized> {
    core: &'a C,
    batch: usize,
    dim: usize,
    state: State,
}

impl<'a, C: SequenceCore + ?Sized> StepDecoder<'a, C> {
    /// A decoder at the initial state.
    ///
    /// # Errors
    /// As [`SequenceCore::initial_state`].
    pub fn new(core: &'a C, batch: usize, dim: usize) -> Result<Self> {
        Ok(StepDecoder { core, batch, dim, state: core.initial_state(batch)? })
    }
}

impl<C: SequenceCore + ?Sized> Decoder for StepDecoder<'_, C> {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        let want = self.batch * self.dim;
        if x.len() != want || y.len() != want {
            return Err(Error::shape("decode", &[x.len(), y.len()], format!("{want} values in each")));
        }
        let x = Tensor::from_slice(x, (self.batch, self.dim), &Device::Cpu)?;
        let (ys, state) = self.core.step(&x, &self.state)?;
        self.state = state.detach();
        y.copy_from_slice(&ys.detach().flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?);
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        if !state.iter().map(|(name, _)| name).eq(self.state.iter().map(|(name, _)| name)) {
            let names: Vec<_> = state.iter().map(|(name, _)| name).collect();
            return Err(Error::invalid(format!(
                "load: the state [{}] is of another architecture",
                names.join(", ")
            )));
        }
        for ((name, given), (_, own)) in state.iter().zip(self.state.iter()) {
            // The middle may grow with the context, as a cache of keys does; batch and width may not.
            let ends = |tensor: &Tensor| (tensor.dims().first().copied(), tensor.dims().last().copied());
            if given.rank() != own.rank() || ends(given) != ends(own) {
                let expected = format!("the batch and width of {:?}", own.dims());
                return Err(Error::shape(format!("load: {name}"), given.dims(), expected));
            }
        }
        self.state = state.detach();
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.state.bytes()
    }
}

/// An architecture, as its file defines it and the registry holds it.
pub trait Architecture: Send + Sync + 'static {
    /// Its settings; declare `#[serde(default, deny_unknown_fields)]`.
    type Config: Serialize + DeserializeOwned + Default + Clone + Send + Sync;

    /// What it says of itself.
    fn info(&self) -> &'static ArchitectureInfo;

    /// Builds one layer's core: a pure function of settings, dimensions and parameters.
    ///
    /// # Errors
    /// The settings do not fit the width ([`Error::Invalid`] naming the key in backticks and the remedy).
    fn build(&self, config: &Self::Config, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>>;

    /// Parameters of one core, by the documented formula; a test compares it with the built core.
    fn parameter_count(&self, config: &Self::Config, dim: usize) -> usize;

    /// Bytes of the state of one sequence after `context` tokens in single precision, by the documented formula; a
    /// test compares it with live tensors.
    fn state_bytes(&self, config: &Self::Config, dim: usize, context: usize) -> usize;

    /// Multiply-adds of one core over one sequence of `length` steps, forward: of products with weights and, where there
    /// are any, of scans and convolutions and of attention over the pairs that its mask leaves. Biases, gates and other
    /// element-wise functions are left out. A test compares it with what the plain formulation multiplies.
    ///
    /// The default uses each parameter once a step, which is too much by the biases.
    fn forward_operations(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        self.parameter_count(config, dim) as f64 * length as f64
    }

    /// Element-wise evaluations of one core over one sequence of `length` steps, forward, about: exponentials, gates,
    /// rotations, steps of a scan. Only estimates of time use it. The default is one a unit and step.
    fn forward_elements(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        let _ = config;
        dim as f64 * length as f64
    }

    /// Floats that one core keeps of one sequence of `length` steps between the forward and the backward pass of training:
    /// its output and all that its backward pass reads, but its input, which whoever made it keeps. What does not grow
    /// with the length (states, packed weights) is left out.
    ///
    /// The default is that of a core of one operation between two linear maps, 3 · dim a step.
    fn kept_elements(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        let _ = config;
        3.0 * (dim * length) as f64
    }

    /// The same of norm, core and sum of a residual block, the sum being the output. The default keeps what the norm and
    /// the sum give beside what the core keeps; a core with a [`SequenceCore::forward_in_block`] of its own says less.
    fn kept_in_block_elements(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        self.kept_elements(config, dim, length) + 2.0 * (dim * length) as f64
    }

    /// Floats that the backward pass of one core over one sequence holds at once, at most, beyond what is kept: gradients of
    /// its output, of its input and of what lies between, less what has been freed by then.
    ///
    /// The default is the gradients of output and input alone.
    fn backward_elements(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        let _ = config;
        2.0 * (dim * length) as f64
    }

    /// Floats that stay as long as the state does which a pass of one core over one sequence returns. The default is what
    /// [`Architecture::state_bytes`] says; it is more where a state is a view of something larger.
    fn returned_elements(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        self.state_bytes(config, dim, length) as f64 / size_of::<f32>() as f64
    }

    /// Floats that a pass without gradients of one core over one sequence holds at once, at most: its output and what lies
    /// between, without its input and what stays with the state it returns.
    ///
    /// The default is that of a core of one operation between two linear maps, 2 · dim a step.
    fn live_elements(&self, config: &Self::Config, dim: usize, length: usize) -> f64 {
        let _ = config;
        2.0 * (dim * length) as f64
    }

    /// Whether these settings want the apparatus to add sinusoidal positions to the encoder's output.
    fn wants_positions(&self, config: &Self::Config) -> bool {
        let _ = config;
        false
    }
}

/// An [`Architecture`] with its type of configuration erased.
pub trait AnyArchitecture: Send + Sync {
    /// See [`Architecture::info`].
    fn info(&self) -> &'static ArchitectureInfo;
    /// Every key with its default value.
    fn defaults(&self) -> serde_json::Value;
    /// Reads a configuration.
    ///
    /// # Errors
    /// See [`config::read`].
    fn configure(&self, value: &Value) -> Result<Box<dyn ConfiguredCore>>;
}

/// An architecture with its settings: what a model specification holds.
pub trait ConfiguredCore: Send + Sync {
    /// The architecture.
    fn info(&self) -> &'static ArchitectureInfo;
    /// The settings, defaults filled in.
    fn resolved(&self) -> serde_json::Value;
    /// See [`Architecture::build`]; an [`Error::Invalid`] gets its place in the configuration.
    ///
    /// # Errors
    /// As [`Architecture::build`].
    fn build(&self, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>>;
    /// See [`Architecture::parameter_count`].
    fn parameter_count(&self, dim: usize) -> usize;
    /// See [`Architecture::state_bytes`].
    fn state_bytes(&self, dim: usize, context: usize) -> usize;
    /// See [`Architecture::forward_operations`].
    fn forward_operations(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::forward_elements`].
    fn forward_elements(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::kept_elements`].
    fn kept_elements(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::kept_in_block_elements`].
    fn kept_in_block_elements(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::backward_elements`].
    fn backward_elements(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::returned_elements`].
    fn returned_elements(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::live_elements`].
    fn live_elements(&self, dim: usize, length: usize) -> f64;
    /// See [`Architecture::wants_positions`].
    fn wants_positions(&self) -> bool;
}

struct Configured<A: Architecture> {
    architecture: &'static A,
    config: A::Config,
    source: Value,
}

/// Every architecture is a constant, so that a configured core can refer to it; `&'static T` is what the registry
/// holds.
impl<A: Architecture> AnyArchitecture for &'static A {
    fn info(&self) -> &'static ArchitectureInfo {
        Architecture::info(*self)
    }

    fn defaults(&self) -> serde_json::Value {
        to_json(&A::Config::default())
    }

    fn configure(&self, value: &Value) -> Result<Box<dyn ConfiguredCore>> {
        let config: A::Config = config::read(value)?;
        Ok(Box::new(Configured { architecture: *self, config, source: value.clone() }))
    }
}

impl<A: Architecture> ConfiguredCore for Configured<A> {
    fn info(&self) -> &'static ArchitectureInfo {
        self.architecture.info()
    }

    fn resolved(&self) -> serde_json::Value {
        to_json(&self.config)
    }

    fn build(&self, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        self.architecture.build(&self.config, dims, params).map_err(|error| placed(error, &self.source))
    }

    fn parameter_count(&self, dim: usize) -> usize {
        self.architecture.parameter_count(&self.config, dim)
    }

    fn state_bytes(&self, dim: usize, context: usize) -> usize {
        self.architecture.state_bytes(&self.config, dim, context)
    }

    fn forward_operations(&self, dim: usize, length: usize) -> f64 {
        self.architecture.forward_operations(&self.config, dim, length)
    }

    fn forward_elements(&self, dim: usize, length: usize) -> f64 {
        self.architecture.forward_elements(&self.config, dim, length)
    }

    fn kept_elements(&self, dim: usize, length: usize) -> f64 {
        self.architecture.kept_elements(&self.config, dim, length)
    }

    fn kept_in_block_elements(&self, dim: usize, length: usize) -> f64 {
        self.architecture.kept_in_block_elements(&self.config, dim, length)
    }

    fn backward_elements(&self, dim: usize, length: usize) -> f64 {
        self.architecture.backward_elements(&self.config, dim, length)
    }

    fn returned_elements(&self, dim: usize, length: usize) -> f64 {
        self.architecture.returned_elements(&self.config, dim, length)
    }

    fn live_elements(&self, dim: usize, length: usize) -> f64 {
        self.architecture.live_elements(&self.config, dim, length)
    }

    fn wants_positions(&self) -> bool {
        self.architecture.wants_positions(&self.config)
    }
}
