//! Figures of what passes and runs cost, from hand-made cells: what must be in them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod passes;

use cells::{parts, solved_at, words};
use passes::{MODELS, experiment, pass};
use seqbench_record::CellFiles;
use seqbench_report::plot::figures;

fn named(cells: &[CellFiles], name: &str) -> Option<String> {
    figures(cells).into_iter().find(|figure| figure.file_name == name).map(|figure| figure.svg)
}

fn words_of(cells: &[CellFiles], name: &str) -> String {
    words(&named(cells, name).unwrap_or_else(|| panic!("no {name}")))
}

#[test]
fn an_experiment_of_passes_has_every_figure_of_cost() {
    let cells = experiment(&[1]);
    let figures = figures(&cells);
    let names: Vec<_> = figures.iter().map(|figure| figure.file_name.as_str()).collect();
    assert_eq!(
        names,
        [
            "time-train.svg",
            "time-forward.svg",
            "time-decode.svg",
            "tokens-per-second.svg",
            "roofline.svg",
            "memory-train.svg",
            "memory-forward.svg",
            "state-vs-context.svg",
        ]
    );
    for figure in &figures {
        let text = words(&figure.svg);
        assert!(MODELS.iter().all(|model| text.contains(model)), "{}: {text}", figure.file_name);
        for broken in ["NaN", "inf", "∞"] {
            assert!(!figure.svg.contains(broken), "{}: {broken}", figure.file_name);
        }
    }
}

#[test]
fn exponents_stand_in_the_legend_of_a_lone_panel_alone() {
    let one = words_of(&experiment(&[1]), "time-decode.svg");
    assert!(one.contains("exponent 0.00 ± 0.01") && one.contains("still bending"), "{one}");
    assert!(one.contains("fitted power") && one.contains("hollow: noisy"), "{one}");
    let two = words_of(&experiment(&[1, 2]), "time-decode.svg");
    assert!(!two.contains("exponent") && two.contains("fitted power"), "{two}");
    assert!(two.contains("1 thread") && two.contains("2 threads"), "{two}");
}

#[test]
fn few_crossovers_have_their_length_and_many_are_left_to_the_table() {
    // Attention's token meets four others' in the formulas of the cells, and its training step five.
    let few = words_of(&experiment(&[1]), "time-decode.svg");
    assert!(few.contains("rings: two models take the same time") && !few.contains("table of crossovers"));
    let many = words_of(&experiment(&[1]), "time-train.svg");
    assert!(many.contains("at the lengths in the table of crossovers"), "{many}");
    // Without an interval nothing is marked: five rounds have none.
    let mut cells = experiment(&[1]);
    cells.iter_mut().for_each(|files| files.timings.truncate(5));
    let text = words_of(&cells, "time-decode.svg");
    assert!(!text.contains("rings") && text.contains("fitted power"), "{text}");
    cells.iter_mut().for_each(|files| files.timings.truncate(4));
    assert_eq!(named(&cells, "time-decode.svg"), None, "four rounds are not drawn");
}

#[test]
fn the_roof_is_named_by_its_peak_and_bandwidth() {
    let text = words_of(&experiment(&[1, 2]), "roofline.svg");
    for expected in ["roof: 88.0 GFLOP/s, 11.0 GB/s", "roof: 176 GFLOP/s, 11.0 GB/s", "decoding, 2 threads"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let mut unknown = experiment(&[1]);
    unknown.iter_mut().for_each(|files| files.conditions.clear());
    assert_eq!(named(&unknown, "roofline.svg"), None);
}

#[test]
fn memory_stands_beside_its_prediction_where_there_is_one() {
    let mut cells: Vec<CellFiles> = [64, 128, 256].map(|length| pass("lstm", "train", length, 1)).into();
    assert!(words_of(&cells, "memory-train.svg").contains("predicted"));
    cells.iter_mut().for_each(|files| files.cell.facts.clear());
    assert!(!words_of(&cells, "memory-train.svg").contains("predicted"));
    assert_eq!(named(&cells, "state-vs-context.svg"), None);
}

/// Three runs of a model at a lag that took so long.
fn runs(model: &str, lag: u64, accuracy: f64, wall: f64) -> Vec<CellFiles> {
    let run = |seed| {
        let mut files = solved_at(model, lag, seed, accuracy);
        files.cell.provenance.wall_seconds = wall;
        files
    };
    (0..3).map(run).collect()
}

#[test]
fn reach_stands_against_the_cost_of_a_run_where_a_sweep_has_one() {
    let sweep = |model: &str, reach: u64, wall: f64| -> Vec<CellFiles> {
        let at = |lag| runs(model, lag, if lag <= reach { 1.0 } else { 0.2 }, wall);
        [10, 30, 100].into_iter().flat_map(at).collect()
    };
    let mut cells = [sweep("rnn", 0, 1.0), sweep("lstm", 100, 4.0)].concat();
    assert_eq!(named(&cells, "accuracy-cost-copying.svg"), None, "one point says nothing of another");
    cells.extend(sweep("ssm", 30, 9.0));
    let text = words_of(&cells, "accuracy-cost-copying.svg");
    for expected in [
        "copying: reach in lag against the cost of a run",
        "training, validation, probes and scoring together",
        "not even the smallest: rnn",
        "ringed: no larger value was measured",
        "CPU time of a run (s)",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    cells.iter_mut().for_each(|files| files.cell.provenance.wall_seconds = 0.0);
    assert_eq!(named(&cells, "accuracy-cost-copying.svg"), None, "no time, no cost");
}

#[test]
fn without_a_sweep_accuracy_stands_against_the_cost_with_its_interval() {
    let cells = [runs("rnn", 10, 0.5, 1.0), runs("lstm", 10, 0.9, 4.0)].concat();
    let text = words_of(&cells, "accuracy-cost-copying.svg");
    assert!(text.contains("copying: accuracy against the cost of a run"), "{text}");
    assert!(text.contains("95 % t interval over seeds") && !text.contains("runs stop"), "{text}");
    let svg = named(&cells, "accuracy-cost-copying.svg").expect("a figure");
    assert_eq!(parts(&svg, "stroke-linecap=\"round\" opacity="), 2 * 3, "every run is a dot");
    let mut early = cells;
    early.iter_mut().for_each(|files| files.cell.config = serde_json::json!({"train": {"stop_at": 0.99}}));
    assert!(words_of(&early, "accuracy-cost-copying.svg").contains("runs may stop early"));
}
