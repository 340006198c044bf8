//! Seeded random numbers. Every stream belongs to (seed, purpose, index), never to a thread, so a batch can
//! be made again alone, and a resumed run draws what an undisturbed one would have drawn.
//!
//! The generator is ChaCha with 8 rounds (Bernstein 2008), named and portable. Floating-point numbers are made
//! here from its 32-bit words, with `libm`, because no library promises to keep its own conversions.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for. Streams of different purposes never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Initial values of parameters.
    Init,
    /// Training samples.
    Train,
    /// Validation samples: what selection and learning curves see.
    Validation,
    /// Test samples: what is reported.
    Test,
    /// The order in which a finite training set is visited.
    Order,
    /// What is fixed for a whole task whatever the run, such as a permutation of pixels.
    Fixture,
    /// Samples of gradient probes.
    Probe,
    /// Samples of throughput passes.
    Timing,
    /// Answers dealt out anew, for a negative control.
    Shuffle,
}

/// Disjoint ranges of seeds, so that nothing is tuned on what is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeedRange {
    /// Reported runs.
    Reporting,
    /// Trials of a learning-rate selection.
    Tuning,
    /// Exploration by hand.
    Pilot,
}

impl SeedRange {
    /// The `i`-th seed of the range; ranges hold 2³² seeds each.
    pub fn seed(self, i: u32) -> u64 {
        let range: u64 = match self {
            SeedRange::Reporting => 0,
            SeedRange::Tuning => 1,
            SeedRange::Pilot => 2,
        };
        (range << 32) | u64::from(i)
    }
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// The stream of (seed, purpose, index).
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let tag: u64 = match purpose {
            Purpose::Init => 1,
            Purpose::Train => 2,
            Purpose::Validation => 3,
            Purpose::Test => 4,
            Purpose::Order => 5,
            Purpose::Fixture => 6,
            Purpose::Probe => 7,
            Purpose::Timing => 8,
            Purpose::Shuffle => 9,
        };
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&tag.to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        key[24..].copy_from_slice(b"seqbench");
        Stream { generator: ChaCha8Rng::from_seed(key) }
    }

    /// The stream of (seed, purpose, name): for what is found by name, such as a parameter, so that adding one
    /// moves no other.
    pub fn named(seed: u64, purpose: Purpose, name: &str) -> Self {
        // FNV-1a, 64 bits: short, and fixed for ever.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Stream::new(seed, purpose, hash)
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.generator.next_u32()
    }

    /// Uniform on [0, 1), with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        let high = u64::from(self.bits() >> 5);
        let low = u64::from(self.bits() >> 6);
        ((high << 26) | low) as f64 / (1u64 << 53) as f64
    }

    /// Uniform on [low, high).
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform on 0..n without bias (Lemire 2019). `n` of 0 counts as 1.
    pub fn below(&mut self, n: usize) -> usize {
        let n = (n.clamp(1, u32::MAX as usize)) as u32;
        let reject = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.bits()) * u64::from(n);
            if product as u32 >= reject {
                return (product >> 32) as usize;
            }
        }
    }

    /// Uniform on `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Standard normal (Box and Muller 1958; the second of each pair is dropped, so that a stream has no
    /// hidden state).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform();
        let v = self.uniform();
        libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v)
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// `k` distinct numbers of 0..n in random order (a partial shuffle); all of them where `k` exceeds `n`.
    pub fn distinct(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        let k = k.min(n);
        for i in 0..k {
            let j = i + self.below(n - i);
            all.swap(i, j);
        }
        all.truncate(k);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_never_change() {
        let mut stream = Stream::new(7, Purpose::Train, 3);
        let first: Vec<u32> = (0..4).map(|_| stream.bits()).collect();
        assert_eq!(first, GOLDEN);
    }
    const GOLDEN: [u32; 4] = [2_288_001_205, 791_888_011, 320_075_111, 2_009_942_151];

    #[test]
    fn seeds_purposes_and_indices_give_different_streams() {
        let first = |seed, purpose, index| Stream::new(seed, purpose, index).bits();
        let all = [
            first(0, Purpose::Train, 0),
            first(1, Purpose::Train, 0),
            first(0, Purpose::Test, 0),
            first(0, Purpose::Train, 1),
            Stream::named(0, Purpose::Init, "a").bits(),
            Stream::named(0, Purpose::Init, "b").bits(),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn seed_ranges_are_disjoint() {
        assert!(SeedRange::Reporting.seed(u32::MAX) < SeedRange::Tuning.seed(0));
        assert!(SeedRange::Tuning.seed(u32::MAX) < SeedRange::Pilot.seed(0));
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut stream = Stream::new(1, Purpose::Test, 0);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        assert!(counts.iter().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
    }

    #[test]
    fn normal_has_mean_zero_and_deviation_one() {
        let mut stream = Stream::new(1, Purpose::Init, 0);
        let values: Vec<f64> = (0..50_000).map(|_| stream.normal()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn distinct_numbers_are_distinct() {
        let mut stream = Stream::new(1, Purpose::Fixture, 0);
        let mut drawn = stream.distinct(100, 40);
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 40);
        assert!(drawn.iter().all(|i| *i < 100));
    }
}
