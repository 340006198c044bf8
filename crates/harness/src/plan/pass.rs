//! What one timed pass of a model costs by formula: operations, bytes that must move, bytes that it holds.
//!
//! Symbols: P parameters, B sequences, T steps, L layers, D the width, H the hidden width of an MLP; all numbers are of four
//! bytes. The modes and the readout at the last step are those of [`throughput`](crate::throughput).

use crate::model::{configured_cores, parameter_count};
use crate::spec::{Block, Mode, ModelSpec};
use seqbench_core::{ConfiguredCore, InputKind, Registry, Result, Signature};

/// Bytes of a number.
const BYTES: f64 = size_of::<f32>() as f64;
/// Rows of the smallest share of a weight gradient that is summed apart, and the most shares.
const SHARE: usize = 512;
const SHARES: usize = 16;

/// What one pass costs, by formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassCost {
    /// Arithmetic operations, two a multiply-add: in products with weights, scans, convolutions and attention over the
    /// causal triangle; the linear map of features, MLPs, and the readout at the last step. A lookup of symbols is free, and
    /// so are biases, norms, element-wise functions and the optimizer. Training is three times the forward pass, by
    /// convention: each product is followed by two of its size. A decoded token is what a sequence of T + 1 steps costs more
    /// than one of T.
    pub operations: f64,
    /// Bytes that must move between memory and processor at least, where whatever is used again within a layer stays in
    /// caches, and between layers nothing does.
    ///
    /// *forward*: the weights are read (of a table of symbols no more rows than there are symbols), inputs are read, the
    /// encoder's output is written, and every layer's input read and its output written.
    ///
    /// *train*: the same with, instead of the outputs, all that is kept for the backward pass written once and read once;
    /// gradients of every layer's input written and of its output read; weights read again by the backward pass and by the
    /// update, which writes them; their gradients written and read, both moments read and written.
    ///
    /// *decode*: the weights and the state are read, and what is new of the state is written: all of it where its size does
    /// not grow with the context, one token's part where it does.
    pub traffic_bytes: f64,
    /// Bytes held at most, above the process without the model.
    ///
    /// *train*: weights, their gradients and two moments (AdamW); what the layers keep for the backward pass and, where their
    /// size is fixed, states before and after; the encoder's output, the last norm's and the copy of the inputs; and the most
    /// that the backward pass holds at once beside what is left of that by then.
    ///
    /// *forward*: weights, the states that all layers begin with and return, and the buffers of the layer that has most.
    ///
    /// *decode*: weights, once as parameters and once as the decoder lays them out, and the state after T tokens.
    ///
    /// Scratch of threads, which depends on their number, packed weights of one layer and tables of positions are left out.
    pub memory_bytes: f64,
}

/// The cost of one pass of a mode over `batch` sequences of `length` steps; in decoding of one token a sequence, after that
/// context.
///
/// # Errors
/// An architecture that the registry lacks, or settings that it refuses.
pub fn pass_cost(
    spec: &ModelSpec,
    signature: Signature,
    mode: Mode,
    length: usize,
    batch: usize,
    registry: &Registry,
) -> Result<PassCost> {
    let cores = configured_cores(spec, registry)?;
    let pass =
        Pass { spec, signature, length, batch, parameters: parameter_count(spec, &cores, signature), cores };
    let forward = || 2.0 * pass.rows() * pass.multiply_adds(length);
    Ok(match mode {
        Mode::Train => PassCost {
            operations: 3.0 * forward(),
            traffic_bytes: BYTES * pass.training_traffic(),
            memory_bytes: BYTES * pass.training_memory(),
        },
        Mode::Forward => PassCost {
            operations: forward(),
            traffic_bytes: BYTES * pass.forward_traffic(),
            memory_bytes: BYTES * pass.forward_memory(),
        },
        Mode::Decode => pass.decode(),
    })
}

/// A model and the size of a pass. Floats, unless a name says bytes.
struct Pass<'a> {
    spec: &'a ModelSpec,
    signature: Signature,
    length: usize,
    batch: usize,
    parameters: usize,
    cores: Vec<Box<dyn ConfiguredCore>>,
}

impl Pass<'_> {
    fn rows(&self) -> f64 {
        self.batch as f64
    }

    /// One [`width`](ModelSpec::width) a step, over the batch.
    fn stream(&self) -> f64 {
        (self.batch * self.length * self.spec.width) as f64
    }

    fn is_residual(&self) -> bool {
        self.spec.block == Block::Residual
    }

    /// Hidden width of the MLPs; 0 where there are none.
    fn hidden(&self) -> usize {
        if self.is_residual() { (self.spec.mlp * self.spec.width as f64).round() as usize } else { 0 }
    }

    /// Sum over the cores, of one sequence.
    fn each(&self, of: impl Fn(&dyn ConfiguredCore, usize) -> f64) -> f64 {
        self.cores.iter().map(|core| of(core.as_ref(), self.spec.width)).sum()
    }

    /// Of one sequence, forward.
    fn multiply_adds(&self, length: usize) -> f64 {
        let (width, steps) = (self.spec.width as f64, length as f64);
        let encoder = match self.signature.input {
            InputKind::Tokens(_) => 0.0,
            InputKind::Features(features) => features as f64 * width,
        };
        let mlps = 2.0 * self.hidden() as f64 * width * self.cores.len() as f64;
        let cores = self.each(|core, width| core.forward_operations(width, length));
        cores + (encoder + mlps) * steps + width * self.signature.output.width() as f64
    }

    fn state_bytes(&self, context: usize) -> f64 {
        self.each(|core, width| core.state_bytes(width, context) as f64)
    }

    /// Numbers of a step of inputs: a symbol or features.
    fn inputs(&self) -> usize {
        match self.signature.input {
            InputKind::Tokens(_) => 1,
            InputKind::Features(features) => features,
        }
    }

    /// Parameters that a pass over so many steps reads.
    fn weights_read(&self, steps: usize) -> f64 {
        let unread = match self.signature.input {
            InputKind::Tokens(vocabulary) => vocabulary.saturating_sub(steps) * self.spec.width,
            InputKind::Features(_) => 0,
        };
        (self.parameters - unread) as f64
    }

    /// What one layer keeps of one sequence.
    fn kept(&self, core: &dyn ConfiguredCore) -> f64 {
        let width = self.spec.width;
        if self.is_residual() {
            core.kept_in_block_elements(width, self.length) + self.kept_by_mlp()
        } else {
            core.kept_elements(width, self.length)
        }
    }

    /// What an MLP keeps of one sequence: what GELU is taken of, and the sum.
    fn kept_by_mlp(&self) -> f64 {
        let hidden = self.hidden();
        if hidden == 0 { 0.0 } else { ((hidden + self.spec.width) * self.length) as f64 }
    }

    fn forward_traffic(&self) -> f64 {
        let steps = self.batch * self.length;
        let layers = self.cores.len() as f64;
        self.weights_read(steps) + (steps * self.inputs()) as f64 + (1.0 + 2.0 * layers) * self.stream()
    }

    fn training_traffic(&self) -> f64 {
        let (steps, layers) = (self.batch * self.length, self.cores.len() as f64);
        // Update: weight, gradient and two moments read, weight and moments written; before it, the gradient written.
        let weights = 2.0 * self.weights_read(steps) + 8.0 * self.parameters as f64;
        let kept = self.stream() + self.rows() * self.each(|core, _| self.kept(core));
        weights + (steps * self.inputs()) as f64 + 3.0 * layers * self.stream() + 2.0 * kept
    }

    fn training_memory(&self) -> f64 {
        // The inputs, and indices of twice their size or once more the features as a tensor.
        let inputs = match self.signature.input {
            InputKind::Tokens(_) => 3,
            InputKind::Features(features) => 2 * features,
        };
        let positions = if self.cores.iter().any(|core| core.wants_positions()) { 1.0 } else { 0.0 };
        let last_norm = if self.is_residual() { 1.0 } else { 0.0 };
        let apparatus =
            (self.batch * self.length * inputs) as f64 + (1.0 + positions + last_norm) * self.stream();
        let kept = self.rows() * self.each(|core, _| self.kept(core));
        4.0 * self.parameters as f64 + apparatus + kept + self.still_states() + self.backward()
    }

    /// The most that the backward pass holds beside what is left of what was kept: layers give theirs back on the way.
    fn backward(&self) -> f64 {
        let (width, hidden) = (self.spec.width, self.hidden());
        let shares = (self.batch * self.length).div_ceil(SHARE).min(SHARES);
        // Gradients of the last norm's input and output, or of the last core's output alone.
        let mut most = if self.is_residual() { 2.0 * self.stream() } else { self.stream() };
        let mut freed = 0.0;
        for core in self.cores.iter().rev() {
            if hidden > 0 {
                let sums = (shares * 2 * width * hidden) as f64;
                most = most.max(2.0 * self.stream() + sums - freed);
                freed += self.rows() * self.kept_by_mlp();
            }
            // In a block, the gradient that passes beside the core takes the place of the block's output.
            let within = self.rows() * core.backward_elements(width, self.length);
            most = most.max(within - freed);
            freed += self.rows() * (self.kept(core.as_ref()) - self.kept_by_mlp());
        }
        most
    }

    /// States before and after all layers whose size does not grow with the length, in floats.
    fn still_states(&self) -> f64 {
        2.0 * self.rows() * self.state_bytes(0) / BYTES
    }

    /// Weights, states before and after, a layer's input and what its core holds, in a residual block the norm's output
    /// where the core does not compute it; there at least three streams: the block's, and what two of norm, core, sum and
    /// MLP give.
    fn forward_memory(&self) -> f64 {
        let width = self.spec.width;
        let live = |core: &dyn ConfiguredCore| {
            let [alone, in_block] =
                [core.kept_elements(width, self.length), core.kept_in_block_elements(width, self.length)];
            let norm =
                if self.is_residual() { (in_block - alone).min((width * self.length) as f64) } else { 0.0 };
            core.live_elements(width, self.length) + norm
        };
        let most = self.cores.iter().map(|core| live(core.as_ref())).fold(0.0, f64::max);
        let least = if self.is_residual() { 3.0 * self.stream() } else { 0.0 };
        let returned = self.each(|core, width| core.returned_elements(width, self.length));
        let states = self.rows() * (returned + self.state_bytes(0) / BYTES);
        self.parameters as f64 + states + (self.stream() + self.rows() * most).max(least)
    }

    fn decode(&self) -> PassCost {
        let operations = self.multiply_adds(self.length + 1) - self.multiply_adds(self.length)
            + (self.spec.width * self.signature.output.width()) as f64;
        let state = self.state_bytes(self.length);
        let written = self.each(|core, width| {
            let [now, then] =
                [self.length, self.length + 1].map(|context| core.state_bytes(width, context) as f64);
            if then > now { then - now } else { now }
        });
        let weights = BYTES * self.weights_read(self.batch);
        PassCost {
            operations: 2.0 * self.rows() * operations,
            traffic_bytes: weights + self.rows() * (state + written),
            memory_bytes: 2.0 * BYTES * self.parameters as f64 + self.rows() * state,
        }
    }
}
