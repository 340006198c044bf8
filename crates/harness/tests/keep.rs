//! Checkpoints inside a cell: it goes on to the same bits from any step, and whatever becomes of the file, no wrong number
//! comes of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod linear;
mod toy;

use linear::{Leaky, cell};
use seqbench_core::Registry;
use seqbench_harness::cell::{run_cell, run_kept_cell};
use seqbench_harness::keep::Keeper;
use seqbench_harness::run::Findings;
use seqbench_harness::spec::{CellSpec, GradientSpec, OptimizerSpec, Stage};
use seqbench_record::rows::to_csv;
use seqbench_record::{RealDisk, Status};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn registry() -> Registry {
    Registry::new(&[&&Leaky], &[&toy::Echo])
}

/// What is written of findings, without what is timed.
fn text(found: Findings) -> String {
    let rows = [
        to_csv(&found.scores),
        to_csv(&found.curves),
        to_csv(&found.profiles),
        to_csv(&found.spectra),
        to_csv(&found.traces),
    ];
    let rows = rows.map(|text| String::from_utf8(text.unwrap()).unwrap());
    assert!(rows.iter().filter(|text| text.lines().count() > 2).count() >= 3);
    let record = (found.status, found.reason, found.facts, found.references);
    format!("{record:?}\n{}", rows.join("\n"))
}

/// One step after another, each in a run of its own that is told to stop at once; nothing once the run ends by itself.
fn one_step(spec: &CellSpec, path: &Path, said: &mut Vec<String>) -> Option<Findings> {
    let stop = Arc::new(AtomicBool::new(true));
    let mut keeper = Keeper::new(Arc::new(RealDisk), path.to_owned(), Duration::MAX, stop);
    let mut progress = |_, _, what: String| said.push(what);
    run_kept_cell(spec, None, false, &registry(), "cell", &mut keeper, &mut progress).unwrap()
}

/// What a checkpoint holds, numbers and all else, without what is timed.
fn kept(bytes: &[u8]) -> (Value, Vec<u8>) {
    let (length, rest) = bytes.split_at(8);
    let (header, numbers) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let header: Value = serde_json::from_slice(header).unwrap();
    let text = header["__metadata__"]["seqbench-unfinished"].as_str().unwrap();
    let mut state: Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
    assert!(state["progress"]["seconds"].take().is_number() && state["progress"]["taken"] == 1, "{state}");
    (state, numbers.to_vec())
}

fn spec(optimizer: OptimizerSpec) -> CellSpec {
    let mut spec = cell("echo", json!({"lag": 9, "classes": 4}));
    spec.train.optimizer = optimizer;
    // Probes before, between and after: what they found is kept too.
    let at = vec![Stage::Init, Stage::Step(3), Stage::End];
    spec.measure.gradients = Some(GradientSpec { at, samples: 2, per_decade: 2, ..GradientSpec::default() });
    spec
}

#[test]
fn a_cell_stopped_after_every_step_finds_what_one_in_a_stretch_does() {
    let adamw = OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
    for optimizer in [adamw, OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 0.0 }] {
        let spec = spec(optimizer);
        let whole = run_cell(&spec, None, false, &registry(), &mut |_, _, _| {}).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unfinished/a.safetensors");
        let mut said = Vec::new();
        let found = (0..spec.train.steps).find_map(|_| one_step(&spec, &path, &mut said)).expect("an end");
        assert_eq!(text(found), text(whole));
        assert!(said.iter().all(|what| !what.contains("anew")), "{said:?}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_the_cell_begun_anew() {
    let spec = spec(OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 0.0 });
    let whole = text(run_cell(&spec, None, false, &registry(), &mut |_, _, _| {}).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    assert!(one_step(&spec, &path, &mut Vec::new()).is_none());
    let bytes = std::fs::read(&path).unwrap();
    let cuts = (0..16).map(|cut| bytes[..bytes.len() * cut / 16].to_vec());
    let mut state = 5u64;
    let mut draw = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let flips: Vec<Vec<u8>> = (0..1000)
        .map(|_| {
            let mut bent = bytes.clone();
            bent[draw(bytes.len())] ^= 1 << draw(8);
            bent
        })
        .collect();
    for damaged in cuts.chain(flips) {
        std::fs::write(&path, &damaged).unwrap();
        let mut said = Vec::new();
        let ended = one_step(&spec, &path, &mut said);
        assert!(ended.is_none(), "it went on from a step that it never took");
        let told = said.iter().any(|what| what.contains("a.safetensors is damaged") && what.contains("anew"));
        assert!(told, "{said:?}");
        assert_eq!(std::fs::read(path.with_extension("damaged")).unwrap(), damaged);
        // Begun anew, it stands after its first step again, and ends as it should.
        assert_eq!(kept(&std::fs::read(&path).unwrap()), kept(&bytes));
    }
    let found = (0..spec.train.steps).find_map(|_| one_step(&spec, &path, &mut Vec::new())).expect("an end");
    assert_eq!(text(found), whole);
}

#[test]
fn another_runs_checkpoint_is_not_gone_on_from() {
    let spec = spec(OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 0.0 });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    assert!(one_step(&spec, &path, &mut Vec::new()).is_none());
    let stop = Arc::new(AtomicBool::new(true));
    let mut keeper = Keeper::new(Arc::new(RealDisk), path.clone(), Duration::MAX, stop);
    let mut said = Vec::new();
    let mut progress = |_, _, what: String| said.push(what);
    run_kept_cell(&spec, None, false, &registry(), "another", &mut keeper, &mut progress).unwrap();
    assert!(said[0].contains("another program or rate"), "{said:?}");
}

#[test]
fn a_number_that_is_none_at_step_k_ends_the_run_there() {
    for (counter, k) in [1usize, 2, 5, 7].into_iter().enumerate() {
        let mut spec = cell("echo", json!({"lag": 9, "classes": 4}));
        // The first forward pass counts the state, and every step makes one.
        spec.measure.accuracy.as_mut().unwrap().curve_points = 1;
        spec.model.layers[0].config = json!({"lies_from": k + 1, "lies_in_nan": true, "counter": counter});
        let found = run_cell(&spec, None, false, &registry(), &mut |_, _, _| {}).unwrap();
        assert_eq!(found.status, Status::Diverged);
        assert_eq!(found.reason.as_deref(), Some(&*format!("the loss stopped being finite at step {k}")));
        assert_eq!(found.facts["steps_run"], k as f64);
        assert!(found.scores.is_empty(), "what diverged is not scored");
        let last = found.curves.last().unwrap();
        assert!(last.step == k as u64 && last.metric == "train_loss" && last.value.is_nan(), "{last:?}");
    }
}
