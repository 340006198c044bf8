//! Formal languages under one protocol: a string goes in, and its last step asks for one property of the whole.
//!
//! Delétang et al. 2023, *Neural Networks and the Chomsky Hierarchy*: training draws one length a batch, uniform up to
//! the longest trained one; evaluation takes that and, where asked for, about twenty lengths from the next one on, whose
//! mean is the extrapolation score.

use crate::checks::{self, MAX_STEPS};
use crate::grid;
use crate::sequences::{Sequences, answer_rows};
use seqbench_core::{
    Batch, Error, Evidence, Generated, InputKind, Inputs, OutputKind, Reference, Result, Signature, Stream,
    Targets,
};

/// Lengths of the extrapolation grid, at most.
const GRID: usize = 20;

/// The nominal length, and those of the extrapolation grid behind it.
pub(crate) fn lengths(length: usize, test_length: usize) -> Vec<usize> {
    std::iter::once(length).chain(grid::linear(length + 1, test_length, GRID)).collect()
}

/// Checks the two lengths of such a task; `because` says why none is shorter than `least`.
///
/// # Errors
/// One is out of range, or the grid would hold trained lengths alone.
pub(crate) fn check(length: usize, test_length: usize, least: usize, because: &str) -> Result<()> {
    checks::at_least("length", length, least, because)?;
    checks::at_most("length", length, MAX_STEPS)?;
    if test_length != 0 && test_length <= length {
        return Err(Error::invalid(format!(
            "`test_length` = {test_length} holds no length beyond the trained ones: use more than `length` = {length}, \
             or 0 for no extrapolation"
        )));
    }
    checks::at_most("test_length", test_length, MAX_STEPS)
}

/// What is known of a predictor that ignores the string, given the probability of each answer.
pub(crate) fn chance(answers: &[f64]) -> Vec<Reference> {
    let most = answers.iter().copied().fold(0.0, f64::max);
    let surprise = |p: &f64| if *p > 0.0 { -p * libm::log(*p) } else { 0.0 };
    vec![
        Reference { name: "chance", metric: "accuracy", value: most },
        Reference { name: "chance", metric: "loss_nats", value: answers.iter().map(surprise).sum() },
    ]
}

/// A language, or a function of strings.
pub(crate) trait Language: Send + Sync + 'static {
    /// Symbols of its strings.
    const SYMBOLS: usize;
    /// Answers to its question.
    const CLASSES: usize;

    /// Steps of a string of this nominal length; at least 1.
    fn steps(&self, length: usize) -> usize {
        length.max(1)
    }

    /// Draws a string.
    fn write(&self, rng: &mut Stream, tokens: &mut [u32]);

    /// The answer to a string that is not empty.
    fn answer(&self, tokens: &[u32]) -> u32;

    /// The steps that the answer depends on.
    fn evidence(&self, tokens: &[u32]) -> Evidence {
        Evidence::Span(0..tokens.len() as u32)
    }

    /// The probability of each answer over the strings of so many steps.
    fn answers(&self, steps: usize) -> Vec<f64>;
}

/// Uniform bits, 32 of them from a number.
pub(crate) fn bits(rng: &mut Stream, tokens: &mut [u32]) {
    for chunk in tokens.chunks_mut(32) {
        let bits = rng.bits();
        for (i, token) in chunk.iter_mut().enumerate() {
            *token = (bits >> i) & 1;
        }
    }
}

/// The task of a language.
pub(crate) struct Strings<L> {
    pub(crate) language: L,
    pub(crate) length: usize,
    pub(crate) test_length: usize,
}

impl<L: Language> Generated for Strings<L> {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(L::SYMBOLS), output: OutputKind::Classes(L::CLASSES) }
    }

    fn nominal_length(&self) -> usize {
        self.length
    }

    fn training_length(&self, rng: &mut Stream) -> usize {
        rng.between(1, self.length)
    }

    fn evaluation_lengths(&self) -> Vec<usize> {
        lengths(self.length, self.test_length)
    }

    fn steps(&self, length: usize) -> usize {
        self.language.steps(length)
    }

    fn symbols_repeat(&self) -> bool {
        true
    }

    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = self.steps(length);
        let mut sequences = Sequences::new(batch, time, 0, 1);
        for row in 0..batch {
            let tokens = sequences.row(row);
            self.language.write(rng, tokens);
            let (answer, evidence) = (self.language.answer(tokens), self.language.evidence(tokens));
            sequences.score(row, time - 1, answer, evidence);
        }
        sequences.into_batch()
    }

    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        answer_rows(inputs, lengths, |tokens, answers| {
            if let Some(answer) = answers.last_mut() {
                *answer = self.language.answer(tokens);
            }
        })
    }

    fn references(&self, length: usize) -> Vec<Reference> {
        chance(&self.language.answers(self.steps(length)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use seqbench_core::{InputData, Purpose};

    /// Compares the stated probabilities with counts over many strings of so many steps.
    pub(crate) fn assert_answers_have_their_probabilities(language: &impl Language, steps: usize) {
        const STRINGS: usize = 20_000;
        let mut rng = Stream::new(7, Purpose::Fixture, 0);
        let stated = language.answers(steps);
        let mut counts = vec![0usize; stated.len()];
        let mut tokens = vec![0; steps];
        for _ in 0..STRINGS {
            language.write(&mut rng, &mut tokens);
            counts[language.answer(&tokens) as usize] += 1;
        }
        assert!((stated.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for (class, (count, p)) in counts.iter().zip(&stated).enumerate() {
            let found = *count as f64 / STRINGS as f64;
            let bound = 4.5 * (p * (1.0 - p) / STRINGS as f64).sqrt() + 1e-9;
            assert!((found - p).abs() < bound, "{steps} steps, answer {class}: {found}, stated {p}");
        }
    }

    struct First;
    impl Language for First {
        const SYMBOLS: usize = 3;
        const CLASSES: usize = 3;
        fn write(&self, rng: &mut Stream, tokens: &mut [u32]) {
            tokens.fill_with(|| rng.below(3) as u32);
        }
        fn answer(&self, tokens: &[u32]) -> u32 {
            tokens[0]
        }
        fn answers(&self, _: usize) -> Vec<f64> {
            vec![1.0 / 3.0; 3]
        }
    }

    #[test]
    fn every_trained_length_is_drawn_and_no_other() {
        let mut rng = Stream::new(0, Purpose::Train, 0);
        let task = Strings { language: First, length: 4, test_length: 0 };
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| task.training_length(&mut rng)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn the_grid_starts_right_after_the_last_trained_length() {
        assert_eq!(lengths(40, 0), [40]);
        let grid = lengths(40, 500);
        assert_eq!((grid.len(), grid[0], grid[1], grid[20]), (21, 40, 41, 500));
        assert_eq!(lengths(4, 5), [4, 5]);
    }

    #[test]
    fn the_question_is_asked_at_the_last_step() {
        let task = Strings { language: First, length: 4, test_length: 0 };
        let batch = task.sample(&mut Stream::new(0, Purpose::Train, 0), 3, 2);
        let InputData::Tokens(tokens) = &batch.inputs.data else { panic!("symbols") };
        assert_eq!(batch.scored_steps(), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(batch.targets, Targets::Classes(vec![0, tokens[0], 0, tokens[2], 0, tokens[4]]));
    }

    #[test]
    fn chance_is_the_most_frequent_answer_and_the_entropy() {
        let found = chance(&[0.5, 0.25, 0.25, 0.0]);
        assert_eq!(found[0].value, 0.5);
        assert!((found[1].value - 1.5 * std::f64::consts::LN_2).abs() < 1e-15);
    }
}
