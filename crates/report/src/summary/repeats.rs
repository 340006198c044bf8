//! Two runs of the same measurements side by side: whether times repeat.

use super::{Setting, Summary, ThroughputRow};
use crate::statistics::{Interval, LEVEL, median_interval};
use serde::Serialize;

/// One row that both runs have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repeat {
    /// The setting, as the first run has it.
    pub setting: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequence length; the context for `decode`.
    pub length: u64,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Median of the first run, in nanoseconds.
    pub first_ns: f64,
    /// Median of the second, in nanoseconds.
    pub second_ns: f64,
    /// The second over the first.
    pub ratio: f64,
    /// Where the ratio may lie: each median within its order statistics of [`LEVEL`] or more, which is wider than that for the
    /// ratio. None below six rounds of either.
    pub interval: Option<Interval>,
    /// Whether the interval holds 1; none without one.
    pub covers_one: Option<bool>,
    /// Whether either row was disturbed.
    pub noisy: bool,
}

/// Every row of `a` that `b` has as well, in the order of `a`: the same model, task and coordinates, mode, length, batch and
/// threads, of whatever experiment.
pub fn repeats(a: &Summary, b: &Summary) -> Vec<Repeat> {
    let same = |own: &ThroughputRow, other: &ThroughputRow| {
        let of = |setting: &Setting| Setting { experiment: String::new(), ..setting.clone() };
        own.is_measured_as(other) && own.length == other.length && of(&own.setting) == of(&other.setting)
    };
    let repeat = |own: &ThroughputRow| repeat(own, b.throughput.iter().find(|other| same(own, other))?);
    a.throughput.iter().filter_map(repeat).collect()
}

fn repeat(a: &ThroughputRow, b: &ThroughputRow) -> Option<Repeat> {
    let (first_ns, second_ns) = (a.median_ns.filter(|ns| *ns > 0.0)?, b.median_ns.filter(|ns| *ns > 0.0)?);
    let ends = |row: &ThroughputRow| {
        let ns: Vec<f64> = row.ns.iter().map(|ns| *ns as f64).collect();
        median_interval(&ns, LEVEL).filter(|ends| ends.low > 0.0)
    };
    let interval = ends(a).zip(ends(b)).map(|(a, b)| Interval { low: b.low / a.high, high: b.high / a.low });
    Some(Repeat {
        setting: a.setting.clone(),
        mode: a.mode.clone(),
        length: a.length,
        batch: a.batch,
        threads: a.threads,
        first_ns,
        second_ns,
        ratio: second_ns / first_ns,
        covers_one: interval.map(|ends| ends.low <= 1.0 && 1.0 <= ends.high),
        interval,
        noisy: a.disturbance.noisy || b.disturbance.noisy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::median;

    /// Nine rounds about a time, with noise of 3 % that depends on the draw alone.
    fn run(draw: u64, time: f64) -> Summary {
        let mut state = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        // A sum of twelve is close to normal.
        let mut noise = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let ns: Vec<u64> = (0..9).map(|_| (time * (1.0 + 0.03 * noise())).round() as u64).collect();
        let times: Vec<f64> = ns.iter().map(|ns| *ns as f64).collect();
        let row = ThroughputRow {
            setting: Setting { model: "rnn".into(), experiment: format!("run {draw}"), ..Setting::default() },
            mode: "train".into(),
            length: 64,
            batch: 8,
            threads: 1,
            rounds: ns.len(),
            median_ns: median(&times),
            ns,
            ..ThroughputRow::default()
        };
        Summary { throughput: vec![row], ..Summary::default() }
    }

    #[test]
    fn the_same_repeats_and_what_is_a_fifth_slower_does_not() {
        let (mut same, mut slower) = (0, 0);
        for draw in 0..200 {
            let (a, b) = (run(2 * draw + 1, 1e6), run(2 * draw + 2, 1e6));
            same += usize::from(repeats(&a, &b)[0].covers_one == Some(true));
            let slow = &repeats(&a, &run(2 * draw + 2, 1.2e6))[0];
            slower += usize::from(slow.covers_one == Some(false) && slow.ratio > 1.0);
        }
        assert!(same >= 180, "{same} of 200");
        assert!(slower >= 180, "{slower} of 200");
    }

    #[test]
    fn only_what_both_have_is_compared() {
        let a = run(1, 1e6);
        let mut other = run(2, 1e6);
        other.throughput[0].batch = 4;
        assert_eq!(repeats(&a, &other), []);
        let mut few = run(2, 1e6);
        few.throughput[0].ns.truncate(5);
        let found = repeats(&a, &few).remove(0);
        assert_eq!((found.interval, found.covers_one), (None, None));
        few.throughput[0].median_ns = None;
        assert_eq!(repeats(&a, &few), []);
    }
}
