//! Claims about facts that no chance is in: how they go with length.

use super::definition::Filter;
use super::select::{passes, words};
use super::{Decision, Outcome, Side};
use crate::statistics::SeedValue;
use seqbench_record::{CellFiles, Status};
use std::collections::BTreeMap;

/// Fewest lengths that show how a fact goes with length.
const FEWEST_LENGTHS: usize = 3;

/// Supported where the fact is the same at every length (or rises from each to the next) for every model; refuted else.
pub(super) fn fact(
    name: &str,
    of: &Filter,
    rises: bool,
    cells: &[CellFiles],
    decision: &mut Decision,
) -> Result<(), String> {
    // Model and everything but length: one curve.
    let mut curves: BTreeMap<String, BTreeMap<u64, (f64, &str)>> = BTreeMap::new();
    let ran = |files: &&CellFiles| files.cell.status == Status::Done && passes(&files.cell, of);
    for files in cells.iter().filter(ran) {
        let (labels, facts) = (&files.cell.labels, &files.cell.facts);
        let length = labels.coordinates.iter().find(|own| own.key == "length").and_then(|own| own.number());
        if let (Some(length), Some(value)) = (length, facts.get(name)) {
            let curve = curves.entry(labels.model.clone()).or_default();
            // Other modes, batches and threads say the same of one sequence, or it is no fact of the length.
            let known = curve.insert(length as u64, (*value, &files.cell.id));
            if known.is_some_and(|(known, _)| known != *value) {
                return Err(format!(
                    "`{name}` of {} differs between cells of one length: say more",
                    labels.model
                ));
            }
        }
    }
    let short = curves.iter().find(|(_, curve)| curve.len() < FEWEST_LENGTHS);
    if curves.is_empty() || short.is_some() {
        let of = short.map_or_else(|| words(of), |(model, _)| model.clone());
        return Err(format!("`{name}` of `{of}` is known at fewer than {FEWEST_LENGTHS} lengths"));
    }
    let holds = |curve: &BTreeMap<u64, (f64, &str)>| {
        let values: Vec<f64> = curve.values().map(|(value, _)| *value).collect();
        values.windows(2).all(|pair| if rises { pair[1] > pair[0] } else { pair[1] == pair[0] })
    };
    let broken: Vec<&str> =
        curves.iter().filter(|(_, curve)| !holds(curve)).map(|(model, _)| model.as_str()).collect();
    decision.outcome = if broken.is_empty() { Outcome::Supported } else { Outcome::Refuted };
    if !broken.is_empty() {
        decision.notes.push(format!("not so for {}", broken.join(", ")));
    }
    decision.sides = curves
        .into_iter()
        .map(|(model, curve)| Side {
            name: model,
            values: curve
                .iter()
                .map(|(length, (value, _))| SeedValue { seed: *length, value: *value })
                .collect(),
            cells: curve.values().map(|(_, id)| (*id).to_owned()).collect(),
        })
        .collect();
    decision.notes.push("values by length, in steps, in the place of seeds".into());
    Ok(())
}
