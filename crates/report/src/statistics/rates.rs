//! Two success rates: Fisher's exact test, and Newcombe's interval of their difference.

use super::tested::Alternative;
use super::{Interval, Success, wilson};
use statrs::distribution::{Discrete, Hypergeometric};
use statrs::statistics::{Max, Min};

/// Tests that the first rate is above the second, given how many succeeded in all (Fisher 1935, "The logic of inductive
/// inference"). Two-sided p is the probability of all tables no likelier than the one seen (as R's and scipy's). None where
/// either is of none, or has more successes than trials.
pub fn fisher_exact(first: Success, second: Success, alternative: Alternative) -> Option<f64> {
    let is_sound = |own: Success| own.n > 0 && own.k <= own.n;
    if !is_sound(first) || !is_sound(second) {
        return None;
    }
    let (n, seen) = ((first.n + second.n) as u64, first.k as u64);
    let tables = Hypergeometric::new(n, (first.k + second.k) as u64, first.n as u64).ok()?;
    let all = (tables.min()..=tables.max()).map(|k| (k, tables.pmf(k)));
    let own = tables.pmf(seen);
    // Tables as likely as the one seen count, whatever their rounding.
    let counts = |k: u64, p: f64| match alternative {
        Alternative::Greater => k >= seen,
        Alternative::Less => k <= seen,
        Alternative::TwoSided => p <= own * (1.0 + 1e-9),
    };
    Some(all.filter(|(k, p)| counts(*k, *p)).map(|(_, p)| p).sum::<f64>().min(1.0))
}

/// Interval of the first rate minus the second: their Wilson intervals combined (Newcombe 1998, "Interval estimation for the
/// difference between independent proportions", method 10), always within −1..=1. None as for [`wilson`].
pub fn newcombe(first: Success, second: Success, level: f64) -> Option<Interval> {
    let ends = |own: Success| Some((own.rate()?, wilson(own.k, own.n, level)?));
    let ((p, own), (q, other)) = (ends(first)?, ends(second)?);
    let low = (p - own.low).hypot(other.high - q);
    let high = (own.high - p).hypot(q - other.low);
    Some(Interval { low: p - q - low, high: p - q + high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Alternative::*;

    fn close(found: Option<f64>, p: f64) {
        assert!((found.unwrap() - p).abs() < 1e-9, "{found:?} {p}");
    }

    // The lady tasting tea: all four right is one table of 70, three are 16 more.
    #[test]
    fn the_lady_tasting_tea() {
        let of = |k, other| (Success::new(k, 4), Success::new(other, 4));
        let p = |k, other, alternative| fisher_exact(of(k, other).0, of(k, other).1, alternative);
        close(p(4, 0, Greater), 1.0 / 70.0);
        close(p(3, 1, Greater), 17.0 / 70.0);
        close(p(3, 1, TwoSided), 34.0 / 70.0);
        close(p(3, 1, Less), 69.0 / 70.0);
        close(p(2, 2, TwoSided), 1.0);
        close(p(0, 0, TwoSided), 1.0);
        assert_eq!(fisher_exact(Success::new(0, 0), Success::new(1, 4), Greater), None);
        assert_eq!(fisher_exact(Success::new(5, 4), Success::new(1, 4), Greater), None);
    }

    // Newcombe 1998, table II: 56/70 − 48/80 and 9/10 − 3/10.
    #[test]
    fn differences_as_published() {
        for ((k, n), (l, m), low, high) in
            [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)]
        {
            let ends = newcombe(Success::new(k, n), Success::new(l, m), 0.95).unwrap();
            assert!((ends.low - low).abs() < 5e-5 && (ends.high - high).abs() < 5e-5, "{ends:?}");
        }
        let apart = newcombe(Success::new(5, 5), Success::new(0, 5), 0.95).unwrap();
        assert!(apart.low > 0.0 && apart.high == 1.0, "{apart:?}");
        assert_eq!(newcombe(Success::new(0, 0), Success::new(0, 5), 0.95), None);
    }
}
