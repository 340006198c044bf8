//! Accuracy inside one model: against the lag of the scored position, and against the length evaluated.

use super::Setting;
use super::accuracy::{done, lengths, over_seeds, primary_length, primary_metric, references, test_rows};
use crate::statistics::{Estimate, SeedValue};
use seqbench_record::CellFiles;
use serde::Serialize;
use std::collections::BTreeMap;

/// Accuracy against lag inside one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LagCurve {
    /// The setting.
    pub setting: Setting,
    /// The metric.
    pub metric: String,
    /// Nominal length evaluated.
    pub length: u64,
    /// What chance reaches.
    pub chance: Option<f64>,
    /// By rising lag.
    pub points: Vec<LagPoint>,
}

/// One lag of a [`LagCurve`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LagPoint {
    /// Steps from the evidence to the scored position; the upper end of a band.
    pub lag: u64,
    /// Its value over seeds.
    pub value: Estimate,
    /// Scored positions behind it, over all seeds.
    pub positions: u64,
}

/// Accuracy against the length evaluated inside one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LengthCurve {
    /// The setting.
    pub setting: Setting,
    /// The metric.
    pub metric: String,
    /// The length that the setting is trained for and compared at.
    pub primary: u64,
    /// What chance reaches.
    pub chance: Option<f64>,
    /// By rising length, two or more.
    pub points: Vec<LengthPoint>,
}

/// One length of a [`LengthCurve`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LengthPoint {
    /// Nominal length evaluated.
    pub length: u64,
    /// Its value over seeds, all lags together.
    pub value: Estimate,
}

/// The lag curve of a setting; none where no position has a lag.
pub(crate) fn lag_curve(setting: &Setting, cells: &[&CellFiles]) -> Option<LagCurve> {
    let metric = primary_metric(cells)?;
    let length = primary_length(cells, &metric)?;
    let mut points: BTreeMap<u64, (Vec<SeedValue>, u64)> = BTreeMap::new();
    for files in done(cells) {
        for row in test_rows(files, &metric).filter(|row| row.length == length) {
            if let Some(lag) = row.lag {
                let (values, positions) = points.entry(lag).or_default();
                values.push(SeedValue { seed: files.cell.labels.seed, value: row.value });
                *positions += row.n;
            }
        }
    }
    let points: Vec<_> = points
        .into_iter()
        .map(|(lag, (values, positions))| LagPoint { lag, value: Estimate::new(values), positions })
        .collect();
    let chance = chance(cells, &metric);
    (!points.is_empty()).then(|| LagCurve { setting: setting.clone(), metric, length, chance, points })
}

/// The length curve of a setting; none where one length was evaluated.
pub(crate) fn length_curve(setting: &Setting, cells: &[&CellFiles]) -> Option<LengthCurve> {
    let metric = primary_metric(cells)?;
    let primary = primary_length(cells, &metric)?;
    let points: Vec<_> = lengths(cells, &metric)
        .into_iter()
        .map(|length| LengthPoint { length, value: over_seeds(cells, &metric, Some(length)) })
        .collect();
    let chance = chance(cells, &metric);
    (points.len() > 1).then(|| LengthCurve { setting: setting.clone(), metric, primary, chance, points })
}

fn chance(cells: &[&CellFiles], metric: &str) -> Option<f64> {
    references(cells)
        .into_iter()
        .find(|reference| reference.name == "chance" && reference.metric == metric)
        .map(|reference| reference.value)
}
