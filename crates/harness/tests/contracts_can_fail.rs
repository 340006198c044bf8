//! A contract that cannot be broken tests nothing: each is broken here on purpose, by one thing gone wrong, and only the
//! contracts that thing breaks complain.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod broken;

use broken::Recurrent;
use broken::tasks::{Coin, Echo, Lax};
use seqbench_core::config::Value;
use seqbench_core::{AnyArchitecture, AnyTask};
use seqbench_harness::contracts::{self, Verdict};
use serde_json::json;

static RECURRENT: &'static dyn AnyArchitecture = &&Recurrent;

fn complaints(verdicts: &[Verdict], with_settings: bool) -> Vec<(&'static str, &str)> {
    let own = verdicts.iter().filter(|verdict| verdict.subject.contains(' ') == with_settings);
    own.filter_map(|verdict| Some((verdict.contract.name, verdict.outcome.as_ref().err()?.as_str())))
        .collect()
}

fn settings(wrong: &str) -> [Value; 1] {
    [Value::from_json(&json!({ "wrong": wrong }))]
}

#[test]
fn an_architecture_without_a_fault_breaks_nothing() {
    assert_eq!(complaints(&contracts::architecture(RECURRENT, &[]), false), []);
}

#[test]
fn each_fault_of_an_architecture_breaks_its_contracts_and_no_other() {
    let faults: [(&str, &[&str]); 27] = [
        ("never-builds", &["it builds"]),
        (
            "sees-the-future",
            &[
                "causality",
                "step is forward",
                "decoder is forward",
                "chunks are the whole",
                "gradients cross chunks",
                "lengths",
                "any length",
            ],
        ),
        ("mixes-rows", &["batch independence", "lengths"]),
        (
            "forgets",
            &[
                "step is forward",
                "decoder is forward",
                "chunks are the whole",
                "gradients cross chunks",
                "lengths",
            ],
        ),
        (
            "detaches-its-state",
            &[
                "step is forward",
                "chunks are the whole",
                "gradients cross chunks",
                "lengths",
                "gradients are slopes",
            ],
        ),
        ("ignores-lengths", &["lengths"]),
        ("step-differs", &["step is forward", "decoder is forward"]),
        ("decoder-differs", &["decoder is forward"]),
        ("decoder-miscounts", &["decoder is forward"]),
        ("state-bytes", &["state bytes"]),
        ("parameter-count", &["parameter count"]),
        ("cuts-a-gradient", &["every parameter learns", "gradients are slopes"]),
        ("other-slope", &["gradients are slopes"]),
        ("unused-parameter", &["every parameter learns"]),
        ("declared-but-learns", &["every parameter learns"]),
        ("own-generator", &["seeds"]),
        ("same-for-every-seed", &["seeds"]),
        ("by-threads", &["threads"]),
        ("short-only", &["any length"]),
        ("panics-at65", &["any length"]),
        ("accepts-rank-two", &["wrong shapes"]),
        ("vague-refusal", &["wrong shapes"]),
        ("graph-in-evaluation", &["evaluation is training's function"]),
        ("evaluation-differs", &["evaluation is training's function"]),
        ("huge", &["starts without an opinion"]),
        ("runaway", &["learns"]),
        (
            "not-a-finite-gradient",
            &[
                "step is forward",
                "chunks are the whole",
                "every parameter learns",
                "gradients are slopes",
                "learns",
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (fault, expected) in faults {
        let verdicts = contracts::architecture(RECURRENT, &settings(fault));
        let found = complaints(&verdicts, true);
        if found.iter().map(|(name, _)| *name).ne(expected.iter().copied()) {
            wrong.push(format!("{fault}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_panic_is_reported_with_its_message() {
    let verdicts = contracts::architecture(RECURRENT, &settings("panics-at65"));
    assert_eq!(complaints(&verdicts, true), [("any length", "it panicked: index out of bounds")]);
}

#[test]
fn tasks_without_a_fault_break_nothing() {
    assert_eq!(complaints(&contracts::task(&Echo, &[]), false), []);
    assert_eq!(complaints(&contracts::task(&Coin, &[]), false), []);
}

#[test]
fn each_fault_of_a_generated_task_breaks_its_contracts_and_no_other() {
    let faults: [(&str, &[&str]); 14] = [
        ("other-target", &["the oracle is right", "evidence"]),
        ("other-lag", &["batches are whole"]),
        ("other-evidence", &["evidence"]),
        ("too-much-evidence", &["evidence"]),
        ("beyond-the-vocabulary", &["batches are whole"]),
        ("longer-than-it-says", &["batches are whole"]),
        ("ignores-its-stream", &["the stream decides", "training, validation and test are apart"]),
        ("own-generator", &["the stream decides"]),
        ("one-stream-for-all", &["training, validation and test are apart"]),
        ("biased", &["chance"]),
        ("chance-too-high", &["chance"]),
        ("no-chance", &["chance"]),
        ("trains-longer", &["lengths"]),
        ("evaluates-elsewhere", &["lengths"]),
    ];
    check_task(&Echo, &faults);
}

#[test]
fn each_fault_of_a_finite_task_breaks_its_contracts_and_no_other() {
    let faults: [(&str, &[&str]); 6] = [
        ("other-lag", &["examples are whole"]),
        ("beyond-the-vocabulary", &["examples are whole"]),
        ("empty-split", &["splits share nothing"]),
        ("shared-example", &["splits share nothing"]),
        ("forgets-its-index", &["indices"]),
        ("no-chance", &["chance"]),
    ];
    check_task(&Coin, &faults);
}

fn check_task(entry: &'static dyn AnyTask, faults: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (fault, expected) in faults {
        let verdicts = contracts::task(entry, &settings(fault));
        let found = complaints(&verdicts, true);
        if found.iter().map(|(name, _)| *name).ne(expected.iter().copied()) {
            wrong.push(format!("{fault}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_entry_that_reads_anything_and_has_no_proper_name_is_told_so() {
    let verdicts = contracts::task(&Lax, &[]);
    let found: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict.outcome.is_err())
        .map(|verdict| verdict.contract.name)
        .collect();
    assert_eq!(found, ["it says what it is", "misspelt keys are refused", "its length key exists"]);
}
