//! What a test is asked and what it answers.

use serde::Serialize;

/// On which side of the null hypothesis a test looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alternative {
    /// The first is more.
    Greater,
    /// The first is less.
    Less,
    /// Either.
    TwoSided,
}

impl Alternative {
    /// p from those of both sides; two-sided it is twice the smaller, which leaves each side half of the level whatever the
    /// shape of the distribution (Cox & Hinkley 1974, section 3.4).
    pub fn p(self, greater: f64, less: f64) -> f64 {
        match self {
            Self::Greater => greater.min(1.0),
            Self::Less => less.min(1.0),
            Self::TwoSided => (2.0 * greater.min(less)).min(1.0),
        }
    }

    /// How many sides it looks on.
    pub fn sides(self) -> f64 {
        if self == Self::TwoSided { 2.0 } else { 1.0 }
    }
}

/// What a test by rearrangement says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tested {
    /// Probability of what was seen, or more, if the null hypothesis holds.
    pub p: f64,
    /// Arrangements it is a share of, the one that was seen included.
    pub arrangements: u64,
    /// Whether those are all there are; otherwise they were drawn, from a fixed seed.
    pub exact: bool,
}

/// Arrangements drawn where all are too many, without the one that was seen.
pub(super) const DRAWN: u64 = 99_999;

/// Seed of drawn arrangements: one for all, so that p is a function of the values.
pub(super) const SEED: u64 = 0x5eed;

/// Least difference that counts, as a share of the largest value: sums of the same values in another order differ by
/// rounding, and what is equal but for rounding is a tie.
pub(super) const TIE: f64 = 1e-12;
