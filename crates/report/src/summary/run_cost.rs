//! What a training run costs, and what it costs to solve its task.

use super::{AccuracyGroup, Setting};
use crate::statistics::{Censored, Estimate, SeedValue, Success};
use seqbench_record::{CellFiles, Status};
use serde::Serialize;

/// What solving the task took the runs of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ToSolve {
    /// Validation accuracy from which a run counts as solved.
    pub threshold: f64,
    /// Runs that reached it, of those done or diverged.
    pub solved: Success,
    /// Median optimizer steps, where runs that never reached it count as longer than they ran.
    pub steps: Censored,
    /// The same of CPU seconds.
    pub cpu_seconds: Censored,
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
        Some(RunCost {
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
    let solved_at =
        |files: &&&CellFiles| fact(files, "steps_to_solve").is_some() && files.cell.status == Status::Done;
    let (solved, unsolved): (Vec<&CellFiles>, Vec<&CellFiles>) =
        runs.iter().partition(|files| solved_at(files));
    let steps: Vec<f64> = solved.iter().filter_map(|files| fact(files, "steps_to_solve")).collect();
    let spent: Vec<f64> = unsolved.iter().filter_map(|files| steps_run(files)).collect();
    let seconds: Vec<(f64, bool)> = solved.iter().filter_map(|files| seconds_to_solve(files)).collect();
    let known: Vec<f64> = seconds.iter().map(|(seconds, _)| *seconds).collect();
    let spent_seconds: Vec<(f64, bool)> =
        unsolved.iter().filter_map(|files| training_seconds(files)).collect();
    let longer: Vec<f64> = spent_seconds.iter().map(|(seconds, _)| *seconds).collect();
    // A run without a time would count as longer than any.
    let timed = known.len() + longer.len() == runs.len();
    Some(ToSolve {
        threshold,
        solved: Success::new(solved.len(), runs.len()),
        steps: Censored::new(&steps, &spent, runs.len()),
        cpu_seconds: if timed { Censored::new(&known, &longer, runs.len()) } else { Censored::default() },
        estimated: seconds.iter().chain(&spent_seconds).any(|(_, estimated)| *estimated),
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

fn steps_run(files: &CellFiles) -> Option<f64> {
    fact(files, "steps_run").or_else(|| fact(files, "steps"))
}

fn fact(files: &CellFiles, name: &str) -> Option<f64> {
    files.cell.facts.get(name).copied()
}

fn condition(files: &CellFiles, name: &str) -> Option<f64> {
    files.conditions.iter().find(|row| row.name == name).map(|row| row.value)
}
