//! Tables of work, memory and time to accuracy, from hand-made cells with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod passes;
mod read;

use cells::{cell, diverged_at, rounds, solved_at, timed};
use passes::{experiment, pass, skipped};
use read::{field, named};
use seqbench_record::{CellFiles, ConditionRow};
use seqbench_report::summary::{repeats, summarise};
use seqbench_report::table::{Format, TEXT_WIDTH, Table, Value, digest, repeat_table, tables};

fn number(value: &Value) -> f64 {
    match value {
        Value::Number(x) => *x,
        other => panic!("{other:?} is no number"),
    }
}

#[test]
fn a_whole_experiment_of_passes_has_its_tables_within_a_terminal() {
    let cells = experiment(&[1, 2]);
    let names: Vec<_> = tables(&cells).into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["throughput", "efficiency", "scaling", "crossovers", "memory"]);
    for table in tables(&cells) {
        assert!(!table.is_deterministic(), "{}", table.name);
        for (cell, column) in table.rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
            assert_eq!(cell.values.len(), column.fields.len(), "{} {}", table.name, column.name);
        }
        let text = table.render(Format::Text);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(TEXT_WIDTH), "{widest}\n{text}");
        let mut fields: Vec<_> = table.columns.iter().flat_map(|column| &column.fields).collect();
        let all = fields.len();
        fields.sort();
        fields.dedup();
        assert_eq!(fields.len(), all, "{}: field names are unique", table.name);
        assert!(fields.iter().any(|field| *field == "model"));
    }
}

#[test]
fn efficiency_sets_work_against_peak_and_roof() {
    let table = named(&[pass("lstm", "train", 1024, 1)], "efficiency");
    let at = |name: &str| number(&field(&table, name)[0]);
    // 3 · 480 k operations a step, 8 · 1024 steps.
    assert_eq!(at("operations"), 3.0 * 480e3 * 8.0 * 1024.0);
    assert!((at("share_of_peak") - at("gflops") / 88.0).abs() < 1e-12);
    assert!((at("intensity") - at("operations") / at("traffic_bytes")).abs() < 1e-9);
    let roof = (at("intensity") * 11.0).min(88.0);
    assert!((at("share_of_roof") - at("gflops") / roof).abs() < 1e-12);
    let text = table.render(Format::Md);
    assert!(text.contains("88.0 GFLOP/s and 11.0 GB/s of 1 thread"), "{text}");
    let digest = digest(&experiment(&[1])).pop().unwrap();
    assert_eq!((digest.name.as_str(), digest.rows.len()), ("efficiency", 18), "one row a curve");
    assert!(field(&digest, "length").iter().all(|length| *length == Value::Integer(8192)));
    let plain = timed("lstm", &[], rounds("train", 8, &[(64, 1000)]));
    assert!(tables(&[plain]).iter().all(|table| table.name != "efficiency"), "no operations, no row");
}

#[test]
fn what_is_equal_noisy_or_not_timed_stands_below() {
    let mut cells = experiment(&[1]);
    cells.push(skipped("transformer", "train", 16384));
    for name in ["throughput", "efficiency"] {
        let notes = named(&cells, name).notes.join(" ");
        let equal = "equal within 5 % in parameters: 98.0 k to 100 k";
        assert!(notes.contains(equal) && notes.contains("state of a sequence at length 8192"), "{notes}");
        assert!(notes.contains("3 noisy rows"), "{notes}");
    }
    let table = named(&cells, "throughput");
    let reason = "Not timed: transformer length=16384 mode=train batch=8 threads=1 (predicted 31 s a pass";
    assert!(table.notes.join(" ").contains(reason), "{:?}", table.notes);
    assert_eq!(table.rows.len(), passes::MODELS.len() * 3 * passes::LENGTHS.len());
}

#[test]
fn memory_says_what_fits() {
    let table = named(&experiment(&[1]), "memory");
    let (models, modes) = (field(&table, "model"), field(&table, "mode"));
    let row = |model: &str, mode: &str| {
        let is = |value: &Value, text: &str| *value == Value::Text(text.into());
        (0..models.len()).find(|at| is(&models[*at], model) && is(&modes[*at], mode)).unwrap()
    };
    let at = |name: &str, row: usize| number(&field(&table, name)[row]);
    let rnn = row("rnn", "train");
    assert!((at("bytes_a_step_and_sequence", rnn) / (3000.0 * 1.08) - 1.0).abs() < 0.02);
    assert!((at("predicted_over_measured", rnn) - 1.0 / 1.08).abs() < 0.02);
    let expected = ((1u64 << 30) as f64 - 12.4e6) / (8.0 * 3000.0 * 1.08);
    assert!((at("longest_in_1_gib", rnn) / expected - 1.0).abs() < 0.02);
    // A state of 512 bytes a step and sequence, and one that does not grow.
    assert_eq!(at("longest_in_1_gib", row("transformer", "decode")), f64::from(1u32 << 30) / 4096.0);
    assert_eq!(at("longest_in_16_gib", row("lstm", "decode")), f64::INFINITY);
    let text = table.render(Format::Md).replace('\\', "");
    assert!(text.contains("| any |") && text.contains("| ~ ") && text.contains("| bends, ^1."), "{text}");
}

/// A run that took `wall` seconds on two threads.
fn run(seed: u64, wall: f64, solved_after: Option<f64>) -> CellFiles {
    let mut files = solved_at("lstm", 30, seed, if solved_after.is_some() { 1.0 } else { 0.2 });
    files.cell.facts.extend([("solved_threshold".into(), 0.99), ("steps_run".into(), 1000.0)]);
    files.cell.facts.extend(solved_after.map(|steps| ("steps_to_solve".to_string(), steps)));
    files.cell.provenance.wall_seconds = wall;
    files.cell.provenance.threads = 2;
    files
}

fn only(table: &Table) -> Vec<String> {
    let [row] = &table.rows[..] else { panic!("{:?}", table.rows) };
    let shown = table.columns.iter().zip(row).filter(|(column, _)| column.shown);
    shown.map(|(_, cell)| cell.text.clone()).collect()
}

#[test]
fn time_to_accuracy_takes_the_share_of_the_steps_where_nothing_was_measured() {
    let cells = [run(0, 10.0, Some(500.0)), run(1, 10.0, Some(250.0)), run(2, 10.0, None)];
    let table = named(&cells, "time-to-accuracy");
    // Two threads for 10 s: 20 CPU seconds a run, 5 and 10 of them until solved.
    assert_eq!(only(&table), ["lstm", "30", "2/3 (21–94 %)", "500", "~ 10.0 s"]);
    assert!(table.notes.iter().any(|note| note.starts_with("~: the run's whole time")));
    let mut measured = cells;
    for files in &mut measured {
        let name = if files.cell.labels.seed < 2 { "seconds_to_solve" } else { "training_seconds" };
        files.conditions = vec![ConditionRow { name: name.into(), value: 3.0 }];
    }
    let table = named(&measured, "time-to-accuracy");
    assert_eq!(only(&table)[4], "6.00 s");
    assert!(table.notes.iter().all(|note| !note.starts_with('~')));
}

#[test]
fn more_than_half_unsolved_leave_a_bound() {
    let mut cells = vec![run(0, 10.0, Some(500.0)), run(1, 10.0, None), run(2, 10.0, None)];
    let shown = |cells: &[CellFiles]| only(&named(cells, "time-to-accuracy"))[2..].to_vec();
    assert_eq!(shown(&cells), ["1/3 (6–79 %)", "≥ 1000", "≥ ~ 20.0 s"]);
    // A diverged run never solves it, however little it cost.
    let lost = |seed: u64| {
        let mut diverged = diverged_at("lstm", 30, seed);
        diverged.cell.facts.insert("solved_threshold".into(), 0.99);
        diverged.cell.provenance.wall_seconds = 1.0;
        diverged
    };
    cells.push(lost(3));
    assert_eq!(shown(&cells), ["1/4 (5–70 %)", "≥ 1000", "≥ ~ 20.0 s"]);
    cells.push(run(4, 10.0, Some(600.0)));
    assert_eq!(shown(&cells)[1..], ["≥ 1000", "≥ ~ 20.0 s"]);
    cells.push(run(5, 10.0, Some(700.0)));
    assert_eq!(shown(&cells)[1..], ["700", "~ 14.0 s"]);
    // Two of five are no half, though the others spent their budget of steps in less time than the second took to solve it.
    let slow = [run(0, 10.0, Some(500.0)), run(1, 100.0, Some(900.0))];
    let fast = [run(2, 9.0, None), run(3, 10.0, None), run(4, 11.0, None)];
    assert_eq!(shown(&[&slow[..], &fast].concat()), ["2/5 (12–77 %)", "≥ 1000", "≥ ~ 20.0 s"]);
    let table = named(&[run(0, 10.0, Some(500.0)), lost(1), lost(2)], "time-to-accuracy");
    assert_eq!(only(&table)[3..], ["never", "never"]);
    assert_eq!(field(&table, "cpu_seconds_at_least"), [Value::Number(f64::INFINITY)]);
    // Neither a threshold nor a time: no row, and no column.
    assert!(tables(&[solved_at("lstm", 30, 0, 1.0)]).iter().all(|table| table.name != "time-to-accuracy"));
    let untimed = named(&[run(0, 0.0, Some(500.0))], "time-to-accuracy");
    assert_eq!(only(&untimed), ["lstm", "30", "1/1 (21–100 %)", "500"]);
    assert!(tables(&[cell("lstm", 0, &[])]).is_empty());
    let mut loss = run(0, 10.0, None);
    loss.scores.iter_mut().for_each(|row| row.metric = "bits_per_byte".into());
    assert!(tables(&[loss]).iter().all(|table| table.name != "time-to-accuracy"), "a loss is never solved");
}

#[test]
fn two_runs_of_the_same_are_set_side_by_side() {
    let (first, mut second) = (experiment(&[1]), experiment(&[1]));
    for files in second.iter_mut().filter(|files| files.cell.labels.model == "ssm") {
        files.timings.iter_mut().for_each(|row| row.ns = row.ns * 6 / 5);
    }
    let rows = repeats(&summarise(&first), &summarise(&second));
    let table = repeat_table(&rows);
    assert_eq!(table.rows.len(), passes::MODELS.len() * 3 * passes::LENGTHS.len());
    let apart = |model: &str| {
        let of = rows.iter().filter(|row| row.setting.model == model);
        of.filter(|row| row.covers_one == Some(false)).count()
    };
    assert_eq!((apart("ssm"), apart("lstm")), (3 * passes::LENGTHS.len(), 0));
    assert!(table.notes.iter().any(|note| note == "120 of 144 intervals hold 1."), "{:?}", table.notes);
    let text = table.render(Format::Md);
    assert!(text.contains("| 1.200 (") && text.contains(" | no |"), "{text}");
    assert!(!table.is_deterministic());
}
