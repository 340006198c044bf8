//! How memory grows with length, how well it was predicted, and what length fits in how much.

use super::{FEWEST_LENGTHS, Growth, Setting, ThroughputRow, scaling::growth};
use crate::statistics::{Line, least_squares};
use serde::Serialize;

/// Memory that lengths are asked to fit in, in bytes: 1, 4 and 16 GiB.
pub const BUDGETS: [u64; 3] = [1 << 30, 4 << 30, 16 << 30];

/// The longest length that fits in a budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LongestLength {
    /// The budget, in bytes.
    pub budget_bytes: u64,
    /// The length; infinite where memory does not grow, none where no step fits.
    pub length: Option<f64>,
    /// Whether it is outside the lengths measured.
    pub extrapolated: bool,
}

/// Memory of one mode against length. In training and forward passes what was measured above the baseline; in decoding the
/// state of the model, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryGrowth {
    /// The setting, without the coordinates that rows carry and without group.
    pub setting: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Longest length measured.
    pub to_length: u64,
    /// Bytes a step and sequence, by least squares; none below [`FEWEST_LENGTHS`] lengths.
    pub step_bytes: Option<f64>,
    /// Bytes of the same line at length 0, of the whole batch.
    pub fixed_bytes: Option<f64>,
    /// The power it follows.
    pub growth: Option<Growth>,
    /// Whether the power is twice as near as the line, root mean square, to the points that the power was fitted to.
    pub is_power: bool,
    /// Predicted over measured memory at the longest length that has both.
    pub predicted_over_measured: Option<f64>,
    /// That length.
    pub predicted_length: Option<u64>,
    /// What fits in each of [`BUDGETS`], resident memory before the pass included; empty without a fit.
    pub longest: Vec<LongestLength>,
}

/// A row for every curve of which memory or state can be fitted, or compared with what was predicted.
pub(crate) fn memory(rows: &[ThroughputRow]) -> Vec<MemoryGrowth> {
    rows.chunk_by(ThroughputRow::is_on_curve_of).filter_map(of_curve).collect()
}

fn of_curve(rows: &[ThroughputRow]) -> Option<MemoryGrowth> {
    let first = rows.first()?;
    let decoding = first.mode == "decode";
    let batch = first.batch as f64;
    let bytes = |row: &ThroughputRow| match decoding {
        true => row.state_bytes.map(|bytes| bytes * batch),
        false => row.above_bytes(),
    };
    let points: Vec<(u64, f64)> = rows.iter().filter_map(|row| Some((row.length, bytes(row)?))).collect();
    let to_length = points.last()?.0;
    let plain: Vec<(f64, f64)> = points.iter().map(|(length, bytes)| (*length as f64, *bytes)).collect();
    let line = least_squares(&plain).filter(|_| points.len() >= FEWEST_LENGTHS);
    let power = growth(&points);
    let both = |row: &&ThroughputRow| row.predicted_bytes.is_some() && row.above_bytes().is_some();
    let compared = rows.iter().rev().filter(|_| !decoding).find(both);
    if line.is_none() && compared.is_none() {
        return None;
    }
    // The process stays beside what a pass takes; a state is counted by itself.
    let beside = match decoding {
        true => 0.0,
        false => rows.iter().filter_map(|row| row.baseline_bytes).max().unwrap_or(0) as f64,
    };
    let is_power = line.zip(power.as_ref()).is_some_and(|(line, power)| is_power(line, power, &plain));
    let longest = |budget: u64| {
        let power = power.as_ref().filter(|_| is_power);
        let length = longest(budget as f64 - beside, line?, power, &plain).filter(|own| *own >= 1.0);
        let measured = (points[0].0 as f64)..=(to_length as f64);
        let extrapolated = length.is_some_and(|length| length.is_finite() && !measured.contains(&length));
        Some(LongestLength { budget_bytes: budget, length, extrapolated })
    };
    Some(MemoryGrowth {
        setting: first.setting.clone(),
        mode: first.mode.clone(),
        batch: first.batch,
        threads: first.threads,
        to_length,
        step_bytes: line.map(|line| line.slope / batch),
        fixed_bytes: line.map(|line| line.intercept),
        growth: power,
        is_power,
        predicted_over_measured: compared.and_then(|row| Some(row.predicted_bytes? / row.above_bytes()?)),
        predicted_length: compared.map(|row| row.length),
        longest: BUDGETS.into_iter().filter_map(longest).collect(),
    })
}

fn is_power(line: Line, power: &Growth, points: &[(f64, f64)]) -> bool {
    let squares = |at: &dyn Fn(f64) -> f64| -> f64 {
        let fitted = points.iter().filter(|(length, _)| *length >= power.from_length as f64);
        // The logarithm of what a line predicts below 0 is no number, and no number is nearest.
        let far = |distance: f64| if distance.is_nan() { f64::INFINITY } else { distance };
        fitted.map(|(length, bytes)| far((at(*length) / bytes).ln().powi(2))).sum()
    };
    4.0 * squares(&|length| power.at(length)) < squares(&|length| line.intercept + line.slope * length)
}

/// The length at which a curve reaches so many bytes, by its line or its power; infinite where it does not grow.
fn longest(bytes: f64, line: Line, power: Option<&Growth>, points: &[(f64, f64)]) -> Option<f64> {
    // What changes by less than a thousandth over all lengths does not grow: allocators round.
    let (first, last) = (points.first()?, points.last()?);
    if line.slope * (last.0 - first.0) <= 1e-3 * last.1 {
        return (last.1 <= bytes).then_some(f64::INFINITY);
    }
    let length = match power {
        // Beyond what was measured a bend goes on as it last did.
        Some(power) if bytes > last.1 => last.0 * (bytes / last.1).powf(1.0 / power.onward()),
        Some(power) => 10f64.powf((bytes.log10() - power.log10_factor) / power.exponent),
        None => (bytes - line.intercept) / line.slope,
    };
    length.is_finite().then(|| length.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(mode: &str, batch: u64, bytes: impl Fn(u64) -> u64) -> Vec<ThroughputRow> {
        let row = |length: u64| ThroughputRow {
            mode: mode.into(),
            length,
            batch,
            threads: 1,
            peak_bytes: Some(5_000_000 + bytes(length)),
            baseline_bytes: Some(5_000_000),
            predicted_bytes: Some(0.5 * bytes(length) as f64),
            state_bytes: Some(bytes(length) as f64),
            ..ThroughputRow::default()
        };
        [128, 256, 512, 1024].map(row).into()
    }

    #[test]
    fn a_line_is_taken_apart_and_inverted() {
        let found = memory(&rows("train", 4, |length| 1_000_000 + 40_000 * length)).remove(0);
        assert!((found.step_bytes.unwrap() - 10_000.0).abs() < 1e-6, "{found:?}");
        assert!((found.fixed_bytes.unwrap() - 1e6).abs() < 1e-3);
        assert_eq!((found.predicted_over_measured, found.predicted_length), (Some(0.5), Some(1024)));
        // The process's own 5 MB, then 1 MB of its fixed part, then 40 kB a step.
        let expected = ((f64::from(1u32 << 30) - 6e6) / 40_000.0).floor();
        assert!((found.longest[0].length.unwrap() - expected).abs() <= 1.0, "{found:?}");
        assert!(found.longest.iter().all(|own| own.extrapolated) && found.longest.len() == 3);
    }

    #[test]
    fn a_square_is_inverted_by_its_power_and_within_what_was_measured_it_is_no_guess() {
        let found = memory(&rows("train", 1, |length| 4_000 * length * length)).remove(0);
        let expected = ((f64::from(1u32 << 30) - 5e6) / 4_000.0).sqrt().floor();
        assert!((found.longest[0].length.unwrap() - expected).abs() <= 1.0, "{found:?}");
        assert!(!found.longest[0].extrapolated && found.longest[1].extrapolated);
    }

    #[test]
    fn a_state_counts_every_sequence_and_one_that_does_not_grow_fits_at_any_length() {
        let cache = memory(&rows("decode", 8, |length| 1024 * length)).remove(0);
        assert!((cache.step_bytes.unwrap() - 1024.0).abs() < 1e-6, "a sequence's own: {cache:?}");
        assert_eq!(cache.longest[0].length, Some(131_072.0));
        assert_eq!(cache.predicted_over_measured, None);
        let fixed = memory(&rows("decode", 8, |_| 512)).remove(0);
        assert_eq!(fixed.longest[0].length, Some(f64::INFINITY));
        assert!(!fixed.longest[0].extrapolated);
        let huge = memory(&rows("decode", 8, |_| 1 << 40)).remove(0);
        assert_eq!(huge.longest[2].length, None);
    }
}
