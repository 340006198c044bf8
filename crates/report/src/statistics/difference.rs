//! The interval of a difference of means of two groups that need not vary alike.

use super::interval::within;
use super::{Interval, mean, standard_deviation, student_quantile};

/// Interval of mean(a) − mean(b) by Student's t of (s_a²/n_a + s_b²/n_b)² / (s_a⁴/n_a²(n_a − 1) + s_b⁴/n_b²(n_b − 1)) degrees
/// of freedom (Welch 1938, "The significance of the difference between two means when the population variances are
/// unequal"; Satterthwaite 1946). None below two values on either side, where one is not finite, or for a level not within
/// (0, 1).
pub fn welch(a: &[f64], b: &[f64], level: f64) -> Option<Interval> {
    let part = |values: &[f64]| Some(standard_deviation(values)?.powi(2) / values.len() as f64);
    let (own, other) = (part(a)?, part(b)?);
    let difference = mean(a)? - mean(b)?;
    if !difference.is_finite() || !(own + other).is_finite() || !within(level) {
        return None;
    }
    let freedom =
        (own + other).powi(2) / (own.powi(2) / (a.len() - 1) as f64 + other.powi(2) / (b.len() - 1) as f64);
    // Values that do not vary at all have no degrees of freedom, and need none.
    let half = if own + other > 0.0 {
        student_quantile(0.5 + level / 2.0, freedom)? * (own + other).sqrt()
    } else {
        0.0
    };
    Some(Interval { low: difference - half, high: difference + half })
}

/// The deviation within groups, all of one variance: the root of squares about each group's own mean over n minus the number
/// of groups. None where no group has two values.
pub fn pooled_deviation(groups: &[&[f64]]) -> Option<f64> {
    let parts = groups.iter().filter_map(|values| {
        let freedom = values.len() as f64 - 1.0;
        Some((freedom * standard_deviation(values)?.powi(2), freedom))
    });
    let (squares, freedom) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    (freedom > 0.0).then(|| (squares / freedom).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_hand() {
        // Variances 1 and 4 of three each: parts 1/3 and 4/3, freedom (5/3)²/((1/9 + 16/9)/2) = 50/17, difference −2.
        let ends = welch(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0], 0.95).unwrap();
        let half = student_quantile(0.975, 50.0 / 17.0).unwrap() * (5.0f64 / 3.0).sqrt();
        assert!((ends.low + 2.0 + half).abs() < 1e-12 && (ends.high + 2.0 - half).abs() < 1e-12);
        assert_eq!(welch(&[1.0, 1.0], &[0.5, 0.5], 0.95), Some(Interval { low: 0.5, high: 0.5 }));
        // One group that does not vary leaves the other's degrees of freedom.
        let one = welch(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0], 0.95).unwrap();
        assert!((one.high + 1.0 - 4.302_652_729_9 / 3f64.sqrt()).abs() < 1e-9, "{one:?}");
        assert_eq!(pooled_deviation(&[&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0], &[9.0]]), Some(2.5f64.sqrt()));
    }

    #[test]
    fn nothing_is_absent() {
        assert_eq!(welch(&[1.0], &[1.0, 2.0], 0.95), None);
        assert_eq!(welch(&[1.0, f64::NAN], &[1.0, 2.0], 0.95), None);
        assert_eq!(welch(&[1.0, 2.0], &[1.0, 2.0], 1.0), None);
        assert_eq!(pooled_deviation(&[&[1.0], &[]]), None);
    }
}
