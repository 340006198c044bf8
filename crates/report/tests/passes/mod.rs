//! Timing cells as a whole experiment would write them: every architecture, mode and length a cell of its own, with facts and
//! conditions, times from a formula and a little noise.

// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use super::cells::{timed, timing};
use seqbench_record::{CellFiles, ConditionRow, MemoryRow, Status};
use serde_json::json;

pub(crate) const MODELS: [&str; 6] = ["rnn", "lstm", "transformer", "ssm", "gru", "mamba"];
pub(crate) const LENGTHS: [u64; 8] = [64, 128, 256, 512, 1024, 2048, 4096, 8192];
pub(crate) const MODES: [&str; 3] = ["train", "forward", "decode"];
pub(crate) const BATCH: u64 = 8;

/// A number in (−1, 1) that depends on its arguments only.
fn wobble(parts: &[u64]) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for &part in parts {
        state = (state ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 31;
    }
    (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Nanoseconds a step and sequence of training, and those a squared step; floating-point operations a step likewise.
fn costs(model: &str) -> (f64, f64, f64, f64) {
    match model {
        "rnn" => (9_000.0, 0.0, 120e3, 0.0),
        "lstm" => (31_000.0, 0.0, 480e3, 0.0),
        "gru" => (26_000.0, 0.0, 360e3, 0.0),
        "ssm" => (14_000.0, 0.0, 200e3, 0.0),
        "mamba" => (52_000.0, 0.0, 400e3, 0.0),
        _ => (8_000.0, 12.0, 100e3, 150.0),
    }
}

/// A timing cell of one mode at one length and thread count.
pub(crate) fn pass(model: &str, mode: &str, length: u64, threads: u32) -> CellFiles {
    let place = MODELS.iter().position(|known| *known == model).unwrap_or(0) as u64;
    let number = MODES.iter().position(|known| *known == mode).unwrap_or(0) as u64;
    let (l, batch) = (length as f64, BATCH as f64);
    let (step, square, flops, square_flops) = costs(model);
    let share = [1.0, 0.3, 0.3][number as usize] / f64::from(threads).powf(0.8);
    let per_pass = |step: f64, square: f64| match mode {
        "decode" => batch * (step + 2.0 * square * l),
        _ => batch * (step * l + square * l * l),
    };
    let ns = |round: u64| {
        let noise = 1.0
            + 0.02 * wobble(&[place, length, number])
            + 0.02 * wobble(&[place, length, number, round]).abs();
        ((per_pass(step, square) * share + 40_000.0) * noise) as u64
    };
    let mut rows: Vec<_> = (0..9).map(|round| timing(mode, length, BATCH, round, ns(round.into()))).collect();
    rows.iter_mut().for_each(|row| row.threads = threads);
    let coordinates = [
        ("length", json!(length)),
        ("mode", json!(mode)),
        ("batch", json!(BATCH)),
        ("threads", json!(threads)),
    ];
    let mut files = timed(model, &coordinates, rows);
    let grows = square > 0.0;
    let state = if grows { 512.0 * l } else { 512.0 * (1.0 + place as f64) };
    let predicted = batch * l * (3_000.0 + 500.0 * place as f64) + if grows { batch * l * l } else { 0.0 };
    let operations = per_pass(flops, square_flops) * if mode == "train" { 3.0 } else { 1.0 };
    let traffic = match mode {
        "decode" => 400e3 + batch * state,
        _ => 1.2e6 + batch * l * (3_000.0 + 900.0 * place as f64),
    };
    let mut facts = vec![
        ("parameters", 98_000.0 + 500.0 * place as f64),
        ("operations", operations),
        ("traffic_bytes", traffic),
        ("memory_bytes", predicted),
    ];
    facts.extend((mode == "decode").then_some(("state_bytes", state)));
    files.cell.facts = facts.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let mut conditions = vec![
        ("peak_gflops", 88.0 * f64::from(threads)),
        ("bandwidth_gb", 11.0),
        ("foreign_cores", 0.1),
        ("slowdown", 1.02),
        ("spread", 0.02),
        ("attempts", 1.0),
    ];
    if model == "gru" && length == 512 {
        conditions.retain(|(name, _)| !["spread", "attempts"].contains(name));
        conditions.extend([("spread", 0.31), ("attempts", 3.0), ("noisy", 1.0)]);
    }
    files.conditions =
        conditions.into_iter().map(|(name, value)| ConditionRow { name: name.into(), value }).collect();
    let above = 400_000.0 + predicted * (1.08 + 0.01 * wobble(&[place, length]));
    files.memory = vec![MemoryRow {
        mode: mode.into(),
        length,
        batch: BATCH,
        peak_bytes: 12_000_000 + if mode == "train" { above } else { above / 4.0 } as u64,
        baseline_bytes: 12_000_000,
    }];
    files
}

/// A cell that was predicted to take too long.
pub(crate) fn skipped(model: &str, mode: &str, length: u64) -> CellFiles {
    let mut files = pass(model, mode, length, 1);
    files.cell.status = Status::Skipped;
    files.cell.reason = Some("predicted 31 s a pass, above the limit of 5 s".into());
    files.timings.clear();
    files.memory.clear();
    files.conditions.clear();
    files
}

/// Every model, mode and length on so many threads.
pub(crate) fn experiment(threads: &[u32]) -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for model in MODELS {
        for mode in MODES {
            for length in LENGTHS {
                cells.extend(threads.iter().map(|threads| pass(model, mode, length, *threads)));
            }
        }
    }
    cells
}
