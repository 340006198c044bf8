//! A linear recurrence whose gradients are known in closed form, specifications for it, and what else the tests of the
//! measurements share.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use seqbench_core::architecture::{Architecture, ArchitectureInfo, Decoder, Dims, SequenceCore, StepDecoder};
use seqbench_core::{Init, Params, Result, State, Stream};
use seqbench_harness::spec::{
    AccuracySpec, Answers, Block, CellSpec, ClipSpec, KindSpec, MeasureSpec, ModelSpec, Norm, OptimizerSpec,
    Rate, Schedule, SeedRangeSpec, TrainSpec,
};
use seqbench_kernels::{Activation, rnn};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// `h_t = x_t + ρ h_{t−1}`, `y_t = h_t`: a step's gradient k steps back is ρ^k of what it is at the step.
pub struct Leaky;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub rho: f64,
    /// From this call on the outputs are others; 0 for never.
    pub lies_from: usize,
    /// And up to this one; 0 for ever after.
    pub lies_to: usize,
    /// Whether its lies are no numbers.
    pub lies_in_nan: bool,
    /// Which of the counters counts the calls, over all models that share it.
    pub counter: usize,
    /// Its fast form makes the outputs this much too large; its plain one does not.
    pub wrong: f64,
    /// Whether it wants sinusoidal positions.
    pub positions: bool,
}

static CALLS: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

impl Default for Config {
    fn default() -> Self {
        Config {
            rho: 0.75,
            lies_from: 0,
            lies_to: 0,
            lies_in_nan: false,
            counter: 0,
            wrong: 0.0,
            positions: false,
        }
    }
}

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "leaky",
    title: "Leaky",
    summary: "Forgets by a constant factor.",
    citation: "none, 2026",
    deviations: &[],
};

impl Architecture for Leaky {
    type Config = Config;
    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }
    fn build(&self, config: &Config, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        let dim = dims.dim;
        let scaled = |scale: f64| {
            move |_: &mut Stream| -> Vec<f64> {
                (0..dim * dim).map(|at| if at % (dim + 1) == 0 { scale } else { 0.0 }).collect()
            }
        };
        Ok(Box::new(Core {
            w_ih: params.get(&[dim, dim], "w_ih", &Init::From(&scaled(1.0)))?,
            w_hh: params.get(&[dim, dim], "w_hh", &Init::From(&scaled(config.rho)))?,
            b_ih: params.get(&[dim], "b_ih", &Init::Zeros)?,
            b_hh: params.get(&[dim], "b_hh", &Init::Zeros)?,
            config: config.clone(),
        }))
    }
    fn parameter_count(&self, _: &Config, dim: usize) -> usize {
        2 * dim * dim + 2 * dim
    }
    fn state_bytes(&self, _: &Config, dim: usize, _: usize) -> usize {
        4 * dim
    }
    fn wants_positions(&self, config: &Config) -> bool {
        config.positions
    }
}

struct Core {
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    config: Config,
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let fresh = self.initial_state(xs.dim(0)?)?;
        let h = state.unwrap_or(&fresh).get("h")?;
        let (w_ih, w_hh) = (&self.w_ih, &self.w_hh);
        let (ys, h) = rnn(xs, w_ih, w_hh, &self.b_ih, &self.b_hh, h, lengths, Activation::Identity)?;
        let Config { lies_from, lies_to, lies_in_nan, counter, .. } = self.config;
        let lie = if lies_in_nan { f64::NAN } else { 0.5 };
        let lies = lies_from > 0 && {
            let call = CALLS[counter].fetch_add(1, Ordering::SeqCst) + 1;
            call >= lies_from && (lies_to == 0 || call <= lies_to)
        };
        let wrong = if seqbench_kernels::reference::is_alone() { 0.0 } else { self.config.wrong };
        let ys = (ys * (1.0 + wrong))?;
        Ok((if lies { (ys + lie)? } else { ys }, State::empty().with("h", h)))
    }
    fn initial_state(&self, batch: usize) -> Result<State> {
        let dim = self.w_hh.dim(0)?;
        Ok(State::empty().with("h", Tensor::zeros((batch, dim), self.w_hh.dtype(), &Device::Cpu)?))
    }
    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        Ok(Box::new(StepDecoder::new(self, batch, self.w_hh.dim(0)?)?))
    }
}

/// Plain layers of one architecture.
pub fn model(kind: &str, config: &Json, layers: usize, width: usize) -> ModelSpec {
    ModelSpec {
        width,
        block: Block::Plain,
        mlp: 0.0,
        norm: Norm::Layer,
        embedding_deviation: 1.0,
        layers: vec![KindSpec { kind: kind.into(), config: config.clone() }; layers],
    }
}

/// Stochastic gradient descent at rate 1: a step's update is the gradient.
pub fn descent() -> TrainSpec {
    TrainSpec {
        steps: 7,
        batch: 4,
        optimizer: OptimizerSpec::Sgd { momentum: 0.0, weight_decay: 0.0 },
        lr: Rate::Fixed(1.0),
        schedule: Schedule::Constant,
        warmup: 0,
        final_share: 0.0,
        clip: ClipSpec::None,
        tbptt: None,
        stop_at: None,
        curriculum: None,
        answers: Answers::True,
    }
}

/// A cell that trains and scores one leaky layer on the echo of a symbol.
pub fn cell(task: &str, config: Json) -> CellSpec {
    CellSpec {
        model: model("leaky", &json!({}), 1, 6),
        task: KindSpec { kind: task.into(), config },
        train: TrainSpec { lr: Rate::Fixed(0.1), ..descent() },
        measure: MeasureSpec {
            accuracy: Some(AccuracySpec {
                test_samples: 70,
                validation_samples: 10,
                curve_points: 3,
                solved: 2.0,
            }),
            gradients: None,
            throughput: None,
        },
        seed_range: SeedRangeSpec::Reporting,
        seed: 0,
    }
}

/// All values of all parameters, in their order.
pub fn flat(store: &seqbench_core::ParameterStore) -> Vec<f32> {
    let values = |parameter: &seqbench_core::Parameter| {
        parameter
            .var
            .as_detached_tensor()
            .to_dtype(DType::F32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
    };
    store.iter().flat_map(|parameter| values(parameter).unwrap()).collect()
}
