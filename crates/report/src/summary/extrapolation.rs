//! Extrapolation: how a model does on sequences longer than any it was trained on.

use super::{AccuracyGroup, LengthCurve, Reach, Setting, higher_is_better};
use crate::statistics::{Estimate, Success};
use serde::Serialize;

/// Accuracy from which a run extrapolates, averaged over the unseen lengths (Delétang et al. 2023 call a task
/// solved from here on).
pub const EXTRAPOLATES: f64 = 0.90;

/// One setting at lengths beyond the longest trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Extrapolation {
    /// The setting.
    pub setting: Setting,
    /// The metric.
    pub metric: String,
    /// The longest trained length.
    pub trained: u64,
    /// Unseen lengths, rising.
    pub lengths: Vec<u64>,
    /// Mean over the unseen lengths, each weighing the same, over seeds.
    pub value: Estimate,
    /// The same with chance at 0 and perfection at 1; no values for a loss or without chance.
    pub scaled: Estimate,
    /// Value at the longest trained length, over seeds.
    pub at_trained: Estimate,
    /// Runs of at least [`EXTRAPOLATES`] over the unseen lengths, of those done or diverged; none for a loss.
    pub extrapolates: Option<Success>,
    /// The longest length whose mean over seeds is at least [`EXTRAPOLATES`], as at every shorter one evaluated from
    /// the longest trained on; none for a loss.
    pub longest: Option<Reach>,
    /// What chance reaches.
    pub chance: Option<f64>,
}

/// Every setting with scores at unseen lengths.
pub(crate) fn extrapolations(groups: &[AccuracyGroup], curves: &[LengthCurve]) -> Vec<Extrapolation> {
    groups.iter().filter_map(|group| extrapolation(group, curves)).collect()
}

fn extrapolation(group: &AccuracyGroup, curves: &[LengthCurve]) -> Option<Extrapolation> {
    let trained = group.length.filter(|_| !group.beyond.is_empty())?;
    let curve = curves.iter().find(|curve| curve.setting == group.setting);
    let bounded = higher_is_better(&group.metric);
    let k = group.extrapolation.values.iter().filter(|seed| seed.value >= EXTRAPOLATES).count();
    Some(Extrapolation {
        setting: group.setting.clone(),
        metric: group.metric.clone(),
        trained,
        lengths: group.beyond.clone(),
        value: group.extrapolation.clone(),
        scaled: group.scaled(&group.extrapolation),
        at_trained: group.value.clone(),
        extrapolates: bounded.then(|| Success::new(k, group.extrapolation.n + group.counts.diverged)),
        longest: curve.filter(|_| bounded).map(|curve| longest(curve, trained)),
        chance: group.chance(),
    })
}

fn longest(curve: &LengthCurve, trained: u64) -> Reach {
    let mut value = None;
    for point in curve.points.iter().filter(|point| point.length >= trained) {
        // Said so that a mean that is not a number ends it, too.
        if !point.value.mean.is_some_and(|mean| mean >= EXTRAPOLATES) {
            return Reach { value, censored: false };
        }
        value = Some(point.length as f64);
    }
    Reach { value, censored: true }
}
