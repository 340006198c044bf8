//! `seqbench model train` and `model gradients`: a person's own weights are trained and probed as a cell's are, to the last
//! bit, and what does not fit is refused before anything is written.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::str::contains;
use std::path::Path;
use support::{files, folder_with, seqbench, succeed};

const TASK: [&str; 4] = ["--task", "delayed-recall", "--task-set", "lag=11"];

const EXPERIMENT: &str = r#"
[defaults]
seeds = 1
width = 8

[[model]]
kind = "KIND"

[task]
kind = "delayed-recall"
lag = 11

[train]
steps = 5
batch = 4
lr = 1e-2

[measure]
accuracy = { test_samples = 16, validation_samples = 8, curve_points = 2 }
gradients = { at = ["init", "end"], samples = 3, per_decade = 10, theory = true, jacobians = true, signals = true, trace = true }
"#;

fn init(folder: &Path, kind: &str) {
    let command = ["model", "init", kind, "--dim", "8", "--layers", "1", "-o", "fresh.safetensors"];
    succeed(folder, &[&command[..], &TASK].concat());
}

fn train(folder: &Path, output: &str, more: &[&str]) {
    let command = ["model", "train", "fresh.safetensors", "--set", "steps=5", "--set", "batch=4", "--set"];
    succeed(folder, &[&command[..], &["lr=1e-2", "-o", output], &TASK, more].concat());
}

/// One file of the only cell under a folder.
fn rows(folder: &Path, name: &str) -> Vec<String> {
    let found = files(folder).into_iter().find(|(path, _)| path.file_name().is_some_and(|own| own == name));
    let text =
        String::from_utf8(found.unwrap_or_else(|| panic!("{name} in {}", folder.display())).1).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_checkpoint_is_trained_and_probed_as_a_cell_is() {
    for kind in ["rnn", "lstm", "gru", "ssm", "mamba", "transformer"] {
        let folder = folder_with(&EXPERIMENT.replace("KIND", kind));
        let folder = folder.path();
        succeed(folder, &["run", "tiny.toml", "--quiet", "--out", "cell"]);
        init(folder, kind);
        train(folder, "trained.safetensors", &[]);
        for (weights, stage) in [("fresh", "init"), ("trained", "end")] {
            let (file, out) = (format!("{weights}.safetensors"), format!("of-{weights}"));
            let command = ["model", "gradients", &file, "--samples", "3", "--out", &out];
            let (text, _) = succeed(folder, &[&command[..], &TASK].concat());
            assert!(text.contains("Gradient norm against distance on delayed-recall"), "{text}");
            for name in ["profile.csv", "spectrum.csv", "trace.csv"] {
                let has = |row: &&String| row.starts_with(&format!("{stage},"));
                let of_cell: Vec<String> = match rows_or_none(&folder.join("cell"), name) {
                    None => continue,
                    Some(rows) => rows.iter().filter(has).map(|row| row[stage.len()..].to_owned()).collect(),
                };
                let own = rows(&folder.join(&out), name);
                let own: Vec<String> =
                    own[1..].iter().map(|row| row["checkpoint".len()..].to_owned()).collect();
                assert!(!own.is_empty());
                assert_eq!(own, of_cell, "{kind} {stage} {name}");
            }
            assert!(files(&folder.join(&out)).keys().any(|path| path.ends_with("gradients-input.svg")));
        }
    }
}

fn rows_or_none(folder: &Path, name: &str) -> Option<Vec<String>> {
    let there = files(folder).into_keys().any(|path| path.file_name().is_some_and(|own| own == name));
    there.then(|| rows(folder, name))
}

#[test]
fn training_gives_the_same_bytes_on_one_thread_and_on_two_and_scores_what_it_made() {
    let folder = folder_with("");
    let folder = folder.path();
    init(folder, "gru");
    for threads in ["1", "2"] {
        train(folder, &format!("{threads}.safetensors"), &["--threads", threads]);
    }
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read("1.safetensors"), read("2.safetensors"));
    assert_ne!(read("1.safetensors"), read("fresh.safetensors"));
    let command = ["model", "train", "1.safetensors", "-o", "more.safetensors", "--samples", "32"];
    let settings =
        ["--set", "steps=300", "--set", "lr=1e-2", "--task", "delayed-recall", "--task-set", "lag=2"];
    seqbench(folder, &[&command[..], &settings].concat())
        .assert()
        .success()
        .stdout(contains("accuracy 1.0000 on 32 fresh samples"))
        .stderr(contains("step 300 of 300: loss"));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let folder = folder_with("");
    let folder = folder.path();
    init(folder, "rnn");
    // A squared error grows without bound.
    let adding = ["--dim", "8", "--layers", "1", "--task", "adding", "--task-set", "length=20", "-o"];
    succeed(folder, &[&["model", "init", "rnn"], &adding[..], &["adding.safetensors"]].concat());
    let before = files(folder);
    let refused = |command: &[&str], code: i32, message: &'static str| {
        seqbench(folder, command).assert().code(code).stderr(contains(message));
        assert_eq!(files(folder), before, "{command:?}");
    };
    let own = ["model", "gradients", "fresh.safetensors", "--out", "lab"];
    refused(&[&own[..], &["--task", "delayed-recal"]].concat(), 2, "delayed-recall");
    refused(&[&own[..], &["--task", "delayed-recall", "--task-set", "lagg=3"]].concat(), 2, "lag");
    refused(&[&own[..], &["--task", "adding"]].concat(), 2, "the model reads");
    refused(&[&own[..], &["--task", "delayed-recall", "--task-set", "classes=3"]].concat(), 2, "`model init");
    let own = ["model", "train", "fresh.safetensors", "-o", "t.safetensors"];
    refused(&[&own[..], &TASK, &["--set", "stepz=3"]].concat(), 2, "steps");
    refused(&[&own[..], &TASK, &["--set", "lr={select=[1e-3, 1e-2], trials=2}"]].concat(), 2, "one number");
    let own = ["model", "train", "adding.safetensors", "-o", "t.safetensors", "--task", "adding"];
    let absurd =
        ["--task-set", "length=20", "--set", "lr=1000", "--set", "optimizer=sgd", "--set", "clip=none"];
    refused(&[&own[..], &absurd].concat(), 1, "training diverged");
    refused(
        &["model", "train", "fresh.safetensors", "-o", "fresh.safetensors", "--task", "x"],
        2,
        "--output",
    );
    let both = ["model", "init", "rnn", "-o", "n.safetensors", "--vocab", "3"];
    refused(&[&both[..], &TASK].concat(), 2, "cannot be used with");
}
