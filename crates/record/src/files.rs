//! A cell as the files of a folder, and back.

use crate::folder::{DIGESTS, damaged, listed};
use crate::json::to_json;
use crate::{Cell, CellFiles, Error, Result, SCHEMA_VERSION, rows};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

pub(crate) const CELL: &str = "cell.json";

/// Files of a cell, `digests` last.
pub(crate) fn encode(files: &CellFiles) -> Result<Vec<(String, Vec<u8>)>> {
    let unwritable = |what: String| Error::Unwritable { id: files.cell.id.clone(), what };
    let json = to_json(&files.cell).map_err(|error| unwritable(error.to_string()))?;
    let mut contents = vec![(CELL.to_owned(), json)];
    for (name, bytes) in tables(files).map_err(|error| unwritable(error.to_string()))? {
        contents.push((name.to_owned(), bytes));
    }
    contents.push((DIGESTS.to_owned(), listed(&contents)));
    Ok(contents)
}

/// Files of rows.
pub(crate) const KINDS: [&str; 8] = [
    "score.csv",
    "curve.csv",
    "profile.csv",
    "spectrum.csv",
    "trace.csv",
    "timing.csv",
    "memory.csv",
    "condition.csv",
];

/// The rows of a cell as CSV text, in the order of [`KINDS`], without the kinds that have none.
pub(crate) fn tables(files: &CellFiles) -> std::result::Result<Vec<(&'static str, Vec<u8>)>, csv::Error> {
    let texts = [
        rows::to_csv(&files.scores)?,
        rows::to_csv(&files.curves)?,
        rows::to_csv(&files.profiles)?,
        rows::to_csv(&files.spectra)?,
        rows::to_csv(&files.traces)?,
        rows::to_csv(&files.timings)?,
        rows::to_csv(&files.memory)?,
        rows::to_csv(&files.conditions)?,
    ];
    Ok(KINDS.into_iter().zip(texts).filter(|(_, text)| !text.is_empty()).collect())
}

/// A cell of its record and its rows; `folder` names what is damaged.
///
/// # Errors
/// [`Error::Damaged`] where a row does not parse, or where files have the layout of another schema.
pub(crate) fn decode<'a>(
    cell: Cell,
    folder: &Path,
    rows_of: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<CellFiles> {
    let readable = match cell.schema {
        SCHEMA_VERSION => true,
        1 => rows_of("profile.csv").is_none(),
        _ => false,
    };
    if !readable {
        let what = format!("written with schema {}, this program has {SCHEMA_VERSION}", cell.schema);
        return Err(damaged(&folder.join(CELL), None, what));
    }
    Ok(CellFiles {
        scores: table(folder, &rows_of, "score.csv")?,
        curves: table(folder, &rows_of, "curve.csv")?,
        profiles: table(folder, &rows_of, "profile.csv")?,
        spectra: table(folder, &rows_of, "spectrum.csv")?,
        traces: table(folder, &rows_of, "trace.csv")?,
        timings: table(folder, &rows_of, "timing.csv")?,
        memory: table(folder, &rows_of, "memory.csv")?,
        conditions: table(folder, &rows_of, "condition.csv")?,
        cell: Cell { schema: SCHEMA_VERSION, ..cell },
    })
}

fn table<'a, T: Serialize + DeserializeOwned>(
    folder: &Path,
    rows_of: &impl Fn(&str) -> Option<&'a [u8]>,
    name: &str,
) -> Result<Vec<T>> {
    rows_of(name).map_or(Ok(Vec::new()), |bytes| rows::from_csv(bytes, &folder.join(name)))
}
