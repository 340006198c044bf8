//! What a parent and a worker child say to each other: one JSON message a line, requests one way, replies the other.

use crate::plan::Cell;
use crate::spec::{CellSpec, Mode};
use seqbench_record::{
    ConditionRow, CurveRow, Labels, MemoryRow, ProfileRow, Provenance, Purpose, Reference, ScoreRow,
    SpectrumRow, Status, TraceRow, rows,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

/// What a child is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// A trial or final cell, from beginning to end.
    Run(Job),
    /// A timing cell for so many rounds: build it, run it untimed, warm up.
    Prepare(Job, u32),
    /// One timed pass of the prepared cell.
    Round(Mode),
    /// What the prepared cell holds beside its rounds; the child is then free for another.
    Finish,
    /// The end.
    Exit,
}

/// A cell for a child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Identity, for messages.
    pub id: String,
    /// What it is for: a trial is scored on the validation stream only.
    pub purpose: Purpose,
    /// Labels, for messages.
    pub labels: Labels,
    /// What it does.
    pub spec: CellSpec,
    /// The learning rate, where a selection found it.
    pub rate: Option<f64>,
    /// Where it is kept while it is unfinished.
    #[serde(default)]
    pub unfinished: Option<UnfinishedAt>,
}

/// Where an unfinished cell is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnfinishedAt {
    /// The file.
    pub path: PathBuf,
    /// Seconds between two checkpoints.
    pub seconds: f64,
}

impl Job {
    /// The job of a planned cell.
    pub fn of(cell: &Cell, rate: Option<f64>) -> Self {
        Job {
            id: cell.id.clone(),
            purpose: cell.purpose,
            labels: cell.labels.clone(),
            spec: cell.spec.clone(),
            rate,
            unfinished: None,
        }
    }
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// How far a run is.
    Progress(Progress),
    /// A run has ended, or a timing cell is finished.
    Done(Box<Encoded>),
    /// A timing cell is ready for its rounds.
    Prepared,
    /// A round.
    Round(TimedRound),
    /// The run was told to stop, and is kept as far as it came.
    Stopped,
    /// The cell could not be run, for this reason; the child lives on.
    Failed(String),
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// A few words on how it goes, such as the latest accuracy.
    pub note: String,
}

/// One timed pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedRound {
    /// Wall-clock, in nanoseconds.
    pub ns: u64,
    /// Checksum of the outputs.
    pub checksum: String,
    /// Empty, or why it is no time at all.
    pub err: String,
    /// What a fixed piece of arithmetic took just before, in nanoseconds: the pace of the processor.
    #[serde(default)]
    pub pace_ns: u64,
}

/// What a cell has found: everything it writes but what its parent knows already.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// How it ended: done or diverged.
    pub status: Status,
    /// Why, where it is not done.
    pub reason: Option<String>,
    /// Deterministic facts.
    pub facts: BTreeMap<String, f64>,
    /// Chance and trivial predictors.
    pub references: Vec<Reference>,
    /// Scores.
    pub scores: Vec<ScoreRow>,
    /// Learning curves.
    pub curves: Vec<CurveRow>,
    /// Gradient profiles.
    pub profiles: Vec<ProfileRow>,
    /// Eigenvalues, singular values and exponents.
    pub spectra: Vec<SpectrumRow>,
    /// Signals over one sequence.
    pub traces: Vec<TraceRow>,
    /// Memory of timed modes.
    pub memory: Vec<MemoryRow>,
    /// What held of the machine, and what took how long.
    pub conditions: Vec<ConditionRow>,
}

impl Default for Findings {
    fn default() -> Self {
        Findings {
            status: Status::Done,
            reason: None,
            facts: BTreeMap::new(),
            references: Vec::new(),
            scores: Vec::new(),
            curves: Vec::new(),
            profiles: Vec::new(),
            spectra: Vec::new(),
            traces: Vec::new(),
            memory: Vec::new(),
            conditions: Vec::new(),
        }
    }
}

/// [`Findings`] for the wire. Rows travel as the CSV text they end as: JSON holds no infinity and no NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoded {
    status: Status,
    reason: Option<String>,
    facts: BTreeMap<String, f64>,
    references: Vec<Reference>,
    scores: String,
    curves: String,
    profiles: String,
    spectra: String,
    traces: String,
    memory: String,
    conditions: String,
    /// Where and how the child ran it.
    pub provenance: Provenance,
}

impl Findings {
    /// For the wire. A fact or reference that is not finite is left out: `cell.json` could not hold it.
    ///
    /// # Errors
    /// A row does not become CSV.
    pub fn encode(mut self, provenance: Provenance) -> Result<Encoded, String> {
        self.facts.retain(|_, value| value.is_finite());
        self.references.retain(|reference| reference.value.is_finite());
        Ok(Encoded {
            status: self.status,
            reason: self.reason,
            facts: self.facts,
            references: self.references,
            scores: text(&self.scores)?,
            curves: text(&self.curves)?,
            profiles: text(&self.profiles)?,
            spectra: text(&self.spectra)?,
            traces: text(&self.traces)?,
            memory: text(&self.memory)?,
            conditions: text(&self.conditions)?,
            provenance,
        })
    }
}

impl Encoded {
    /// What was encoded.
    ///
    /// # Errors
    /// A table does not hold what it should.
    pub fn decode(self) -> Result<(Findings, Provenance), String> {
        let findings = Findings {
            status: self.status,
            reason: self.reason,
            facts: self.facts,
            references: self.references,
            scores: table(&self.scores)?,
            curves: table(&self.curves)?,
            profiles: table(&self.profiles)?,
            spectra: table(&self.spectra)?,
            traces: table(&self.traces)?,
            memory: table(&self.memory)?,
            conditions: table(&self.conditions)?,
        };
        Ok((findings, self.provenance))
    }
}

fn text<T: Serialize>(all: &[T]) -> Result<String, String> {
    let bytes = rows::to_csv(all).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn table<T: Serialize + DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    rows::from_csv(text.as_bytes(), Path::new("reply")).map_err(|error| error.to_string())
}

/// Writes one message and flushes it.
///
/// # Errors
/// The other side is gone.
pub fn send<T: Serialize>(output: &mut dyn Write, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

/// Reads one message; nothing where the other side has ended.
///
/// # Errors
/// What came is no message.
pub fn receive<T: DeserializeOwned>(input: &mut dyn BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_and_nan_survive_the_wire() {
        let profile = ProfileRow {
            stage: "init".into(),
            layer: 0,
            wrt: "state".into(),
            distance: 7,
            log10_norm: f64::NEG_INFINITY,
            log10_relative: f64::NAN,
            log10_q10: f64::NEG_INFINITY,
            log10_median: f64::NEG_INFINITY,
            log10_q90: 0.0,
            trusted: false,
        };
        let findings = Findings {
            facts: [("parameters".to_owned(), 1e300), ("broken".to_owned(), f64::NAN)].into(),
            profiles: vec![profile],
            ..Findings::default()
        };
        let encoded = findings.encode(Provenance::default()).unwrap();
        let mut wire = Vec::new();
        send(&mut wire, &Reply::Done(Box::new(encoded))).unwrap();
        let Some(Reply::Done(back)) = receive(&mut wire.as_slice()).unwrap() else { panic!("no reply") };
        let (back, _) = back.decode().unwrap();
        assert_eq!(back.facts, [("parameters".to_owned(), 1e300)].into());
        assert_eq!(back.profiles[0].log10_norm, f64::NEG_INFINITY);
        assert!(back.profiles[0].log10_relative.is_nan());
    }
}
