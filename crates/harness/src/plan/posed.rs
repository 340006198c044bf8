//! One task outside an experiment, and how one model is trained on it: the tables that `[task]` and `[train]` would be,
//! resolved by the code that resolves them there.

use super::error::{PlanError, Result, refuse};
use super::measure::MAX_LENGTH;
use super::model;
use super::single::Training;
use super::source::{self, Sources};
use super::train;
use crate::spec::{KindSpec, Rate};
use seqbench_core::config::{Data, Entry, Span, Value};
use seqbench_core::{Instance, Registry};

/// A task, configured.
pub struct Posed {
    /// The task.
    pub instance: Instance,
    /// Its name and settings, defaults filled in.
    pub spec: KindSpec,
}

/// A task by its registry name; each of `settings` is `key=value`.
///
/// # Errors
/// A name that the registry lacks, an unknown key, a value that does not fit, sequences that are too long.
pub fn pose(name: &str, settings: &[String], registry: &Registry) -> std::result::Result<Posed, PlanError> {
    let mut sources = Sources::new("--task", name);
    let settings: Vec<(&str, usize)> =
        settings.iter().map(|own| (own.as_str(), sources.push("--task-set", own))).collect();
    let place = Some(0..name.len());
    let posed = || {
        let table = table(&settings, &place)?;
        let task = registry.task(name, &place)?;
        let (instance, config) = task.configure(&table).map_err(|error| model::placed(error, &place))?;
        let steps = instance.steps();
        if steps as u64 > MAX_LENGTH {
            return refuse(format!("sequences would have {steps} steps; the limit is {MAX_LENGTH}"), &place);
        }
        Ok(Posed { instance, spec: KindSpec { kind: name.to_owned(), config } })
    };
    posed().map_err(|error| PlanError::from_config(error, &sources))
}

/// How one model is trained; each of `settings` is a `key=value` of `[train]`.
///
/// # Errors
/// An unknown key, a value that does not fit, a rate that is yet to be selected.
pub fn trained(settings: &[String]) -> std::result::Result<Training, PlanError> {
    let mut sources = Sources::new("--set", "");
    let settings: Vec<(&str, usize)> =
        settings.iter().map(|own| (own.as_str(), sources.push("--set", own))).collect();
    let resolved = || {
        let table = table(&settings, &None)?;
        let spec = train::resolve(Some(&table), None, None, &mut Vec::new())?;
        match spec.lr {
            Rate::Fixed(rate) => Ok(Training { spec, rate }),
            Rate::Select { .. } => refuse(
                "`lr` must be one number where one model is trained",
                &table.get("lr").and_then(|lr| lr.span.clone()),
            ),
        }
    };
    resolved().map_err(|error| PlanError::from_config(error, &sources))
}

/// Assignments as a table; of two to one key the last one counts.
fn table(settings: &[(&str, usize)], place: &Span) -> Result<Value> {
    let mut table = Value::table();
    table.span = place.clone();
    for (text, base) in settings {
        let (key, span, value) = source::assignment(text, *base)?;
        table.take(&key);
        if let Data::Table(entries) = &mut table.data {
            entries.push(Entry { key, span, value });
        }
    }
    Ok(table)
}
