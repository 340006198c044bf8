//! Exact tests of one sample, or of pairs by their differences: by flipping signs, and by counting them.
//!
//! Pairs are worth it where they have something in common: with five pairs the smallest two-sided p is 1/16, while five
//! against five unpaired values reach 1/126.

use super::Draws;
use super::tested::{Alternative, DRAWN, SEED, TIE, Tested};
use statrs::distribution::{Binomial, DiscreteCDF};

/// Most values of which all flips are counted.
pub const MOST_FLIPPED: usize = 20;

/// Tests that values lie about something above `margin`: if they are symmetric about it, each was as likely as its mirror
/// image (Fisher 1935, *The Design of Experiments*, section 21, on Darwin's pairs). The statistic is the mean. Exact up to
/// [`MOST_FLIPPED`] values, of more (k + 1)/(n + 1) of 99,999 drawn flips. None without values, or where one is not finite.
pub fn sign_flip(values: &[f64], margin: f64, alternative: Alternative) -> Option<Tested> {
    if values.is_empty() || !margin.is_finite() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut own: Vec<f64> = values.iter().map(|value| value - margin).collect();
    own.sort_by(f64::total_cmp);
    let tie = TIE * values.iter().fold(margin.abs(), |sum, value| sum + value.abs());
    let exact = own.len() <= MOST_FLIPPED;
    // Flipping takes twice their sum away from the whole.
    let flipped = if exact { all_flips(&own) } else { drawn_flips(&own) };
    // The flips drawn do not hold the one that was seen, all flips do.
    let seen = if exact { 0 } else { 1 };
    let arrangements = (flipped.len() + seen) as f64;
    let share = |is: &dyn Fn(f64) -> bool| {
        (flipped.iter().filter(|sum| is(**sum)).count() + seen) as f64 / arrangements
    };
    let p = alternative.p(share(&|sum| sum <= tie), share(&|sum| sum >= -tie));
    Some(Tested { p, arrangements: arrangements as u64, exact })
}

/// [`sign_flip`] of the differences of pairs, the first minus the second. None where the numbers of both differ.
pub fn paired_sign_flip(a: &[f64], b: &[f64], margin: f64, alternative: Alternative) -> Option<Tested> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    sign_flip(&differences, margin, alternative).filter(|_| a.len() == b.len())
}

/// The smallest p that [`sign_flip`] and [`sign_test`] can give for so many values.
pub fn smallest_flip_p(n: usize, alternative: Alternative) -> f64 {
    (alternative.sides() * 0.5f64.powi(i32::try_from(n).unwrap_or(i32::MAX))).min(1.0)
}

/// Tests that the median lies above `margin`, by how many values do: binomial of one half (Arbuthnott 1710). Values at the
/// margin say neither and are left out (Dixon & Mood 1946). None without values, or where one is NaN.
pub fn sign_test(values: &[f64], margin: f64, alternative: Alternative) -> Option<f64> {
    if values.is_empty() || margin.is_nan() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let above = values.iter().filter(|value| **value > margin).count() as u64;
    let below = values.iter().filter(|value| **value < margin).count() as u64;
    let heads = Binomial::new(0.5, above + below).ok()?;
    // P(as many or more) is P(as few or fewer of the others).
    Some(alternative.p(heads.cdf(below), heads.cdf(above)))
}

fn all_flips(values: &[f64]) -> Vec<f64> {
    values.iter().fold(vec![0.0], |mut sums, value| {
        let with: Vec<f64> = sums.iter().map(|sum| sum + value).collect();
        sums.extend(with);
        sums
    })
}

fn drawn_flips(values: &[f64]) -> Vec<f64> {
    let mut draws = Draws::new(SEED);
    let mut flip = |_| values.iter().filter(|_| draws.bits() >> 63 == 1).sum();
    (0..DRAWN).map(&mut flip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Alternative::*;

    #[test]
    fn known_by_hand() {
        let p = |values: &[f64], margin, alternative| sign_flip(values, margin, alternative).unwrap().p;
        // Of eight flips of 1, 2, 3 only the one seen reaches 6; of 1, 2, −3 (sum 0): 6, 4, 2, 0, 0 and their mirrors.
        assert_eq!(p(&[1.0, 2.0, 3.0], 0.0, Greater), 0.125);
        assert_eq!(p(&[1.0, 2.0, 3.0], 0.0, TwoSided), 0.25);
        assert_eq!(p(&[1.0, 2.0, -3.0], 0.0, Greater), 0.625);
        assert_eq!(p(&[1.1, 2.1, 3.1], 0.1, Greater), 0.125);
        assert_eq!(p(&[0.1, 0.1, 0.1], 0.1, Greater), 1.0);
        assert_eq!(sign_flip(&[1.0; 5], 0.0, TwoSided).unwrap().p, 0.0625);
        assert_eq!(sign_flip(&[1.0; 5], 0.0, TwoSided).unwrap().arrangements, 32);
        let pairs = paired_sign_flip(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0], 0.0, Greater);
        assert_eq!(pairs.map(|own| own.p), Some(0.125));
        assert_eq!(paired_sign_flip(&[2.0], &[1.0, 2.0], 0.0, Greater), None);
        assert_eq!((sign_flip(&[], 0.0, Less), sign_flip(&[f64::NAN], 0.0, Less)), (None, None));
    }

    #[test]
    fn signs_are_binomial() {
        let close = |found: Option<f64>, p: f64| assert!((found.unwrap() - p).abs() < 1e-12, "{found:?} {p}");
        close(sign_test(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0, Greater), 1.0 / 32.0);
        close(sign_test(&[1.0, 2.0, 3.0, 4.0, -5.0], 0.0, Greater), 6.0 / 32.0);
        close(sign_test(&[1.0, 2.0, 3.0, 4.0, -5.0], 0.0, Less), 31.0 / 32.0);
        close(sign_test(&[1.0, 2.0, 3.0, 4.0, 5.0, 0.0], 0.0, TwoSided), 2.0 / 32.0);
        close(sign_test(&[0.0, 0.0], 0.0, TwoSided), 1.0);
        assert_eq!((sign_test(&[], 0.0, Less), sign_test(&[f64::NAN], 0.0, Less)), (None, None));
        assert_eq!((smallest_flip_p(5, Greater), smallest_flip_p(10, TwoSided)), (1.0 / 32.0, 1.0 / 512.0));
        assert_eq!(smallest_flip_p(0, TwoSided), 1.0);
    }

    #[test]
    fn drawn_flips_agree_with_all_of_them() {
        let mut draws = Draws::new(4);
        let values: Vec<f64> = (0..20).map(|_| draws.uniform() - 0.42).collect();
        let share =
            |sums: Vec<f64>| sums.iter().filter(|sum| **sum <= 0.0).count() as f64 / sums.len() as f64;
        let (all, some) = (share(all_flips(&values)), share(drawn_flips(&values)));
        assert!((all - some).abs() < 5.0 * (all / 1e5).sqrt(), "{all} {some}");
        let many = sign_flip(&[values.clone(), values].concat(), 0.0, Greater).unwrap();
        assert_eq!((many.exact, many.arrangements), (false, 100_000));
    }
}
