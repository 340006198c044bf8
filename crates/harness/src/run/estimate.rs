//! Time left, from what was predicted and what it took.

use crate::clock::Clock;
use std::time::Duration;

/// Compares predictions with the clock as cells end.
pub(super) struct Estimate<'a> {
    clock: &'a dyn Clock,
    start: Duration,
    /// Predicted seconds of all cells that are to run.
    total: f64,
    /// Predicted seconds of those that have ended.
    ended: f64,
}

/// No cell counts for less than this: a start costs something too.
const LEAST: f64 = 0.05;

impl<'a> Estimate<'a> {
    pub(super) fn new(clock: &'a dyn Clock, predicted: impl Iterator<Item = Option<f64>>) -> Self {
        let total = predicted.map(weight).sum();
        Estimate { clock, start: clock.now(), total, ended: 0.0 }
    }

    /// A cell has ended.
    pub(super) fn end(&mut self, predicted: Option<f64>) {
        self.ended += weight(predicted);
    }

    /// Nothing before the first cell has ended. Cells under way count as not begun: an upper estimate.
    pub(super) fn left(&self) -> Option<Duration> {
        let elapsed = self.clock.now().saturating_sub(self.start).as_secs_f64();
        if self.ended <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(elapsed / self.ended * (self.total - self.ended).max(0.0)).ok()
    }
}

fn weight(predicted: Option<f64>) -> f64 {
    predicted.unwrap_or(1.0).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;

    #[test]
    fn time_left_follows_what_cells_took() {
        let clock = FakeClock::new();
        clock.advance(Duration::from_secs(1000));
        let mut estimate = Estimate::new(&clock, [Some(1.0), Some(3.0), Some(4.0)].into_iter());
        clock.advance(Duration::from_secs(10));
        assert_eq!(estimate.left(), None);
        estimate.end(Some(1.0));
        assert_eq!(estimate.left(), Some(Duration::from_secs(70)));
        clock.advance(Duration::from_secs(10));
        estimate.end(Some(3.0));
        assert_eq!(estimate.left(), Some(Duration::from_secs(20)));
        estimate.end(Some(4.0));
        assert_eq!(estimate.left(), Some(Duration::ZERO));
    }
}
