//! The study: every task read together against every model, each by the one number that tells most about it.

use super::{AccuracyGroup, Extrapolation, Reaches, Setting};
use crate::plot::place_of;
use crate::statistics::{Estimate, Success};
use seqbench_record::Coordinate;
use serde::Serialize;

/// The one number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Measure {
    /// How far a sweep goes: where a numeric coordinate is swept and runs can solve the task.
    Reach,
    /// The mean over unseen lengths: where there are some.
    Extrapolation,
    /// The mean of the task's own metric.
    Score,
}

/// One model on one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyEntry {
    /// Registry name of the architecture.
    pub architecture: String,
    /// What the legend calls it.
    pub model: String,
    /// Its reach, where that is the row's measure.
    pub reach: Option<Reaches>,
    /// The mean over unseen lengths, or the score at the hardest value swept.
    pub value: Estimate,
    /// The same with chance at 0 and perfection at 1.
    pub scaled: Estimate,
    /// Runs that extrapolate, or are solved at the hardest value swept.
    pub success: Option<Success>,
    /// How much of the task is mastered, from 0 to 1: the share of the values swept within the reach of 80 % of the
    /// seeds, or the score on its way from the trivial predictor to perfection.
    pub share: Option<f64>,
    /// Optimizer steps a run may take.
    pub steps: Option<f64>,
}

/// One task, with its setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyRow {
    /// Name of the experiment.
    pub experiment: String,
    /// Registry name of the task.
    pub task: String,
    /// Coordinates that set it apart from other rows of the task.
    pub coordinates: Vec<Coordinate>,
    /// What its entries show.
    pub measure: Measure,
    /// The task's metric.
    pub metric: String,
    /// The coordinate swept.
    pub key: Option<String>,
    /// Its values, rising.
    pub values: Vec<f64>,
    /// Unseen lengths, rising, where they are the row's measure.
    pub lengths: Vec<u64>,
    /// What chance reaches at the hardest value.
    pub chance: Option<f64>,
    /// Accuracy from which a run counts as solved.
    pub threshold: Option<f64>,
    /// One entry a model that was run, models as in every legend.
    pub entries: Vec<StudyEntry>,
}

/// All rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Study {
    /// By experiment and task.
    pub rows: Vec<StudyRow>,
    /// (architecture, model) of every column.
    pub models: Vec<(String, String)>,
}

/// The study of everything read together; empty for a single task of a single experiment.
pub(crate) fn study(
    groups: &[AccuracyGroup],
    reaches: &[Reaches],
    extrapolations: &[Extrapolation],
) -> Study {
    let mut places: Vec<(&str, &str)> = Vec::new();
    for group in groups {
        let place = (group.setting.experiment.as_str(), group.setting.task.as_str());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.len() < 2 {
        return Study::default();
    }
    let mut rows = Vec::new();
    for (experiment, task) in places {
        let own: Vec<&AccuracyGroup> = groups
            .iter()
            .filter(|group| {
                (group.setting.experiment.as_str(), group.setting.task.as_str()) == (experiment, task)
            })
            .collect();
        let key = swept(&own);
        for coordinates in distinct_coordinates(&own, key.as_deref()) {
            let members: Vec<&AccuracyGroup> =
                own.iter().copied().filter(|group| rest(group, key.as_deref()) == coordinates).collect();
            rows.push(row(&members, key.as_deref(), coordinates, reaches, extrapolations));
        }
    }
    let mut models: Vec<(String, String)> = rows
        .iter()
        .flat_map(|row: &StudyRow| &row.entries)
        .map(|entry| (entry.architecture.clone(), entry.model.clone()))
        .collect();
    models.sort_by(|a, b| (place_of(&a.0), a).cmp(&(place_of(&b.0), b)));
    models.dedup();
    Study { rows, models }
}

/// The numeric coordinate that takes several values; none of the training's own, of which a larger value is not a
/// harder task.
fn swept(groups: &[&AccuracyGroup]) -> Option<String> {
    let key = groups.iter().find_map(|group| task_sweep(&group.setting))?.0;
    let mut values: Vec<f64> = groups.iter().filter_map(|group| at(group, key)).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    (values.len() > 1).then(|| key.to_string())
}

fn task_sweep(setting: &Setting) -> Option<(&str, f64)> {
    setting.sweep().filter(|(key, _)| !key.starts_with("train."))
}

fn at(group: &AccuracyGroup, key: &str) -> Option<f64> {
    group.setting.sweep().filter(|(own, _)| *own == key).map(|(_, value)| value)
}

/// Coordinates but the one swept.
fn rest(group: &AccuracyGroup, key: Option<&str>) -> Vec<Coordinate> {
    group.setting.without(key.unwrap_or_default()).coordinates
}

fn distinct_coordinates(groups: &[&AccuracyGroup], key: Option<&str>) -> Vec<Vec<Coordinate>> {
    let mut found = Vec::new();
    for coordinates in groups.iter().map(|group| rest(group, key)) {
        if !found.contains(&coordinates) {
            found.push(coordinates);
        }
    }
    found
}

fn row(
    groups: &[&AccuracyGroup],
    key: Option<&str>,
    coordinates: Vec<Coordinate>,
    reaches: &[Reaches],
    extrapolations: &[Extrapolation],
) -> StudyRow {
    let first = groups[0];
    // A group without a single value, all its runs diverged, names a metric it does not have.
    let scored = groups.iter().find(|group| group.value.n > 0).unwrap_or(&groups[0]);
    let of_group = |group: &AccuracyGroup| extrapolations.iter().find(|own| own.setting == group.setting);
    let measure = match key {
        Some(_) if scored.solved.is_some() => Measure::Reach,
        _ if groups.iter().any(|group| of_group(group).is_some()) => Measure::Extrapolation,
        _ => Measure::Score,
    };
    let mut values: Vec<f64> =
        key.map_or_else(Vec::new, |key| groups.iter().filter_map(|g| at(g, key)).collect());
    values.sort_by(f64::total_cmp);
    values.dedup();

    // The hardest value of each model.
    let mut hardest: Vec<&AccuracyGroup> = Vec::new();
    let place = |group: &AccuracyGroup| key.and_then(|key| at(group, key)).unwrap_or(0.0);
    for group in groups.iter().copied() {
        match hardest.iter_mut().find(|own| own.setting.model == group.setting.model) {
            Some(known) if place(group) > place(known) => *known = group,
            Some(_) => {}
            None => hardest.push(group),
        }
    }
    let entries = hardest.iter().map(|group| {
        let reach = key.filter(|_| measure == Measure::Reach).and_then(|key| {
            let setting = group.setting.without(key);
            reaches.iter().find(|reach| reach.setting == setting && reach.key == key)
        });
        entry(group, reach, of_group(group).filter(|_| measure == Measure::Extrapolation), measure)
    });
    let entries = entries.collect();
    let lengths =
        groups.iter().filter(|_| measure == Measure::Extrapolation).find_map(|group| of_group(group));
    StudyRow {
        experiment: first.setting.experiment.clone(),
        task: first.setting.task.clone(),
        coordinates,
        measure,
        metric: scored.metric.clone(),
        key: key.map(String::from),
        values,
        lengths: lengths.map(|own| own.lengths.clone()).unwrap_or_default(),
        chance: hardest.iter().find_map(|group| group.chance()),
        threshold: scored.threshold,
        entries,
    }
}

fn entry(
    group: &AccuracyGroup,
    reach: Option<&Reaches>,
    beyond: Option<&Extrapolation>,
    measure: Measure,
) -> StudyEntry {
    let (value, success) = match (measure, beyond) {
        (Measure::Extrapolation, Some(own)) => (own.value.clone(), own.extrapolates),
        (Measure::Extrapolation, None) => (Estimate::default(), None),
        _ => (group.value.clone(), group.solved),
    };
    let scaled = group.scaled(&value);
    let share = match reach {
        Some(reach) => share_reached(reach),
        None => scaled.mean.or_else(|| share_of_loss(group, value.mean?)),
    };
    StudyEntry {
        architecture: group.setting.architecture.clone(),
        model: group.setting.model.clone(),
        reach: reach.cloned(),
        share: share.filter(|share| share.is_finite()).map(|share| share.clamp(0.0, 1.0)),
        value,
        scaled,
        success,
        steps: group.steps,
    }
}

/// The share of the values swept that lie within the reach of 80 % of the seeds; none where the smallest was not
/// measured.
fn share_reached(reach: &Reaches) -> Option<f64> {
    let within = |limit: f64| reach.points.iter().filter(|point| point.value <= limit).count();
    let count = match (reach.eighty.value, reach.eighty.censored) {
        (Some(limit), _) => within(limit),
        (None, false) => 0,
        (None, true) => return None,
    };
    Some(count as f64 / reach.points.len().max(1) as f64)
}

/// Where a loss stands between the best trivial predictor, 0, and no loss at all, 1.
fn share_of_loss(group: &AccuracyGroup, value: f64) -> Option<f64> {
    let trivial = group.trivial()?.value;
    (trivial > 0.0).then(|| 1.0 - value / trivial)
}
