//! A claim as its file states it, all of it before anything runs.
//!
//! ```toml
//! claim = "An LSTM looks farther back than a plain RNN."
//! source = "CS231n, lecture 10"
//! experiment = "delayed-recall-vs-lag"
//! seeds = 8                                   # a side; eight or more, ten where paired
//! confidence = 0.95                           # of the family of all claims decided together
//!
//! [test]
//! what = "accuracy"
//! of = { model = "lstm", lag = 100 }
//! above = { model = "rnn", lag = 100 }        # or `below`; a number instead of a side
//! by = 0.1                                    # the least difference that counts
//! ```

use super::quantity::Quantity;
use seqbench_record::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// Fewest seeds a side: below, no exact test of two sides reaches a level that a family of claims leaves.
pub const FEWEST_SEEDS: usize = 8;

/// Fewest seeds of a paired comparison, whose smallest p is one in 2ⁿ.
pub const FEWEST_PAIRS: usize = 10;

/// A filter on labels and coordinates: a value, or a list of which any will do.
pub type Filter = BTreeMap<String, serde_json::Value>;

/// What a claim says and how it is decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// Name: the stem of its file.
    pub name: String,
    /// The sentence.
    pub claim: String,
    /// Where it is from.
    pub source: String,
    /// Name of the experiment that decides it.
    pub experiment: String,
    /// Seeds a side: the first so many of the reporting range.
    pub seeds: usize,
    /// Confidence, of the family and of the interval.
    pub confidence: f64,
    /// What must hold of every run for the claim to be about it.
    pub given: Vec<Condition>,
    /// How it is decided.
    pub test: Test,
}

/// What must hold before the claim is tested.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Of what.
    pub quantity: Quantity,
    /// Of which cells.
    pub of: Filter,
    /// On which side of a number.
    pub direction: Direction,
    /// The number.
    pub than: f64,
}

/// Where the first side must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Above the second.
    Above,
    /// Below it.
    Below,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Above => "above",
            Direction::Below => "below",
        })
    }
}

/// A test.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Test {
    /// Runs of two sides, by the exact permutation test of their means; paired by seed, by flipping signs.
    Sides {
        /// What is compared.
        quantity: Quantity,
        /// The first side.
        of: Filter,
        /// Where it must lie.
        direction: Direction,
        /// The second side.
        than: Filter,
        /// By how much.
        by: f64,
        /// Whether seeds are pairs.
        paired: bool,
    },
    /// Runs of one side against a number, by the sign test.
    Number {
        /// What is compared.
        quantity: Quantity,
        /// The runs.
        of: Filter,
        /// Where they must lie.
        direction: Direction,
        /// The number.
        than: f64,
    },
    /// The exponent of a timed curve against a number, by Student's t of its slope.
    Exponent {
        /// `train`, `forward` or `decode`.
        mode: String,
        /// Which curve.
        of: Filter,
        /// Where it must lie.
        direction: Direction,
        /// The number.
        than: f64,
    },
    /// A fact that no chance is in: the same at every length, or rising with it.
    Fact {
        /// Its name.
        fact: String,
        /// Which cells.
        of: Filter,
        /// Whether it must rise, for every model; else stay.
        rises: bool,
    },
}

/// Why a file is no claim.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("error: {message}\n --> {path}:{line}\nhelp: {remedy}")]
pub struct ClaimError {
    /// What is wrong.
    pub message: String,
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What to do.
    pub remedy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    claim: String,
    source: String,
    experiment: String,
    #[serde(default = "usual_seeds")]
    seeds: Spanned<usize>,
    #[serde(default = "usual_confidence")]
    confidence: Spanned<f64>,
    #[serde(default)]
    given: Vec<Spanned<TestText>>,
    test: Spanned<TestText>,
}

fn usual_seeds() -> Spanned<usize> {
    Spanned::new(0..0, FEWEST_SEEDS)
}

fn usual_confidence() -> Spanned<f64> {
    Spanned::new(0..0, 0.95)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestText {
    what: String,
    of: Filter,
    above: Option<Bound>,
    below: Option<Bound>,
    by: Option<f64>,
    #[serde(default)]
    paired: bool,
    is: Option<Is>,
    length: Option<u64>,
    stage: Option<String>,
    layer: Option<u32>,
    wrt: Option<String>,
    distance: Option<u64>,
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(f64),
    Side(Filter),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Is {
    Constant,
    Rising,
}

impl Claim {
    /// Reads a claim; `path` only names the file in errors.
    ///
    /// # Errors
    /// What is no claim, or a design that could decide nothing, with its line.
    pub fn parse(name: &str, path: &str, text: &str) -> Result<Self, ClaimError> {
        let line =
            |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count();
        let refuse = |at: usize, message: String, remedy: &str| ClaimError {
            message,
            path: path.into(),
            line: line(at),
            remedy: remedy.into(),
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            refuse(
                at,
                error.message().to_owned(),
                "see METHODOLOGY.md, \"Claims\", for what a claims file holds",
            )
        })?;
        let (seeds, confidence) = (*file.seeds.get_ref(), *file.confidence.get_ref());
        if !(0.5..1.0).contains(&confidence) {
            let at = file.confidence.span().start;
            return Err(refuse(
                at,
                format!("`confidence` is {confidence}"),
                "give a number from 0.5 to below 1, such as 0.95",
            ));
        }
        let typed = |text: Spanned<TestText>| {
            let at = text.span().start;
            test(text.into_inner()).map_err(|(message, remedy)| refuse(at, message, &remedy))
        };
        let test = typed(file.test)?;
        let mut given = Vec::new();
        for text in file.given {
            let at = text.span().start;
            let Test::Number { quantity, of, direction, than } = typed(text)? else {
                return Err(refuse(
                    at,
                    "a condition is about runs and a number".into(),
                    "give `above` or `below` a number",
                ));
            };
            given.push(Condition { quantity, of, direction, than });
        }
        let fewest = match &test {
            Test::Sides { paired: true, .. } => FEWEST_PAIRS,
            Test::Sides { .. } | Test::Number { .. } => FEWEST_SEEDS,
            Test::Exponent { .. } | Test::Fact { .. } => 0,
        };
        if seeds < fewest {
            let remedy = format!("give {fewest} or more");
            return Err(refuse(
                file.seeds.span().start,
                format!("`seeds` is {seeds}, too few for this test"),
                &remedy,
            ));
        }
        let File { claim, source, experiment, .. } = file;
        Ok(Claim { name: name.into(), claim, source, experiment, seeds, confidence, given, test })
    }

    /// What cells record of it: 16 hexadecimal digits over everything it states. Comments and layout of its file do not count.
    pub fn hash(&self) -> String {
        digest(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// A typed test, or what is wrong with it and what to do.
fn test(text: TestText) -> Result<Test, (String, String)> {
    let TestText { what, of, above, below, by, paired, is, length, stage, layer, wrt, distance, mode } = text;
    let wrong = |message: &str, remedy: &str| Err((message.to_owned(), remedy.to_owned()));
    if let Some(is) = is {
        return match (above, below) {
            (None, None) => Ok(Test::Fact { fact: what, of, rises: matches!(is, Is::Rising) }),
            _ => wrong("`is` stands beside `above` or `below`", "drop one of the two"),
        };
    }
    let (direction, bound) = match (above, below) {
        (Some(bound), None) => (Direction::Above, bound),
        (None, Some(bound)) => (Direction::Below, bound),
        _ => {
            return wrong("a test needs exactly one of `above`, `below` and `is`", "say where `of` must lie");
        }
    };
    if what == "exponent" {
        let (Bound::Number(than), Some(mode)) = (bound, mode) else {
            return wrong(
                "an exponent is held against a number",
                "give `mode`, and a number to `above` or `below`",
            );
        };
        return Ok(Test::Exponent { mode, of, direction, than });
    }
    let quantity = Quantity::new(&what, length, stage, layer, wrt, distance)?;
    match bound {
        Bound::Number(_) if by.is_some() || paired => {
            wrong("`by` and `paired` are about two sides", "put the margin into the number")
        }
        Bound::Number(than) => Ok(Test::Number { quantity, of, direction, than }),
        Bound::Side(than) => {
            let by = by.unwrap_or(0.0);
            if !(by.is_finite() && by >= 0.0) {
                return wrong("`by` is the least difference that counts", "give a number of 0 or more");
            }
            Ok(Test::Sides { quantity, of, direction, than, by, paired })
        }
    }
}
