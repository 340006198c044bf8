//! Gradients of two results: whether their profiles are the same, and by how much they differ at most. Nothing is tested: the
//! same seeds give the same bits on one instruction set and differ by rounding on another, and no profile is the better one.

use crate::summary::setting::{Setting, group};
use seqbench_record::rows::to_csv;
use seqbench_record::{CellFiles, ProfileRow};
use serde::Serialize;
use std::collections::BTreeMap;

/// Gradient profiles of one setting that both have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfileChange {
    /// The setting.
    pub setting: Setting,
    /// Cells that both have.
    pub cells: usize,
    /// Of these, the cells whose profiles are the same.
    pub same: usize,
    /// Largest difference of a norm that both trust, in decades; none where they share no such row.
    pub largest: Option<f64>,
}

/// One row a setting, of the cells that both have, in the order of the first.
pub(super) fn profiles(first: &[CellFiles], second: &[CellFiles]) -> Vec<ProfileChange> {
    let probed = |files: &&CellFiles| !files.profiles.is_empty();
    let others: BTreeMap<&str, &CellFiles> =
        second.iter().filter(probed).map(|files| (files.cell.id.as_str(), files)).collect();
    let both = |files: &&CellFiles| probed(files) && others.contains_key(files.cell.id.as_str());
    let row = |(setting, cells): (Setting, Vec<&CellFiles>)| {
        let pairs = cells.iter().map(|own| (&own.profiles, &others[own.cell.id.as_str()].profiles));
        ProfileChange {
            setting,
            cells: cells.len(),
            same: pairs.clone().filter(|(a, b)| written(a) == written(b)).count(),
            largest: pairs.filter_map(|(a, b)| largest(a, b)).reduce(f64::max),
        }
    };
    group(first.iter().filter(both)).into_iter().map(row).collect()
}

/// The rows as a file holds them, in which what is no number equals itself.
fn written(rows: &[ProfileRow]) -> Option<Vec<u8>> {
    to_csv(rows).ok()
}

fn largest(a: &[ProfileRow], b: &[ProfileRow]) -> Option<f64> {
    let key = |row: &ProfileRow| (row.stage.clone(), row.layer, row.wrt.clone(), row.distance);
    let others: BTreeMap<_, f64> =
        b.iter().filter(|row| row.trusted).map(|row| (key(row), row.log10_norm)).collect();
    let trusted = a.iter().filter(|row| row.trusted);
    let differences = trusted.filter_map(|row| Some((row.log10_norm - others.get(&key(row))?).abs()));
    differences.filter(|difference| difference.is_finite()).reduce(f64::max)
}
