//! `dataset`: sequences of one's own, from a file of arrays.
//!
//! # Source
//! Whoever made the file. The example without one: the digits of Alpaydin & Kaynak 1998, UCI Machine Learning
//! Repository, CC BY 4.0.
//!
//! # Definition
//! `path` names one `.npz` file (`numpy.savez`) or `.safetensors` file with these arrays, n sequences in each:
//!
//! | array | shape | meaning |
//! |---|---|---|
//! | `inputs` | `[n, time]` whole numbers | symbols from 0; the vocabulary is the largest + 1 |
//! | | `[n, time]` or `[n, time, dim]` reals | features; one a step without `dim` |
//! | `targets` | `[n]` or `[n, time]` whole numbers | classes from 0, as many as the largest + 1; one a sequence or one a step |
//! | | `[n]` or `[n, dim]` reals | values to predict, one answer a sequence |
//! | | `[n, time]` or `[n, time, dim]` reals | values to predict, one answer a step |
//! | `lengths` | `[n]` whole numbers | steps of each sequence, if not all of `time`; what is behind is padding and not looked at |
//! | `mask` | `[n, time]` of 0 and 1 | which steps are scored and in the loss, if not all; with one answer a step alone |
//! | `split` | `[n]` of 0, 1, 2 | training, validation, test |
//!
//! One answer a sequence is read at its last step. Real targets of `[n, k]` with k = `time` could be either, so that
//! `per_step` must say which; elsewhere it may be left out. Without `split` one fixed shuffle makes a fifth test and a
//! tenth validation. Whole numbers are of 1 to 8 bytes or truth values, reals of 2, 4 or 8 bytes; features and values
//! are rounded to single precision. Nothing is scaled: standardise before saving.
//!
//! Classes are scored by accuracy. Real values are scored by mean squared error; with a `tolerance` above 0 an answer
//! is right if it is nearer than that in every value, and accuracy is the primary metric.
//!
//! Without `path` the task is an example: the 1,797 embedded digits of 8 × 8, read row by row (8 steps of 8 features in
//! 0..1), with the digit as class. It is `images` with a row a step, and another split.
//!
//! # Shapes
//! Symbols `[batch, time]` or features `[batch, time, dim]`; targets `[batch, time]` of classes or `[batch, time, dim]`
//! of values, meaningful where they are scored.
//!
//! # Example
//! `numpy.savez("mine.npz", inputs=[[3, 1], [0, 2], …], targets=[1, 0, …])`: `3 1` → `· 1`, `0 2` → `· 0`.
//!
//! # Lag
//! The step of the answer itself: all the sequence so far is evidence, since nothing is known of what matters.
//!
//! # Chance
//! Classes: `chance` 1/classes and ln classes nats; `majority` always answers the most frequent class of training.
//! Values: `mean`, the mean squared error of always answering training's mean answer; with a `tolerance`, `chance`, the
//! accuracy of that.
//!
//! # Oracle
//! None: the answers are the file's.
//!
//! # Deviations
//! None.
//!
//! # Errors
//! A file that is missing, a directory, empty, damaged, of another kind, beyond 1 GiB or 2²⁷ values; an array that is
//! missing, unknown, of a wrong kind or shape, in Fortran's order or in the other byte order; numbers that are negative,
//! not finite or too large; a sequence without a scored step; an empty split; fewer than ten sequences without `split`;
//! one class only; `per_step` where it does not fit; a `tolerance` below 0, or for classes.

use crate::arrays::{self, Array, Values};
use crate::digits;
use crate::files;
use crate::records::{NAMES, Records, records};
use seqbench_core::config::nearest;
use seqbench_core::{
    Batch, Error, Evidence, Finite, InputData, Inputs, Instance, OutputKind, Reference, Result, Scored,
    Signature, Split, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes a file may hold at most: 1 GiB.
const MAX_FILE: u64 = 1 << 30;

/// The registry entry.
pub struct Dataset;

/// Settings of `dataset`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File of the arrays; a relative path starts at the working directory. Without it the embedded digits.
    pub path: Option<String>,
    /// Whether real targets hold one answer a step; needed where their shape does not say it.
    pub per_step: Option<bool>,
    /// Largest absolute error of a right answer; 0 scores real values by squared error alone.
    pub tolerance: f64,
}

impl Task for Dataset {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "dataset",
            title: "Sequences of one's own",
            summary: "Classify or predict sequences from a file of arrays; without one, digits row by row.",
            separates: "What the file is about; the example asks to collect evidence over eight steps.",
            citation: "The file's own; example: Alpaydin & Kaynak 1998, UCI Machine Learning Repository",
            documentation: include_str!("dataset.rs"),
            deviations: &[],
            length_key: None,
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let tolerance = config.tolerance;
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            return Err(Error::invalid(format!("`tolerance` = {tolerance} is no distance; use 0 or more")));
        }
        let (path, arrays) = match &config.path {
            Some(path) => (&path[..], read(path)?),
            None => ("the embedded digits", rows_of_digits()?),
        };
        let records = records(path, arrays, config.per_step)?;
        let output = match records.targets {
            Targets::Values { dim, .. } => OutputKind::Regression { dim, tolerance },
            Targets::Classes(_) if tolerance > 0.0 => {
                return Err(Error::invalid(format!(
                    "`tolerance` = {tolerance} is for real targets, and those of {path} are classes; leave it out"
                )));
            }
            Targets::Classes(_) => OutputKind::Classes(records.width),
        };
        Ok(Instance::Finite(Box::new(Loaded { records, output })))
    }
}

fn read(path: &str) -> Result<BTreeMap<String, Array>> {
    let bytes = files::read("path", path, MAX_FILE)?;
    let known = |name: &str| {
        if NAMES.contains(&name) {
            return Ok(());
        }
        Err(match nearest(name, NAMES) {
            Some(meant) => format!("means nothing here; did you mean `{meant}`?"),
            None => format!("means nothing here; leave it out, or name it one of {}", NAMES.join(", ")),
        })
    };
    arrays::parse(&bytes, known).map_err(|fault| {
        let array = fault.array.map_or(String::new(), |name| format!("array `{name}` "));
        Error::invalid(format!("`path`: {path}: {array}{}", fault.why))
    })
}

/// The embedded digits as a file would give them: `[1797, 8, 8]` in 0..1, and `[1797]` classes.
fn rows_of_digits() -> Result<BTreeMap<String, Array>> {
    let digits = digits::load()?;
    let white = f32::from(digits.white);
    let inputs = Array {
        shape: vec![digits.labels.len(), digits.height, digits.width],
        values: Values::Reals(digits.pixels.iter().map(|pixel| f32::from(*pixel) / white).collect()),
    };
    let targets = Array {
        shape: vec![digits.labels.len()],
        values: Values::Integers(digits.labels.iter().map(|label| i64::from(*label)).collect()),
    };
    Ok(BTreeMap::from([("inputs".to_owned(), inputs), ("targets".to_owned(), targets)]))
}

/// The sequences of a configuration.
struct Loaded {
    records: Records,
    output: OutputKind,
}

impl Loaded {
    fn examples(&self, split: Split) -> &[usize] {
        &self.records.parts[match split {
            Split::Train => 0,
            Split::Validation => 1,
            Split::Test => 2,
        }]
    }

    /// The scored steps of a sequence.
    fn scored(&self, example: usize) -> impl Iterator<Item = usize> {
        let Records { time, per_step, mask, lengths, .. } = &self.records;
        let length = lengths[example];
        let first = if *per_step { 0 } else { length - 1 };
        (first..length).filter(move |step| mask.as_ref().is_none_or(|mask| mask[example * time + step]))
    }

    /// Where the target of a step stands, counted in answers.
    fn target(&self, example: usize, step: usize) -> usize {
        if self.records.per_step { example * self.records.time + step } else { example }
    }

    /// Where the targets of every scored step of a split stand.
    fn answers(&self, split: Split) -> impl Iterator<Item = usize> {
        let examples = self.examples(split).iter();
        examples.flat_map(|example| self.scored(*example).map(|step| self.target(*example, step)))
    }

    fn of_classes(&self, classes: &[u32], count: usize) -> Vec<Reference> {
        let histogram = |split| {
            let mut counts = vec![0usize; count];
            self.answers(split).for_each(|at| counts[classes[at] as usize] += 1);
            counts
        };
        let (trained, tested) = (histogram(Split::Train), histogram(Split::Test));
        // The smallest of equally frequent classes.
        let majority = (0..count).rev().max_by_key(|class| trained[*class]).unwrap_or(0);
        let share = tested[majority] as f64 / tested.iter().sum::<usize>().max(1) as f64;
        vec![
            Reference { name: "chance", metric: "accuracy", value: 1.0 / count as f64 },
            Reference { name: "majority", metric: "accuracy", value: share },
            Reference { name: "chance", metric: "loss_nats", value: libm::log(count as f64) },
        ]
    }

    fn of_values(&self, values: &[f32], dim: usize, tolerance: f64) -> Vec<Reference> {
        let answer = |at: usize| values[at * dim..(at + 1) * dim].iter().map(|value| f64::from(*value));
        let (mut mean, mut n) = (vec![0.0; dim], 0.0);
        for at in self.answers(Split::Train) {
            n += 1.0;
            mean.iter_mut().zip(answer(at)).for_each(|(mean, value)| *mean += (value - *mean) / n);
        }
        let (mut squares, mut right, mut tested) = (0.0, 0.0, 0.0);
        for at in self.answers(Split::Test) {
            let errors = answer(at).zip(&mean).map(|(value, mean)| value - mean);
            tested += 1.0;
            squares += errors.clone().map(|error| error * error).sum::<f64>() / dim as f64;
            right += if errors.clone().all(|error| error.abs() < tolerance) { 1.0 } else { 0.0 };
        }
        let mean = Reference { name: "mean", metric: "mse", value: squares / tested };
        match tolerance > 0.0 {
            true => vec![Reference { name: "chance", metric: "accuracy", value: right / tested }, mean],
            false => vec![mean],
        }
    }
}

impl Finite for Loaded {
    fn signature(&self) -> Signature {
        Signature { input: self.records.input, output: self.output }
    }

    fn len(&self, split: Split) -> usize {
        self.examples(split).len()
    }

    fn steps(&self) -> usize {
        self.records.lengths.iter().copied().max().unwrap_or(0)
    }

    fn batch(&self, split: Split, indices: &[usize]) -> Batch {
        let examples: Vec<usize> = indices.iter().map(|index| self.examples(split)[*index]).collect();
        let lengths: Vec<usize> = examples.iter().map(|example| self.records.lengths[*example]).collect();
        let (batch, time) = (examples.len(), lengths.iter().copied().max().unwrap_or(0));
        let whole = self.records.time;
        let mut loss_mask = vec![false; batch * time];
        let mut scored = Vec::new();
        let mut answers = Vec::new();
        for (row, example) in examples.iter().enumerate() {
            for step in self.scored(*example) {
                loss_mask[row * time + step] = true;
                answers.push((row * time + step, self.target(*example, step)));
                scored.push(Scored {
                    row: row as u32,
                    step: step as u32,
                    lag: step as u32,
                    evidence: Evidence::Span(0..step as u32 + 1),
                });
            }
        }
        let data = match &self.records.inputs {
            InputData::Tokens(tokens) => InputData::Tokens(rows(tokens, &examples, whole, time)),
            InputData::Features { dim, values } => {
                InputData::Features { dim: *dim, values: rows(values, &examples, whole * dim, time * dim) }
            }
        };
        let targets = match &self.records.targets {
            Targets::Classes(own) => {
                let mut classes = vec![0; batch * time];
                answers.iter().for_each(|(at, from)| classes[*at] = own[*from]);
                Targets::Classes(classes)
            }
            Targets::Values { dim, values: own } => {
                let mut values = vec![0.0; batch * time * dim];
                for (at, from) in answers {
                    values[at * dim..(at + 1) * dim].copy_from_slice(&own[from * dim..(from + 1) * dim]);
                }
                Targets::Values { dim: *dim, values }
            }
        };
        Batch { inputs: Inputs { batch, time, data }, targets, loss_mask, scored, lengths }
    }

    fn metric(&self) -> &'static str {
        if self.output.has_accuracy() { "accuracy" } else { "mse" }
    }

    fn references(&self) -> Vec<Reference> {
        match (&self.records.targets, self.output) {
            (Targets::Values { dim, values }, OutputKind::Regression { tolerance, .. }) => {
                self.of_values(values, *dim, tolerance)
            }
            (Targets::Classes(classes), _) => self.of_classes(classes, self.records.width),
            (Targets::Values { .. }, OutputKind::Classes(_)) => Vec::new(),
        }
    }
}

/// The first `width` of the `stride` values of each of these rows.
fn rows<T: Copy>(values: &[T], examples: &[usize], stride: usize, width: usize) -> Vec<T> {
    examples.iter().flat_map(|example| &values[example * stride..example * stride + width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;

    #[test]
    fn the_first_examples_never_change() {
        let Instance::Finite(task) = Dataset.build(&Config::default()).unwrap() else { panic!("finite") };
        assert_eq!(
            golden::first_examples(&*task),
            [
                "dd7891b05f6182d7dc7c0e5b530e29549fbf611a320fd15d46662d15ff5d75a9",
                "36787455d08f254aaff9c23fd4eacb21b34774042636ace9e850eee689ff95bc"
            ]
        );
    }
}
