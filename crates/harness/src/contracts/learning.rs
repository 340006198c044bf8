//! Inside the apparatus an architecture starts without an opinion and learns.

use super::subject::Subject;
use super::{Check, Contract, Fault, Found, ensure};
use crate::spec::{
    Answers, Block, ClipSpec, KindSpec, ModelSpec, Norm, OptimizerSpec, Rate, Schedule, TrainSpec,
};
use crate::train::Trainer;
use seqbench_core::{
    Batch, Evidence, InputData, InputKind, Inputs, OutputKind, Purpose, Registry, Scored, Signature, Stream,
    Targets,
};

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<Subject>] = &[
    (
        Contract {
            name: "starts without an opinion",
            meaning: "the untrained model's loss is far from that of a uniform guess: the outputs are badly scaled, and \
                      the first steps of training are spent on undoing the initialisation",
        },
        starts_without_an_opinion,
    ),
    (
        Contract {
            name: "learns",
            meaning: "thirty optimizer steps on one batch do not lower its loss: gradients point elsewhere, or the \
                      architecture cannot be trained at an ordinary rate",
        },
        learns,
    ),
];

const SYMBOLS: usize = 16;
const STEPS: u64 = 30;
const RATE: f64 = 3e-3;
const BLOCKS: [(Block, &str); 2] = [(Block::Plain, "a plain layer"), (Block::Residual, "a residual block")];

/// Symbols at random and a random class at every step.
fn batch(seed: u64) -> Batch {
    const ROWS: usize = 8;
    const LONG: usize = 11;
    let mut stream = Stream::new(seed, Purpose::Probe, 0);
    let mut draw = || (0..ROWS * LONG).map(|_| stream.below(SYMBOLS) as u32).collect::<Vec<_>>();
    let scored = |at: usize| Scored {
        row: (at / LONG) as u32,
        step: (at % LONG) as u32,
        lag: 0,
        evidence: Evidence::Steps(vec![(at % LONG) as u32]),
    };
    Batch {
        inputs: Inputs { batch: ROWS, time: LONG, data: InputData::Tokens(draw()) },
        targets: Targets::Classes(draw()),
        loss_mask: vec![true; ROWS * LONG],
        scored: (0..ROWS * LONG).map(scored).collect(),
        lengths: vec![LONG; ROWS],
    }
}

fn trainer(subject: &Subject, block: Block, seed: u64) -> Result<Trainer, Fault> {
    let kind = subject.entry.info().name.to_owned();
    let model = ModelSpec {
        width: subject.dim,
        block,
        mlp: 2.0,
        norm: Norm::Layer,
        embedding_deviation: 1.0,
        layers: vec![KindSpec { kind, config: subject.configured.resolved() }],
    };
    let train = TrainSpec {
        steps: STEPS,
        batch: 8,
        optimizer: OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 },
        lr: Rate::Fixed(RATE),
        schedule: Schedule::Constant,
        warmup: 0,
        final_share: 0.0,
        clip: ClipSpec::Norm(1.0),
        tbptt: None,
        stop_at: None,
        curriculum: None,
        answers: Answers::True,
    };
    let signature = Signature { input: InputKind::Tokens(SYMBOLS), output: OutputKind::Classes(SYMBOLS) };
    let registry = Registry::new(&[subject.entry], &[]);
    Ok(Trainer::new(&model, &train, RATE, signature, subject.dims().horizon, seed, &registry)?)
}

fn starts_without_an_opinion(subject: &Subject) -> Found {
    const SEEDS: u64 = 8;
    let uniform = libm::log(SYMBOLS as f64);
    for (block, place) in BLOCKS {
        let mut total = 0.0;
        for seed in 0..SEEDS {
            total += trainer(subject, block, seed)?.step(&batch(seed), 0)?.loss;
        }
        let mean = total / SEEDS as f64;
        let near = (mean / uniform - 1.0).abs() < 0.15;
        ensure!(
            near,
            "in {place} the mean loss of {SEEDS} untrained models is {mean:.3} nats, of a uniform guess {uniform:.3}"
        );
    }
    Ok(())
}

fn learns(subject: &Subject) -> Found {
    for (block, place) in BLOCKS {
        let mut trainer = trainer(subject, block, 0)?;
        let batch = batch(0);
        let first = trainer.step(&batch, 0)?.loss;
        let mut last = first;
        for step in 1..=STEPS {
            last = trainer.step(&batch, step)?.loss;
        }
        // Not `last >= first`: a loss that is not a number has not fallen.
        ensure!(
            last < first,
            "in {place} the loss of a batch went from {first:.4} to {last:.4} in {STEPS} steps"
        );
    }
    Ok(())
}
