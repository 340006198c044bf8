//! Which of our numbers stands beside a published one.

use super::{Agreement, OurMetric, Ours, Published, PublishedResult, agreement};
use crate::statistics::Estimate;
use crate::summary::{AccuracyGroup, Setting, Summary};
use serde::Serialize;

/// A published number, ours, and whether they agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside<'a> {
    /// The published number.
    pub result: &'a PublishedResult,
    /// Ours; none where nothing was measured, or more than one setting fits.
    pub ours: Option<Measured>,
    /// Settings that fit. More than one is a fault of the file, which must then name a coordinate.
    pub fitting: usize,
    /// Whether they agree.
    pub agreement: Agreement,
}

/// Our number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Where it was measured.
    pub setting: Setting,
    /// Its value over seeds.
    pub value: Estimate,
    /// Runs that diverged, which have no value.
    pub diverged: usize,
}

/// Every published number, in the order of the file, with what the cells behind `summary` say.
pub fn beside<'a>(published: &'a Published, summary: &Summary) -> Vec<Beside<'a>> {
    published.results.iter().map(|result| one(published, result, summary)).collect()
}

fn one<'a>(published: &Published, result: &'a PublishedResult, summary: &Summary) -> Beside<'a> {
    let fits = |ours: &Ours| -> Vec<&AccuracyGroup> {
        summary.accuracy.iter().filter(|group| fits(ours, &result.task, &group.setting)).collect()
    };
    let fitting = result.ours.as_ref().map(fits).unwrap_or_default();
    let measured = match (&result.ours, &fitting[..]) {
        (Some(ours), [group]) => measured(ours, group, summary),
        _ => None,
    };
    let agreement = match (result.expected, &measured) {
        (Some(expected), Some(own)) => {
            agreement(expected, result.reported, &own.value, own.diverged, published.tolerance)
        }
        _ => Agreement::NotTried,
    };
    Beside { result, ours: measured, fitting: fitting.len(), agreement }
}

fn fits(ours: &Ours, task: &str, setting: &Setting) -> bool {
    let coordinate = |(key, value): (&String, &serde_json::Value)| {
        setting.coordinates.iter().any(|own| names(key, &own.key) && own.value == *value)
    };
    setting.experiment == ours.experiment
        && setting.task == task
        && setting.architecture == ours.architecture
        && ours.coordinates.iter().all(coordinate)
}

/// Whether a key is a coordinate's, or its last word.
fn names(key: &str, own: &str) -> bool {
    own == key || own.rsplit('.').next() == Some(key)
}

fn measured(ours: &Ours, group: &AccuracyGroup, summary: &Summary) -> Option<Measured> {
    // A task that is known by a loss has no share to compare.
    if group.metric != OurMetric::Accuracy.name() {
        return None;
    }
    let at = |length: u64| {
        let curve = summary.length_curves.iter().find(|curve| curve.setting == group.setting)?;
        curve.points.iter().find(|point| point.length == length).map(|point| point.value.clone())
    };
    let value = match (ours.metric, ours.length) {
        (OurMetric::Accuracy, Some(length)) if Some(length) != group.length => at(length)?,
        (OurMetric::Accuracy, _) => group.value.clone(),
        (OurMetric::ExactMatch, _) => group.exact_match.clone(),
        (OurMetric::Extrapolation, _) => group.extrapolation.clone(),
    };
    let diverged = group.counts.diverged;
    (value.n + diverged > 0).then(|| Measured { setting: group.setting.clone(), value, diverged })
}
