//! Many cells in few files: `cells.jsonl`, on whose first line stands what all records have in common and on each other the
//! rest of one record, and a CSV a kind of row, with the cell in the first column. Scores are plain text where they are not
//! too many, all else, which is most of the bytes, is compressed.

use crate::common::{beyond, common, together};
use crate::files::{KINDS, tables};
use crate::folder::{DIGESTS, Folder, damaged, listed};
use crate::{Cell, CellFiles, Error, Result, files};
use csv::StringRecord;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, btree_map::Entry};
use std::io::{Read as _, Write as _};

/// Folder of the pack, and no identity of a cell.
pub(crate) const PACKED: &str = "packed";

const RECORDS: &str = "cells.jsonl";
/// What is not compressed, for being looked into most.
const PLAIN: &str = "score.csv";
/// Bytes from which it is all the same: sites that keep code show no longer tables.
const READABLE: usize = 512 << 10;

/// Rows of one kind, of all cells.
struct Joined {
    /// Columns, the cell's not among them.
    header: StringRecord,
    writer: csv::Writer<Vec<u8>>,
}

/// Files of a pack, `digests` last. The same cells in the same order give the same bytes.
///
/// # Errors
/// [`Error::Unwritable`] where rows of one kind have other columns than those of the cells before.
pub(crate) fn encode(cells: &[&CellFiles]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut kinds: BTreeMap<&'static str, Joined> = BTreeMap::new();
    for files in cells {
        let id = &files.cell.id;
        let unwritable = |error: &dyn ToString| Error::Unwritable { id: id.clone(), what: error.to_string() };
        for (name, bytes) in tables(files).map_err(|error| unwritable(&error))? {
            append(&mut kinds, name, id, &bytes).map_err(|error| unwritable(&error))?;
        }
    }
    let mut contents = vec![(RECORDS.to_owned(), records(cells)?)];
    for (name, joined) in kinds {
        let unwritable = |what: String| Error::Unwritable { id: name.to_owned(), what };
        let bytes = joined.writer.into_inner().map_err(|error| unwritable(error.to_string()))?;
        contents.push(if name == PLAIN && bytes.len() < READABLE {
            (name.to_owned(), bytes)
        } else {
            (format!("{name}.gz"), compress(&bytes).map_err(|error| unwritable(error.to_string()))?)
        });
    }
    contents.push((DIGESTS.to_owned(), listed(&contents)));
    Ok(contents)
}

/// A line of what all have in common, and one of the rest for each.
fn records(cells: &[&CellFiles]) -> Result<Vec<u8>> {
    let value = |files: &&CellFiles| {
        serde_json::to_value(&files.cell)
            .map_err(|error| Error::Unwritable { id: files.cell.id.clone(), what: error.to_string() })
    };
    let values = cells.iter().map(value).collect::<Result<Vec<Value>>>()?;
    let shared = common(&values);
    let own = values.iter().map(|value| beyond(&shared, value).unwrap_or_else(|| Value::Object(Map::new())));
    let lines = std::iter::once(shared.clone()).chain(own).map(|value| format!("{value}\n"));
    Ok(lines.collect::<String>().into_bytes())
}

/// Appends the rows of one cell to those of its kind.
fn append(
    kinds: &mut BTreeMap<&'static str, Joined>,
    name: &'static str,
    id: &str,
    bytes: &[u8],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers()?.clone();
    let joined = match kinds.entry(name) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(std::iter::once("cell").chain(&header))?;
            entry.insert(Joined { header: header.clone(), writer })
        }
    };
    if joined.header != header {
        let list = |record: &StringRecord| record.iter().collect::<Vec<_>>().join(",");
        let what = format!(
            "its {name} has the columns {}, that of others {}; run the older ones again",
            list(&header),
            list(&joined.header)
        );
        return Err(what.into());
    }
    for row in reader.records() {
        joined.writer.write_record(std::iter::once(id).chain(&row?))?;
    }
    Ok(())
}

/// The cells of a pack, by identity.
///
/// # Errors
/// [`Error::Damaged`] where a line of any file does not hold what [`encode`] writes.
pub(crate) fn decode(folder: &Folder) -> Result<BTreeMap<String, CellFiles>> {
    let mut rows: BTreeMap<String, BTreeMap<&'static str, Vec<u8>>> = BTreeMap::new();
    for kind in KINDS {
        let packed = folder.path.join(kind);
        let bytes = match (folder.get(kind), folder.get(&format!("{kind}.gz"))) {
            (Some(bytes), _) => bytes.to_vec(),
            (None, Some(bytes)) => {
                let path = folder.path.join(format!("{kind}.gz"));
                extract(bytes).map_err(|error| damaged(&path, None, error.to_string()))?
            }
            (None, None) => continue,
        };
        split(kind, &bytes, &mut rows).map_err(|(line, what)| damaged(&packed, line, what))?;
    }
    let path = folder.path.join(RECORDS);
    let mut cells = BTreeMap::new();
    let mut lines = folder.need(RECORDS)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let fault = |i: usize, error: serde_json::Error| damaged(&path, Some(i as u64 + 1), error.to_string());
    let shared: Value =
        serde_json::from_slice(lines.next().unwrap_or_default()).map_err(|error| fault(0, error))?;
    for (i, line) in lines.enumerate() {
        let own: Value = serde_json::from_slice(line).map_err(|error| fault(i + 1, error))?;
        let cell: Cell =
            serde_json::from_value(together(&shared, own)).map_err(|error| fault(i + 1, error))?;
        let id = cell.id.clone();
        let own = rows.remove(&id).unwrap_or_default();
        // Lines are counted from the first of the cell.
        let files = files::decode(cell, &folder.path.join(&id), |name| own.get(name).map(Vec::as_slice))?;
        cells.insert(id, files);
    }
    match rows.keys().next() {
        None => Ok(cells),
        Some(id) => Err(damaged(&path, None, format!("no record of cell {id}, of which there are rows"))),
    }
}

/// Text of the rows of each cell, as its own file would have it.
fn split(
    kind: &'static str,
    bytes: &[u8],
    rows: &mut BTreeMap<String, BTreeMap<&'static str, Vec<u8>>>,
) -> std::result::Result<(), (Option<u64>, String)> {
    let fault = |error: csv::Error| (error.position().map(csv::Position::line), error.to_string());
    let mut reader = csv::Reader::from_reader(bytes);
    let header: StringRecord = reader.headers().map_err(fault)?.iter().skip(1).collect();
    let mut texts: BTreeMap<String, csv::Writer<Vec<u8>>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(fault)?;
        let writer = match texts.entry(row.get(0).unwrap_or_default().to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(&header).map_err(fault)?;
                entry.insert(writer)
            }
        };
        writer.write_record(row.iter().skip(1)).map_err(fault)?;
    }
    for (id, writer) in texts {
        let text = writer.into_inner().map_err(|error| (None, error.to_string()))?;
        rows.entry(id).or_default().insert(kind, text);
    }
    Ok(())
}

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn extract(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text)?;
    Ok(text)
}

/// The same damage with what to do about it where many cells lie in one folder.
pub(crate) fn restorable(error: Error) -> Error {
    match error {
        Error::Damaged { path, line, what, .. } => {
            let remedy =
                "restore the folder from where it came, or delete it and run the experiment again".into();
            Error::Damaged { path, line, what, remedy }
        }
        other => other,
    }
}
