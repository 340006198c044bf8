//! `copying`: repeat ten symbols after a long blank.
//!
//! # Source
//! Arjovsky, Shah & Bengio 2016, *Unitary Evolution Recurrent Neural Networks*, section 4.1, after Hochreiter &
//! Schmidhuber 1997; in the form of Bai, Kolter & Koltun 2018.
//!
//! # Definition
//! `span` symbols, each uniform over `symbols`; T − 1 blanks; the go mark; `span` blanks. During those last blanks
//! the answers are the symbols in order, everywhere before the blank. The published training loss is the mean over
//! all T + 2·`span` steps, and so is this one; scored are the `span` recall steps alone.
//!
//! # Shapes
//! Symbols `[batch, T + 2·span]` of `symbols + 2`: the symbols, the blank, the go mark. Targets of the same shape of
//! `symbols + 1` classes: the symbols and the blank.
//!
//! # Example
//! `symbols = 3`, `span = 2`, `lag = 4`, blank `_`, go mark `:`: `2 0 _ _ _ : _ _` → `_ _ _ _ _ _ 2 0`.
//!
//! # Lag
//! T + `span` for every scored step.
//!
//! # Chance
//! Accuracy 1/`symbols`. Without memory the best loss is `span`·ln(`symbols`)/(T + 2·`span`) nats: the blanks are
//! known for certain, the recalled symbols not at all. (It tends to 0 as T grows; an accuracy over all steps would
//! tend to 1, which is why there is none.)
//!
//! # Oracle
//! The symbol T + `span` steps before each recall step, found from the place of the go mark.
//!
//! # Deviations
//! None.
//!
//! # Errors
//! `lag` or `span` of 0, fewer than two `symbols`, or sizes beyond what fits a machine.

use crate::checks::{self, MAX_STEPS, MAX_SYMBOLS};
use crate::sequences::{Sequences, answer_rows};
use seqbench_core::{
    Batch, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct Copying;

/// Settings of `copying`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// T, the steps from the last symbol to the go mark.
    pub lag: usize,
    /// Symbols to choose from.
    pub symbols: usize,
    /// Symbols to repeat.
    pub span: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { lag: 100, symbols: 8, span: 10 }
    }
}

impl Config {
    fn blank(&self) -> u32 {
        self.symbols as u32
    }

    fn go(&self) -> u32 {
        self.symbols as u32 + 1
    }
}

impl Task for Copying {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "copying",
            title: "Copying",
            summary: "Repeat ten symbols in order, T steps after the last of them.",
            separates: "How many bits are held at once over a long blank: thirty by default.",
            citation: "Arjovsky, Shah & Bengio 2016, Unitary Evolution Recurrent Neural Networks, ICML",
            deviations: &[],
            length_key: Some("lag"),
            documentation: include_str!("copying.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        checks::at_least("span", config.span, 1, "there must be a symbol to repeat")?;
        checks::at_most("span", config.span, MAX_STEPS / 4)?;
        checks::at_least("lag", config.lag, 1, "the go mark stands one step after the last symbol")?;
        checks::at_most("lag", config.lag, MAX_STEPS - 2 * config.span)?;
        checks::at_least("symbols", config.symbols, 2, "one symbol needs no memory")?;
        checks::at_most("symbols", config.symbols, MAX_SYMBOLS)?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature {
            input: InputKind::Tokens(self.symbols + 2),
            output: OutputKind::Classes(self.symbols + 1),
        }
    }

    fn nominal_length(&self) -> usize {
        self.lag
    }

    /// A delay of 0 counts as 1.
    fn steps(&self, length: usize) -> usize {
        length.max(1) + 2 * self.span
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let recall = time - self.span;
        let mut sequences = Sequences::new(batch, time, self.blank(), self.span);
        sequences.expect_everywhere(self.blank());
        for row in 0..batch {
            for i in 0..self.span {
                let symbol = rng.below(self.symbols) as u32;
                sequences.row(row)[i] = symbol;
                sequences.score(row, recall + i, symbol, Evidence::Steps(vec![i as u32]));
            }
            sequences.row(row)[recall - 1] = self.go();
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            answers.fill(self.blank());
            if let Some(go) = tokens.iter().position(|token| *token == self.go()) {
                for (answer, symbol) in answers[go + 1..].iter_mut().zip(&tokens[..self.span.min(go)]) {
                    *answer = *symbol;
                }
            }
        })
    }

    fn references(&self, length: usize) -> Vec<Reference> {
        let (symbols, span) = (self.symbols as f64, self.span as f64);
        let memoryless = span * libm::log(symbols) / self.steps(length) as f64;
        vec![
            Reference { name: "chance", metric: "accuracy", value: 1.0 / symbols },
            Reference { name: "memoryless", metric: "loss_nats", value: memoryless },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::{InputData, Purpose};

    #[test]
    fn a_sequence_is_symbols_blanks_mark_blanks() {
        let task = Config { lag: 4, symbols: 3, span: 2 };
        let batch = task.sample(&mut Stream::new(0, Purpose::Train, 0), 1, 4);
        let (InputData::Tokens(tokens), Targets::Classes(classes)) = (&batch.inputs.data, &batch.targets)
        else {
            panic!("symbols and classes")
        };
        assert!(tokens[..2].iter().all(|token| *token < 3));
        assert_eq!(tokens[2..], [3, 3, 3, 4, 3, 3]);
        assert_eq!(classes[..6], [3; 6]);
        assert_eq!(classes[6..], tokens[..2]);
        assert!(batch.loss_mask.iter().all(|yes| *yes));
        assert_eq!(batch.scored_steps(), [(0, 6), (0, 7)]);
        assert!(batch.scored.iter().all(|scored| scored.lag == 6));
    }

    #[test]
    fn the_published_loss_without_memory_is_met() {
        let value = Config::default().references(100)[1].value;
        assert!((value - 10.0 * 8f64.ln() / 120.0).abs() < 1e-12, "{value}");
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "ffed08e05469d9f72ebaf2480986799e26ebd7c8753cabb55d5a6b92f9d05ab8",
                "61c70d55bb3b4b854a38dcdefa17c7f5999949a62e73bbc1ce8af67ec2fa41d4"
            ]
        );
    }
}
