//! What was decided of a claim, and on what evidence.

use crate::statistics::{Interval, SeedValue};
use serde::Serialize;

/// What the evidence says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The test that was fixed beforehand rejects the contrary.
    Supported,
    /// The same test the other way round rejects the claim.
    Refuted,
    /// Neither.
    Inconclusive,
    /// Cells are missing.
    Open,
}

/// One side of a comparison: what it is, and its value for every seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// What the values are of, such as `lstm lag=100`.
    pub name: String,
    /// A value a seed.
    pub values: Vec<SeedValue>,
    /// Identities of the cells they came from, in the order of the values.
    pub cells: Vec<String>,
}

/// What was decided of one claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The claim's name, the stem of its file.
    pub name: String,
    /// The sentence.
    pub claim: String,
    /// Where it is from.
    pub source: String,
    /// The experiment that decides it.
    pub experiment: String,
    /// What the evidence says.
    pub outcome: Outcome,
    /// The comparison in words, such as `median of log10 gradient norm at distance 64: lstm above rnn by more than 1`.
    pub test: String,
    /// The sides compared, the first against the second; one of them where the second is a number.
    pub sides: Vec<Side>,
    /// The difference (first minus second, or minus the number), in the unit of the metric.
    pub effect: Option<f64>,
    /// Its interval at [`Decision::confidence`].
    pub interval: Option<Interval>,
    /// Unit of effect and interval; empty for a plain number.
    pub unit: String,
    /// The smallest difference that counts.
    pub margin: f64,
    /// Confidence of the interval; one minus it is the threshold of p.
    pub confidence: f64,
    /// p of the test, as it is.
    pub p: Option<f64>,
    /// p after Holm's correction over the family of claims decided together.
    pub adjusted: Option<f64>,
    /// Seeds a side that would decide it, where it is inconclusive and that can be told.
    pub seeds_needed: Option<u64>,
    /// What a reader must know, a sentence each: missing cells, a claim registered after its cells ran.
    pub notes: Vec<String>,
}
