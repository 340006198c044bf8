//! `adding`: the sum of the two marked numbers of a long sequence.
//!
//! # Source
//! Hochreiter & Schmidhuber 1997, section 5.4, in the form of Arjovsky, Shah & Bengio 2016, section 4.2.
//!
//! # Definition
//! T pairs (value, mark): values uniform on [0, 1), marks 0 but for two ones, the first uniform over the steps
//! below ⌊T/2⌋, the second over the rest. The answer, at the last step, is y = the sum of the two marked values.
//! `markers = "anywhere"` draws two distinct places over the whole sequence instead, as the code of Bai, Kolter &
//! Koltun 2018 and others do.
//!
//! # Shapes
//! Features `[batch, T, 2]`, targets `[batch, T, 1]`, meaningful at the last step alone.
//!
//! # Example
//! T = 4: values `0.5 0.25 0.75 0.125`, marks `0 1 0 1` → 0.375.
//!
//! # Lag
//! T − 1 − the first mark, which varies from sample to sample. The evidence is the two marked steps: changing the
//! value of any other step leaves the answer as it is. The marks are fixed to exactly two, so a mark elsewhere is
//! no legal change.
//!
//! # Chance
//! The constant 1 is the best answer that looks at nothing: mean squared error 2/12 = 0.1667 (the often printed
//! 0.1767 is wrong), and accuracy P(|1 − (a + b)| < 0.04) = 1 − (1 − 0.04)² = 0.0784, since a + b has the density
//! 1 − |s − 1| on [0, 2].
//!
//! # Oracle
//! The sum of the values whose mark is 1.
//!
//! # Deviations
//! Values have 24 random bits, so that they are exact in single precision. Accuracy within 0.04 is the criterion of
//! Hochreiter & Schmidhuber; the mean squared error is what is trained.
//!
//! # Errors
//! `length` below 2, or beyond what fits a machine.

use crate::checks::{self, MAX_STEPS};
use seqbench_core::{
    Batch, Evidence, Generated, InputData, InputKind, Inputs, Instance, OutputKind, Reference, Result,
    Scored, Signature, Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct Adding;

/// Settings of `adding`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// T, the steps of a sequence.
    pub length: usize,
    /// Where the two marks may stand.
    pub markers: Markers,
}

impl Default for Config {
    fn default() -> Self {
        Config { length: 100, markers: Markers::Halves }
    }
}

/// Places of the two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Markers {
    /// One in each half.
    Halves,
    /// Two distinct steps of the whole sequence.
    Anywhere,
}

/// Largest absolute error of a right answer.
const TOLERANCE: f64 = 0.04;

impl Task for Adding {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "adding",
            title: "Adding",
            summary: "Add the two marked numbers of a sequence of T.",
            separates: "Whether real values, not only symbols, are held over a distance that varies.",
            citation: "Hochreiter & Schmidhuber 1997; Arjovsky, Shah & Bengio 2016",
            deviations: &["Values have 24 random bits, so that they are exact in single precision."],
            length_key: Some("length"),
            documentation: include_str!("adding.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        checks::at_least("length", config.length, 2, "two steps are marked")?;
        checks::at_most("length", config.length, MAX_STEPS)?;
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Config {
    /// The two marked steps, in order.
    fn marks(&self, rng: &mut Stream, time: usize) -> (usize, usize) {
        match self.markers {
            Markers::Halves => (rng.below(time / 2), rng.between(time / 2, time - 1)),
            Markers::Anywhere => {
                let (one, other) = (rng.below(time), rng.below(time - 1));
                // The other is drawn from the steps that are left.
                let other = if other >= one { other + 1 } else { other };
                (one.min(other), one.max(other))
            }
        }
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        Signature {
            input: InputKind::Features(2),
            output: OutputKind::Regression { dim: 1, tolerance: TOLERANCE },
        }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    /// A length below 2 counts as 2.
    fn steps(&self, length: usize) -> usize {
        length.max(2)
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let cells = batch * time;
        let mut values = vec![0.0f32; cells * 2];
        let mut targets = vec![0.0f32; cells];
        let mut loss_mask = vec![false; cells];
        let mut scored = Vec::with_capacity(batch);
        for row in 0..batch {
            let (first, second) = self.marks(rng, time);
            let features = &mut values[row * time * 2..(row + 1) * time * 2];
            for pair in features.chunks_exact_mut(2) {
                pair[0] = (rng.bits() >> 8) as f32 / (1u32 << 24) as f32;
            }
            features[2 * first + 1] = 1.0;
            features[2 * second + 1] = 1.0;
            let last = row * time + time - 1;
            targets[last] = features[2 * first] + features[2 * second];
            loss_mask[last] = true;
            scored.push(Scored {
                row: row as u32,
                step: (time - 1) as u32,
                lag: (time - 1 - first) as u32,
                evidence: Evidence::Steps(vec![first as u32, second as u32]),
            });
        }
        Batch {
            inputs: Inputs { batch, time, data: InputData::Features { dim: 2, values } },
            targets: Targets::Values { dim: 1, values: targets },
            loss_mask,
            scored,
            lengths: vec![time; batch],
        }
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        let mut answers = vec![0.0f32; inputs.batch * inputs.time];
        if let InputData::Features { dim: 2, values } = &inputs.data {
            let time = inputs.time.max(1);
            for ((features, answers), length) in
                values.chunks(time * 2).zip(answers.chunks_mut(time)).zip(lengths)
            {
                let pairs = features.chunks_exact(2).take(*length);
                let sum = pairs.filter(|pair| pair[1] == 1.0).map(|pair| pair[0]).sum();
                if let Some(answer) = answers.get_mut(length.wrapping_sub(1)) {
                    *answer = sum;
                }
            }
        }
        Targets::Values { dim: 1, values: answers }
    }

    fn references(&self, _length: usize) -> Vec<Reference> {
        let missed = 1.0 - TOLERANCE;
        vec![
            Reference { name: "chance", metric: "accuracy", value: 1.0 - missed * missed },
            Reference { name: "always-one", metric: "mse", value: 2.0 / 12.0 },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use seqbench_core::Purpose;

    fn marks(config: &Config) -> Vec<(u32, u32)> {
        let batch = config.sample(&mut Stream::new(0, Purpose::Train, 0), 4000, config.length);
        let both = |scored: &Scored| match &scored.evidence {
            Evidence::Steps(steps) => (steps[0], steps[1]),
            Evidence::Span(_) => panic!("steps"),
        };
        batch.scored.iter().map(both).collect()
    }

    #[test]
    fn marks_stand_in_their_halves_and_reach_every_step() {
        let marks = marks(&Config { length: 7, markers: Markers::Halves });
        assert!(marks.iter().all(|(first, second)| *first < 3 && (3..7).contains(second)));
        assert!((0..3).all(|step| marks.iter().any(|mark| mark.0 == step)));
        assert!((3..7).all(|step| marks.iter().any(|mark| mark.1 == step)));
    }

    #[test]
    fn marks_anywhere_are_distinct_and_all_pairs_equally_frequent() {
        let marks = marks(&Config { length: 4, markers: Markers::Anywhere });
        for first in 0..4u32 {
            for second in first + 1..4 {
                let count = marks.iter().filter(|mark| **mark == (first, second)).count();
                assert!((560..780).contains(&count), "{first} {second}: {count}");
            }
        }
        assert!(marks.iter().all(|(first, second)| first < second));
    }

    #[test]
    fn the_first_batches_never_change() {
        assert_eq!(
            golden::first_batches(&Config::default()),
            [
                "bb5fe50ddfb7c877d9fc5b21f007c17d2bc3ccae785bd28eb5aa1a2e97d3615e",
                "887b372c15c126fe9e00873a7e7a521f70e606b8712ef8a50b0639f92eb2555b"
            ]
        );
    }
}
