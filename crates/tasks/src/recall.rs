//! `recall`: multi-query associative recall (MQAR). Look up the values of keys shown before.
//!
//! # Source
//! Arora et al. 2023, *Zoology: Measuring and Improving Recall in Efficient Language Models*, section 4 and
//! appendix; the code is `zoology` (`multiquery_ar`).
//!
//! # Definition
//! N pairs key, value: distinct keys uniform from [1..V/2 − 1], distinct values uniform from [V/2..V − 1]. Then L − 2N
//! steps of which every second one, the first included, is a slot: (L − 2N)/2 slots. N slots are drawn without
//! replacement with p(i) ∝ i^(a−1) for slot i = 1, 2, …, a = 0.01, which favours early ones as natural text does;
//! each key stands in one of them and asks for its value at that very step. All other steps are filler: 0, or with
//! `filler = "random"` uniform over the vocabulary.
//!
//! # Shapes
//! Symbols `[batch, L]` of V, targets `[batch, L]` of V classes, meaningful at the queries alone.
//!
//! # Example
//! V = 16, N = 2, L = 10: `3 12 5 9 | 5 0 0 0 3 0` → `· · · · 9 · · · 12 ·`.
//!
//! # Lag
//! Steps from the query back to its key. The evidence is that key, its value and the query itself.
//!
//! # Chance
//! Accuracy 1/(V − V/2), that is 2/V for an even V, for a guess among all values; 1/N for a guess among the values
//! seen here, which takes no association of keys and values.
//!
//! # Oracle
//! The value after the first occurrence of the queried key among the N pairs.
//!
//! # Deviations
//! The published code gives the j-th drawn slot to the j-th pair. Early draws are early slots, so that the place of
//! a query gives away its pair. Here the slots are shuffled over the keys; `slots = "published"` keeps the leak.
//!
//! # Errors
//! An odd `length`, `length` < 4·`pairs`, `vocab` ≤ `length`, no `pairs`, or sizes beyond what fits a machine.

use crate::checks::{self, MAX_SYMBOLS};
use crate::sequences::{Sequences, answer_rows};
use crate::weighted::Weighted;
use seqbench_core::{
    Batch, Error, Evidence, Generated, InputKind, Inputs, Instance, OutputKind, Reference, Result, Signature,
    Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct Recall;

/// Settings of `recall`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// L, the steps of a sequence.
    pub length: usize,
    /// N, the pairs of a key and a value, each queried once.
    pub pairs: usize,
    /// V, the symbols: one filler, keys below the half, values from there.
    pub vocab: usize,
    /// Which key gets which slot.
    pub slots: Slots,
    /// What stands at the steps that are neither pair nor query.
    pub filler: Filler,
}

impl Default for Config {
    fn default() -> Self {
        Config { length: 64, pairs: 8, vocab: 128, slots: Slots::Shuffled, filler: Filler::Zero }
    }
}

/// How the drawn slots are given to the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slots {
    /// In random order.
    Shuffled,
    /// The j-th drawn to the j-th pair, as in the published code: the place of a query gives away its pair.
    Published,
}

/// Symbols of the steps in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filler {
    /// Symbol 0, which is neither key nor value.
    Zero,
    /// Uniform over the vocabulary, keys and values included.
    Random,
}

/// The `a` of p(i) ∝ i^(a−1).
const POWER: f64 = 0.01;

impl Task for Recall {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "recall",
            title: "Associative recall",
            summary: "Look up the values of N keys, asked for at varying distances.",
            separates: "Content-based lookup: what is needed is known only when the query comes.",
            citation: "Arora et al. 2023, Zoology: Measuring and Improving Recall in Efficient Language Models",
            deviations: &[
                "Slots are shuffled over the keys: the published assignment leaks the pair through the place.",
            ],
            length_key: Some("length"),
            documentation: include_str!("recall.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        let Config { length, pairs, vocab, .. } = *config;
        checks::at_least("pairs", pairs, 1, "there must be something to look up")?;
        checks::at_most("pairs", pairs, MAX_SYMBOLS / 4)?;
        checks::at_most("length", length, MAX_SYMBOLS - 1)?;
        if length % 2 != 0 {
            let even = length + 1;
            let message = format!("`length` = {length} is odd: slots are two steps apart; use {even}");
            return Err(Error::invalid(message));
        }
        if length < 4 * pairs {
            return Err(Error::invalid(format!(
                "`pairs` = {pairs} needs `length` ≥ {}, but it is {length}: every pair takes two steps and its \
                 query two more",
                4 * pairs
            )));
        }
        if vocab <= length {
            return Err(Error::invalid(format!(
                "`vocab` = {vocab} is too small: the task asks for more symbols than steps; use {} or more, or a \
                 shorter `length`",
                length + 1
            )));
        }
        checks::at_most("vocab", vocab, MAX_SYMBOLS)?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Config {
    fn values(&self) -> usize {
        self.vocab - self.vocab / 2
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(self.vocab), output: OutputKind::Classes(self.vocab) }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    /// An odd length counts as the even one below, and less than 4N as 4N.
    fn steps(&self, length: usize) -> usize {
        (length & !1).max(4 * self.pairs)
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let (time, pairs, half) = (self.steps(length), self.pairs, self.vocab / 2);
        let context = 2 * pairs;
        let slots = (time - context) / 2;
        let mut weighted = Weighted::new((1..slots + 1).map(|i| libm::pow(i as f64, POWER - 1.0)));
        let mut drawn = Vec::with_capacity(pairs);
        // (slot, pair), in the order of the slots.
        let mut queries = Vec::with_capacity(pairs);
        let mut keys = Deck::new(1..half as u32);
        let mut values = Deck::new(half as u32..self.vocab as u32);
        let mut sequences = Sequences::new(batch, time, 0, pairs);
        for row in 0..batch {
            let tokens = sequences.row(row);
            if self.filler == Filler::Random {
                tokens[context..].fill_with(|| rng.below(self.vocab) as u32);
            }
            keys.deal(rng, pairs);
            values.deal(rng, pairs);
            weighted.draw(rng, pairs, &mut drawn);
            if self.slots == Slots::Shuffled {
                rng.shuffle(&mut drawn);
            }
            for pair in 0..pairs {
                tokens[2 * pair] = keys.cards[pair];
                tokens[2 * pair + 1] = values.cards[pair];
                tokens[context + 2 * drawn[pair]] = keys.cards[pair];
            }
            queries.clear();
            queries.extend(drawn.iter().copied().zip(0..pairs));
            queries.sort_unstable();
            for (slot, pair) in &queries {
                let (key, query) = (2 * *pair as u32, context + 2 * slot);
                let evidence = Evidence::Steps(vec![key, key + 1, query as u32]);
                sequences.score(row, query, values.cards[*pair], evidence);
            }
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        let mut table = vec![0; self.vocab];
        answer_rows(inputs, lengths, |tokens, answers| {
            table.fill(0);
            let context = (2 * self.pairs).min(tokens.len());
            // Backwards, so that of two equal keys the first one counts.
            for pair in tokens[..context].chunks_exact(2).rev() {
                if let Some(value) = table.get_mut(pair[0] as usize) {
                    *value = pair[1];
                }
            }
            for (answer, token) in answers.iter_mut().zip(tokens).skip(context) {
                *answer = table.get(*token as usize).copied().unwrap_or(0);
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        let (values, pairs) = (self.values() as f64, self.pairs as f64);
        vec![
            Reference { name: "chance", metric: "accuracy", value: 1.0 / values },
            Reference { name: "seen-here", metric: "accuracy", value: 1.0 / pairs },
            Reference { name: "chance", metric: "loss_nats", value: libm::log(values) },
            Reference { name: "seen-here", metric: "loss_nats", value: libm::log(pairs) },
        ]
    }
}

/// Symbols of which some are dealt, distinct and in random order. Dealing shuffles only as far as it deals, so
/// its cost does not depend on the size of the vocabulary.
struct Deck {
    cards: Vec<u32>,
}

impl Deck {
    fn new(symbols: std::ops::Range<u32>) -> Self {
        Deck { cards: symbols.collect() }
    }

    /// Brings `count` random cards to the front.
    fn deal(&mut self, rng: &mut Stream, count: usize) {
        for i in 0..count {
            let other = rng.between(i, self.cards.len() - 1);
            self.cards.swap(i, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::{InputData, Purpose};

    fn sample(config: &Config, rows: usize, purpose: Purpose) -> (Vec<u32>, Batch) {
        let batch = config.sample(&mut Stream::new(0, purpose, 0), rows, config.length);
        let InputData::Tokens(tokens) = batch.inputs.data.clone() else { panic!("symbols") };
        (tokens, batch)
    }

    #[test]
    fn pairs_are_distinct_in_range_and_each_is_queried_once() {
        let config = Config { length: 16, pairs: 4, vocab: 17, ..Config::default() };
        let (tokens, batch) = sample(&config, 200, Purpose::Train);
        for (row, tokens) in tokens.chunks(16).enumerate() {
            let mut keys: Vec<u32> = tokens[..8].iter().copied().step_by(2).collect();
            let mut values: Vec<u32> = tokens[1..8].iter().copied().step_by(2).collect();
            let mut asked: Vec<u32> = tokens[8..].iter().copied().filter(|token| *token != 0).collect();
            for list in [&mut keys, &mut values, &mut asked] {
                list.sort_unstable();
            }
            assert_eq!(keys, asked);
            keys.dedup();
            values.dedup();
            assert!(keys.len() == 4 && keys.iter().all(|key| (1..8).contains(key)));
            assert!(values.len() == 4 && values.iter().all(|value| (8..17).contains(value)));
            assert!(tokens[8..].iter().skip(1).step_by(2).all(|token| *token == 0));
            assert_eq!(batch.scored.iter().filter(|scored| scored.row as usize == row).count(), 4);
        }
    }

    /// Accuracy of the best predictor that sees nothing but the step of a query: from 4,000 sequences it learns
    /// which pair is asked for there most often, and it is measured on 4,000 others.
    fn by_position(slots: Slots) -> f64 {
        let config = Config { length: 64, pairs: 4, vocab: 128, slots, filler: Filler::Zero };
        let asked = |purpose| -> Vec<(usize, usize)> {
            let (_, batch) = sample(&config, 4000, purpose);
            let pair = |evidence: &Evidence| match evidence {
                Evidence::Steps(steps) => steps[0] as usize / 2,
                Evidence::Span(_) => panic!("steps"),
            };
            batch.scored.iter().map(|scored| (scored.step as usize, pair(&scored.evidence))).collect()
        };
        let mut counts = vec![[0u32; 4]; 64];
        for (step, pair) in asked(Purpose::Train) {
            counts[step][pair] += 1;
        }
        let test = asked(Purpose::Test);
        let right = test
            .iter()
            .filter(|(step, pair)| (0..4).max_by_key(|candidate| counts[*step][*candidate]) == Some(*pair));
        right.count() as f64 / test.len() as f64
    }

    #[test]
    fn the_place_of_a_query_tells_nothing_unless_published() {
        // 16,000 queries: the binomial deviation is 0.0034.
        let shuffled = by_position(Slots::Shuffled);
        assert!((shuffled - 0.25).abs() < 0.02, "{shuffled}");
        let published = by_position(Slots::Published);
        assert!(published > 0.27, "{published}");
    }

    #[test]
    fn random_filler_covers_the_vocabulary_and_changes_no_answer() {
        let config = Config { length: 32, pairs: 4, vocab: 64, filler: Filler::Random, ..Config::default() };
        let (tokens, batch) = sample(&config, 400, Purpose::Train);
        let seen: std::collections::BTreeSet<u32> =
            tokens.chunks(32).flat_map(|row| row[8..].iter().copied()).collect();
        assert_eq!(seen.len(), 64);
        let (Targets::Classes(expected), Targets::Classes(found)) =
            (&batch.targets, config.oracle(&batch.inputs, &batch.lengths))
        else {
            panic!("classes")
        };
        assert!(
            batch
                .scored_steps()
                .iter()
                .all(|(row, step)| { expected[row * 32 + step] == found[row * 32 + step] })
        );
    }

    #[test]
    fn early_slots_are_asked_more_often() {
        let (_, batch) = sample(&Config::default(), 1000, Purpose::Train);
        let asked = |step: u32| batch.scored.iter().filter(|scored| scored.step == step).count();
        assert!(asked(16) > 900 && asked(16) > 2 * asked(62), "{} {}", asked(16), asked(62));
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "d72ff4cadd5f3cc236542ed46fc71a197c28a2f775ab79a1244fcb776f77fb57",
                "6beeae75c989269999dfe0707aa0f5e6908f6602c4436a3b61dac963f433ea66"
            ]
        );
    }
}
