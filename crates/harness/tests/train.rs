//! Optimizer steps: truncation, clipping, divergence.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod linear;
mod toy;

use linear::{Leaky, cell, descent, flat, model};
use seqbench_core::{
    Batch, Evidence, InputData, InputKind, Inputs, OutputKind, Registry, Scored, Signature, Targets,
};
use seqbench_harness::cell::run_cell;
use seqbench_harness::spec::{ClipSpec, ModelSpec, OptimizerSpec, Rate, TrainSpec};
use seqbench_harness::train::{StepReport, Trainer};
use seqbench_record::Status;
use serde_json::json;

const SYMBOLS: Signature = Signature { input: InputKind::Tokens(8), output: OutputKind::Classes(8) };
const WIDTH: usize = 5;

fn registry() -> Registry {
    Registry::new(&[&&Leaky], &[&toy::Echo])
}

fn leaky() -> ModelSpec {
    model("leaky", &json!({}), 1, WIDTH)
}

fn trainer(train: &TrainSpec, signature: Signature) -> Trainer {
    let Rate::Fixed(rate) = train.lr else { panic!("a rate") };
    Trainer::new(&leaky(), train, rate, signature, 8, 3, &registry()).unwrap()
}

/// Two rows of eight symbols each; what is asked stands at the last step, in `also` of the rows' steps besides.
fn symbols(also: &[usize]) -> Batch {
    let tokens = vec![0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7];
    let asked = |at: &usize| at % 8 == 7 || also.contains(&(at % 8));
    let scored = |at: usize| Scored {
        row: at as u32 / 8,
        step: at as u32 % 8,
        lag: 0,
        evidence: Evidence::Steps(vec![at as u32 % 8]),
    };
    Batch {
        inputs: Inputs { batch: 2, time: 8, data: InputData::Tokens(tokens) },
        targets: Targets::Classes(vec![3; 16]),
        loss_mask: (0..16).map(|at| asked(&at)).collect(),
        scored: (0..16).filter(asked).map(scored).collect(),
        lengths: vec![8, 8],
    }
}

/// What one step subtracts from every parameter: the gradient, at rate 1.
fn update(train: &TrainSpec, batch: &Batch) -> (StepReport, Vec<f32>) {
    let mut trainer = trainer(train, SYMBOLS);
    let before = flat(trainer.parameters());
    let report = trainer.step(batch, 0).unwrap();
    let after = flat(trainer.parameters());
    (report, before.iter().zip(&after).map(|(before, after)| before - after).collect())
}

fn truncated(tbptt: usize) -> TrainSpec {
    TrainSpec { tbptt: Some(tbptt), ..descent() }
}

#[test]
fn truncation_at_the_length_is_full_back_propagation() {
    for also in [&[][..], &[1, 4]] {
        let full = update(&descent(), &symbols(also));
        assert_eq!(full, update(&truncated(8), &symbols(also)));
        assert_eq!(full, update(&truncated(100), &symbols(also)));
    }
}

/// The embedding's rows are the first parameter, and symbol s stands at step s alone.
#[test]
fn truncated_gradients_reach_the_steps_of_their_chunk_and_no_other() {
    for (chunk, first) in [(1, 7), (2, 6), (3, 6), (4, 4), (8, 0)] {
        let (report, gradient) = update(&truncated(chunk), &symbols(&[]));
        for symbol in 0..8 {
            let row = &gradient[symbol * WIDTH..(symbol + 1) * WIDTH];
            let reached = row.iter().any(|value| *value != 0.0);
            assert_eq!(reached, symbol >= first, "chunks of {chunk}: step {symbol}");
        }
        // Values cross the chunks although gradients do not.
        let (full, _) = update(&descent(), &symbols(&[]));
        assert!((report.loss - full.loss).abs() < 1e-6, "chunks of {chunk}");
    }
}

#[test]
fn chunks_weigh_every_step_of_the_loss_alike() {
    let asked: Vec<usize> = (0..8).collect();
    let (full, _) = update(&descent(), &symbols(&asked));
    for chunk in [1, 3, 4] {
        let (report, _) = update(&truncated(chunk), &symbols(&asked));
        assert!((report.loss - full.loss).abs() < 1e-6, "{} {}", report.loss, full.loss);
    }
    // The readout is reached from every step whatever the chunks, so its gradient is that of the whole.
    let readout = 8 * WIDTH + 8;
    let of = |train: &TrainSpec| update(train, &symbols(&asked)).1;
    let (whole, chunked) = (of(&descent()), of(&truncated(3)));
    for (a, b) in whole.iter().rev().zip(chunked.iter().rev()).take(readout) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn a_large_gradient_is_clipped_to_the_limit_in_its_direction_and_both_norms_are_told() {
    let (free, gradient) = update(&descent(), &symbols(&[]));
    assert_eq!(free.norm_before, free.norm_after);
    assert!((free.norm_before - norm(&gradient)).abs() < 1e-4 * free.norm_before);
    let limit = free.norm_before / 50.0;
    let (report, applied) = update(&TrainSpec { clip: ClipSpec::Norm(limit), ..descent() }, &symbols(&[]));
    assert_eq!(report.norm_before, free.norm_before);
    assert!((report.norm_after - limit).abs() < 1e-6 * limit, "{report:?}");
    assert!((norm(&applied) - limit).abs() < 1e-3 * limit, "{} {limit}", norm(&applied));
    for (a, g) in applied.iter().zip(&gradient) {
        assert!((a - g / 50.0).abs() < 1e-5 * limit as f32 + 1e-6, "{a} {g}");
    }
    // One that is small enough is left alone, bit for bit.
    let above = TrainSpec { clip: ClipSpec::Norm(free.norm_before * 1.01), ..descent() };
    assert_eq!(update(&above, &symbols(&[])), (free, gradient));
}

#[test]
fn clipping_by_value_bounds_every_component() {
    let (_, gradient) = update(&descent(), &symbols(&[]));
    let limit = 0.01f32;
    let clip = ClipSpec::Value(f64::from(limit));
    let (report, applied) = update(&TrainSpec { clip, ..descent() }, &symbols(&[]));
    for (a, g) in applied.iter().zip(&gradient) {
        assert!((a - g.clamp(-limit, limit)).abs() < 1e-6, "{a} {g}");
    }
    assert!(report.norm_after < report.norm_before);
}

#[test]
fn curves_hold_both_norms_and_the_share_of_clipped_steps() {
    let mut spec = cell("echo", json!({"lag": 9, "classes": 4}));
    spec.train.clip = ClipSpec::Norm(1e-3);
    let found = run_cell(&spec, None, false, &registry(), &mut |_, _, _| {}).unwrap();
    let values = |metric: &str| -> Vec<f64> {
        found.curves.iter().filter(|row| row.metric == metric).map(|row| row.value).collect()
    };
    assert!(values("gradient_norm_before").iter().all(|norm| *norm > 1e-2));
    assert!(values("gradient_norm_after").iter().all(|norm| (norm - 1e-3).abs() < 1e-8));
    assert_eq!(found.facts["clipped_share"], 1.0);
}

#[test]
fn an_absurd_rate_diverges_and_is_recorded() {
    let mut spec = cell("echo", json!({"lag": 30, "classes": 4}));
    spec.train.lr = Rate::Fixed(1e6);
    let found = run_cell(&spec, None, false, &registry(), &mut |_, _, _| {}).unwrap();
    assert_eq!(found.status, Status::Diverged);
    let reason = found.reason.unwrap();
    assert!(reason.contains("stopped being finite at step"), "{reason}");
    assert!(found.scores.is_empty());
    let last = found.curves.last().unwrap();
    assert_eq!(found.facts["steps_run"], last.step as f64);
    assert!(last.step < 7 && found.facts["clipped_share"] == 0.0, "{last:?}");
}

#[test]
fn inputs_that_are_not_finite_change_no_parameter() {
    let numbers = Signature {
        input: InputKind::Features(1),
        output: OutputKind::Regression { dim: 1, tolerance: 0.1 },
    };
    let adamw = OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    for optimizer in [descent().optimizer, adamw] {
        let mut trainer = trainer(&TrainSpec { optimizer, ..descent() }, numbers);
        let before = flat(trainer.parameters());
        let batch = |values: Vec<f32>| Batch {
            inputs: Inputs { batch: 2, time: 8, data: InputData::Features { dim: 1, values } },
            targets: Targets::Values { dim: 1, values: vec![1.0; 16] },
            ..symbols(&[])
        };
        for bad in [f32::NAN, f32::INFINITY] {
            let mut values = vec![0.5; 16];
            values[3] = bad;
            assert!(!trainer.step(&batch(values), 0).unwrap().is_finite());
            assert_eq!(flat(trainer.parameters()), before);
        }
        // And the next good batch trains as if nothing had happened.
        assert!(trainer.step(&batch(vec![0.5; 16]), 0).unwrap().is_finite());
        assert!(flat(trainer.parameters()).iter().zip(&before).any(|(a, b)| a != b));
    }
}
