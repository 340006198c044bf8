//! Fitted growth of time and memory, from cells with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod read;

use cells::{cell, rounds, timed};
use read::{field, named};
use seqbench_record::{CellFiles, MemoryRow, TimingRow};
use seqbench_report::summary::{Scaling, Straightness, summarise};
use seqbench_report::table::{Format, Value};
use serde_json::json;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} is not {b}");
}

fn only(mut scalings: Vec<Scaling>) -> Scaling {
    assert_eq!(scalings.len(), 1, "{scalings:?}");
    scalings.remove(0)
}

#[test]
fn growth_is_fitted_where_it_is_straight_whether_one_cell_holds_the_lengths_or_each_its_own() {
    // Constant below, then quadratic from 512 on.
    let lengths = [(64, 100), (128, 100), (256, 100), (512, 100), (1024, 400), (2048, 1600), (4096, 6400)];
    let together = vec![timed("transformer", &[], rounds("forward", 1, &lengths))];
    let place = |length: u64| {
        [
            ("task.lag", json!(7)),
            ("length", json!(length)),
            ("mode", json!("forward")),
            ("measure.throughput.batch", json!(1)),
            ("threads", json!(1)),
        ]
    };
    let apart: Vec<_> =
        lengths.map(|own| timed("transformer", &place(own.0), rounds("forward", 1, &[own]))).into();
    for (cells, coordinates) in [(together, 0), (apart, 1)] {
        let found = only(summarise(&cells).scalings);
        assert_eq!(found.setting.coordinates.len(), coordinates, "what a row carries is no coordinate");
        let growth = found.growth;
        let found = (growth.from_length, growth.to_length, growth.points, growth.of_points);
        assert_eq!(found, (512, 4096, 4, 7));
        close(growth.exponent, 2.0);
        assert_eq!(growth.straightness, Straightness::Straight);
        close(growth.at(512.0), 100.0);
    }
}

#[test]
fn few_lengths_are_all_fitted_and_two_say_nothing() {
    let fit = |times: &[(u64, u64)]| summarise(&[timed("rnn", &[], rounds("forward", 1, times))]).scalings;
    assert_eq!(fit(&[(10, 70), (100, 700)]), []);
    let three = only(fit(&[(10, 70), (100, 700), (1000, 7000)])).growth;
    assert_eq!((three.points, three.from_length, three.exponent_error), (3, 10, None));
    close(three.exponent, 1.0);
    // In decades: x 0, 1, 2, 3 and y 1, 3, 3, 5. Slope 6/5; residuals −0.2, 0.6, −0.6, 0.2, so 0.8/2/5 squared.
    let four = only(fit(&[(1, 10), (10, 1000), (100, 1000), (1000, 100_000)])).growth;
    close(four.exponent, 1.2);
    close(four.exponent_error.unwrap(), 0.08f64.sqrt());
    let five = only(fit(&[(1, 1), (2, 2), (4, 4), (8, 8), (16, 16)])).growth;
    assert_eq!((five.points, five.from_length), (5, 1));
}

#[test]
fn fewer_rounds_than_five_are_fitted_by_nothing_and_say_so() {
    let mut rows = rounds("forward", 1, &[(10, 70), (100, 700), (1000, 7000)]);
    assert_eq!(summarise(&[timed("rnn", &[], rows.clone())]).scalings.len(), 1);
    rows.retain(|row: &TimingRow| row.length < 1000 || row.round < 4);
    let cells = [timed("rnn", &[], rows)];
    assert_eq!(summarise(&cells).scalings, []);
    let text = named(&cells, "throughput").render(Format::Md);
    assert!(text.contains("| 4 (few) | 7.00 µs |") && text.contains("Few: below 5 rounds"), "{text}");
}

#[test]
fn what_still_bends_says_so() {
    let times = [4, 5, 6, 7, 8, 9].map(|bits| (1u64 << bits, 512 * (1 << bits) + (1 << (2 * bits))));
    let cells = [timed("transformer", &[], rounds("forward", 1, &times))];
    let table = named(&cells, "scaling");
    assert!(table.render(Format::Md).contains("| 64–512 | 4 of 6 | still bending |"));
    assert_eq!(field(&table, "still_bending"), [Value::Flag(true)]);
    let Value::Number(low) = field(&table, "bend_low")[0] else { panic!("a bend has an interval") };
    assert!(low > 0.0, "{low}");
    let straight = [timed("rnn", &[], rounds("forward", 1, &[(1, 1), (2, 2), (4, 4), (8, 8)]))];
    assert!(!named(&straight, "scaling").render(Format::Md).contains("bending"));
}

/// A training cell of one length with so much memory above a baseline.
fn remembering(model: &str, length: u64, above: u64) -> CellFiles {
    let mut files = timed(model, &[("length", json!(length))], rounds("train", 2, &[(length, length)]));
    files.memory = vec![MemoryRow {
        mode: "train".into(),
        length,
        batch: 2,
        peak_bytes: 1_000_000 + above,
        baseline_bytes: 1_000_000,
    }];
    files
}

#[test]
fn memory_grows_by_a_power_of_its_own_above_the_baseline() {
    let cells: Vec<_> =
        [16, 32, 64, 128].map(|length| remembering("transformer", length, 3 * length * length)).into();
    let found = only(summarise(&cells).memory_scalings);
    assert_eq!((found.mode.as_str(), found.growth.points), ("train", 4));
    close(found.growth.exponent, 2.0);
    close(found.growth.at(10.0), 300.0);
    let level: Vec<_> = [16, 32, 64, 128].map(|length| remembering("rnn", length, 0)).into();
    assert_eq!(summarise(&level).memory_scalings, [], "what does not rise has no power");
}

#[test]
fn work_is_set_against_what_the_machine_can_do() {
    let mut files = timed("lstm", &[], rounds("train", 2, &[(64, 1_000_000)]));
    let facts = [("operations", 2e6), ("traffic_bytes", 1e6), ("memory_bytes", 5e5), ("parameters", 100.0)];
    files.cell.facts = facts.map(|(name, value)| (name.to_string(), value)).into();
    let conditions = [("peak_gflops", 40.0), ("bandwidth_gb", 10.0), ("noisy", 1.0), ("spread", 0.25)];
    files.conditions =
        conditions.map(|(name, value)| seqbench_record::ConditionRow { name: name.into(), value }).into();
    let row = summarise(&[files.clone()]).throughput.remove(0);
    // 2·10⁶ operations in 10⁶ ns; the roof is 2 operations a byte times 10 GB/s.
    close(row.gflops.unwrap(), 2.0);
    close(row.share_of_peak.unwrap(), 0.05);
    close(row.share_of_roof.unwrap(), 0.1);
    assert_eq!((row.predicted_bytes, row.parameters), (Some(5e5), Some(100.0)));
    assert!(row.disturbance.noisy && row.disturbance.spread == Some(0.25));
    let table = named(&[files.clone()], "throughput");
    let text = table.render(Format::Md);
    assert!(text.contains("| noisy |") && text.contains("1 noisy rows"), "{text}");
    assert_eq!(field(&table, "noisy"), [Value::Flag(true)]);
    assert_eq!(field(&table, "spread"), [Value::Number(0.25)]);
    // Cells without facts and conditions have neither columns nor shares.
    files.cell.facts.clear();
    files.conditions.clear();
    let row = summarise(&[files.clone()]).throughput.remove(0);
    assert_eq!((row.gflops, row.share_of_peak, row.share_of_roof), (None, None, None));
    assert!(!named(&[files], "throughput").render(Format::Md).contains("noisy"));
    assert!(summarise(&[cell("rnn", 0, &[])]).throughput.is_empty());
}
