//! Figures from the cells of a whole experiment: what must be in them, and what must not break them.
//!
//! With `SEQBENCH_PLOT_DIR` set to a folder, every figure drawn here is written there to be looked at.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod fixture;

use cells::{parts, words};
use fixture::{LAGS, MODELS, SEEDS, cell, experiment, final_run};
use seqbench_record::{CellFiles, CurveRow, Purpose, Reference, ScoreRow};
use seqbench_report::plot::{Figure, figures};

/// Draws, checks what holds for every figure, and writes them where asked, under names that start with `case`.
fn drawn(case: &str, cells: &[CellFiles]) -> Vec<Figure> {
    let figures = figures(cells);
    for figure in &figures {
        if let Some(folder) = std::env::var_os("SEQBENCH_PLOT_DIR") {
            let path = std::path::Path::new(&folder).join(format!("{case}-{}", figure.file_name));
            std::fs::write(path, &figure.svg).unwrap();
        }
        check_well_formed(&figure.svg);
        for broken in ["NaN", "inf", "∞"] {
            assert!(!figure.svg.contains(broken), "{case} {}: {broken}", figure.file_name);
        }
    }
    let mut names: Vec<_> = figures.iter().map(|figure| figure.file_name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), figures.len(), "{case}: two figures share a file");
    figures
}

fn find<'a>(figures: &'a [Figure], name: &str) -> &'a str {
    let names: Vec<_> = figures.iter().map(|figure| &figure.file_name).collect();
    let found = figures.iter().find(|figure| figure.file_name == name);
    &found.unwrap_or_else(|| panic!("no {name} among {names:?}")).svg
}

/// Tags nest and close, attributes are quoted, and no bare `<` or `&` stands in text: all that plain XML
/// without comments, sections or a prologue asks for.
fn check_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg.trim();
    assert!(rest.starts_with("<svg "));
    while let Some(start) = rest.find('<') {
        check_entities(&rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag that ends");
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<'), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closing tag");
        } else {
            let body = tag.strip_suffix('/').unwrap_or(tag);
            let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
            assert!(name.chars().all(|character| character.is_ascii_lowercase()), "{name}");
            let quoted: Vec<&str> = attributes.split('"').collect();
            assert!(quoted.len() % 2 == 1, "{tag}");
            for pair in quoted.chunks(2).filter(|pair| pair.len() == 2) {
                assert!(
                    pair[0].trim().strip_suffix('=').is_some_and(|key| !key.contains(['=', ' '])),
                    "{tag}"
                );
                check_entities(pair[1]);
            }
            if body == tag {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
        assert!(!open.is_empty() || rest.is_empty(), "after the root");
    }
    assert!(rest.is_empty() && open.is_empty());
}

fn check_entities(text: &str) {
    for part in text.split('&').skip(1) {
        let known = ["lt;", "gt;", "amp;", "quot;", "apos;"];
        assert!(known.iter().any(|entity| part.starts_with(entity)), "&{part}");
    }
}

/// Seeds' dots in an accuracy figure: their size is theirs alone.
fn dots(svg: &str) -> usize {
    parts(svg, "stroke-width=\"56\"")
}

#[test]
fn a_whole_experiment_has_every_figure() {
    let figures = drawn("whole", &experiment());
    let names: Vec<_> = figures.iter().map(|figure| figure.file_name.as_str()).collect();
    assert_eq!(
        names,
        [
            "accuracy-delayed-recall.svg",
            "accuracy-by-distance-delayed-recall.svg",
            "curves-delayed-recall.svg",
            "gradients-input.svg",
            "gradients-state.svg",
            "gain-input.svg",
            "gain-state.svg",
            "time-train.svg",
            "time-forward.svg",
            "time-decode.svg",
            "tokens-per-second.svg",
            "memory-train.svg",
            "memory-forward.svg",
        ]
    );
    for figure in &figures {
        for model in MODELS {
            assert!(figure.svg.contains(&format!(">{model}<")), "{}: {model}", figure.file_name);
        }
        assert!(figure.svg.contains(&format!("<title>{}</title>", figure.title)));
    }
}

#[test]
fn axes_say_what_they_show_and_in_which_unit() {
    let figures = drawn("axes", &experiment());
    for (name, words) in [
        ("accuracy-delayed-recall.svg", &["lag (steps)", "accuracy on scored positions", "30", "0.4"][..]),
        (
            "curves-delayed-recall.svg",
            &["training steps", "validation accuracy", "lag=10", "lag=100", "1500"],
        ),
        ("gradients-input.svg", &["at initialisation", "after training", "10⁻³⁰", "distance 0"]),
        ("time-train.svg", &["length (steps)", "time per training step (ms)", "fitted power", "1024"]),
        ("time-decode.svg", &["context length (steps)", "time per decoded token (µs)"]),
        ("tokens-per-second.svg", &["tokens per second", "100k"]),
        ("memory-train.svg", &["memory above the baseline (MB)"]),
    ] {
        let svg = find(&figures, name);
        for word in words {
            assert!(svg.contains(&format!("{word}<")), "{name}: {word}");
        }
    }
}

#[test]
fn every_seed_of_an_accuracy_is_a_dot() {
    let svg_of = |cells: &[CellFiles]| find(&drawn("dots", cells), "accuracy-delayed-recall.svg").to_string();
    let all = svg_of(&experiment());
    // One run diverged: it has no accuracy, and the figure says so.
    assert_eq!(dots(&all), MODELS.len() * LAGS.len() * SEEDS as usize - 1);
    assert!(words(&all).contains("1 run diverged, not shown"));
    assert!(all.contains("chance (0.125)") && all.contains("95 % t interval"));
}

#[test]
fn one_seed_has_no_interval() {
    let cells: Vec<_> = LAGS.map(|lag| final_run("lstm", lag, 0)).into();
    let figures = drawn("one-seed", &cells);
    let svg = find(&figures, "accuracy-delayed-recall.svg");
    assert_eq!(dots(svg), LAGS.len());
    assert!(svg.contains("1 seed ") && !svg.contains("interval"));
    // Intervals are the only lines of this width.
    assert!(!svg.contains("stroke-width=\"15\""));
    let two: Vec<_> =
        LAGS.into_iter().flat_map(|lag| [0, 1].map(|seed| final_run("lstm", lag, seed))).collect();
    assert!(find(&drawn("two-seeds", &two), "accuracy-delayed-recall.svg").contains("stroke-width=\"15\""));
}

#[test]
fn the_same_cells_in_any_order_give_the_same_bytes() {
    let cells = experiment();
    let mut turned = cells.clone();
    turned.reverse();
    assert_eq!(figures(&cells), figures(&cells));
    assert_eq!(figures(&cells), figures(&turned));
}

#[test]
fn several_lengths_stand_beside_the_trained_one() {
    let mut cells = Vec::new();
    for model in MODELS {
        for (seed, lag) in [(0, 10), (1, 10), (0, 30), (1, 30)] {
            let mut files = final_run(model, lag, seed);
            files.scores = [lag, lag + 1, 2 * lag, 4 * lag]
                .map(|length| ScoreRow {
                    split: "test".into(),
                    length,
                    lag: None,
                    metric: "accuracy".into(),
                    value: 1.0 / (length as f64 / lag as f64),
                    n: 9,
                })
                .into();
            files.cell.facts.insert("primary_length".into(), lag as f64);
            cells.push(files);
        }
    }
    let figures = drawn("lengths", &cells);
    let svg = words(find(&figures, "accuracy-by-length-delayed-recall.svg"));
    for expected in ["evaluated length (steps)", "trained length", "chance (0.125)", "lag=10", "lag=30"] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    cells.retain(|files| files.cell.labels.coordinates[0].value == 10);
    let one = drawn("lengths-one", &cells);
    assert!(words(find(&one, "accuracy-by-length-delayed-recall.svg")).contains("trained length (10)"));
}

#[test]
fn nothing_measured_is_no_figure() {
    assert_eq!(figures(&[]), []);
    assert_eq!(figures(&[cell("rnn", Purpose::Final, "copying", &[("lag", 10)], 0)]), []);
    let trial = CellFiles {
        cell: cell("rnn", Purpose::Trial, "delayed-recall", &[("lag", 10)], 0).cell,
        ..final_run("rnn", 10, 0)
    };
    assert_eq!(figures(&[trial]), []);
}

#[test]
fn values_that_are_not_finite_are_not_drawn() {
    let mut cells = experiment();
    let broken = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for (place, files) in cells.iter_mut().enumerate() {
        let value = broken[place % 3];
        files.scores.iter_mut().step_by(3).for_each(|row| row.value = value);
        files.curves.iter_mut().step_by(3).for_each(|row| row.value = value);
        files.profiles.iter_mut().step_by(3).for_each(|row| row.log10_relative = value);
        files.timings.iter_mut().step_by(3).for_each(|row| row.ns = 0);
        files.memory.iter_mut().for_each(|row| row.peak_bytes = 0);
        files.cell.references.iter_mut().for_each(|reference| reference.value = value);
    }
    let whole = drawn("broken", &cells);
    assert!(!whole.is_empty());
    assert!(whole.iter().all(|figure| figure.file_name != "memory-train.svg"));

    for files in &mut cells {
        files.scores.iter_mut().for_each(|row| row.value = f64::NAN);
        files.curves.iter_mut().for_each(|row| row.value = f64::NAN);
        files.profiles.iter_mut().for_each(|row| row.log10_relative = f64::NEG_INFINITY);
        files.timings.iter_mut().for_each(|row| row.err = "checksum differs".into());
    }
    assert_eq!(drawn("all-broken", &cells), []);
}

#[test]
fn exact_zeros_of_a_gradient_are_counted() {
    let mut cells: Vec<_> = (0..3).map(|seed| final_run("rnn", 100, seed)).collect();
    let last = cells[0].profiles.iter_mut().filter(|row| row.distance == 100 && row.wrt == "input");
    last.for_each(|row| row.log10_relative = f64::NEG_INFINITY);
    let figures = drawn("zeros", &cells);
    assert!(words(find(&figures, "gradients-input.svg")).contains("; 2 exact zeros not drawn"));
    assert!(!words(find(&figures, "gradients-state.svg")).contains("exact zeros"));
}

#[test]
fn without_a_numeric_coordinate_models_are_rows() {
    let labels = ["rnn", "lstm forget_bias=0 <old> & rare", "transformer positions=none heads=4", "own+ssm"];
    let mut cells = Vec::new();
    for label in labels {
        for seed in 0..3 {
            let mut files = final_run(if label == "rnn" { "rnn" } else { "lstm" }, 30, seed);
            files.cell.labels = cell(label, Purpose::Final, "images", &[], seed).cell.labels;
            files.cell.group = label.into();
            files.cell.references.push(Reference {
                name: "majority".into(),
                metric: "accuracy".into(),
                value: 0.3,
            });
            cells.push(files);
        }
    }
    let figures = drawn("rows", &cells);
    let svg = find(&figures, "accuracy-images.svg");
    assert_eq!(dots(svg), labels.len() * 3);
    assert!(svg.contains("chance (0.125)") && svg.contains("majority (0.3)"));
    assert!(words(svg).contains("lstm forget_bias=0 &lt;old&gt; &amp; rare"));
}

#[test]
fn one_value_of_a_sweep_makes_no_line() {
    let cells: Vec<_> =
        MODELS.into_iter().flat_map(|model| [0, 1].map(|seed| final_run(model, 30, seed))).collect();
    let figures = drawn("one-lag", &cells);
    let svg = find(&figures, "accuracy-delayed-recall.svg");
    assert!(words(svg).contains("accuracy by model") && words(svg).contains("lag=30"));
    assert_eq!(dots(svg), MODELS.len() * 2);
}

#[test]
fn a_task_without_accuracy_shows_its_loss() {
    let mut cells = Vec::new();
    for (model, level) in [("rnn", 0.16), ("lstm", 0.004)] {
        for (length, seed) in [(50, 0), (50, 1), (400, 0), (400, 1)] {
            let mut files = cell(model, Purpose::Final, "series", &[("length", length)], seed);
            let value = level * (1.0 + 0.1 * seed as f64) * (length as f64 / 50.0).sqrt();
            let score =
                ScoreRow { split: "test".into(), length, lag: None, metric: "mse".into(), value, n: 9 };
            files.scores.push(score);
            for step in 0..20 {
                let value = level + 0.2 * (-0.3 * f64::from(step)).exp() + if step == 9 { 1e6 } else { 0.0 };
                files.curves.push(CurveRow {
                    step: 10 * u64::from(step as u32),
                    metric: "train_loss".into(),
                    value,
                });
            }
            cells.push(files);
        }
    }
    let figures = drawn("loss", &cells);
    let svg = find(&figures, "accuracy-series.svg");
    assert!(svg.contains("mean squared error<") && svg.contains("length (steps)<"));
    assert_eq!(dots(svg), 8);
    // The spike leaves the picture instead of flattening it.
    let curves = find(&figures, "curves-series.svg");
    assert!(curves.contains("training loss<") && !curves.contains("M<"));
}

#[test]
fn a_loss_above_one_keeps_its_seeds_without_a_sweep() {
    let value = |seed: u64| 2.0 + seed as f64;
    let cells: Vec<_> = (0..3)
        .map(|seed| {
            let mut files = cell("rnn", Purpose::Final, "text", &[], seed);
            files.scores.push(ScoreRow {
                split: "test".into(),
                length: 64,
                lag: None,
                metric: "bits_per_byte".into(),
                value: value(seed),
                n: 9,
            });
            files
        })
        .collect();
    let figures = drawn("loss-rows", &cells);
    let svg = find(&figures, "accuracy-text.svg");
    assert_eq!(dots(svg), 3);
    assert!(words(svg).contains("bits per byte"));
}

#[test]
fn many_settings_lags_and_tasks_still_fit() {
    let mut cells = Vec::new();
    let models = [
        "lstm forget_bias=0",
        "lstm forget_bias=1",
        "lstm chrono",
        "rnn init=orthogonal",
        "rnn init=gaussian",
        "gru",
    ];
    for task in ["copying", "delayed-recall"] {
        for model in models {
            for lag in [5, 10, 20, 50, 100, 200, 500] {
                for seed in 0..5 {
                    let mut files = final_run(if model.starts_with('l') { "lstm" } else { "rnn" }, lag, seed);
                    files.cell.labels =
                        cell(model, Purpose::Final, task, &[("task.lag", lag)], seed).cell.labels;
                    files.cell.group = format!("{model}/{lag}");
                    cells.push(files);
                }
            }
        }
    }
    let figures = drawn("many", &cells);
    let diverged = 3;
    assert_eq!(dots(find(&figures, "accuracy-copying.svg")), models.len() * 7 * 5 - diverged);
    find(&figures, "gradients-input-copying.svg");
    find(&figures, "curves-copying.svg");
}
