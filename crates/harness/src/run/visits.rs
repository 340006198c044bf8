//! Which timing cells stand side by side, and when: a group's rounds are spread over several visits with other groups in
//! between, so that they see more of what the machine does than one stretch would, and no group waits long for its end.

use crate::plan::{Cell, Group};
use std::ops::Range;

/// Visits over which the rounds of a group are spread.
pub(super) const VISITS: u32 = 3;

/// Predicted seconds of the groups that are visited in turn: what an interrupt may lose.
const WINDOW: f64 = 45.0;

/// The share of the memory there is that cells standing side by side may be predicted to hold.
const MOST_MEMORY: f64 = 0.7;

/// Cells of a group that stand side by side.
pub(super) struct Unit<'a> {
    pub(super) group: &'a Group,
    pub(super) cells: Vec<&'a Cell>,
    /// Threads that compute.
    pub(super) threads: u32,
}

impl Unit<'_> {
    fn seconds(&self) -> f64 {
        self.cells.iter().filter_map(|cell| cell.predicted_seconds).sum()
    }
}

/// The rounds, of so many, that belong to a visit.
pub(super) fn share(rounds: u32, visit: u32) -> Range<u32> {
    let until = |visits: u32| rounds / VISITS * visits + (rounds % VISITS).min(visits);
    until(visit)..until(visit + 1)
}

/// Stretches of units that are visited in turn.
pub(super) fn windows(units: &[Unit<'_>]) -> Vec<Range<usize>> {
    fill(&units.iter().map(Unit::seconds).collect::<Vec<_>>(), WINDOW)
}

/// Cells that need so many bytes, in stretches, each of which fits into the memory there is: all together, wherever that is
/// possible.
pub(super) fn together(available: Option<u64>, needs: &[f64]) -> Vec<Range<usize>> {
    fill(needs, available.map_or(f64::INFINITY, |bytes| MOST_MEMORY * bytes as f64))
}

/// Neighbours in stretches of at most so much in all, or of one.
fn fill(sizes: &[f64], most: f64) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut held = 0.0;
    for (at, own) in sizes.iter().enumerate() {
        match stretches.last_mut() {
            Some(last) if held + own <= most => last.end = at + 1,
            _ => {
                stretches.push(at..at + 1);
                held = 0.0;
            }
        }
        held += own;
    }
    stretches
}

/// Why a cell that needs so many bytes is not tried: there are fewer.
pub(super) fn too_big(available: Option<u64>, needs: Option<f64>) -> Option<String> {
    let (available, needs) = (available? as f64, needs?);
    (needs > available).then(|| {
        format!(
            "predicted {:.1} GB of memory, of which {:.1} GB are available",
            1e-9 * needs,
            1e-9 * available
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_share_all_rounds_in_their_order() {
        let shares = |rounds| [0, 1, 2].map(|visit| share(rounds, visit));
        assert_eq!(shares(9), [0..3, 3..6, 6..9]);
        assert_eq!(shares(7), [0..3, 3..5, 5..7]);
        assert_eq!(shares(1), [0..1, 1..1, 1..1]);
    }

    #[test]
    fn cells_stand_side_by_side_as_far_as_memory_lasts() {
        let needs = [300.0, 400.0, 100.0, 900.0, 10.0];
        let all = std::slice::from_ref(&(0..5)).to_vec();
        assert_eq!((together(None, &needs), together(Some(100_000), &needs)), (all.clone(), all));
        assert_eq!(together(Some(1_000), &needs), [0..2, 2..3, 3..4, 4..5]);
        assert!(together(None, &[]).is_empty());
        let reason = too_big(Some(5_000_000_000), Some(9e9)).unwrap();
        assert_eq!(reason, "predicted 9.0 GB of memory, of which 5.0 GB are available");
        assert_eq!(
            [too_big(Some(900), Some(900.0)), too_big(None, Some(1e30)), too_big(Some(1), None)],
            [None, None, None]
        );
    }
}
