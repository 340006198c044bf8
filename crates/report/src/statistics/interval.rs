//! Confidence intervals: Student's t for a mean of few seeds, Wilson's for a success rate.

use super::{mean, standard_deviation};
use serde::Serialize;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// The confidence level of every interval reported.
pub const LEVEL: f64 = 0.95;

/// An interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Quantile of Student's t with `freedom` degrees of freedom; none for a probability not within (0, 1) or a
/// freedom not above 0.
pub fn student_quantile(probability: f64, freedom: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, freedom).ok()?;
    within(probability).then(|| distribution.inverse_cdf(probability))
}

/// Probability that Student's t with `freedom` degrees of freedom exceeds `t`; none for a `t` that is no number or a freedom
/// not above 0.
pub fn student_tail(t: f64, freedom: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, freedom).ok()?;
    (!t.is_nan()).then(|| distribution.sf(t))
}

/// Two-sided t interval of a mean: mean ± t·s/√n with n − 1 degrees of freedom. None below two values, where
/// a value is not finite, or for a level not within (0, 1).
pub fn t_interval(values: &[f64], level: f64) -> Option<Interval> {
    let n = values.len() as f64;
    let (centre, deviation) = (mean(values)?, standard_deviation(values)?);
    let half = student_quantile(0.5 + level / 2.0, n - 1.0)? * deviation / n.sqrt();
    (within(level) && half.is_finite()).then_some(Interval { low: centre - half, high: centre + half })
}

/// Wilson's score interval of a rate of `k` in `n` (Wilson 1927), always within 0..=1. None for n = 0, k > n
/// or a level not within (0, 1).
pub fn wilson(k: usize, n: usize, level: f64) -> Option<Interval> {
    if n == 0 || k > n || !within(level) {
        return None;
    }
    let z = Normal::standard().inverse_cdf(0.5 + level / 2.0);
    let (count, rate) = (n as f64, k as f64 / n as f64);
    let scale = 1.0 + z * z / count;
    let centre = (rate + z * z / (2.0 * count)) / scale;
    let half = z / scale * (rate * (1.0 - rate) / count + z * z / (4.0 * count * count)).sqrt();
    // At either end the exact value is 0 or 1, which rounding may miss on the wrong side.
    let low = if k == 0 { 0.0 } else { centre - half };
    let high = if k == n { 1.0 } else { centre + half };
    Some(Interval { low, high })
}

/// Interval of a median between two of the values: the k-th from below and from above, k as large as leaves the level or
/// more between them whatever the distribution (the sign test inverted; David & Nagaraja 2003, section 7.1). None where all
/// of the values are too few, where one is not finite, or for a level not within (0, 1).
pub fn median_interval(values: &[f64], level: f64) -> Option<Interval> {
    let n = values.len();
    if !within(level) || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let below = Binomial::new(0.5, n as u64).ok()?;
    // Beyond the k-th value from below lies the median where fewer than k fell below it.
    let k = (1..=n / 2).take_while(|k| 2.0 * below.cdf(*k as u64 - 1) <= 1.0 - level).last()?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Interval { low: sorted[k - 1], high: sorted[n - k] })
}

pub(super) fn within(probability: f64) -> bool {
    probability > 0.0 && probability < 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    // Two-sided 95 % column of the usual table; df = 1 is tan(0.475 π), df = 2 is 0.95·√(2/(1 − 0.95²)).
    #[test]
    fn quantiles_of_student() {
        for (freedom, expected) in [
            (1.0, 12.706_204_736_2),
            (2.0, 4.302_652_729_9),
            (4.0, 2.776_445_105_2),
            (9.0, 2.262_157_162_7),
            (30.0, 2.042_272_456_3),
        ] {
            close(student_quantile(0.975, freedom).unwrap(), expected, 1e-9);
            close(student_quantile(0.025, freedom).unwrap(), -expected, 1e-9);
        }
        close(student_quantile(0.5, 3.0).unwrap(), 0.0, 1e-9);
        close(student_tail(2.776_445_105_2, 4.0).unwrap(), 0.025, 1e-10);
        close(student_tail(-2.262_157_162_7, 9.0).unwrap(), 0.975, 1e-10);
        assert_eq!((student_tail(f64::NAN, 4.0), student_tail(1.0, 0.0)), (None, None));
        assert_eq!((student_quantile(1.0, 4.0), student_quantile(0.9, 0.0)), (None, None));
    }

    #[test]
    fn t_interval_known_by_hand() {
        // Mean 3, s = √2.5, so the half width is 2.7764451052·√(2.5/5) = 1.9632431615.
        let interval = t_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], LEVEL).unwrap();
        close(interval.low, 3.0 - 1.963_243_161_5, 1e-9);
        close(interval.high, 3.0 + 1.963_243_161_5, 1e-9);
        assert_eq!(t_interval(&[0.5, 0.5, 0.5], LEVEL), Some(Interval { low: 0.5, high: 0.5 }));
    }

    #[test]
    fn no_interval_is_absent_not_zero() {
        assert_eq!(t_interval(&[1.0], LEVEL), None);
        assert_eq!(t_interval(&[], LEVEL), None);
        assert_eq!(t_interval(&[1.0, f64::NAN], LEVEL), None);
        assert_eq!(t_interval(&[1.0, f64::NEG_INFINITY], LEVEL), None);
        assert_eq!((wilson(0, 0, LEVEL), wilson(3, 2, LEVEL)), (None, None));
    }

    // k = 0 and k = n in closed form: 1 − 1/(1 + z²/n), z² = 3.8414588207 (the χ² quantile of one degree).
    #[test]
    fn wilson_known_by_hand() {
        let three = wilson(3, 5, LEVEL).unwrap();
        close(three.low, 0.2307, 5e-5);
        close(three.high, 0.8824, 5e-5);
        let z2 = 3.841_458_820_7;
        let none = wilson(0, 5, LEVEL).unwrap();
        assert_eq!(none.low, 0.0);
        close(none.high, 1.0 - 1.0 / (1.0 + z2 / 5.0), 1e-9);
        let all = wilson(3, 3, LEVEL).unwrap();
        close(all.low, 1.0 / (1.0 + z2 / 3.0), 1e-9);
        assert_eq!(all.high, 1.0);
    }

    // Table of the sign test: 6 values reach 95 % with the extremes (96.9 %), 9 with the second (96.1 %), 20 with the sixth
    // (95.9 %).
    #[test]
    fn medians_lie_between_order_statistics() {
        let values = |n: u32| -> Vec<f64> { (1..=n).rev().map(f64::from).collect() };
        for (n, low, high) in [(6, 1.0, 6.0), (9, 2.0, 8.0), (20, 6.0, 15.0)] {
            assert_eq!(median_interval(&values(n), LEVEL), Some(Interval { low, high }), "{n}");
        }
        assert_eq!(median_interval(&values(5), LEVEL), None);
        assert_eq!(median_interval(&[], LEVEL), None);
        assert_eq!(median_interval(&[f64::NAN; 9], LEVEL), None);
    }

    proptest! {
        #[test]
        fn wilson_holds_the_rate_within_zero_and_one(n in 1usize..400, share in 0.0f64..=1.0) {
            let k = (share * n as f64).round() as usize;
            let interval = wilson(k, n, LEVEL).unwrap();
            let rate = k as f64 / n as f64;
            prop_assert!(0.0 <= interval.low && interval.low <= rate && rate <= interval.high && interval.high <= 1.0);
            prop_assert!(interval.low < interval.high);
            // Symmetric in success and failure, wider at a higher level, narrower with more trials.
            let mirror = wilson(n - k, n, LEVEL).unwrap();
            prop_assert!((mirror.low + interval.high - 1.0).abs() < 1e-12);
            let wide = wilson(k, n, 0.99).unwrap();
            prop_assert!(wide.low <= interval.low && interval.high <= wide.high);
            let many = wilson(10 * k, 10 * n, LEVEL).unwrap();
            prop_assert!(many.high - many.low < interval.high - interval.low);
        }

        #[test]
        fn t_interval_holds_the_mean_and_grows_with_the_level(values in prop::collection::vec(-1e3f64..1e3, 2..12)) {
            let centre = mean(&values).unwrap();
            let interval = t_interval(&values, LEVEL).unwrap();
            prop_assert!(interval.low <= centre && centre <= interval.high);
            let wide = t_interval(&values, 0.99).unwrap();
            prop_assert!(wide.low <= interval.low && interval.high <= wide.high);
            // Student's t is wider than the normal approximation.
            let half = (interval.high - interval.low) / 2.0;
            let normal = 1.959_963_984_5 * standard_deviation(&values).unwrap() / (values.len() as f64).sqrt();
            prop_assert!(half >= normal * (1.0 - 1e-12));
        }
    }
}
