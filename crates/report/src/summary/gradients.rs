//! Gradient norms against distance, their decay per step, and what to call it.

use super::Setting;
use crate::statistics::{Estimate, SeedValue, least_squares};
use seqbench_record::{CellFiles, ProfileRow};
use serde::Serialize;
use std::collections::BTreeMap;

/// Gain per step below which a gradient is called vanishing: it halves within 69 steps.
pub const VANISHING_BELOW: f64 = 0.99;

/// Gain per step above which a gradient is called exploding: it doubles within 70 steps.
pub const EXPLODING_ABOVE: f64 = 1.01;

/// What the variables of predicted profiles begin with.
pub(super) const THEORY: &str = "theory:";

/// log10 of the share of the gradient that effective memory ends at: a tenth.
const FORGOTTEN: f64 = -1.0;

/// Fewest distances a decay is fitted to: two would always fit.
pub const FEWEST_POINTS: usize = 3;

/// What the decay of a gradient amounts to, by its mean gain per step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Below [`VANISHING_BELOW`].
    Vanishing,
    /// Between the two.
    Stable,
    /// Above [`EXPLODING_ABOVE`].
    Exploding,
}

/// Decay of the gradient with distance: the slope of log10 relative norm, by least squares over trusted
/// distances from 1 on, fitted for every seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decay {
    /// log10 of the gain per step, over seeds: −0.01 is a factor 10 in 100 steps.
    pub decades_per_step: Estimate,
    /// 10 to the mean slope.
    pub gain_per_step: f64,
    /// Steps in which the norm halves at the mean slope; none where it does not fall.
    pub half_life_steps: Option<f64>,
    /// What it amounts to.
    pub verdict: Verdict,
}

/// One distance of a [`GradientProfile`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfilePoint {
    /// Steps from the scored step.
    pub distance: u64,
    /// log10 of the norm, over seeds: the log of a geometric mean.
    pub log10_norm: Estimate,
    /// log10 of the norm over that at distance 0, over seeds.
    pub log10_relative: Estimate,
    /// Whether every seed's value stands clear of rounding.
    pub trusted: bool,
}

/// Gradient norm against distance, of one setting, stage, layer and variable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientProfile {
    /// The setting.
    pub setting: Setting,
    /// `init`, `end`, or `step-<n>`.
    pub stage: String,
    /// Layer, from 0.
    pub layer: u32,
    /// `input` or `state`.
    pub wrt: String,
    /// By rising distance.
    pub points: Vec<ProfilePoint>,
    /// Effective memory: the largest distance before the mean over seeds first falls below a tenth of where it starts, and
    /// whether it does fall; none where nothing is left at any distance.
    pub memory_steps: Option<(u64, bool)>,
    /// Its decay; none where no seed has [`FEWEST_POINTS`] distances to fit.
    pub decay: Option<Decay>,
}

/// Stage (initialisation, then steps, then the end), layer and variable.
type Key<'a> = (StageOrder<'a>, u32, &'a str);

/// A stage by its place in training.
pub(super) type StageOrder<'a> = (u8, u64, &'a str);

/// Every profile: by setting, then stage in the order of training, layer and variable. What theories predict stands among
/// them, under names that begin with [`THEORY`].
pub(super) fn profiles(groups: &[(Setting, Vec<&CellFiles>)]) -> Vec<GradientProfile> {
    let mut profiles = Vec::new();
    for (setting, cells) in groups {
        let mut rows: BTreeMap<Key<'_>, Vec<(u64, &ProfileRow)>> = BTreeMap::new();
        for files in cells {
            for row in &files.profiles {
                let key = (stage_order(&row.stage), row.layer, row.wrt.as_str());
                rows.entry(key).or_default().push((files.cell.labels.seed, row));
            }
        }
        for ((stage, layer, wrt), rows) in rows {
            let points = points(&rows);
            profiles.push(GradientProfile {
                setting: setting.clone(),
                stage: stage.2.into(),
                layer,
                wrt: wrt.into(),
                memory_steps: memory(&points),
                points,
                decay: decay(&rows),
            });
        }
    }
    profiles
}

pub(super) fn stage_order(stage: &str) -> StageOrder<'_> {
    match (stage, stage.strip_prefix("step-").and_then(|digits| digits.parse().ok())) {
        ("init", _) => (0, 0, stage),
        (_, Some(step)) => (1, step, stage),
        _ => (2, 0, stage),
    }
}

fn points(rows: &[(u64, &ProfileRow)]) -> Vec<ProfilePoint> {
    let mut distances: BTreeMap<u64, Vec<(u64, &ProfileRow)>> = BTreeMap::new();
    for (seed, row) in rows {
        distances.entry(row.distance).or_default().push((*seed, row));
    }
    let point = |(distance, rows): (u64, Vec<(u64, &ProfileRow)>)| {
        let over_seeds = |value: fn(&ProfileRow) -> f64| {
            Estimate::new(
                rows.iter().map(|(seed, row)| SeedValue { seed: *seed, value: value(row) }).collect(),
            )
        };
        ProfilePoint {
            distance,
            log10_norm: over_seeds(|row| row.log10_norm),
            log10_relative: over_seeds(|row| row.log10_relative),
            trusted: rows.iter().all(|(_, row)| row.trusted),
        }
    };
    distances.into_iter().map(point).collect()
}

fn memory(points: &[ProfilePoint]) -> Option<(u64, bool)> {
    let lasts = |point: &&ProfilePoint| point.log10_relative.mean.is_some_and(|mean| mean >= FORGOTTEN);
    let kept = points.iter().take_while(lasts).count();
    let last = points.get(kept.checked_sub(1)?)?;
    Some((last.distance, kept < points.len()))
}

/// Slope of log10 relative norm of one run over its trusted distances from 1 on, in decades a step; none below
/// [`FEWEST_POINTS`] of them.
pub(crate) fn slope<'a>(rows: impl IntoIterator<Item = &'a ProfileRow>) -> Option<f64> {
    let trusted = |row: &&ProfileRow| row.trusted && row.distance >= 1 && row.log10_relative.is_finite();
    let rows = rows.into_iter().filter(trusted);
    let mut points: Vec<(f64, f64)> = rows.map(|row| (row.distance as f64, row.log10_relative)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    least_squares(&points).filter(|_| points.len() >= FEWEST_POINTS).map(|line| line.slope)
}

fn decay(rows: &[(u64, &ProfileRow)]) -> Option<Decay> {
    let mut seeds: BTreeMap<u64, Vec<&ProfileRow>> = BTreeMap::new();
    for (seed, row) in rows {
        seeds.entry(*seed).or_default().push(row);
    }
    let value = |(seed, rows): (u64, Vec<&ProfileRow>)| Some(SeedValue { seed, value: slope(rows)? });
    let decades_per_step = Estimate::new(seeds.into_iter().filter_map(value).collect());
    let mean = decades_per_step.mean?;
    let gain_per_step = 10f64.powf(mean);
    Some(Decay {
        decades_per_step,
        gain_per_step,
        half_life_steps: (mean < 0.0).then(|| std::f64::consts::LOG10_2 / -mean),
        verdict: match gain_per_step {
            gain if gain < VANISHING_BELOW => Verdict::Vanishing,
            gain if gain > EXPLODING_ABOVE => Verdict::Exploding,
            _ => Verdict::Stable,
        },
    })
}
