//! Where values lie: mean, median, quantiles, interquartile mean.

/// Arithmetic mean, summed in the order given; none for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation (divisor n − 1); none below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Median; the mean of the middle two for an even number, none for no values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Quantile by linear interpolation between order statistics (Hyndman and Fan 1996, type 7: numpy's and R's
/// default). `q` outside 0..=1 is taken to the nearer end. None for no values.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Infinities are legitimate values here (a censored time), and ∞ − ∞ is not.
    if below == above { Some(below) } else { Some(below + (above - below) * place.fract()) }
}

/// Mean of the middle half: a quarter of the weight is cut from either end, values on the cut count in part.
/// None for no values.
pub fn interquartile_mean(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let (low, high) = (n / 4.0, 3.0 * n / 4.0);
    let weighted = sorted.iter().enumerate().map(|(i, value)| {
        let weight = (high.min(i as f64 + 1.0) - low.max(i as f64)).max(0.0);
        if weight > 0.0 { value * weight } else { 0.0 }
    });
    (!sorted.is_empty()).then(|| weighted.sum::<f64>() / (n / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_hand() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(mean(&values), Some(2.5));
        assert_eq!(median(&values), Some(2.5));
        // Squares about 2.5: 2.25 + 0.25 + 0.25 + 2.25 = 5, over 3.
        assert_eq!(standard_deviation(&values), Some((5.0f64 / 3.0).sqrt()));
        // Type 7: place 0.1·3 = 0.3 between 1 and 2.
        assert!((quantile(&values, 0.1).unwrap() - 1.3).abs() < 1e-15);
        assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (Some(1.0), Some(4.0)));
        assert_eq!(interquartile_mean(&values), Some(2.5));
        assert_eq!(median(&[5.0, 1.0, 100.0]), Some(5.0));
    }

    #[test]
    fn the_interquartile_mean_ignores_the_tails_and_weighs_what_lies_on_the_cut() {
        assert_eq!(interquartile_mean(&[-1e9, 2.0, 4.0, 1e9]), Some(3.0));
        // n = 5: the middle 2.5 of weight, of which 0.75 on the 2nd and the 4th value and 1 on the 3rd.
        let expected = (0.75 * 10.0 + 20.0 + 0.75 * 60.0) / 2.5;
        assert_eq!(interquartile_mean(&[0.0, 10.0, 20.0, 60.0, 1e300]), Some(expected));
        assert_eq!(interquartile_mean(&[7.0]), Some(7.0));
    }

    #[test]
    fn nothing_is_absent_and_one_value_has_no_spread() {
        assert_eq!(
            (mean(&[]), median(&[]), quantile(&[], 0.9), interquartile_mean(&[])),
            (None, None, None, None)
        );
        assert_eq!((standard_deviation(&[]), standard_deviation(&[1.0])), (None, None));
    }

    #[test]
    fn infinite_values_make_no_nan_of_a_median() {
        assert_eq!(median(&[1.0, f64::INFINITY, f64::INFINITY]), Some(f64::INFINITY));
        assert_eq!(median(&[1.0, 2.0, f64::INFINITY]), Some(2.0));
        assert_eq!(median(&[1.0, f64::INFINITY]), Some(f64::INFINITY));
        assert_eq!(quantile(&[1.0, 2.0, f64::INFINITY], 0.5), Some(2.0));
    }
}
