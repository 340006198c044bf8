//! The digest: what a person sees when a run ends, one small table a measurement. Sweeps and lengths become
//! columns; what does not fit so keeps its full table.

mod accuracy;
mod gradients;
mod theory;
mod throughput;

use super::{Table, build, efficiency, extrapolation_table};
use crate::summary::{GradientProfile, Summary, TheoryProfile, summarise};
use seqbench_record::CellFiles;

/// Accuracy with reach, extrapolation, gradients, theory, throughput and efficiency of cells, each as short as its numbers allow; the order of the
/// cells does not matter. [`tables`](super::tables) has all.
pub fn digest(cells: &[CellFiles]) -> Vec<Table> {
    summary_digest(&summarise(cells))
}

/// As [`digest`], of a summary.
pub fn summary_digest(summary: &Summary) -> Vec<Table> {
    let mut tables = accuracy::tables(summary);
    tables.push(extrapolation_table(summary));
    let place = |own: &GradientProfile| (own.setting.experiment.clone(), own.setting.task.clone());
    for own in distinct(summary.profiles.iter().map(place)) {
        let profiles = summary.profiles.iter().filter(|profile| place(profile) == own).cloned().collect();
        tables.push(gradients::table(&Summary { profiles, ..Summary::default() }));
    }
    let place = |own: &TheoryProfile| (own.setting.experiment.clone(), own.setting.task.clone());
    for own in distinct(summary.theories.iter().map(place)) {
        let rows: Vec<_> = summary.theories.iter().filter(|row| place(row) == own).collect();
        tables.push(theory::table(&rows));
    }
    tables.push(throughput::table(summary));
    tables.push(efficiency::at_longest(summary));
    tables.retain(|table| !table.rows.is_empty());
    if let Some(last) = tables.last_mut() {
        last.notes.extend(build::provenance_note(&summary.provenances, false));
        last.notes.dedup();
    }
    tables
}

/// Values in the order of their first appearance, each once.
pub(super) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
