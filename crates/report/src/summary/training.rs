//! How the runs of a setting were trained, where that decides how their scores are read: when they stop, and how
//! their learning rate was found.

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
