//! Medians of times of which some are only known to be longer than something.

use super::median;
use serde::Serialize;

/// A median over values of which some are censored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Censored {
    /// The median; none where censored values decide it.
    pub median: Option<f64>,
    /// What the median is above, where censored values that are known to be longer than something decide it.
    pub at_least: Option<f64>,
}

impl Censored {
    /// Of `n` values some are known, others longer than their `bounds`, and the rest longer than any.
    pub fn new(known: &[f64], bounds: &[f64], n: usize) -> Self {
        let median_of = |mut values: Vec<f64>| {
            values.resize(n, f64::INFINITY);
            median(&values).filter(|value| value.is_finite())
        };
        let lower = median_of([known, bounds].concat());
        let upper = median_of(known.to_vec());
        let certain = lower == upper;
        Self { median: upper.filter(|_| certain), at_least: lower.filter(|_| !certain) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_censored_counts_as_longer() {
        let of = |known: &[f64], bounds: &[f64], n| {
            let found = Censored::new(known, bounds, n);
            (found.median, found.at_least)
        };
        assert_eq!(of(&[10.0, 30.0, 20.0], &[], 3), (Some(20.0), None));
        // Two of three known: the third, however long, is no median.
        assert_eq!(of(&[10.0, 30.0], &[25.0], 3), (None, Some(25.0)));
        assert_eq!(of(&[10.0, 30.0], &[100.0], 3), (Some(30.0), None));
        // Half or fewer: beyond what the longest of the rest took.
        assert_eq!(of(&[10.0], &[100.0, 200.0], 3), (None, Some(100.0)));
        assert_eq!(of(&[10.0, 20.0], &[100.0, 100.0], 4), (None, Some(60.0)));
        assert_eq!(of(&[10.0], &[], 3), (None, None));
        assert_eq!(of(&[], &[], 0), (None, None));
    }
}
