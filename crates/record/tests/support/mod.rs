//! A cell whose values tell it from others, and what lies in folders.

use seqbench_record::*;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

/// A cell whose every value depends on `version`, so that a mixture of two would show.
pub(crate) fn cell(id: &str, version: u32) -> CellFiles {
    let v = f64::from(version);
    CellFiles {
        cell: Cell {
            schema: SCHEMA_VERSION,
            numerics: 1,
            id: id.into(),
            group: "g".into(),
            experiment: "quick".into(),
            purpose: Purpose::Final,
            status: if version == 1 { Status::Failed } else { Status::Done },
            reason: (version == 1).then(|| "its worker died".into()),
            labels: Labels {
                architecture: "lstm".into(),
                model: "lstm forget_bias=1".into(),
                task: "copying".into(),
                coordinates: vec![Coordinate { key: "lag".into(), value: json!(10 * version) }],
                seed: 2,
            },
            config: json!({"lr": 0.001, "version": version, "model": {"kind": "lstm"}}),
            facts: BTreeMap::from([("parameters".into(), 1000.0 + v), ("final_loss".into(), 0.125 / v)]),
            references: vec![Reference { name: "chance".into(), metric: "accuracy".into(), value: 0.125 }],
            provenance: provenance("portable", 1, v),
        },
        scores: (0..3)
            .map(|i| ScoreRow {
                split: "test".into(),
                length: 10,
                lag: (i > 0).then_some(i),
                metric: "accuracy".into(),
                value: v / 3.0,
                n: 7,
            })
            .collect(),
        curves: vec![CurveRow { step: 0, metric: "train_loss".into(), value: 0.25 * v }],
        profiles: vec![ProfileRow {
            stage: "init".into(),
            layer: 0,
            wrt: "input".into(),
            distance: 3,
            log10_norm: f64::NEG_INFINITY,
            log10_relative: -0.5 * v,
            log10_q10: f64::NEG_INFINITY,
            log10_median: -v,
            log10_q90: 0.25 * v,
            trusted: true,
        }],
        spectra: vec![SpectrumRow {
            stage: "step-7".into(),
            layer: 1,
            quantity: "eigenvalue:weight_hh_l0".into(),
            distance: 0,
            index: 2,
            re: -0.25 * v,
            im: 5e-324,
        }],
        traces: vec![TraceRow {
            stage: "end".into(),
            layer: 0,
            signal: "attention:3".into(),
            step: 5,
            unit: 4,
            value: 0.75 * v,
        }],
        timings: Vec::new(),
        memory: vec![MemoryRow {
            mode: "train".into(),
            length: 10,
            batch: 2,
            peak_bytes: u64::MAX,
            baseline_bytes: u64::from(version),
        }],
        conditions: vec![ConditionRow { name: "spread".into(), value: f64::INFINITY }],
    }
}

/// Sorted names in a folder; none where there is no folder.
pub(crate) fn names(path: &Path) -> Vec<String> {
    if !path.exists() {
        return Vec::new();
    }
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// As a program of another version would have written the folder.
pub(crate) fn make_digests_fit(folder: &Path, names: &[&str]) {
    let line = |name: &&str| {
        let digest = Sha256::digest(fs::read(folder.join(name)).unwrap());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digest}  {name}\n")
    };
    fs::write(folder.join("digests"), names.iter().map(line).collect::<String>()).unwrap();
}
