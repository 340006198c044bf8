//! The change of times.

use super::{Finding, Unmatched};
use crate::summary::{Repeat, Setting, Summary, ThroughputRow, repeats};
use serde::Serialize;

/// One time in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeChange {
    /// Both times, with the ratio and its interval.
    pub repeat: Repeat,
    /// What it shows, of the ratio at equal pace: without one, a slower clock of the processor and a slower program cannot be
    /// told apart. Nothing where the interval lies within the tolerance or reaches into it, or where either was disturbed.
    pub finding: Finding,
}

/// All times that both have.
pub(super) fn times(a: &Summary, b: &Summary, tolerance: f64) -> Vec<TimeChange> {
    let of = |repeat: Repeat| TimeChange { finding: finding(&repeat, tolerance), repeat };
    repeats(a, b).into_iter().map(of).collect()
}

fn finding(repeat: &Repeat, tolerance: f64) -> Finding {
    match repeat.paced_interval.filter(|_| !repeat.noisy) {
        Some(ends) if ends.low > 1.0 + tolerance => Finding::Worse,
        Some(ends) if ends.high < 1.0 / (1.0 + tolerance) => Finding::Better,
        _ => Finding::NoDifference,
    }
}

/// What one result timed and the other did not.
pub(super) fn only(summary: &Summary, times: &[TimeChange]) -> Vec<Unmatched> {
    let of = |setting: &Setting| Setting { experiment: String::new(), ..setting.clone() };
    let is_row = |row: &ThroughputRow, repeat: &Repeat| {
        (&row.mode, row.length, row.batch, row.threads)
            == (&repeat.mode, repeat.length, repeat.batch, repeat.threads)
            && of(&row.setting) == of(&repeat.setting)
    };
    let rest =
        summary.throughput.iter().filter(|row| !times.iter().any(|change| is_row(row, &change.repeat)));
    let unmatched = |row: &ThroughputRow| Unmatched {
        setting: row.setting.clone(),
        what: format!(
            "time of {} at length {}, batch {}, threads {}",
            row.mode, row.length, row.batch, row.threads
        ),
    };
    rest.map(unmatched).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Interval;

    fn repeat(low: f64, high: f64) -> Repeat {
        Repeat {
            setting: Setting::default(),
            mode: "train".into(),
            length: 64,
            batch: 8,
            threads: 1,
            first_ns: 1e6,
            second_ns: 1e6,
            ratio: (low * high).sqrt(),
            interval: None,
            paced_ratio: Some((low * high).sqrt()),
            paced_interval: Some(Interval { low, high }),
            covers_one: None,
            noisy: false,
        }
    }

    #[test]
    fn the_whole_interval_must_lie_beyond_the_tolerance() {
        let of = |low, high| finding(&repeat(low, high), 0.05);
        assert_eq!(of(1.06, 1.10), Finding::Worse);
        assert_eq!(of(1.04, 1.10), Finding::NoDifference, "excludes 1, but not by more than the tolerance");
        assert_eq!(of(0.90, 0.95), Finding::Better);
        assert_eq!(of(0.90, 0.96), Finding::NoDifference);
        assert_eq!(
            finding(&Repeat { paced_interval: None, ..repeat(2.0, 3.0) }, 0.05),
            Finding::NoDifference
        );
        assert_eq!(finding(&Repeat { noisy: true, ..repeat(2.0, 3.0) }, 0.05), Finding::NoDifference);
        // A machine that slowed down is no slower model.
        let slower = Some(Interval { low: 2.0, high: 3.0 });
        assert_eq!(finding(&Repeat { interval: slower, ..repeat(0.98, 1.02) }, 0.05), Finding::NoDifference);
    }
}
