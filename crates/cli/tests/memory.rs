//! Memory by formula, against what is allocated: for every architecture, as length and batch grow.
//!
//! One test, because the count is the whole process's.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_core::{
    Batch, Evidence, InputData, InputKind, Inputs, OutputKind, Registry, Scored, Signature, Targets,
};
use seqbench_harness::memory::Counting;
use seqbench_harness::plan::pass_cost;
use seqbench_harness::spec::{
    Answers, Block, ClipSpec, KindSpec, Mode, ModelSpec, Norm, OptimizerSpec, Rate, Schedule, TrainSpec,
};
use seqbench_harness::train::Trainer;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn training(batch: usize) -> TrainSpec {
    TrainSpec {
        steps: 9,
        batch,
        optimizer: OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 },
        lr: Rate::Fixed(0.1),
        schedule: Schedule::Constant,
        warmup: 0,
        final_share: 1.0,
        clip: ClipSpec::None,
        tbptt: None,
        stop_at: None,
        curriculum: None,
        answers: Answers::True,
    }
}

/// Inputs of a signature, and one answer at the last step.
fn batch_of(signature: Signature, batch: usize, time: usize) -> Batch {
    let data = match signature.input {
        InputKind::Tokens(_) => InputData::Tokens(vec![5; batch * time]),
        InputKind::Features(dim) => InputData::Features { dim, values: vec![0.5; batch * time * dim] },
    };
    let last = time as u32 - 1;
    let scored = |row: usize| Scored {
        row: row as u32,
        step: last,
        lag: last,
        evidence: Evidence::Span(0..time as u32),
    };
    Batch {
        inputs: Inputs { batch, time, data },
        targets: Targets::Classes(vec![1; batch * time]),
        loss_mask: (0..batch * time).map(|at| at % time == time - 1).collect(),
        scored: (0..batch).map(scored).collect(),
        lengths: vec![time; batch],
    }
}

/// Bytes of a training step and of a pass without gradients, at most, above those held before each.
fn measured(
    model: &ModelSpec,
    signature: Signature,
    [time, batch]: [usize; 2],
    registry: &Registry,
) -> [f64; 2] {
    let data = batch_of(signature, batch, time);
    let mut trainer = Trainer::new(model, &training(batch), 0.01, signature, time, 1, registry).unwrap();
    let forward = |trainer: &Trainer| {
        let (ys, state) = trainer.evaluated().forward(&data.inputs, None, None).unwrap();
        drop((trainer.evaluated().read_out(&ys, &data.scored_steps()).unwrap(), state));
    };
    // The first may make what threads keep and later ones use.
    trainer.step(&data, 0).unwrap();
    forward(&trainer);
    let trained = Counting::peak(|| assert!(trainer.step(&data, 1).unwrap().is_finite()));
    [trained as f64, Counting::peak(|| forward(&trainer)) as f64]
}

#[test]
fn memory_grows_with_length_and_batch_as_the_formulas_say() {
    let registry = seqbench::builtin();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let variants = [
        ("rnn", json!({})),
        ("lstm", json!({})),
        ("gru", json!({})),
        ("transformer", json!({})),
        ("transformer", json!({"heads": 2, "positions": "sinusoidal"})),
        ("transformer", json!({"heads": 8, "positions": "alibi"})),
        ("ssm", json!({})),
        ("ssm", json!({"parameterisation": "s4d", "states": 16})),
        ("ssm", json!({"parameterisation": "s4d", "states": 5, "init": "real"})),
        ("mamba", json!({})),
        ("mamba", json!({"states": 5, "expand": 1, "convolution": 3})),
    ];
    let named: std::collections::BTreeSet<_> = variants.iter().map(|(name, _)| *name).collect();
    assert_eq!(named.len(), registry.architectures().len(), "every architecture is measured");
    let mut wrong = Vec::new();
    for (name, config) in &variants {
        for (block, mlp, layers, input) in [
            (Block::Plain, 0.0, 1, InputKind::Tokens(7)),
            (Block::Plain, 0.0, 3, InputKind::Features(3)),
            (Block::Residual, 0.0, 2, InputKind::Features(3)),
            (Block::Residual, 2.0, 2, InputKind::Tokens(7)),
        ] {
            let kind = KindSpec { kind: (*name).into(), config: config.clone() };
            let layers = vec![kind; layers];
            let model =
                ModelSpec { width: 40, block, mlp, norm: Norm::Layer, embedding_deviation: 1.0, layers };
            let signature = Signature { input, output: OutputKind::Classes(4) };
            let at = |sizes| one.install(|| measured(&model, signature, sizes, &registry));
            let said = |[time, batch]: [usize; 2]| {
                [Mode::Train, Mode::Forward].map(|mode| {
                    pass_cost(&model, signature, mode, time, batch, &registry).unwrap().memory_bytes
                })
            };
            let start = [197, 16];
            for (what, grown) in [("length", [509, 16]), ("batch", [197, 48])] {
                let (before, after, less, more) = (at(start), at(grown), said(start), said(grown));
                for (mode, which) in [("train", 0), ("forward", 1)] {
                    let ratio = (more[which] - less[which]) / (after[which] - before[which]);
                    if (ratio - 1.0).abs() > 0.05 {
                        wrong.push(format!(
                            "{name} {config} {block:?} mlp {mlp}, {what}, {mode}: {ratio:.3} of what it is"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
