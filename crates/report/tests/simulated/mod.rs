//! Values to simulate with.

// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use seqbench_report::statistics::{Draws, Waited};

/// Draws of some distributions.
pub(crate) struct Source(Draws);

impl Source {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Draws::new(seed))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    /// Standard normal (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// Exponential of mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    pub(crate) fn normals(&mut self, n: usize) -> Vec<f64> {
        self.about(n, 0.0)
    }

    /// Normal about something, of deviation 1.
    pub(crate) fn about(&mut self, n: usize, centre: f64) -> Vec<f64> {
        (0..n).map(|_| centre + self.normal()).collect()
    }

    /// Exponential times of a mean, cut by a budget of 3000.
    pub(crate) fn waits(&mut self, n: usize, mean: f64) -> Vec<Waited> {
        const BUDGET: f64 = 3000.0;
        let mut wait = || mean * self.exponential();
        (0..n)
            .map(|_| wait())
            .map(|time| Waited { time: time.min(BUDGET), reached: time <= BUDGET })
            .collect()
    }

    /// How many of `n` succeed.
    pub(crate) fn successes(&mut self, n: usize, rate: f64) -> usize {
        (0..n).filter(|_| self.uniform() < rate).count()
    }
}
