//! The operations of a residual block that are several in one: norm and map, map and residual, and the position-wise
//! network.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use candle_core::Tensor;
use common::{bench_share, quick, train, var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqbench_kernels::{Norm, feed_forward, linear_onto, normed_linear};
use std::hint::black_box;

fn blocks(criterion: &mut Criterion) {
    for (rows, dim) in [(2048, 128), (2048, 32), (32, 128)] {
        let hidden = 4 * dim;
        let xs = var((rows, dim), 1.0);
        let [gain, shift, b_down] = [(); 3].map(|()| var(dim, 0.1));
        let (up, b_up, down) = (var((hidden, dim), 0.1), var(hidden, 0.1), var((dim, hidden), 0.1));
        let inner = var((rows, hidden), 1.0);
        let norm = Norm { weight: gain.as_tensor(), bias: Some(shift.as_tensor()), eps: 1e-5 };
        let name = format!("[{rows}, {dim}]");
        let (elements, one) = (rows * dim, rows * dim * hidden);
        let run = |tracked: bool, work: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
            if tracked {
                train(|| work(xs.as_tensor(), inner.as_tensor()));
            } else {
                // Without a tape tracked operands would build a graph of the parts.
                let still = [xs.as_detached_tensor(), inner.as_detached_tensor()];
                black_box(work(&still[0], &still[1]));
            }
        };
        let detached = [&up, &b_up, &down, &b_down].map(|var| var.as_detached_tensor());
        let still = [gain.as_detached_tensor(), shift.as_detached_tensor()];
        let quiet = Norm { weight: &still[0], bias: Some(&still[1]), eps: 1e-5 };
        for (tracked, passes) in [(false, 1), (true, 3)] {
            let [up, b_up, down, b_down] = if tracked {
                [up.as_tensor(), b_up.as_tensor(), down.as_tensor(), b_down.as_tensor()]
            } else {
                detached.each_ref()
            };
            let norm = if tracked { &norm } else { &quiet };
            let named = |what: &str| format!("{what}{}", if tracked { ", trained" } else { "" });
            bench_share(criterion, &named("normed linear"), &name, elements, passes * one, || {
                run(tracked, &|xs, _| normed_linear(xs, norm, up, Some(b_up)).unwrap());
            });
            bench_share(criterion, &named("linear onto"), &name, elements, passes * one, || {
                run(tracked, &|xs, inner| linear_onto(inner, down, Some(b_down), xs).unwrap());
            });
            bench_share(criterion, &named("feed forward"), &name, elements, 2 * passes * one, || {
                run(tracked, &|xs, _| feed_forward(xs, norm, (up, b_up), (down, b_down)).unwrap());
            });
        }
    }
}

criterion_group! { name = all; config = quick(); targets = blocks }
criterion_main!(all);
