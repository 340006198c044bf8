//! What stands at both ends of a model, and the optimizer's step.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use candle_core::{Tensor, Var};
use common::{bench, quick, tensor, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::optimizer::{Adamw, AdamwSettings, Clip, Optimizer, Sgd, SgdSettings};
use seqbench_kernels::{cross_entropy, embedding, gather_steps};
use std::hint::black_box;

fn losses(criterion: &mut Criterion) {
    for (rows, classes) in [(32, 64), (32 * 1024, 10), (32 * 1024, 64)] {
        let logits = var((rows, classes), 3.0);
        let detached = logits.as_detached_tensor();
        let targets: Vec<u32> = (0..rows).map(|row| (row * row % classes) as u32).collect();
        let name = format!("[{rows}, {classes}]");
        bench(criterion, "cross_entropy", &name, rows * classes, || {
            black_box(cross_entropy(&detached, &targets).unwrap());
        });
        bench(criterion, "cross_entropy, trained", &name, rows * classes, || {
            black_box(cross_entropy(&logits, &targets).unwrap().backward().unwrap());
        });
    }
}

/// The backward passes alone start from a gradient that costs a copy: `(ys · g)` summed.
fn lookups(criterion: &mut Criterion) {
    for (batch, time, dim, vocabulary) in [(32, 4096, 128, 64), (32, 64, 32, 10)] {
        let table = var((vocabulary, dim), 1.0);
        let detached = table.as_detached_tensor();
        let ids: Vec<u32> = (0..batch * time).map(|at| (at * at % vocabulary) as u32).collect();
        let elements = batch * time * dim;
        let name = format!("batch {batch}, time {time}, width {dim}, {vocabulary} symbols");
        bench(criterion, "embedding", &name, elements, || {
            black_box(embedding(&detached, &ids, (batch, time)).unwrap());
        });
        bench(criterion, "embedding, trained", &name, elements, || {
            let found = embedding(&table, &ids, (batch, time)).unwrap();
            black_box(found.sum_all().unwrap().backward().unwrap());
        });
    }
    let ys = var((32, 1024, 128), 1.0);
    let last: Vec<(usize, usize)> = (0..32).map(|row| (row, 1023)).collect();
    bench(criterion, "gather_steps, trained", "the last of batch 32, time 1024, width 128", 32 * 128, || {
        let found = gather_steps(&ys, &last).unwrap();
        black_box(found.sum_all().unwrap().backward().unwrap());
    });
}

/// Parameters of a recurrent network of width 32 over ten symbols, and of a transformer of width 128.
fn models() -> [(&'static str, Vec<Vec<usize>>); 2] {
    let small = [vec![10, 32], vec![32, 32], vec![32, 32], vec![32], vec![32], vec![10, 32], vec![10]];
    let layer =
        [vec![128], vec![128], vec![384, 128], vec![384], vec![128, 128], vec![128], vec![128], vec![128]];
    let mlp = [vec![512, 128], vec![512], vec![128, 512], vec![128]];
    let ends = [vec![64, 128], vec![128], vec![128], vec![64, 128], vec![64]];
    let block = || layer.iter().chain(&mlp).cloned();
    [
        ("width 32, one layer", small.to_vec()),
        (
            "width 128, two layers of a transformer",
            block().chain(block()).chain(ends.iter().cloned()).collect(),
        ),
    ]
}

fn optimizers(criterion: &mut Criterion) {
    for (name, shapes) in models() {
        let parameters: Vec<Var> = shapes.iter().map(|shape| var(shape.as_slice(), 0.1)).collect();
        let gradients: Vec<Tensor> = shapes.iter().map(|shape| tensor(shape.as_slice(), 0.01)).collect();
        let given: Vec<Option<&Tensor>> = gradients.iter().map(Some).collect();
        let decays = vec![true; parameters.len()];
        let elements = parameters.iter().map(|parameter| parameter.elem_count()).sum();
        let mut adamw = Adamw::new(AdamwSettings::default(), &parameters, &decays).unwrap();
        let mut sgd =
            Sgd::new(SgdSettings { momentum: 0.9, weight_decay: 0.0 }, &parameters, &decays).unwrap();
        let optimizers: [(&str, &mut dyn Optimizer); 2] = [("adamw", &mut adamw), ("sgd", &mut sgd)];
        for (rule, optimizer) in optimizers {
            bench(criterion, rule, name, elements, || {
                let norms = optimizer.step(&parameters, &given, 1e-6, 1.0, Clip::Norm(1.0)).unwrap();
                assert!(norms.is_finite());
            });
        }
    }
}

criterion_group! { name = all; config = quick(); targets = losses, lookups, optimizers }
criterion_main!(all);
