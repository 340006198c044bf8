//! Many tests at once.

/// Adjusted p of a family, in its order: the k-th smallest times what is left of the family, no smaller than the one before
/// and at most 1 (Holm 1979, "A simple sequentially rejective multiple test procedure"). Rejecting where it is at most α
/// rejects any true hypothesis of the family with probability at most α, however the tests depend on each other. A test that
/// could not be made is NaN; it counts as 1, and as one of the family.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let p = |i: usize| if p_values[i].is_nan() { 1.0 } else { p_values[i].clamp(0.0, 1.0) };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|i, j| p(*i).total_cmp(&p(*j)).then(i.cmp(j)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0f64;
    for (place, i) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - place) as f64 * p(i)).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_by_hand() {
        // 0.01·4 = 0.04, 0.02·3 = 0.06, 0.03·2 = 0.06, 0.04·1 no smaller.
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.02]);
        let expected = [0.06, 0.04, 0.06, 0.06];
        assert!(adjusted.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{adjusted:?}");
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }

    proptest! {
        #[test]
        fn it_lies_between_p_and_bonferroni_and_keeps_their_order(p in prop::collection::vec(0.0f64..=1.0, 1..20)) {
            let adjusted = holm(&p);
            for (i, own) in p.iter().enumerate() {
                prop_assert!(adjusted[i] >= *own && adjusted[i] <= (own * p.len() as f64).min(1.0));
                prop_assert!(p.iter().zip(&adjusted).all(|(q, other)| own > q || adjusted[i] <= *other));
            }
        }
    }
}
