//! The affine map: forward, with gradients, and one token of a decoder.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{bench_share, quick, tensor, train, values, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::{LinearCell, linear};
use std::hint::black_box;

fn linears(criterion: &mut Criterion) {
    for (rows, inputs, outputs) in [(2048, 128, 512), (2048, 32, 96), (32, 128, 512)] {
        let (xs, weight, bias) = (var((rows, inputs), 1.0), var((outputs, inputs), 0.1), var(outputs, 0.1));
        let name = format!("[{rows}, {inputs}] to {outputs}");
        let (elements, multiply_adds) = (rows * outputs, rows * inputs * outputs);
        let detached = [&xs, &weight, &bias].map(|var| var.as_detached_tensor());
        bench_share(criterion, "linear", &name, elements, multiply_adds, || {
            black_box(linear(&detached[0], &detached[1], Some(&detached[2])).unwrap());
        });
        bench_share(criterion, "linear, trained", &name, elements, 3 * multiply_adds, || {
            train(|| linear(&xs, &weight, Some(&bias)).unwrap());
        });
    }
    for batch in [1, 32] {
        let cell = LinearCell::<f32>::new(&tensor((512, 128), 0.1), Some(&tensor(512, 0.1))).unwrap();
        let (xs, mut ys) = (values(batch * 128), vec![0.0; batch * 512]);
        let name = format!("[{batch}, 128] to 512");
        bench_share(criterion, "linear, decoded", &name, ys.len(), batch * 128 * 512, || {
            cell.step(black_box(&xs), &mut ys);
        });
    }
}

criterion_group! { name = all; config = quick(); targets = linears }
criterion_main!(all);
