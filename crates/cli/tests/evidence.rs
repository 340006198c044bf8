//! Claims, comparisons and reports by the program: verdicts and exit codes, what cells record, and where nothing is decided.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::path::Path;
use support::{cells, files, folder_with, records, rewrite, seqbench, succeed};

/// Eight seeds of two models that learn nothing in four steps.
const EIGHT: &str = r#"
[defaults]
seeds = 8
width = 8
[[model]]
kind = "rnn"
[[model]]
kind = "lstm"
[task]
kind = "delayed-recall"
lag = 5
[train]
steps = 4
batch = 4
[measure]
accuracy = { test_samples = 32, validation_samples = 8, curve_points = 2 }
"#;

fn state(folder: &Path, name: &str, test: &str) {
    let head = "claim = \"In four steps nothing is learnt.\"\nsource = \"nobody\"\nexperiment = \"tiny.toml\"\n[test]\n";
    let of = "what = \"accuracy\"\nof = { model = \"lstm\" }\n";
    std::fs::write(folder.join(name), format!("{head}{of}{test}\n")).unwrap();
}

fn decided(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let command = [&["claims", "--format", "json", "--quiet"], arguments].concat();
    let ended = seqbench(folder, &command).assert().get_output().clone();
    let table: Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
    (ended.status.code(), table["rows"].clone(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn claims_run_what_is_missing_and_their_verdicts_are_exit_codes() {
    let folder = folder_with(EIGHT);
    let at = folder.path();
    state(at, "low.toml", "below = 0.9");
    state(at, "high.toml", "above = 0.9");
    let (code, rows, _) = decided(at, &["low.toml"]);
    assert_eq!(
        (code, &rows[0]["verdict"], &rows[0]["seeds"]),
        (Some(0), &"supported".into(), &8.into()),
        "{rows}"
    );
    assert!((rows[0]["p"].as_f64().unwrap() - 0.5f64.powi(8)).abs() < 1e-12, "{rows}");
    // Every cell says which claims were stated when it ran.
    let results = at.join("runs/tiny");
    assert_eq!(cells(&results).len(), 16);
    assert!(
        records(&results)
            .iter()
            .all(|record| record["provenance"]["claims"]["low"].as_str().unwrap().len() == 16)
    );
    // Nothing runs again; one stated afterwards says so.
    let before = files(&results);
    let (code, rows, _) = decided(at, &["low.toml", "high.toml"]);
    assert!(before == files(&results), "something ran again");
    assert_eq!(
        (code, &rows[0]["verdict"], &rows[1]["verdict"]),
        (Some(1), &"supported".into(), &"refuted".into())
    );
    assert_eq!(rows[0]["notes"], Value::Null);
    assert!(rows[1]["notes"].as_str().unwrap().starts_with("written down after 16 of 16"), "{rows}");
    // Changed once its cells have run, it is not decided by them.
    state(at, "low.toml", "below = 0.95");
    let (code, rows, _) = decided(at, &["low.toml"]);
    assert_eq!((code, &rows[0]["verdict"]), (Some(1), &"open".into()));
    assert!(rows[0]["notes"].as_str().unwrap().contains("changed after 16 of 16 cells ran"), "{rows}");
    // `check` holds it against its cells where it is given.
    let said = |arguments: &[&str], code: i32, text: &str| {
        let command = [&["check", "runs/tiny"], arguments].concat();
        seqbench(at, &command).assert().code(code).stdout(contains(text));
    };
    said(&["--claims", "low.toml"], 1, "changed since cells ran, which decide nothing of it now: low");
    said(&[], 0, "no claim is decided here, but for those that take a --claims to be checked: low");
    seqbench(at, &["check", "runs/tiny", "--claims", "lost.toml"])
        .assert()
        .code(3)
        .stderr(contains("cannot read lost.toml"));
    // Of another experiment, it is held against nothing here.
    let low = std::fs::read_to_string(at.join("low.toml")).unwrap();
    std::fs::write(at.join("elsewhere.toml"), low.replace("tiny.toml", "quick")).unwrap();
    seqbench(at, &["check", "runs/tiny", "--claims", "elsewhere.toml"])
        .assert()
        .code(0)
        .stderr(contains("elsewhere.toml was held against nothing: `quick` decides it"));
    // Results elsewhere are only read.
    state(at, "low.toml", "below = 0.9");
    said(&["--claims", "low.toml", "--claims", "high.toml"], 0, "stated after cells ran: high");
    said(&["--claims", "low.toml"], 0, "ok       claims        as they were stated when cells ran\n");
    let (code, rows, _) = decided(at, &["low.toml", "--results", "runs"]);
    assert_eq!((code, &rows[0]["verdict"]), (Some(0), &"supported".into()));
    let (code, rows, _) = decided(at, &["low.toml", "--results", "nowhere"]);
    assert_eq!((code, &rows[0]["verdict"]), (Some(1), &"open".into()));
    assert!(!at.join("nowhere").exists());
}

#[test]
fn what_can_decide_nothing_is_refused_before_anything_runs() {
    let folder = folder_with(EIGHT);
    let at = folder.path();
    let names: Vec<String> = (0..13).map(|i| format!("claim-{i}.toml")).collect();
    names.iter().for_each(|name| state(at, name, "below = 0.9"));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    // Thirteen times one in 256 is above 0.05.
    let (code, _, said) = decided(at, &all);
    assert!(code == Some(2) && said.contains("cannot be decided") && said.contains("family of 13"), "{said}");
    state(at, "few.toml", "above = 0.9\nby = 1");
    let (code, _, said) = decided(at, &["few.toml"]);
    assert!(code == Some(2) && said.contains("--> few.toml:4"), "{said}");
    let (code, _, said) = decided(at, &["lstm-fails-far"]);
    assert!(code == Some(2) && said.contains("did you mean `lstm-fails-far-back`?"), "{said}");
    let (code, _, said) = decided(at, &["few.toml", "parameters-stay"]);
    assert!(code == Some(2) && said.contains("different families"), "{said}");
    assert!(!at.join("runs").exists());
}

#[test]
fn check_fails_where_a_claim_changed_after_its_cells_ran() {
    let folder = folder_with(EIGHT);
    let at = folder.path();
    let run =
        ["run", "gradient-clipping", "--set", "train.steps=2", "--only", "model=tanh gain=0.5", "--quiet"];
    succeed(at, &run);
    let results = at.join("runs/gradient-clipping");
    let of = |records: &[Value]| records.iter().filter(|own| own["provenance"]["claims"].is_object()).count();
    assert_eq!(of(&records(&results)), 24);
    let said = |code: i32, text: &str| {
        seqbench(at, &["check", "runs/gradient-clipping"]).assert().code(code).stdout(contains(text));
    };
    said(1, "ok       claims        as they were stated when cells ran");
    let path = results.join("cells").join(&cells(&results)[0]).join("cell.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["provenance"]["claims"]["clipping-cures-explosion"] = "0123456789abcdef".into();
    rewrite(&path, serde_json::to_string(&record).unwrap().as_bytes());
    said(
        1,
        "error    claims        changed since cells ran, which decide nothing of it now: clipping-cures-explosion",
    );
}

#[test]
fn a_regression_is_found_and_the_same_again_is_none() {
    let folder = folder_with(
        &EIGHT
            .replace("steps = 4\nbatch = 4", "steps = 400\nbatch = 16\nlr = 1e-2")
            .replace("width = 8", "width = 16"),
    );
    let at = folder.path();
    let run = |out: &str, more: &[&str]| {
        succeed(at, &[&["run", "tiny.toml", "--quiet", "--out", out], more].concat());
    };
    run("good", &[]);
    run("again", &[]);
    run("bad", &["--set", "train.steps=2"]);
    let compare = |a: &str, b: &str| seqbench(at, &["compare", a, b, "--fail-on", "regression"]).assert();
    compare("good", "again").code(0).stdout(contains("┆ identical").and(contains("┆ worse").not()));
    compare("good", "bad").code(1).stdout(contains("┆ worse"));
    compare("bad", "good").code(0).stdout(contains("┆ better"));
    // Without being asked to fail, it only tells.
    let (text, _) = succeed(at, &["compare", "good", "bad", "--json"]);
    let tables: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(tables[0]["name"], "comparison");
}

#[test]
fn a_report_is_one_page_of_its_own_and_documents_get_their_tables() {
    let folder = folder_with(EIGHT);
    let at = folder.path();
    succeed(at, &["run", "tiny.toml", "--quiet"]);
    let (path, _) = succeed(at, &["report", "tiny", "-o", "mine.html"]);
    assert_eq!(path.trim(), "mine.html");
    let page = std::fs::read_to_string(at.join("mine.html")).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>")
            && page.contains("delayed-recall")
            && page.trim_end().ends_with("</html>")
    );
    let id = cells(&at.join("runs/tiny"))[0].clone();
    assert!(page.contains(&id), "a cell is not on the page");
    succeed(at, &["report", "tiny", "-o", "again.html"]);
    assert_eq!(page, std::fs::read_to_string(at.join("again.html")).unwrap());
    // A document without a place for results is left as it is.
    std::fs::write(at.join("doc.md"), "# Mine\n").unwrap();
    let spliced = ["report", "tiny", "--splice", "doc.md"];
    seqbench(at, &spliced)
        .assert()
        .code(2)
        .stderr(contains("doc.md has no place for results").and(contains("claims: begin")));
    std::fs::write(at.join("doc.md"), "# Mine\n<!-- claims: begin -->\nold\n<!-- claims: end -->\nend\n")
        .unwrap();
    succeed(at, &spliced);
    let text = std::fs::read_to_string(at.join("doc.md")).unwrap();
    assert!(
        text.starts_with("# Mine\n<!-- claims: begin -->\n")
            && !text.contains("old")
            && text.ends_with("end\n"),
        "{text}"
    );
    seqbench(at, &["report", "elsewhere"]).assert().code(2).stderr(contains("no results in `elsewhere`"));
}
