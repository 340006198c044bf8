//! Reach: how far a sweep can go before a model stops solving the task within its budget of steps.

use super::{AccuracyGroup, Setting};
use crate::statistics::Success;
use serde::Serialize;

/// Share of seeds that [`Reaches::eighty`] asks for.
pub const EIGHTY_PERCENT: f64 = 0.8;

/// The largest value of a sweep such that it and every smaller one swept is solved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reach {
    /// That value; none where the smallest is not solved.
    pub value: Option<f64>,
    /// Whether the truth may be larger: every value measured is solved, or the next was not measured.
    pub censored: bool,
}

/// One value of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReachPoint {
    /// The value.
    pub value: f64,
    /// Runs solved.
    pub solved: Success,
}

/// The reach of one model on one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reaches {
    /// The setting, without the coordinate swept.
    pub setting: Setting,
    /// The coordinate swept, such as `lag`.
    pub key: String,
    /// Every value swept, rising.
    pub points: Vec<ReachPoint>,
    /// Solved by at least one seed.
    pub any: Reach,
    /// Solved by at least [`EIGHTY_PERCENT`] of the seeds.
    pub eighty: Reach,
    /// Solved by every seed.
    pub all: Reach,
    /// Budget of optimizer steps a run, where the facts say: the largest over the sweep.
    pub steps: Option<f64>,
}

/// The reach of every model and task that has a numeric coordinate and a threshold.
pub(crate) fn reaches(groups: &[AccuracyGroup]) -> Vec<Reaches> {
    let mut found: Vec<(Setting, String, Vec<(f64, &AccuracyGroup, Success)>)> = Vec::new();
    for group in groups {
        let (Some((key, value)), Some(solved)) = (group.setting.sweep(), group.solved) else { continue };
        let setting = group.setting.without(key);
        match found.iter_mut().find(|(known, k, _)| *known == setting && k == key) {
            Some((_, _, points)) => points.push((value, group, solved)),
            None => found.push((setting, key.into(), vec![(value, group, solved)])),
        }
    }
    found
        .into_iter()
        .map(|(setting, key, groups)| {
            let points = points(&groups);
            Reaches {
                setting,
                key,
                any: reach(&points, |solved| solved.k > 0),
                eighty: reach(&points, |solved| solved.rate().is_some_and(|rate| rate >= EIGHTY_PERCENT)),
                all: reach(&points, |solved| solved.k == solved.n),
                steps: groups.iter().filter_map(|(_, group, _)| group.steps).max_by(f64::total_cmp),
                points,
            }
        })
        .collect()
}

/// Rising values; settings that share one are taken together.
fn points(groups: &[(f64, &AccuracyGroup, Success)]) -> Vec<ReachPoint> {
    let mut counts: Vec<(f64, usize, usize)> = Vec::new();
    for (value, _, solved) in groups {
        match counts.iter_mut().find(|(known, _, _)| known == value) {
            Some((_, k, n)) => {
                *k += solved.k;
                *n += solved.n;
            }
            None => counts.push((*value, solved.k, solved.n)),
        }
    }
    counts.sort_by(|a, b| a.0.total_cmp(&b.0));
    counts.into_iter().map(|(value, k, n)| ReachPoint { value, solved: Success::new(k, n) }).collect()
}

fn reach(points: &[ReachPoint], is_solved: impl Fn(&Success) -> bool) -> Reach {
    let mut value = None;
    for point in points {
        if point.solved.n == 0 {
            return Reach { value, censored: true };
        }
        if !is_solved(&point.solved) {
            return Reach { value, censored: false };
        }
        value = Some(point.value);
    }
    Reach { value, censored: true }
}
