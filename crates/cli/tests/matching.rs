//! Sizes that models are matched by: the formula against what is built, for every architecture.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_core::{InputKind, OutputKind, Signature};
use seqbench_harness::model::{Model, configured_cores, parameter_count};
use seqbench_harness::spec::{Block, KindSpec, ModelSpec, Norm};

#[test]
fn parameters_are_counted_as_they_are_built() {
    let registry = seqbench::builtin();
    let classes = |count| OutputKind::Classes(count);
    let signatures = [
        Signature { input: InputKind::Tokens(7), output: classes(5) },
        Signature {
            input: InputKind::Features(3),
            output: OutputKind::Regression { dim: 2, tolerance: 0.1 },
        },
    ];
    for entry in registry.architectures() {
        let layer = KindSpec { kind: entry.info().name.to_owned(), config: entry.defaults() };
        for (block, mlp, norm, signature) in [
            (Block::Plain, 0.0, Norm::Layer, signatures[0]),
            (Block::Residual, 0.0, Norm::Rms, signatures[1]),
            (Block::Residual, 1.3, Norm::Layer, signatures[0]),
            (Block::Residual, 2.0, Norm::Rms, signatures[1]),
        ] {
            let layers = vec![layer.clone(), layer.clone()];
            let spec = ModelSpec { width: 16, block, mlp, norm, embedding_deviation: 1.0, layers };
            let cores = configured_cores(&spec, &registry).unwrap();
            let built = Model::fresh(&spec, signature, 9, 0, &registry).unwrap();
            assert_eq!(parameter_count(&spec, &cores, signature), built.count(), "{spec:?}");
        }
    }
}
