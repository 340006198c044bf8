//! Timed passes: every one must reproduce an untimed one, or it is an error and no time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod linear;
mod toy;

use linear::{Leaky, cell, model};
use seqbench_core::Registry;
use seqbench_harness::run::TimedRound;
use seqbench_harness::spec::{CellSpec, Mode, ThroughputSpec};
use seqbench_harness::throughput::Bench;
use serde_json::{Value as Json, json};

const MODES: [Mode; 3] = [Mode::Train, Mode::Forward, Mode::Decode];
const ROUNDS: u32 = 4;

/// Calls of a layer that the comparison with the plain formulation makes: once fast and once plainly; of decoding a
/// prefill of eight steps, four tokens, and the whole plainly.
const GATE: [usize; 3] = [2, 2, 1 + 4 + 1];

fn spec(modes: &[Mode], config: &Json) -> CellSpec {
    let mut spec = cell("echo", json!({"lag": 9, "classes": 4}));
    spec.model = model("leaky", config, 2, 6);
    spec.measure.accuracy = None;
    spec.measure.throughput = Some(ThroughputSpec {
        modes: modes.to_vec(),
        length: 12,
        batch: 3,
        rounds: ROUNDS,
        warmup: 1,
        threads: 1,
    });
    spec
}

fn prepare(spec: &CellSpec) -> Bench {
    Bench::prepare(spec, &Registry::new(&[&&Leaky], &[&toy::Echo])).unwrap()
}

/// The rounds of every mode, interleaved.
fn rounds(bench: &mut Bench, modes: &[Mode]) -> Vec<Vec<TimedRound>> {
    let mut all = vec![Vec::new(); modes.len()];
    for _ in 0..ROUNDS {
        for (mode, rounds) in modes.iter().zip(&mut all) {
            rounds.push(bench.round(*mode).unwrap());
        }
    }
    all
}

fn checksums(rounds: &[TimedRound]) -> Vec<&str> {
    rounds.iter().map(|round| round.checksum.as_str()).collect()
}

#[test]
fn an_honest_model_has_no_error_and_the_same_checksums_again() {
    let spec = spec(&MODES, &json!({}));
    let (mut bench, mut again) = (prepare(&spec), prepare(&spec));
    let (first, second) = (rounds(&mut bench, &MODES), rounds(&mut again, &MODES));
    for ((mode, first), second) in MODES.iter().zip(&first).zip(&second) {
        assert!(first.iter().all(|round| round.err.is_empty() && round.ns > 0), "{mode:?}: {first:?}");
        assert_eq!(checksums(first), checksums(second), "{mode:?}");
        let mut distinct = checksums(first);
        distinct.sort_unstable();
        distinct.dedup();
        // Training moves on, so its losses differ; the other passes repeat themselves.
        assert_eq!(distinct.len(), if *mode == Mode::Train { ROUNDS as usize } else { 1 }, "{mode:?}");
    }
}

#[test]
fn a_model_whose_outputs_change_is_an_error_from_then_on() {
    // Calls of a layer before the first round: of training the twin's five steps and a warm-up, of forward two passes,
    // of decoding a prefill and two passes of sixteen tokens, each after those of the gate; then those of a round.
    let calls = [
        (Mode::Train, GATE[0] + 5 + 1, 1),
        (Mode::Forward, GATE[1] + 2, 1),
        (Mode::Decode, GATE[2] + 1 + 2 * 16, 16),
    ];
    for (index, (mode, before, round)) in calls.into_iter().enumerate() {
        for honest in [0, 2] {
            let from = 2 * (before + round * honest) + 1;
            let counter = 2 * index + honest / 2;
            let mut bench = prepare(&spec(&[mode], &json!({ "lies_from": from, "counter": counter })));
            let found = rounds(&mut bench, &[mode]).remove(0);
            let wrong: Vec<bool> = found.iter().map(|round| !round.err.is_empty()).collect();
            let expected: Vec<bool> = (0..ROUNDS as usize).map(|round| round >= honest).collect();
            assert_eq!(wrong, expected, "{mode:?} from call {from}: {found:?}");
            assert!(found[3].err.contains("untimed run's"), "{mode:?}: {}", found[3].err);
        }
    }
}

/// The state goes on as before, so the last token's outputs alone would not show it.
#[test]
fn a_single_wrong_token_among_those_decoded_is_an_error() {
    let config = json!({"lies_from": 2 * (GATE[2] + 1 + 2 * 16 + 3), "lies_to": 2 * (GATE[2] + 1 + 2 * 16 + 4), "counter": 6});
    let found = rounds(&mut prepare(&spec(&[Mode::Decode], &config)), &[Mode::Decode]).remove(0);
    let wrong: Vec<bool> = found.iter().map(|round| !round.err.is_empty()).collect();
    assert_eq!(wrong, [true, false, false, false], "{found:?}");
}

/// It is wrong in the same way every time, so that only the plain formulation can tell.
#[test]
fn a_wrong_kernel_has_no_time_in_any_mode() {
    for wrong in [0.01, -0.05] {
        let mut bench = prepare(&spec(&MODES, &json!({ "wrong": wrong })));
        for (mode, found) in MODES.iter().zip(rounds(&mut bench, &MODES)) {
            assert!(
                found.iter().all(|round| round.err.contains("the plain formulation's")),
                "{mode:?}: {found:?}"
            );
        }
    }
    // What rounding may do is no error.
    let mut bench = prepare(&spec(&MODES, &json!({ "wrong": 1e-5 })));
    assert!(rounds(&mut bench, &MODES).iter().flatten().all(|round| round.err.is_empty()));
}

#[test]
fn more_rounds_of_training_than_were_rehearsed_are_an_error() {
    let mut bench = prepare(&spec(&[Mode::Train], &json!({})));
    assert!(rounds(&mut bench, &[Mode::Train])[0].iter().all(|round| round.err.is_empty()));
    assert!(!bench.round(Mode::Train).unwrap().err.is_empty());
}

#[test]
fn facts_and_memory_come_with_the_rounds() {
    let bench = prepare(&spec(&MODES, &json!({})));
    assert_eq!(bench.loss_metric(), "loss_nats");
    let (facts, memory) = bench.finish();
    assert_eq!(facts["state_bytes"], 2.0 * 6.0 * 4.0);
    assert!(facts["parameters"] > 0.0);
    // Where the system tells peaks at all, it tells them for every mode.
    assert!(
        memory.is_empty() || memory.iter().map(|row| row.mode.as_str()).eq(["train", "forward", "decode"])
    );
    assert!(memory.iter().all(|row| row.peak_bytes > 0 && (row.length, row.batch) == (12, 3)));
}

#[test]
fn a_cell_that_measures_no_throughput_is_refused() {
    let mut spec = spec(&MODES, &json!({}));
    spec.measure.throughput = None;
    let error = Bench::prepare(&spec, &Registry::new(&[&&Leaky], &[&toy::Echo])).err().unwrap();
    assert!(error.to_string().contains("no throughput"));
}
