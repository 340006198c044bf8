//! Slopes of linear biases on attention scores: Press, Smith & Lewis 2022, "Train short, test long", section 3.

/// ALiBi's slope of each head: 2^(−8h/heads) for h = 1, 2, …; for a number of heads that is no power of two, those
/// of the next lower power followed by every other one of its double.
pub(crate) fn slopes(heads: usize) -> Vec<f64> {
    let series = |count: usize| (1..=count).map(move |head| libm::exp2(-8.0 * head as f64 / count as f64));
    if heads.is_power_of_two() {
        return series(heads).collect();
    }
    let lower = heads.next_power_of_two() / 2;
    series(lower).chain(series(2 * lower).step_by(2).take(heads - lower)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_paper() {
        assert_eq!(slopes(8)[..3], [0.5, 0.25, 0.125]);
        assert_eq!(slopes(2), [1.0 / 16.0, 1.0 / 256.0]);
        // Two heads' slopes, then the first and third of four.
        assert_eq!(slopes(3), [1.0 / 16.0, 1.0 / 256.0, 0.25]);
        assert_eq!(slopes(12).len(), 12);
    }
}
