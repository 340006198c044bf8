//! `induction-heads`: which symbol followed the special one the first time?
//!
//! # Source
//! Olsson et al. 2022, *In-context Learning and Induction Heads*; in the form of Gu & Dao 2023, *Mamba*, section 4.1.2 and
//! appendix E.2, which trains at L = 256 and tests at 2^6 to 2^20.
//!
//! # Definition
//! L symbols, each uniform over all but the special one. At a place p, uniform on 0..L − 3, and again at the last step
//! stands the special symbol; the answer, at the last step, is the symbol at p + 1. Evaluation takes `length`, and where
//! `test_length` is set every power of two from the first above `length` to `test_length`.
//!
//! # Shapes
//! Symbols `[batch, L]` of V, the special one V − 1; targets `[batch, L]` of V − 1 classes, meaningful at the last step
//! alone.
//!
//! # Example
//! V = 5, L = 7: `2 0 4 3 1 0 4` → `· · · · · · 3`.
//!
//! # Lag
//! L − 1 − p. The evidence is the special symbol and its successor.
//!
//! # Chance
//! Accuracy 1/(V − 1) and ln (V − 1) nats.
//!
//! # Oracle
//! The symbol after the first special one.
//!
//! # Deviations
//! Lengths shorter than the trained one are not tested.
//!
//! # Errors
//! `length` below 3, `vocab` below 3, a `test_length` that is no longer than `length`, or sizes beyond what fits a machine.

use crate::checks::{self, MAX_SYMBOLS};
use crate::sequences::{Sequences, answer_rows};
use crate::{grid, languages};
use seqbench_core::{
    Batch, Error, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct InductionHeads;

/// Settings of `induction-heads`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// L, the steps of a sequence.
    pub length: usize,
    /// The longest length of the extrapolation grid, the powers of two above `length`; 0 for no grid.
    pub test_length: usize,
    /// V, the symbols, the special one among them.
    pub vocab: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { length: 64, test_length: 0, vocab: 16 }
    }
}

/// The special symbol, its successor, and the special symbol again.
const SHORTEST: usize = 3;

impl Config {
    fn special(&self) -> u32 {
        self.vocab as u32 - 1
    }
}

impl Task for InductionHeads {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "induction-heads",
            title: "Induction heads",
            summary: "Recall the symbol that followed the special one when it stood there before.",
            separates: "Copying by content from the context, and doing so far beyond the trained length.",
            citation: "Olsson et al. 2022, In-context Learning and Induction Heads; Gu & Dao 2023, Mamba",
            deviations: &["Lengths shorter than the trained one are not tested."],
            length_key: Some("length"),
            documentation: include_str!("induction_heads.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let because = "the special symbol, its successor and the special symbol again are three steps";
        languages::check(config.length, config.test_length, SHORTEST, because)?;
        checks::at_least("vocab", config.vocab, 3, "two symbols beside the special one make a choice")?;
        checks::at_most("vocab", config.vocab, MAX_SYMBOLS)?;
        if config.test_length > 0 && grid::doubling(config.length + 1, config.test_length).is_empty() {
            return Err(Error::invalid(format!(
                "`test_length` = {} holds no power of two above `length` = {}: use {} or more, or 0 for no extrapolation",
                config.test_length,
                config.length,
                (config.length + 1).next_power_of_two()
            )));
        }
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(self.vocab), output: OutputKind::Classes(self.vocab - 1) }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    fn evaluation_lengths(&self) -> Vec<usize> {
        std::iter::once(self.length).chain(grid::doubling(self.length + 1, self.test_length)).collect()
    }

    /// Less than 3 counts as 3.
    fn steps(&self, length: usize) -> usize {
        length.max(SHORTEST)
    }

    /// All but a further special symbol, which would move the question.
    fn exchangeable(&self, _: u32, new: u32) -> bool {
        new != self.special()
    }

    fn symbols_repeat(&self) -> bool {
        true
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let mut sequences = Sequences::new(batch, time, self.special(), 1);
        for row in 0..batch {
            let place = rng.below(time - 2);
            let tokens = &mut sequences.row(row)[..time - 1];
            tokens.fill_with(|| rng.below(self.vocab - 1) as u32);
            tokens[place] = self.special();
            let answer = tokens[place + 1];
            let place = place as u32;
            sequences.score(row, time - 1, answer, Evidence::Steps(vec![place, place + 1]));
        }
        sequences.into_batch()
    }

    /// Without a successor there is no right answer, and the special symbol stands for that.
    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            let mut special = tokens.windows(2).filter(|pair| pair[0] == self.special());
            if let Some(answer) = answers.last_mut() {
                *answer = special.next().map_or(self.special(), |pair| pair[1]);
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        languages::chance(&vec![1.0 / (self.vocab - 1) as f64; self.vocab - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::{InputData, Purpose};

    #[test]
    fn the_special_symbol_stands_at_the_end_and_once_before() {
        let task = Config { length: 5, test_length: 0, vocab: 4 };
        let batch = task.sample(&mut Stream::new(0, Purpose::Train, 0), 200, 5);
        let InputData::Tokens(tokens) = &batch.inputs.data else { panic!("symbols") };
        let mut places = std::collections::BTreeSet::new();
        for (tokens, scored) in tokens.chunks(5).zip(&batch.scored) {
            let found: Vec<usize> = (0..5).filter(|at| tokens[*at] == 3).collect();
            assert_eq!((found.len(), found[1]), (2, 4));
            assert_eq!(scored.lag as usize, 4 - found[0]);
            places.insert(found[0]);
        }
        assert_eq!(places.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "f618f3b708c1fd015258d68ef0ac066127a03d97fde29dc601ed3e9546d79d7f",
                "f62764041ec5d62af886afd0c86126199498a812ec7a1c4e7435c4a4db9b60b0"
            ]
        );
    }
}
