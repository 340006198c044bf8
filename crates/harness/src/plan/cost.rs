//! What a cell will take, about. Orders cells, fills time left before anything has been timed, and skips cells above
//! `measure.max_seconds`; no result depends on it. The constants were fitted to the committed results by non-negative least squares of
//! relative errors, and a test (`cli`, `estimates`) holds the estimates to a factor of two of them.

use super::expand::TaskFacts;
use crate::model::configured_cores;
use crate::probe::{MOST_COMPONENTS, distances};
use crate::spec::{AccuracySpec, Block, GradientSpec, Mode, ModelSpec, Stage, ThroughputSpec, TrainSpec};
use crate::throughput::DECODED;
use seqbench_core::{ConfiguredCore, Registry, Result};

// Seconds, on one thread of the machine that the study ran on: others differ by one factor, which a run corrects by what
// it has seen.

/// Of a multiply-add in a product.
const MULTIPLY_ADD: f64 = 3.0e-11;
/// Of an element-wise evaluation.
const ELEMENT: f64 = 8.2e-10;
/// Of norm, activation and sums of a residual block, a token and unit of width.
const RESIDUAL: f64 = 2.3e-9;
/// Of a layer in an optimizer step, whatever its size.
const LAYER_STEP: f64 = 8.3e-6;
/// Of a multiply-add and of an element in a gradient probe, which is double precision on plain formulations.
const PROBE_MULTIPLY_ADD: f64 = 1.25e-10;
const PROBE_ELEMENT: f64 = 2.0e-9;
/// Of a multiply-add and of a step of one component in a whole Jacobian.
const JACOBIAN_MULTIPLY_ADD: f64 = 1.8e-9;
const JACOBIAN_STEP: f64 = 7.9e-6;

/// A model in numbers.
pub(super) struct Work<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) cores: &'a [Box<dyn ConfiguredCore>],
}

/// What one token of a sequence of some length costs, over all layers.
struct Token {
    multiply_adds: f64,
    elements: f64,
    /// Units of width in residual blocks.
    residual: f64,
}

impl Token {
    fn seconds(&self) -> f64 {
        self.multiply_adds * MULTIPLY_ADD + self.elements * ELEMENT + self.residual * RESIDUAL
    }
}

impl Work<'_> {
    fn token(&self, length: f64) -> Token {
        let spec = self.spec;
        let (width, layers) = (spec.width as f64, self.cores.len() as f64);
        let length = (length.round() as usize).max(1);
        let each = |of: fn(&dyn ConfiguredCore, usize, usize) -> f64| -> f64 {
            self.cores.iter().map(|core| of(core.as_ref(), spec.width, length)).sum::<f64>() / length as f64
        };
        let is_residual = f64::from(u8::from(spec.block == Block::Residual));
        let hidden = (spec.mlp * width).round();
        Token {
            multiply_adds: each(|core, width, length| core.forward_operations(width, length))
                + is_residual * layers * 2.0 * hidden * width,
            elements: each(|core, width, length| core.forward_elements(width, length)),
            residual: is_residual * layers * width,
        }
    }

    /// Seconds of training, and of scoring on the validation stream on the way; `test` says whether the test stream follows.
    pub(super) fn training(
        &self,
        task: &TaskFacts,
        train: &TrainSpec,
        accuracy: Option<&AccuracySpec>,
        test: bool,
    ) -> f64 {
        let trained = train.batch as f64 * train.steps as f64 * task.trained_steps;
        let mut seconds = 3.0 * trained * self.token(task.trained_steps).seconds()
            + train.steps as f64 * self.cores.len() as f64 * LAYER_STEP;
        if let Some(accuracy) = accuracy {
            let validated = accuracy.validation_samples.min(task.validated) * accuracy.curve_points as usize;
            seconds += (validated * task.steps) as f64 * self.token(task.steps as f64).seconds();
            for steps in task.tested_steps.iter().filter(|_| test) {
                let samples = accuracy.test_samples.min(task.tested) as f64;
                seconds += samples * *steps as f64 * self.token(*steps as f64).seconds();
            }
        }
        seconds
    }

    /// Seconds of gradient probes.
    pub(super) fn probes(&self, task: &TaskFacts, spec: &GradientSpec) -> f64 {
        let farthest = spec.max_distance.unwrap_or(usize::MAX).min(task.steps.saturating_sub(1));
        let passes = (spec.at.len() * distances(1, farthest, spec.per_decade).len()) as f64;
        let steps = task.steps as f64;
        let token = self.token(steps);
        let of_token = token.multiply_adds * PROBE_MULTIPLY_ADD + token.elements * PROBE_ELEMENT;
        let mut seconds = passes * spec.samples as f64 * steps * of_token;
        if spec.jacobians {
            let width = self.spec.width;
            for core in self.cores {
                let [one, two] = [1, 2].map(|context| core.state_bytes(width, context) / 4);
                if one != two || one > MOST_COMPONENTS {
                    continue;
                }
                let step = core.forward_operations(width, 1) * JACOBIAN_MULTIPLY_ADD + JACOBIAN_STEP;
                seconds += passes * one as f64 * steps * step;
            }
        }
        seconds
    }

    /// Seconds of one pass of a mode over a batch; of decoding, of one token.
    pub(super) fn pass(&self, mode: Mode, length: usize, batch: usize) -> f64 {
        let steps = length as f64;
        let tokens = match mode {
            Mode::Train => 3.0 * steps,
            Mode::Forward => steps,
            Mode::Decode => 1.0,
        };
        batch as f64 * tokens * self.token(steps).seconds()
    }

    /// Seconds of a timing cell: its rounds, and the untimed passes that they are held against.
    pub(super) fn timing(&self, spec: &ThroughputSpec) -> f64 {
        let passes = f64::from(spec.rounds + spec.warmup);
        let of = |mode| self.pass(mode, spec.length, spec.batch);
        let seconds = spec.modes.iter().map(|mode| match mode {
            // A twin takes every step first.
            Mode::Train => 2.0 * passes * of(Mode::Train),
            Mode::Forward => (passes + 1.0) * of(Mode::Forward),
            // Its context comes once.
            Mode::Decode => (passes + 1.0) * DECODED as f64 * of(Mode::Decode) + of(Mode::Forward),
        });
        seconds.sum()
    }
}

/// Whether a cell trains at all: one that is probed before the first step only does not.
pub(super) fn trains(accuracy: Option<&AccuracySpec>, gradients: Option<&GradientSpec>) -> bool {
    accuracy.is_some() || gradients.is_some_and(|spec| spec.at.iter().any(|stage| *stage != Stage::Init))
}

/// What a model costs at a length, before anything has run: cores and MLPs; encoder and readout are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Multiply-adds of one sequence forward, in products; backward makes twice as many.
    pub multiply_adds: f64,
    /// Element-wise evaluations of one sequence forward, about.
    pub elements: f64,
    /// Bytes that one sequence carries to its next token.
    pub state_bytes: usize,
    /// Seconds of one sequence forward, about, on one thread of the machine of the committed results.
    pub forward_seconds: f64,
    /// Seconds of one more token after it, about.
    pub decode_seconds: f64,
    /// Seconds of an optimizer step on one sequence, about.
    pub training_seconds: f64,
}

/// The cost of a model over a sequence of `length` steps.
///
/// # Errors
/// An architecture that the registry lacks, or settings that it refuses.
pub fn forecast(spec: &ModelSpec, length: usize, registry: &Registry) -> Result<Forecast> {
    let cores = configured_cores(spec, registry)?;
    let work = Work { spec, cores: &cores };
    let (token, steps) = (work.token(length as f64), length as f64);
    let forward_seconds = token.seconds() * steps;
    // The next token alone costs what the sequence grows by.
    let longer = work.token(steps + 1.0).seconds() * (steps + 1.0);
    Ok(Forecast {
        multiply_adds: token.multiply_adds * steps,
        elements: token.elements * steps,
        state_bytes: cores.iter().map(|core| core.state_bytes(spec.width, length)).sum(),
        forward_seconds,
        decode_seconds: longer - forward_seconds,
        training_seconds: 3.0 * forward_seconds + cores.len() as f64 * LAYER_STEP,
    })
}
