//! `reverse-string`: repeat a string of bits backwards.
//!
//! # Source
//! Delétang et al. 2023, *Neural Networks and the Chomsky Hierarchy*: a deterministic context-free language, which a stack
//! recognises and no finite memory at every length.
//!
//! # Definition
//! L bits, each uniform, then L blanks. During the blanks the answers are the bits in reverse order: the last bit at the
//! first blank. Training draws one length a batch, uniform on 1..`length`. Evaluation takes `length`, and where
//! `test_length` is set about twenty lengths evenly spaced from `length` + 1 to `test_length`; the extrapolation score is
//! the mean over those. The source trains on 1..40 and tests on 41..500.
//!
//! # Shapes
//! Symbols `[batch, 2L]` of 3: the bits and the blank. Targets `[batch, 2L]` of 2 classes, meaningful at the blanks alone.
//!
//! # Example
//! L = 3, blank `_`: `1 0 0 _ _ _` → `· · · 0 0 1`.
//!
//! # Lag
//! 1, 3, 5, …, 2L − 1: the later the answer, the earlier its bit.
//!
//! # Chance
//! Accuracy 1/2 and ln 2 nats.
//!
//! # Oracle
//! The bits before the first blank, backwards.
//!
//! # Deviations
//! The grid holds about twenty of the test lengths instead of all.
//!
//! # Errors
//! `length` of 0, a `test_length` that is no longer than `length`, or sizes beyond what fits a machine.

use crate::languages;
use crate::sequences::{Sequences, answer_rows};
use seqbench_core::{
    Batch, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct ReverseString;

/// Settings of `reverse-string`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The longest trained number of bits.
    pub length: usize,
    /// The longest length of the extrapolation grid, which starts at `length` + 1; 0 for no grid.
    pub test_length: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { length: 40, test_length: 0 }
    }
}

const BLANK: u32 = 2;

impl Task for ReverseString {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "reverse-string",
            title: "Reverse string",
            summary: "Repeat a string of bits backwards.",
            separates: "A memory that grows with the input and is read from its end, as a stack is.",
            citation: "Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy, ICLR",
            deviations: &[
                "The extrapolation score is a mean over about twenty evenly spaced lengths instead of all.",
            ],
            length_key: Some("length"),
            documentation: include_str!("reverse_string.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        languages::check(config.length, config.test_length, 1, "there must be a bit to repeat")?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(3), output: OutputKind::Classes(2) }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    fn training_length(&self, rng: &mut Stream) -> usize {
        rng.between(1, self.length)
    }

    fn evaluation_lengths(&self) -> Vec<usize> {
        languages::lengths(self.length, self.test_length)
    }

    /// A length of 0 counts as 1.
    fn steps(&self, length: usize) -> usize {
        2 * length.max(1)
    }

    fn symbols_repeat(&self) -> bool {
        true
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let bits = time / 2;
        let mut sequences = Sequences::new(batch, time, BLANK, bits);
        for row in 0..batch {
            languages::bits(rng, &mut sequences.row(row)[..bits]);
            for (blank, bit) in (0..bits).rev().enumerate() {
                let answer = sequences.row(row)[bit];
                sequences.score(row, bits + blank, answer, Evidence::Steps(vec![bit as u32]));
            }
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            let bits = tokens.iter().position(|token| *token == BLANK).unwrap_or(tokens.len());
            for (answer, bit) in answers[bits..].iter_mut().zip(tokens[..bits].iter().rev()) {
                *answer = *bit;
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        languages::chance(&[0.5; 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::{InputData, Purpose};

    #[test]
    fn bits_come_back_from_the_last_to_the_first() {
        let batch = Config::default().sample(&mut Stream::new(0, Purpose::Train, 0), 1, 4);
        let (InputData::Tokens(tokens), Targets::Classes(classes)) = (&batch.inputs.data, &batch.targets)
        else {
            panic!("symbols and classes")
        };
        assert_eq!(tokens[4..], [BLANK; 4]);
        assert!(classes[4..].iter().eq(tokens[..4].iter().rev()));
        assert_eq!(batch.scored.iter().map(|scored| scored.lag).collect::<Vec<_>>(), [1, 3, 5, 7]);
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "7b4fecc06543a3c85c8becffc2d17385cbf015fcc5c51cde3776ede20715fe21",
                "6acd03bcea5361fdf04e32993f775961efc0482721b4871c5aa59817bd645638"
            ]
        );
    }
}
