//! Commands that answer from timed rows that stand: `choose` and `compare`, on the committed results.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{seqbench, succeed};

fn results(experiment: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results").join(experiment);
    let machines = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let machine: PathBuf = machines.filter(|path| path.join("cells").is_dir()).min().unwrap();
    machine.to_str().unwrap().to_owned()
}

/// The rows of a table in JSON.
fn rows(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    table["rows"].as_array().unwrap().clone()
}

#[test]
fn models_that_fit_come_first_and_a_tighter_memory_refuses_more() {
    let folder = tempfile::tempdir().unwrap();
    let (quick, recall) = (results("quick"), results("delayed-recall-vs-lag"));
    let ask = |memory: &str| {
        let arguments =
            ["choose", &quick, &recall, "--length", "512", "--batch", "8", "--memory", memory, "--json"];
        rows(&succeed(folder.path(), &arguments).0)
    };
    let fits = |rows: &[Value]| -> Vec<bool> {
        rows.iter().map(|row| row["training_fits"].as_bool().expect("known")).collect()
    };
    let (wide, tight) = (ask("16GiB"), ask("20MB"));
    assert_eq!((wide.len(), tight.len()), (4, 4));
    assert_eq!(fits(&wide), [true; 4]);
    assert_eq!(fits(&tight), [false; 4]);
    let times: Vec<f64> = wide.iter().map(|row| row["train_ns"].as_f64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    assert!(wide.iter().all(|row| row["reaches"].as_str().unwrap().contains("lag")), "{wide:?}");
}

#[test]
fn results_that_answer_nothing_are_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (quick, recall) = (results("quick"), results("delayed-recall-vs-lag"));
    let refused = |arguments: &[&str]| {
        let output = seqbench(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let untimed = refused(&["choose", &recall, "--length", "512"]);
    assert!(untimed.contains("no timed rounds") && untimed.contains("throughput-vs-length"), "{untimed}");
    let threads = refused(&["choose", &quick, "--length", "512", "--threads", "3"]);
    assert!(threads.contains("--threads 1"), "{threads}");
    let unit = refused(&["choose", &quick, "--length", "512", "--memory", "4 gallons"]);
    assert!(unit.contains("GiB"), "{unit}");
    let nothing = refused(&["compare", &quick, &recall]);
    assert!(nothing.contains("different experiments: quick and delayed-recall-vs-lag"), "{nothing}");
}

#[test]
fn results_agree_with_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let quick = results("quick");
    let (text, _) = succeed(folder.path(), &["compare", &quick, &quick, "--json"]);
    let tables: Vec<Value> = serde_json::from_str(&text).unwrap();
    let rows_of = |name: &str| {
        let table = tables.iter().find(|table| table["name"] == name).unwrap();
        table["rows"].as_array().unwrap().clone()
    };
    let scores = rows_of("comparison");
    assert!(scores.len() > 4 * 3 && scores.iter().all(|row| row["finding"] == "identical"), "{scores:?}");
    let times = rows_of("comparison-times");
    assert_eq!(times.len(), 4 * 3 * 3);
    assert!(times.iter().all(|row| row["ratio"].as_f64() == Some(1.0)));
}
