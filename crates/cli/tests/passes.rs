//! What a timed pass costs by formula: operations against what whole models multiply, traffic against sums by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_core::{InputData, InputKind, Inputs, OutputKind, Signature};
use seqbench_harness::counting_multiply_adds;
use seqbench_harness::model::{Model, configured_cores, parameter_count};
use seqbench_harness::plan::{PassCost, pass_cost};
use seqbench_harness::spec::{Block, KindSpec, Mode, ModelSpec, Norm};

const BATCH: usize = 3;
const TIME: usize = 11;

fn model(kind: &str, block: Block, mlp: f64, layers: usize) -> ModelSpec {
    let layer = KindSpec { kind: kind.to_owned(), config: serde_json::json!({}) };
    ModelSpec {
        width: 16,
        block,
        mlp,
        norm: Norm::Rms,
        embedding_deviation: 1.0,
        layers: vec![layer; layers],
    }
}

fn inputs(signature: Signature, time: usize) -> Inputs {
    let data = match signature.input {
        InputKind::Tokens(_) => InputData::Tokens(vec![5; BATCH * time]),
        InputKind::Features(dim) => InputData::Features { dim, values: vec![0.5; BATCH * time * dim] },
    };
    Inputs { batch: BATCH, time, data }
}

#[test]
fn operations_are_two_for_each_multiply_add_of_the_whole_model() {
    let registry = seqbench::builtin();
    let classes = |input| Signature { input, output: OutputKind::Classes(5) };
    for entry in registry.architectures() {
        for (block, mlp, signature) in [
            (Block::Plain, 0.0, classes(InputKind::Tokens(7))),
            (Block::Residual, 1.3, classes(InputKind::Features(3))),
        ] {
            let spec = model(entry.info().name, block, mlp, 2);
            let store = Model::fresh(&spec, signature, 29, 1, &registry).unwrap();
            let params = seqbench_core::Params::detached(&store);
            let built = Model::build(&spec, signature, 29, &registry, &params).unwrap();
            let last = |time: usize| (0..BATCH).map(|row| (row, time - 1)).collect::<Vec<_>>();
            let cost = |mode| pass_cost(&spec, signature, mode, TIME, BATCH, &registry).unwrap().operations;
            let (state, forward) = counting_multiply_adds(|| {
                let (ys, state) = built.forward(&inputs(signature, TIME), None, None).unwrap();
                built.read_out(&ys, &last(TIME)).unwrap();
                state
            });
            assert_eq!(cost(Mode::Forward), 2.0 * forward as f64, "{spec:?}");
            assert_eq!(cost(Mode::Train), 6.0 * forward as f64, "{spec:?}");
            let ((), decoded) = counting_multiply_adds(|| {
                let (ys, _) = built.forward(&inputs(signature, 1), Some(&state), None).unwrap();
                built.read_out(&ys, &last(1)).unwrap();
            });
            assert_eq!(cost(Mode::Decode), 2.0 * decoded as f64, "{spec:?}");
        }
    }
}

#[test]
fn traffic_is_what_its_model_says() {
    let registry = seqbench::builtin();
    let signature = Signature { input: InputKind::Tokens(7), output: OutputKind::Classes(5) };
    let cost = |spec: &ModelSpec, mode| pass_cost(spec, signature, mode, TIME, BATCH, &registry).unwrap();
    let parameters = |spec: &ModelSpec| {
        parameter_count(spec, &configured_cores(spec, &registry).unwrap(), signature) as f64
    };
    let (steps, stream) = ((BATCH * TIME) as f64, (BATCH * TIME * 16) as f64);
    let lstm = model("lstm", Block::Plain, 0.0, 1);
    // Symbols, the embedding, the layer's input and output.
    let forward = parameters(&lstm) + steps + 3.0 * stream;
    assert_eq!(cost(&lstm, Mode::Forward).traffic_bytes, 4.0 * forward);
    // Weights: read by three passes and written; gradients written and read; moments read and written. The input read, the
    // gradients of output and input; the embedding, the outputs, gates and cells kept, written and read.
    let training = 10.0 * parameters(&lstm) + steps + 3.0 * stream + 2.0 * (1.0 + 6.0) * stream;
    assert_eq!(cost(&lstm, Mode::Train).traffic_bytes, 4.0 * training);
    // Three of seven rows of the embedding; both states read and written.
    let states = 2.0 * (BATCH * 2 * 16) as f64;
    let PassCost { traffic_bytes, memory_bytes, .. } = cost(&lstm, Mode::Decode);
    assert_eq!(traffic_bytes, 4.0 * (parameters(&lstm) - 4.0 * 16.0 + states));
    assert_eq!(memory_bytes, 4.0 * (2.0 * parameters(&lstm) + states / 2.0));
    // A context is read, and one token's key and value are written.
    let attention = model("transformer", Block::Residual, 0.0, 2);
    let (read, written) = (2 * (8 * 16 * TIME + 4), 2 * 8 * 16);
    let expected = 4.0 * (parameters(&attention) - 4.0 * 16.0) + (BATCH * (read + written)) as f64;
    assert_eq!(cost(&attention, Mode::Decode).traffic_bytes, expected);
}
