//! The change of one setting's score, and of how many of its runs diverged.

use super::pairs::Pair;
use super::{Correction, Finding};
use crate::statistics::{
    Alternative, Estimate, Interval, LEVEL, Success, fisher_exact, mean, newcombe, permutation, smallest_p,
    welch,
};
use crate::summary::{AccuracyGroup, Setting, higher_is_better};
use seqbench_record::{CellFiles, Purpose, rows::to_csv};
use serde::Serialize;

/// The primary metric of one setting in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreChange {
    /// The setting, as the first has it.
    pub setting: Setting,
    /// The metric.
    pub metric: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// Nominal length evaluated.
    pub length: Option<u64>,
    /// Over the seeds of the first.
    pub first: Estimate,
    /// Over the seeds of the second.
    pub second: Estimate,
    /// Difference of the means of what is finite; none where either has no such value.
    pub difference: Option<f64>,
    /// Its [`LEVEL`] interval by Welch's t; none below two seeds of either.
    pub interval: Option<Interval>,
    /// The exact permutation test of the means, two-sided; no p where the values are identical, or there are none.
    pub test: Correction,
    /// Whether all deterministic facts are the same bytes: scores, curves, profiles, spectra, traces, counts and how the cells
    /// ended.
    pub same_facts: bool,
    /// What it shows.
    pub finding: Finding,
}

impl ScoreChange {
    pub(super) fn conclude(&mut self, alpha: f64) {
        if self.finding != Finding::Identical {
            self.finding = self.test.finding(self.difference, self.higher_is_better, alpha);
        }
    }
}

/// Diverged runs of one setting in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DivergedChange {
    /// The setting, as the first has it.
    pub setting: Setting,
    /// Runs of the first that diverged or have a score that is not finite, of those that were done or diverged.
    pub first: Success,
    /// Runs of the second.
    pub second: Success,
    /// Difference of the shares; none where either has no runs.
    pub difference: Option<f64>,
    /// Its [`LEVEL`] interval by Newcombe's method.
    pub interval: Option<Interval>,
    /// Fisher's exact test, two-sided; no p where as many of as many diverged.
    pub test: Correction,
    /// What it shows.
    pub finding: Finding,
}

impl DivergedChange {
    pub(super) fn conclude(&mut self, alpha: f64) {
        self.finding = self.test.finding(self.difference, false, alpha);
    }
}

pub(super) fn change(pair: &Pair<'_>, first: &[CellFiles], second: &[CellFiles]) -> ScoreChange {
    // Of runs that all diverged, the metric is not known.
    let known = if pair.first.value.n > 0 { pair.first } else { pair.second };
    let (a, b) = (values(&pair.first.value), values(&pair.second.value));
    let identical = is_identical(&pair.first.value, &pair.second.value);
    let tested = permutation(&b, &a, 0.0, Alternative::TwoSided).filter(|_| !identical);
    ScoreChange {
        setting: pair.first.setting.clone(),
        metric: known.metric.clone(),
        higher_is_better: higher_is_better(&known.metric),
        length: known.length,
        difference: mean(&b).zip(mean(&a)).map(|(b, a)| b - a),
        interval: welch(&b, &a, LEVEL),
        test: Correction::of(tested.map(|own| own.p), smallest_p(a.len(), b.len(), Alternative::TwoSided)),
        same_facts: facts(first, &pair.first.setting)
            .is_some_and(|own| !own.is_empty() && Some(own) == facts(second, &pair.second.setting)),
        finding: if identical { Finding::Identical } else { Finding::NoDifference },
        first: pair.first.value.clone(),
        second: pair.second.value.clone(),
    }
}

/// The change of divergences; none where no run diverged.
pub(super) fn diverged(pair: &Pair<'_>) -> Option<DivergedChange> {
    let [first, second] = [pair.first, pair.second]
        .map(|group| Success::new(without_score(group), group.counts.diverged + group.counts.done));
    if first.k + second.k == 0 {
        return None;
    }
    let p = fisher_exact(first, second, Alternative::TwoSided).filter(|_| first != second);
    // As far apart as can be: none of the one, all of the other.
    let apart =
        fisher_exact(Success::new(0, first.n), Success::new(second.n, second.n), Alternative::TwoSided);
    Some(DivergedChange {
        setting: pair.first.setting.clone(),
        difference: second.rate().zip(first.rate()).map(|(b, a)| b - a),
        interval: newcombe(second, first, LEVEL),
        test: Correction::of(p, apart.unwrap_or(1.0)),
        finding: Finding::NoDifference,
        first,
        second,
    })
}

/// The scores that a mean can be of.
fn values(estimate: &Estimate) -> Vec<f64> {
    estimate.values.iter().map(|own| own.value).filter(|value| value.is_finite()).collect()
}

/// Runs that diverged, noticed or not: one whose score is not finite did as well.
pub(super) fn without_score(group: &AccuracyGroup) -> usize {
    group.counts.diverged + group.value.n - values(&group.value).len()
}

/// Whether the same seeds have the same bits.
fn is_identical(a: &Estimate, b: &Estimate) -> bool {
    let bits = |own: &Estimate| {
        own.values.iter().map(|own| (own.seed, own.value.to_bits())).collect::<Vec<(u64, u64)>>()
    };
    a.n > 0 && bits(a) == bits(b)
}

/// What of the cells of a setting is the same for the same configuration and binary, by seed; none where a row is none of a
/// CSV file. Identities and configuration are left out, since versions differ in them by name alone.
fn facts(cells: &[CellFiles], setting: &Setting) -> Option<Vec<(u64, String, Vec<Vec<u8>>)>> {
    let own =
        cells.iter().filter(|files| files.cell.purpose == Purpose::Final && Setting::of(files) == *setting);
    let of = |files: &CellFiles| {
        let cell = &files.cell;
        let words = format!("{:?} {:?} {:?} {:?}", cell.status, cell.reason, cell.facts, cell.references);
        let rows = [
            to_csv(&files.scores),
            to_csv(&files.curves),
            to_csv(&files.profiles),
            to_csv(&files.spectra),
            to_csv(&files.traces),
        ];
        let rows: Option<Vec<Vec<u8>>> = rows.into_iter().map(Result::ok).collect();
        Some((cell.labels.seed, words, rows?))
    };
    let mut found: Vec<_> = own.map(of).collect::<Option<_>>()?;
    found.sort();
    Some(found)
}
