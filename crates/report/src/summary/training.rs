//! How the runs of a setting were trained, where that decides how their scores are read: when they stop, and how
//! their learning rate was found.

use crate::statistics::{MedianTime, Waited};
use seqbench_record::{CellFiles, Status};
use serde::Serialize;
use serde_json::Value;

/// When a run stops.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Stop {
    /// After its whole budget of steps.
    WholeBudget,
    /// At the first point of its learning curve whose validation accuracy reaches this.
    Early(f64),
}

/// The rule that found a learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Selected {
    /// Learning rates tried.
    pub candidates: usize,
    /// Trials of each.
    pub trials: u64,
}

/// The stated mode of stopping; none where the configuration does not say.
pub(crate) fn stop(cells: &[&CellFiles]) -> Option<Stop> {
    let of = |files: &&CellFiles| {
        let train = files.cell.config.get("train").filter(|train| train.is_object())?;
        let early = train.get("stop_at").and_then(Value::as_f64);
        Some(early.map_or(Stop::WholeBudget, Stop::Early))
    };
    cells.iter().find_map(of)
}

/// The rule that found the learning rate; none where it is fixed.
pub(crate) fn selected(cells: &[&CellFiles]) -> Option<Selected> {
    let of = |files: &&CellFiles| {
        let rate = files.cell.config.pointer("/train/lr")?;
        let candidates = rate.get("select")?.as_array()?.len();
        Some(Selected { candidates, trials: rate.get("trials").and_then(Value::as_u64).unwrap_or(0) })
    };
    cells.iter().find_map(of)
}

/// Steps of a run that ended before its budget because it was told to: what it would have reached with more is not
/// known.
pub(crate) fn stopped_early(files: &CellFiles) -> Option<f64> {
    let fact = |name: &str| files.cell.facts.get(name).copied();
    let told = matches!(stop(&[files]), Some(Stop::Early(_)));
    let (run, budget) = (fact("steps_run")?, fact("steps")?);
    (told && files.cell.status == Status::Done && run < budget).then_some(run)
}

/// Optimizer steps at which a run solved its task; none where it did not, and of a diverged run, which is unsolved whatever it
/// scored before.
pub(super) fn solved_after(files: &CellFiles) -> Option<f64> {
    files.cell.facts.get("steps_to_solve").copied().filter(|_| files.cell.status == Status::Done)
}

/// How long a run waited to solve its task, by what it spent until then or, unsolved, in all, and the soonest that it could have
/// solved it; none where it does not say.
///
/// A run that diverged waits for ever: it ended because of what it had learnt, and would not have solved the task with more.
/// Taken as one that merely ended at that step, it would leave those at risk, and an architecture that diverges more often would
/// seem to solve sooner. One that spent its whole budget waits longer than any that solved it within: of seconds, in which a
/// budget of steps ends sooner on an idle machine, it may have spent fewer.
fn waited(
    files: &CellFiles,
    until_solved: impl Fn(&CellFiles) -> Option<f64>,
    in_all: impl Fn(&CellFiles) -> Option<f64>,
) -> Option<(Waited, f64)> {
    const FOR_EVER: Waited = Waited { time: f64::INFINITY, reached: false };
    if files.cell.status == Status::Diverged {
        return Some((FOR_EVER, f64::INFINITY));
    }
    if solved_after(files).is_some() {
        return until_solved(files).map(|time| (Waited { time, reached: true }, time));
    }
    let time = in_all(files)?;
    let ended = if stopped_early(files).is_some() { Waited { time, reached: false } } else { FOR_EVER };
    Some((ended, time))
}

/// Optimizer steps taken; the budget where a run does not say.
pub(super) fn steps_run(files: &CellFiles) -> Option<f64> {
    let fact = |name: &str| files.cell.facts.get(name).copied();
    fact("steps_run").or_else(|| fact("steps"))
}

/// The median of how long runs waited to solve their task, by what they spent until then or, unsolved, in all; none where one does
/// not say: it is no run that took for ever.
pub(super) fn median_time(
    runs: &[&CellFiles],
    until_solved: impl Fn(&CellFiles) -> Option<f64>,
    in_all: impl Fn(&CellFiles) -> Option<f64>,
) -> MedianTime {
    let waited: Option<Vec<_>> = runs.iter().map(|files| waited(files, &until_solved, &in_all)).collect();
    waited.map_or_else(MedianTime::default, |runs| MedianTime::new(&runs))
}

/// The same in optimizer steps.
pub(super) fn median_steps(runs: &[&CellFiles]) -> MedianTime {
    median_time(runs, solved_after, steps_run)
}
