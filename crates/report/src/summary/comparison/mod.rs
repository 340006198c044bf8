//! Two results of the same experiment, setting by setting and overall: what got better, what got worse, and what the seeds
//! do not tell apart.
//!
//! Scores and divergences are tested exactly and corrected together (Holm), so that a comparison of two equal programs finds
//! any difference with a probability of at most α, however many settings it has. Where the same seeds gave the same bits
//! there is nothing to test: such rows are identical and no part of the family.
//!
//! Times are a family of their own, at the same α. They answer another question, and there may be a hundred of them: in one
//! family they would leave no score a p that a handful of seeds can reach. Of two builds that compute the same, which is what
//! times are compared for, all scores are identical, and α is that of the whole comparison.
//!
//! Gradients are held against each other cell by cell, without a test.

mod gradients;
mod overall;
mod pairs;
mod score;
mod time;

pub use gradients::ProfileChange;
pub use overall::Overall;
pub use pairs::Unmatched;
pub use score::{DivergedChange, ScoreChange};
pub use time::TimeChange;

use super::summarise;
use crate::statistics::holm;
use seqbench_record::CellFiles;
use serde::Serialize;

/// What a row of a comparison shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The same seeds gave the same bits.
    Identical,
    /// The second is shown to be better.
    Better,
    /// The second is shown to be worse: a regression.
    Worse,
    /// Neither is shown. That is not to say that they are the same.
    NoDifference,
}

impl Finding {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference shown",
        }
    }
}

/// From where on something counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Largest adjusted p that shows a difference of scores, and of times.
    pub alpha: f64,
    /// Share by which a time must be shown to be longer or shorter: what is tested is that the ratio lies beyond 1 + this or
    /// 1/(1 + this).
    pub time: f64,
}

impl Default for Limits {
    /// α is 0.05. Times count from 5 % on: two builds of one source lay up to some per cent apart where code and data came to
    /// lie elsewhere (Mytkowicz et al. 2009), which is no doing of an architecture.
    fn default() -> Self {
        Self { alpha: 0.05, time: 0.05 }
    }
}

/// Two results side by side. Differences are the second minus the first, ratios the second over the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Scores of every setting that both have, in the order of the first.
    pub scores: Vec<ScoreChange>,
    /// Divergences of every setting of which any run diverged.
    pub diverged: Vec<DivergedChange>,
    /// All settings together; none below two that can be scaled alike.
    pub overall: Option<Overall>,
    /// Times that both have.
    pub times: Vec<TimeChange>,
    /// Gradients that both have.
    pub profiles: Vec<ProfileChange>,
    /// What only the first has.
    pub only_first: Vec<Unmatched>,
    /// What only the second has.
    pub only_second: Vec<Unmatched>,
    /// Number of tests of scores and divergences that were corrected together.
    pub family: usize,
    /// Number of tests of times that were corrected together.
    pub times_family: usize,
    /// Of those, how many have so few seeds that none of their outcomes could be shown in a family of this size.
    pub silent: usize,
    /// What counted.
    pub limits: Limits,
}

impl Comparison {
    /// Whether any row, overall included, is shown to be worse.
    pub fn regressed(&self) -> bool {
        self.findings().any(|finding| finding == Finding::Worse)
    }

    /// What all rows show.
    pub fn findings(&self) -> impl Iterator<Item = Finding> {
        let scores = self.scores.iter().map(|row| row.finding);
        let diverged = self.diverged.iter().map(|row| row.finding);
        let overall = self.overall.iter().map(|row| row.finding);
        scores.chain(diverged).chain(overall).chain(self.times.iter().map(|row| row.finding))
    }

    /// Whether nothing of the two results could be compared.
    pub fn is_empty(&self) -> bool {
        self.findings().next().is_none() && self.profiles.is_empty()
    }
}

/// A test on its way through the correction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Correction {
    /// p of the test as it is; none where there was nothing to test.
    pub p: Option<f64>,
    /// p after Holm's correction over the comparison.
    pub adjusted: Option<f64>,
    /// The smallest p that so many seeds could have given.
    pub smallest: Option<f64>,
}

impl Correction {
    /// Neither corrected yet.
    fn of(p: Option<f64>, smallest: f64) -> Self {
        Self { p, adjusted: None, smallest: p.map(|_| smallest) }
    }

    /// What it shows of a change, of which more may be better.
    fn finding(self, change: Option<f64>, more_is_better: bool, alpha: f64) -> Finding {
        match (self.adjusted, change) {
            (Some(adjusted), Some(change)) if adjusted <= alpha && change != 0.0 => {
                if (change > 0.0) == more_is_better { Finding::Better } else { Finding::Worse }
            }
            _ => Finding::NoDifference,
        }
    }
}

/// Compares two results: settings of the same labels (model, task, coordinates), whatever the identities of their cells.
/// Experiments count by name where either result holds several.
pub fn compare(first: &[CellFiles], second: &[CellFiles], limits: Limits) -> Comparison {
    let (a, b) = (summarise(first), summarise(second));
    let pairs = pairs::scores(&a.accuracy, &b.accuracy);
    let mut scores: Vec<ScoreChange> =
        pairs.matched.iter().map(|pair| score::change(pair, first, second)).collect();
    let mut diverged: Vec<DivergedChange> = pairs.matched.iter().filter_map(score::diverged).collect();
    let mut overall = overall::overall(&pairs.matched);
    let mut times = time::times(&a, &b, limits.time);

    let corrections = scores.iter_mut().map(|row| &mut row.test);
    let corrections = corrections.chain(diverged.iter_mut().map(|row| &mut row.test));
    let (family, silent) =
        correct(corrections.chain(overall.iter_mut().map(|row| &mut row.test)).collect(), limits.alpha);
    let (times_family, _) = correct(times.iter_mut().map(|row| &mut row.test).collect(), limits.alpha);
    times.iter_mut().for_each(|row| row.conclude(limits.alpha));
    scores.iter_mut().for_each(|row| row.conclude(limits.alpha));
    diverged.iter_mut().for_each(|row| row.conclude(limits.alpha));
    overall.iter_mut().for_each(|row| row.conclude(limits.alpha));
    Comparison {
        scores,
        diverged,
        overall,
        only_first: [pairs.only_first, time::only(&a, &times)].concat(),
        only_second: [pairs.only_second, time::only(&b, &times)].concat(),
        times,
        profiles: gradients::profiles(first, second),
        family,
        times_family,
        silent,
        limits,
    }
}

/// Corrects the tests there are; their number, and how many could show nothing in a family of that size.
fn correct(tests: Vec<&mut Correction>, alpha: f64) -> (usize, usize) {
    let mut tests: Vec<_> = tests.into_iter().filter(|test| test.p.is_some()).collect();
    let p: Vec<f64> = tests.iter().filter_map(|test| test.p).collect();
    for (test, adjusted) in tests.iter_mut().zip(holm(&p)) {
        test.adjusted = Some(adjusted);
    }
    let is_silent = |test: &&Correction| test.smallest.is_some_and(|own| own * p.len() as f64 > alpha);
    (p.len(), tests.iter().map(|test| &**test).filter(is_silent).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correction_is_over_what_was_tested() {
        let mut tests =
            [Correction::of(Some(0.01), 0.001), Correction::of(None, 0.001), Correction::of(Some(0.5), 0.1)];
        assert_eq!(correct(tests.iter_mut().collect(), 0.05), (2, 1));
        assert_eq!(tests.map(|test| test.adjusted), [Some(0.02), None, Some(0.5)]);
        assert_eq!(tests[0].finding(Some(-1.0), true, 0.05), Finding::Worse);
        assert_eq!(tests[0].finding(Some(-1.0), false, 0.05), Finding::Better);
        assert_eq!(tests[0].finding(Some(-1.0), false, 0.01), Finding::NoDifference);
        assert_eq!(tests[1].finding(Some(-1.0), false, 0.05), Finding::NoDifference);
    }

    #[test]
    fn nothing_against_nothing_is_empty() {
        let none = compare(&[], &[], Limits::default());
        assert!(none.is_empty() && !none.regressed());
    }
}
