//! The committed reference results: tables, figures and the README's section are what their cells give, to the byte.
//!
//! `SEQBENCH_UPDATE=1 cargo test --release --workspace --test results` writes them anew after a reference run.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_record::{CellFiles, Purpose, Status, Store};
use seqbench_report::plot::figures;
use seqbench_report::published::{BUILT_IN, parse};
use seqbench_report::summary::summarise;
use seqbench_report::table::{self, Format};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Experiments of the study, in the order of its rows of time.
const STUDY: [&str; 12] = [
    "delayed-recall-vs-lag",
    "copying-vs-lag",
    "adding-vs-length",
    "recall-vs-pairs",
    "selective-copying",
    "induction-extrapolation",
    "formal-languages",
    "word-problems",
    "digits",
    "text",
    "initialisation",
    "negative-control",
];

/// Of these, the ones that stand beside the study's table and not in it: they ask about settings, not architectures.
const BESIDE: [&str; 2] = ["initialisation", "negative-control"];

/// A results folder: its path below the repository, and its cells.
type Committed = (String, Vec<CellFiles>);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every committed results folder.
fn committed() -> Vec<Committed> {
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
    let readme = between(&readme, "results", &section());
    let study = study();
    let readme = between(&readme, "study", &study.section);
    let readme = between(&readme, "efficiency", &efficiency());
    files.push(("README.md".into(), with_claims(&readme)));
    files.extend(study.files);
    files
}

/// The README with what the program says of the claims, as `report --splice README.md` puts it there.
fn with_claims(readme: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("README.md");
    fs::write(&document, readme).unwrap();
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_seqbench"));
    command.current_dir(root()).arg("report").args(committed().into_iter().map(|(path, _)| path));
    command.arg("--output").arg(folder.path().join("page.html")).arg("--splice").arg(&document);
    command.assert().success();
    fs::read_to_string(document).unwrap()
}

/// A text with what stands between its markers of a name replaced.
fn between(text: &str, name: &str, new: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->\n"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end}"));
    format!("{before}{begin}{new}{end}{after}")
}

/// What the experiments of the study say together.
struct Study {
    section: String,
    files: Vec<(String, String)>,
}

fn study() -> Study {
    let committed = committed();
    let of = |name: &str| committed.iter().find(|(path, _)| path.starts_with(&format!("results/{name}/")));
    let found: Vec<(&str, &Committed)> = STUDY.iter().filter_map(|name| Some((*name, of(name)?))).collect();
    let machine = found[0].1.0.rsplit('/').next().unwrap();
    let folder = format!("results/study/{machine}");
    let cells: Vec<CellFiles> = found
        .iter()
        .filter(|(name, _)| !BESIDE.contains(name))
        .flat_map(|(_, (_, cells))| cells.iter().cloned())
        .collect();
    let table = table::tables(&cells).into_iter().find(|table| table.name == "study").expect("a study");
    let figure = figures(&cells).into_iter().find(|figure| figure.file_name == "study.svg").expect("a study");
    let section = format!(
        "![{}]({folder}/study.svg)\n\n{}\n{}",
        figure.title,
        table.render(Format::Md),
        hours(&found, &committed)
    );
    let published = parse("published.toml", BUILT_IN).unwrap();
    let published = table::published_table(&published, &summarise(&cells));
    let files = vec![
        (format!("{folder}/published.md"), published.render(Format::Md)),
        (format!("{folder}/published.csv"), published.render(Format::Csv)),
        (format!("{folder}/study.md"), table.render(Format::Md)),
        (format!("{folder}/study.csv"), table.render(Format::Csv)),
        (format!("{folder}/study.svg"), figure.svg),
    ];
    Study { section, files }
}

/// What a pass costs against length: a single sequence, and where the transformer is overtaken at either size.
fn efficiency() -> String {
    let committed = committed();
    let of = |name: &str| {
        let found = committed.iter().find(|(path, _)| path.starts_with(&format!("results/{name}/")));
        found.unwrap_or_else(|| panic!("no results of {name}"))
    };
    let ((path, cells), (_, large)) = (of("throughput-vs-length"), of("throughput-large"));
    let figure = figures(cells).into_iter().find(|own| own.file_name == "time-train.svg").unwrap();
    let mut lines = vec![format!("![{}]({path}/plots/time-train.svg)\n", figure.title)];
    let has = |files: &CellFiles, key: &str, value: u64| {
        files.cell.labels.coordinates.iter().any(|own| own.key == key && own.value == value)
    };
    let single: Vec<CellFiles> = cells.iter().filter(|files| has(files, "batch", 1)).cloned().collect();
    let digest = table::digest(&single);
    lines.push(digest.iter().find(|own| own.name == "throughput").unwrap().render(Format::Md));
    let both: Vec<CellFiles> = cells.iter().chain(large).cloned().collect();
    let mut crossovers = table::tables(&both).into_iter().find(|own| own.name == "crossovers").unwrap();
    let at = |name: &str| crossovers.columns.iter().position(|column| column.name == name).unwrap();
    let (mode, one, other) = (at("mode"), at("model"), at("against"));
    crossovers.rows.retain(|row| {
        row[mode].text == "train" && [one, other].into_iter().any(|column| row[column].text == "transformer")
    });
    crossovers.title = "Which is faster in training: the transformer, or another".into();
    lines.push(crossovers.render(Format::Md));
    lines.join("\n")
}

/// Minutes that experiments took: the time of their cells, of which two ran at once, but where time itself was measured.
fn minutes(cells: &[CellFiles]) -> f64 {
    let at_once = |files: &CellFiles| if files.cell.purpose == Purpose::Timing { 1.0 } else { 2.0 };
    cells.iter().map(|files| files.cell.provenance.wall_seconds / 60.0 / at_once(files)).sum()
}

/// A row of what experiments took together.
fn together<'a>(what: &str, all: impl Iterator<Item = &'a Committed>) -> String {
    format!("| {what} | | | {:.0} | |", all.map(|(_, cells)| minutes(cells)).sum::<f64>())
}

/// How long each experiment took: those of the study, then all others.
fn hours(study: &[(&str, &Committed)], committed: &[Committed]) -> String {
    let mut lines = vec![
        "| experiment | cells | seeds | minutes on two cores | rows |".to_owned(),
        "| :--- | ---: | ---: | ---: | :--- |".to_owned(),
    ];
    let row = |(path, cells): &Committed| {
        let finals = cells.iter().filter(|files| files.cell.purpose == Purpose::Final);
        let seeds = finals.map(|files| files.cell.labels.seed).collect::<BTreeSet<_>>().len();
        let seeds = if seeds == 0 { "–".to_owned() } else { seeds.to_string() };
        format!(
            "| `{}` | {} | {seeds} | {:.1} | [tables]({path}/tables), [figures]({path}/plots), [cells]({path}/cells/packed) |",
            path.split('/').nth(1).unwrap(),
            cells.len(),
            minutes(cells)
        )
    };
    lines.extend(study.iter().map(|(_, own)| row(own)));
    lines.push(together("the study", study.iter().map(|(_, own)| *own)));
    let is_other = |(path, _): &&Committed| study.iter().all(|(_, (own, _))| own != path);
    lines.extend(committed.iter().filter(is_other).map(row));
    lines.push(together("all results", committed.iter()));
    let made = &study[0].1.1[0].cell.provenance;
    let cells = committed.iter().flat_map(|(_, cells)| cells);
    let revisions: BTreeSet<&str> = cells.map(|files| files.cell.provenance.revision.as_str()).collect();
    lines.push(format!(
        "\nMinutes: half the sum of the cells' own times, two running at once; of cells that measure time, which run alone, \
         their sum. {} ({}, {}), seqbench {} at {}.\n",
        made.processor,
        made.system,
        made.isa,
        made.version,
        revisions.into_iter().collect::<Vec<_>>().join(" and ")
    ));
    lines.join("\n")
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
    let generated = generated();
    let made: BTreeSet<&Path> = generated.iter().map(|(path, _)| Path::new(path)).collect();
    for folder in
        committed().iter().flat_map(|(path, _)| ["tables", "plots"].map(|name| root().join(path).join(name)))
    {
        for entry in fs::read_dir(folder).unwrap() {
            let full = entry.unwrap().path();
            let is_made = made.contains(full.strip_prefix(root()).unwrap());
            if update && !is_made {
                fs::remove_file(full).unwrap();
            } else {
                assert!(is_made, "{} is made of no cell: SEQBENCH_UPDATE=1 removes it", full.display());
            }
        }
    }
    for (path, contents) in &generated {
        let full = root().join(path);
        if update {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, contents).unwrap();
            continue;
        }
        let found = fs::read_to_string(&full).unwrap_or_default();
        assert!(found == *contents, "{path} is stale: SEQBENCH_UPDATE=1 writes it anew");
    }
}

#[test]
fn committed_cells_are_whole_and_made_by_committed_revisions_of_the_same_numerics() {
    for (path, cells) in committed() {
        assert!(!cells.is_empty(), "{path} has no cells");
        for files in &cells {
            let (id, made) = (&files.cell.id, &files.cell.provenance);
            // What is skipped says why; a test beside this one holds it against the plan.
            let is_finished = matches!(files.cell.status, Status::Done | Status::Diverged | Status::Skipped);
            assert!(is_finished, "{path}: {id} is not finished");
            let first = &cells[0].cell;
            assert_eq!(files.cell.numerics, first.numerics, "{path}: {id}");
            let machine = [&first.provenance.processor, &first.provenance.isa, &first.provenance.compiler];
            assert_eq!([&made.processor, &made.isa, &made.compiler], machine, "{path}: {id}");
            assert!(
                !made.revision.contains("dirty") && made.revision != "unknown",
                "{path}: {id}: {}",
                made.revision
            );
        }
    }
}

#[test]
fn committed_results_are_those_of_the_committed_experiments() {
    for (path, cells) in committed() {
        let name = path.split('/').nth(1).unwrap();
        let file = format!("experiments/{name}.toml");
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let plan = seqbench_harness::plan::plan(name, &file, &text, &seqbench::builtin(), &[]).unwrap();
        let planned: BTreeSet<&str> = plan.cells().map(|cell| cell.id.as_str()).collect();
        let found: BTreeSet<&str> = cells.iter().map(|files| files.cell.id.as_str()).collect();
        assert!(planned == found, "{path} was not made by {file} as it stands");
        let too_long = plan.cells().filter(|cell| cell.beyond.is_some()).map(|cell| cell.id.as_str());
        let skipped = cells.iter().filter(|files| files.cell.status == Status::Skipped);
        let skipped: BTreeSet<&str> = skipped.map(|files| files.cell.id.as_str()).collect();
        assert!(
            too_long.collect::<BTreeSet<&str>>() == skipped,
            "{path}: skipped is not what the limits say"
        );
    }
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => size(&entry.path()),
            false => entry.metadata().unwrap().len(),
        })
        .sum()
}

#[test]
fn committed_results_stay_below_twenty_megabytes() {
    let bytes = size(&root().join("results"));
    assert!(
        bytes < 20_000_000,
        "results/ has {bytes} bytes: pack what is new (`seqbench pack`), or measure less"
    );
}
