//! What all benches share: short measurements, values, and the share of this machine's peak.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)]

use candle_core::{Device, Shape, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput};
use seqbench_kernels::tape::Tape;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: seqbench_kernels::memory::KeepBig = seqbench_kernels::memory::KeepBig;

/// Short enough that all benches together take less than two minutes.
pub(crate) fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .without_plots()
        .configure_from_args()
}

/// Values in ±1, the same at every call.
pub(crate) fn values(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A tensor of [`values`] times `scale`.
pub(crate) fn tensor(shape: impl Into<Shape>, scale: f32) -> Tensor {
    let shape = shape.into();
    let values = values(shape.elem_count()).into_iter().map(|value| value * scale).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A tracked tensor of [`values`] times `scale`.
pub(crate) fn var(shape: impl Into<Shape>, scale: f32) -> Var {
    Var::from_tensor(&tensor(shape, scale)).unwrap()
}

/// Times `work`, which handles `elements` values a call.
pub(crate) fn bench(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    elements: usize,
    mut work: impl FnMut(),
) {
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(elements as u64));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| bencher.iter(&mut work));
    group.finish();
}

/// [`bench`], and how many of the multiply-adds the machine can do were done: `multiply_adds` a call.
pub(crate) fn bench_share(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    elements: usize,
    multiply_adds: usize,
    mut work: impl FnMut(),
) {
    bench(criterion, group, name, elements, &mut work);
    static PEAK: OnceLock<f64> = OnceLock::new();
    let threads = rayon::current_num_threads();
    let peak =
        *PEAK.get_or_init(|| seqbench_kernels::peak::multiply_add_peak(threads, Duration::from_millis(300)));
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed() < Duration::from_millis(100) {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let rate = 2e-9 * multiply_adds as f64 / best;
    let share = 100.0 * rate / peak;
    println!("{group}/{name}: {rate:.1} GFLOP/s, {share:.0} % of the peak of {threads} threads ({peak:.0})");
}

/// A step of training through one operation: forward, and backward from the sum of the outputs' squares, on the tape
/// as training is.
pub(crate) fn train(outputs: impl FnOnce() -> Tensor) {
    let tape = Tape::record().unwrap();
    let loss = outputs().sqr().unwrap().sum_all().unwrap();
    black_box(tape.backward(&loss).unwrap());
}
