//! What a task is: where sequences come from, what counts as an answer, and what a predictor without memory
//! reaches on it.

use crate::batch::{Batch, Inputs, Targets};
use crate::config::{self, ConfigError, Value};
use crate::error::{Error, Result};
use crate::seed::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a task says of itself. The documentation page and `list` are made of it.
#[derive(Clone, Copy, Debug)]
pub struct TaskInfo {
    /// Registry name, as configurations and rows spell it.
    pub name: &'static str,
    /// Name for a heading.
    pub title: &'static str,
    /// One sentence: what is asked.
    pub summary: &'static str,
    /// What success at it shows.
    pub separates: &'static str,
    /// Source paper.
    pub citation: &'static str,
    /// Where this implementation departs from its source, and why.
    pub deviations: &'static [&'static str],
    /// Configuration key of the nominal length a sweep varies (`lag`, `length`), where the task has one.
    pub length_key: Option<&'static str>,
    /// The text of its source file, `include_str!` of itself: the heading (definition, example, lag, chance) and the words
    /// on each key become the task's page. Empty where there is none; the page then says less.
    pub documentation: &'static str,
}

/// Kind of one step's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// A symbol of a vocabulary of this size.
    Tokens(usize),
    /// This many real features.
    Features(usize),
}

/// Kind of one step's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputKind {
    /// One of this many classes, trained by cross-entropy.
    Classes(usize),
    /// This many real values, trained by mean squared error; an answer within `tolerance` of the target in
    /// every value counts as right. A tolerance of 0 says that no answer is right or wrong: the squared error is the
    /// score, and there is no accuracy.
    Regression {
        /// Values a step.
        dim: usize,
        /// Largest absolute error of a right answer; 0 where answers are not right or wrong.
        tolerance: f64,
    },
}

impl OutputKind {
    /// Width of the readout.
    pub fn width(self) -> usize {
        match self {
            OutputKind::Classes(classes) => classes,
            OutputKind::Regression { dim, .. } => dim,
        }
    }

    /// Whether an answer is right or wrong, so that there is an accuracy.
    pub fn has_accuracy(self) -> bool {
        match self {
            OutputKind::Classes(_) => true,
            OutputKind::Regression { tolerance, .. } => tolerance > 0.0,
        }
    }
}

/// What goes in and what comes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature {
    /// Input of a step.
    pub input: InputKind,
    /// Answer of a step.
    pub output: OutputKind,
}

/// What a predictor reaches that has no memory, or is no model at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// `chance`, `majority`, `unigram`, `mean`, ….
    pub name: &'static str,
    /// `accuracy`, `bits_per_byte`, `loss_nats`, `mse`.
    pub metric: &'static str,
    /// The value it reaches.
    pub value: f64,
}

/// Part of a finite data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Seen in training.
    Train,
    /// Seen by selection.
    Validation,
    /// Reported.
    Test,
}

/// A task whose samples are drawn fresh at every step.
pub trait Generated: Send + Sync {
    /// What goes in and what comes out.
    fn signature(&self) -> Signature;
    /// The nominal length (a delay, an input length; the task's own notion) of the configuration, at which the
    /// primary score is taken.
    fn nominal_length(&self) -> usize;
    /// The nominal length of one training batch. The default is the nominal length always.
    fn training_length(&self, rng: &mut Stream) -> usize {
        let _ = rng;
        self.nominal_length()
    }
    /// Nominal lengths to evaluate at, the primary one among them. The default is the nominal length alone.
    fn evaluation_lengths(&self) -> Vec<usize> {
        vec![self.nominal_length()]
    }
    /// Input steps a sequence of this nominal length has, at most.
    fn steps(&self, length: usize) -> usize;
    /// A batch of fresh samples of this nominal length; a pure function of the stream.
    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch;
    /// Whether `new` may stand where `old` stood without making the sequence one of another kind: the evidence of an
    /// answer is stated for such exchanges. A task in which every symbol may stand anywhere leaves the default.
    fn exchangeable(&self, old: u32, new: u32) -> bool {
        let _ = (old, new);
        true
    }
    /// Whether a symbol may come again at any step without making the sequence one of another kind, as bits may and keys
    /// that must be distinct may not. What is no evidence is then tried with such symbols too.
    fn symbols_repeat(&self) -> bool {
        false
    }
    /// The answers, found from inputs alone; right at every scored position of a batch `sample` made.
    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets;
    /// Chance and trivial predictors at this nominal length, `chance` with metric `accuracy` first.
    fn references(&self, length: usize) -> Vec<Reference>;
}

/// A task over a fixed set of examples.
pub trait Finite: Send + Sync {
    /// What goes in and what comes out.
    fn signature(&self) -> Signature;
    /// Examples in a split.
    fn len(&self, split: Split) -> usize;
    /// Whether a split is empty.
    fn is_empty(&self, split: Split) -> bool {
        self.len(split) == 0
    }
    /// Input steps of the longest example.
    fn steps(&self) -> usize;
    /// The examples of these indices, each below `len(split)`.
    fn batch(&self, split: Split, indices: &[usize]) -> Batch;
    /// The primary metric: `accuracy`; `bits_per_byte` for classes that are bytes; `mse` for real values without a
    /// tolerance. Selection and the first column of a table go by it.
    fn metric(&self) -> &'static str {
        "accuracy"
    }
    /// Chance and trivial predictors on the test split, the primary metric's trivial value first: `chance` with metric
    /// `accuracy`, `mean` with `mse`, `unigram` or its like with `bits_per_byte`.
    fn references(&self) -> Vec<Reference>;
}

/// A configured task.
pub enum Instance {
    /// Of generated samples.
    Generated(Box<dyn Generated>),
    /// Of a fixed set.
    Finite(Box<dyn Finite>),
}

impl Instance {
    /// What goes in and what comes out.
    pub fn signature(&self) -> Signature {
        match self {
            Instance::Generated(task) => task.signature(),
            Instance::Finite(task) => task.signature(),
        }
    }

    /// Nominal length of the primary score: a generated task's own, a finite one's longest example.
    pub fn nominal_length(&self) -> usize {
        match self {
            Instance::Generated(task) => task.nominal_length(),
            Instance::Finite(task) => task.steps(),
        }
    }

    /// Input steps of a sequence at the nominal length.
    pub fn steps(&self) -> usize {
        match self {
            Instance::Generated(task) => task.steps(task.nominal_length()),
            Instance::Finite(task) => task.steps(),
        }
    }

    /// The primary metric: `accuracy`, `bits_per_byte` or `mse`.
    pub fn metric(&self) -> &'static str {
        match self {
            Instance::Generated(_) => "accuracy",
            Instance::Finite(task) => task.metric(),
        }
    }

    /// Chance and trivial predictors at the nominal length, the primary metric's first.
    pub fn references(&self) -> Vec<Reference> {
        match self {
            Instance::Generated(task) => task.references(task.nominal_length()),
            Instance::Finite(task) => task.references(),
        }
    }
}

/// A task, as its file defines it and the registry holds it.
pub trait Task: Send + Sync + 'static {
    /// Its settings; declare `#[serde(default, deny_unknown_fields)]`.
    type Config: Serialize + DeserializeOwned + Default + Send + Sync;
    /// What it says of itself.
    fn info(&self) -> &'static TaskInfo;
    /// The task of these settings.
    ///
    /// # Errors
    /// The settings make no task ([`Error::Invalid`] naming the key and the remedy), or its data is missing or
    /// damaged.
    fn build(&self, config: &Self::Config) -> Result<Instance>;
}

/// A [`Task`] with its type of configuration erased.
pub trait AnyTask: Send + Sync {
    /// See [`Task::info`].
    fn info(&self) -> &'static TaskInfo;
    /// Every key with its default value.
    fn defaults(&self) -> serde_json::Value;
    /// Reads a configuration; returns the task and the configuration with its defaults filled in.
    ///
    /// # Errors
    /// See [`config::read`] and [`Task::build`]; the latter's errors get the table's place.
    fn configure(&self, value: &Value) -> Result<(Instance, serde_json::Value)>;
}

impl<T: Task> AnyTask for T {
    fn info(&self) -> &'static TaskInfo {
        Task::info(self)
    }

    fn defaults(&self) -> serde_json::Value {
        to_json(&T::Config::default())
    }

    fn configure(&self, value: &Value) -> Result<(Instance, serde_json::Value)> {
        let typed: T::Config = config::read(value)?;
        let instance = self.build(&typed).map_err(|error| placed(error, value))?;
        Ok((instance, to_json(&typed)))
    }
}

/// Gives an [`Error::Invalid`] the place of the key its message names in backticks, or of the whole table.
pub(crate) fn placed(error: Error, value: &Value) -> Error {
    let Error::Invalid(message) = error else { return error };
    let named = message.split('`').nth(1).and_then(|key| value.get(key));
    let span = named.map_or_else(|| value.span.clone(), |found| found.span.clone());
    ConfigError::new(message, span).into()
}

/// A configuration as JSON. Types that do not serialise to JSON give `null`; the registry's tests refuse them.
pub(crate) fn to_json<C: Serialize>(config: &C) -> serde_json::Value {
    serde_json::to_value(config).unwrap_or(serde_json::Value::Null)
}
