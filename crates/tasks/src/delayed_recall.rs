//! `delayed-recall`: one symbol, a stretch of noise, a cue; name the symbol.
//!
//! # Source
//! The plainest form of the long time lag problems of Hochreiter & Schmidhuber 1997 (section 5.2): log2(classes)
//! bits of evidence, all at one distance.
//!
//! # Definition
//! Step 0 shows one of `classes` symbols, uniformly. T steps of noise follow, each uniform over `noise` symbols of
//! their own, then the cue. At the cue the answer is the symbol of step 0. With `delay = "uniform"` every training
//! batch draws its delay from 1..T, so that short delays teach what long ones need; `"fixed"` keeps T.
//!
//! # Shapes
//! Symbols `[batch, T + 2]` of `classes + noise + 1`: the classes first, then the noise, then the cue. Targets
//! `[batch, T + 2]` of `classes`, meaningful at the last step alone.
//!
//! # Example
//! `classes = 4`, `noise = 2`, `lag = 3`: `2 5 4 5 6` → `· · · · 2`.
//!
//! # Lag
//! T + 1, from the cue back to step 0. Evaluation with `delay = "uniform"` adds at most four shorter delays on a
//! logarithmic grid from 1.
//!
//! # Chance
//! Accuracy 1/classes and ln(classes) nats: noise and cue say nothing of the symbol.
//!
//! # Oracle
//! The symbol at step 0.
//!
//! # Deviations
//! The source's task has two classes and a target at every step; here is one scored step, so that accuracy means
//! memory and nothing else.
//!
//! # Errors
//! `lag` or `noise` of 0, fewer than two `classes`, or sizes beyond what fits a machine.

use crate::checks::{self, MAX_STEPS, MAX_SYMBOLS};
use crate::grid;
use crate::sequences::{Sequences, answer_rows};
use seqbench_core::{
    Batch, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct DelayedRecall;

/// Settings of `delayed-recall`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// T, the steps of noise between the symbol and the cue.
    pub lag: usize,
    /// Symbols to remember, and classes of the answer.
    pub classes: usize,
    /// Symbols of the noise.
    pub noise: usize,
    /// Which delays training sees.
    pub delay: Delay,
}

impl Default for Config {
    fn default() -> Self {
        Config { lag: 30, classes: 8, noise: 8, delay: Delay::Uniform }
    }
}

/// Delays of the training batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delay {
    /// One a batch, uniform on 1..T.
    Uniform,
    /// Always T.
    Fixed,
}

impl Task for DelayedRecall {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "delayed-recall",
            title: "Delayed recall",
            summary: "Name the symbol shown at the first step after T steps of noise.",
            separates: "Whether a few bits survive T steps of distraction, with nothing else to learn.",
            citation: "Hochreiter & Schmidhuber 1997, Long Short-Term Memory, Neural Computation 9(8)",
            deviations: &[
                "One scored step instead of a target at every step, so that accuracy measures memory alone.",
            ],
            length_key: Some("lag"),
            documentation: include_str!("delayed_recall.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        checks::at_least("lag", config.lag, 1, "without a delay there is nothing to remember")?;
        checks::at_most("lag", config.lag, MAX_STEPS - 2)?;
        checks::at_least("classes", config.classes, 2, "one class needs no memory")?;
        checks::at_most("classes", config.classes, MAX_SYMBOLS)?;
        checks::at_least("noise", config.noise, 1, "the delay needs a symbol to be filled with")?;
        checks::at_most("noise", config.noise, MAX_SYMBOLS)?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature {
            input: InputKind::Tokens(self.classes + self.noise + 1),
            output: OutputKind::Classes(self.classes),
        }
    }

    fn nominal_length(&self) -> usize {
        self.lag
    }

    fn training_length(&self, rng: &mut Stream) -> usize {
        match self.delay {
            Delay::Uniform => rng.between(1, self.lag),
            Delay::Fixed => self.lag,
        }
    }

    fn evaluation_lengths(&self) -> Vec<usize> {
        match self.delay {
            Delay::Uniform => grid::logarithmic(self.lag, 5),
            Delay::Fixed => vec![self.lag],
        }
    }

    fn steps(&self, length: usize) -> usize {
        length + 2
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let cue = (self.classes + self.noise) as u32;
        let mut sequences = Sequences::new(batch, time, cue, 1);
        for row in 0..batch {
            let class = rng.below(self.classes) as u32;
            let tokens = sequences.row(row);
            tokens[0] = class;
            for token in &mut tokens[1..=length] {
                *token = (self.classes + rng.below(self.noise)) as u32;
            }
            sequences.score(row, time - 1, class, Evidence::Steps(vec![0]));
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            if let (Some(first), Some(answer)) = (tokens.first(), answers.last_mut()) {
                *answer = *first;
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        let classes = self.classes as f64;
        vec![
            Reference { name: "chance", metric: "accuracy", value: 1.0 / classes },
            Reference { name: "chance", metric: "loss_nats", value: libm::log(classes) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::{InputData, Purpose};

    #[test]
    fn the_alphabets_are_disjoint_and_in_their_places() {
        let task = Config { lag: 5, classes: 4, noise: 2, delay: Delay::Fixed };
        let batch = task.sample(&mut Stream::new(0, Purpose::Train, 0), 50, 5);
        let InputData::Tokens(tokens) = &batch.inputs.data else { panic!("symbols") };
        for row in tokens.chunks(7) {
            assert!(row[0] < 4 && row[6] == 6);
            assert!(row[1..6].iter().all(|token| (4..6).contains(token)), "{row:?}");
        }
        assert!(batch.scored.iter().all(|scored| scored.step == 6 && scored.lag == 6));
    }

    #[test]
    fn delays_are_drawn_or_kept() {
        let mut rng = Stream::new(0, Purpose::Train, 0);
        let task = Config { lag: 3, ..Config::default() };
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| task.training_length(&mut rng)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
        let task = Config { delay: Delay::Fixed, ..Config::default() };
        assert!((0..9).all(|_| task.training_length(&mut rng) == 30));
        assert_eq!(task.evaluation_lengths(), [30]);
        assert_eq!(Config::default().evaluation_lengths(), [1, 2, 5, 13, 30]);
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "332240c27b469b45f0213407a397f15739656f28f2ff014b967ac1751ee80e1f",
                "cb793b64fdb9baaf27d5157741ce7c43f2ea0af2cba2167a6a7ba1f14c551eff"
            ]
        );
    }
}
