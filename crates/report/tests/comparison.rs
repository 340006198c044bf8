//! Two results of hand-made cells side by side.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::{CellFiles, Coordinate, CurveRow, ProfileRow, Reference, TimingRow};
use seqbench_report::statistics::Draws;
use seqbench_report::summary::{Comparison, Finding, Limits, compare};
use seqbench_report::table::{Format, TEXT_WIDTH, Table, comparison_tables};

const SEEDS: u64 = 8;
const LAGS: [u64; 3] = [10, 30, 100];

/// Eight seeds of two models at three lags, with accuracies that depend on the draw, shifted at one model.
fn result(draw: u64, model: &str, shift: f64) -> Vec<CellFiles> {
    let mut draws = Draws::new(draw);
    let mut cells = Vec::new();
    for name in ["rnn", "lstm"] {
        for lag in LAGS {
            for seed in 0..SEEDS {
                let shift = if name == model { shift } else { 0.0 };
                cells.push(solved_at(name, lag, seed, 0.7 + 0.1 * draws.uniform() + shift));
            }
        }
    }
    cells
}

/// The same under the identities of another version.
fn renamed(mut cells: Vec<CellFiles>) -> Vec<CellFiles> {
    for files in &mut cells {
        files.cell.numerics = 2;
        files.cell.id = format!("new-{}", files.cell.id);
        files.cell.group = format!("new-{}", files.cell.group);
    }
    cells
}

fn of(a: &[CellFiles], b: &[CellFiles]) -> Comparison {
    compare(a, b, Limits::default())
}

fn findings(comparison: &Comparison) -> Vec<Finding> {
    comparison.scores.iter().map(|row| row.finding).collect()
}

#[test]
fn a_result_is_identical_to_itself_under_other_identities() {
    let a = result(1, "", 0.0);
    let found = of(&a, &renamed(a.clone()));
    assert_eq!(found.scores.len(), 6);
    assert!(found.findings().all(|finding| finding == Finding::Identical));
    assert!(found.scores.iter().all(|row| row.same_facts && row.test.p.is_none()));
    assert_eq!((found.family, found.regressed(), found.only_first.len()), (0, false, 0));
    assert_eq!(found.overall.unwrap().finding, Finding::Identical);
}

#[test]
fn scores_may_be_identical_where_other_facts_differ() {
    let a = result(1, "", 0.0);
    let mut b = a.clone();
    b[0].curves.push(CurveRow { step: 1, metric: "train_loss".into(), value: f64::NAN });
    let found = of(&a, &b);
    assert_eq!((found.scores[0].finding, found.scores[0].same_facts), (Finding::Identical, false));
    assert!(found.scores[1].same_facts);
    // What is not a number is the same bytes too.
    assert!(of(&b, &b).scores[0].same_facts);
}

/// Cells with nothing but a profile of two distances, the farther one below rounding.
fn probed(shift: f64) -> Vec<CellFiles> {
    let mut cells = result(1, "", 0.0);
    for files in &mut cells {
        files.scores.clear();
        files.curves.clear();
        let row = |distance: u64, log10_norm: f64| ProfileRow {
            stage: "init".into(),
            layer: 0,
            wrt: "input".into(),
            distance,
            log10_norm,
            log10_relative: f64::NAN,
            log10_q10: log10_norm,
            log10_median: log10_norm,
            log10_q90: log10_norm,
            trusted: distance == 0,
        };
        files.profiles = vec![row(0, -1.0), row(9, -30.0)];
    }
    let last = cells.len() - 1;
    cells[last].profiles[0].log10_norm += shift;
    cells[last].profiles[1].log10_norm += 7.0 * shift;
    cells
}

#[test]
fn gradients_are_the_same_or_differ_by_so_many_decades_and_are_not_tested() {
    let a = probed(0.0);
    let same = of(&a, &a);
    assert!(!same.is_empty() && same.scores.is_empty() && same.profiles.len() == 6);
    assert!(same.profiles.iter().all(|row| (row.cells, row.same, row.largest) == (8, 8, Some(0.0))));
    let found = of(&a, &probed(0.25));
    let last = found.profiles.last().unwrap();
    assert_eq!((last.cells, last.same, last.largest), (8, 7, Some(0.25)));
    assert!(found.profiles[..5].iter().all(|row| row.same == 8));
    assert!(!found.regressed());
    let tables = comparison_tables(&found);
    let text = tables.last().unwrap().render(Format::Text);
    assert!(text.contains("identical") && text.contains("not tested") && text.contains("0.250"), "{text}");
    // Cells of another identity are other cells.
    assert!(of(&a, &renamed(a.clone())).profiles.is_empty());
}

#[test]
fn a_planted_drop_is_a_regression_and_the_other_way_round_an_improvement() {
    let (a, b) = (result(1, "", 0.0), renamed(result(2, "lstm", -0.15)));
    let found = of(&a, &b);
    let (same, worse) = (vec![Finding::NoDifference; 3], vec![Finding::Worse; 3]);
    assert_eq!(findings(&found), [same.clone(), worse].concat());
    assert!(found.regressed());
    // Six settings and all of them together.
    assert_eq!((found.family, found.silent), (7, 0));
    let row = &found.scores[3];
    assert_eq!(row.test.p, Some(2.0 / 12_870.0), "every seed is below every other");
    assert_eq!(row.test.smallest, row.test.p);
    let (ends, difference) = (row.interval.unwrap(), row.difference.unwrap());
    assert!(ends.low < difference && difference < ends.high && ends.high < 0.0);
    assert_eq!(found.overall.as_ref().unwrap().finding, Finding::Worse);
    assert!(found.overall.as_ref().unwrap().interval.unwrap().high < 0.0);

    let back = of(&b, &a);
    assert_eq!(findings(&back), [same, vec![Finding::Better; 3]].concat());
    assert!(!back.regressed());
    assert_eq!(back.scores[3].difference, row.difference.map(|own| -own));
}

#[test]
fn less_of_a_loss_is_better() {
    let losses = |shift: f64| -> Vec<CellFiles> {
        let loss = |seed| {
            let mut files = cell("lstm", seed, &[]);
            files.scores = vec![score("bits_per_byte", 64, 2.0 + 0.01 * seed as f64 + shift)];
            files.cell.references =
                vec![Reference { name: "unigram".into(), metric: "bits_per_byte".into(), value: 4.0 }];
            files
        };
        (0..SEEDS).map(loss).collect()
    };
    let found = of(&losses(0.0), &losses(-0.5));
    assert_eq!(findings(&found), [Finding::Better]);
    // A loss that is not finite is no larger loss but a run that diverged, noticed or not.
    let mut broken = losses(0.0);
    broken.iter_mut().skip(1).for_each(|files| files.scores[0].value = f64::NAN);
    let lost = of(&losses(0.0), &broken);
    assert_eq!((findings(&lost), lost.diverged[0].second.k), (vec![Finding::NoDifference], 7));
    assert!(lost.regressed());
    assert_eq!(found.overall, None, "one setting is no overall");
    assert!(of(&losses(0.0), &losses(0.5)).regressed());
}

#[test]
fn few_seeds_show_nothing_and_say_so() {
    let few = |cells: Vec<CellFiles>| -> Vec<CellFiles> {
        cells.into_iter().filter(|files| files.cell.labels.seed < 3).collect()
    };
    let found = of(&few(result(1, "", 0.0)), &few(result(2, "lstm", -0.5)));
    assert!(findings(&found).iter().all(|finding| *finding == Finding::NoDifference));
    assert_eq!(found.silent, 6);
    let notes = comparison_tables(&found)[0].notes.join(" ");
    assert!(notes.contains("Too few seeds: 6 of 7 tests cannot reach 0.05"), "{notes}");
}

#[test]
fn runs_that_diverge_are_a_regression_though_the_mean_of_the_rest_is_not() {
    let a = result(1, "", 0.0);
    let mut b = renamed(result(2, "", 0.0));
    for files in b.iter_mut().take(7) {
        let seed = files.cell.labels.seed;
        *files = renamed(vec![diverged_at("rnn", 10, seed)]).remove(0);
    }
    let found = of(&a, &b);
    assert_eq!(found.scores[0].finding, Finding::NoDifference);
    assert_eq!((found.diverged.len(), found.diverged[0].finding), (1, Finding::Worse));
    assert_eq!((found.diverged[0].first.k, found.diverged[0].second.k), (0, 7));
    assert!(found.regressed());
    // All of them: there is no mean to compare, and the row of divergences stands.
    b[7] = renamed(vec![diverged_at("rnn", 10, 7)]).remove(0);
    let found = of(&a, &b);
    assert_eq!((found.scores[0].second.n, found.scores[0].test.p), (0, None));
    assert_eq!(found.scores[0].metric, "accuracy");
    assert_eq!((found.diverged[0].finding, found.only_first.len()), (Finding::Worse, 0));
}

#[test]
fn what_only_one_has_is_listed() {
    let (mut a, mut b) = (result(1, "", 0.0), result(2, "", 0.0));
    a.push(solved_at("gru", 10, 0, 0.9));
    a.push(timed("gru", &[], rounds("train", 8, &[(64, 1_000_000)])));
    b.extend((0..2).map(|seed| solved_at("lstm", 300, seed, 0.9)));
    let found = of(&a, &b);
    assert_eq!(found.scores.len(), 6);
    let models: Vec<_> = found.only_first.iter().map(|own| (&*own.setting.model, &*own.what)).collect();
    assert_eq!(models, [("gru", "accuracy"), ("gru", "time of train at length 64, batch 8, threads 1")]);
    assert_eq!(found.only_second.len(), 1);
    let notes = comparison_tables(&found)[0].notes.join(" ");
    assert!(notes.contains("Only in the first: copying gru lag=10 (accuracy), "), "{notes}");
    assert!(notes.contains("Only in the second: copying lstm lag=300 (accuracy)."), "{notes}");
}

#[test]
fn settings_that_share_their_labels_are_told_apart_by_identity_alone() {
    let twins = |suffix: &str| -> Vec<CellFiles> {
        let mut cells: Vec<CellFiles> =
            (0..2 * SEEDS).map(|seed| solved_at("lstm", 10, seed % SEEDS, 0.5)).collect();
        for files in cells.iter_mut().skip(SEEDS as usize) {
            files.cell.group = format!("twin{suffix}");
            files.cell.id = format!("twin{suffix}-{}", files.cell.id);
        }
        cells
    };
    assert_eq!(of(&twins(""), &twins("")).scores.len(), 2);
    let found = of(&twins(""), &twins("-new"));
    assert_eq!((found.scores.len(), found.only_first.len(), found.only_second.len()), (1, 1, 1));
}

/// Three rounds in each of three visits about a time, wide by a hundredth, at one pace.
fn timing_of(ns: u64) -> Vec<CellFiles> {
    let round = |round: u32| TimingRow {
        visit: Some(round / 3),
        pace_ns: Some(40_000),
        ..timing("train", 64, 8, round, ns + ns / 400 * u64::from(round))
    };
    vec![timed("lstm", &[], (0..9).map(round).collect())]
}

#[test]
fn times_regress_beyond_their_tolerance() {
    let finding = |ns, tolerance| {
        let limits = Limits { time: tolerance, ..Limits::default() };
        let found = compare(&timing_of(1_000_000), &timing_of(ns), limits);
        assert_eq!(found.regressed(), found.times[0].finding == Finding::Worse);
        found.times[0].finding
    };
    assert_eq!(finding(1_200_000, 0.05), Finding::Worse);
    assert_eq!(finding(1_200_000, 0.25), Finding::NoDifference);
    assert_eq!(finding(1_040_000, 0.05), Finding::NoDifference);
    assert_eq!(finding(1_040_000, 0.0), Finding::Worse);
    assert_eq!(finding(800_000, 0.05), Finding::Better);
}

#[test]
fn one_time_among_many_must_be_shown_the_better() {
    let others = |cells: Vec<CellFiles>, count: u64| -> Vec<CellFiles> {
        let other = |length: u64| {
            let mut files = timing_of(1_000_000).remove(0);
            files.timings.iter_mut().for_each(|row| row.length = 64 + length);
            files.cell.id = format!("length-{length}");
            files
        };
        cells.into_iter().chain((1..=count).map(other)).collect()
    };
    let first = |ns, count| {
        let found = of(&others(timing_of(1_000_000), count), &others(timing_of(ns), count));
        assert_eq!(found.times_family as u64, count + 1);
        assert_eq!(found.regressed(), found.times[0].finding == Finding::Worse);
        (found.times[0].finding, found.times[0].test.adjusted.unwrap())
    };
    let (alone, p) = first(1_090_000, 0);
    let (among, adjusted) = first(1_090_000, 200);
    assert_eq!((alone, among), (Finding::Worse, Finding::NoDifference));
    assert!(p <= 0.05 && adjusted > 0.05, "{p} {adjusted}");
    assert_eq!(first(1_300_000, 200).0, Finding::Worse);
}

/// The same settings under several coordinates, with names of some length.
fn placed(mut cells: Vec<CellFiles>, coordinates: &[&str]) -> Vec<CellFiles> {
    for files in &mut cells {
        files.cell.labels.model = format!("{} residual", files.cell.labels.model);
        files.cell.labels.task =
            if files.cell.labels.coordinates.is_empty() { "copying" } else { "recall" }.into();
        files
            .cell
            .labels
            .coordinates
            .extend(coordinates.iter().map(|key| Coordinate { key: key.to_string(), value: 128.into() }));
    }
    cells
}

#[test]
fn a_finding_is_never_broken_within_a_word() {
    let keys = ["model.width", "train.steps", "symbols", "span", "train.batch", "model.layers"];
    for count in 0..=keys.len() {
        let both = |cells: [Vec<CellFiles>; 2]| placed(cells.concat(), &keys[..count]);
        let a = both([result(1, "", 0.0), timing_of(1_000_000)]);
        let b = both([
            [&result(1, "", 0.0)[..24], &result(2, "lstm", -0.3)[24..]].concat(),
            timing_of(1_300_000),
        ]);
        let tables = comparison_tables(&of(&a, &b));
        let text = tables.iter().map(|table| table.render(Format::Text)).collect::<String>();
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
        let words = |word: &str| text.split_whitespace().filter(|own| *own == word).count();
        // Three settings are identical, three are worse, as are the time and all together.
        assert!(words("identical") >= 3 && words("worse") >= 5, "{count}: {text}");
        let findings = text
            .lines()
            .filter(|line| line.ends_with('│'))
            .filter_map(|line| line.trim_end_matches('│').rsplit(['┆', '│']).next().map(str::trim));
        for part in findings.flat_map(str::split_whitespace) {
            let whole = ["finding", "identical", "worse", "better", "no", "difference", "shown"];
            assert!(whole.contains(&part), "{count}: {part} in {text}");
        }
    }
}

fn table(tables: &[Table], name: &str) -> Table {
    tables.iter().find(|table| table.name == name).unwrap().clone()
}

#[test]
fn tables_say_what_was_found() {
    let a = [result(1, "", 0.0), timing_of(1_000_000)].concat();
    let b = [result(2, "lstm", -0.15), timing_of(1_300_000)].concat();
    let found = of(&a, &b);
    let tables = comparison_tables(&found);
    assert_eq!(tables.len(), 2);
    let (scores, times) = (table(&tables, "comparison"), table(&tables, "comparison-times"));
    assert_eq!((scores.is_deterministic(), times.is_deterministic()), (true, false));
    assert_eq!((scores.rows.len(), times.rows.len()), (7, 1));
    for format in [Format::Text, Format::Md, Format::Csv, Format::Latex, Format::Json] {
        assert!(!scores.render(format).contains("NaN"));
    }
    let text = scores.render(Format::Md);
    for words in ["no difference shown", "worse", "overall", "interquartile mean", "Holm over 7 tests"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = times.render(Format::Md);
    assert!(text.contains("worse") && text.contains("by more than 5 %"), "{text}");
    assert!(text.contains("adjusted by Holm over 1 times: adjusted p ≤ 0.05"), "{text}");
    for table in [&scores, &times] {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        for (i, column) in table.columns.iter().enumerate() {
            assert!(
                table.rows.iter().all(|row| row[i].values.len() == column.fields.len()),
                "{}",
                column.name
            );
        }
    }
    assert!(comparison_tables(&of(&[], &[])).is_empty());
}
