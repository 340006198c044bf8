//! `seqbench cost` and `seqbench calibrate`: what formulas say, and what this machine can do at most.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::str::contains;
use serde_json::Value;
use support::{folder_with, seqbench, succeed};

fn rows(arguments: &[&str]) -> Vec<Value> {
    let folder = folder_with("");
    let (text, _) = succeed(folder.path(), &[arguments, &["--json"]].concat());
    serde_json::from_str::<Value>(&text).unwrap()["rows"].as_array().unwrap().clone()
}

fn of(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or_else(|| panic!("{field} in {row}"))
}

#[test]
fn operations_and_state_are_those_of_the_formulas() {
    let shape = ["--dim", "16", "--layers", "2", "--batch", "3", "--length", "50,100", "--set"];
    let lstm = rows(&[&["cost", "--model", "lstm"], &shape[..], &["block=plain"]].concat());
    let products = 2.0 * 4.0 * (2 * 16 * 16) as f64;
    for (row, length) in lstm.iter().zip([50.0, 100.0]) {
        assert_eq!(of(row, "length"), length);
        // Of each layer 4 gates of 16 × (16 + 16), two operations a multiply-add; biases are none.
        assert_eq!(of(row, "forward_operations"), 2.0 * 3.0 * length * products);
        assert_eq!(of(row, "training_operations"), 3.0 * of(row, "forward_operations"));
        assert_eq!(of(row, "state_bytes"), 3.0 * 2.0 * 2.0 * 16.0 * 4.0);
    }
    let transformer = rows(&[&["cost", "--model", "transformer"], &shape[..], &["block=plain"]].concat());
    // Keys and values of every step; a token more costs more the longer the context.
    let grown = of(&transformer[1], "state_bytes") - of(&transformer[0], "state_bytes");
    assert_eq!(grown, 3.0 * 2.0 * 50.0 * 2.0 * 16.0 * 4.0);
    assert!(of(&transformer[1], "decode_seconds") > of(&transformer[0], "decode_seconds"));
    let grown = of(&transformer[1], "forward_operations") / of(&transformer[0], "forward_operations");
    assert!(grown > 2.0 && grown < 4.0, "{grown}");
    let flat = of(&lstm[1], "decode_seconds") / of(&lstm[0], "decode_seconds");
    assert!((flat - 1.0).abs() < 1e-6, "{flat}");
}

#[test]
fn memory_is_that_of_parameters_and_of_what_is_kept() {
    let shape =
        ["--dim", "16", "--layers", "1", "--batch", "3", "--length", "50,100", "--vocab", "7", "--set"];
    let rows = rows(&[&["cost", "--model", "lstm"], &shape[..], &["block=plain"]].concat());
    let parameters = (7 * 16 + 8 * 16 * 16 + 8 * 16 + 17 * 7) as f64;
    for (row, length) in rows.iter().zip([50.0, 100.0]) {
        // A step: three numbers of its symbol, the embedding, what six outputs, gates and cells hold, and the gradients of
        // the layer's output and input; a row: its share of the weights' gradient, and two states before and after.
        let training = 16.0 * parameters + 4.0 * 3.0 * (length * (3.0 + 9.0 * 16.0) + 256.0 + 4.0 * 16.0);
        assert_eq!(of(row, "training_memory_bytes"), training);
        // Weights, the layer's input and output, and its states before and after.
        let forward = 4.0 * parameters + 4.0 * 3.0 * (2.0 * 16.0 * length + 4.0 * 16.0);
        assert_eq!(of(row, "forward_memory_bytes"), forward);
    }
}

#[test]
fn what_no_model_has_is_refused() {
    let folder = folder_with("");
    let refused = |command: &[&str], message: &'static str| {
        seqbench(folder.path(), command).assert().code(2).stderr(contains(message));
    };
    refused(&["cost", "--model", "lstn"], "lstm");
    refused(&["cost", "--model", "lstm", "--length", "0"], "--length");
    refused(&["cost", "--model", "lstm", "--set", "forget_bais=1"], "forget_bias");
}

#[test]
fn a_machine_has_a_peak_a_bandwidth_and_a_ridge() {
    let rows = rows(&["calibrate"]);
    assert_eq!(of(&rows[0], "threads"), 1.0);
    for row in &rows {
        let [peak, bandwidth, ridge] = ["peak_gflops", "bandwidth_gb", "ridge"].map(|field| of(row, field));
        assert!(peak > 0.0 && bandwidth > 0.0, "{row}");
        assert!((ridge - peak / bandwidth).abs() < 1e-9 * ridge, "{row}");
    }
}
