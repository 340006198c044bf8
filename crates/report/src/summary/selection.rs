//! Selection of a learning rate: what every trial scored on the validation stream, and which rate that chose.

use super::Setting;
use crate::statistics::{Estimate, SeedValue};
use seqbench_record::{CellFiles, Status};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a selection may go by, the first that its trials have.
const METRICS: [&str; 3] = ["bits_per_byte", "accuracy", "mse"];

/// One learning rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The learning rate.
    pub rate: f64,
    /// Score at the end of every trial that has one.
    pub value: Estimate,
    /// Trials, with or without a score.
    pub trials: usize,
    /// Those of them that diverged.
    pub diverged: usize,
}

/// An end of the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Edge {
    /// The smallest.
    Lowest,
    /// The largest.
    Highest,
}

/// The selection of one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selection {
    /// The setting, the same as that of the runs reported.
    pub setting: Setting,
    /// The metric on the validation stream, such as `accuracy`.
    pub metric: String,
    /// By rising rate.
    pub candidates: Vec<Candidate>,
    /// The rate of the runs reported; none before they have run.
    pub chosen: Option<f64>,
    /// The end of the candidates it is, where there are several: a better one may lie beyond.
    pub edge: Option<Edge>,
}

impl Selection {
    /// The candidate chosen.
    pub fn winner(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| Some(candidate.rate) == self.chosen)
    }
}

/// Every selection of which a trial has ended.
pub(crate) fn selections(
    trials: &[(Setting, Vec<&CellFiles>)],
    finals: &[(Setting, Vec<&CellFiles>)],
) -> Vec<Selection> {
    let chosen = |setting: &Setting| {
        let (_, cells) = finals.iter().find(|(own, _)| own == setting)?;
        cells.iter().find_map(|files| files.cell.facts.get("learning_rate").copied())
    };
    trials.iter().filter_map(|(setting, cells)| selection(setting, cells, chosen(setting))).collect()
}

fn selection(setting: &Setting, cells: &[&CellFiles], chosen: Option<f64>) -> Option<Selection> {
    let ended: Vec<&CellFiles> = cells
        .iter()
        .copied()
        .filter(|files| matches!(files.cell.status, Status::Done | Status::Diverged))
        .collect();
    let has = |metric: &&str| ended.iter().any(|files| last(files, metric).is_some());
    let metric = METRICS.into_iter().find(has).unwrap_or("accuracy");
    // Positive numbers stand in the order of their bits.
    let mut rates: BTreeMap<u64, Vec<&CellFiles>> = BTreeMap::new();
    for files in ended {
        if let Some(rate) = rate(files).filter(|rate| *rate > 0.0) {
            rates.entry(rate.to_bits()).or_default().push(files);
        }
    }
    let candidates: Vec<Candidate> =
        rates.into_iter().map(|(bits, cells)| candidate(f64::from_bits(bits), &cells, metric)).collect();
    let (lowest, highest) = (candidates.first()?.rate, candidates.last()?.rate);
    let edge = match chosen {
        _ if candidates.len() < 2 => None,
        Some(rate) if rate == lowest => Some(Edge::Lowest),
        Some(rate) if rate == highest => Some(Edge::Highest),
        _ => None,
    };
    Some(Selection { setting: setting.clone(), metric: metric.into(), candidates, chosen, edge })
}

fn candidate(rate: f64, cells: &[&CellFiles], metric: &str) -> Candidate {
    let value =
        |files: &&CellFiles| Some(SeedValue { seed: files.cell.labels.seed, value: last(files, metric)? });
    let done = cells.iter().copied().filter(|files| files.cell.status == Status::Done);
    Candidate {
        rate,
        value: Estimate::new(done.filter_map(|files| value(&files)).collect()),
        trials: cells.len(),
        diverged: cells.iter().filter(|files| files.cell.status == Status::Diverged).count(),
    }
}

pub(crate) fn rate(files: &CellFiles) -> Option<f64> {
    let stated = files.cell.config.pointer("/train/lr").and_then(serde_json::Value::as_f64);
    stated.or_else(|| files.cell.facts.get("learning_rate").copied())
}

/// The score a trial ended with: its row on the validation stream, else the last point of its curve.
pub(crate) fn last(files: &CellFiles, metric: &str) -> Option<f64> {
    let mut rows = files
        .scores
        .iter()
        .filter(|row| row.split == "validation" && row.metric == metric && row.lag.is_none());
    let scored = rows.next().map(|row| row.value);
    let name = format!("validation_{metric}");
    let curve = || files.curves.iter().filter(|row| row.metric == name).max_by_key(|row| row.step);
    scored.or_else(|| curve().map(|row| row.value)).filter(|value| value.is_finite())
}
