//! Estimates of time, held against the times of the committed results: those of one machine, beside which another differs
//! by a factor that a run finds out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_harness::plan;
use seqbench_record::{CellFiles, Purpose, Status, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Cells below this many seconds say more of what else the machine did than of themselves.
const SHORT: f64 = 0.5;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Seconds of the cells of one setting and purpose.
#[derive(Default)]
struct Group {
    cells: f64,
    predicted: f64,
    measured: f64,
}

impl Group {
    fn ratio(&self) -> f64 {
        self.predicted / self.measured
    }

    fn is_long(&self) -> bool {
        self.measured > SHORT * self.cells
    }
}

/// Groups by experiment, and by setting and purpose. What ended before its budget is counted as far as it went.
fn groups() -> BTreeMap<String, BTreeMap<String, Group>> {
    let registry = seqbench::builtin();
    let mut found: BTreeMap<String, BTreeMap<String, Group>> = BTreeMap::new();
    for entry in fs::read_dir(root().join("results")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(root().join(format!("experiments/{name}.toml"))) else { continue };
        let experiment = plan::plan(&name, &name, &text, &registry, &[]).unwrap();
        let machine = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let cells = Store::open(&machine).cells().unwrap();
        let by_id: BTreeMap<&str, &CellFiles> =
            cells.iter().map(|files| (files.cell.id.as_str(), files)).collect();
        for cell in experiment.cells().filter(|cell| cell.purpose != Purpose::Timing) {
            let Some(files) = by_id.get(cell.id.as_str()) else { continue };
            if files.cell.status != Status::Done {
                continue;
            }
            let fact = |name: &str| files.cell.facts.get(name).copied();
            let share = fact("steps_run").unwrap_or(1.0)
                / fact("steps").filter(|_| fact("steps_run").is_some()).unwrap_or(1.0);
            let key = format!("{:?} {} {}", cell.purpose, cell.labels.model, cell.group);
            let group = found.entry(name.clone()).or_default().entry(key).or_default();
            group.cells += 1.0;
            group.predicted += share * cell.predicted_seconds.unwrap();
            group.measured += files.cell.provenance.wall_seconds;
        }
    }
    found
}

#[test]
fn nine_of_ten_settings_and_every_experiment_are_within_a_factor_of_two() {
    let groups = groups();
    assert!(groups.len() >= 15, "{} experiments", groups.len());
    let within = |group: &Group| (0.5..=2.0).contains(&group.ratio());
    let mut settings: Vec<&Group> = Vec::new();
    let mut wrong = Vec::new();
    for (name, groups) in &groups {
        let mut whole = Group::default();
        for group in groups.values() {
            whole.cells += group.cells;
            whole.predicted += group.predicted;
            whole.measured += group.measured;
        }
        if whole.is_long() && !within(&whole) {
            wrong.push(format!("{name}: {:.2} of {:.0} s", whole.ratio(), whole.measured));
        }
        settings.extend(groups.values().filter(|group| group.is_long()));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    let right = settings.iter().filter(|group| within(group)).count();
    assert!(settings.len() >= 250 && 10 * right >= 9 * settings.len(), "{right} of {}", settings.len());
}
