//! The committed reference results: tables, figures and the README's section are what their cells give, to the byte.
//!
//! `SEQBENCH_UPDATE=1 cargo test --release -p seqbench --test results` writes them anew after a reference run.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_record::{CellFiles, Status, Store};
use seqbench_report::plot::figures;
use seqbench_report::table::{self, Format};
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- results: begin -->\n";
const END: &str = "<!-- results: end -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// (path below the repository, cells) of every committed results folder.
fn committed() -> Vec<(String, Vec<CellFiles>)> {
    let mut found = Vec::new();
    for experiment in folders(&root().join("results")) {
        // The comparison with peers has rows of its own kind, and no cells.
        for machine in folders(&experiment).into_iter().filter(|machine| machine.join("cells").is_dir()) {
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            let path = format!("results/{}/{}", name(&experiment), name(&machine));
            found.push((path, Store::open(&machine).cells().unwrap()));
        }
    }
    found
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Everything generated from cells: (path below the repository, contents).
fn generated() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (path, cells) in committed() {
        for table in table::tables(&cells) {
            files.push((format!("{path}/tables/{}.csv", table.name), table.render(Format::Csv)));
            files.push((format!("{path}/tables/{}.md", table.name), table.render(Format::Md)));
        }
        for figure in figures(&cells) {
            files.push((format!("{path}/plots/{}", figure.file_name), figure.svg));
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has no begin marker");
    let (_, after) = rest.split_once(END).expect("README.md has no end marker");
    files.push(("README.md".into(), format!("{before}{BEGIN}{}{END}{after}", section())));
    files
}

/// The README's results: three figures and the digest of the quick experiment.
fn section() -> String {
    let (path, cells) = committed()
        .into_iter()
        .find(|(path, _)| path.starts_with("results/quick/"))
        .expect("no quick results");
    let mut lines = Vec::new();
    for figure in ["accuracy-delayed-recall", "gradients-input", "time-train"] {
        let drawn = figures(&cells).into_iter().find(|own| own.file_name == format!("{figure}.svg")).unwrap();
        lines.push(format!("![{}]({path}/plots/{figure}.svg)\n", drawn.title));
    }
    for table in table::digest(&cells) {
        lines.push(table.render(Format::Md));
    }
    let cell = &cells[0].cell.provenance;
    lines.push(format!(
        "Measured on {} ({}, {}), seqbench {} at {}; [all rows]({path}). Made by \
         `cargo run --release -- run experiments/quick.toml`.\n",
        cell.processor, cell.system, cell.isa, cell.version, cell.revision
    ));
    lines.join("\n")
}

#[test]
fn tables_figures_and_readme_are_what_the_committed_cells_give() {
    let update = std::env::var_os("SEQBENCH_UPDATE").is_some();
    for (path, contents) in generated() {
        let full = root().join(&path);
        if update {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, contents).unwrap();
            continue;
        }
        let found = fs::read_to_string(&full).unwrap_or_default();
        assert!(found == contents, "{path} is stale: SEQBENCH_UPDATE=1 writes it anew");
    }
}

#[test]
fn committed_cells_are_whole_and_made_by_one_committed_revision() {
    for (path, cells) in committed() {
        assert!(!cells.is_empty(), "{path} has no cells");
        for files in &cells {
            let (id, made) = (&files.cell.id, &files.cell.provenance);
            assert!(
                matches!(files.cell.status, Status::Done | Status::Diverged),
                "{path}: {id} is not finished"
            );
            assert_eq!(made.revision, cells[0].cell.provenance.revision, "{path}: {id}");
            assert!(
                !made.revision.contains("dirty") && made.revision != "unknown",
                "{path}: {id}: {}",
                made.revision
            );
        }
    }
}

#[test]
fn the_quick_results_are_those_of_the_committed_experiment() {
    let text = fs::read_to_string(root().join("experiments/quick.toml")).unwrap();
    let plan = seqbench_harness::plan::plan("quick", "quick.toml", &text, &seqbench::builtin(), &[]).unwrap();
    let mut planned: Vec<String> = plan.cells().map(|cell| cell.id.clone()).collect();
    planned.sort();
    let (path, cells) = committed()
        .into_iter()
        .find(|(path, _)| path.starts_with("results/quick/"))
        .expect("no quick results");
    let mut found: Vec<String> = cells.iter().map(|files| files.cell.id.clone()).collect();
    found.sort();
    assert_eq!(planned, found, "{path} was not made by experiments/quick.toml as it stands");
}
