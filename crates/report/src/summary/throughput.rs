//! Time and memory of a mode at a length, and how time grows with length.

use super::{Setting, setting::last_word};
use crate::statistics::{Interval, LEVEL, least_squares, median, quantile, slope_error, student_quantile};
use seqbench_record::{CellFiles, TimingRow};
use serde::Serialize;
use std::collections::BTreeMap;

/// Time and memory of one mode at one length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThroughputRow {
    /// The setting, without a coordinate named `length` and without group.
    pub setting: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequence length; the context for `decode`.
    pub length: u64,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Rounds that count.
    pub rounds: usize,
    /// Rounds that do not: their outputs differ from the untimed run's.
    pub errors: usize,
    /// Why they do not, each reason once.
    pub reasons: Vec<String>,
    /// Wall-clock of every round that counts, rising, in nanoseconds.
    pub ns: Vec<u64>,
    /// Median of [`ThroughputRow::ns`]; none where no round counts.
    pub median_ns: Option<f64>,
    /// 10 % quantile, in nanoseconds.
    pub q10_ns: Option<f64>,
    /// 90 % quantile, in nanoseconds.
    pub q90_ns: Option<f64>,
    /// Tokens in one pass: batch · length, or batch for `decode`.
    pub tokens: u64,
    /// Tokens per second at the median.
    pub tokens_per_second: Option<f64>,
    /// Highest resident memory, in bytes.
    pub peak_bytes: Option<u64>,
    /// Resident memory before it, in bytes.
    pub baseline_bytes: Option<u64>,
    /// Bytes a model carries from one token to the next, from the facts of the cell.
    pub state_bytes: Option<f64>,
}

/// Fewest lengths a growth is fitted to: two always fit.
pub const FEWEST_LENGTHS: usize = 3;

/// Lengths from which on the fit leaves the lower half out, where a constant start-up cost weighs most.
pub const ENOUGH_TO_HALVE: usize = 6;

/// Growth of the median time with length: time ∝ length^exponent, by least squares on log–log, over all lengths
/// or, from [`ENOUGH_TO_HALVE`] on, over their upper half.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// The setting, without a coordinate named `length` and without group.
    pub setting: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Smallest length fitted.
    pub from_length: u64,
    /// Largest length fitted.
    pub to_length: u64,
    /// Lengths fitted.
    pub points: usize,
    /// The exponent: 1 is linear, 2 quadratic.
    pub exponent: f64,
    /// Its standard error, from the scatter about the line; none below four lengths.
    pub exponent_error: Option<f64>,
    /// Its [`LEVEL`] t interval, of two degrees of freedom less than lengths; none where there is no error.
    pub exponent_interval: Option<Interval>,
}

struct Rounds<'a> {
    setting: Setting,
    mode: &'a str,
    batch: u64,
    threads: u32,
    length: u64,
    rows: Vec<&'a TimingRow>,
    cells: Vec<&'a CellFiles>,
}

/// Every row: by setting in the order of the cells, then mode, batch, threads and length.
pub(crate) fn rows(cells: &[&CellFiles]) -> Vec<ThroughputRow> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut found: BTreeMap<(usize, (usize, &str), u64, u32, u64), Rounds<'_>> = BTreeMap::new();
    for files in cells {
        let setting = without_length(Setting::of(files));
        let place = settings.iter().position(|known| *known == setting).unwrap_or_else(|| {
            settings.push(setting.clone());
            settings.len() - 1
        });
        for row in &files.timings {
            let key = (place, mode_order(&row.mode), row.batch, row.threads, row.length);
            let rounds = found.entry(key).or_insert_with(|| Rounds {
                setting: setting.clone(),
                mode: &row.mode,
                batch: row.batch,
                threads: row.threads,
                length: row.length,
                rows: Vec::new(),
                cells: Vec::new(),
            });
            rounds.rows.push(row);
            if !rounds.cells.iter().any(|known| known.cell.id == files.cell.id) {
                rounds.cells.push(files);
            }
        }
    }
    found.into_values().map(row).collect()
}

/// The growth of every setting, mode, batch and thread count with [`FEWEST_LENGTHS`] or more to fit.
pub(crate) fn scalings(rows: &[ThroughputRow]) -> Vec<Scaling> {
    let same = |a: &ThroughputRow, b: &ThroughputRow| {
        a.setting == b.setting && a.mode == b.mode && a.batch == b.batch && a.threads == b.threads
    };
    rows.chunk_by(same).filter_map(scaling).collect()
}

fn scaling(rows: &[ThroughputRow]) -> Option<Scaling> {
    let timed: Vec<_> = rows.iter().filter_map(|row| Some((row.length, row.median_ns?))).collect();
    // The upper half includes the middle one.
    let upper = if timed.len() < ENOUGH_TO_HALVE { &timed[..] } else { &timed[timed.len() / 2..] };
    let points: Vec<_> = upper.iter().map(|(length, ns)| ((*length as f64).ln(), ns.ln())).collect();
    let line = least_squares(&points).filter(|_| points.len() >= FEWEST_LENGTHS)?;
    let first = rows.first()?;
    let exponent_error = slope_error(&points).filter(|_| points.len() > FEWEST_LENGTHS);
    let exponent_interval = exponent_error.and_then(|error| {
        let half = student_quantile(0.5 + LEVEL / 2.0, points.len() as f64 - 2.0)? * error;
        Some(Interval { low: line.slope - half, high: line.slope + half })
    });
    Some(Scaling {
        setting: first.setting.clone(),
        mode: first.mode.clone(),
        batch: first.batch,
        threads: first.threads,
        from_length: upper.first()?.0,
        to_length: upper.last()?.0,
        points: upper.len(),
        exponent: line.slope,
        exponent_error,
        exponent_interval,
    })
}

/// The order of the modes a person thinks in, then any other by name.
fn mode_order(mode: &str) -> (usize, &str) {
    (["train", "forward", "decode"].iter().position(|known| *known == mode).unwrap_or(3), mode)
}

fn row(rounds: Rounds<'_>) -> ThroughputRow {
    let mut ns: Vec<u64> = rounds.rows.iter().filter(|row| row.err.is_empty()).map(|row| row.ns).collect();
    ns.sort_unstable();
    let times: Vec<f64> = ns.iter().map(|ns| *ns as f64).collect();
    let mut reasons: Vec<_> =
        rounds.rows.iter().filter(|row| !row.err.is_empty()).map(|row| row.err.clone()).collect();
    let errors = reasons.len();
    reasons.sort();
    reasons.dedup();
    let tokens = if rounds.mode == "decode" { rounds.batch } else { rounds.batch * rounds.length };
    let median_ns = median(&times);
    let memory = rounds.cells.iter().flat_map(|files| &files.memory).filter(|row| {
        (row.mode.as_str(), row.length, row.batch) == (rounds.mode, rounds.length, rounds.batch)
    });
    let peak = memory.max_by_key(|row| row.peak_bytes);
    ThroughputRow {
        rounds: ns.len(),
        errors,
        reasons,
        median_ns,
        q10_ns: quantile(&times, 0.1),
        q90_ns: quantile(&times, 0.9),
        tokens,
        tokens_per_second: median_ns.filter(|ns| *ns > 0.0).map(|ns| tokens as f64 * 1e9 / ns),
        peak_bytes: peak.map(|row| row.peak_bytes),
        baseline_bytes: peak.map(|row| row.baseline_bytes),
        state_bytes: rounds
            .cells
            .iter()
            .filter_map(|files| files.cell.facts.get("state_bytes").copied())
            .max_by(f64::total_cmp),
        setting: rounds.setting,
        mode: rounds.mode.into(),
        length: rounds.length,
        batch: rounds.batch,
        threads: rounds.threads,
        ns,
    }
}

/// Lengths stand in the rows themselves, whether one cell measured them all or each its own.
fn without_length(setting: Setting) -> Setting {
    let mut coordinates = setting.coordinates;
    coordinates.retain(|coordinate| !matches!(last_word(&coordinate.key), "length" | "lengths"));
    Setting { coordinates, group: String::new(), ..setting }
}
