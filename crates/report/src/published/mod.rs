//! Published numbers: what papers print, and which of our numbers stands beside each.
//!
//! A file holds what was printed, where, under which protocol, and against what text it was checked. Whether ours agrees
//! is never written there: [`beside`] computes it.

mod agreement;
mod beside;
mod error;
mod parse;

pub use agreement::{Agreement, agreement};
pub use beside::{Beside, Measured, beside};
pub use error::PublishedError;
pub use parse::parse;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The published numbers that come with the program.
pub const BUILT_IN: &str = include_str!("../../../../experiments/published.toml");

/// The published numbers of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Published {
    /// How far apart two shares may lie and still agree. One for all results, so that none is chosen to fit.
    pub tolerance: f64,
    /// The papers, by key.
    pub sources: BTreeMap<String, Source>,
    /// The numbers, in the order of the file; every [`PublishedResult::source`] is a key of [`Published::sources`].
    pub results: Vec<PublishedResult>,
}

impl Published {
    /// The paper of a result.
    pub fn source(&self, result: &PublishedResult) -> Option<&Source> {
        self.sources.get(&result.source)
    }
}

/// A paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its authors.
    pub authors: String,
    /// How a sentence cites it: `Delétang et al. 2023`.
    pub cited: String,
    /// Its year.
    pub year: u16,
    /// Its title.
    pub title: String,
    /// Where it appeared.
    pub venue: String,
    /// Its number on arXiv, where it has one.
    #[serde(default)]
    pub arxiv: Option<String>,
    /// What was trained, for how long, and what is reported.
    pub protocol: String,
    /// How our experiments differ.
    pub differences: Vec<String>,
}

/// One published number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublishedResult {
    /// A name of its own.
    pub id: String,
    /// Key of its paper.
    pub source: String,
    /// Where it stands there: `Table 2`.
    pub at: String,
    /// Registry name of our task nearest to theirs.
    pub task: String,
    /// What the paper calls the model.
    pub model: String,
    /// What the paper measures.
    pub metric: String,
    /// The number as printed, with its unit, or the paper's words.
    pub printed: String,
    /// The same as a share of 1, to compare with; none where nothing of ours stands beside it.
    pub expected: Option<Expected>,
    /// What it is over several runs.
    pub reported: Reported,
    /// Lengths, pairs, sizes.
    pub setting: String,
    /// How near to the paper the text is that it was read in.
    pub certainty: Certainty,
    /// That text.
    pub checked: String,
    /// How our experiment differs from this one number, beyond [`Source::differences`].
    pub differences: Vec<String>,
    /// Which of our numbers stands beside it.
    pub ours: Option<Ours>,
    /// Why ours differs, or why there is none.
    pub why: Option<String>,
}

/// A published share, or a bound that the paper's words put on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// This share.
    Value(f64),
    /// This share or more.
    AtLeast(f64),
    /// This share or less.
    AtMost(f64),
}

/// What a published number is over several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reported {
    /// The best over seeds, and perhaps over more.
    Best,
    /// The mean over seeds; what holds of every seed holds of it.
    Mean,
    /// That of one run.
    One,
    /// The paper does not say, or what was read does not.
    Unstated,
}

/// How near to the paper the text is that a number was read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The paper's own text.
    Text,
    /// Another paper's table.
    Reprint,
    /// A summary that quotes it.
    Report,
}

/// Which of our numbers stands beside a published one. It must single out one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ours {
    /// Name of the experiment.
    pub experiment: String,
    /// Registry name of the architecture.
    pub architecture: String,
    /// What is compared.
    pub metric: OurMetric,
    /// Sweep coordinates, by their dotted key or its last word; those left out may take any value.
    #[serde(default)]
    pub coordinates: BTreeMap<String, Value>,
    /// Length evaluated; the primary one where none is given. Of accuracy only.
    #[serde(default)]
    pub length: Option<u64>,
}

/// Which of our shares is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OurMetric {
    /// Right answers over scored positions.
    Accuracy,
    /// Sequences right at every scored position.
    ExactMatch,
    /// Mean accuracy over the lengths beyond those trained.
    Extrapolation,
}

impl OurMetric {
    /// As files and tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::ExactMatch => "exact_match",
            Self::Extrapolation => "extrapolation",
        }
    }
}

impl Reported {
    /// As files and tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Mean => "mean",
            Self::One => "one",
            Self::Unstated => "unstated",
        }
    }
}

impl Certainty {
    /// As files and tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Reprint => "reprint",
            Self::Report => "report",
        }
    }
}
