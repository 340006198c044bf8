//! Learning curves: every metric of every seed against the optimizer step.

use super::Setting;
use super::training::stopped_early;
use seqbench_record::{CellFiles, Status};
use serde::Serialize;

/// One metric of one setting against the step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LearningCurve {
    /// The setting.
    pub setting: Setting,
    /// `train_loss`, `validation_accuracy`, ….
    pub metric: String,
    /// Every seed.
    pub seeds: Vec<CurveSeed>,
}

/// The curve of one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveSeed {
    /// The seed.
    pub seed: u64,
    /// How it ended: the curve of a diverged run stops short.
    pub status: Status,
    /// Whether it was told to stop before its budget was spent.
    pub stopped_early: bool,
    /// (step, value), by rising step.
    pub points: Vec<(u64, f64)>,
}

/// Every learning curve, metrics of a setting by name.
pub(crate) fn curves(groups: &[(Setting, Vec<&CellFiles>)]) -> Vec<LearningCurve> {
    let mut curves = Vec::new();
    for (setting, cells) in groups {
        let mut metrics: Vec<_> =
            cells.iter().flat_map(|files| &files.curves).map(|row| row.metric.as_str()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        for metric in metrics {
            let seeds = cells.iter().filter_map(|files| seed(files, metric)).collect();
            curves.push(LearningCurve { setting: setting.clone(), metric: metric.into(), seeds });
        }
    }
    curves
}

fn seed(files: &CellFiles, metric: &str) -> Option<CurveSeed> {
    let rows = files.curves.iter().filter(|row| row.metric == metric);
    let mut points: Vec<_> = rows.map(|row| (row.step, row.value)).collect();
    points.sort_by_key(|point| point.0);
    let cell = &files.cell;
    let stopped_early = stopped_early(files).is_some();
    (!points.is_empty()).then_some(CurveSeed {
        seed: cell.labels.seed,
        status: cell.status,
        stopped_early,
        points,
    })
}
