//! A decoded token allocates nothing, whatever the model: embedding, positions, norms, cores, MLPs and readout.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_core::{InputData, InputKind, Inputs, OutputKind, Signature};
use seqbench_harness::memory::Counting;
use seqbench_harness::spec::{
    Answers, Block, ClipSpec, KindSpec, ModelSpec, Norm, OptimizerSpec, Rate, Schedule, TrainSpec,
};
use seqbench_harness::train::Trainer;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: usize = 2;
const TOKENS: usize = 50;

fn training() -> TrainSpec {
    TrainSpec {
        steps: 1,
        batch: BATCH,
        optimizer: OptimizerSpec::Sgd { momentum: 0.0, weight_decay: 0.0 },
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

#[test]
fn a_decoded_token_allocates_nothing() {
    let registry = seqbench::builtin();
    for entry in registry.architectures() {
        for (block, input) in
            [(Block::Plain, InputKind::Tokens(7)), (Block::Residual, InputKind::Features(3))]
        {
            let data = match input {
                InputKind::Tokens(_) => InputData::Tokens(vec![5; BATCH]),
                InputKind::Features(dim) => InputData::Features { dim, values: vec![0.5; BATCH * dim] },
            };
            let inputs = Inputs { batch: BATCH, time: 1, data };
            let signature = Signature { input, output: OutputKind::Classes(4) };
            let kind = KindSpec { kind: entry.info().name.into(), config: serde_json::json!({}) };
            let model = ModelSpec {
                width: 16,
                block,
                mlp: 2.0,
                norm: Norm::Layer,
                embedding_deviation: 1.0,
                layers: vec![kind.clone(), kind],
            };
            let trainer = Trainer::new(&model, &training(), 0.1, signature, TOKENS, 1, &registry).unwrap();
            let mut decoder = trainer.evaluated().decoder(BATCH, TOKENS).unwrap();
            let mut answers = vec![0.0; decoder.answers()];
            // The first token may make what later ones use.
            decoder.step_into(&inputs, &mut answers).unwrap();
            let rest = || (1..TOKENS).for_each(|_| decoder.step_into(&inputs, &mut answers).unwrap());
            assert_eq!(Counting::allocations(rest), 0, "{} in {block:?}", entry.info().name);
        }
    }
}
