//! Notes on training: the budget of steps, when a run stops, and how its learning rate was found.

use super::build::distinct;
use crate::summary::{AccuracyGroup, Stop};

/// `Budget: 800 optimizer steps a run; the whole budget is spent.`; none where no row says its budget.
pub(super) fn budget<'a>(rows: impl Iterator<Item = &'a AccuracyGroup> + Clone) -> Option<String> {
    let steps = distinct(rows.clone().filter_map(|row| row.steps))?;
    let stops = stops(rows).map(|text| format!("; {text}")).unwrap_or_default();
    Some(format!("Budget: {steps} optimizer steps a run{stops}."))
}

/// When runs stop; none where no row says.
fn stops<'a>(rows: impl Iterator<Item = &'a AccuracyGroup> + Clone) -> Option<String> {
    let whole = rows.clone().any(|row| row.stop == Some(Stop::WholeBudget));
    match (early(rows), whole) {
        (Some(early), false) => Some(format!("runs stop early at {early}")),
        (Some(early), true) => {
            Some(format!("some runs stop early at {early}, the others spend the whole budget"))
        }
        (None, true) => Some("the whole budget is spent".into()),
        (None, false) => None,
    }
}

/// `validation accuracy ≥ 0.99` where runs stop there.
pub(super) fn early<'a>(rows: impl Iterator<Item = &'a AccuracyGroup>) -> Option<String> {
    let limits = rows.filter_map(|row| match row.stop {
        Some(Stop::Early(limit)) => Some(limit),
        _ => None,
    });
    distinct(limits).map(|limits| format!("validation accuracy ≥ {limits}"))
}

/// `Learning rate chosen among 4 candidates by 2 trials each on the validation stream.`; none where no rate was.
pub(super) fn selection<'a>(rows: impl Iterator<Item = &'a AccuracyGroup> + Clone) -> Option<String> {
    let selected = || rows.clone().filter_map(|row| row.selected);
    let candidates = distinct(selected().map(|rule| rule.candidates as f64))?;
    let trials = distinct(selected().map(|rule| rule.trials as f64))?;
    let noun = if trials == "1" { "trial" } else { "trials" };
    let fixed = rows.clone().any(|row| row.selected.is_none());
    let fixed = if fixed { "; fixed for the other rows" } else { "" };
    Some(format!(
        "Learning rate chosen among {candidates} candidates by {trials} {noun} each on the validation stream{fixed}."
    ))
}
