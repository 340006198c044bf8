//! The study: several tasks against several models, in a table and at a glance.
//!
//! With `SEQBENCH_PLOT_DIR` set to a folder, the figures are written there to be looked at.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::{CellFiles, Reference};
use seqbench_report::plot::figures;
use seqbench_report::summary::*;
use seqbench_report::table::*;
use serde_json::json;

/// Recall swept over lags up to 100, parity with unseen lengths, text in bits per byte.
fn tasks() -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for (model, reach) in [("rnn", 0), ("lstm", 30), ("ssm", 100)] {
        for lag in [10, 30, 100] {
            for seed in 0..5 {
                // One seed of the LSTM fails at 30, which leaves 80 %.
                let solved = lag <= reach && !(model == "lstm" && lag == 30 && seed == 4);
                let mut files = solved_at(model, lag, seed, if solved { 1.0 } else { 0.125 });
                files.cell.labels.task = "recall".into();
                files.cell.group = format!("recall-{model}-{lag}");
                cells.push(files);
            }
        }
    }
    for (model, far) in [("lstm", 0.95), ("rnn", 0.5)] {
        for seed in 0..5 {
            let mut files = extrapolating(model, "parity", (8, 1.0), &[(9, far), (20, far)], seed);
            files.cell.references[0].value = 0.5;
            cells.push(files);
        }
    }
    for (model, bits) in [("lstm", 2.0), ("ssm", 4.0)] {
        for seed in 0..2 {
            let mut files = cell(model, seed, &[("task.corpus", json!("small"))]);
            files.cell.labels.task = "text".into();
            files.cell.group = format!("text-{model}");
            files.scores = vec![score("bits_per_byte", 64, bits)];
            let reference =
                |name: &str, value| Reference { name: name.into(), metric: "bits_per_byte".into(), value };
            files.cell.references = vec![reference("unigram", 8.0), reference("entropy", 5.0)];
            cells.push(files);
        }
    }
    cells
}

fn study_of(cells: &[CellFiles]) -> Study {
    summarise(cells).study
}

fn table(cells: &[CellFiles]) -> Table {
    tables(cells).into_iter().find(|table| table.name == "study").unwrap()
}

fn entry<'a>(study: &'a Study, task: &str, model: &str) -> &'a StudyEntry {
    let row = study.rows.iter().find(|row| row.task == task).unwrap();
    row.entries.iter().find(|entry| entry.model == model).unwrap()
}

#[test]
fn one_task_of_one_experiment_is_no_study() {
    let one: Vec<_> = tasks().into_iter().filter(|files| files.cell.labels.task == "recall").collect();
    assert_eq!(study_of(&one), Study::default());
    assert!(tables(&one).iter().all(|table| table.name != "study"));
    assert!(figures(&one).iter().all(|figure| figure.file_name != "study.svg"));
    let mut elsewhere = one.clone();
    elsewhere.iter_mut().for_each(|files| files.cell.experiment = "other".into());
    let both = study_of(&[one, elsewhere].concat());
    assert_eq!(both.rows.len(), 2, "the same task of two experiments");
}

#[test]
fn each_task_shows_the_number_that_tells_most() {
    let study = study_of(&tasks());
    let rows: Vec<_> = study.rows.iter().map(|row| (row.task.as_str(), row.measure)).collect();
    assert_eq!(
        rows,
        [("parity", Measure::Extrapolation), ("recall", Measure::Reach), ("text", Measure::Score)]
    );
    let models: Vec<_> = study.models.iter().map(|(_, model)| model.as_str()).collect();
    assert_eq!(models, ["rnn", "lstm", "ssm"], "as in every legend");
    assert_eq!(study.rows[1].values, [10.0, 30.0, 100.0]);
    let reach = |model| entry(&study, "recall", model).reach.as_ref().unwrap();
    assert_eq!(reach("lstm").eighty, Reach { value: Some(30.0), censored: false });
    assert_eq!(reach("lstm").all.value, Some(10.0));
    // The score beside a reach is that at the hardest value.
    let hardest = entry(&study, "recall", "ssm");
    assert_eq!((hardest.value.mean, hardest.success.unwrap().k, hardest.steps), (Some(1.0), 5, Some(3000.0)));
    assert_eq!(entry(&study, "recall", "lstm").scaled.mean, Some(0.0));
}

#[test]
fn the_share_mastered_lies_between_nothing_and_all() {
    let study = study_of(&tasks());
    let share = |task, model| entry(&study, task, model).share.unwrap();
    assert_eq!(
        [share("recall", "rnn"), share("recall", "lstm"), share("recall", "ssm")],
        [0.0, 2.0 / 3.0, 1.0]
    );
    // From a chance of 0.5: 0.95 is nine tenths of the way.
    assert!((share("parity", "lstm") - 0.9).abs() < 1e-12 && share("parity", "rnn") == 0.0);
    // Of 5 bits without a context, 2 are left, or 4.
    assert_eq!((share("text", "lstm"), share("text", "ssm")), (1.0 - 2.0 / 5.0, 1.0 - 4.0 / 5.0));
}

#[test]
fn the_table_has_a_row_a_task_and_a_column_a_model() {
    let table = table(&tasks());
    let text = table.render(Format::Md);
    assert!(text.contains("| task | shown | rnn | lstm | ssm |"), "{text}");
    for row in [
        "| parity | extrapolation (2 lengths from 9 to 20) | 0.50 ±0.00 (0/5) | 0.95 ±0.00 (5/5) | – |",
        "| recall | reach in lag (10, 30, 100) | \\< 10 (0/5) | 30 (0/5) | ≥ 100 (5/5) |",
        "| text corpus=small | bits per byte | – | 2.00 ±0.00 | 4.00 ±0.00 |",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
    for note in [
        "2 to 5 seeds",
        "Reach: the largest value that at least 80 % of the seeds solve within the budget",
        "Budget: 3000 optimizer steps a run.",
        "lower is better",
    ] {
        assert!(text.contains(note), "{note}\n{text}");
    }
    let csv = table.render(Format::Csv);
    for (cell, column) in table.rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
        assert_eq!(cell.values.len(), column.fields.len(), "{}", column.name);
    }
    assert!(csv.contains("lstm_reach_80,lstm_reach_80_censored,") && csv.contains("ssm_scaled"), "{csv}");
    assert!(csv.contains(",30,false,30,10,0.125,0.125,0.125,5,0,5,"), "{csv}");
    assert_eq!(tables(&tasks())[0].name, "study", "the headline stands first");
}

#[test]
fn a_learning_rate_is_no_difficulty_to_reach_for() {
    let mut cells = tasks();
    for (place, rate) in [0.1, 0.2].into_iter().enumerate() {
        let mut files = cell("lstm", place as u64, &[("train.lr", json!(rate))]);
        files.cell.labels.task = "tuned".into();
        files.scores = vec![score("accuracy", 8, 1.0)];
        cells.push(files);
    }
    let rows = study_of(&cells).rows;
    let tuned: Vec<_> = rows.iter().filter(|row| row.task == "tuned").collect();
    assert_eq!(tuned.len(), 2);
    assert!(tuned.iter().all(|row| row.measure == Measure::Score && row.key.is_none()));
}

/// As many tasks and models as a whole study has.
fn large() -> Vec<CellFiles> {
    let mut cells = Vec::new();
    let models = ["rnn", "lstm", "gru", "transformer", "ssm", "mamba", "xlstm"];
    let tasks = [
        "copying",
        "selective-copying",
        "adding",
        "recall",
        "induction-heads",
        "parity",
        "even-pairs",
        "modular-arithmetic",
        "word-problem",
        "text",
    ];
    for (t, task) in tasks.into_iter().enumerate() {
        for (m, model) in models.into_iter().enumerate() {
            for seed in 0..5u64 {
                let skill = ((m * 5 + t * 3) % 11) as f64 / 10.0 - 0.02 * seed as f64;
                if t < 4 {
                    for lag in [10, 30, 100, 300] {
                        let value = if skill * 400.0 >= lag as f64 { 1.0 } else { 0.2 };
                        let mut files = solved_at(model, lag, seed, value);
                        files.cell.labels.task = task.into();
                        files.cell.group = format!("{task}-{model}-{lag}");
                        cells.push(files);
                    }
                } else if t < 9 {
                    let value = (0.5 + skill / 2.0).clamp(0.0, 1.0);
                    cells.push(extrapolating(model, task, (40, 1.0), &[(41, value), (500, value)], seed));
                } else {
                    let mut files = cell(model, seed, &[]);
                    files.cell.labels.task = task.into();
                    files.cell.group = format!("{task}-{model}");
                    files.scores = vec![score("bits_per_byte", 64, 4.5 - 2.0 * skill)];
                    let unigram =
                        Reference { name: "unigram".into(), metric: "bits_per_byte".into(), value: 4.8 };
                    files.cell.references = vec![unigram];
                    cells.push(files);
                }
            }
        }
    }
    cells
}

#[test]
fn ten_tasks_and_seven_models_fit_the_page_and_the_terminal() {
    let cells = large();
    let drawn = figures(&cells);
    if let Some(folder) = std::env::var_os("SEQBENCH_PLOT_DIR") {
        for figure in &drawn {
            let path = std::path::Path::new(&folder).join(format!("large-{}", figure.file_name));
            std::fs::write(path, &figure.svg).unwrap();
        }
        std::fs::write(std::path::Path::new(&folder).join("study.txt"), table(&cells).render(Format::Text))
            .unwrap();
    }
    let svg = &drawn.iter().find(|own| own.file_name == "study.svg").unwrap().svg;
    for word in ["selective-copying", "xlstm", "≥ 300", "&lt; 10", "5/5", "mastered", "extrapolation"] {
        assert!(words(svg).contains(word), "{word}");
    }
    assert!(!svg.contains("NaN"));
    let text = table(&cells).render(Format::Text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    let mut turned = cells.clone();
    turned.reverse();
    assert_eq!(figures(&turned), drawn);
}
