//! The tables of two results of the same experiment: scores with their tests, and times.

use super::{
    Align, Cell, Table, Value,
    accuracy::value_text,
    build::{self, Show, column, integer, number_cell, number_value, word},
    number,
};
use crate::statistics::{Estimate, Interval, LEVEL, Success};
use crate::summary::{
    Comparison, Correction, Finding, ProfileChange, Setting, TimeChange, Unmatched, metric_name,
};

/// Scores, times and gradients, each where there are some. What only one of both has stands in the notes of the first table.
pub fn comparison_tables(comparison: &Comparison) -> Vec<Table> {
    let mut tables = vec![scores(comparison), times(comparison), profiles(comparison)];
    tables.retain(|table| !table.rows.is_empty());
    if let Some(first) = tables.first_mut() {
        first.notes.extend(only("first", &comparison.only_first));
        first.notes.extend(only("second", &comparison.only_second));
    }
    tables
}

/// One row of scores, of whatever kind.
struct Row {
    setting: Setting,
    what: String,
    length: Option<u64>,
    n: Option<[usize; 2]>,
    sides: [Cell; 2],
    change: Cell,
    test: Correction,
    same_facts: Option<bool>,
    finding: Finding,
}

fn scores(comparison: &Comparison) -> Table {
    let rows = rows(comparison);
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row| &row.setting);
    columns.extend([
        column("of", Align::Left, Show::Always, &["of"], |row: &Row| word(&row.what)).secondary(),
        column("length", Align::Right, Show::Never, &["evaluated_length"], |row: &Row| {
            row.length.map_or(word(""), integer)
        }),
        column("n", Align::Right, Show::Common, &["first_n", "second_n"], |row: &Row| match row.n {
            Some([first, second]) => {
                let text = if first == second { first.to_string() } else { format!("{first}, {second}") };
                Cell { text, values: [first, second].map(|n| Value::Integer(n as u64)).into() }
            }
            None => Cell { text: "–".into(), values: vec![Value::Missing; 2] },
        })
        .secondary(),
        column("first", Align::Right, Show::Always, &["first", "first_low", "first_high"], |row: &Row| {
            row.sides[0].clone()
        }),
        column(
            "second",
            Align::Right,
            Show::Always,
            &["second", "second_low", "second_high"],
            |row: &Row| row.sides[1].clone(),
        ),
        column(
            "second − first",
            Align::Right,
            Show::Always,
            &["difference", "difference_low", "difference_high"],
            |row: &Row| row.change.clone(),
        ),
        column("p", Align::Right, Show::Never, &["p", "smallest_p"], |row: &Row| Cell {
            text: row.test.p.map_or("–".into(), number::short),
            values: [row.test.p, row.test.smallest].map(number_value).into(),
        }),
        column("adjusted p", Align::Right, Show::Filled, &["adjusted_p"], |row: &Row| {
            number_cell(row.test.adjusted, number::short)
        }),
        column("all facts", Align::Left, Show::Filled, &["same_facts"], |row: &Row| match row.same_facts {
            Some(same) => Cell {
                text: if same { "identical" } else { "differ" }.into(),
                values: vec![Value::Flag(same)],
            },
            None => word(""),
        })
        .secondary(),
        column("finding", Align::Left, Show::Always, &["finding"], |row: &Row| word(row.finding.words())),
    ]);
    build::table("comparison", "Two results: scores".into(), score_notes(comparison), &rows, columns)
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    let scores = comparison.scores.iter().map(|row| {
        let text = |x: f64| value_text(&row.metric, x);
        Row {
            setting: row.setting.clone(),
            what: metric_name(&row.metric),
            length: row.length,
            n: Some([row.first.n, row.second.n]),
            sides: [&row.first, &row.second].map(|own: &Estimate| build::estimate(own, text)),
            change: change(row.difference, row.interval),
            test: row.test,
            same_facts: Some(row.same_facts),
            finding: row.finding,
        }
    });
    let diverged = comparison.diverged.iter().map(|row| Row {
        setting: row.setting.clone(),
        what: "runs diverged".into(),
        length: None,
        n: Some([row.first.n, row.second.n]),
        sides: [row.first, row.second].map(share),
        change: change(row.difference, row.interval),
        test: row.test,
        same_facts: None,
        finding: row.finding,
    });
    let overall = comparison.overall.iter().map(|own| Row {
        setting: Setting { model: "overall".into(), ..common(comparison) },
        what: "interquartile mean".into(),
        length: None,
        n: None,
        sides: [(own.first, own.first_interval), (own.second, own.second_interval)].map(|(value, ends)| {
            Cell { text: number::short(value), values: change(Some(value), ends).values }
        }),
        change: change(Some(own.difference), own.interval),
        test: own.test,
        same_facts: None,
        finding: own.finding,
    });
    scores.chain(diverged).chain(overall).collect()
}

/// What all settings share, so that a row of all of them differs in nothing else.
fn common(comparison: &Comparison) -> Setting {
    let shared = |of: fn(&Setting) -> &String| {
        let mut all = comparison.scores.iter().map(|row| of(&row.setting));
        let first = all.next().cloned().unwrap_or_default();
        if all.all(|own| *own == first) { first } else { String::new() }
    };
    Setting { experiment: shared(|own| &own.experiment), task: shared(|own| &own.task), ..Setting::default() }
}

/// A number with the ends of its interval: `-0.031 (-0.052 to -0.010)`.
fn change(value: Option<f64>, ends: Option<Interval>) -> Cell {
    let text = match (value, ends) {
        (Some(value), Some(ends)) => {
            format!("{} ({} to {})", signed(value), signed(ends.low), signed(ends.high))
        }
        (Some(value), None) => signed(value),
        (None, _) => "–".into(),
    };
    Cell {
        text,
        values: [value, ends.map(|ends| ends.low), ends.map(|ends| ends.high)].map(number_value).into(),
    }
}

fn signed(x: f64) -> String {
    if x.abs() < 100.0 { format!("{x:.3}") } else { number::short(x) }
}

fn share(own: Success) -> Cell {
    let ends = own.interval.map(|ends| (ends.low, ends.high)).unzip();
    Cell {
        text: if own.n > 0 { format!("{}/{}", own.k, own.n) } else { "–".into() },
        values: [own.rate(), ends.0, ends.1].map(number_value).into(),
    }
}

fn score_notes(comparison: &Comparison) -> Vec<String> {
    let (percent, alpha) = (100.0 * LEVEL, comparison.limits.alpha);
    let mut notes = vec![
        format!(
            "Mean ± half its {percent} % t interval over n seeds; the difference with Welch's {percent} % interval. p: exact \
             two-sided permutation test of the means; of diverged runs Fisher's exact test, and Newcombe's interval. Adjusted \
             by Holm over {} tests; better or worse: adjusted p ≤ {alpha}.",
            comparison.family
        ),
        "No difference shown is not no difference. Identical: the same seeds gave the same bits, and nothing was tested."
            .into(),
    ];
    if comparison.silent > 0 {
        notes.push(format!(
            "Too few seeds: {} of {} tests cannot reach {alpha} on their own in a family of this size, whatever the values.",
            comparison.silent, comparison.family
        ));
    }
    if let Some(own) = &comparison.overall {
        let left = match own.left_out {
            0 => String::new(),
            count => format!(" {count} settings have no such scale and are left out."),
        };
        notes.push(format!(
            "Overall: interquartile mean over the runs of {} settings, 0 for chance or the best trivial predictor and 1 for \
             perfection, a diverged run 0; {percent} % stratified bootstrap. Its p deals the runs of each setting out anew.{left}",
            own.settings
        ));
    }
    notes
}

/// Without the last bits of a product.
fn rounded(x: f64) -> f64 {
    (1e6 * x).round() / 1e6
}

/// What only one has, up to a number that can be read.
fn only(name: &str, rows: &[Unmatched]) -> Option<String> {
    const MOST: usize = 20;
    let words = |row: &Unmatched| {
        let parts = [&row.setting.task, &row.setting.model, &row.setting.coordinates_text()];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        format!("{} ({})", parts.join(" "), row.what)
    };
    let listed: Vec<String> = rows.iter().take(MOST).map(words).collect();
    let rest = match rows.len().saturating_sub(MOST) {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    (!rows.is_empty()).then(|| format!("Only in the {name}: {}{rest}.", listed.join(", ")))
}

/// Columns of times that no finding rests on: those at unequal pace, and what is the same in most rows.
const GIVING_WAY: [&str; 6] = ["batch", "threads", "first", "second", "second over first", "holds 1"];

/// What was tested of a time, and what it shows.
fn tested<'a>() -> Vec<build::Build<'a, TimeChange>> {
    vec![
        column("p", Align::Right, Show::Never, &["p"], |row: &TimeChange| {
            number_cell(row.test.p, number::short)
        }),
        column("adjusted p", Align::Right, Show::Filled, &["adjusted_p"], |row: &TimeChange| {
            number_cell(row.test.adjusted, number::short)
        }),
        column("finding", Align::Left, Show::Always, &["finding"], |row: &TimeChange| {
            word(row.finding.words())
        }),
    ]
}

fn profiles(comparison: &Comparison) -> Table {
    let rows = &comparison.profiles;
    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &ProfileChange| &row.setting);
    columns.extend([
        column("cells in both", Align::Right, Show::Always, &["cells"], |row: &ProfileChange| {
            integer(row.cells as u64)
        }),
        column("the same", Align::Right, Show::Always, &["same"], |row: &ProfileChange| {
            integer(row.same as u64)
        }),
        column(
            "largest difference",
            Align::Right,
            Show::Always,
            &["largest_decades"],
            |row: &ProfileChange| number_cell(row.largest, number::short),
        ),
        column("finding", Align::Left, Show::Always, &["finding"], |row: &ProfileChange| {
            word(if row.same == row.cells { "identical" } else { "not tested" })
        }),
    ]);
    let notes = vec![
        "The same: all rows of the profile, as written. Largest difference: of a trusted norm, in decades. Gradients are not \
         tested: what differs by more than rounding is for a person to judge."
            .into(),
    ];
    build::table("comparison-gradients", "Two results: gradients".into(), notes, rows, columns)
}

fn times(comparison: &Comparison) -> Table {
    let rows = &comparison.times;
    let repeats: Vec<_> = rows.iter().map(|row| row.repeat.clone()).collect();
    let mut table = super::repeat_table(&repeats);
    for own in &mut table.columns {
        own.secondary = GIVING_WAY.contains(&own.name.as_str());
    }
    let column = build::table("", String::new(), Vec::new(), rows, tested());
    table.name = "comparison-times".into();
    table.title = "Two results: times".into();
    table.columns.extend(column.columns);
    for (row, own) in table.rows.iter_mut().zip(column.rows) {
        row.extend(own);
    }
    if !rows.is_empty() {
        table.notes.push(format!(
            "Worse: shown to be longer at equal pace by more than {} %, by that t test, two-sided, adjusted by Holm over {} times: \
             adjusted p ≤ {}; better: shorter alike. Intervals are of each time alone. Disturbed rows, and those without a pace, \
             are not tested.",
            rounded(100.0 * comparison.limits.time),
            comparison.times_family,
            comparison.limits.alpha
        ));
    }
    table
}
