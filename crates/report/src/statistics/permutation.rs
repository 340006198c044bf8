//! The exact unpaired permutation test of a difference of means, and the interval that inverts it.
//!
//! If `a` less some shift and `b` are of one distribution, every split of the pooled values into two groups of their sizes
//! was as likely as the one that was seen (Fisher 1935, *The Design of Experiments*, section 21; Pitman 1937, "Significance
//! tests which may be applied to samples from any populations"). Nothing else is assumed of the distribution, but the test
//! is of it as a whole: of groups that differ in spread alone it may reject.
//!
//! A split that swaps m values of `a` for m of `b` has a difference as large as the one seen, `a` shifted by `margin`, where
//! (Σ out of `a` − Σ out of `b`)/m ≤ `margin`. These thresholds are all there is to know: p at a margin is their share up to
//! it, and the ends of the interval are order statistics of them (Tritchler 1984, "On inverting permutation tests"). They
//! are counted without being listed: sums of m of `a` and sums of m of `b`, each sorted, meet in one walk.

use super::tested::{Alternative, DRAWN, SEED, TIE, Tested};
use super::{Draws, Interval};

/// Most subsets of either group whose sums are held for an exact test: 20 against 20 are 2²¹ of them, and 1.4·10¹¹ splits.
/// Of larger groups, splits are drawn.
pub const MOST_SUBSETS: f64 = (1u64 << 21) as f64;

/// Tests that the mean of `a` exceeds that of `b` by more than `margin` (by less, or by something else). Exact up to
/// [`MOST_SUBSETS`]; of larger groups (k + 1)/(n + 1) of 99,999 drawn splits (Phipson & Smyth 2010). Two-sided p is twice the
/// smaller of both sides'. None without values on either side, or where one is not finite.
pub fn permutation(a: &[f64], b: &[f64], margin: f64, alternative: Alternative) -> Option<Tested> {
    let thresholds = Thresholds::of(a, b).filter(|_| margin.is_finite())?;
    let (greater, less) = (thresholds.up_to(margin), thresholds.from(margin));
    let p = alternative.p(greater / thresholds.arrangements, less / thresholds.arrangements);
    Some(Tested { p, arrangements: thresholds.arrangements as u64, exact: thresholds.is_exact() })
}

/// The shifts of `a` that the two-sided test does not reject at 1 − `level`: an interval of mean(a) − mean(b) if `a` and `b`
/// differ by a shift. Its level is at least `level`, whatever the distribution. None where no split of so few values is
/// rare enough, and as for [`permutation`].
pub fn permutation_interval(a: &[f64], b: &[f64], level: f64) -> Option<Interval> {
    let thresholds = Thresholds::of(a, b).filter(|_| super::interval::within(level))?;
    // 1 − 0.9 is a little less than 0.1, and a p of 0.1 rejects at 0.9.
    let rejected = thresholds.arrangements * (1.0 - level) / 2.0 * (1.0 + TIE);
    if rejected < 1.0 {
        return None;
    }
    let ends = |values: &[f64]| {
        let of = |pick: fn(f64, f64) -> f64, start| values.iter().copied().fold(start, pick);
        (of(f64::min, f64::INFINITY), of(f64::max, f64::NEG_INFINITY))
    };
    let ((a_least, a_most), (b_least, b_most)) = (ends(a), ends(b));
    let outside = 1.0 + TIE * (a_most - a_least + b_most - b_least).abs();
    let (below, above) = (a_least - b_most - outside, a_most - b_least + outside);
    let tie = thresholds.tie;
    Some(Interval {
        low: first(below, above, tie, |margin| thresholds.up_to(margin) > rejected),
        high: -first(-above, -below, tie, |margin| thresholds.from(-margin) > rejected),
    })
}

/// The smallest p that the test of groups of these sizes can give: one split of all.
pub fn smallest_p(a: usize, b: usize, alternative: Alternative) -> f64 {
    (alternative.sides() / choose(a + b, a)).min(1.0)
}

/// Number of ways to choose, exact below 2⁵³.
pub(super) fn choose(from: usize, count: usize) -> f64 {
    let count = count.min(from - count.min(from));
    (0..count).fold(1.0, |ways, i| ways * (from - i) as f64 / (i + 1) as f64)
}

/// Where a condition that stays true once it is becomes true, to within `resolution`.
fn first(mut below: f64, mut above: f64, resolution: f64, holds: impl Fn(f64) -> bool) -> f64 {
    while above - below > resolution {
        let middle = below + (above - below) / 2.0;
        if middle <= below || middle >= above {
            break;
        }
        if holds(middle) { above = middle } else { below = middle }
    }
    above
}

/// The thresholds of all splits, or of drawn ones.
struct Thresholds {
    known: Known,
    arrangements: f64,
    tie: f64,
}

enum Known {
    /// Sums of the subsets of either group, rising, by their size from 1 on.
    All(Vec<[Vec<f64>; 2]>),
    /// Thresholds, rising; splits that swap none have none.
    Drawn { thresholds: Vec<f64>, unchanged: f64 },
}

impl Thresholds {
    fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if a.is_empty() || b.is_empty() || a.iter().chain(b).any(|value| !value.is_finite()) {
            return None;
        }
        // The order in which seeds come is no property of the values.
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        };
        let (a, b) = (sorted(a), sorted(b));
        let tie = TIE * a.iter().chain(&b).fold(0.0f64, |most, value| most.max(value.abs()));
        let most = a.len().min(b.len());
        let subsets: f64 = (1..=most).map(|size| choose(a.len(), size) + choose(b.len(), size)).sum();
        if subsets <= MOST_SUBSETS {
            let known = Known::All((1..=most).map(|size| [sums(&a, size), sums(&b, size)]).collect());
            return Some(Self { known, arrangements: choose(a.len() + b.len(), most), tie });
        }
        Some(Self { known: drawn(&a, &b), arrangements: DRAWN as f64 + 1.0, tie })
    }

    fn is_exact(&self) -> bool {
        matches!(self.known, Known::All(_))
    }

    /// Arrangements with thresholds up to a margin, the one seen included.
    fn up_to(&self, margin: f64) -> f64 {
        self.arrangements - self.beyond(margin + self.tie, f64::lt)
    }

    /// Arrangements with thresholds from a margin on, the one seen included.
    fn from(&self, margin: f64) -> f64 {
        let unchanged = if let Known::Drawn { unchanged, .. } = self.known { unchanged } else { 0.0 };
        1.0 + unchanged + self.beyond(margin - self.tie, f64::le)
    }

    /// Thresholds that a margin is less than, or at most.
    fn beyond(&self, margin: f64, is_before: fn(&f64, &f64) -> bool) -> f64 {
        match &self.known {
            Known::All(sums) => {
                let counts = sums.iter().zip(1u32..).map(|([a, b], size)| {
                    // As a's sum rises, more of b's are small enough.
                    let shift = f64::from(size) * margin;
                    let mut small = 0;
                    let pairs = a.iter().map(|own| {
                        while small < b.len() && is_before(&b[small], &(own - shift)) {
                            small += 1;
                        }
                        small as f64
                    });
                    pairs.sum::<f64>()
                });
                counts.sum::<f64>()
            }
            Known::Drawn { thresholds, .. } => {
                (thresholds.len() - thresholds.partition_point(|own| !is_before(&margin, own))) as f64
            }
        }
    }
}

/// Sums of all subsets of a size, rising.
fn sums(values: &[f64], size: usize) -> Vec<f64> {
    fn add(values: &[f64], left: usize, so_far: f64, into: &mut Vec<f64>) {
        if left == 0 {
            into.push(so_far);
            return;
        }
        for (i, value) in values.iter().enumerate().take((values.len() + 1).saturating_sub(left)) {
            add(&values[i + 1..], left - 1, so_far + value, into);
        }
    }
    let mut found = Vec::new();
    add(values, size, 0.0, &mut found);
    found.sort_by(f64::total_cmp);
    found
}

fn drawn(a: &[f64], b: &[f64]) -> Known {
    let mut draws = Draws::new(SEED);
    let mut places: Vec<usize> = (0..a.len() + b.len()).collect();
    let (mut thresholds, mut unchanged) = (Vec::new(), 0.0);
    for _ in 0..DRAWN {
        draws.choose(&mut places, a.len());
        let (mut swapped, mut shift) = (0.0, 0.0);
        for (at, place) in places.iter().enumerate() {
            match (at < a.len(), place.checked_sub(a.len())) {
                (false, None) => {
                    swapped += 1.0;
                    shift += a[*place];
                }
                (true, Some(place)) => shift -= b[place],
                _ => {}
            }
        }
        if swapped > 0.0 { thresholds.push(shift / swapped) } else { unchanged += 1.0 }
    }
    thresholds.sort_by(f64::total_cmp);
    Known::Drawn { thresholds, unchanged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(a: &[f64], b: &[f64], margin: f64, alternative: Alternative) -> f64 {
        permutation(a, b, margin, alternative).unwrap().p
    }

    #[test]
    fn known_by_hand() {
        // Ten splits of 1 … 5 into two and three. 4 + 5 is the largest sum of two; 3 + 5 the second.
        use Alternative::*;
        assert_eq!(p(&[5.0, 4.0], &[1.0, 2.0, 3.0], 0.0, Greater), 0.1);
        assert_eq!(p(&[5.0, 3.0], &[1.0, 2.0, 4.0], 0.0, Greater), 0.2);
        assert_eq!(p(&[5.0, 3.0], &[1.0, 2.0, 4.0], 0.0, Less), 0.9);
        assert_eq!(p(&[5.0, 4.0], &[1.0, 2.0, 3.0], 0.0, TwoSided), 0.2);
        // All equal: every split ties.
        assert_eq!(p(&[0.3, 0.1 + 0.2], &[0.3, 0.3], 0.0, Greater), 1.0);
        let found = permutation(&[1.0; 8], &[0.0; 8], 0.0, Greater).unwrap();
        assert_eq!((found.p * 12_870.0, found.arrangements, found.exact), (1.0, 12_870, true));
    }

    #[test]
    fn a_margin_shifts() {
        use Alternative::*;
        // Less 2, 5 and 4 are 3 and 2. Of 3, 2, 1, 2, 3 five pairs in ten have their sum or more: 3 + 2 four times, 3 + 3 once.
        assert_eq!(p(&[5.0, 4.0], &[1.0, 2.0, 3.0], 2.0, Greater), 0.5);
        assert_eq!(p(&[5.0, 4.0], &[1.0, 2.0, 3.0], 100.0, Less), 0.1);
    }

    #[test]
    fn the_smallest_p_is_one_split() {
        use Alternative::*;
        assert_eq!((smallest_p(3, 3, TwoSided), smallest_p(3, 3, Greater)), (0.1, 0.05));
        assert_eq!(smallest_p(5, 5, TwoSided), 2.0 / 252.0);
        assert_eq!(smallest_p(8, 8, TwoSided), 2.0 / 12_870.0);
        assert_eq!((smallest_p(1, 0, TwoSided), smallest_p(1, 1, TwoSided)), (1.0, 1.0));
    }

    #[test]
    fn nothing_to_test_is_absent() {
        use Alternative::*;
        assert_eq!(permutation(&[], &[1.0], 0.0, Greater), None);
        assert_eq!(permutation(&[1.0], &[f64::NAN], 0.0, Greater), None);
        assert_eq!(permutation(&[1.0], &[1.0], f64::INFINITY, Greater), None);
        assert_eq!(permutation_interval(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 0.95), None, "3 against 3");
        assert!(permutation_interval(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 0.9).is_some());
    }

    #[test]
    fn twenty_a_side_are_exact_and_more_are_drawn() {
        let values = |n: usize, shift: f64| (0..n).map(|i| (i * i % 17) as f64 + shift).collect::<Vec<_>>();
        let exact = permutation(&values(20, 4.0), &values(20, 0.0), 0.0, Alternative::Greater).unwrap();
        assert_eq!((exact.exact, exact.arrangements), (true, 137_846_528_820));
        let drawn = permutation(&values(21, 4.0), &values(21, 0.0), 0.0, Alternative::Greater).unwrap();
        assert_eq!((drawn.exact, drawn.arrangements), (false, 100_000));
        // One value against many is few splits.
        assert!(permutation(&[1.0], &values(500, 0.0), 0.0, Alternative::Less).unwrap().exact);
    }

    #[test]
    fn drawn_splits_agree_with_all_of_them() {
        let mut draws = Draws::new(1);
        let mut values = |shift: f64| (0..10).map(|_| draws.uniform() + shift).collect::<Vec<_>>();
        let (a, b) = (values(0.25), values(0.0));
        let all = Thresholds::of(&a, &b).unwrap();
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        };
        let some = Thresholds {
            known: drawn(&sorted(&a), &sorted(&b)),
            arrangements: DRAWN as f64 + 1.0,
            tie: all.tie,
        };
        let share = |of: &Thresholds| of.up_to(0.0) / of.arrangements;
        // Five standard errors of a share of 10⁵.
        let error = 5.0 * (share(&all) / 1e5).sqrt();
        assert!((share(&all) - share(&some)).abs() < error, "{} {}", share(&all), share(&some));
        let from = |of: &Thresholds| of.from(0.1) / of.arrangements;
        assert!((from(&all) - from(&some)).abs() < 5.0 * (0.25f64 / 1e5).sqrt());
    }

    proptest! {
        #[test]
        fn the_interval_is_what_the_test_does_not_reject(
            a in prop::collection::vec(-4i8..4, 4..7),
            b in prop::collection::vec(-4i8..4, 4..7),
        ) {
            let of = |values: &[i8]| values.iter().map(|value| f64::from(*value) / 10.0).collect::<Vec<_>>();
            let (a, b) = (of(&a), of(&b));
            let ends = permutation_interval(&a, &b, 0.9).unwrap();
            let rejects = |margin: f64| p(&a, &b, margin, Alternative::TwoSided) <= 0.1 + 1e-9;
            prop_assert!(rejects(ends.low - 1e-6) && rejects(ends.high + 1e-6));
            prop_assert!(!rejects(ends.low + 1e-6) || ends.high - ends.low < 3e-6);
            prop_assert!(!rejects((ends.low + ends.high) / 2.0));
        }

        #[test]
        fn sides_are_mirrors_and_order_does_not_matter(
            a in prop::collection::vec(-1.0f64..1.0, 1..7),
            b in prop::collection::vec(-1.0f64..1.0, 1..7),
        ) {
            use Alternative::*;
            let reversed: Vec<f64> = a.iter().rev().copied().collect();
            prop_assert_eq!(permutation(&a, &b, 0.1, Greater), permutation(&reversed, &b, 0.1, Greater));
            prop_assert_eq!(p(&a, &b, 0.1, Greater), p(&b, &a, -0.1, Less));
            prop_assert!(p(&a, &b, 0.0, TwoSided) >= smallest_p(a.len(), b.len(), TwoSided));
        }
    }
}
