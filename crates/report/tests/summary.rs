//! Summaries of hand-made cells with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::*;
use seqbench_report::{
    statistics::{Interval, SeedValue},
    summary::*,
};
use serde_json::json;

fn only<T: Clone>(rows: &[T]) -> T {
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

#[test]
fn accuracy_is_the_scored_value_over_seeds_with_interval_and_chance() {
    let cells: Vec<_> = [(0, 0.5), (1, 1.0), (2, 0.75)]
        .map(|(seed, value)| {
            let mut files = solved_at("lstm", 30, seed, value);
            // Rows that are not the primary one: another split, another length, one lag, another metric.
            files.scores.push(ScoreRow { split: "validation".into(), ..score("accuracy", 30, 0.1) });
            files.scores.push(score("accuracy", 10, 0.2));
            files.scores.push(ScoreRow { lag: Some(30), ..score("accuracy", 30, 0.3) });
            files.scores.push(score("exact_match", 30, value / 2.0));
            files
        })
        .into();
    let summary = summarise(&cells);
    let group = only(&summary.accuracy);
    assert_eq!((group.metric.as_str(), group.length), ("accuracy", Some(30)));
    assert_eq!((group.value.n, group.value.mean), (3, Some(0.75)));
    // s = 0.25, t(0.975, 2) = 4.3026527299, half width 0.25·t/√3.
    let half = 0.25 * 4.302_652_729_9 / 3f64.sqrt();
    let interval = group.value.interval.unwrap();
    close(interval.low, 0.75 - half);
    close(interval.high, 0.75 + half);
    let solved = group.solved.unwrap();
    assert_eq!((solved.k, solved.n, group.threshold), (1, 3, Some(0.95)));
    assert_eq!(group.exact_match.mean, Some(0.375));
    assert_eq!((group.chance(), group.trivial()), (Some(0.125), None));
    assert_eq!((group.parameters, group.steps), (Some(12_345.0), Some(3000.0)));
    assert_eq!(group.counts, Counts { done: 3, ..Counts::default() });

    let curve = only(&summary.lag_curves);
    let point = only(&curve.points);
    assert_eq!((point.lag, point.positions, point.value.n), (30, 3000, 3));
    close(point.value.mean.unwrap(), 0.3);
}

/// A mean over batches or classes instead of positions is a known mistake: the row is taken as it stands, with
/// its own count of positions, and never averaged with the rows of single lags.
#[test]
fn an_unbalanced_score_is_not_averaged_again() {
    let mut files = solved_at("rnn", 2, 0, 0.9);
    // 90 positions at lag 1, all right; 10 at lag 2, all wrong. Micro-averaged: 0.9; over lags: 0.5.
    files.scores.push(ScoreRow { lag: Some(1), n: 90, ..score("accuracy", 2, 1.0) });
    files.scores.push(ScoreRow { lag: Some(2), n: 10, ..score("accuracy", 2, 0.0) });
    let summary = summarise(&[files]);
    assert_eq!(only(&summary.accuracy).value.mean, Some(0.9));
    let points = only(&summary.lag_curves).points;
    let lags: Vec<_> = points.iter().map(|point| (point.lag, point.value.mean, point.positions)).collect();
    assert_eq!(lags, [(1, Some(1.0), 90), (2, Some(0.0), 10)]);
}

#[test]
fn one_seed_has_no_interval() {
    let group = only(&summarise(&[solved_at("lstm", 30, 0, 1.0)]).accuracy);
    assert_eq!((group.value.mean, group.value.interval), (Some(1.0), None));
    let solved = group.solved.unwrap();
    assert_eq!((solved.k, solved.n), (1, 1));
    // n = 1, k = 1: from 1/(1 + z²) to 1.
    close(solved.interval.unwrap().low, 1.0 / 4.841_458_820_694);
}

#[test]
fn a_diverged_run_is_unsolved_and_has_no_accuracy() {
    let mut cells = vec![solved_at("rnn", 30, 0, 1.0), diverged_at("rnn", 30, 1), diverged_at("rnn", 30, 2)];
    for (seed, status) in [(3, Status::Failed), (4, Status::Skipped)] {
        cells.push(solved_at("rnn", 30, seed, 1.0));
        cells.last_mut().unwrap().cell.status = status;
    }
    let group = only(&summarise(&cells).accuracy);
    assert_eq!(group.counts, Counts { done: 1, diverged: 2, failed: 1, skipped: 1 });
    assert_eq!(group.value.values, [SeedValue { seed: 0, value: 1.0 }]);
    let solved = group.solved.unwrap();
    assert_eq!((solved.k, solved.n), (1, 3));
    assert_eq!(group.reasons, ["loss became NaN at step 120"]);

    let none = only(&summarise(&[diverged_at("rnn", 30, 0)]).accuracy);
    assert_eq!((none.value.mean, none.solved.unwrap().n, none.chance()), (None, 1, Some(0.125)));
}

#[test]
fn the_threshold_comes_from_the_facts_then_the_configuration() {
    let mut files = solved_at("lstm", 30, 0, 0.8);
    files.cell.config = json!({"measure": {"solved": 0.7}});
    let group = only(&summarise(std::slice::from_ref(&files)).accuracy);
    assert_eq!((group.threshold, group.solved.unwrap().k), (Some(0.7), 1));
    files.cell.facts.insert("solved_threshold".into(), 0.9);
    let group = only(&summarise(&[files]).accuracy);
    assert_eq!((group.threshold, group.solved.unwrap().k), (Some(0.9), 0));
}

#[test]
fn the_primary_length_is_the_stated_one_else_the_largest() {
    let mut files = solved_at("lstm", 30, 0, 0.8);
    files.scores.push(score("accuracy", 500, 0.6));
    assert_eq!(only(&summarise(std::slice::from_ref(&files)).accuracy).value.mean, Some(0.6));
    files.cell.facts.insert("primary_length".into(), 30.0);
    assert_eq!(only(&summarise(&[files]).accuracy).value.mean, Some(0.8));
}

#[test]
fn a_task_without_accuracy_shows_its_loss_and_the_best_trivial_predictor() {
    let mut files = cell("ssm", 0, &[]);
    files.scores = vec![score("loss_nats", 96, 1.5), score("mse", 96, 0.04)];
    files.cell.references = [("persistence", 0.09), ("seasonal", 0.06)]
        .map(|(name, value)| Reference { name: name.into(), metric: "mse".into(), value })
        .into();
    let group = only(&summarise(&[files]).accuracy);
    assert_eq!((group.metric.as_str(), group.value.mean, group.solved), ("mse", Some(0.04), None));
    assert_eq!(group.trivial().unwrap().name, "seasonal");
    assert_eq!(group.chance(), None);
}

#[test]
fn steps_to_solve_is_a_median_of_all_runs_whether_they_solved_it_or_not() {
    let with = |seed: u64, steps: Option<f64>| {
        let mut files = solved_at("lstm", 30, seed, 1.0);
        files.cell.facts.extend(steps.map(|steps| ("steps_to_solve".into(), steps)));
        files
    };
    let steps = |cells: &[CellFiles]| only(&summarise(cells).accuracy).steps_to_solve;
    let three = [with(0, Some(400.0)), with(1, None), with(2, Some(900.0))];
    assert_eq!(steps(&three), Some(StepsToSolve { median: Some(900.0), at_least: None, solved: 2, n: 3 }));
    // Half of four by 900; of five, three had not by the end of their budget.
    let more = |own: CellFiles| [three.to_vec(), vec![own]].concat();
    assert_eq!(steps(&more(with(3, None))).unwrap().median, Some(900.0));
    let five = [more(with(3, None)), vec![with(4, None)]].concat();
    assert_eq!(steps(&five), Some(StepsToSolve { median: None, at_least: Some(3000.0), solved: 2, n: 5 }));
    // All, in whatever order.
    assert_eq!(steps(&[with(0, Some(900.0)), with(1, Some(400.0))]).unwrap().median, Some(400.0));
    assert_eq!(steps(&[with(0, None)]), None);
}

#[test]
fn a_run_that_diverged_never_solves_it() {
    let run = |seed: u64, solved: f64, run: f64| {
        let mut files = solved_at("lstm", 30, seed, 1.0);
        files.cell.facts.extend([("steps_to_solve".into(), solved), ("steps_run".into(), run)]);
        files
    };
    // At step 120, before any of the others solved it, and one that had met the threshold before it diverged.
    let lost = |seed: u64| {
        let mut files = diverged_at("lstm", 30, seed);
        files.cell.facts.insert("steps_run".into(), 120.0);
        files
    };
    let mut late = run(5, 100.0, 120.0);
    late.cell.status = Status::Diverged;
    let steps = |cells: &[CellFiles]| only(&summarise(cells).accuracy).steps_to_solve.unwrap();
    let solved = [run(0, 400.0, 3000.0), run(1, 900.0, 3000.0), run(2, 1000.0, 3000.0)];
    // Two of three by 900. Without those that diverged in the risk set it were 900 in all three.
    assert_eq!(steps(&solved).median, Some(900.0));
    let with = |lost: &[CellFiles]| [solved.to_vec(), lost.to_vec()].concat();
    assert_eq!(steps(&with(&[lost(3), lost(4)])).median, Some(1000.0));
    let never = StepsToSolve { median: None, at_least: Some(f64::INFINITY), solved: 3, n: 7 };
    assert_eq!(steps(&with(&[lost(3), lost(4), late, lost(6)])), never);
}

#[test]
fn gradient_only_cells_and_trials_make_no_accuracy() {
    let mut failed = cell("lstm", 0, &[]);
    failed.cell.config = json!({"measure": {"accuracy": false}});
    failed.cell.status = Status::Failed;
    let mut trial = solved_at("lstm", 30, 0, 1.0);
    trial.cell.purpose = Purpose::Trial;
    trial.curves.push(CurveRow { step: 0, metric: "train_loss".into(), value: 2.0 });
    trial.profiles.push(profile(1, -1.0, true));
    let summary = summarise(&[failed, trial, cell("rnn", 0, &[])]);
    assert_eq!(summary.accuracy, []);
    assert_eq!((summary.learning_curves.len(), summary.profiles.len(), summary.reaches.len()), (0, 0, 0));
}

/// Seeds solved at lags 10, 30, 100 of three models.
fn sweep(model: &str, solved: [[bool; 5]; 3]) -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for (lag, seeds) in [10, 30, 100].into_iter().zip(solved) {
        for (seed, solved) in seeds.into_iter().enumerate() {
            cells.push(solved_at(model, lag, seed as u64, if solved { 1.0 } else { 0.3 }));
        }
    }
    cells
}

#[test]
fn reach_is_the_last_value_before_the_first_unsolved_and_censored_at_the_end() {
    const ALL: [bool; 5] = [true; 5];
    const FOUR: [bool; 5] = [true, true, true, true, false];
    const ONE: [bool; 5] = [false, false, true, false, false];
    const NONE: [bool; 5] = [false; 5];
    let of = |solved| only(&summarise(&sweep("lstm", solved)).reaches);
    let at = |value, censored| Reach { value, censored };

    let all = of([ALL, ALL, ALL]);
    assert_eq!([all.any, all.eighty, all.all], [at(Some(100.0), true); 3]);
    assert_eq!((all.key.as_str(), all.steps), ("lag", Some(3000.0)));
    let mixed = of([ALL, FOUR, ONE]);
    assert_eq!(
        [mixed.any, mixed.eighty, mixed.all],
        [at(Some(100.0), true), at(Some(30.0), false), at(Some(10.0), false)]
    );
    // A gap below ends the reach: solving 100 by luck does not make up for 30.
    let gap = of([ALL, NONE, ALL]);
    assert_eq!([gap.any, gap.eighty, gap.all], [at(Some(10.0), false); 3]);
    let none = of([NONE, ALL, ALL]);
    assert_eq!([none.any, none.eighty, none.all], [at(None, false); 3]);
    let counts: Vec<_> = mixed.points.iter().map(|p| (p.value, p.solved.k, p.solved.n)).collect();
    assert_eq!(counts, [(10.0, 5, 5), (30.0, 4, 5), (100.0, 1, 5)]);
}

#[test]
fn reach_is_censored_before_a_value_that_was_not_measured_and_diverged_runs_end_it() {
    let mut cells = sweep("lstm", [[true; 5]; 3]);
    for files in &mut cells {
        match files.cell.labels.coordinates[0].value.as_u64() {
            Some(30) => files.cell.status = Status::Skipped,
            _ => continue,
        }
    }
    let reach = only(&summarise(&cells).reaches);
    assert_eq!(reach.any, Reach { value: Some(10.0), censored: true });

    let diverged = [solved_at("rnn", 10, 0, 1.0), diverged_at("rnn", 30, 0)];
    let reach = only(&summarise(&diverged).reaches);
    assert_eq!(reach.any, Reach { value: Some(10.0), censored: false });
}

#[test]
fn reach_goes_over_the_lag_and_keeps_other_coordinates_apart() {
    let cells: Vec<_> = [(10, "a"), (30, "a"), (10, "b")]
        .map(|(lag, order)| {
            let mut files = solved_at("lstm", lag, 0, 1.0);
            let coordinate = |key: &str, value| Coordinate { key: key.into(), value };
            files.cell.labels.coordinates = vec![
                coordinate("width", json!(64)),
                coordinate("task.lag", json!(lag)),
                coordinate("order", json!(order)),
            ];
            files
        })
        .into();
    let reaches = summarise(&cells).reaches;
    let rows: Vec<_> =
        reaches.iter().map(|r| (r.key.as_str(), r.setting.coordinates_text(), r.any.value)).collect();
    assert_eq!(
        rows,
        [
            ("task.lag", "width=64 order=a".to_string(), Some(30.0)),
            ("task.lag", "width=64 order=b".into(), Some(10.0))
        ]
    );
}

#[test]
fn learning_curves_keep_every_seed_and_how_it_ended() {
    let mut done = solved_at("lstm", 30, 1, 1.0);
    done.curves = [(100, 0.5), (0, 2.0)]
        .map(|(step, value)| CurveRow { step, metric: "train_loss".into(), value })
        .into();
    let mut diverged = diverged_at("lstm", 30, 0);
    diverged.curves = vec![CurveRow { step: 0, metric: "train_loss".into(), value: 2.5 }];
    let curve = only(&summarise(&[done, diverged]).learning_curves);
    assert_eq!(curve.metric, "train_loss");
    assert_eq!(
        curve.seeds[0],
        CurveSeed { seed: 0, status: Status::Diverged, stopped_early: false, points: vec![(0, 2.5)] }
    );
    assert_eq!(curve.seeds[1].points, [(0, 2.0), (100, 0.5)]);
}

#[test]
fn the_decay_is_the_slope_over_trusted_distances_from_one_on() {
    // Seed 0 falls 0.1 decades a step, seed 1 0.3; distance 0 and the untrusted tail lie off the line.
    let cells: Vec<_> = [(0, -0.1), (1, -0.3)]
        .map(|(seed, slope)| {
            let mut files = cell("rnn", seed, &[]);
            files.profiles = vec![profile(0, 0.0, true), profile(64, -1.0, false)];
            files.profiles.extend([1, 2, 4, 8].map(|d| profile(d, 0.5 + slope * d as f64, true)));
            files
        })
        .into();
    let row = only(&summarise(&cells).profiles);
    let decay = row.decay.unwrap();
    close(decay.decades_per_step.mean.unwrap(), -0.2);
    // s = 0.2/√2 = 0.1414…, t(0.975, 1) = 12.7062047362: half width 12.7062047362·0.1.
    let interval = decay.decades_per_step.interval.unwrap();
    close(interval.high - interval.low, 2.0 * 1.270_620_473_62);
    close(decay.gain_per_step, 0.630_957_344_480_193);
    close(decay.half_life_steps.unwrap(), 2f64.log10() / 0.2);
    assert_eq!(decay.verdict, Verdict::Vanishing);
    let distances: Vec<_> = row.points.iter().map(|point| (point.distance, point.trusted)).collect();
    assert_eq!(distances, [(0, true), (1, true), (2, true), (4, true), (8, true), (64, false)]);
    close(row.points[1].log10_relative.mean.unwrap(), 0.3);
    close(row.points[1].log10_norm.mean.unwrap(), -1.7);
}

#[test]
fn verdicts_and_what_cannot_be_fitted() {
    let decay = |slope: f64, distances: &[u64]| {
        let mut files = cell("rnn", 0, &[]);
        files.profiles = distances.iter().map(|&d| profile(d, slope * d as f64, true)).collect();
        only(&summarise(&[files]).profiles).decay
    };
    let verdict = |gain: f64| decay(gain.log10(), &[1, 10, 100]).unwrap().verdict;
    assert_eq!(
        [0.98, 0.995, 1.0, 1.005, 1.02].map(verdict),
        [Verdict::Vanishing, Verdict::Stable, Verdict::Stable, Verdict::Stable, Verdict::Exploding]
    );
    let one = decay(0.1, &[1, 2, 3]).unwrap();
    assert_eq!((one.half_life_steps, one.decades_per_step.interval), (None, None));
    assert_eq!(decay(-0.1, &[0, 1, 2]), None);
    // Exact zeros have no logarithm to fit; they stay in the points.
    let mut files = cell("rnn", 0, &[]);
    files.profiles = [1, 2, 3].map(|d| profile(d, f64::NEG_INFINITY, true)).into();
    let row = only(&summarise(&[files]).profiles);
    assert_eq!(row.decay, None);
    assert_eq!(
        (row.points[0].log10_relative.mean, row.points[0].log10_relative.interval),
        (Some(f64::NEG_INFINITY), None)
    );
}

#[test]
fn profiles_stand_in_the_order_of_training() {
    let mut files = cell("rnn", 0, &[]);
    files.profiles = ["end", "step-1000", "init", "step-200"]
        .map(|stage| ProfileRow { stage: stage.into(), ..profile(1, 0.0, true) })
        .into();
    let stages: Vec<_> = summarise(&[files]).profiles.into_iter().map(|row| row.stage).collect();
    assert_eq!(stages, ["init", "step-200", "step-1000", "end"]);
}

#[test]
fn throughput_is_the_median_over_rounds_that_count() {
    let mut rows: Vec<_> = [10, 30, 20, 40]
        .into_iter()
        .zip(0..)
        .map(|(ms, round)| timing("train", 128, 32, round, ms * 1_000_000))
        .collect();
    rows.push(TimingRow { err: "checksum differs".into(), ..timing("train", 128, 32, 4, 1) });
    rows.extend((0..3).map(|round| timing("decode", 128, 32, round, 64_000)));
    let mut files = timed("lstm", &[], rows);
    files.memory = vec![MemoryRow {
        mode: "train".into(),
        length: 128,
        batch: 32,
        peak_bytes: 9_000,
        baseline_bytes: 5_000,
    }];
    files.cell.facts.insert("state_bytes".into(), 1024.0);
    let summary = summarise(&[files]);
    let [train, decode] = &summary.throughput[..] else { panic!("{:?}", summary.throughput) };
    assert_eq!(
        (train.rounds, train.errors, &train.reasons[..]),
        (4, 1, &["checksum differs".to_string()][..])
    );
    assert_eq!(train.median_ns, Some(25e6));
    // Type 7 over 10, 20, 30, 40: places 0.3 and 2.7.
    close(train.q10_ns.unwrap(), 13e6);
    close(train.q90_ns.unwrap(), 37e6);
    assert_eq!((train.tokens, train.tokens_per_second), (128 * 32, Some(4096.0 / 0.025)));
    assert_eq!(
        (train.peak_bytes, train.baseline_bytes, train.state_bytes),
        (Some(9_000), Some(5_000), Some(1024.0))
    );
    assert_eq!((decode.tokens, decode.tokens_per_second, decode.peak_bytes), (32, Some(500_000.0), None));
    assert_eq!(summary.scalings, []);
    assert_eq!(summary.accuracy, []);
}

#[test]
fn a_mode_whose_rounds_are_all_wrong_has_no_time() {
    let rows = vec![TimingRow { err: "checksum differs".into(), ..timing("train", 128, 32, 0, 5) }];
    let row = only(&summarise(&[timed("lstm", &[], rows)]).throughput);
    assert_eq!((row.rounds, row.errors, row.median_ns, row.tokens_per_second), (0, 1, None, None));
}

#[test]
fn models_stand_as_in_legends_and_modes_in_the_order_of_work() {
    let cells: Vec<_> = ["zeta", "ssm", "transformer", "lstm b", "lstm a", "rnn", "eta"]
        .map(|model| solved_at(model, 10, 0, 1.0))
        .into();
    let names: Vec<_> = summarise(&cells).accuracy.into_iter().map(|row| row.setting.model).collect();
    assert_eq!(names, ["rnn", "lstm a", "lstm b", "transformer", "ssm", "eta", "zeta"]);
    let rows = ["decode", "forward", "prefill", "train"].map(|mode| timing(mode, 8, 1, 0, 5)).into();
    let modes: Vec<_> =
        summarise(&[timed("rnn", &[], rows)]).throughput.into_iter().map(|row| row.mode).collect();
    assert_eq!(modes, ["train", "forward", "decode", "prefill"]);
}

#[test]
fn lengths_beyond_the_primary_one_make_the_extrapolation() {
    let with = |seed: u64, beyond: &[(u64, f64)]| {
        let mut files = solved_at("lstm", 8, seed, 1.0);
        files.cell.facts.insert("primary_length".into(), 8.0);
        files.scores.push(score("accuracy", 4, 0.9));
        files.scores.extend(beyond.iter().map(|&(length, value)| score("accuracy", length, value)));
        files.scores.push(ScoreRow { lag: Some(11), ..score("accuracy", 12, 0.0) });
        files
    };
    let cells = [with(0, &[(10, 0.5), (12, 0.25)]), with(1, &[(10, 0.75), (12, 0.5)]), with(2, &[(10, 0.0)])];
    let summary = summarise(&cells);
    let group = only(&summary.accuracy);
    assert_eq!((group.length, &group.beyond[..]), (Some(8), &[10, 12][..]));
    // The third seed lacks a length and has no mean over them.
    let values: Vec<_> = group.extrapolation.values.iter().map(|seed| (seed.seed, seed.value)).collect();
    assert_eq!(values, [(0, 0.375), (1, 0.625)]);
    let curve = only(&summary.length_curves);
    let points: Vec<_> = curve.points.iter().map(|at| (at.length, at.value.n, at.value.mean)).collect();
    assert_eq!(points[..2], [(4, 3, Some(0.9)), (8, 3, Some(1.0))]);
    assert_eq!((points[3], curve.primary, curve.chance), ((12, 2, Some(0.375)), 8, Some(0.125)));

    let plain = summarise(&[solved_at("lstm", 8, 0, 1.0)]);
    assert_eq!((plain.length_curves.len(), only(&plain.accuracy).extrapolation.n), (0, 0));
}

#[test]
fn two_settings_under_one_label_stay_apart_and_are_named() {
    let mut other = solved_at("lstm", 30, 0, 0.2);
    other.cell.group = "another".into();
    other.cell.id = "another-0".into();
    let summary = summarise(&[solved_at("lstm", 30, 0, 1.0), other]);
    assert_eq!(summary.accuracy.len(), 2);
    let warning = only(&summary.warnings);
    assert!(warning.contains("2 settings") && warning.contains("copying lstm lag=30"), "{warning}");
    assert!(summarise(&[solved_at("lstm", 30, 0, 1.0), solved_at("lstm", 30, 1, 1.0)]).warnings.is_empty());
}

#[test]
fn builds_that_cannot_be_compared_are_named_and_timing_cells_are_not_asked() {
    let made = |seed: u64, isa: &str| {
        let mut files = solved_at("lstm", 30, seed, 1.0);
        files.cell.provenance.isa = isa.into();
        files
    };
    let mut timing = made(3, "avx512");
    timing.cell.purpose = Purpose::Timing;
    let same = [made(0, "avx2"), made(1, "avx2"), timing];
    assert!(summarise(&same).warnings.is_empty());
    assert_eq!(summarise(&same).provenances.len(), 2);
    let mut mixed = [made(0, "avx2"), made(1, "portable")];
    mixed[1].cell.numerics = 2;
    let warnings = summarise(&mixed).warnings;
    assert!(warnings[0].contains("instruction set: avx2, portable"), "{warnings:?}");
    assert!(warnings[1].contains("numerics: 1, 2"), "{warnings:?}");
}

#[test]
fn the_order_of_cells_does_not_matter() {
    let mut cells = sweep("lstm", [[true; 5]; 3]);
    cells.extend(sweep("rnn", [[true, false, true, false, true]; 3]));
    let forward = summarise(&cells);
    cells.reverse();
    assert_eq!(summarise(&cells), forward);
    assert_eq!(forward.accuracy[1].setting.sweep(), Some(("lag", 30.0)));
    assert!(
        forward.accuracy.iter().all(|group| group.value.interval != Some(Interval { low: 0.0, high: 0.0 }))
    );
}
