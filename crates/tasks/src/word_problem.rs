//! `word-problem`: the running product of a string of group elements.
//!
//! # Source
//! Merrill, Petty & Sabharwal 2024, *The Illusion of State in State-Space Models*; Liu et al. 2023, *Transformers Learn
//! Shortcuts to Automata*. S5 is complete for NC¹, which a network of fixed depth whose layers are parallel cannot express
//! at every length; Z2 (parity) and S3 are solvable, A5 is the smallest group that is not.
//!
//! # Definition
//! L elements of a group G, each uniform. The answer at every step is the product of all elements so far,
//! `p_t = p_{t−1} · x_t`, where of two permutations the left one is applied first. Training draws one length a batch,
//! uniform on 1..`length`. Evaluation takes `length`, and where `test_length` is set about twenty lengths evenly spaced
//! from `length` + 1 to `test_length`.
//!
//! # Shapes
//! Symbols `[batch, L]` of |G|: 2, 6, 60 or 120; targets of the same shape and as many classes, all meaningful. Elements
//! are numbered in the lexicographic order of their permutations, the identity first.
//!
//! # Example
//! Z2, L = 4: `1 0 1 1` → `1 1 0 1`.
//!
//! # Lag
//! t at step t: the answer depends on every step so far.
//!
//! # Chance
//! Accuracy 1/|G| and ln |G| nats, also for who knows all elements but one.
//!
//! # Oracle
//! Multiplication from left to right.
//!
//! # Deviations
//! None.
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
pub struct WordProblem;

/// Settings of `word-problem`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whose elements are multiplied.
    pub group: Group,
    /// The longest trained length.
    pub length: usize,
    /// The longest length of the extrapolation grid, which starts at `length` + 1; 0 for no grid.
    pub test_length: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { group: Group::S5, length: 32, test_length: 0 }
    }
}

/// A group of permutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The two permutations of two things: parity.
    Z2,
    /// All six permutations of three things: solvable, not commutative.
    S3,
    /// The 60 even permutations of five things: not solvable.
    A5,
    /// All 120 permutations of five things.
    S5,
}

impl Group {
    /// All elements in lexicographic order.
    fn elements(self) -> Vec<Vec<u32>> {
        let things = match self {
            Group::Z2 => 2,
            Group::S3 => 3,
            Group::A5 | Group::S5 => 5,
        };
        let mut elements = permutations(things);
        if self == Group::A5 {
            elements.retain(|element| inversions(element).is_multiple_of(2));
        }
        elements
    }
}

/// All orders of `0..things`, in lexicographic order.
fn permutations(things: u32) -> Vec<Vec<u32>> {
    let mut found = vec![Vec::new()];
    for _ in 0..things {
        let longer = |begun: &Vec<u32>| {
            let begun = begun.clone();
            (0..things).filter(move |next| !begun.contains(next)).collect::<Vec<_>>()
        };
        found = found
            .iter()
            .flat_map(|begun| longer(begun).into_iter().map(|next| [&begun[..], &[next]].concat()))
            .collect();
    }
    found
}

fn inversions(permutation: &[u32]) -> usize {
    let pairs =
        permutation.iter().enumerate().flat_map(|(at, a)| permutation[at + 1..].iter().map(move |b| a > b));
    pairs.filter(|inverted| *inverted).count()
}

/// The group's multiplication table.
struct Multiplication {
    size: usize,
    /// The product of elements a and b, a applied first, at `a · size + b`.
    products: Vec<u32>,
}

impl Multiplication {
    fn new(group: Group) -> Self {
        let elements = group.elements();
        let product = |a: &[u32], b: &[u32]| -> Vec<u32> { a.iter().map(|to| b[*to as usize]).collect() };
        // The elements are sorted, so that a product is found by halving.
        let number = |element: Vec<u32>| elements.binary_search(&element).unwrap_or_default() as u32;
        let pairs = elements.iter().flat_map(|a| elements.iter().map(move |b| (a, b)));
        let products = pairs.map(|(a, b)| number(product(a, b))).collect();
        Multiplication { size: elements.len(), products }
    }

    fn times(&self, a: u32, b: u32) -> u32 {
        self.products[a as usize * self.size + b as usize]
    }
}

struct Words {
    config: Config,
    table: Multiplication,
}

impl Task for WordProblem {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "word-problem",
            title: "Word problem",
            summary: "Give the running product of a string of group elements.",
            separates: "State tracking: of a group that is not solvable, parallel layers of fixed depth cannot keep it.",
            citation: "Merrill, Petty & Sabharwal 2024, The Illusion of State in State-Space Models, ICML",
            deviations: &[],
            length_key: Some("length"),
            documentation: include_str!("word_problem.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        languages::check(config.length, config.test_length, 1, "there must be an element to multiply")?;
        let table = Multiplication::new(config.group);
        Ok(Instance::Generated(Box::new(Words { config: config.clone(), table })))
    }
}

impl Generated for Words {
    fn signature(&self) -> Signature {
        let size = self.table.size;
        Signature { input: InputKind::Tokens(size), output: OutputKind::Classes(size) }
    }

    fn nominal_length(&self) -> usize {
        self.config.length
    }

    fn training_length(&self, rng: &mut Stream) -> usize {
        rng.between(1, self.config.length)
    }

    fn evaluation_lengths(&self) -> Vec<usize> {
        languages::lengths(self.config.length, self.config.test_length)
    }

    /// A length of 0 counts as 1.
    fn steps(&self, length: usize) -> usize {
        length.max(1)
    }

    fn symbols_repeat(&self) -> bool {
        true
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let mut sequences = Sequences::new(batch, time, 0, time);
        for row in 0..batch {
            let mut product = 0;
            for step in 0..time {
                let element = rng.below(self.table.size) as u32;
                product = self.table.times(product, element);
                sequences.row(row)[step] = element;
                sequences.score(row, step, product, Evidence::Span(0..step as u32 + 1));
            }
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            let mut product = 0;
            for (answer, element) in answers.iter_mut().zip(tokens) {
                product = self.table.times(product, *element);
                *answer = product;
            }
        })
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        languages::chance(&vec![1.0 / self.table.size as f64; self.table.size])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;

    const GROUPS: [Group; 4] = [Group::Z2, Group::S3, Group::A5, Group::S5];

    #[test]
    fn they_are_groups_of_their_orders() {
        for (group, order) in GROUPS.into_iter().zip([2, 6, 60, 120]) {
            let table = Multiplication::new(group);
            assert_eq!(table.size, order);
            for a in 0..order as u32 {
                assert_eq!((table.times(0, a), table.times(a, 0)), (a, a), "{group:?}: the identity");
                let mut row: Vec<u32> = (0..order as u32).map(|b| table.times(a, b)).collect();
                row.sort_unstable();
                assert!(row.iter().copied().eq(0..order as u32), "{group:?}: {a} has no inverse");
                for (b, c) in (0..order as u32).flat_map(|b| [(b, 1), (b, order as u32 - 1)]) {
                    let (left, right) =
                        (table.times(table.times(a, b), c), table.times(a, table.times(b, c)));
                    assert_eq!(left, right, "{group:?}: {a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn only_the_smallest_commutes_and_the_left_one_is_applied_first() {
        for group in GROUPS {
            let table = Multiplication::new(group);
            let all = (0..table.size as u32).flat_map(|a| (0..table.size as u32).map(move |b| (a, b)));
            let commutes = all.into_iter().all(|(a, b)| table.times(a, b) == table.times(b, a));
            assert_eq!(commutes, group == Group::Z2);
        }
        // Of three things: first exchange the last two, then the first two: 0 goes to 1, 1 to 2, 2 to 0.
        let elements = Group::S3.elements();
        let of = |permutation: [u32; 3]| {
            elements.iter().position(|element| *element == permutation).unwrap() as u32
        };
        let product = Multiplication::new(Group::S3).times(of([0, 2, 1]), of([1, 0, 2]));
        assert_eq!(product, of([1, 2, 0]));
    }

    #[test]
    fn the_first_batches_never_change() {
        let config = Config::default();
        let table = Multiplication::new(config.group);
        assert_eq!(
            golden::first_batches(&Words { config, table }),
            [
                "19948c0836b2e31b85d521de6e8eb3471373f8b045f607e0b31b10d7ce1081c3",
                "be90ed49a80495122e0f360df8a214467dba099c991339c29abb7d27f85b3cf6"
            ]
        );
    }
}
