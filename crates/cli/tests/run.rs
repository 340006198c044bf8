//! `seqbench run`, whole: what it keeps, what it repeats, and that nothing but the experiment decides the results.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{TINY, TINY_CELLS, cells, differing, facts, files, folder_with, records, seqbench, succeed};

#[test]
fn a_second_run_finds_everything_done() {
    let folder = folder_with(TINY);
    let results = folder.path().join("runs/tiny");
    let (table, notes) = succeed(folder.path(), &["run", "tiny.toml"]);
    assert!(notes.contains(&format!("{TINY_CELLS} cells to run, 0 stand already")), "{notes}");
    for word in
        ["accuracy on delayed-recall", "reach", "Gradient norm", "Time of one pass", "transformer", "Chance"]
    {
        assert!(table.contains(word), "no {word} in {table}");
    }
    assert!(notes.contains("runs/tiny") && notes.contains("Next: "), "{notes}");
    assert!(records(&results).iter().all(|record| record["status"] == "done"));
    let first = files(&results.join("cells"));
    assert_eq!(cells(&results).len(), TINY_CELLS);
    for figure in
        ["accuracy-delayed-recall", "gradients-input", "gradients-state", "time-train", "time-decode"]
    {
        assert!(results.join(format!("plots/{figure}.svg")).is_file(), "{figure}");
    }

    let (again, notes) = succeed(folder.path(), &["run", "tiny.toml"]);
    assert!(notes.contains(&format!("0 cells to run, {TINY_CELLS} stand already")), "{notes}");
    assert_eq!(table, again);
    assert!(first == files(&results.join("cells")), "a second run touched a cell");
}

#[test]
fn the_number_of_jobs_changes_no_byte() {
    let folder = folder_with(TINY);
    for jobs in ["1", "2", "5"] {
        succeed(folder.path(), &["run", "tiny.toml", "--jobs", jobs, "--out", jobs]);
    }
    let alone = facts(&folder.path().join("1"));
    // A record each; scores, curve and profile of those that train; three tables.
    assert_eq!(alone.len(), TINY_CELLS + 3 * 16 + 3);
    for jobs in ["2", "5"] {
        let apart = differing(&alone, &facts(&folder.path().join(jobs)));
        assert!(apart.is_empty(), "with {jobs} jobs other bytes in {apart:?}");
    }
}

#[test]
fn another_number_of_steps_makes_new_cells_beside_the_old() {
    let folder = folder_with(TINY);
    let results = folder.path().join("runs/tiny");
    succeed(folder.path(), &["run", "tiny.toml", "--quiet"]);
    let old = files(&results.join("cells"));
    let (table, notes) = succeed(folder.path(), &["run", "tiny.toml", "--set", "train.steps=5"]);
    // A timed step is the same step whatever the number of steps.
    assert!(notes.contains("16 cells to run, 8 stand already"), "{notes}");
    assert!(table.contains("in 5 steps") && !table.contains("in 4 steps"), "{table}");
    assert_eq!(cells(&results).len(), TINY_CELLS + 16);
    let now = files(&results.join("cells"));
    assert!(old.iter().all(|(path, bytes)| now.get(path) == Some(bytes)), "an old cell was touched");
    let kept = std::fs::read_to_string(results.join("experiment.toml")).unwrap();
    assert!(kept.contains("--set train.steps=5"), "{kept}");
}

#[test]
fn fresh_runs_everything_again_to_the_same_facts() {
    let folder = folder_with(TINY);
    let results = folder.path().join("runs/tiny");
    succeed(folder.path(), &["run", "tiny.toml", "--quiet"]);
    let (before, all) = (facts(&results), files(&results.join("cells")));
    let (_, notes) = succeed(folder.path(), &["run", "tiny.toml", "--fresh"]);
    assert!(notes.contains(&format!("{TINY_CELLS} cells to run, 0 stand already")), "{notes}");
    assert_eq!(differing(&before, &facts(&results)), Vec::<std::path::PathBuf>::new());
    assert!(all != files(&results.join("cells")), "nothing was timed again");
}

#[test]
fn only_restricts_and_the_rest_is_done_later() {
    let folder = folder_with(TINY);
    let results = folder.path().join("runs/tiny");
    let (_, notes) = succeed(folder.path(), &["run", "tiny.toml", "--only", "lstm", "--only", "lag=3"]);
    assert!(notes.contains("2 cells to run, 0 stand already"), "{notes}");
    let found: BTreeSet<String> = records(&results)
        .iter()
        .map(|record| record["labels"]["model"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, BTreeSet::from(["lstm".to_owned()]));
    let (_, notes) = succeed(folder.path(), &["run", "tiny.toml"]);
    assert!(notes.contains(&format!("{} cells to run, 2 stand already", TINY_CELLS - 2)), "{notes}");
}

#[test]
fn a_dry_run_lists_every_cell_and_creates_nothing() {
    let folder = folder_with(TINY);
    let (list, _) = succeed(folder.path(), &["run", "tiny.toml", "--dry-run"]);
    assert_eq!(list.matches("  missing  ").count(), TINY_CELLS, "{list}");
    assert!(list.contains(&format!("{TINY_CELLS} cells, {TINY_CELLS} to run")), "{list}");
    assert_eq!(files(folder.path()).len(), 1, "something was created");
    succeed(folder.path(), &["run", "tiny.toml", "--only", "rnn", "--quiet"]);
    let before = files(folder.path());
    let (list, _) = succeed(folder.path(), &["run", "tiny.toml", "--dry-run"]);
    assert_eq!(list.matches("  done  ").count(), 6, "{list}");
    assert!(before == files(folder.path()), "something was changed");
}

/// Starts a run and kills it once so many cells stand; `false` where it ended before.
fn kill_after(folder: &Path, arguments: &[&str], results: &Path, count: usize) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_seqbench"))
        .current_dir(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while whole_cells(results) < count && start.elapsed() < Duration::from_secs(120) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

#[test]
fn a_killed_run_goes_on_to_what_an_undisturbed_one_finds() {
    // Long enough that a kill falls inside a cell.
    let text = TINY.replace("steps = 4\nbatch = 4", "steps = 150\nbatch = 16");
    assert_ne!(text, TINY);
    let folder = folder_with(&text);
    let run = ["run", "tiny.toml", "--jobs", "2"];
    succeed(folder.path(), &[&run[..], &["--out", "whole"]].concat());
    let results = folder.path().join("runs/tiny");
    let mut stood = 0;
    for count in [1, 6, 11] {
        assert!(kill_after(folder.path(), &run, &results, count), "the run ended before {count} cells stood");
        let now = whole_cells(&results);
        assert!((stood.max(count)..TINY_CELLS).contains(&now), "{now} cells after a kill at {count}");
        stood = now;
    }
    let (_, notes) = succeed(folder.path(), &run);
    assert!(
        notes.contains(&format!("{} cells to run, {stood} stand already", TINY_CELLS - stood)),
        "{notes}"
    );
    let apart = differing(&facts(&folder.path().join("whole")), &facts(&results));
    assert!(apart.is_empty(), "after three kills other bytes in {apart:?}");
    let hidden: Vec<_> =
        files(&results).into_keys().filter(|path| path.to_string_lossy().contains("/.")).collect();
    assert!(hidden.is_empty() && cells(&results).len() == TINY_CELLS, "left behind: {hidden:?}");
}

/// Cells that are written to their end.
fn whole_cells(results: &Path) -> usize {
    cells(results).iter().filter(|name| !name.starts_with('.')).count()
}

/// A rate that no model bears: each of the six diverges, and says when.
#[test]
fn divergence_is_an_outcome() {
    let models = ["rnn\"\nactivation = \"identity", "lstm", "gru", "transformer", "ssm", "mamba"];
    let models: String = models.iter().map(|kind| format!("[[model]]\nkind = \"{kind}\"\n")).collect();
    let text = format!(
        "[defaults]\nseeds = 2\nwidth = 8\nblock = \"plain\"\n{models}[task]\nkind = \"adding\"\nlength = 8\n\
         [train]\nsteps = 60\nbatch = 4\nlr = 1000.0\noptimizer = \"sgd\"\nclip = \"none\"\n"
    );
    let folder = folder_with(&text);
    let (table, notes) = succeed(folder.path(), &["run", "tiny.toml"]);
    assert_eq!(notes.matches(": diverged (the ").count(), 12, "{notes}");
    assert_eq!(table.matches("2 diverged").count(), 6, "{table}");
    for record in records(&folder.path().join("runs/tiny")) {
        assert_eq!(record["status"], "diverged");
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains("stopped being finite at step"), "{reason}");
    }
    let (_, notes) = succeed(folder.path(), &["run", "tiny.toml"]);
    assert!(notes.contains("0 cells to run, 12 stand already"), "{notes}");
}

#[test]
fn one_out_folder_serves_one_experiment() {
    let folder = folder_with(TINY);
    let ended = seqbench(folder.path(), &["run", "tiny.toml", "quick", "--out", "both"]).assert().code(2);
    let errors = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    assert!(errors.contains("--out"), "{errors}");
    assert_eq!(files(folder.path()).len(), 1);
}
