//! Gradient profiles against closed forms.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod linear;
mod toy;

use linear::{Leaky, cell, model};
use seqbench_core::{
    Batch, Generated, Inputs, Instance, Reference, Registry, Result, Signature, Stream, Targets, Task,
    TaskInfo,
};
use seqbench_harness::cell::run_cell;
use seqbench_harness::run::Findings;
use seqbench_harness::spec::{CellSpec, GradientSpec, Stage};
use seqbench_record::ProfileRow;
use serde_json::json;

const LAG: usize = 40;

fn run(spec: &CellSpec) -> Result<Findings> {
    let registry = Registry::new(&[&&Leaky, &&toy::Toy], &[&toy::Echo, &Ragged]);
    run_cell(spec, None, false, &registry, &mut |_, _, _| {})
}

fn gradients(at: &[Stage], max_distance: Option<usize>) -> Option<GradientSpec> {
    Some(GradientSpec { at: at.to_vec(), samples: 5, max_distance, per_decade: 8, ..GradientSpec::default() })
}

fn gradients_at_init(task: &str, rho: f64, layers: usize) -> Vec<ProfileRow> {
    let mut spec = cell(task, json!({"lag": LAG, "classes": 8}));
    spec.model = model("leaky", &json!({ "rho": rho }), layers, 6);
    spec.measure.accuracy = None;
    spec.measure.gradients = gradients(&[Stage::Init], None);
    run(&spec).unwrap().profiles
}

/// (distance, log10 of the norm, log10 relative to the nearest) of one layer's geometric means at initialisation.
fn profile(rho: f64, layers: usize, wrt: &str, layer: u32) -> Vec<(usize, f64, f64)> {
    let rows = gradients_at_init("echo", rho, layers);
    let chosen = |row: &&ProfileRow| row.wrt == wrt && row.layer == layer;
    let rows: Vec<_> = rows.iter().filter(chosen).collect();
    assert!(rows.iter().all(|row| row.stage == "init" && row.trusted));
    rows.iter().map(|row| (row.distance as usize, row.log10_norm, row.log10_relative)).collect()
}

#[test]
fn a_linear_recurrence_forgets_by_its_factor_at_every_step() {
    for rho in [0.75, 0.5, 1.0, 1.25] {
        let (inputs, states) = (profile(rho, 1, "input", 0), profile(rho, 1, "state", 0));
        assert_eq!((inputs[0].0, states[0].0), (0, 1));
        assert_eq!((inputs[inputs.len() - 1].0, states[states.len() - 1].0), (LAG, LAG));
        for (distance, _, relative) in &inputs {
            assert!((relative - *distance as f64 * rho.log10()).abs() < 1e-9, "{rho} {distance}: {relative}");
        }
        for (distance, log, relative) in &states {
            assert!((relative - (*distance - 1) as f64 * rho.log10()).abs() < 1e-9, "{rho} {distance}");
            // The input is added to the state with weight one, so both have the same gradient.
            let input = inputs.iter().find(|(own, ..)| own == distance).unwrap();
            assert!((log - input.1).abs() < 1e-9, "{rho} {distance}: {log} {input:?}");
        }
    }
}

/// Two linear layers: of the d + 1 ways from a lower input up and along to the last output each has the weight ρ^d; from
/// a lower state that was left k steps ago there are k, because the step at which it was made is not gone up again.
#[test]
fn a_lower_layer_has_as_many_ways_as_there_are_steps_to_go_up_at() {
    let rho = 0.75f64;
    for (distance, log, relative) in profile(rho, 2, "input", 0) {
        let ways = (distance + 1) as f64;
        assert!((relative - ways.log10() - distance as f64 * rho.log10()).abs() < 1e-9, "{distance} {log}");
    }
    for (distance, log, relative) in profile(rho, 2, "state", 0) {
        let expected = (distance as f64).log10() + (distance - 1) as f64 * rho.log10();
        assert!((relative - expected).abs() < 1e-9, "{distance} {log}");
    }
    for (distance, _, relative) in profile(rho, 2, "input", 1) {
        assert!((relative - distance as f64 * rho.log10()).abs() < 1e-9, "{distance}");
    }
}

/// The echo of a symbol where each row is one step shorter than the row before it.
struct Ragged;

impl Task for Ragged {
    type Config = toy::EchoConfig;
    fn info(&self) -> &'static TaskInfo {
        static INFO: TaskInfo = TaskInfo {
            name: "ragged",
            title: "Ragged",
            summary: "Say the first symbol at the end of each row.",
            separates: "nothing",
            citation: "none, 2026",
            deviations: &[],
            length_key: Some("lag"),
            documentation: "",
        };
        &INFO
    }
    fn build(&self, config: &toy::EchoConfig) -> Result<Instance> {
        Ok(Instance::Generated(Box::new(RaggedEcho(config.clone()))))
    }
}

struct RaggedEcho(toy::EchoConfig);

impl Generated for RaggedEcho {
    fn signature(&self) -> Signature {
        self.0.signature()
    }
    fn nominal_length(&self) -> usize {
        self.0.nominal_length()
    }
    fn steps(&self, length: usize) -> usize {
        self.0.steps(length)
    }
    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let mut batch = self.0.sample(rng, batch, length);
        let time = batch.inputs.time;
        for (row, scored) in batch.scored.iter_mut().enumerate() {
            scored.step -= row as u32;
            scored.lag = scored.step;
            batch.lengths[row] = scored.step as usize + 1;
            batch.loss_mask[row * time + scored.step as usize] = true;
            batch.loss_mask[(row + 1) * time - 1] &= row == 0;
        }
        batch
    }
    fn oracle(&self, inputs: &Inputs, lengths: &[usize]) -> Targets {
        self.0.oracle(inputs, lengths)
    }
    fn references(&self, length: usize) -> Vec<Reference> {
        self.0.references(length)
    }
}

#[test]
fn rows_of_different_lengths_are_each_probed_from_their_own_end() {
    let rows = gradients_at_init("ragged", 0.75, 1);
    for (wrt, nearest) in [("input", 0), ("state", 1)] {
        let own = |row: &&ProfileRow| row.wrt == wrt;
        // Up to where the shortest of the five rows reaches, so that the same rows are summarised.
        for row in rows.iter().filter(own).filter(|row| row.distance <= LAG as u64 - 4) {
            let expected = (row.distance - nearest) as f64 * 0.75f64.log10();
            assert!((row.log10_relative - expected).abs() < 1e-9, "{row:?}");
        }
        assert_eq!(rows.iter().filter(own).map(|row| row.distance).max(), Some(LAG as u64));
    }
}

#[test]
fn norms_too_small_for_a_double_are_not_trusted() {
    let mut spec = cell("echo", json!({"lag": 1100, "classes": 2}));
    spec.model = model("leaky", &json!({"rho": 0.5}), 1, 3);
    spec.measure.accuracy = None;
    spec.measure.gradients = gradients(&[Stage::Init], None);
    let rows = run(&spec).unwrap().profiles;
    for row in rows.iter().filter(|row| row.wrt == "input") {
        assert_eq!(row.trusted, row.distance < 950, "{row:?}");
    }
}

#[test]
fn an_architecture_without_memory_has_no_state_profile_and_no_gradient_beyond_the_step() {
    let mut spec = cell("echo", json!({"lag": 12, "classes": 4}));
    spec.model = model("toy", &json!({}), 1, 6);
    spec.measure.accuracy = None;
    spec.measure.gradients = gradients(&[Stage::Init], None);
    let rows = run(&spec).unwrap().profiles;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.wrt == "input"));
    for row in rows {
        assert_eq!(row.log10_norm == f64::NEG_INFINITY, row.distance > 0, "{row:?}");
        assert_eq!(row.trusted, row.distance == 0);
    }
}

#[test]
fn the_largest_distance_is_the_one_asked_for() {
    let mut spec = cell("echo", json!({"lag": LAG, "classes": 4}));
    spec.measure.accuracy = None;
    spec.measure.gradients = gradients(&[Stage::Init], Some(17));
    let rows = run(&spec).unwrap().profiles;
    for wrt in ["input", "state"] {
        assert_eq!(rows.iter().filter(|row| row.wrt == wrt).map(|row| row.distance).max(), Some(17));
    }
}

#[test]
fn probing_changes_no_bit_of_training() {
    let plain = cell("echo", json!({"lag": 9, "classes": 4}));
    let mut probed = plain.clone();
    probed.measure.gradients = gradients(&[Stage::Init, Stage::End], None);
    let (plain, probed) = (run(&plain).unwrap(), run(&probed).unwrap());
    assert!(plain.profiles.is_empty() && !probed.profiles.is_empty());
    // What training took is no finding.
    let conditions = plain.conditions.clone();
    assert_eq!(plain, Findings { profiles: Vec::new(), conditions, ..probed });
}

#[test]
fn training_moves_the_profile_and_without_scores_only_training_happens() {
    let mut spec = cell("echo", json!({"lag": 9, "classes": 4}));
    spec.measure.accuracy = None;
    spec.measure.gradients = gradients(&[Stage::Init, Stage::End], None);
    let found = run(&spec).unwrap();
    let norms = |stage: &str| -> Vec<f64> {
        found.profiles.iter().filter(|row| row.stage == stage).map(|row| row.log10_norm).collect()
    };
    assert_eq!(norms("init").len(), norms("end").len());
    assert_ne!(norms("init"), norms("end"));
    assert!(found.scores.is_empty());
    assert_eq!(found.facts["steps_run"], 7.0);
}
