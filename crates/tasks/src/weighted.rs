//! Weighted draws without replacement.

use seqbench_core::Stream;

/// Weights as the leaves of a binary tree of sums, so that a draw, a removal and a return each take the
/// logarithm of their number. Sums are always recomputed from below, so that no rounding error stays behind.
pub(crate) struct Weighted {
    /// Node 1 is the root; the children of `i` are `2i` and `2i + 1`; leaf `i` is `leaves + i`.
    sums: Vec<f64>,
    leaves: usize,
}

impl Weighted {
    /// A tree over these weights, positive and finite.
    pub(crate) fn new(weights: impl ExactSizeIterator<Item = f64>) -> Self {
        let leaves = weights.len().max(1).next_power_of_two();
        let mut sums = vec![0.0; 2 * leaves];
        for (leaf, weight) in sums[leaves..].iter_mut().zip(weights) {
            *leaf = weight;
        }
        for node in (1..leaves).rev() {
            sums[node] = sums[2 * node] + sums[2 * node + 1];
        }
        Weighted { sums, leaves }
    }

    /// `count` distinct indices into `drawn`, one after the other, each with probability proportional to its
    /// weight among those still there; at most as many as there are.
    pub(crate) fn draw(&mut self, rng: &mut Stream, count: usize, drawn: &mut Vec<usize>) {
        drawn.clear();
        let mut removed = Vec::with_capacity(count);
        for _ in 0..count {
            if self.sums[1] <= 0.0 {
                break;
            }
            let index = self.find(rng.uniform() * self.sums[1]);
            removed.push(self.sums[self.leaves + index]);
            drawn.push(index);
            self.set(index, 0.0);
        }
        for (index, weight) in drawn.iter().zip(removed) {
            self.set(*index, weight);
        }
    }

    fn find(&self, mut at: f64) -> usize {
        let mut node = 1;
        while node < self.leaves {
            let left = self.sums[2 * node];
            // Rounding may carry `at` past the last weight; an emptied subtree is never entered.
            if at < left || self.sums[2 * node + 1] <= 0.0 {
                node *= 2;
            } else {
                at -= left;
                node = 2 * node + 1;
            }
        }
        node - self.leaves
    }

    fn set(&mut self, index: usize, weight: f64) {
        let mut node = self.leaves + index;
        self.sums[node] = weight;
        while node > 1 {
            node /= 2;
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::Purpose;

    #[test]
    fn draws_are_distinct_and_complete() {
        let mut weighted = Weighted::new((0..7).map(|i| 1.0 / f64::from(i + 1)));
        let mut rng = Stream::new(0, Purpose::Test, 0);
        let mut drawn = Vec::new();
        let before = weighted.sums.clone();
        for _ in 0..100 {
            weighted.draw(&mut rng, 7, &mut drawn);
            let mut sorted = drawn.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
        weighted.draw(&mut rng, 9, &mut drawn);
        assert_eq!(drawn.len(), 7);
        assert_eq!(weighted.sums, before);
    }

    #[test]
    fn first_and_second_draws_have_the_probabilities_of_their_weights() {
        let mut weighted = Weighted::new([6.0, 3.0, 1.0].into_iter());
        let mut rng = Stream::new(0, Purpose::Test, 1);
        let mut drawn = Vec::new();
        let (mut first, mut pairs) = ([0u32; 3], 0u32);
        for _ in 0..20_000 {
            weighted.draw(&mut rng, 2, &mut drawn);
            first[drawn[0]] += 1;
            pairs += u32::from(drawn == [1, 0]);
        }
        for (count, expected) in first.iter().zip([0.6, 0.3, 0.1]) {
            assert!((f64::from(*count) / 20_000.0 - expected).abs() < 0.015, "{first:?}");
        }
        // 0.3 for the first, then 6 of the 7 that are left.
        assert!((f64::from(pairs) / 20_000.0 - 0.3 * 6.0 / 7.0).abs() < 0.015, "{pairs}");
    }
}
