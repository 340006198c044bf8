//! Norms and activations: as fast as memory allows, or as their functions do.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{bench, quick, train, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::{gelu, layer_norm, rms_norm, silu};
use std::hint::black_box;

fn norms(criterion: &mut Criterion) {
    for (rows, dim) in [(8192, 128), (8192, 32)] {
        let (xs, weight, bias) = (var((rows, dim), 1.0), var(dim, 1.0), var(dim, 0.1));
        let name = format!("[{rows}, {dim}]");
        let [x, w, b] = [&xs, &weight, &bias].map(|var| var.as_detached_tensor());
        bench(criterion, "layer_norm", &name, rows * dim, || {
            black_box(layer_norm(&x, &w, &b, 1e-5).unwrap());
        });
        bench(criterion, "layer_norm, trained", &name, rows * dim, || {
            train(|| layer_norm(&xs, &weight, &bias, 1e-5).unwrap());
        });
        bench(criterion, "rms_norm", &name, rows * dim, || {
            black_box(rms_norm(&x, &w, 1e-5).unwrap());
        });
    }
}

fn activations(criterion: &mut Criterion) {
    let xs = var((8192, 128), 2.0);
    let x = xs.as_detached_tensor();
    bench(criterion, "gelu", "1M", x.elem_count(), || {
        black_box(gelu(&x).unwrap());
    });
    bench(criterion, "gelu, trained", "1M", x.elem_count(), || train(|| gelu(&xs).unwrap()));
    bench(criterion, "silu", "1M", x.elem_count(), || {
        black_box(silu(&x).unwrap());
    });
}

criterion_group! { name = all; config = quick(); targets = norms, activations }
criterion_main!(all);
