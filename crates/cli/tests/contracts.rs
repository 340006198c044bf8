//! Every contract of the library holds for everything that is built in, under the defaults and under each setting that
//! changes what is computed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_core::config::Value;
use seqbench_harness::contracts::{self, Verdict};
use serde_json::{Value as Json, json};
use std::process::Command;

fn assert_kept(verdicts: &[Verdict]) {
    let broken: Vec<String> = verdicts
        .iter()
        .filter_map(|verdict| {
            let found = verdict.outcome.as_ref().err()?;
            Some(format!("{}: {} — {found}", verdict.subject, verdict.contract.name))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn settings(all: &[Json]) -> Vec<Value> {
    all.iter().map(Value::from_json).collect()
}

/// Settings of the built-in architectures beside their defaults. A new architecture is checked under its defaults
/// without a line here.
fn architecture_settings(name: &str) -> Vec<Value> {
    settings(&match name {
        "rnn" => vec![
            json!({"activation": "relu", "init": "identity", "bias_init": "zeros"}),
            json!({"activation": "identity", "init": "gaussian", "spectral_radius": 0.9}),
            json!({"init": "orthogonal", "input_init": "orthogonal"}),
        ],
        "lstm" => vec![json!({"chrono": true, "init": "orthogonal"}), json!({"forget_bias": 3.0})],
        "gru" => {
            vec![json!({"chrono": true, "init": "orthogonal"}), json!({"gain": 0.5, "init": "gaussian"})]
        }
        "mamba" => vec![
            json!({"states": 3, "expand": 1, "convolution": 2, "dt_rank": 2}),
            json!({"states": 2, "convolution": 1, "dt_max": 1.0}),
        ],
        "transformer" => vec![
            json!({"heads": 2}),
            json!({"heads": 3, "positions": "alibi"}),
            json!({"heads": 1, "positions": "sinusoidal"}),
            json!({"heads": 5, "positions": "none"}),
        ],
        "ssm" => vec![
            json!({"states": 3, "radius_min": 0.3, "phase_max": 2.0}),
            json!({"parameterisation": "s4d", "states": 2, "init": "lin"}),
            json!({"parameterisation": "s4d", "states": 3, "init": "inv"}),
            json!({"parameterisation": "s4d", "init": "real"}),
        ],
        _ => Vec::new(),
    })
}

/// Settings of the built-in tasks beside their defaults.
fn task_settings(name: &str) -> Vec<Value> {
    settings(&match name {
        "delayed-recall" => vec![json!({"lag": 6, "delay": "fixed"}), json!({"lag": 300})],
        "copying" => vec![json!({"lag": 7, "symbols": 5, "span": 3})],
        "adding" => vec![json!({"length": 9}), json!({"length": 8, "markers": "anywhere"})],
        "recall" => vec![
            json!({"length": 16, "pairs": 3, "vocab": 18}),
            json!({"length": 16, "pairs": 3, "vocab": 19, "slots": "published"}),
            json!({"length": 16, "pairs": 3, "vocab": 18, "filler": "random"}),
        ],
        "selective-copying" => vec![json!({"length": 10, "span": 3, "symbols": 4})],
        "induction-heads" => vec![json!({"length": 8, "test_length": 16, "vocab": 5})],
        "parity" | "even-pairs" | "cycle-navigation" | "modular-arithmetic" | "reverse-string" => {
            vec![json!({"length": 9, "test_length": 14})]
        }
        "word-problem" => ["z2", "s3", "a5"].map(|group| json!({"length": 9, "group": group})).to_vec(),
        "images" => vec![json!({"permuted": true})],
        "text" => vec![json!({"length": 256})],
        _ => Vec::new(),
    })
}

#[test]
fn every_built_in_architecture_keeps_every_contract() {
    for entry in seqbench_models::builtin() {
        assert_kept(&contracts::architecture(entry, &architecture_settings(entry.info().name)));
    }
}

#[test]
fn every_built_in_task_keeps_every_contract() {
    for entry in seqbench_tasks::builtin() {
        assert_kept(&contracts::task(entry, &task_settings(entry.info().name)));
    }
}

#[test]
fn a_subject_is_named_with_its_settings_and_every_contract_says_what_a_failure_means() {
    let entry = seqbench_models::builtin()[0];
    let verdicts = contracts::architecture(entry, &settings(&[json!({"init": "orthogonal"})]));
    let named = |subject: &str| verdicts.iter().filter(|verdict| verdict.subject == subject).count();
    let name = entry.info().name;
    assert!(named(name) > 15 && named(&format!("{name} {{\"init\":\"orthogonal\"}}")) > 15);
    assert!(verdicts.iter().all(|verdict| verdict.contract.meaning.len() > 40));
}

fn verify(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqbench"));
    let output = command.arg("verify").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn verify_prints_a_line_a_contract_and_how_many_passed() {
    let (code, out, _) = verify(&["rnn"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(code, Some(0), "{out}");
    assert!(lines.contains(&"pass  rnn: causality"), "{out}");
    assert_eq!(lines[lines.len() - 1], format!("{} passed, 0 failed", lines.len() - 1));
    assert!(lines[..lines.len() - 1].iter().all(|line| line.starts_with("pass  rnn: ")), "{out}");
}

#[test]
fn verify_without_a_name_takes_everything_there_is_and_speaks_json() {
    let (code, out, _) = verify(&["--json"]);
    assert_eq!(code, Some(0));
    let found: Json = serde_json::from_str(&out).unwrap();
    let verdicts = found["verdicts"].as_array().unwrap();
    assert_eq!((found["passed"].as_u64(), found["failed"].as_u64()), (Some(verdicts.len() as u64), Some(0)));
    let architectures = seqbench_models::builtin().into_iter().map(|entry| entry.info().name);
    for name in architectures.chain(seqbench_tasks::builtin().into_iter().map(|entry| entry.info().name)) {
        assert!(verdicts.iter().any(|verdict| verdict["subject"] == name), "{name}");
    }
    assert!(verdicts.iter().all(|verdict| verdict["passed"] == true && verdict["found"].is_null()));
}

#[test]
fn verify_refuses_a_name_that_there_is_not_and_says_which_is_nearest() {
    let (code, out, err) = verify(&["transfomer"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("unknown architecture or task `transfomer`"), "{err}");
    assert!(err.contains("did you mean `transformer`?"), "{err}");
}
