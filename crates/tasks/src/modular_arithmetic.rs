//! `modular-arithmetic`: the value of an expression without brackets, modulo 5.
//!
//! # Source
//! Delétang et al. 2023, *Neural Networks and the Chomsky Hierarchy*, "modular arithmetic (simple)": a regular language,
//! because the sum so far and the term in the making, both modulo 5, are all the state it takes.
//!
//! # Definition
//! A digit 0 to 4, then again and again an operator `+ − ×` and a digit, all uniform; × binds before + and −. The answer, at
//! the last step, is the value modulo 5. Even lengths count as the odd one below. Training draws one length a batch,
//! uniform on 1..`length`. Evaluation takes `length`, and where `test_length` is set about twenty lengths evenly spaced from
//! `length` + 1 to `test_length`; the extrapolation score is the mean over those. The source trains on 1..40 and tests on
//! 41..500.
//!
//! # Shapes
//! Symbols `[batch, L]` of 8: the digits, then `+`, `−`, `×`. Targets `[batch, L]` of 5 classes, meaningful at the last step
//! alone.
//!
//! # Example
//! L = 5: `2 − 3 × 4`, as symbols `2 6 3 7 4` → `· · · · 0`.
//!
//! # Lag
//! To the first step whose symbol matters, nearly always L − 1. A factor beside a factor 0 does not: the evidence holds
//! exactly the steps of which another digit or operator changes the value.
//!
//! # Chance
//! The value is not quite uniform, because products favour 0: the references count the most frequent value and the entropy
//! exactly, 1/5 and ln 5 nats in the limit.
//!
//! # Oracle
//! Evaluation from left to right with the sum so far and the present term.
//!
//! # Deviations
//! The answer is read at the last digit; the source's code appends a step to compute in. The grid holds about twenty
//! of the test lengths instead of all.
//!
//! # Errors
//! `length` of 0, a `test_length` that is no longer than `length`, or sizes beyond what fits a machine.

use crate::languages::{self, Language, Strings};
use seqbench_core::{Evidence, Instance, Result, Stream, Task, TaskInfo};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct ModularArithmetic;

/// Settings of `modular-arithmetic`.
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

const MODULUS: u32 = 5;
const PLUS: u32 = MODULUS;
const MINUS: u32 = MODULUS + 1;
const TIMES: u32 = MODULUS + 2;

impl Task for ModularArithmetic {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "modular-arithmetic",
            title: "Modular arithmetic",
            summary: "Evaluate an expression of digits with +, − and × modulo 5.",
            separates: "Tracking a sum and a product of five values each, beyond the trained lengths.",
            citation: "Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy, ICLR",
            deviations: &[
                "The answer is read at the last digit; the source's code appends a step to compute in.",
                "The extrapolation score is a mean over about twenty evenly spaced lengths instead of all.",
            ],
            length_key: Some("length"),
            documentation: include_str!("modular_arithmetic.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let Config { length, test_length } = *config;
        languages::check(length, test_length, 1, "an empty expression has no value")?;
        Ok(Instance::Generated(Box::new(Strings { language: ModularArithmetic, length, test_length })))
    }
}

/// The sum so far and the present term with its sign, both modulo 5.
#[derive(Clone, Copy)]
struct Value {
    sum: u32,
    term: u32,
}

impl Value {
    fn of(digit: u32) -> Self {
        Value { sum: 0, term: digit % MODULUS }
    }

    fn then(self, operator: u32, digit: u32) -> Self {
        let (sum, digit) = ((self.sum + self.term) % MODULUS, digit % MODULUS);
        match operator {
            TIMES => Value { term: self.term * digit % MODULUS, ..self },
            MINUS => Value { sum, term: (MODULUS - digit) % MODULUS },
            _ => Value { sum, term: digit },
        }
    }

    fn whole(self) -> u32 {
        (self.sum + self.term) % MODULUS
    }
}

fn evaluate(start: Value, rest: &[u32]) -> u32 {
    rest.chunks_exact(2).fold(start, |value, pair| value.then(pair[0], pair[1])).whole()
}

impl Language for ModularArithmetic {
    const SYMBOLS: usize = TIMES as usize + 1;
    const CLASSES: usize = MODULUS as usize;

    fn steps(&self, length: usize) -> usize {
        (length.max(1) - 1) / 2 * 2 + 1
    }

    fn write(&self, rng: &mut Stream, tokens: &mut [u32]) {
        for (step, token) in tokens.iter_mut().enumerate() {
            *token = if step % 2 == 0 { rng.below(5) as u32 } else { PLUS + rng.below(3) as u32 };
        }
    }

    fn answer(&self, tokens: &[u32]) -> u32 {
        evaluate(Value::of(tokens[0]), &tokens[1..])
    }

    fn evidence(&self, tokens: &[u32]) -> Evidence {
        let whole = self.answer(tokens);
        let mut steps = Vec::with_capacity(tokens.len());
        // The value before the operator at hand, and of the expression it is part of.
        let mut before = Value::of(0);
        for step in 0..tokens.len() {
            let differs = |other: u32| {
                let changed = match (step, step % 2) {
                    (0, _) => evaluate(Value::of(other), &tokens[1..]),
                    (_, 0) => evaluate(before.then(tokens[step - 1], other), &tokens[step + 1..]),
                    _ => evaluate(before.then(other, tokens[step + 1]), &tokens[step + 2..]),
                };
                changed != whole
            };
            let alternatives = if step % 2 == 0 { 0..MODULUS } else { PLUS..TIMES + 1 };
            if alternatives.into_iter().any(differs) {
                steps.push(step as u32);
            }
            if step == 0 {
                before = Value::of(tokens[0]);
            } else if step % 2 == 0 {
                before = before.then(tokens[step - 1], tokens[step]);
            }
        }
        if steps.is_empty() {
            // No single change tells, as in 0 × 0 × 0; the step of the answer stands for none.
            steps.push(tokens.len() as u32 - 1);
        }
        if steps.len() == tokens.len() {
            Evidence::Span(0..tokens.len() as u32)
        } else {
            Evidence::Steps(steps)
        }
    }

    fn answers(&self, steps: usize) -> Vec<f64> {
        // Probabilities of [sum, term].
        let size = MODULUS as usize;
        let mut states = vec![0.0; size * size];
        states[..size].fill(1.0 / size as f64);
        for _ in 0..steps / 2 {
            let mut next = vec![0.0; size * size];
            for (state, p) in states.iter().enumerate() {
                let value = Value { sum: (state / size) as u32, term: (state % size) as u32 };
                for (operator, digit) in
                    (PLUS..=TIMES).flat_map(|operator| (0..MODULUS).map(move |d| (operator, d)))
                {
                    let Value { sum, term } = value.then(operator, digit);
                    next[sum as usize * size + term as usize] += p / (3 * size) as f64;
                }
            }
            states = next;
        }
        let mut answers = vec![0.0; size];
        for (state, p) in states.iter().enumerate() {
            answers[(state / size + state % size) % size] += p;
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::tests::assert_answers_have_their_probabilities;
    use crate::sequences::golden;

    #[test]
    fn multiplication_binds_before_addition() {
        // 2 − 3 × 4 = −10, 4 × 4 + 3 × 2 = 22, 0 − 1 = −1.
        assert_eq!(ModularArithmetic.answer(&[2, MINUS, 3, TIMES, 4]), 0);
        assert_eq!(ModularArithmetic.answer(&[4, TIMES, 4, PLUS, 3, TIMES, 2]), 2);
        assert_eq!(ModularArithmetic.answer(&[0, MINUS, 1]), 4);
    }

    #[test]
    fn a_factor_beside_zero_is_no_evidence() {
        let evidence = |tokens: &[u32]| ModularArithmetic.evidence(tokens);
        // In 3 × 0 + 1 another first digit leaves 0; another operator gives 3 + 0 or 3 − 0.
        assert_eq!(evidence(&[3, TIMES, 0, PLUS, 1]), Evidence::Steps(vec![1, 2, 3, 4]));
        assert_eq!(evidence(&[3, PLUS, 1]), Evidence::Span(0..3));
        assert_eq!(evidence(&[0, TIMES, 0]), Evidence::Steps(vec![2]));
    }

    #[test]
    fn even_lengths_count_as_the_odd_one_below() {
        assert_eq!([0, 1, 2, 3, 40, 41].map(|length| ModularArithmetic.steps(length)), [1, 1, 1, 3, 39, 41]);
    }

    #[test]
    fn answers_have_their_probabilities() {
        for steps in [1, 3, 9] {
            assert_answers_have_their_probabilities(&ModularArithmetic, steps);
        }
        let many = ModularArithmetic.answers(39);
        assert!(many.iter().all(|p| (p - 0.2).abs() < 1e-4), "{many:?}");
    }

    #[test]
    fn the_first_batches_never_change() {
        let task = Strings { language: ModularArithmetic, length: 40, test_length: 0 };
        assert_eq!(
            golden::first_batches(&task),
            [
                "4fb59d2da6695a86e79a116f4ed20459964f51a2060c77d25e4e2caab5fcf689",
                "bdb48bd976c6cb2006ace2e4bbcf09ea1815da31dd9b775e18db6ce2c17e86ea"
            ]
        );
    }
}
