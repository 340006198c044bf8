//! `seqbench table`: the tables of results, from their rows alone.

use crate::arguments::{Format, Table};
use crate::check::{Gravity, check};
use crate::claims::built_in;
use crate::experiments::find_results;
use crate::failure::{Failure, Outcome};
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_record::{CellFiles, Scan, Store};
use seqbench_report::table;
use std::path::{Path, PathBuf};

/// Prints the tables of one or several results folders, read together.
pub(crate) fn run(arguments: &Table, registry: &Registry) -> Outcome {
    let scans = scans(&arguments.results)?;
    for (folder, scan) in &scans {
        warn(folder, scan, registry);
    }
    let cells = cells(scans)?;
    let tables = table::tables(&cells);
    let text = match arguments.format {
        Format::Json => json(&tables)?,
        format => joined(&tables, format.into()),
    };
    terminal::print(text.trim_end());
    Ok(())
}

/// Says on the error stream what [`check`] found. Results without their experiment are checked as far as they read.
fn warn(folder: &Path, scan: &Scan, registry: &Registry) {
    let stated = built_in().unwrap_or_default();
    for finding in check(folder, scan, &stated, registry).unwrap_or_default() {
        if finding.gravity != Gravity::Ok {
            terminal::note(&format!("warning: {}: {}: {}", folder.display(), finding.rule, finding.text));
        }
    }
}

fn joined(tables: &[table::Table], format: table::Format) -> String {
    tables.iter().map(|table| table.render(format)).collect::<Vec<_>>().join("\n")
}

/// One array of tables, so that a program reads one document.
pub(crate) fn json(tables: &[table::Table]) -> Result<String, Failure> {
    let parsed: Result<Vec<serde_json::Value>, _> =
        tables.iter().map(|table| serde_json::from_str(&table.render(table::Format::Json))).collect();
    let parsed = parsed.context("a table is no JSON")?;
    Ok(format!("{:#}", serde_json::Value::from(parsed)))
}

/// All cells of several results folders. Damaged ones are named on the error stream and left out.
pub(crate) fn read(results: &[String]) -> Result<Vec<CellFiles>, Failure> {
    cells(scans(results)?)
}

/// What stands in each of several results folders.
fn scans(results: &[String]) -> Result<Vec<(PathBuf, Scan)>, Failure> {
    let scan = |argument: &String| {
        let folder = find_results(argument)?;
        let scan =
            Store::open(&folder).scan().with_context(|| format!("cannot read {}", folder.display()))?;
        Ok((folder, scan))
    };
    results.iter().map(scan).collect()
}

fn cells(scans: Vec<(PathBuf, Scan)>) -> Result<Vec<CellFiles>, Failure> {
    let mut cells = Vec::new();
    for (_, scan) in scans {
        for damage in &scan.damaged {
            terminal::note(&format!("warning: {damage}"));
        }
        cells.extend(scan.cells);
    }
    if cells.is_empty() {
        return Err(Failure::usage(
            "error: there is no finished cell in these results\nhelp: run the experiment first",
        ));
    }
    Ok(cells)
}
