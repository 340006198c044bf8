//! `seqbench plot`: the figures of results, from their rows alone.

use crate::arguments::Plot;
use crate::commands::table::read;
use crate::experiments::find_results;
use crate::failure::Outcome;
use crate::terminal;
use anyhow::Context;
use seqbench_harness::checkpoint::write_whole;
use seqbench_record::{CellFiles, RealDisk};
use seqbench_report::plot::figures;
use std::path::{Path, PathBuf};

/// Draws every figure the results have data for.
pub(crate) fn run(arguments: &Plot) -> Outcome {
    let cells = read(&arguments.results)?;
    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => find_results(&arguments.results[0])?.join("plots"),
    };
    for path in draw(&cells, &folder)? {
        terminal::print(&path.display().to_string());
    }
    Ok(())
}

/// Writes the figures into a folder; returns their paths.
pub(crate) fn draw(cells: &[CellFiles], folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for figure in figures(cells) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(&figure.file_name);
        write_whole(&RealDisk, &path, figure.svg.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}
