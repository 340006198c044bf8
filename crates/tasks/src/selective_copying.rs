//! `selective-copying`: repeat a few symbols that stand scattered among noise.
//!
//! # Source
//! Gu & Dao 2023, *Mamba*, section 4.1.1 and appendix E.1, after Jing et al. 2019, *Gated Orthogonal Recurrent Units*: the
//! places differ from sequence to sequence, so that a system whose steps are all alike cannot keep the symbols apart from
//! what lies between.
//!
//! # Definition
//! L steps of noise, at `span` places of which, drawn without replacement, stand symbols, each uniform over `symbols`;
//! then `span` marks. At the i-th mark the answer is the i-th symbol. The source has L = 4096, 16 places and an alphabet of
//! 16 with noise and mark, which is `symbols = 14`.
//!
//! # Shapes
//! Symbols `[batch, L + span]` of `symbols + 2`: the symbols, the noise, the mark. Targets of the same shape of `symbols`
//! classes, meaningful at the marks alone.
//!
//! # Example
//! `symbols = 3`, `span = 2`, L = 6, noise `.`, mark `:`: `. 2 . . 0 . : :` → `· · · · · · 2 0`.
//!
//! # Lag
//! L + i − place of the i-th symbol. The evidence is that symbol; what is noise and what is not is the same for all
//! exchanges that the evidence is stated for.
//!
//! # Chance
//! Accuracy 1/`symbols` and ln `symbols` nats.
//!
//! # Oracle
//! The i-th step that is no noise.
//!
//! # Deviations
//! None.
//!
//! # Errors
//! No `span`, a `length` below it, fewer than two `symbols`, or sizes beyond what fits a machine.

use crate::checks::{self, MAX_STEPS, MAX_SYMBOLS};
use crate::languages;
use crate::sequences::{Sequences, answer_rows};
use seqbench_core::{
    Batch, Error, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct SelectiveCopying;

/// Settings of `selective-copying`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// L, the steps before the marks.
    pub length: usize,
    /// Symbols to repeat.
    pub span: usize,
    /// Symbols to choose from.
    pub symbols: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { length: 64, span: 8, symbols: 14 }
    }
}

impl Config {
    fn noise(&self) -> u32 {
        self.symbols as u32
    }

    fn mark(&self) -> u32 {
        self.symbols as u32 + 1
    }
}

impl Task for SelectiveCopying {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "selective-copying",
            title: "Selective copying",
            summary: "Repeat in order the symbols that stand scattered among noise.",
            separates: "Choosing by content what to keep: time-invariant systems cannot, selective ones can.",
            citation: "Gu & Dao 2023, Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
            deviations: &[],
            length_key: Some("length"),
            documentation: include_str!("selective_copying.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let Config { length, span, symbols } = *config;
        checks::at_least("span", span, 1, "there must be a symbol to repeat")?;
        checks::at_most("span", span, MAX_STEPS / 4)?;
        if length < span {
            let message = format!("`length` = {length} has no room for {span} symbols; use {span} or more");
            return Err(Error::invalid(message));
        }
        checks::at_most("length", length, MAX_STEPS - span)?;
        checks::at_least("symbols", symbols, 2, "one symbol needs no memory")?;
        checks::at_most("symbols", symbols, MAX_SYMBOLS)?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(self.symbols + 2), output: OutputKind::Classes(self.symbols) }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    /// Fewer steps than symbols count as that many.
    fn steps(&self, length: usize) -> usize {
        length.max(self.span) + self.span
    }

    /// Symbols for symbols: noise in place of one would renumber those behind it.
    fn exchangeable(&self, old: u32, new: u32) -> bool {
        old.max(new) < self.noise()
    }

    fn symbols_repeat(&self) -> bool {
        true
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let marks = time - self.span;
        let mut sequences = Sequences::new(batch, time, self.noise(), self.span);
        for row in 0..batch {
            let mut places = rng.distinct(marks, self.span);
            places.sort_unstable();
            for (i, place) in places.into_iter().enumerate() {
                let symbol = rng.below(self.symbols) as u32;
                sequences.row(row)[place] = symbol;
                sequences.score(row, marks + i, symbol, Evidence::Steps(vec![place as u32]));
            }
            sequences.row(row)[marks..].fill(self.mark());
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            let marks = tokens.iter().position(|token| *token == self.mark()).unwrap_or(tokens.len());
            let symbols = tokens[..marks].iter().filter(|token| **token < self.noise());
            for (answer, symbol) in answers[marks..].iter_mut().zip(symbols) {
                *answer = *symbol;
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        languages::chance(&vec![1.0 / self.symbols as f64; self.symbols])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::{InputData, Purpose};

    #[test]
    fn symbols_keep_their_order_and_all_else_is_noise() {
        let task = Config { length: 6, span: 2, symbols: 3 };
        let batch = task.sample(&mut Stream::new(0, Purpose::Train, 0), 50, 6);
        let (InputData::Tokens(tokens), Targets::Classes(classes)) = (&batch.inputs.data, &batch.targets)
        else {
            panic!("symbols and classes")
        };
        for (tokens, classes) in tokens.chunks(8).zip(classes.chunks(8)) {
            let kept: Vec<u32> = tokens[..6].iter().copied().filter(|token| *token < 3).collect();
            assert_eq!(kept, classes[6..]);
            assert_eq!(tokens[..6].iter().filter(|token| **token == 3).count(), 4);
            assert_eq!(tokens[6..], [4, 4]);
        }
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "969221ddd3e21b9449b9ab695fbcb8a0ec938a8364a48aad108ac4f49f992a0d",
                "41987ed226e9503a4c3faea050ef9e2d46f6ed7f8352156fac783be0ad84adaa"
            ]
        );
    }
}
