//! The change of times.

use super::{Correction, Finding, Unmatched};
use crate::summary::{Repeat, Setting, Summary, ThroughputRow, repeats};
use serde::Serialize;

/// One time in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeChange {
    /// Both times, with the ratio and its interval.
    pub repeat: Repeat,
    /// Student's t test, two-sided, of the ratio at equal pace being within the tolerance; no p where there is no such ratio, since
    /// without a pace a slower clock of the processor and a slower program cannot be told apart, or where either was disturbed.
    pub test: Correction,
    /// What it shows.
    pub finding: Finding,
}

impl TimeChange {
    fn of(repeat: Repeat, tolerance: f64) -> Self {
        let shift = repeat.paced_shift.filter(|_| !repeat.noisy);
        // No number of visits bounds the p of a t test.
        let test = Correction::of(shift.and_then(|shift| shift.p_beyond(tolerance)), 0.0);
        Self { repeat, test, finding: Finding::NoDifference }
    }

    pub(super) fn conclude(&mut self, alpha: f64) {
        let change = self.repeat.paced_shift.map(|shift| if shift.rises() { 1.0 } else { -1.0 });
        self.finding = self.test.finding(change, false, alpha);
    }
}

/// All times that both have.
pub(super) fn times(a: &Summary, b: &Summary, tolerance: f64) -> Vec<TimeChange> {
    repeats(a, b).into_iter().map(|repeat| TimeChange::of(repeat, tolerance)).collect()
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
    use crate::statistics::{Visited, holm, pool};

    /// Three visits of both runs, at equal pace, the second `ratio` times the first give or take a share.
    fn repeat(ratio: f64, share: f64) -> Repeat {
        let visits = |about: f64| [about / (1.0 + share), about, about * (1.0 + share)];
        let visited = Visited::new(&visits(1e6), &visits(ratio * 1e6)).unwrap();
        let shift = visited.shift(pool([&visited])).unwrap();
        Repeat {
            setting: Setting::default(),
            mode: "train".into(),
            length: 64,
            batch: 8,
            threads: 1,
            first_ns: 1e6,
            second_ns: ratio * 1e6,
            ratio,
            interval: None,
            paced_ratio: Some(ratio),
            paced_interval: shift.interval(),
            paced_shift: Some(shift),
            covers_one: None,
            noisy: false,
        }
    }

    /// What a time shows among so many others that are the same.
    fn among(others: usize, repeat: Repeat) -> Finding {
        let mut own = TimeChange::of(repeat, 0.05);
        let p: Vec<f64> = own.test.p.into_iter().chain(std::iter::repeat_n(1.0, others)).collect();
        own.test.adjusted = own.test.p.and_then(|_| holm(&p).first().copied());
        own.conclude(0.05);
        own.finding
    }

    #[test]
    fn a_time_must_be_shown_to_lie_beyond_the_tolerance() {
        let of = |ratio, share| among(0, repeat(ratio, share));
        // t of 97.5 % with four degrees of freedom times √(2/3): the interval is 2.27 shares either way.
        assert_eq!(of(1.08, 0.01), Finding::Worse);
        assert_eq!(of(1.07, 0.01), Finding::NoDifference, "excludes 1, but not by more than the tolerance");
        assert_eq!(of(0.92, 0.01), Finding::Better);
        assert_eq!(of(0.94, 0.01), Finding::NoDifference);
        assert_eq!(of(1.5, 0.2), Finding::NoDifference, "so far apart are its visits");
    }

    #[test]
    fn one_among_many_must_be_shown_the_better() {
        assert_eq!(
            (among(0, repeat(1.08, 0.01)), among(9, repeat(1.08, 0.01))),
            (Finding::Worse, Finding::NoDifference)
        );
        assert_eq!(among(9, repeat(1.12, 0.01)), Finding::Worse);
        assert_eq!(among(143, repeat(0.7, 0.01)), Finding::Better);
    }

    #[test]
    fn what_was_disturbed_or_has_no_pace_is_not_tested() {
        for own in
            [Repeat { noisy: true, ..repeat(2.0, 0.01) }, Repeat { paced_shift: None, ..repeat(2.0, 0.01) }]
        {
            assert_eq!(TimeChange::of(own.clone(), 0.05).test, Correction::default());
            assert_eq!(among(0, own), Finding::NoDifference);
        }
        // A machine that slowed down is no slower model.
        let slower = Repeat { ratio: 2.5, second_ns: 2.5e6, ..repeat(1.0, 0.01) };
        assert_eq!(among(0, slower), Finding::NoDifference);
    }
}
