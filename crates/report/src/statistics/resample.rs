//! The interquartile mean across tasks: its interval by resampling runs within tasks, and whether two sides differ in it.
//!
//! Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", section 4: the mean of the
//! middle half of all runs of all tasks, on scores that are alike in scale. Percentile intervals of few runs are too short
//! (METHODOLOGY.md has the coverage); the test is not, as it permutes runs within tasks.
//!
//! Draws are [`Draws`] of a stated seed, and nothing but sums and comparisons follows: the same scores give the same bytes on
//! every machine.

use super::tested::{Alternative, TIE, Tested};
use super::{Draws, Interval, interquartile_mean, interval::within, quantile};

/// How often runs are drawn anew.
pub const RESAMPLES: usize = 20_000;

/// Percentile interval of the interquartile mean of all scores (Efron 1979), runs drawn anew within each of the `tasks`. Tasks
/// without runs count for nothing. None without scores, where one is not finite, or for a level not within (0, 1).
pub fn stratified_interval(tasks: &[Vec<f64>], level: f64, resamples: usize, seed: u64) -> Option<Interval> {
    let mut draws = Draws::new(seed);
    percentiles(&[tasks], level, resamples, || interquartile_mean(&resampled(tasks, &mut draws)))
}

/// The same of the interquartile mean of `a` minus that of `b`, either drawn anew.
pub fn stratified_difference(
    a: &[Vec<f64>],
    b: &[Vec<f64>],
    level: f64,
    resamples: usize,
    seed: u64,
) -> Option<Interval> {
    let mut draws = Draws::new(seed);
    percentiles(&[a, b], level, resamples, || {
        let (a, b) = (resampled(a, &mut draws), resampled(b, &mut draws));
        Some(interquartile_mean(&a)? - interquartile_mean(&b)?)
    })
}

/// Tests that the interquartile mean of `a` exceeds that of `b`, by dealing the runs of each task out anew to both sides
/// `resamples` times: (k + 1)/(n + 1) (Phipson & Smyth 2010). None where the tasks are not as many, either side has no scores,
/// or one is not finite.
pub fn stratified_permutation(
    a: &[Vec<f64>],
    b: &[Vec<f64>],
    alternative: Alternative,
    resamples: usize,
    seed: u64,
) -> Option<Tested> {
    if a.len() != b.len() || !is_sound(a) || !is_sound(b) {
        return None;
    }
    let seen = interquartile_mean(&a.concat())? - interquartile_mean(&b.concat())?;
    let tie = TIE * a.iter().chain(b).flatten().fold(0.0f64, |most, value| most.max(value.abs()));
    let mut draws = Draws::new(seed);
    let mut pools: Vec<(Vec<f64>, usize)> =
        a.iter().zip(b).map(|(a, b)| ([a.as_slice(), b].concat(), a.len())).collect();
    let (mut greater, mut less) = (1.0, 1.0);
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..resamples {
        own.clear();
        other.clear();
        for (pool, size) in &mut pools {
            draws.choose(pool, *size);
            own.extend_from_slice(&pool[..*size]);
            other.extend_from_slice(&pool[*size..]);
        }
        let difference = interquartile_mean(&own)? - interquartile_mean(&other)?;
        greater += f64::from(u8::from(difference >= seen - tie));
        less += f64::from(u8::from(difference <= seen + tie));
    }
    let arrangements = resamples as u64 + 1;
    let p = alternative.p(greater / arrangements as f64, less / arrangements as f64);
    Some(Tested { p, arrangements, exact: false })
}

fn is_sound(tasks: &[Vec<f64>]) -> bool {
    tasks.iter().any(|task| !task.is_empty()) && tasks.iter().flatten().all(|value| value.is_finite())
}

/// Every task's runs, drawn with replacement.
fn resampled(tasks: &[Vec<f64>], draws: &mut Draws) -> Vec<f64> {
    let of = |task: &Vec<f64>| (0..task.len()).map(|_| task[draws.below(task.len())]).collect::<Vec<_>>();
    tasks.iter().flat_map(of).collect()
}

fn percentiles(
    sides: &[&[Vec<f64>]],
    level: f64,
    resamples: usize,
    value: impl FnMut() -> Option<f64>,
) -> Option<Interval> {
    if !within(level) || !sides.iter().all(|tasks| is_sound(tasks)) {
        return None;
    }
    let values: Option<Vec<f64>> = std::iter::repeat_with(value).take(resamples).collect();
    let values = values?;
    let tail = (1.0 - level) / 2.0;
    Some(Interval { low: quantile(&values, tail)?, high: quantile(&values, 1.0 - tail)? })
}
