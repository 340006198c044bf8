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

use crate::languages::{self, Language, Strings};
use seqbench_core::{Instance, Result, Stream, Task, TaskInfo};
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
            documentation: include_str!("parity.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let Config { length, test_length } = *config;
        languages::check(length, test_length, 1, "an empty string has no last step")?;
        Ok(Instance::Generated(Box::new(Strings { language: Parity, length, test_length })))
    }
}

impl Language for Parity {
    const SYMBOLS: usize = 2;
    const CLASSES: usize = 2;

    fn write(&self, rng: &mut Stream, tokens: &mut [u32]) {
        languages::bits(rng, tokens);
    }

    fn answer(&self, tokens: &[u32]) -> u32 {
        tokens.iter().sum::<u32>() % 2
    }

    fn answers(&self, _: usize) -> Vec<f64> {
        vec![0.5; 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;

    #[test]
    fn the_first_batches_never_change() {
        let task = Strings { language: Parity, length: 40, test_length: 0 };
        assert_eq!(
            golden::first_batches(&task),
            [
                "e014bc97cb7d1866177be15f9d9df1cb307226c49a88e697628effc41d622423",
                "8a6bdd9d305ed245cd84223315da3a41cc7053f4345660c3ff6d3e46d0c7fb74"
            ]
        );
    }
}
