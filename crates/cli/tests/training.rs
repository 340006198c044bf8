//! Training on the fused kernels is training on their plain formulations: the same losses, step by step.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_core::config::Value;
use seqbench_harness::data::Data;
use seqbench_harness::on_plain_formulations;
use seqbench_harness::spec::{
    Answers, Block, ClipSpec, KindSpec, ModelSpec, Norm, OptimizerSpec, Rate, Schedule, TrainSpec,
};
use seqbench_harness::train::Trainer;
use serde_json::json;

const STEPS: u64 = 200;
const RATE: f64 = 1e-3;

fn train_spec() -> TrainSpec {
    TrainSpec {
        steps: STEPS,
        batch: 7,
        optimizer: OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 },
        lr: Rate::Fixed(RATE),
        schedule: Schedule::Constant,
        warmup: 0,
        final_share: 1.0,
        clip: ClipSpec::Norm(1.0),
        tbptt: None,
        stop_at: None,
        curriculum: None,
        answers: Answers::True,
    }
}

fn model(kind: &str, config: serde_json::Value, block: Block) -> ModelSpec {
    let layer = KindSpec { kind: kind.into(), config };
    let mlp = if block == Block::Residual { 2.0 } else { 0.0 };
    ModelSpec { width: 12, block, mlp, norm: Norm::Layer, embedding_deviation: 1.0, layers: vec![layer; 2] }
}

/// The losses of the first steps on one task, fresh batches each.
fn losses(model: &ModelSpec) -> Vec<f64> {
    let registry = seqbench::builtin();
    let task = registry.task("delayed-recall", &None).unwrap();
    let (instance, _) = task.configure(&Value::from_json(&json!({"lag": 3}))).unwrap();
    let mut data = Data::new(&instance, 5);
    let spec = train_spec();
    let signature = instance.signature();
    let mut trainer = Trainer::new(model, &spec, RATE, signature, 12, 3, &registry).unwrap();
    (0..STEPS).map(|step| trainer.step(&data.training_batch(step, &spec), step).unwrap().loss).collect()
}

fn assert_same_curve(kind: &str, config: serde_json::Value, block: Block) {
    let model = model(kind, config, block);
    let (fast, plain) = (losses(&model), on_plain_formulations(|| losses(&model)));
    assert!((fast[0] - plain[0]).abs() < 1e-5, "{kind}: the first losses are {} and {}", fast[0], plain[0]);
    for (step, (fast, plain)) in fast.iter().zip(&plain).enumerate() {
        assert!((fast - plain).abs() < 2e-3, "{kind}: step {step}: {fast} against {plain}");
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&fast[..20]), mean(&fast[fast.len() - 20..]));
    assert!(last < 0.98 * first, "{kind}: nothing was learned: {first} to {last}");
}

#[test]
fn rnn_trains_as_its_plain_formulation() {
    assert_same_curve("rnn", json!({}), Block::Plain);
}

#[test]
fn lstm_trains_as_its_plain_formulation() {
    assert_same_curve("lstm", json!({}), Block::Plain);
}

#[test]
fn transformer_trains_as_its_plain_formulation() {
    assert_same_curve("transformer", json!({"heads": 3}), Block::Residual);
    assert_same_curve("transformer", json!({"heads": 2, "positions": "alibi"}), Block::Residual);
}

#[test]
fn ssm_trains_as_its_plain_formulation() {
    assert_same_curve("ssm", json!({"states": 2}), Block::Residual);
}
