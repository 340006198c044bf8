//! How many seeds a comparison needs.

use super::interval::within;
use super::permutation::smallest_p;
use super::tested::Alternative;
use statrs::distribution::{ContinuousCDF, Normal};

/// Beyond this no number of seeds is an answer.
const MOST: f64 = 1e9;

/// Seeds a side that show a difference with a probability of `power` at level `alpha`, given the deviation within sides:
/// n = 2(z_α + z_power)²/d² + z_α²/4, with d the difference in deviations and z_α the quantile at 1 − α (two-sided
/// 1 − α/2). The first term is that of known variance, the second corrects for Student's t (Guenther 1981, "Sample size
/// formulas for normal theory t tests"). No fewer than a permutation test needs to reach `alpha` at all. None for no
/// difference, no deviation, or a level or power not within (0, 1).
pub fn seeds_needed(
    difference: f64,
    deviation: f64,
    alpha: f64,
    power: f64,
    alternative: Alternative,
) -> Option<u64> {
    let d = difference.abs() / deviation;
    if !within(alpha) || !within(power) || !d.is_finite() || d <= 0.0 {
        return None;
    }
    let normal = Normal::standard();
    let z = normal.inverse_cdf(1.0 - alpha / alternative.sides());
    let n = 2.0 * ((z + normal.inverse_cdf(power)) / d).powi(2) + z * z / 4.0;
    let n = n.ceil().max(fewest_seeds(alpha, alternative) as f64);
    (n <= MOST).then_some(n as u64)
}

/// The fewest seeds a side of which the exact permutation test can reject at level `alpha`.
pub fn fewest_seeds(alpha: f64, alternative: Alternative) -> u64 {
    // 2ⁿ splits or more: sixty reach any level worth the name.
    let reaches = |n: &u64| smallest_p(*n as usize, *n as usize, alternative) <= alpha;
    (1..=60).find(reaches).unwrap_or(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Alternative::*;

    #[test]
    fn known_by_hand() {
        // z of 97.5 % and 80 %: 1.95996 + 0.84162 = 2.80158; 2·7.8489 = 15.698, and 0.960 more.
        assert_eq!(seeds_needed(1.0, 1.0, 0.05, 0.8, TwoSided), Some(17));
        // z of 95 %: 1.64485 + 0.84162; 2·6.1826 = 12.365, and 0.676 more.
        assert_eq!(seeds_needed(-1.0, 1.0, 0.05, 0.8, Greater), Some(14));
        // A difference that no test could miss needs enough splits.
        assert_eq!(seeds_needed(100.0, 1.0, 0.05, 0.8, TwoSided), Some(4));
        assert_eq!(seeds_needed(0.0, 1.0, 0.05, 0.8, TwoSided), None);
        assert_eq!(seeds_needed(1.0, 0.0, 0.05, 0.8, TwoSided), None);
        assert_eq!(seeds_needed(1e-9, 1.0, 0.05, 0.8, TwoSided), None);
        assert_eq!(seeds_needed(1.0, 1.0, 0.0, 0.8, TwoSided), None);
    }

    #[test]
    fn three_against_three_reach_no_five_percent() {
        assert_eq!((fewest_seeds(0.05, TwoSided), fewest_seeds(0.05, Greater)), (4, 3));
        assert_eq!(fewest_seeds(0.05 / 10.0, TwoSided), 6);
    }
}
