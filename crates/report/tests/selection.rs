//! Selection of a learning rate, and when runs stop: hand-made cells with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::{CellFiles, CurveRow, Purpose, Status};
use seqbench_report::plot::figures;
use seqbench_report::summary::*;
use seqbench_report::table::*;
use serde_json::json;

const RATES: [f64; 3] = [0.001, 0.003, 0.01];

/// Two trials of three rates for two models; the first takes the middle, the second the largest.
fn tuned() -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for (model, scores, chosen) in [("lstm", [0.5, 0.875, 0.75], 0.003), ("gru", [0.25, 0.5, 1.0], 0.01)] {
        for (rate, score) in RATES.into_iter().zip(scores) {
            cells
                .extend([0, 1].map(|seed| trial(model, rate, seed, "accuracy", score - 0.125 * seed as f64)));
        }
        cells.extend([0, 1].map(|seed| selected(model, chosen, &RATES, seed, 1.0)));
    }
    cells
}

fn named(cells: &[CellFiles], name: &str) -> Table {
    tables(cells).into_iter().find(|table| table.name == name).unwrap()
}

#[test]
fn every_candidate_has_the_mean_of_its_last_validation_scores() {
    let summary = summarise(&tuned());
    let [lstm, gru] = &summary.selections[..] else { panic!("two settings") };
    let means: Vec<_> = lstm.candidates.iter().map(|own| (own.rate, own.value.mean, own.trials)).collect();
    // The last point of a curve counts, though it stands first in the file.
    assert_eq!(means, [(0.001, Some(0.4375), 2), (0.003, Some(0.8125), 2), (0.01, Some(0.6875), 2)]);
    assert_eq!((lstm.chosen, lstm.edge), (Some(0.003), None));
    assert_eq!((gru.chosen, gru.edge), (Some(0.01), Some(Edge::Highest)));
    assert_eq!(summary.accuracy.len(), 2, "trials make no accuracy");
    assert_eq!(summary.accuracy[0].selected, Some(Selected { candidates: 3, trials: 2 }));
    assert_eq!(summary.accuracy[0].stop, Some(Stop::Early(0.995)));
}

#[test]
fn an_edge_needs_a_choice_and_a_diverged_trial_has_no_score() {
    let only = |cells: &[CellFiles]| summarise(cells).selections.remove(0);
    let one = [trial("lstm", 0.1, 0, "accuracy", 0.5), selected("lstm", 0.1, &[0.1], 0, 1.0)];
    assert_eq!(only(&one).edge, None);
    let mut two = vec![trial("lstm", 0.1, 0, "accuracy", 0.5), trial("lstm", 0.2, 0, "accuracy", 0.9)];
    assert_eq!((only(&two).chosen, only(&two).edge), (None, None), "no run has been reported yet");
    two.push(selected("lstm", 0.1, &[0.1, 0.2], 0, 1.0));
    two[1].cell.status = Status::Diverged;
    let own = only(&two);
    assert_eq!(own.edge, Some(Edge::Lowest));
    assert_eq!((own.candidates[1].value.n, own.candidates[1].diverged), (0, 1));
    two[1].cell.status = Status::Failed;
    assert_eq!(only(&two).candidates.len(), 1, "a trial that failed is no trial");
}

#[test]
fn a_text_is_selected_by_its_bits_per_byte() {
    let mut cells =
        vec![trial("lstm", 0.1, 0, "bits_per_byte", 2.5), trial("lstm", 0.2, 0, "bits_per_byte", 2.0)];
    for files in &mut cells {
        files.curves.push(CurveRow { step: 100, metric: "validation_accuracy".into(), value: 0.5 });
    }
    let own = summarise(&cells).selections.remove(0);
    assert_eq!((own.metric.as_str(), own.candidates[1].value.mean), ("bits_per_byte", Some(2.0)));
    let svg = figures(&cells).remove(0).svg;
    assert!(words(&svg).contains("validation bits per byte (lower is better)"), "{svg}");
}

#[test]
fn the_table_marks_a_rate_at_the_edge() {
    let table = named(&tuned(), "selection");
    let text = table.render(Format::Md);
    assert!(text.contains("| lstm | 3 | 2 | 0.003 | – |"), "{text}");
    assert!(text.contains("| gru | 3 | 2 | 0.01 | edge of the grid |"), "{text}");
    assert!(text.contains("All rows: metric validation accuracy."), "{text}");
    let csv = table.render(Format::Csv);
    assert!(csv.contains(",3,0.001 0.003 0.01,2,0.01,highest,"), "{csv}");
    for (cell, column) in table.rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
        assert_eq!(cell.values.len(), column.fields.len(), "{}", column.name);
    }
}

#[test]
fn the_picture_has_every_trial_and_a_ring_a_model() {
    let drawn = figures(&tuned());
    let figure = drawn.iter().find(|own| own.file_name == "selection-copying.svg").unwrap();
    let svg = &figure.svg;
    assert_eq!(parts(svg, "stroke-width=\"56\""), 2 * 3 * 2);
    // Rings are the only lines of this width.
    assert_eq!(parts(svg, "stroke-width=\"22\""), 2);
    for expected in
        ["learning rate", "validation accuracy", "0.003", "2 trials of each rate", "ring: the rate chosen"]
    {
        assert!(words(svg).contains(expected), "{expected}");
    }
    let trials: Vec<_> = tuned().into_iter().filter(|own| own.cell.purpose == Purpose::Trial).collect();
    let before = figures(&trials);
    assert_eq!(before.len(), 1);
    assert!(!before[0].svg.contains("ring"));
}

#[test]
fn the_notes_say_how_rates_were_found_and_when_runs_stop() {
    let chosen = "Learning rate chosen among 3 candidates by 2 trials each on the validation stream.";
    let early = "Budget: 800 optimizer steps a run; runs stop early at validation accuracy ≥ 0.995.";
    let notes = |cells: &[CellFiles]| named(cells, "accuracy").notes;
    assert!(notes(&tuned()).contains(&chosen.to_string()) && notes(&tuned()).contains(&early.to_string()));
    let digest = digest(&tuned()).remove(0);
    assert!(digest.notes.iter().any(|note| note.contains("3 candidates by 2 trials")), "{:?}", digest.notes);

    let mut whole = selected("rnn", 0.1, &[], 0, 1.0);
    whole.cell.config = json!({"train": {"lr": 0.1, "stop_at": null}});
    let spent = "Budget: 800 optimizer steps a run; the whole budget is spent.";
    assert!(notes(&[whole.clone()]).contains(&spent.to_string()));
    let mixed = notes(&[tuned(), vec![whole]].concat());
    assert!(
        mixed.iter().any(|note| note.ends_with("validation stream; fixed for the other rows.")),
        "{mixed:?}"
    );
    assert!(mixed.iter().any(|note| note.contains("some runs stop early at validation accuracy ≥ 0.995")));
}

#[test]
fn a_run_that_stopped_early_unsolved_is_at_risk_until_then() {
    let run = |seed: u64, steps_run: f64, solved: Option<f64>| {
        let mut files = selected("lstm", 0.1, &RATES, seed, 0.995);
        files.cell.facts.insert("steps_run".into(), steps_run);
        files.cell.facts.extend(solved.map(|steps| ("steps_to_solve".into(), steps)));
        files
    };
    let solved = |seed: u64, steps: f64| run(seed, steps, Some(steps));
    let steps = |cells: &[CellFiles]| {
        let found = summarise(cells).accuracy[0].steps_to_solve.unwrap();
        (found.median, found.at_least)
    };
    // Solved at 100 and told to stop there: known, whatever the budget.
    assert_eq!(steps(&[solved(0, 100.0), solved(1, 200.0), solved(2, 300.0)]), (Some(200.0), None));
    // By hand, of five: 4/5 wait after 100; at 300 one of the three left reaches it, 8/15; at 400 one of two, 4/15.
    let open =
        [solved(0, 100.0), run(1, 150.0, None), solved(2, 300.0), solved(3, 400.0), run(4, 800.0, None)];
    assert_eq!(steps(&open), (Some(400.0), None));
    // Both unsolved stopped at 150: at 300 one of two, 2/5. As runs longer than any they would make it 400.
    let sooner = [&open[..4], &[run(4, 150.0, None)]].concat();
    assert_eq!(steps(&sooner), (Some(300.0), None));
    // More than half wait to the end. Had the two solved it just after they stopped, the median would be 160.
    let few = [
        solved(0, 100.0),
        run(1, 150.0, None),
        run(2, 160.0, None),
        run(3, 800.0, None),
        run(4, 800.0, None),
    ];
    assert_eq!(steps(&few), (None, Some(160.0)));
    let text = named(&few, "accuracy").render(Format::Md);
    assert!(text.contains("| ≥ 160 |") && text.contains("≥ where more than half did not"), "{text}");
}

/// Seven models, five rates, three trials, two lags: with `SEQBENCH_PLOT_DIR` set, to be looked at.
#[test]
fn a_large_selection_is_drawn_in_panels() {
    let mut cells = Vec::new();
    let rates = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2];
    let models = ["rnn", "lstm", "gru", "transformer", "ssm", "mamba", "xlstm"];
    for lag in [30, 100] {
        for (place, model) in models.into_iter().enumerate() {
            let best = place % rates.len();
            let mut own = Vec::new();
            for (i, rate) in rates.into_iter().enumerate() {
                for seed in 0..3 {
                    let score = 1.0 - 0.2 * i.abs_diff(best) as f64 - 0.001 * lag as f64 - 0.03 * seed as f64;
                    own.push(trial(model, rate, seed, "accuracy", score.max(0.1)));
                }
            }
            own.push(selected(model, rates[best], &rates, 0, 1.0));
            for files in &mut own {
                let coordinate = seqbench_record::Coordinate { key: "lag".into(), value: json!(lag) };
                files.cell.labels.coordinates.push(coordinate);
                files.cell.group = format!("{model}-{lag}");
                files.cell.id = format!("{}-{lag}", files.cell.id);
            }
            cells.extend(own);
        }
    }
    let drawn = figures(&cells);
    let figure = drawn.iter().find(|own| own.file_name == "selection-copying.svg").unwrap();
    if let Some(folder) = std::env::var_os("SEQBENCH_PLOT_DIR") {
        std::fs::write(std::path::Path::new(&folder).join("large-selection.svg"), &figure.svg).unwrap();
    }
    assert_eq!(parts(&figure.svg, "stroke-width=\"56\""), 2 * models.len() * rates.len() * 3);
    assert_eq!(parts(&figure.svg, "stroke-width=\"22\""), 2 * models.len());
    assert!(words(&figure.svg).contains("lag=30") && words(&figure.svg).contains("lag=100"));
}
