//! What one cell is to do, fully resolved: every default filled in, every sweep value in its place, every name
//! checked. It serialises to the JSON that is hashed into the cell's identity, stored in `cell.json`, and handed to
//! the child process that runs it.

use seqbench_core::SeedRange;
use serde::{Deserialize, Serialize};

/// A cell, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellSpec {
    /// The model.
    pub model: ModelSpec,
    /// The task.
    pub task: KindSpec,
    /// How it is trained. Throughput cells take batch and optimizer from it.
    pub train: TrainSpec,
    /// What is measured.
    pub measure: MeasureSpec,
    /// Which range the seed belongs to: tuning for trials, reporting for final cells.
    pub seed_range: SeedRangeSpec,
    /// The seed within its range, from 0.
    pub seed: u32,
}

impl CellSpec {
    /// The seed of every stream of the cell.
    pub fn absolute_seed(&self) -> u64 {
        let range = match self.seed_range {
            SeedRangeSpec::Reporting => SeedRange::Reporting,
            SeedRangeSpec::Tuning => SeedRange::Tuning,
            SeedRangeSpec::Pilot => SeedRange::Pilot,
        };
        range.seed(self.seed)
    }
}

/// See [`SeedRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeedRangeSpec {
    /// Reported runs.
    Reporting,
    /// Trials of a selection.
    Tuning,
    /// Exploration: `seed_range = "pilot"` in the experiment.
    Pilot,
}

/// A registry entry and its settings (an architecture's or a task's).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSpec {
    /// Registry name.
    pub kind: String,
    /// Its settings, resolved: a JSON object the entry itself wrote.
    pub config: serde_json::Value,
}

/// The apparatus around the cores: encoder, layers, readout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Width of every layer.
    pub width: usize,
    /// How cores are joined.
    pub block: Block,
    /// Hidden width of the MLP of a residual block as a multiple of `width`; 0 for no MLP. Plain blocks have none.
    pub mlp: f64,
    /// Norm of residual blocks and before their readout.
    pub norm: Norm,
    /// Standard deviation of the initial embedding of symbols.
    pub embedding_deviation: f64,
    /// The cores, from the input upwards; several kinds make a hybrid.
    pub layers: Vec<KindSpec>,
}

/// How cores are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// Bare cores stacked: the textbook's network.
    Plain,
    /// Pre-norm core with residual, then pre-norm MLP with residual (Xiong et al. 2020), and a final norm.
    Residual,
}

/// Norm of residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Ba et al. 2016.
    Layer,
    /// Zhang and Sennrich 2019.
    Rms,
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences a step.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: OptimizerSpec,
    /// Peak learning rate.
    pub lr: Rate,
    /// Shape of the rate over the steps after the warm-up.
    pub schedule: Schedule,
    /// Steps of linear warm-up from 0.
    pub warmup: u64,
    /// The rate at the last step as a share of the peak (cosine only).
    pub final_share: f64,
    /// Gradient clipping.
    pub clip: ClipSpec,
    /// Truncated back-propagation through time: gradients reach at most this many steps back, in chunks.
    pub tbptt: Option<usize>,
    /// Stop once the validation accuracy of a curve point reaches this. `None` spends the whole budget.
    pub stop_at: Option<f64>,
    /// Sequences that grow as training goes on. `None`: of the task's own training lengths from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<CurriculumSpec>,
    /// Whether answers belong to their questions.
    #[serde(default, skip_serializing_if = "Answers::are_true")]
    pub answers: Answers,
}

/// A curriculum over length: the longest nominal length of a training batch grows linearly from `from` to the task's own,
/// which it reaches after the share `until` of the steps. Lengths that a task draws are scaled with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurriculumSpec {
    /// Longest nominal length at the first step.
    pub from: usize,
    /// Share of the steps after which nothing grows any more.
    pub until: f64,
}

/// Which answers a model is trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answers {
    /// The task's.
    #[default]
    True,
    /// The task's, dealt out anew among the questions of each training batch: a negative control. There is nothing to learn
    /// but how frequent each answer is, so that a score above chance on the test stream is a leak.
    Shuffled,
}

impl Answers {
    fn are_true(&self) -> bool {
        *self == Answers::True
    }
}

/// A learning rate, or the rule that finds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// This rate.
    Fixed(f64),
    /// The candidate with the best mean validation score over `trials` tuning seeds.
    Select {
        /// Candidates.
        select: Vec<f64>,
        /// Tuning seeds a candidate.
        trials: u32,
    },
}

/// The optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerSpec {
    /// Loshchilov and Hutter 2019.
    Adamw {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        epsilon: f64,
        /// Decoupled weight decay.
        weight_decay: f64,
    },
    /// Stochastic gradient descent with momentum, as PyTorch writes it.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// L2 penalty added to the gradient.
        weight_decay: f64,
    },
}

/// Shape of the rate after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine down to `final_share`.
    Cosine,
    /// The peak throughout.
    Constant,
}

/// Gradient clipping, after `backward` and before the optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipSpec {
    /// None.
    None,
    /// The global norm is at most this (Pascanu et al. 2013).
    Norm(f64),
    /// Every component lies within ± this.
    Value(f64),
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureSpec {
    /// Train, and score.
    pub accuracy: Option<AccuracySpec>,
    /// Probe gradients.
    pub gradients: Option<GradientSpec>,
    /// Time passes. Only in timing cells, which measure nothing else.
    pub throughput: Option<ThroughputSpec>,
}

/// Scoring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracySpec {
    /// Test sequences of generated tasks, at each evaluated length; finite tasks use their whole test split.
    pub test_samples: usize,
    /// Validation sequences behind each point of a learning curve.
    pub validation_samples: usize,
    /// Points of a learning curve, spread evenly over the steps; the last is the end.
    pub curve_points: u64,
    /// Accuracy from which a run counts as having solved the task.
    pub solved: f64,
}

/// Gradient probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientSpec {
    /// Moments: `init`, numbers of steps, `end`.
    pub at: Vec<Stage>,
    /// Samples a profile summarises.
    pub samples: usize,
    /// Largest distance probed, in steps; `None` for the length of the task's sequences.
    pub max_distance: Option<usize>,
    /// Distances a factor of ten.
    pub per_decade: usize,
    /// What theory predicts, beside what is measured.
    #[serde(default, skip_serializing_if = "is_false")]
    pub theory: bool,
    /// Singular values of ∂s_T/∂s_{T−k}, and Lyapunov exponents.
    #[serde(default, skip_serializing_if = "is_false")]
    pub jacobians: bool,
    /// Saturation, gates, eigenvalues, and the gradient at the evidence.
    #[serde(default, skip_serializing_if = "is_false")]
    pub signals: bool,
    /// Every signal and attention weight over one sequence.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trace: bool,
}

/// When a probe runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the first step.
    Init,
    /// After so many steps.
    Step(u64),
    /// After the last.
    End,
}

impl Stage {
    /// The name in rows.
    pub fn name(self) -> String {
        match self {
            Stage::Init => "init".into(),
            Stage::Step(step) => format!("step-{step}"),
            Stage::End => "end".into(),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Timed passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThroughputSpec {
    /// What is timed.
    pub modes: Vec<Mode>,
    /// Sequence length; the context for `decode`.
    pub length: usize,
    /// Sequences at once.
    pub batch: usize,
    /// Rounds a mode.
    pub rounds: u32,
    /// Untimed passes before the first round.
    pub warmup: u32,
    /// Threads of the timed process; 0 for as many as there are cores.
    pub threads: u32,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Forward, loss, backward, optimizer step.
    Train,
    /// Forward over a whole prompt, without a graph.
    Forward,
    /// One token at a given context.
    Decode,
}

impl Mode {
    /// The name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Train => "train",
            Mode::Forward => "forward",
            Mode::Decode => "decode",
        }
    }
}
