//! Which cells a side of a claim is: filters on labels and coordinates.

use super::definition::Filter;
use super::quantity::Quantity;
use super::{Claim, Side};
use crate::statistics::SeedValue;
use crate::summary::{last_word, spelled};
use seqbench_record::{Cell, CellFiles, Purpose};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a filter asks of a cell.
fn asked(cell: &Cell, key: &str) -> Option<Value> {
    let labels = &cell.labels;
    match key {
        "model" => Some(labels.model.clone().into()),
        "architecture" => Some(labels.architecture.clone().into()),
        "task" => Some(labels.task.clone().into()),
        _ => labels
            .coordinates
            .iter()
            .find(|own| own.key == key || last_word(&own.key) == key)
            .map(|own| own.value.clone()),
    }
}

/// Whether two values are the same, however a number is written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, own)| b.get(key).is_some_and(|other| same(own, other)))
        }
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

/// Whether a cell passes.
pub(super) fn passes(cell: &Cell, filter: &Filter) -> bool {
    filter.iter().all(|(key, wanted)| {
        asked(cell, key).is_some_and(|found| match wanted {
            Value::Array(any) => any.iter().any(|wanted| same(wanted, &found)),
            wanted => same(wanted, &found),
        })
    })
}

/// A filter in words, the model first.
pub(super) fn words(filter: &Filter) -> String {
    let spelled = |value: &Value| match value {
        Value::Array(any) => any.iter().map(spelled).collect::<Vec<_>>().join(", "),
        value => spelled(value),
    };
    let model = filter.get("model").map(spelled);
    let rest = filter
        .iter()
        .filter(|(key, _)| *key != "model")
        .map(|(key, value)| format!("{key}={}", spelled(value)));
    model.into_iter().chain(rest).collect::<Vec<_>>().join(" ")
}

/// The runs of one side, the first seeds of the reporting range; or why there are not all of them.
pub(super) fn side(
    claim: &Claim,
    filter: &Filter,
    quantity: &Quantity,
    cells: &[CellFiles],
) -> Result<Side, String> {
    let name = words(filter);
    let mut found: BTreeMap<u64, &CellFiles> = BTreeMap::new();
    for files in
        cells.iter().filter(|files| files.cell.purpose == Purpose::Final && passes(&files.cell, filter))
    {
        if let Some(other) = found.insert(files.cell.labels.seed, files)
            && other.cell.group != files.cell.group
        {
            return Err(format!("`{name}` fits several settings: say more of it"));
        }
    }
    let wanted = 0..claim.seeds as u64;
    let missing = wanted.clone().filter(|seed| !found.contains_key(seed)).count();
    if missing > 0 {
        return Err(format!("{missing} of {} runs of `{name}` are missing", claim.seeds));
    }
    let mut side = Side { name, ..Side::default() };
    for seed in wanted {
        let files = found[&seed];
        side.values.push(SeedValue { seed, value: quantity.of(files)? });
        side.cells.push(files.cell.id.clone());
    }
    Ok(side)
}
