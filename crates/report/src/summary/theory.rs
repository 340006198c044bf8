//! Predicted profiles beside the measured ones, and how far they differ.

use super::Setting;
use super::gradients::{Decay, GradientProfile, ProfilePoint, THEORY};
use crate::statistics::{Estimate, SeedValue};
use serde::Serialize;

/// What a theory predicts of one entry of the state, or of the input, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TheoryProfile {
    /// The setting.
    pub setting: Setting,
    /// `init`, `end`, or `step-<n>`.
    pub stage: String,
    /// Layer, from 0.
    pub layer: u32,
    /// Entry of the carried state, or `input`.
    pub entry: String,
    /// The measured variable it stands beside: `input`, `state:<entry>`, or `state` where there is no other entry.
    pub wrt: String,
    /// Name of the theory.
    pub theory: String,
    /// The prediction, by rising distance from 1 on, relative to the nearest: at distance 0 an input acts on its own step's
    /// output past what the theory is about.
    pub points: Vec<ProfilePoint>,
    /// Its decay.
    pub predicted: Option<Decay>,
    /// The measured profile, likewise.
    pub measured_points: Vec<ProfilePoint>,
    /// Its decay.
    pub measured: Option<Decay>,
    /// Predicted over measured gain per step, less 1, over seeds: 0.01 is one per cent a step.
    pub gain_gap: Estimate,
    /// Over trusted distances, the largest |log10| of predicted over measured norm of any seed, relative to the nearest
    /// distance.
    pub largest_log10_gap: Option<f64>,
}

/// Takes the predicted profiles out of `profiles`, and sets each beside what was measured.
pub(super) fn take(profiles: &mut Vec<GradientProfile>) -> Vec<TheoryProfile> {
    let (predicted, measured): (Vec<_>, Vec<_>) =
        std::mem::take(profiles).into_iter().partition(|profile| profile.wrt.starts_with(THEORY));
    let theories = predicted.into_iter().filter_map(|profile| beside(profile, &measured)).collect();
    *profiles = measured;
    theories
}

fn beside(predicted: GradientProfile, all: &[GradientProfile]) -> Option<TheoryProfile> {
    let (entry, theory) = predicted.wrt.strip_prefix(THEORY)?.split_once(':')?;
    // A state of one entry has the joint profile alone.
    let names = [entry.to_owned(), format!("state:{entry}"), "state".to_owned()];
    let same = |profile: &&GradientProfile| {
        profile.setting == predicted.setting
            && profile.stage == predicted.stage
            && profile.layer == predicted.layer
    };
    let measured = names.iter().find_map(|name| all.iter().filter(same).find(|own| own.wrt == *name))?;
    let slopes = |decay: &Option<Decay>| {
        decay.as_ref().map_or(Vec::new(), |decay| decay.decades_per_step.values.clone())
    };
    let found = slopes(&measured.decay);
    let gaps = slopes(&predicted.decay).into_iter().filter_map(|own| {
        let other = found.iter().find(|other| other.seed == own.seed)?;
        Some(SeedValue { seed: own.seed, value: 10f64.powf(own.value - other.value) - 1.0 })
    });
    let (points, measured_points) = (rebased(&predicted.points), rebased(&measured.points));
    Some(TheoryProfile {
        entry: entry.to_owned(),
        wrt: measured.wrt.clone(),
        theory: theory.to_owned(),
        gain_gap: Estimate::new(gaps.collect()),
        largest_log10_gap: largest_gap(&points, &measured_points),
        points,
        measured_points,
        measured: measured.decay.clone(),
        setting: predicted.setting,
        stage: predicted.stage,
        layer: predicted.layer,
        predicted: predicted.decay,
    })
}

/// Points from distance 1 on, relative to the first of them, seed by seed.
fn rebased(points: &[ProfilePoint]) -> Vec<ProfilePoint> {
    let kept: Vec<&ProfilePoint> = points.iter().filter(|point| point.distance >= 1).collect();
    let Some(first) = kept.first() else { return Vec::new() };
    let at_first =
        |seed: u64| first.log10_norm.values.iter().find(|own| own.seed == seed).map(|own| own.value);
    let relative = |point: &&ProfilePoint| {
        let values = point
            .log10_norm
            .values
            .iter()
            .filter_map(|own| Some(SeedValue { seed: own.seed, value: own.value - at_first(own.seed)? }));
        ProfilePoint { log10_relative: Estimate::new(values.collect()), ..(*point).clone() }
    };
    kept.iter().map(relative).collect()
}

fn largest_gap(predicted: &[ProfilePoint], measured: &[ProfilePoint]) -> Option<f64> {
    let gaps = predicted.iter().filter(|point| point.trusted).flat_map(|point| {
        let other = measured.iter().find(|other| other.distance == point.distance && other.trusted);
        let pairs = other.into_iter().flat_map(|other| {
            let own = &point.log10_relative.values;
            own.iter().filter_map(|own| {
                let other = other.log10_relative.values.iter().find(|other| other.seed == own.seed)?;
                Some((own.value - other.value).abs())
            })
        });
        pairs.collect::<Vec<f64>>()
    });
    gaps.max_by(f64::total_cmp)
}
