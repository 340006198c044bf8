//! What of a run a claim is about: one number a cell.

use crate::statistics::mean;
use crate::summary::slope;
use seqbench_record::{CellFiles, ProfileRow, ScoreRow, Status};
use serde::Serialize;
use std::fmt;

/// log10 of a norm that is exactly zero: below every number of double precision, and still a number to rank.
const ZERO: f64 = -400.0;

/// A number of a cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Accuracy on the test stream, at the task's own length or another. A diverged run has learnt nothing: chance.
    Accuracy {
        /// Length evaluated.
        length: Option<u64>,
    },
    /// Mean accuracy over the lengths beyond those trained, each weighing the same; chance for a diverged run.
    Extrapolation,
    /// 1 where accuracy reached the experiment's threshold, else 0.
    Solved,
    /// 1 where loss or gradient stopped being finite, else 0.
    Diverged,
    /// Slope of log10 gradient norm over trusted distances from 1 on, in decades a step: below 0 it vanishes.
    GradientSlope {
        /// `init`, `end` or `step-<n>`.
        stage: String,
        /// Layer, from 0.
        layer: u32,
        /// What is differentiated by: `input`, `state`, `theory:h:spectral radius`.
        wrt: String,
    },
    /// log10 of the gradient norm at a distance over that at distance 0.
    GradientDecades {
        /// As of the slope.
        stage: String,
        /// As of the slope.
        layer: u32,
        /// As of the slope.
        wrt: String,
        /// In steps.
        distance: u64,
    },
}

impl Quantity {
    /// By name and what goes with it, or what is wrong and what to do.
    pub(super) fn new(
        what: &str,
        length: Option<u64>,
        stage: Option<String>,
        layer: Option<u32>,
        wrt: Option<String>,
        distance: Option<u64>,
    ) -> Result<Self, (String, String)> {
        let stage = stage.unwrap_or_else(|| "init".into());
        let (layer, wrt) = (layer.unwrap_or(0), wrt.unwrap_or_else(|| "input".into()));
        match (what, distance) {
            ("accuracy", None) => Ok(Quantity::Accuracy { length }),
            ("extrapolation", None) => Ok(Quantity::Extrapolation),
            ("solved", None) => Ok(Quantity::Solved),
            ("diverged", None) => Ok(Quantity::Diverged),
            ("gradient-slope", None) => Ok(Quantity::GradientSlope { stage, layer, wrt }),
            ("gradient-decades", Some(distance)) => {
                Ok(Quantity::GradientDecades { stage, layer, wrt, distance })
            }
            ("gradient-decades", None) => {
                Err(("`gradient-decades` lacks a distance".into(), "give `distance`, in steps".into()))
            }
            (other, _) => Err((
                format!("`what` is `{other}`"),
                "give accuracy, extrapolation, solved, diverged, gradient-slope, gradient-decades (with `distance`) or exponent \
                 (with `mode`); with `is`, a fact such as parameters or state_bytes"
                    .into(),
            )),
        }
    }

    /// Unit of a difference; empty for a share.
    pub fn unit(&self) -> &'static str {
        match self {
            Quantity::GradientSlope { .. } => "decades a step",
            Quantity::GradientDecades { .. } => "decades",
            _ => "",
        }
    }

    /// The number, or why the cell has none.
    pub(super) fn of(&self, files: &CellFiles) -> Result<f64, String> {
        if let Status::Failed | Status::Skipped = files.cell.status {
            let reason = files.cell.reason.as_deref().unwrap_or("no reason stated");
            return Err(format!("a cell is {:?}: {reason}", files.cell.status).to_lowercase());
        }
        let diverged = files.cell.status == Status::Diverged;
        match self {
            Quantity::Diverged => Ok(f64::from(u8::from(diverged))),
            Quantity::Solved if diverged => Ok(0.0),
            Quantity::Accuracy { .. } | Quantity::Extrapolation if diverged => chance(files),
            Quantity::Accuracy { length } => accuracy(files, *length),
            Quantity::Solved => {
                let threshold = fact(files, "solved_threshold")?;
                Ok(f64::from(u8::from(accuracy(files, None)? >= threshold)))
            }
            Quantity::Extrapolation => {
                let trained = fact(files, "primary_length")?;
                let beyond: Vec<f64> =
                    tested(files).filter(|row| row.length as f64 > trained).map(|row| row.value).collect();
                mean(&beyond).ok_or_else(|| "no length beyond the trained ones was evaluated".into())
            }
            Quantity::GradientSlope { stage, layer, wrt } => slope(profile(files, stage, *layer, wrt))
                .ok_or_else(|| format!("too few distances of {wrt}, layer {layer}, at {stage} are trusted")),
            Quantity::GradientDecades { stage, layer, wrt, distance } => {
                let mut rows = profile(files, stage, *layer, wrt);
                let row = rows.find(|row| row.distance == *distance);
                row.map(|row| row.log10_relative.max(ZERO)).ok_or_else(|| {
                    format!("no gradient of {wrt}, layer {layer}, at {stage} and distance {distance}")
                })
            }
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Accuracy { length: None } => f.write_str("test accuracy"),
            Quantity::Accuracy { length: Some(length) } => write!(f, "test accuracy at length {length}"),
            Quantity::Extrapolation => f.write_str("test accuracy beyond the trained lengths"),
            Quantity::Solved => f.write_str("share of runs that solve the task"),
            Quantity::Diverged => f.write_str("share of runs that diverge"),
            Quantity::GradientSlope { stage, wrt, .. } => {
                write!(f, "log10 gain per step of the gradient ({wrt}, {stage})")
            }
            Quantity::GradientDecades { stage, wrt, distance, .. } => {
                write!(f, "log10 of the gradient {distance} steps back over that at 0 ({wrt}, {stage})")
            }
        }
    }
}

fn tested(files: &CellFiles) -> impl Iterator<Item = &ScoreRow> {
    let whole = |row: &&ScoreRow| row.split == "test" && row.metric == "accuracy" && row.lag.is_none();
    files.scores.iter().filter(whole)
}

fn accuracy(files: &CellFiles, length: Option<u64>) -> Result<f64, String> {
    let length = match length {
        Some(length) => length as f64,
        None => fact(files, "primary_length")?,
    };
    let found = tested(files).find(|row| row.length as f64 == length).map(|row| row.value);
    found.ok_or_else(|| format!("no accuracy at length {length}"))
}

fn fact(files: &CellFiles, name: &str) -> Result<f64, String> {
    files.cell.facts.get(name).copied().ok_or_else(|| format!("a cell lacks the fact `{name}`"))
}

fn chance(files: &CellFiles) -> Result<f64, String> {
    let own = files.cell.references.iter().find(|own| own.name == "chance" && own.metric == "accuracy");
    own.map(|own| own.value).ok_or_else(|| "a diverged run of a task without chance".into())
}

fn profile<'a>(
    files: &'a CellFiles,
    stage: &'a str,
    layer: u32,
    wrt: &'a str,
) -> impl Iterator<Item = &'a ProfileRow> {
    let own = move |row: &&ProfileRow| row.stage == stage && row.layer == layer && row.wrt == wrt;
    files.profiles.iter().filter(own)
}
