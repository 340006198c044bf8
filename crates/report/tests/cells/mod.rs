//! Hand-made cells, for tests with known answers.

// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use seqbench_record::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A final cell, done, without rows.
pub(crate) fn cell(model: &str, seed: u64, coordinates: &[(&str, Value)]) -> CellFiles {
    let coordinates: Vec<_> = coordinates
        .iter()
        .map(|(key, value)| Coordinate { key: key.to_string(), value: value.clone() })
        .collect();
    let place: Vec<_> = coordinates.iter().map(|c| format!("{}{}", c.key, c.value)).collect();
    CellFiles {
        cell: Cell {
            schema: SCHEMA_VERSION,
            numerics: 1,
            id: format!("{model}-{}-{seed}", place.join("-")),
            group: format!("{model}-{}", place.join("-")),
            experiment: "quick".into(),
            purpose: Purpose::Final,
            status: Status::Done,
            reason: None,
            labels: Labels {
                architecture: model.split(' ').next().unwrap().into(),
                model: model.into(),
                task: "copying".into(),
                coordinates,
                seed,
            },
            config: json!({}),
            facts: BTreeMap::new(),
            references: vec![Reference { name: "chance".into(), metric: "accuracy".into(), value: 0.125 }],
            provenance: Provenance::default(),
        },
        scores: Vec::new(),
        curves: Vec::new(),
        profiles: Vec::new(),
        spectra: Vec::new(),
        traces: Vec::new(),
        timings: Vec::new(),
        memory: Vec::new(),
        conditions: Vec::new(),
    }
}

/// A test score over all lags together.
pub(crate) fn score(metric: &str, length: u64, value: f64) -> ScoreRow {
    ScoreRow { split: "test".into(), length, lag: None, metric: metric.into(), value, n: 1000 }
}

/// A final cell at a lag with one test accuracy.
pub(crate) fn solved_at(model: &str, lag: u64, seed: u64, accuracy: f64) -> CellFiles {
    let mut files = cell(model, seed, &[("lag", json!(lag))]);
    files.scores.push(score("accuracy", lag, accuracy));
    files.cell.facts = BTreeMap::from([("steps".into(), 3000.0), ("parameters".into(), 12_345.0)]);
    files
}

/// The same, diverged and without scores.
pub(crate) fn diverged_at(model: &str, lag: u64, seed: u64) -> CellFiles {
    let mut files = solved_at(model, lag, seed, 0.0);
    files.scores.clear();
    files.cell.status = Status::Diverged;
    files.cell.reason = Some("loss became NaN at step 120".into());
    files
}

/// A row of the input gradient of layer 0 at initialisation.
pub(crate) fn profile(distance: u64, log10_relative: f64, trusted: bool) -> ProfileRow {
    ProfileRow {
        stage: "init".into(),
        layer: 0,
        wrt: "input".into(),
        distance,
        log10_norm: log10_relative - 2.0,
        log10_relative,
        log10_q10: log10_relative - 2.3,
        log10_median: log10_relative - 2.0,
        log10_q90: log10_relative - 1.7,
        trusted,
    }
}

/// A round that took `ns`.
pub(crate) fn timing(mode: &str, length: u64, batch: u64, round: u32, ns: u64) -> TimingRow {
    TimingRow {
        mode: mode.into(),
        length,
        batch,
        threads: 1,
        round,
        ns,
        checksum: "c0ffee".into(),
        err: String::new(),
        visit: None,
        pace_ns: None,
    }
}

/// Rounds enough to count, all of one time a length.
pub(crate) fn rounds(mode: &str, batch: u64, times: &[(u64, u64)]) -> Vec<TimingRow> {
    let of = |&(length, ns): &(u64, u64)| (0..5).map(move |round| (length, round, ns));
    times.iter().flat_map(of).map(|(length, round, ns)| timing(mode, length, batch, round, ns)).collect()
}

/// A timing cell.
pub(crate) fn timed(model: &str, coordinates: &[(&str, Value)], timings: Vec<TimingRow>) -> CellFiles {
    let mut files = cell(model, 0, coordinates);
    files.cell.purpose = Purpose::Timing;
    files.cell.labels.task = String::new();
    files.timings = timings;
    files
}

/// A final cell trained up to a length, with its test accuracy there and at unseen lengths.
pub(crate) fn extrapolating(
    model: &str,
    task: &str,
    trained: (u64, f64),
    unseen: &[(u64, f64)],
    seed: u64,
) -> CellFiles {
    let mut files = cell(model, seed, &[]);
    files.cell.labels.task = task.into();
    files.cell.id = format!("{task}-{}", files.cell.id);
    files.cell.group = format!("{task}-{}", files.cell.group);
    let facts = [("primary_length", trained.0 as f64), ("steps", 3000.0), ("solved_threshold", 0.99)];
    files.cell.facts = facts.map(|(name, value)| (name.to_string(), value)).into();
    let lengths = [&[trained], unseen].concat();
    files.scores = lengths.iter().map(|(length, value)| score("accuracy", *length, *value)).collect();
    files
}

/// A trial of a selection: a rate, and where its validation curve ends.
pub(crate) fn trial(model: &str, rate: f64, seed: u64, metric: &str, last: f64) -> CellFiles {
    let mut files = cell(model, seed, &[]);
    files.cell.purpose = Purpose::Trial;
    files.cell.id = format!("{model}-{rate}-{seed}");
    files.cell.config = json!({"train": {"lr": rate, "stop_at": null}});
    let row = |step: u64, value: f64| CurveRow { step, metric: format!("validation_{metric}"), value };
    files.curves = vec![row(100, last), row(50, 0.3)];
    files
}

/// The run that such a selection leads to.
pub(crate) fn selected(model: &str, rate: f64, candidates: &[f64], seed: u64, accuracy: f64) -> CellFiles {
    let mut files = cell(model, seed, &[]);
    files.scores = vec![score("accuracy", 8, accuracy)];
    files.cell.config = json!({"train": {"lr": {"select": candidates, "trials": 2}, "stop_at": 0.995}});
    let facts = [("learning_rate", rate), ("steps", 800.0), ("steps_run", 800.0), ("solved_threshold", 0.99)];
    files.cell.facts = facts.map(|(name, value)| (name.to_string(), value)).into();
    files
}

/// Strokes, fills and dots whose paths have this in their attributes, however many share one path.
pub(crate) fn parts(svg: &str, look: &str) -> usize {
    let data = svg.lines().filter_map(|line| line.strip_prefix("<path ")?.split_once(" d=\""));
    data.filter(|(own, _)| own.contains(look)).map(|(_, data)| data.matches(['m', 'M']).count()).sum()
}

/// The texts of a figure, one space between the lines of a broken one.
pub(crate) fn words(svg: &str) -> String {
    let texts = svg.split("</text>").filter_map(|part| part.rsplit_once('>'));
    texts.map(|(_, text)| text.trim()).collect::<Vec<_>>().join(" ")
}
