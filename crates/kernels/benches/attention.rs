//! Causal attention: whole sequences with and without gradients. Shares count the half of the products that causality
//! leaves.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{bench_share, quick, train, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::{AttentionOptions, attention};
use std::hint::black_box;

fn attentions(criterion: &mut Criterion) {
    for (batch, time, heads, head_dim) in [(32, 256, 4, 32), (4, 1024, 4, 32), (32, 64, 1, 32)] {
        let [q, k, v] = [1.0, 0.9, 1.1].map(|scale| var((batch, time, heads, head_dim), scale));
        let options = AttentionOptions::default();
        let name = format!("batch {batch}, time {time}, {heads} heads of {head_dim}");
        let elements = batch * time * heads * head_dim;
        // Scores and weighted sums, each over the keys up to the query's.
        let multiply_adds = 2 * batch * heads * head_dim * time * (time + 1) / 2;
        let detached = [&q, &k, &v].map(|var| var.as_detached_tensor());
        bench_share(criterion, "attention", &name, elements, multiply_adds, || {
            black_box(attention(&detached[0], &detached[1], &detached[2], &options).unwrap());
        });
        bench_share(criterion, "attention, trained", &name, elements, 3 * multiply_adds, || {
            train(|| attention(&q, &k, &v, &options).unwrap());
        });
    }
}

criterion_group! { name = all; config = quick(); targets = attentions }
criterion_main!(all);
