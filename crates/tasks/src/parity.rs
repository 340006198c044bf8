//! `parity`: whether a string of bits holds an odd number of ones.
//!
//! # Source
//! Delétang et al. 2023, *Neural Networks and the Chomsky Hierarchy*: a regular language that needs one bit of state
//! and every symbol.
//!
//! # Definition
//! L bits, each uniform; the answer, at the last step, is their sum modulo 2. Training draws one length a batch,
//! uniform on 1..`length`. Evaluation takes `length`, and where `test_length` is set about twenty lengths evenly
//! spaced from `length` + 1 to `test_length`; the extrapolation score is the mean over those. The source trains on
//! 1..40 and tests on 41..500.
//!
//! # Shapes
//! Symbols `[batch, L]` of 2, targets `[batch, L]` of 2 classes, meaningful at the last step alone.
//!
//! # Example
//! L = 4: `1 0 1 1` → `· · · 1`.
//!
//! # Lag
//! L − 1: the answer depends on every step of the input.
//!
//! # Chance
//! Accuracy 1/2 and ln 2 nats, also for who knows all bits but one.
//!
//! # Oracle
//! The sum modulo 2.
//!
//! # Deviations
//! The answer is read at the last bit; the source's code appends a step to compute in. The grid holds about twenty
//! of the test lengths instead of all.
//!
//! # Errors
//! `length` of 0, a `test_length` that is no longer than `length`, or sizes beyond what fits a machine.

use crate::checks::{self, MAX_STEPS};
use crate::grid;
use crate::sequences::{Sequences, answer_rows};
use seqbench_core::{
    Batch, Error, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct Parity;

/// Settings of `parity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The longest trained length.
    pub length: usize,
    /// The longest length of the extrapolation grid, which starts at `length` + 1; 0 for no grid.
    pub test_length: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { length: 40, test_length: 0 }
    }
}

/// Lengths of the extrapolation grid, at most.
const GRID: usize = 20;

impl Task for Parity {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "parity",
            title: "Parity",
            summary: "Say whether a string of bits holds an odd number of ones.",
            separates: "Tracking one bit of state over every step, and doing so beyond the trained lengths.",
            citation: "Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy, ICLR",
            deviations: &[
                "The answer is read at the last bit; the source's code appends a step to compute in.",
                "The extrapolation score is a mean over about twenty evenly spaced lengths instead of all.",
            ],
            length_key: Some("length"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        checks::at_least("length", config.length, 1, "an empty string has no last step")?;
        checks::at_most("length", config.length, MAX_STEPS)?;
        if config.test_length != 0 && config.test_length <= config.length {
            return Err(Error::invalid(format!(
                "`test_length` = {} holds no length beyond the trained ones: use more than `length` = {}, or 0 \
                 for no extrapolation",
                config.test_length, config.length
            )));
        }
        checks::at_most("test_length", config.test_length, MAX_STEPS)?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(2), output: OutputKind::Classes(2) }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    fn training_length(&self, rng: &mut Stream) -> usize {
        rng.between(1, self.length)
    }

    fn evaluation_lengths(&self) -> Vec<usize> {
        let mut lengths = vec![self.length];
        lengths.extend(grid::linear(self.length + 1, self.test_length, GRID));
        lengths
    }

    /// A length of 0 counts as 1.
    fn steps(&self, length: usize) -> usize {
        length.max(1)
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let mut sequences = Sequences::new(batch, time, 0, 1);
        for row in 0..batch {
            let mut sum = 0;
            for chunk in sequences.row(row).chunks_mut(32) {
                let bits = rng.bits();
                for (i, token) in chunk.iter_mut().enumerate() {
                    *token = (bits >> i) & 1;
                    sum ^= *token;
                }
            }
            sequences.score(row, time - 1, sum, Evidence::Span(0..time as u32));
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            if let Some(answer) = answers.last_mut() {
                *answer = tokens.iter().sum::<u32>() % 2;
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        vec![
            Reference { name: "chance", metric: "accuracy", value: 0.5 },
            Reference { name: "chance", metric: "loss_nats", value: std::f64::consts::LN_2 },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::Purpose;

    #[test]
    fn every_trained_length_is_drawn_and_no_other() {
        let mut rng = Stream::new(0, Purpose::Train, 0);
        let task = Config { length: 4, test_length: 0 };
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| task.training_length(&mut rng)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn the_grid_starts_right_after_the_last_trained_length() {
        assert_eq!(Config::default().evaluation_lengths(), [40]);
        let lengths = Config { length: 40, test_length: 500 }.evaluation_lengths();
        assert_eq!((lengths.len(), lengths[0], lengths[1], lengths[20]), (21, 40, 41, 500));
        assert_eq!(Config { length: 4, test_length: 5 }.evaluation_lengths(), [4, 5]);
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "e014bc97cb7d1866177be15f9d9df1cb307226c49a88e697628effc41d622423",
                "8a6bdd9d305ed245cd84223315da3a41cc7053f4345660c3ff6d3e46d0c7fb74"
            ]
        );
    }
}
