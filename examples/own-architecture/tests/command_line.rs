//! A crate with an architecture of its own has the whole command line, its child processes included.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn program(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_own-architecture")).current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_architecture_keeps_every_contract() {
    let folder = tempfile::tempdir().unwrap();
    let ended = program(folder.path(), &["verify", "ema"]);
    let (out, errors) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{out}{errors}");
    assert!(out.lines().filter(|line| line.starts_with("pass  ema: ")).count() > 15, "{out}");
    assert!(out.ends_with(" 0 failed\n"), "{out}");
}

#[test]
fn it_stands_in_the_list_after_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let listed = program(folder.path(), &["list", "models", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let names: Vec<&str> =
        listed["models"].as_array().unwrap().iter().map(|own| own["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rnn", "lstm", "gru", "transformer", "ssm", "mamba", "ema"]);
}

#[test]
fn its_settings_are_checked_like_those_of_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    std::fs::write(&path, "[[model]]\nkind = \"ema\"\nhalf_life_mix = 3.0\n[task]\nkind = \"parity\"\n")
        .unwrap();
    let ended = program(folder.path(), &["run", "wrong.toml"]);
    let errors = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{errors}");
    assert!(errors.contains("wrong.toml:3:1") && errors.contains("did you mean `half_life_m"), "{errors}");
    let order = "[[model]]\nkind = \"ema\"\nhalf_life_max = 0.5\n[task]\nkind = \"parity\"\n";
    std::fs::write(&path, order).unwrap();
    let ended = program(folder.path(), &["run", "wrong.toml"]);
    let errors = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{errors}");
    assert!(errors.contains("`half_life_max` is 0.5") && errors.contains("wrong.toml:3:"), "{errors}");
}

#[test]
fn child_processes_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("my-experiment.toml");
    let experiment = experiment.to_str().unwrap();
    let tiny =
        ["--set", "train.steps=5", "--set", "defaults.seeds=1", "--set", "sweep.lag=[3]", "--out", "out"];
    let ended = program(folder.path(), &[&["run", experiment][..], &tiny].concat());
    let errors = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{errors}");
    assert!(errors.contains("15 cells to run"), "{errors}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("out/cells")).unwrap() {
        let cell = std::fs::read(entry.unwrap().path().join("cell.json")).unwrap();
        let cell: Value = serde_json::from_slice(&cell).unwrap();
        assert_eq!(cell["status"], "done", "{cell}");
        found.push((
            cell["labels"]["model"].as_str().unwrap().to_owned(),
            cell["purpose"].as_str().unwrap().to_owned(),
        ));
    }
    for model in ["ema fast", "ema slow", "lstm"] {
        let count = |purpose| found.iter().filter(|(own, what)| own == model && what == purpose).count();
        assert_eq!((count("final"), count("timing")), (1, 4), "{model}: {found:?}");
    }
}
