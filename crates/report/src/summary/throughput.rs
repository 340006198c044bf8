//! Time, memory and work of a mode at a length, beside what the machine can do and what disturbed it.

use super::{Setting, setting::last_word};
use crate::statistics::{median, quantile};
use seqbench_record::{CellFiles, TimingRow};
use serde::Serialize;
use std::collections::BTreeMap;

/// Fewest rounds that count from which a median is drawn or fitted through: of fewer, one disturbed round moves it.
pub const FEWEST_ROUNDS: usize = 5;

/// What the machine did while a row was measured, where the conditions say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Disturbance {
    /// Whether even the best attempt was disturbed.
    pub noisy: bool,
    /// Cores that others kept busy.
    pub foreign_cores: Option<f64>,
    /// Median time of one fixed piece of arithmetic before each round over its least.
    pub slowdown: Option<f64>,
    /// Interquartile range of the rounds over their median.
    pub spread: Option<f64>,
    /// How often the rounds were taken.
    pub attempts: Option<f64>,
}

/// The rounds that one visit took: they share what the machine was like, which rounds of other visits do not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Visit {
    /// Median of the rounds, in nanoseconds.
    pub median_ns: f64,
    /// Median of what they took in units of the fixed piece of arithmetic before each; none where a round does not say.
    pub median_paced: Option<f64>,
}

/// Time and memory of one mode at one length.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ThroughputRow {
    /// The setting, without the coordinates that the row itself carries and without group.
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
    /// The visits those rounds were taken in; none of older results.
    pub visits: Vec<Visit>,
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
    /// Bytes a model carries from one token to the next, of one sequence, from the facts of the cell.
    pub state_bytes: Option<f64>,
    /// Trainable numbers of the model.
    pub parameters: Option<f64>,
    /// Floating-point operations of one pass over the batch.
    pub operations: Option<f64>,
    /// Least bytes that one pass must move.
    pub traffic_bytes: Option<f64>,
    /// Predicted memory above that of the bare process, in bytes.
    pub predicted_bytes: Option<f64>,
    /// Measured multiply-add peak of as many threads, in 10⁹ operations a second.
    pub peak_gflops: Option<f64>,
    /// Measured bandwidth of as many threads, in 10⁹ bytes a second.
    pub bandwidth_gb: Option<f64>,
    /// Operations over the median, in 10⁹ a second.
    pub gflops: Option<f64>,
    /// [`ThroughputRow::gflops`] over the peak.
    pub share_of_peak: Option<f64>,
    /// [`ThroughputRow::gflops`] over the lesser of the peak and intensity times bandwidth (Williams, Waterman & Patterson
    /// 2009).
    pub share_of_roof: Option<f64>,
    /// What the machine did meanwhile.
    pub disturbance: Disturbance,
}

impl ThroughputRow {
    /// The median, where enough rounds count for it to be drawn or fitted through.
    pub fn sound_ns(&self) -> Option<f64> {
        self.median_ns.filter(|_| self.rounds >= FEWEST_ROUNDS)
    }

    /// Highest resident memory above that just before, in bytes; none where it did not rise.
    pub fn above_bytes(&self) -> Option<f64> {
        let above = self.peak_bytes?.checked_sub(self.baseline_bytes?)?;
        (above > 0).then_some(above as f64)
    }

    /// Operations a byte moved.
    pub fn intensity(&self) -> Option<f64> {
        ratio(self.operations, self.traffic_bytes)
    }

    /// What no pass of this intensity can exceed on the machine: in 10⁹ operations a second.
    pub fn roof_gflops(&self) -> Option<f64> {
        Some(self.peak_gflops?.min(self.intensity()? * self.bandwidth_gb?))
    }

    /// Whether two rows are points of one curve over length.
    pub fn is_on_curve_of(&self, other: &Self) -> bool {
        self.setting == other.setting && self.is_measured_as(other)
    }

    /// Whether two rows are of one mode, batch and number of threads.
    pub(crate) fn is_measured_as(&self, other: &Self) -> bool {
        (&self.mode, self.batch, self.threads) == (&other.mode, other.batch, other.threads)
    }
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
        let setting = without_own(Setting::of(files));
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
    let largest = |values: &mut dyn Iterator<Item = f64>| values.max_by(f64::total_cmp);
    let fact = |name: &str| {
        largest(&mut rounds.cells.iter().filter_map(|files| files.cell.facts.get(name).copied()))
    };
    let condition = |name: &str| {
        let rows = rounds.cells.iter().flat_map(|files| &files.conditions);
        largest(&mut rows.filter(|row| row.name == name).map(|row| row.value))
    };
    let mut row = ThroughputRow {
        rounds: ns.len(),
        visits: visits(&rounds.rows),
        errors,
        reasons,
        median_ns,
        q10_ns: quantile(&times, 0.1),
        q90_ns: quantile(&times, 0.9),
        tokens,
        tokens_per_second: median_ns.filter(|ns| *ns > 0.0).map(|ns| tokens as f64 * 1e9 / ns),
        peak_bytes: peak.map(|row| row.peak_bytes),
        baseline_bytes: peak.map(|row| row.baseline_bytes),
        state_bytes: fact("state_bytes"),
        parameters: fact("parameters"),
        operations: fact("operations"),
        traffic_bytes: fact("traffic_bytes"),
        predicted_bytes: fact("memory_bytes"),
        peak_gflops: condition("peak_gflops"),
        bandwidth_gb: condition("bandwidth_gb"),
        disturbance: Disturbance {
            noisy: condition("noisy").is_some_and(|noisy| noisy > 0.0),
            foreign_cores: condition("foreign_cores"),
            slowdown: condition("slowdown"),
            spread: condition("spread"),
            attempts: condition("attempts"),
        },
        setting: rounds.setting,
        mode: rounds.mode.into(),
        length: rounds.length,
        batch: rounds.batch,
        threads: rounds.threads,
        ns,
        ..ThroughputRow::default()
    };
    // An operation a nanosecond is 10⁹ a second.
    row.gflops = ratio(row.operations, row.median_ns);
    row.share_of_peak = ratio(row.gflops, row.peak_gflops);
    row.share_of_roof = ratio(row.gflops, row.roof_gflops());
    row
}

/// The visits of rounds that count.
fn visits(rows: &[&TimingRow]) -> Vec<Visit> {
    let mut by_visit: BTreeMap<u32, (Vec<f64>, Vec<Option<f64>>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.err.is_empty() && row.ns > 0) {
        let Some(visit) = row.visit else { continue };
        let (ns, paced) = by_visit.entry(visit).or_default();
        ns.push(row.ns as f64);
        paced.push(row.pace_ns.filter(|pace| *pace > 0).map(|pace| row.ns as f64 / pace as f64));
    }
    let visit = |(ns, paced): (Vec<f64>, Vec<Option<f64>>)| {
        let paced: Option<Vec<f64>> = paced.into_iter().collect();
        Some(Visit { median_ns: median(&ns)?, median_paced: paced.and_then(|paced| median(&paced)) })
    };
    by_visit.into_values().filter_map(visit).collect()
}

fn ratio(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    Some(above? / below.filter(|below| *below > 0.0)?)
}

/// What a row carries itself is no coordinate, whether one cell measured it all or each its own.
fn without_own(setting: Setting) -> Setting {
    const OWN: [&str; 5] = ["length", "lengths", "mode", "batch", "threads"];
    let mut coordinates = setting.coordinates;
    coordinates.retain(|coordinate| !OWN.contains(&last_word(&coordinate.key)));
    Setting { coordinates, group: String::new(), ..setting }
}
