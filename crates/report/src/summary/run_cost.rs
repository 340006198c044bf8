//! What a training run costs, and what it costs to solve its task.

use super::training::{median_steps, median_time, solved_after, steps_run};
use super::{AccuracyGroup, Setting};
use crate::statistics::{Estimate, MedianTime, SeedValue, Success};
use seqbench_record::{CellFiles, Status};
use serde::Serialize;

/// What solving the task took the runs of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ToSolve {
    /// Validation accuracy from which a run counts as solved.
    pub threshold: f64,
    /// Runs that reached it, of those done or diverged.
    pub solved: Success,
    /// Median optimizer steps by Kaplan & Meier: runs that stopped early unsolved are at risk until they end, others that
    /// did not solve it for ever.
    pub steps: MedianTime,
    /// The same of CPU seconds.
    pub cpu_seconds: MedianTime,
    /// Whether a time is a share of the whole run, with its validation and scoring, instead of a measured one of steps alone.
    pub estimated: bool,
}

/// What the runs of a setting cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunCost {
    /// The setting.
    pub setting: Setting,
    /// CPU seconds of a run over seeds, wall-clock times threads: training, validation, probes and scoring.
    pub cpu_seconds: Estimate,
    /// CPU seconds of the optimizer steps of a run that was done, over seeds.
    pub training: Estimate,
    /// Whether any of those is of the whole run instead.
    pub training_estimated: bool,
    /// What solving took; none where no threshold or no steps are known.
    pub to_solve: Option<ToSolve>,
}

/// One row a setting whose cells measure accuracy.
pub(crate) fn run_costs(finals: &[(Setting, Vec<&CellFiles>)], accuracy: &[AccuracyGroup]) -> Vec<RunCost> {
    let of = |(setting, cells): &(Setting, Vec<&CellFiles>)| {
        let group = accuracy.iter().find(|group| group.setting == *setting)?;
        let runs: Vec<&CellFiles> = cells
            .iter()
            .copied()
            .filter(|files| matches!(files.cell.status, Status::Done | Status::Diverged))
            .collect();
        let value = |files: &&CellFiles| {
            Some(SeedValue { seed: files.cell.labels.seed, value: whole_seconds(files)? })
        };
        let trained: Vec<(u64, (f64, bool))> = runs
            .iter()
            .filter(|files| files.cell.status == Status::Done)
            .filter_map(|files| Some((files.cell.labels.seed, training_seconds(files)?)))
            .collect();
        let seconds = trained.iter().map(|(seed, (value, _))| SeedValue { seed: *seed, value: *value });
        Some(RunCost {
            training: Estimate::new(seconds.collect()),
            training_estimated: trained.iter().any(|(_, (_, estimated))| *estimated),
            setting: setting.clone(),
            cpu_seconds: Estimate::new(runs.iter().filter_map(value).collect()),
            // What is known by a loss is never solved.
            to_solve: group.threshold.and_then(|_| to_solve(&runs)),
        })
    };
    finals.iter().filter_map(of).collect()
}

fn to_solve(runs: &[&CellFiles]) -> Option<ToSolve> {
    let threshold = runs.iter().find_map(|files| fact(files, "solved_threshold"))?;
    runs.iter().find_map(|files| steps_run(files))?;
    let of_solved = |files: &&CellFiles| solved_after(files).is_some();
    let estimated = |files: &&CellFiles| {
        let own = if of_solved(files) { seconds_to_solve(files) } else { training_seconds(files) };
        files.cell.status == Status::Done && own.is_some_and(|(_, estimated)| estimated)
    };
    Some(ToSolve {
        threshold,
        solved: Success::new(runs.iter().copied().filter(of_solved).count(), runs.len()),
        steps: median_steps(runs),
        cpu_seconds: median_time(
            runs,
            |files| Some(seconds_to_solve(files)?.0),
            |files| Some(training_seconds(files)?.0),
        ),
        estimated: runs.iter().copied().any(|files| estimated(&files)),
    })
}

/// CPU seconds until solved, and whether they are a share of the whole run.
fn seconds_to_solve(files: &CellFiles) -> Option<(f64, bool)> {
    if let Some(seconds) = condition(files, "seconds_to_solve") {
        return Some((seconds * threads(files), false));
    }
    let share = fact(files, "steps_to_solve")? / steps_run(files).filter(|steps| *steps > 0.0)?;
    Some((whole_seconds(files)? * share, true))
}

/// CPU seconds of all steps taken, and whether they include what stands beside steps.
fn training_seconds(files: &CellFiles) -> Option<(f64, bool)> {
    match condition(files, "training_seconds") {
        Some(seconds) => Some((seconds * threads(files), false)),
        None => Some((whole_seconds(files)?, true)),
    }
}

fn whole_seconds(files: &CellFiles) -> Option<f64> {
    Some(files.cell.provenance.wall_seconds * threads(files)).filter(|seconds| *seconds > 0.0)
}

fn threads(files: &CellFiles) -> f64 {
    f64::from(files.cell.provenance.threads.max(1))
}

fn fact(files: &CellFiles, name: &str) -> Option<f64> {
    files.cell.facts.get(name).copied()
}

fn condition(files: &CellFiles, name: &str) -> Option<f64> {
    files.conditions.iter().find(|row| row.name == name).map(|row| row.value)
}
