//! Scores at unseen lengths and scores scaled by chance: hand-made cells with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::{CellFiles, Reference, Status};
use seqbench_report::plot::figures;
use seqbench_report::summary::*;
use seqbench_report::table::*;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

/// Three seeds trained up to 8: two extrapolate to 16, one does not.
fn parity() -> Vec<CellFiles> {
    [[1.0, 0.96, 0.92], [1.0, 0.98, 0.84], [1.0, 0.6, 0.5]]
        .into_iter()
        .enumerate()
        .map(|(seed, [at, near, far])| {
            extrapolating("lstm", "parity", (8, at), &[(12, near), (16, far)], seed as u64)
        })
        .collect()
}

fn named(cells: &[CellFiles], name: &str) -> Table {
    tables(cells).into_iter().find(|table| table.name == name).unwrap()
}

#[test]
fn extrapolation_is_the_mean_over_unseen_lengths_then_over_seeds() {
    let summary = summarise(&parity());
    let [own] = &summary.extrapolations[..] else { panic!("one setting") };
    assert_eq!((own.trained, &own.lengths[..]), (8, &[12, 16][..]));
    // Per seed 0.94, 0.91, 0.55; mean 0.8, deviations 0.14, 0.11, −0.25.
    close(own.value.mean.unwrap(), 0.8);
    let deviation = ((0.14f64.powi(2) + 0.11f64.powi(2) + 0.25f64.powi(2)) / 2.0).sqrt();
    close(own.value.half_width().unwrap(), 4.302_652_729_9 * deviation / 3f64.sqrt());
    assert_eq!((own.at_trained.mean, own.chance), (Some(1.0), Some(0.125)));
    close(own.scaled.mean.unwrap(), (0.8 - 0.125) / 0.875);
    let runs = own.extrapolates.unwrap();
    assert_eq!((runs.k, runs.n), (2, 3));
    // Means over seeds: 1.0 at 8, 0.8466… at 12.
    assert_eq!(own.longest, Some(Reach { value: Some(8.0), censored: false }));
}

#[test]
fn the_longest_length_is_censored_at_the_end_and_below_the_trained_one() {
    let longest = |trained: f64, near: f64, far: f64| {
        let cell = extrapolating("lstm", "parity", (8, trained), &[(12, near), (16, far)], 0);
        summarise(&[cell]).extrapolations[0].longest.unwrap()
    };
    assert_eq!(longest(1.0, 0.9, 0.95), Reach { value: Some(16.0), censored: true });
    assert_eq!(longest(1.0, 0.9, 0.89), Reach { value: Some(12.0), censored: false });
    // Good luck farther out does not make up for a gap.
    assert_eq!(longest(1.0, 0.5, 1.0), Reach { value: Some(8.0), censored: false });
    assert_eq!(longest(0.8, 1.0, 1.0), Reach { value: None, censored: false });
    assert_eq!(longest(1.0, f64::NAN, 1.0), Reach { value: Some(8.0), censored: false });
}

#[test]
fn a_diverged_run_does_not_extrapolate_and_shorter_lengths_are_none() {
    let mut cells = parity();
    let mut lost = parity().remove(0);
    lost.cell.status = Status::Diverged;
    lost.cell.id = "lost".into();
    lost.cell.labels.seed = 3;
    lost.scores.clear();
    cells.push(lost);
    let runs = summarise(&cells).extrapolations[0].extrapolates.unwrap();
    assert_eq!((runs.k, runs.n), (2, 4));
    // Lengths below the trained one are evaluated too, and no extrapolation.
    let within = extrapolating("lstm", "delayed-recall", (30, 1.0), &[(10, 1.0), (20, 1.0)], 0);
    assert_eq!(summarise(std::slice::from_ref(&within)).extrapolations, []);
    assert!(tables(&[within]).iter().all(|table| table.name != "extrapolation"));
}

#[test]
fn the_table_says_what_it_means_and_by_which_lengths() {
    let table = named(&parity(), "extrapolation");
    let text = table.render(Format::Md);
    assert!(text.contains("### Extrapolation to unseen lengths on parity"), "{text}");
    assert!(text.contains("| lstm | 1.000 ± 0.000 | 0.800 ± 0.539 | 2/3 (21–94 %) | 8 |"), "{text}");
    for expected in [
        "Lengths: 2 lengths from 12 to 16 after training up to 8.",
        "at least 0.90 over the unseen lengths",
        "Chance: 0.125.",
        "Budget: 3000 optimizer steps a run.",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let csv = table.render(Format::Csv);
    let header = "trained_length,at_trained,at_trained_low,at_trained_high,lengths,length_min,length_max,";
    assert!(csv.contains(header) && csv.contains(",8,1,1,1,2,12,16,"), "{csv}");
    assert!(digest(&parity()).iter().any(|table| table.name == "extrapolation"));
    let all: Vec<_> = (0..2)
        .map(|seed| extrapolating("lstm", "parity", (8, 1.0), &[(12, 1.0), (16, 0.95)], seed))
        .collect();
    assert!(named(&all, "extrapolation").render(Format::Md).contains("| ≥ 16 |"));
}

#[test]
fn every_table_fits_its_columns_and_the_terminal() {
    for table in tables(&parity()) {
        for (cell, column) in table.rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
            assert_eq!(cell.values.len(), column.fields.len(), "{} {}", table.name, column.name);
        }
        let text = table.render(Format::Text);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    }
}

#[test]
fn every_seed_is_a_line_beside_the_trained_length() {
    let figures = figures(&parity());
    let figure = figures.iter().find(|own| own.file_name == "accuracy-by-length-parity.svg").unwrap();
    let words = words(&figure.svg);
    for expected in
        ["longest trained length (8)", "chance (0.125)", "3 seeds (thin lines), test stream: mean (thick)"]
    {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    // Seeds' lines are the only ones of this width.
    assert_eq!(parts(&figure.svg, "stroke-width=\"11\""), 3);
}

#[test]
fn scaled_accuracy_is_shown_where_tasks_of_different_chance_meet() {
    let one = parity();
    let table = named(&one, "accuracy");
    assert!(!table.render(Format::Md).contains("scaled"), "one chance for all");
    assert!(table.render(Format::Csv).contains("scaled,scaled_low,scaled_high"));
    let mut other = extrapolating("lstm", "copying", (8, 0.75), &[], 0);
    other.cell.references[0].value = 0.5;
    let both = [one, vec![other]].concat();
    let text = named(&both, "accuracy").render(Format::Md);
    assert!(
        text.contains("| scaled |") && text.contains("Scaled: (accuracy − chance)/(1 − chance)"),
        "{text}"
    );
    assert!(text.contains("| 0.500 | 0.500 |"), "chance 0.5, and half of the way from there to 1: {text}");
    // The same task at two chances is no such table: its chance has a column already.
    let mut same = extrapolating("lstm", "parity", (8, 0.75), &[], 7);
    same.cell.references[0].value = 0.5;
    same.cell.group = "other".into();
    let text = named(&[parity(), vec![same]].concat(), "accuracy").render(Format::Md);
    assert!(!text.contains("scaled"), "{text}");
}

#[test]
fn scaled_accuracy_may_be_negative_and_needs_a_chance_below_one() {
    let with = |chance: f64, accuracy: f64| {
        let mut files = extrapolating("lstm", "parity", (8, accuracy), &[], 0);
        files.cell.references[0].value = chance;
        summarise(&[files]).accuracy[0].scaled.mean
    };
    assert_eq!(with(0.5, 0.25), Some(-0.5));
    assert_eq!((with(0.5, 1.0), with(0.5, 0.5)), (Some(1.0), Some(0.0)));
    assert_eq!(with(1.0, 1.0), None);
}

/// A cell of a language model: bits per byte beside the share of bytes guessed right.
fn text(model: &str, seed: u64, bits: f64) -> CellFiles {
    let mut files = cell(model, seed, &[]);
    files.cell.labels.task = "text".into();
    files.scores = vec![score("accuracy", 64, 0.5), score("bits_per_byte", 64, bits)];
    let reference =
        |name: &str, value| Reference { name: name.into(), metric: "bits_per_byte".into(), value };
    files.cell.references.extend([reference("unigram", 4.125), reference("entropy", 1.5)]);
    files
}

#[test]
fn a_text_is_known_by_its_bits_per_byte_and_the_references_beside_them() {
    let cells = [text("lstm", 0, 2.0), text("lstm", 1, 2.5)];
    let summary = summarise(&cells);
    let group = &summary.accuracy[0];
    assert_eq!((group.metric.as_str(), group.value.mean), ("bits_per_byte", Some(2.25)));
    assert_eq!(group.trivial().unwrap().name, "entropy");
    assert_eq!((group.solved, group.scaled.mean), (None, None));
    let text = named(&cells, "accuracy").render(Format::Md);
    assert!(text.contains("| bits\\_per\\_byte | 2.25 ± 3.18 |"), "{text}");
    assert!(text.contains("On text: entropy 1.50, unigram 4.12 (bits per byte, lower is better)."), "{text}");
    let drawn = figures(&cells);
    let svg = words(&drawn.iter().find(|own| own.file_name == "accuracy-text.svg").unwrap().svg);
    for expected in ["bits per byte (lower is better)", "entropy (1.5)"] {
        assert!(svg.contains(expected), "{expected}");
    }
}

/// Five models on twenty unseen lengths: with `SEQBENCH_PLOT_DIR` set, to be looked at.
#[test]
fn twenty_lengths_and_five_models_are_one_picture() {
    let mut cells = Vec::new();
    let models = ["rnn", "lstm", "transformer", "ssm", "mamba"];
    for (place, model) in models.into_iter().enumerate() {
        for seed in 0..5u64 {
            let fall = 0.0004 * place as f64 * (1.0 + 0.3 * seed as f64);
            let at = |length: u64| (length, (1.0 - fall * (length - 40) as f64).max(0.5));
            let unseen: Vec<_> = (0..20).map(|i| at(41 + 24 * i)).collect();
            let mut files = extrapolating(model, "parity", (40, 1.0), &unseen, seed);
            files.cell.references[0].value = 0.5;
            cells.push(files);
        }
    }
    let drawn = figures(&cells);
    let figure = drawn.iter().find(|own| own.file_name == "accuracy-by-length-parity.svg").unwrap();
    if let Some(folder) = std::env::var_os("SEQBENCH_PLOT_DIR") {
        std::fs::write(std::path::Path::new(&folder).join("large-by-length.svg"), &figure.svg).unwrap();
    }
    assert_eq!(parts(&figure.svg, "stroke-width=\"11\""), 5 * models.len());
}
