//! What a cell will take, about. Orders cells and fills time left before anything has been timed; no result depends
//! on it, except that cells above `measure.max_seconds` are skipped by it.

use crate::spec::{Mode, ThroughputSpec, TrainSpec};

/// Floating-point operations a second of one thread on small matrices: a round number for any current processor.
const RATE: f64 = 2e10;
/// Operations outside products, a step and unit of width.
const APPARATUS: f64 = 200.0;

/// Operations of one token forward: two a parameter, and what the apparatus adds.
fn forward(parameters: f64, width: usize) -> f64 {
    2.0 * parameters + APPARATUS * width as f64
}

/// Seconds of a training run: forward, and backward at twice that.
pub(super) fn training(parameters: f64, width: usize, steps_of_sequence: usize, train: &TrainSpec) -> f64 {
    let tokens = steps_of_sequence as f64 * train.batch as f64 * train.steps as f64;
    3.0 * forward(parameters, width) * tokens / RATE
}

/// Seconds of gradient probes: samples × distances, in double precision.
pub(super) fn probes(
    parameters: f64,
    width: usize,
    steps_of_sequence: usize,
    samples: usize,
    stages: usize,
) -> f64 {
    let distances = 8.0 * (steps_of_sequence.max(10) as f64).log10();
    let tokens = steps_of_sequence as f64 * samples as f64 * stages as f64;
    6.0 * forward(parameters, width) * tokens * distances / RATE
}

/// Seconds of all rounds of a timing cell.
pub(super) fn timing(parameters: f64, width: usize, spec: &ThroughputSpec) -> f64 {
    let passes = f64::from(spec.rounds + spec.warmup + 1) * spec.batch as f64;
    let tokens: f64 = spec
        .modes
        .iter()
        .map(|mode| match mode {
            Mode::Train => 3.0 * spec.length as f64,
            Mode::Forward => spec.length as f64,
            Mode::Decode => 1.0,
        })
        .sum();
    // Decoding needs its context once.
    (passes * tokens + spec.length as f64) * forward(parameters, width) / RATE
}
