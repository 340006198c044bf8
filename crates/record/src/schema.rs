//! The schema: what one cell writes. One folder a cell, `cell.json` and one tidy CSV a kind of fact.
//!
//! Deterministic facts (`score`, `curve`, `profile`, `spectrum`, `trace`, and every field of [`Cell`] but `provenance`) never share
//! a file with timed ones (`timing`, `memory`): the same configuration, binary and instruction set gives the
//! same bytes in the first, and never the same bytes in the second.
//!
//! What is plotted rather than tested (`curve`, `profile`, `spectrum`, `trace`) is written with seven significant digits.

use crate::rows::rounded;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of this schema. Files of an older one are read where every file in the cell still has its layout:
///
/// 1. `profile.csv` had a row for each summary.
/// 2. `profile.csv` has a row for each distance.
pub const SCHEMA_VERSION: u32 = 2;

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It ran to its end.
    Done,
    /// Its loss or gradient stopped being finite. An outcome, not a fault: it counts as unsolved.
    Diverged,
    /// It panicked, ran out of memory, or its worker died. Repeated on request.
    Failed,
    /// It was predicted above a stated cost and not started.
    Skipped,
}

/// What a cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// One trial of a group's selection: a tuning seed, scored on the validation stream only.
    Trial,
    /// A reported run: a reporting seed, scored on the test stream.
    Final,
    /// A throughput measurement, alone on the machine.
    Timing,
}

/// One coordinate of a sweep: a dotted configuration key and the value it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinate {
    /// The key as the experiment spells it, such as `lag` or `task.pairs`.
    pub key: String,
    /// Its value.
    pub value: serde_json::Value,
}

impl Coordinate {
    /// The value as a number, where it is one: what a plot's axis needs.
    pub fn number(&self) -> Option<f64> {
        self.value.as_f64()
    }
}

/// What a predictor without memory, or without a model, reaches on the task of this cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// `chance`, `majority`, `persistence`, …
    pub name: String,
    /// The metric it is a value of, such as `accuracy` or `mse`.
    pub metric: String,
    /// The value.
    pub value: f64,
}

/// How the cell stands in a table and a legend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// Registry name of the architecture, such as `lstm`; `+`-joined for a hybrid. Decides the colour.
    pub architecture: String,
    /// What the legend calls it: the architecture and, where several settings of it stand side by side, what
    /// tells them apart (`lstm forget_bias=0`).
    pub model: String,
    /// Registry name of the task; empty for throughput cells that have none.
    pub task: String,
    /// The sweep coordinates, in the order of the experiment file, without the ones already in `model`.
    pub coordinates: Vec<Coordinate>,
    /// The seed (its number within its range, from 0).
    pub seed: u64,
}

/// `cell.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// [`SCHEMA_VERSION`] it was written with.
    pub schema: u32,
    /// Version of the numerics: bumped when the same configuration computes other values.
    pub numerics: u32,
    /// Identity: hash of the resolved configuration and numerics.
    pub id: String,
    /// Identity of the group (architecture, setting, task, length) it belongs to.
    pub group: String,
    /// Name of the experiment, the stem of its file.
    pub experiment: String,
    /// What it is for.
    pub purpose: Purpose,
    /// How it ended.
    pub status: Status,
    /// Why, where it is not done: `loss became NaN at step 120`, `predicted 340 s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For tables and legends.
    pub labels: Labels,
    /// The resolved configuration, defaults filled in.
    pub config: serde_json::Value,
    /// Deterministic facts about the cell: `parameters`, `state_bytes`, `steps`, `steps_to_solve`,
    /// `clipped_share`, `learning_rate`, ….
    pub facts: BTreeMap<String, f64>,
    /// Chance and trivial predictors.
    pub references: Vec<Reference>,
    /// Where and how it ran. Not deterministic; holds no host name, user or path.
    pub provenance: Provenance,
}

/// What made a cell, and what it cost. Never a host name, a user or an absolute path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Code revision, with `-dirty` where the tree had changes; `unknown` outside a checkout.
    pub revision: String,
    /// Compiler and profile, such as `rustc 1.95.0 release`.
    pub compiler: String,
    /// Instruction set of the kernels: `portable`, `avx2` or `avx512`.
    pub isa: String,
    /// Threads of the process.
    pub threads: u32,
    /// Processor model, as the system names it.
    pub processor: String,
    /// Operating system and architecture, such as `linux x86_64`.
    pub system: String,
    /// Wall-clock of the cell, in seconds.
    pub wall_seconds: f64,
    /// Claims that this experiment decides, as they were stated when the cell ran: name and hash.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
}

/// One row of `score.csv`: a metric over all scored positions of a split, or over those of one lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// `validation` or `test`.
    pub split: String,
    /// Nominal length evaluated (the task's own notion: the delay, the input length).
    pub length: u64,
    /// Distance in steps from the evidence to the scored position; empty for "all lags together". A band of
    /// distances is named by its upper end.
    pub lag: Option<u64>,
    /// `accuracy`, `exact_match`, `loss_nats`, `mse`, `bits_per_byte`, ….
    pub metric: String,
    /// The value.
    pub value: f64,
    /// How many scored positions (for `exact_match`: sequences) it is a mean of.
    pub n: u64,
}

/// One row of `curve.csv`: a metric at a training step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveRow {
    /// Optimizer steps taken before the measurement.
    pub step: u64,
    /// `train_loss`, `validation_accuracy`, `gradient_norm_before`, `gradient_norm_after`, `learning_rate`, …; of a
    /// layer as `saturation:layers.0:h`.
    pub metric: String,
    /// The value.
    #[serde(serialize_with = "rounded")]
    pub value: f64,
}

/// One row of `profile.csv`: norms of per-sample loss gradients at a distance from the scored step, over the samples that
/// reach it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileRow {
    /// `init`, `end`, `step-<n>`, or `checkpoint` for weights from a file.
    pub stage: String,
    /// Layer whose input or state it is, from 0.
    pub layer: u32,
    /// `input`; `state` for the joint carried state of the layer; `state:c` for one entry of it; `theory:c:forget gates`
    /// for what a theory predicts of that entry (of the input: `theory:input:attention`), from its nearest distance on.
    pub wrt: String,
    /// Distance in steps from the scored step.
    pub distance: u64,
    /// log10 of the geometric mean of the Euclidean norms; `-inf` for an exact zero.
    #[serde(serialize_with = "rounded")]
    pub log10_norm: f64,
    /// log10 of that mean over the one at the nearest distance of the same curve.
    #[serde(serialize_with = "rounded")]
    pub log10_relative: f64,
    /// log10 of the first decile of the norms.
    #[serde(serialize_with = "rounded")]
    pub log10_q10: f64,
    /// log10 of their median.
    #[serde(serialize_with = "rounded")]
    pub log10_median: f64,
    /// log10 of their last decile.
    #[serde(serialize_with = "rounded")]
    pub log10_q90: f64,
    /// Whether the value stands clear of rounding.
    pub trusted: bool,
}

/// One row of `spectrum.csv`: an eigenvalue, a singular value or an exponent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectrumRow {
    /// `init`, `end`, or `step-<n>`.
    pub stage: String,
    /// Layer, from 0.
    pub layer: u32,
    /// `eigenvalue:<matrix>` of a recurrent matrix and `pole` of a diagonal recurrence, both complex; `singular`, log10
    /// of a singular value of ∂s_T/∂s_{T−k} that stands clear of rounding; `lyapunov`, in nats a step.
    pub quantity: String,
    /// Distance k in steps of a `singular` value; the steps a `lyapunov` exponent is a mean over; 0 otherwise.
    pub distance: u64,
    /// Which, from the largest.
    pub index: u32,
    /// The value, or its real part.
    #[serde(serialize_with = "rounded")]
    pub re: f64,
    /// Imaginary part.
    #[serde(serialize_with = "rounded")]
    pub im: f64,
}

/// One row of `trace.csv`: a signal inside a layer, over the first probed sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// `init`, `end`, or `step-<n>`.
    pub stage: String,
    /// Layer, from 0.
    pub layer: u32,
    /// `tokens` or `features`, what the model reads; a signal by name; `attention:<head>`.
    pub signal: String,
    /// Step of the sequence, from 0; the query's of an attention weight.
    pub step: u64,
    /// Unit, from 0; the key's step of an attention weight.
    pub unit: u32,
    /// The value.
    #[serde(serialize_with = "rounded")]
    pub value: f64,
}

/// One row of `timing.csv`: one round of one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimingRow {
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequence length; the context for `decode`.
    pub length: u64,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Round, from 0. Rounds of all modes are interleaved.
    pub round: u32,
    /// Wall-clock of one pass, in nanoseconds: a training step, a forward pass, one decoded token.
    pub ns: u64,
    /// Checksum of the pass's outputs (of its losses in training).
    pub checksum: String,
    /// Empty, or why the round is no time at all: its checksum differs from the untimed run's.
    pub err: String,
    /// The visit the round was taken in, from 0: rounds of one visit follow each other closely, visits lie apart. Older files
    /// do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<u32>,
    /// What a fixed chain of multiplications took just before, in nanoseconds: as a clock of the processor's own, it tells
    /// frequency from work. Older files do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace_ns: Option<u64>,
}

/// One row of `memory.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequence length; the context for `decode`.
    pub length: u64,
    /// Sequences at once.
    pub batch: u64,
    /// Highest resident memory of the process during the mode, in bytes.
    pub peak_bytes: u64,
    /// Resident memory just before it, in bytes.
    pub baseline_bytes: u64,
}

/// One row of `condition.csv`: what holds of the machine while a cell ran, or how long something took. No two runs give
/// the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionRow {
    /// Of timing cells: `peak_gflops` and `bandwidth_gb` (GB/s) of as many threads, measured before; `foreign_cores`, how
    /// many cores others kept busy meanwhile; `slowdown`, the median time of one fixed piece of arithmetic before each
    /// round over its least; `spread`, the interquartile range of the rounds over their median; `attempts`, how often the
    /// rounds were taken; `noisy`, 1 where even the best attempt was. Of accuracy cells: `training_seconds`,
    /// `seconds_to_solve`, both of optimizer steps alone.
    pub name: String,
    /// The value.
    pub value: f64,
}

/// Everything a cell writes.
#[derive(Clone, Debug, PartialEq)]
pub struct CellFiles {
    /// `cell.json`.
    pub cell: Cell,
    /// `score.csv`; no file where empty, as for the others.
    pub scores: Vec<ScoreRow>,
    /// `curve.csv`.
    pub curves: Vec<CurveRow>,
    /// `profile.csv`.
    pub profiles: Vec<ProfileRow>,
    /// `spectrum.csv`.
    pub spectra: Vec<SpectrumRow>,
    /// `trace.csv`.
    pub traces: Vec<TraceRow>,
    /// `timing.csv`.
    pub timings: Vec<TimingRow>,
    /// `memory.csv`.
    pub memory: Vec<MemoryRow>,
    /// `condition.csv`.
    pub conditions: Vec<ConditionRow>,
}
