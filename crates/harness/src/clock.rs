//! Time through a seam, so that what is said of time left can be tested without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Something that tells the time.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment; never runs backwards.
    fn now(&self) -> Duration;
}

/// The machine's monotonic clock, from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// A clock at zero.
    pub fn new() -> Self {
        RealClock { start: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct FakeClock {
    nanoseconds: AtomicU64,
}

impl FakeClock {
    /// A clock at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_clock_moves_when_told_and_a_real_one_by_itself() {
        let fake = FakeClock::new();
        assert_eq!(fake.now(), Duration::ZERO);
        fake.advance(Duration::from_millis(1500));
        assert_eq!(fake.now(), Duration::from_millis(1500));
        let real = RealClock::new();
        let first = real.now();
        assert!(real.now() >= first);
    }
}
