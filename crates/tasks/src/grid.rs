//! Grids of lengths to evaluate at.

/// At most `points` lengths from 1 to `last`, evenly spaced on a logarithmic scale, ascending and distinct; the
/// last is `last`.
pub(crate) fn logarithmic(last: usize, points: usize) -> Vec<usize> {
    let last = last.max(1);
    let steps = points.saturating_sub(1).max(1);
    let at = |i: usize| libm::round(libm::pow(last as f64, i as f64 / steps as f64)) as usize;
    let mut lengths: Vec<usize> = (0..steps).map(|i| at(i).clamp(1, last)).collect();
    lengths.push(last);
    lengths.dedup();
    lengths
}

/// At most `points` lengths from `first` to `last`, both included, evenly spaced, ascending and distinct; none
/// where `last` is less than `first`.
pub(crate) fn linear(first: usize, last: usize, points: usize) -> Vec<usize> {
    if last < first {
        return Vec::new();
    }
    let steps = points.saturating_sub(1).max(1);
    let mut lengths: Vec<usize> = (0..=steps).map(|i| first + (last - first) * i / steps).collect();
    lengths.dedup();
    lengths
}

/// The powers of two from `first` to `last`.
pub(crate) fn doubling(first: usize, last: usize) -> Vec<usize> {
    let start = first.max(1).next_power_of_two();
    std::iter::successors(Some(start), |length| length.checked_mul(2))
        .take_while(|length| *length <= last)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithmic_grids_end_at_the_last_and_hold_no_length_twice() {
        assert_eq!(logarithmic(30, 5), [1, 2, 5, 13, 30]);
        assert_eq!(logarithmic(1000, 5), [1, 6, 32, 178, 1000]);
        assert_eq!(logarithmic(2, 5), [1, 2]);
        assert_eq!(logarithmic(1, 5), [1]);
    }

    #[test]
    fn doubling_grids_hold_every_power_of_two_between_both_ends() {
        assert_eq!(doubling(65, 512), [128, 256, 512]);
        assert_eq!(doubling(64, 100), [64]);
        assert!(doubling(65, 127).is_empty());
    }

    #[test]
    fn linear_grids_hold_both_ends() {
        assert_eq!(linear(5, 9, 3), [5, 7, 9]);
        assert_eq!(linear(5, 6, 20), [5, 6]);
        assert_eq!(linear(5, 5, 20), [5]);
        assert!(linear(5, 4, 20).is_empty());
        let grid = linear(41, 500, 20);
        assert_eq!((grid.len(), grid[0], grid[19]), (20, 41, 500));
    }
}
