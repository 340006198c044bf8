//! Accuracy of a setting over its seeds.

use super::Setting;
use super::training::{Selected, Stop, median_steps, selected, solved_after, stop};
use crate::statistics::{Estimate, MedianTime, SeedValue, Success, mean};
use seqbench_record::{CellFiles, Reference, ScoreRow, Status};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Accuracy from which a run counts as solved, where neither the fact `solved_threshold` nor `measure.solved`
/// of the configuration says otherwise.
pub const DEFAULT_SOLVED: f64 = 0.95;

/// The metric that has a chance, a perfect value and a threshold.
const ACCURACY: &str = "accuracy";

/// Metrics that stand for a task, the first that was scored. Text is known by its bits per byte: the share of bytes
/// guessed right says little of a model of it.
const PRIMARY: [&str; 5] = ["bits_per_byte", ACCURACY, "mse", "loss_nats", "loss"];

/// Whether more of a metric is better; all others are losses.
pub fn higher_is_better(metric: &str) -> bool {
    metric.ends_with("accuracy") || metric == "exact_match"
}

/// A metric in words: `bits per byte`.
pub fn metric_name(metric: &str) -> String {
    match metric {
        "mse" => "mean squared error".into(),
        "loss_nats" => "loss in nats".into(),
        other => other.replace('_', " "),
    }
}

/// How the cells of a setting ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Ran to the end.
    pub done: usize,
    /// Stopped being finite: no value in any mean, and unsolved.
    pub diverged: usize,
    /// Failed for reasons of the environment: counted nowhere else.
    pub failed: usize,
    /// Not started: counted nowhere else.
    pub skipped: usize,
}

impl Counts {
    fn of(cells: &[&CellFiles]) -> Self {
        let mut counts = Self::default();
        for files in cells {
            match files.cell.status {
                Status::Done => counts.done += 1,
                Status::Diverged => counts.diverged += 1,
                Status::Failed => counts.failed += 1,
                Status::Skipped => counts.skipped += 1,
            }
        }
        counts
    }
}

/// Median over seeds of the optimizer steps until solved, by Kaplan & Meier: runs that stopped early unsolved are at risk until they
/// end, others that did not solve it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepsToSolve {
    /// The median; none where more than half had not solved it to the end.
    pub median: Option<f64>,
    /// Where there is no median: what it is no less than; infinite where more than half diverged.
    pub at_least: Option<f64>,
    /// Runs that say when they solved it.
    pub solved: usize,
    /// Runs in all.
    pub n: usize,
}

/// Accuracy of one setting on the test stream, over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccuracyGroup {
    /// The setting.
    pub setting: Setting,
    /// The metric: `accuracy`, or the loss of a task without.
    pub metric: String,
    /// Nominal length evaluated: the fact `primary_length`, else the largest.
    pub length: Option<u64>,
    /// Its value over seeds. A diverged run has none.
    pub value: Estimate,
    /// Mean over the lengths evaluated beyond [`AccuracyGroup::length`], each length weighing the same, over
    /// seeds; no values where there are none.
    pub extrapolation: Estimate,
    /// Those lengths, rising.
    pub beyond: Vec<u64>,
    /// [`AccuracyGroup::value`] with chance at 0 and perfection at 1; no values for a loss or without chance.
    pub scaled: Estimate,
    /// Runs solved of those done or diverged; none for a metric without threshold.
    pub solved: Option<Success>,
    /// The value from which a run counts as solved.
    pub threshold: Option<f64>,
    /// Share of sequences right in every scored position, over seeds.
    pub exact_match: Estimate,
    /// Chance and trivial predictors, of any metric.
    pub references: Vec<Reference>,
    /// Steps until solved; none where no run says.
    pub steps_to_solve: Option<StepsToSolve>,
    /// Optimizer steps a run may take, where the facts say.
    pub steps: Option<f64>,
    /// When its runs stop; none where the configuration does not say.
    pub stop: Option<Stop>,
    /// How its learning rate was found; none where it is fixed.
    pub selected: Option<Selected>,
    /// Trainable numbers of the model.
    pub parameters: Option<f64>,
    /// Bytes that the model carries from one step to the next after one sequence of the trained length.
    pub state_bytes: Option<f64>,
    /// Sequences of a training step, where the configuration says.
    pub batch: Option<f64>,
    /// Share of optimizer steps whose gradient clipping changed, over seeds, diverged ones included.
    pub clipped: Estimate,
    /// How the cells ended.
    pub counts: Counts,
    /// Why cells are not done, each reason once.
    pub reasons: Vec<String>,
}

impl AccuracyGroup {
    /// What chance reaches in this metric.
    pub fn chance(&self) -> Option<f64> {
        self.of_metric().find(|reference| reference.name == "chance").map(|reference| reference.value)
    }

    /// The best trivial predictor of this metric, chance apart.
    pub fn trivial(&self) -> Option<&Reference> {
        let others = self.of_metric().filter(|reference| reference.name != "chance");
        if higher_is_better(&self.metric) {
            others.max_by(|a, b| a.value.total_cmp(&b.value))
        } else {
            others.min_by(|a, b| a.value.total_cmp(&b.value))
        }
    }

    /// Values of this metric with chance at 0 and perfection at 1: (value − chance)/(1 − chance). Below chance it is
    /// negative. No values for a loss, or without a chance below 1.
    pub fn scaled(&self, values: &Estimate) -> Estimate {
        let chance = self.chance().filter(|chance| self.metric == ACCURACY && *chance < 1.0);
        let scaled = |seed: &SeedValue| {
            let chance = chance?;
            Some(SeedValue { value: (seed.value - chance) / (1.0 - chance), ..*seed })
        };
        Estimate::new(values.values.iter().filter_map(scaled).collect())
    }

    fn of_metric(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.metric == self.metric)
    }
}

/// The group of a setting; none where its cells measure no accuracy.
pub(crate) fn group(setting: &Setting, cells: &[&CellFiles]) -> Option<AccuracyGroup> {
    let wanted =
        |files: &&&CellFiles| files.cell.config.pointer("/measure/accuracy") != Some(&Value::Bool(false));
    let metric = primary_metric(cells);
    if metric.is_none() && !cells.iter().filter(wanted).any(|files| files.cell.status != Status::Done) {
        return None;
    }
    let metric = metric.unwrap_or_else(|| ACCURACY.to_string());
    let length = primary_length(cells, &metric);
    let value = over_seeds(cells, &metric, length);
    let beyond: Vec<u64> = lengths(cells, &metric)
        .into_iter()
        .filter(|own| length.is_some_and(|primary| *own > primary))
        .collect();
    let threshold = (metric == ACCURACY).then(|| threshold(cells));
    let counts = Counts::of(cells);
    let solved = threshold.map(|threshold| {
        let k = value.values.iter().filter(|seed| seed.value >= threshold).count();
        Success::new(k, value.n + counts.diverged)
    });
    let mut reasons: Vec<_> = cells.iter().filter_map(|files| files.cell.reason.clone()).collect();
    reasons.sort();
    reasons.dedup();
    let mut group = AccuracyGroup {
        setting: setting.clone(),
        extrapolation: extrapolation(cells, &metric, &beyond),
        beyond,
        exact_match: over_seeds(cells, "exact_match", length),
        references: references(cells),
        steps_to_solve: steps_to_solve(cells),
        steps: largest_fact(cells, "steps"),
        stop: stop(cells),
        selected: selected(cells),
        scaled: Estimate::default(),
        parameters: largest_fact(cells, "parameters"),
        state_bytes: largest_fact(cells, "state_bytes"),
        batch: cells.iter().find_map(|files| files.cell.config.pointer("/train/batch")?.as_f64()),
        clipped: clipped(cells),
        metric,
        length,
        value,
        solved,
        threshold,
        counts,
        reasons,
    };
    group.scaled = group.scaled(&group.value);
    Some(group)
}

pub(super) fn done<'a>(cells: &'a [&'a CellFiles]) -> impl Iterator<Item = &'a CellFiles> {
    cells.iter().copied().filter(|files| files.cell.status == Status::Done)
}

pub(super) fn test_rows<'a>(files: &'a CellFiles, metric: &'a str) -> impl Iterator<Item = &'a ScoreRow> {
    files.scores.iter().filter(move |row| row.split == "test" && row.metric == metric)
}

pub(super) fn primary_metric(cells: &[&CellFiles]) -> Option<String> {
    let scored = |metric: &&str| done(cells).any(|files| test_rows(files, metric).next().is_some());
    PRIMARY.iter().copied().find(scored).map(String::from)
}

pub(super) fn primary_length(cells: &[&CellFiles], metric: &str) -> Option<u64> {
    let stated = largest_fact(cells, "primary_length").map(|length| length as u64);
    let scored = done(cells).flat_map(|files| test_rows(files, metric)).map(|row| row.length);
    stated.or(scored.max())
}

/// The value of every seed that is done, over all lags together.
pub(super) fn over_seeds(cells: &[&CellFiles], metric: &str, length: Option<u64>) -> Estimate {
    let value = |files: &CellFiles| {
        let row = test_rows(files, metric).find(|row| row.lag.is_none() && Some(row.length) == length)?;
        Some(SeedValue { seed: files.cell.labels.seed, value: row.value })
    };
    Estimate::new(done(cells).filter_map(value).collect())
}

/// Every length evaluated over all lags together, rising.
pub(super) fn lengths(cells: &[&CellFiles], metric: &str) -> BTreeSet<u64> {
    let whole = |files| test_rows(files, metric).filter(|row| row.lag.is_none());
    done(cells).flat_map(whole).map(|row| row.length).collect()
}

/// The mean over lengths of every seed that has them all.
fn extrapolation(cells: &[&CellFiles], metric: &str, beyond: &[u64]) -> Estimate {
    let value = |files: &CellFiles| {
        let at = |length: &u64| {
            test_rows(files, metric)
                .find(|row| row.lag.is_none() && row.length == *length)
                .map(|row| row.value)
        };
        let values: Option<Vec<f64>> = beyond.iter().map(at).collect();
        Some(SeedValue { seed: files.cell.labels.seed, value: mean(&values?)? })
    };
    Estimate::new(done(cells).filter_map(value).collect())
}

fn clipped(cells: &[&CellFiles]) -> Estimate {
    let value = |files: &&CellFiles| {
        let value = *files.cell.facts.get("clipped_share")?;
        Some(SeedValue { seed: files.cell.labels.seed, value })
    };
    Estimate::new(cells.iter().filter_map(value).collect())
}

fn threshold(cells: &[&CellFiles]) -> f64 {
    let configured = || {
        cells.iter().find_map(|files| files.cell.config.pointer("/measure/solved").and_then(Value::as_f64))
    };
    largest_fact(cells, "solved_threshold").or_else(configured).unwrap_or(DEFAULT_SOLVED)
}

fn steps_to_solve(cells: &[&CellFiles]) -> Option<StepsToSolve> {
    let ran = |files: &&&CellFiles| matches!(files.cell.status, Status::Done | Status::Diverged);
    let runs: Vec<&CellFiles> = cells.iter().filter(ran).copied().collect();
    let solved = runs.iter().filter(|files| solved_after(files).is_some()).count();
    let MedianTime { median, at_least } = median_steps(&runs);
    (solved > 0).then_some(StepsToSolve { median, at_least, solved, n: runs.len() })
}

pub(super) fn references(cells: &[&CellFiles]) -> Vec<Reference> {
    let mut found: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for reference in cells.iter().flat_map(|files| &files.cell.references) {
        found.entry((&reference.metric, &reference.name)).or_default().push(reference.value);
    }
    let reference = |((metric, name), values): ((&str, &str), Vec<f64>)| {
        // One value for all seeds where chance is in closed form, a seed's own where it is measured.
        let same = values.iter().all(|value| *value == values[0]);
        let value = if same { values[0] } else { mean(&values)? };
        Some(Reference { name: name.into(), metric: metric.into(), value })
    };
    found.into_iter().filter_map(reference).collect()
}

/// The largest value of a fact over the cells: seeds agree in what is asked for here.
fn largest_fact(cells: &[&CellFiles], name: &str) -> Option<f64> {
    cells.iter().filter_map(|files| files.cell.facts.get(name).copied()).max_by(f64::total_cmp)
}
