//! Whether our number agrees with a published one.

use super::{Expected, Reported};
use crate::statistics::{Estimate, Interval};
use serde::Serialize;

/// Whether our number agrees with a published one, and so whether it was reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The whole interval of our mean lies where the published number, give or take the tolerance, allows.
    Yes,
    /// Neither is shown: the interval reaches in and out, there is none, a run diverged; or the mean is out, but one of our
    /// seeds is in and the paper reports its best.
    Partly,
    /// The whole interval lies outside.
    No,
    /// There is no number of ours.
    NotTried,
}

impl Agreement {
    /// As tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
            Self::NotTried => "not tried",
        }
    }
}

/// Holds the interval of our mean, cut to what a share can be, against what a published share allows.
pub fn agreement(
    expected: Expected,
    reported: Reported,
    ours: &Estimate,
    diverged: usize,
    tolerance: f64,
) -> Agreement {
    if ours.n == 0 && diverged == 0 {
        return Agreement::NotTried;
    }
    let Some(interval) = ours.interval else { return Agreement::Partly };
    // The t interval of shares near 1 reaches beyond what they can be, which is no disagreement.
    let own = Interval { low: interval.low.clamp(0.0, 1.0), high: interval.high.clamp(0.0, 1.0) };
    let allowed = allowed(expected, tolerance);
    let within = |x: f64| allowed.low <= x && x <= allowed.high;
    if own.high < allowed.low || own.low > allowed.high {
        let best = reported == Reported::Best && ours.values.iter().any(|seed| within(seed.value));
        return if best { Agreement::Partly } else { Agreement::No };
    }
    let shown = within(own.low) && within(own.high) && diverged == 0;
    if shown { Agreement::Yes } else { Agreement::Partly }
}

fn allowed(expected: Expected, tolerance: f64) -> Interval {
    match expected {
        Expected::Value(share) => Interval { low: share - tolerance, high: share + tolerance },
        Expected::AtLeast(share) => Interval { low: share - tolerance, high: f64::INFINITY },
        Expected::AtMost(share) => Interval { low: f64::NEG_INFINITY, high: share + tolerance },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::SeedValue;

    const TOLERANCE: f64 = 0.05;

    fn seeds(values: &[f64]) -> Estimate {
        let seed = |(seed, value): (usize, &f64)| SeedValue { seed: seed as u64, value: *value };
        Estimate::new(values.iter().enumerate().map(seed).collect())
    }

    fn of(expected: Expected, values: &[f64]) -> Agreement {
        agreement(expected, Reported::Unstated, &seeds(values), 0, TOLERANCE)
    }

    #[test]
    fn a_whole_interval_within_agrees_and_one_outside_does_not() {
        let published = Expected::Value(0.9);
        assert_eq!(of(published, &[0.89, 0.90, 0.91]), Agreement::Yes);
        assert_eq!(of(published, &[0.60, 0.61, 0.62]), Agreement::No);
        assert_eq!(of(published, &[0.99, 0.99, 0.99]), Agreement::No);
        // The mean is the published number, and the seeds say nothing.
        assert_eq!(of(published, &[0.80, 1.00, 0.90]), Agreement::Partly);
        assert_eq!(of(published, &[0.90]), Agreement::Partly);
        assert_eq!(of(published, &[]), Agreement::NotTried);
    }

    #[test]
    fn bounds_are_open_on_their_other_side() {
        assert_eq!(of(Expected::AtLeast(0.9), &[1.0, 1.0, 1.0]), Agreement::Yes);
        assert_eq!(of(Expected::AtLeast(0.9), &[0.86, 0.86, 0.86]), Agreement::Yes);
        assert_eq!(of(Expected::AtLeast(0.9), &[0.5, 0.5, 0.5]), Agreement::No);
        assert_eq!(of(Expected::AtMost(0.2), &[0.0, 0.0, 0.0]), Agreement::Yes);
        assert_eq!(of(Expected::AtMost(0.2), &[0.3, 0.3, 0.3]), Agreement::No);
        assert_eq!(of(Expected::AtMost(0.2), &[0.2, 0.25, 0.3]), Agreement::Partly);
    }

    #[test]
    fn what_a_share_cannot_be_is_no_disagreement() {
        let near = seeds(&[0.97, 1.0, 1.0]);
        assert!(near.interval.unwrap().high > 1.0 + 0.01);
        assert_eq!(agreement(Expected::Value(0.96), Reported::One, &near, 0, TOLERANCE), Agreement::Yes);
    }

    #[test]
    fn a_best_of_theirs_is_matched_by_one_of_ours_in_part_alone() {
        // Of a mean far below, with an interval that does not reach in, one of thirty seeds is as good as theirs.
        let mut values = vec![0.2; 29];
        values.push(1.0);
        let ours = seeds(&values);
        let held = |reported| agreement(Expected::Value(1.0), reported, &ours, 0, TOLERANCE);
        assert_eq!(held(Reported::Best), Agreement::Partly);
        assert_eq!(held(Reported::Mean), Agreement::No);
        let none = seeds(&[0.2; 5]);
        assert_eq!(agreement(Expected::Value(1.0), Reported::Best, &none, 0, TOLERANCE), Agreement::No);
    }

    #[test]
    fn a_diverged_run_shows_nothing() {
        let ours = seeds(&[1.0; 4]);
        let held = |diverged| agreement(Expected::Value(1.0), Reported::Mean, &ours, diverged, TOLERANCE);
        assert_eq!((held(0), held(1)), (Agreement::Yes, Agreement::Partly));
        assert_eq!(
            agreement(Expected::Value(1.0), Reported::Mean, &seeds(&[]), 5, TOLERANCE),
            Agreement::Partly
        );
    }
}
