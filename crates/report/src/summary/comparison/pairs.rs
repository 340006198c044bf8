//! Which settings of two results are the same.

use crate::summary::{AccuracyGroup, Setting};
use serde::Serialize;

/// What only one of two results has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unmatched {
    /// The setting.
    pub setting: Setting,
    /// What of it: a metric, or a mode with its size.
    pub what: String,
}

/// A setting that both results have.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    /// In the first.
    pub(super) first: &'a AccuracyGroup,
    /// In the second.
    pub(super) second: &'a AccuracyGroup,
}

/// All settings of two results.
pub(super) struct Pairs<'a> {
    pub(super) matched: Vec<Pair<'a>>,
    pub(super) only_first: Vec<Unmatched>,
    pub(super) only_second: Vec<Unmatched>,
}

/// Pairs of the same labels, metric and length. Where several settings of a result share those, only the same identity of the
/// group tells them apart.
pub(super) fn scores<'a>(a: &'a [AccuracyGroup], b: &'a [AccuracyGroup]) -> Pairs<'a> {
    let by_experiment = several_experiments(a) || several_experiments(b);
    let same = |own: &AccuracyGroup, other: &AccuracyGroup| {
        let of = |setting: &Setting| Setting {
            experiment: if by_experiment { setting.experiment.clone() } else { String::new() },
            group: String::new(),
            ..setting.clone()
        };
        // Of runs that all diverged, neither metric nor length is known.
        let unknown = own.value.n == 0 || other.value.n == 0;
        let alike = (&own.metric, own.length) == (&other.metric, other.length);
        of(&own.setting) == of(&other.setting) && (unknown || alike)
    };
    let partner = |own: &AccuracyGroup| {
        let alike =
            |all: &'a [AccuracyGroup]| all.iter().filter(|other| same(own, other)).collect::<Vec<_>>();
        let (twins, candidates) = (alike(a), alike(b));
        let exact = candidates.iter().find(|other| other.setting.group == own.setting.group);
        exact.or(candidates.first().filter(|_| twins.len() == 1 && candidates.len() == 1)).copied()
    };
    let matched: Vec<Pair<'_>> =
        a.iter().filter_map(|first| Some(Pair { first, second: partner(first)? })).collect();
    let unmatched = |all: &[AccuracyGroup], is_matched: &dyn Fn(&AccuracyGroup) -> bool| {
        let rest = all.iter().filter(|group| !is_matched(group));
        rest.map(|group| Unmatched { setting: group.setting.clone(), what: group.metric.clone() }).collect()
    };
    let only_first = unmatched(a, &|group| matched.iter().any(|pair| pair.first.setting == group.setting));
    let only_second = unmatched(b, &|group| matched.iter().any(|pair| pair.second.setting == group.setting));
    Pairs { matched, only_first, only_second }
}

fn several_experiments(groups: &[AccuracyGroup]) -> bool {
    let first = groups.first().map(|group| &group.setting.experiment);
    groups.iter().any(|group| Some(&group.setting.experiment) != first)
}
