//! Statistics over few values: seeds, rounds, samples. Plain functions; what is drawn is drawn from a stated seed, so that the
//! same values give the same answer.
//!
//! What cannot be said is absent, not zero: one seed has a mean and no interval, no seed has neither.

mod curvature;
mod difference;
mod drift;
mod holm;
mod interval;
mod line;
mod location;
mod log_rank;
mod permutation;
mod random;
mod rates;
mod resample;
mod seeds;
mod signs;
mod survival;
mod tested;

pub use curvature::{Curvature, curvature};
pub use difference::{pooled_deviation, welch};
pub use drift::{Pooled, Shift, Visited, pool};
pub use holm::holm;
pub use interval::{Interval, LEVEL, median_interval, student_quantile, student_tail, t_interval, wilson};
pub use line::{Line, least_squares, slope_error};
pub use location::{interquartile_mean, mean, median, quantile, standard_deviation};
pub use log_rank::{LogRank, log_rank};
pub use permutation::{MOST_SUBSETS, permutation, permutation_interval, smallest_p};
pub use random::Draws;
pub use rates::{fisher_exact, newcombe};
pub use resample::{RESAMPLES, stratified_difference, stratified_interval, stratified_permutation};
pub use seeds::{fewest_seeds, seeds_needed};
pub use signs::{MOST_FLIPPED, paired_sign_flip, sign_flip, sign_test, smallest_flip_p};
pub use survival::{Fall, KaplanMeier, MedianInterval, MedianTime, Waited};
pub use tested::{Alternative, Tested};

use serde::Serialize;

/// A value of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SeedValue {
    /// The seed.
    pub seed: u64,
    /// Its value.
    pub value: f64,
}

/// A mean over seeds with its [`LEVEL`] t interval, and every seed's own value.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Every seed's value, by seed.
    pub values: Vec<SeedValue>,
    /// Their number.
    pub n: usize,
    /// Their arithmetic mean; none for no values.
    pub mean: Option<f64>,
    /// The interval of the mean; none below two values, or where one is not finite. It is symmetric and may
    /// reach beyond what the quantity can be.
    pub interval: Option<Interval>,
}

impl Estimate {
    /// The estimate from every seed's value.
    pub fn new(mut values: Vec<SeedValue>) -> Self {
        values.sort_by(|a, b| a.seed.cmp(&b.seed).then_with(|| a.value.total_cmp(&b.value)));
        let plain: Vec<_> = values.iter().map(|seed| seed.value).collect();
        Self { n: plain.len(), mean: mean(&plain), interval: t_interval(&plain, LEVEL), values }
    }

    /// Half the width of the interval.
    pub fn half_width(&self) -> Option<f64> {
        self.interval.map(|interval| (interval.high - interval.low) / 2.0)
    }
}

/// How many of how many succeeded, with the [`LEVEL`] Wilson interval of the rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Success {
    /// How many did.
    pub k: usize,
    /// Of how many.
    pub n: usize,
    /// Interval of the rate; none for n = 0.
    pub interval: Option<Interval>,
}

impl Success {
    /// `k` of `n`.
    pub fn new(k: usize, n: usize) -> Self {
        Self { k, n, interval: wilson(k, n, LEVEL) }
    }

    /// The rate k/n; none for n = 0.
    pub fn rate(&self) -> Option<f64> {
        (self.n > 0).then(|| self.k as f64 / self.n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_has_a_mean_and_no_interval() {
        let one = Estimate::new(vec![SeedValue { seed: 3, value: 0.5 }]);
        assert_eq!((one.n, one.mean, one.interval, one.half_width()), (1, Some(0.5), None, None));
        let none = Estimate::new(Vec::new());
        assert_eq!((none.n, none.mean, none.interval), (0, None, None));
    }

    #[test]
    fn seeds_stand_in_order_and_the_order_they_came_in_does_not_matter() {
        let seeds = |order: [u64; 3]| {
            Estimate::new(order.map(|seed| SeedValue { seed, value: 0.1 * seed as f64 }).to_vec())
        };
        assert_eq!(seeds([2, 0, 1]), seeds([0, 1, 2]));
        assert_eq!(seeds([2, 0, 1]).values[0].seed, 0);
    }
}
