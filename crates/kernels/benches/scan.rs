//! The diagonal scan: whole sequences with and without gradients, and one token of a decoder.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use candle_core::Tensor;
use common::{bench, quick, tensor, train, values, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::{ScanCell, ScanOutput, ScanParameters, diagonal_scan};
use std::hint::black_box;

const BATCH: usize = 32;

/// Poles within the unit circle.
fn parameters(dim: usize, n: usize) -> ScanParameters {
    let small = |scale| tensor((dim, n), scale);
    ScanParameters {
        lambda_re: small(0.6),
        lambda_im: small(0.6),
        b_re: small(0.5),
        b_im: small(0.5),
        c_re: small(0.5),
        c_im: small(0.5),
        d: tensor(dim, 1.0),
    }
}

fn scans(criterion: &mut Criterion) {
    for (time, dim, n) in [(1024, 128, 1), (256, 128, 4), (1024, 32, 1)] {
        let us = var((BATCH, time, dim), 1.0);
        let state: Tensor = tensor((BATCH, dim, n, 2), 0.0);
        let detached = us.as_detached_tensor();
        let parameters = parameters(dim, n);
        let name = format!("batch {BATCH}, time {time}, width {dim}, {n} states");
        let elements = BATCH * time * dim;
        bench(criterion, "scan", &name, elements, || {
            black_box(diagonal_scan(&detached, &parameters, &state, None).unwrap());
        });
        bench(criterion, "scan, trained", &name, elements, || {
            train(|| diagonal_scan(&us, &parameters, &state, None).unwrap().0);
        });
    }
    let mut cell =
        ScanCell::<f32>::new(&parameters(128, 1), ScanOutput::Linear, &tensor((1, 128, 1, 2), 0.0)).unwrap();
    let (us, mut ys) = (values(128), vec![0.0; 128]);
    bench(criterion, "scan, decoded", "batch 1, width 128, 1 state", 128, || {
        cell.step(black_box(&us), &mut ys).unwrap();
    });
}

criterion_group! { name = all; config = quick(); targets = scans }
criterion_main!(all);
