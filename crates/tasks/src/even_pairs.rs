//! `even-pairs`: whether the first bit of a string equals its last.
//!
//! # Source
//! Delétang et al. 2023, *Neural Networks and the Chomsky Hierarchy*: whether the pairs `01` and `10` together are even in
//! number, which they are exactly when the string ends as it began. A regular language of one bit of state, of which
//! nothing changes in between.
//!
//! # Definition
//! L bits, each uniform; the answer, at the last step, is 1 if the last bit equals the first, otherwise 0. Training draws
//! one length a batch, uniform on 1..`length`. Evaluation takes `length`, and where `test_length` is set about twenty
//! lengths evenly spaced from `length` + 1 to `test_length`; the extrapolation score is the mean over those. The source
//! trains on 1..40 and tests on 41..500.
//!
//! # Shapes
//! Symbols `[batch, L]` of 2, targets `[batch, L]` of 2 classes, meaningful at the last step alone.
//!
//! # Example
//! L = 4: `1 0 1 1` → `· · · 1`.
//!
//! # Lag
//! L − 1. The evidence is the first bit and the last.
//!
//! # Chance
//! Accuracy 1/2 and ln 2 nats from two bits on; one bit always equals itself.
//!
//! # Oracle
//! The comparison of the two.
//!
//! # Deviations
//! The answer is read at the last bit; the source's code appends a step to compute in. The grid holds about twenty
//! of the test lengths instead of all.
//!
//! # Errors
//! `length` below 2, a `test_length` that is no longer than `length`, or sizes beyond what fits a machine.

use crate::languages::{self, Language, Strings};
use seqbench_core::{Evidence, Instance, Result, Stream, Task, TaskInfo};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct EvenPairs;

/// Settings of `even-pairs`.
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

impl Task for EvenPairs {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "even-pairs",
            title: "Even pairs",
            summary: "Say whether a string of bits ends with the bit it began with.",
            separates: "Holding one bit from the first step, and comparing it at lengths never trained.",
            citation: "Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy, ICLR",
            deviations: &[
                "The answer is read at the last bit; the source's code appends a step to compute in.",
                "The extrapolation score is a mean over about twenty evenly spaced lengths instead of all.",
            ],
            length_key: Some("length"),
            documentation: include_str!("even_pairs.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let Config { length, test_length } = *config;
        languages::check(length, test_length, 2, "a single bit always equals itself")?;
        Ok(Instance::Generated(Box::new(Strings { language: EvenPairs, length, test_length })))
    }
}

impl Language for EvenPairs {
    const SYMBOLS: usize = 2;
    const CLASSES: usize = 2;

    fn write(&self, rng: &mut Stream, tokens: &mut [u32]) {
        languages::bits(rng, tokens);
    }

    fn answer(&self, tokens: &[u32]) -> u32 {
        u32::from(tokens.first() == tokens.last())
    }

    fn evidence(&self, tokens: &[u32]) -> Evidence {
        let last = tokens.len() as u32 - 1;
        Evidence::Steps(if last == 0 { vec![0] } else { vec![0, last] })
    }

    fn answers(&self, steps: usize) -> Vec<f64> {
        if steps == 1 { vec![0.0, 1.0] } else { vec![0.5; 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::tests::assert_answers_have_their_probabilities;
    use crate::sequences::golden;

    #[test]
    fn it_is_what_counting_unequal_neighbours_gives() {
        for string in 0..1 << 7u32 {
            let tokens: Vec<u32> = (0..7).map(|at| (string >> at) & 1).collect();
            let unequal = tokens.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!(EvenPairs.answer(&tokens), u32::from(unequal % 2 == 0), "{tokens:?}");
        }
    }

    #[test]
    fn answers_have_their_probabilities() {
        for steps in [1, 2, 9] {
            assert_answers_have_their_probabilities(&EvenPairs, steps);
        }
    }

    #[test]
    fn the_first_batches_never_change() {
        let task = Strings { language: EvenPairs, length: 40, test_length: 0 };
        assert_eq!(
            golden::first_batches(&task),
            [
                "0320b775fb6c8a14b177237b10f4789291dc706ddedfabf4cd5e125020adcc86",
                "0013df502777f30580de203b6c1898a9fc077f5cc3f7abd64fabf8d82489cf08"
            ]
        );
    }
}
