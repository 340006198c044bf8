//! The recurrent networks: whole sequences with and without gradients, and one token of a decoder.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{bench_share, quick, tensor, train, values, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::{Activation, LstmCell, lstm, rnn};
use std::hint::black_box;

const BATCH: usize = 32;

fn lstms(criterion: &mut Criterion) {
    for (time, width) in [(256, 128), (256, 32)] {
        let weight = || var((4 * width, width), 0.1);
        let (xs, w_ih, w_hh) = (var((BATCH, time, width), 1.0), weight(), weight());
        let (b_ih, b_hh) = (var(4 * width, 0.1), var(4 * width, 0.1));
        let start = tensor((BATCH, width), 0.0);
        let name = format!("batch {BATCH}, time {time}, width {width}");
        let (elements, multiply_adds) = (BATCH * time * width, BATCH * time * width * 8 * width);
        let [x, wi, wh, bi, bh] = [&xs, &w_ih, &w_hh, &b_ih, &b_hh].map(|var| var.as_detached_tensor());
        bench_share(criterion, "lstm", &name, elements, multiply_adds, || {
            black_box(lstm(&x, &wi, &wh, &bi, &bh, &start, &start, None).unwrap());
        });
        bench_share(criterion, "lstm, trained", &name, elements, 3 * multiply_adds, || {
            train(|| lstm(&xs, &w_ih, &w_hh, &b_ih, &b_hh, &start, &start, None).unwrap().0);
        });
    }
    let width = 128;
    let weight = || tensor((4 * width, width), 0.1);
    let bias = || tensor(4 * width, 0.1);
    let mut cell = LstmCell::<f32>::new(&weight(), &weight(), &bias(), &bias(), 1).unwrap();
    let (x, mut h, mut c) = (values(width), vec![0.0; width], vec![0.0; width]);
    bench_share(criterion, "lstm, decoded", "batch 1, width 128", width, 8 * width * width, || {
        cell.step(black_box(&x), &mut h, &mut c);
    });
}

fn rnns(criterion: &mut Criterion) {
    for (time, width) in [(256, 128), (256, 32)] {
        let weight = || var((width, width), 0.1);
        let (xs, w_ih, w_hh) = (var((BATCH, time, width), 1.0), weight(), weight());
        let (b_ih, b_hh) = (var(width, 0.1), var(width, 0.1));
        let start = tensor((BATCH, width), 0.0);
        let name = format!("batch {BATCH}, time {time}, width {width}");
        let (elements, multiply_adds) = (BATCH * time * width, BATCH * time * width * 2 * width);
        let [x, wi, wh, bi, bh] = [&xs, &w_ih, &w_hh, &b_ih, &b_hh].map(|var| var.as_detached_tensor());
        bench_share(criterion, "rnn", &name, elements, multiply_adds, || {
            black_box(rnn(&x, &wi, &wh, &bi, &bh, &start, None, Activation::Tanh).unwrap());
        });
        bench_share(criterion, "rnn, trained", &name, elements, 3 * multiply_adds, || {
            train(|| rnn(&xs, &w_ih, &w_hh, &b_ih, &b_hh, &start, None, Activation::Tanh).unwrap().0);
        });
    }
}

criterion_group! { name = all; config = quick(); targets = lstms, rnns }
criterion_main!(all);
