//! From cells to what a table or a plot shows: pure functions, typed rows, no rounding and no text.
//!
//! Only reported runs count towards accuracy, reach, curves and gradients ([`Purpose::Final`]), only
//! [`Purpose::Timing`] cells towards throughput. Trials of a selection appear in [`Selection`] and nowhere else.

mod accuracy;
mod choose;
mod comparison;
mod crossovers;
mod curves;
mod curves_by;
mod extrapolation;
mod gradients;
mod memory;
mod reach;
mod repeats;
mod run_cost;
mod scaling;
mod selection;
mod setting;
mod spectra;
mod study;
mod theory;
mod throughput;
mod training;

pub use accuracy::{AccuracyGroup, Counts, DEFAULT_SOLVED, StepsToSolve, higher_is_better, metric_name};
pub use choose::{Ability, Choice, Guess, Wish, choose};
pub use comparison::{
    Comparison, Correction, DivergedChange, Finding, Limits, Overall, ProfileChange, ScoreChange, TimeChange,
    Unmatched, compare,
};
pub use crossovers::Crossover;
pub use curves::{CurveSeed, LearningCurve};
pub use curves_by::{LagCurve, LagPoint, LengthCurve, LengthPoint};
pub use extrapolation::{EXTRAPOLATES, Extrapolation};
pub(crate) use gradients::slope;
pub use gradients::{
    Decay, EXPLODING_ABOVE, FEWEST_POINTS, GradientProfile, ProfilePoint, VANISHING_BELOW, Verdict,
};
pub use memory::{BUDGETS, LongestLength, MemoryGrowth};
pub use reach::{EIGHTY_PERCENT, Reach, ReachPoint, Reaches};
pub use repeats::{Repeat, repeats};
pub use run_cost::{RunCost, ToSolve};
pub use scaling::{
    FEWEST_LENGTHS, FEWEST_TESTED, Growth, LARGEST_SCATTER, NEGLIGIBLE_BEND, Scaling, Straightness,
};
pub use selection::{Candidate, Edge, Selection};
pub(crate) use selection::{last as trial_score, rate as trial_rate};
pub(crate) use setting::last_word;
pub use setting::{Setting, spelled};
pub use spectra::{Spectrum, SpectrumValue};
pub use study::{Measure, Study, StudyEntry, StudyRow};
pub use theory::TheoryProfile;
pub use throughput::{Disturbance, FEWEST_ROUNDS, ThroughputRow, Visit};
pub use training::{Selected, Stop};
pub(crate) use training::{selected, stop};

use crate::plot::place_of;
use seqbench_record::{Cell, CellFiles, Provenance, Purpose, order};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Everything a set of cells says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Accuracy of every setting, over its seeds.
    pub accuracy: Vec<AccuracyGroup>,
    /// Accuracy against the lag of the scored position, inside one model.
    pub lag_curves: Vec<LagCurve>,
    /// Accuracy against the length evaluated, inside one model.
    pub length_curves: Vec<LengthCurve>,
    /// How far each model looks back, over a sweep.
    pub reaches: Vec<Reaches>,
    /// Scores at lengths beyond those trained.
    pub extrapolations: Vec<Extrapolation>,
    /// What every candidate of a learning rate scored on the validation stream.
    pub selections: Vec<Selection>,
    /// All tasks against all models; empty for a single task of a single experiment.
    pub study: Study,
    /// Learning curves, every seed.
    pub learning_curves: Vec<LearningCurve>,
    /// Gradient norms against distance.
    pub profiles: Vec<GradientProfile>,
    /// What theory predicts of them.
    pub theories: Vec<TheoryProfile>,
    /// Eigenvalues, singular values and exponents.
    pub spectra: Vec<Spectrum>,
    /// Time and memory of every mode and length.
    pub throughput: Vec<ThroughputRow>,
    /// Fitted growth of time with length.
    pub scalings: Vec<Scaling>,
    /// Fitted growth of memory with length.
    pub memory_scalings: Vec<Scaling>,
    /// Memory against length, and what fits in how much.
    pub memory: Vec<MemoryGrowth>,
    /// What runs cost, and what solving their task did.
    pub run_costs: Vec<RunCost>,
    /// Passes that were not timed, with the reason.
    pub untimed: Vec<(Setting, String)>,
    /// Lengths at which two models take the same time.
    pub crossovers: Vec<Crossover>,
    /// The distinct machines and builds, with `wall_seconds` left at 0 and without claims.
    pub provenances: Vec<Provenance>,
    /// What a reader must know before comparing rows, such as two settings under one label.
    pub warnings: Vec<String>,
}

/// Summarises cells. The order of `cells` does not matter.
pub fn summarise(cells: &[CellFiles]) -> Summary {
    let mut sorted: Vec<&CellFiles> = cells.iter().collect();
    sorted.sort_by(|a, b| standing(&a.cell, &b.cell));
    let of = |purpose: Purpose| sorted.iter().copied().filter(move |files| files.cell.purpose == purpose);
    let finals = setting::group(of(Purpose::Final));
    let timings: Vec<_> = of(Purpose::Timing).collect();
    let accuracy: Vec<_> =
        finals.iter().filter_map(|(setting, cells)| accuracy::group(setting, cells)).collect();
    let length_curves: Vec<_> =
        finals.iter().filter_map(|(setting, cells)| curves_by::length_curve(setting, cells)).collect();
    let reaches = reach::reaches(&accuracy);
    let extrapolations = extrapolation::extrapolations(&accuracy, &length_curves);
    let trials = setting::group(of(Purpose::Trial));
    let throughput = throughput::rows(&timings);
    let mut profiles = gradients::profiles(&finals);
    let mut warnings = setting::ambiguities(&finals);
    warnings.extend(mixed(of(Purpose::Final), "instruction set", |files| files.cell.provenance.isa.clone()));
    warnings.extend(mixed(of(Purpose::Final), "numerics", |files| files.cell.numerics.to_string()));
    Summary {
        lag_curves: finals
            .iter()
            .filter_map(|(setting, cells)| curves_by::lag_curve(setting, cells))
            .collect(),
        study: study::study(&accuracy, &reaches, &extrapolations),
        selections: selection::selections(&trials, &finals),
        length_curves,
        extrapolations,
        reaches,
        learning_curves: curves::curves(&finals),
        theories: theory::take(&mut profiles),
        profiles,
        spectra: spectra::spectra(&finals),
        scalings: scaling::scalings(&throughput),
        memory_scalings: scaling::memory_scalings(&throughput),
        memory: memory::memory(&throughput),
        run_costs: run_cost::run_costs(&finals, &accuracy),
        untimed: timings.iter().filter_map(|files| untimed(files)).collect(),
        crossovers: crossovers::crossovers(&throughput),
        provenances: provenances(&sorted),
        warnings,
        accuracy,
        throughput,
    }
}

/// The order in which cells are stored, but for models: those stand as in every legend.
pub(crate) fn standing(a: &Cell, b: &Cell) -> Ordering {
    let place = |cell: &Cell| (place_of(&cell.labels.architecture), cell.labels.architecture.clone());
    a.experiment
        .cmp(&b.experiment)
        .then_with(|| a.purpose.cmp(&b.purpose))
        .then_with(|| a.labels.task.cmp(&b.labels.task))
        .then_with(|| place(a).cmp(&place(b)))
        .then_with(|| order::cells(a, b))
}

/// What a timing cell without rounds says of itself.
fn untimed(files: &CellFiles) -> Option<(Setting, String)> {
    let reason = files.cell.reason.clone().unwrap_or_else(|| "no reason stated".into());
    files.timings.is_empty().then(|| (Setting::of(files), reason))
}

fn provenances(cells: &[&CellFiles]) -> Vec<Provenance> {
    let mut distinct = Vec::new();
    for files in cells {
        let provenance =
            Provenance { wall_seconds: 0.0, claims: Default::default(), ..files.cell.provenance.clone() };
        if !distinct.contains(&provenance) {
            distinct.push(provenance);
        }
    }
    distinct
}

/// A warning where cells that stand side by side differ in what decides their bits.
fn mixed<'a>(
    cells: impl Iterator<Item = &'a CellFiles>,
    name: &str,
    of: fn(&CellFiles) -> String,
) -> Option<String> {
    let distinct: BTreeSet<_> = cells.map(of).collect();
    let list = distinct.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    (distinct.len() > 1).then(|| format!("cells differ in {name}: {list}"))
}
