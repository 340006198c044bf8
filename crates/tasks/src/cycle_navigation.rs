//! `cycle-navigation`: where one stands on a cycle of five places after a string of moves.
//!
//! # Source
//! Delétang et al. 2023, *Neural Networks and the Chomsky Hierarchy*: a regular language of five states, the sum of the
//! moves modulo 5.
//!
//! # Definition
//! L moves, each uniform over stay (0), one on (1) and one back (2); the answer, at the last step, is the place, 0 to 4,
//! having begun at 0. Training draws one length a batch, uniform on 1..`length`. Evaluation takes `length`, and where
//! `test_length` is set about twenty lengths evenly spaced from `length` + 1 to `test_length`; the extrapolation score is
//! the mean over those. The source trains on 1..40 and tests on 41..500.
//!
//! # Shapes
//! Symbols `[batch, L]` of 3, targets `[batch, L]` of 5 classes, meaningful at the last step alone.
//!
//! # Example
//! L = 4: `1 1 0 2` → `· · · 1`.
//!
//! # Lag
//! L − 1: the answer depends on every step of the input.
//!
//! # Chance
//! Who knows the length alone guesses the place 0, whose probability after L moves is
//! `(1 + 2 a^L + 2 b^L)/5` with `a = (1 + 2 cos(2π/5))/3` ≈ .539 and `b = (1 + 2 cos(4π/5))/3` ≈ −.206: 1/5 beyond a few
//! steps. The loss is the entropy of the place, ln 5 nats in the limit.
//!
//! # Oracle
//! The sum of the moves modulo 5.
//!
//! # Deviations
//! The answer is read at the last move; the source's code appends a step to compute in. The grid holds about twenty
//! of the test lengths instead of all.
//!
//! # Errors
//! `length` of 0, a `test_length` that is no longer than `length`, or sizes beyond what fits a machine.

use crate::languages::{self, Language, Strings};
use seqbench_core::{Instance, Result, Stream, Task, TaskInfo};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct CycleNavigation;

/// Settings of `cycle-navigation`.
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

/// Places of the cycle.
const PLACES: u32 = 5;

impl Task for CycleNavigation {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "cycle-navigation",
            title: "Cycle navigation",
            summary: "Say where on a cycle of five places a string of moves ends.",
            separates: "Tracking a state of five values over every step, beyond the trained lengths.",
            citation: "Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy, ICLR",
            deviations: &[
                "The answer is read at the last move; the source's code appends a step to compute in.",
                "The extrapolation score is a mean over about twenty evenly spaced lengths instead of all.",
            ],
            length_key: Some("length"),
            documentation: include_str!("cycle_navigation.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let Config { length, test_length } = *config;
        languages::check(length, test_length, 1, "without a move there is no last step")?;
        Ok(Instance::Generated(Box::new(Strings { language: CycleNavigation, length, test_length })))
    }
}

impl Language for CycleNavigation {
    const SYMBOLS: usize = 3;
    const CLASSES: usize = PLACES as usize;

    fn write(&self, rng: &mut Stream, tokens: &mut [u32]) {
        tokens.fill_with(|| rng.below(Self::SYMBOLS) as u32);
    }

    fn answer(&self, tokens: &[u32]) -> u32 {
        // One back is four on.
        let on = |token: &u32| [0, 1, PLACES - 1][*token as usize % Self::SYMBOLS];
        tokens.iter().fold(0, |place, token| (place + on(token)) % PLACES)
    }

    fn answers(&self, steps: usize) -> Vec<f64> {
        let mut places = vec![0.0; PLACES as usize];
        places[0] = 1.0;
        for _ in 0..steps {
            let from = |place: usize| places[place % PLACES as usize];
            places = (0..PLACES as usize).map(|at| (from(at) + from(at + 1) + from(at + 4)) / 3.0).collect();
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::tests::assert_answers_have_their_probabilities;
    use crate::sequences::golden;

    #[test]
    fn moves_add_up_on_the_cycle() {
        assert_eq!(CycleNavigation.answer(&[1, 1, 0, 2]), 1);
        assert_eq!(CycleNavigation.answer(&[2]), 4);
        assert_eq!(CycleNavigation.answer(&[1; 7]), 2);
    }

    #[test]
    fn answers_have_their_probabilities_which_have_the_stated_form() {
        for steps in [1, 2, 7] {
            assert_answers_have_their_probabilities(&CycleNavigation, steps);
            let [a, b] =
                [1.0, 2.0].map(|k| (1.0 + 2.0 * libm::cos(k * 2.0 * std::f64::consts::PI / 5.0)) / 3.0);
            let stated = (1.0 + 2.0 * libm::pow(a, steps as f64) + 2.0 * libm::pow(b, steps as f64)) / 5.0;
            let answers = CycleNavigation.answers(steps);
            assert!((answers[0] - stated).abs() < 1e-12);
            assert!(answers.iter().all(|p| *p <= answers[0] + 1e-12), "{answers:?}");
        }
    }

    #[test]
    fn the_first_batches_never_change() {
        let task = Strings { language: CycleNavigation, length: 40, test_length: 0 };
        assert_eq!(
            golden::first_batches(&task),
            [
                "b0be3913f6443ff317d5b871ff10bc600c53302ee4e209f3fc85fad20b7c5d04",
                "201788429c80b14437bc598a5ab0f9ed3ff7519777fa3417108ea494d0f4559d"
            ]
        );
    }
}
