//! One set of cells from several folders: shards, or the same sweep run twice. What is deterministic must agree; of what is
//! not, one is kept, the same one in whatever order the folders come.

use crate::error::{Error, Result};
use crate::files::encode;
use crate::schema::{CellFiles, Provenance, Purpose, Status};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The same cell in two folders, with other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Its identity.
    pub id: String,
    /// The folders.
    pub folders: [PathBuf; 2],
    /// The file of the cell that differs first.
    pub file: String,
}

/// What several folders hold together.
#[derive(Debug, Default)]
pub struct Merged {
    /// One cell of each identity, in the order of identities.
    pub cells: Vec<CellFiles>,
    /// Cells that more than one folder had.
    pub repeated: usize,
    /// Cells that must not be merged.
    pub contradictions: Vec<Contradiction>,
    /// Cells that do not read well anywhere, with the first error of each.
    pub damaged: Vec<Error>,
}

/// Merges the cells of several stores; writes nothing.
///
/// # Errors
/// [`Error::Io`] where the disk refuses.
pub fn merge(stores: &[Store]) -> Result<Merged> {
    let mut merged = Merged::default();
    let mut found: BTreeMap<String, (CellFiles, PathBuf)> = BTreeMap::new();
    for store in stores {
        let scan = store.scan()?;
        merged.damaged.extend(scan.damaged);
        for files in scan.cells {
            let (id, folder) = (files.cell.id.clone(), store.root().to_owned());
            match found.remove(&id) {
                None => {
                    found.insert(id, (files, folder));
                }
                Some((known, first)) => {
                    merged.repeated += 1;
                    let kept = match (differs(&known, &files)?, prefers(&files, &known)?) {
                        (Some(file), _) => {
                            let folders = [first.clone(), folder];
                            merged.contradictions.push(Contradiction { id: id.clone(), folders, file });
                            (known, first)
                        }
                        (None, true) => (files, folder),
                        (None, false) => (known, first),
                    };
                    found.insert(id, kept);
                }
            }
        }
    }
    merged.damaged.retain(|error| match error {
        // Another folder may have the same cell whole.
        Error::Damaged { path, .. } => !path
            .parent()
            .and_then(|folder| folder.file_name())
            .is_some_and(|id| found.contains_key(&*id.to_string_lossy())),
        _ => true,
    });
    merged.cells = found.into_values().map(|(files, _)| files).collect();
    Ok(merged)
}

/// Whether a cell ran to an end, and is not to be repeated.
fn ran(files: &CellFiles) -> bool {
    matches!(files.cell.status, Status::Done | Status::Diverged)
}

/// The first file whose deterministic content differs; nothing where one of the two did not run, and for timed cells, of
/// which no two are the same.
fn differs(a: &CellFiles, b: &CellFiles) -> Result<Option<String>> {
    if !(ran(a) && ran(b)) || a.cell.purpose == Purpose::Timing {
        return Ok(None);
    }
    let (a, b) = (deterministic(a)?, deterministic(b)?);
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let other = names.into_iter().find(|name| a.get(*name) != b.get(*name));
    Ok(other.cloned())
}

fn deterministic(files: &CellFiles) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut bare = files.clone();
    bare.cell.provenance = Provenance::default();
    bare.timings.clear();
    bare.memory.clear();
    bare.conditions.clear();
    Ok(encode(&bare)?.into_iter().filter(|(name, _)| name != "digests").collect())
}

/// Whether the first of two that agree is kept: one that ran before one that did not, then the lesser by its bytes.
fn prefers(a: &CellFiles, b: &CellFiles) -> Result<bool> {
    let rank = |files: &CellFiles| match files.cell.status {
        Status::Done | Status::Diverged => 0,
        Status::Skipped => 1,
        Status::Failed => 2,
    };
    Ok(match rank(a).cmp(&rank(b)) {
        std::cmp::Ordering::Equal => encode(a)? < encode(b)?,
        order => order.is_lt(),
    })
}
