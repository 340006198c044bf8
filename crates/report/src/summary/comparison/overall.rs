//! All settings of two results together.

use super::pairs::Pair;
use super::score::without_score;
use super::{Correction, Finding};
use crate::statistics::{
    Alternative, Interval, LEVEL, RESAMPLES, interquartile_mean, stratified_difference, stratified_interval,
    stratified_permutation,
};
use crate::summary::AccuracyGroup;
use serde::Serialize;

/// Seed of what is drawn: one for all, so that a comparison is a function of the results.
const SEED: u64 = 2021;

/// Interquartile means over all runs of all settings, scaled: 0 is chance or the best trivial predictor, 1 perfection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overall {
    /// Settings it is of.
    pub settings: usize,
    /// Settings left out, for want of a chance, a trivial predictor or a value.
    pub left_out: usize,
    /// Of the first.
    pub first: f64,
    /// Its interval by stratified bootstrap.
    pub first_interval: Option<Interval>,
    /// Of the second.
    pub second: f64,
    /// Its interval.
    pub second_interval: Option<Interval>,
    /// The second minus the first.
    pub difference: f64,
    /// Interval of the difference, by stratified bootstrap of either. For reading: the finding is the test's.
    pub interval: Option<Interval>,
    /// The test that deals the runs of each setting out anew to both results, two-sided; no p where all are identical.
    pub test: Correction,
    /// What it shows.
    pub finding: Finding,
}

impl Overall {
    pub(super) fn conclude(&mut self, alpha: f64) {
        if self.finding != Finding::Identical {
            self.finding = self.test.finding(Some(self.difference), true, alpha);
        }
    }
}

/// None below two settings that can be scaled alike.
pub(super) fn overall(pairs: &[Pair<'_>]) -> Option<Overall> {
    let scaled: Vec<(Vec<f64>, Vec<f64>)> = pairs.iter().filter_map(both_scaled).collect();
    let settings = scaled.len();
    let (a, b): (Vec<_>, Vec<_>) = scaled.into_iter().unzip();
    let (first, second) = (interquartile_mean(&a.concat())?, interquartile_mean(&b.concat())?);
    let identical = bits(&a) == bits(&b);
    let tested = || stratified_permutation(&b, &a, Alternative::TwoSided, RESAMPLES, SEED);
    let p = if identical { None } else { tested().map(|own| own.p) };
    let interval = |of: &[Vec<f64>]| stratified_interval(of, LEVEL, RESAMPLES, SEED);
    (settings > 1).then(|| Overall {
        settings,
        left_out: pairs.len() - settings,
        first,
        first_interval: interval(&a),
        second,
        second_interval: interval(&b),
        difference: second - first,
        interval: stratified_difference(&b, &a, LEVEL, RESAMPLES, SEED),
        test: Correction::of(p, Alternative::TwoSided.sides() / (RESAMPLES as f64 + 1.0)),
        finding: if identical { Finding::Identical } else { Finding::NoDifference },
    })
}

fn both_scaled(pair: &Pair<'_>) -> Option<(Vec<f64>, Vec<f64>)> {
    Some((scaled(pair.first, pair)?, scaled(pair.second, pair)?))
}

/// Every run's score from 0 to 1; a diverged run is worth what guessing is. None where the setting has no scale or no run.
fn scaled(group: &AccuracyGroup, pair: &Pair<'_>) -> Option<Vec<f64>> {
    let trivial = || pair.first.trivial().or(pair.second.trivial()).map(|own| own.value);
    let plain = group.value.values.iter().map(|own| own.value);
    let mut values: Vec<f64> = if group.scaled.n > 0 {
        group.scaled.values.iter().map(|own| own.value).collect()
    } else if group.value.n == 0 {
        Vec::new()
    } else if crate::summary::higher_is_better(&group.metric) {
        return None;
    } else {
        let trivial = trivial().filter(|value| *value > 0.0)?;
        plain.map(|value| 1.0 - value / trivial).collect()
    };
    values.retain(|value| value.is_finite());
    values.extend(std::iter::repeat_n(0.0, without_score(group)));
    (!values.is_empty()).then_some(values)
}

fn bits(tasks: &[Vec<f64>]) -> Vec<Vec<u64>> {
    tasks.iter().map(|task| task.iter().map(|value| value.to_bits()).collect()).collect()
}
