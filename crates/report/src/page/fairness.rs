//! In what models are equal and in what they are not: parameters, budget, and how their rates were found.

use super::places::{Block, Places};
use super::{Told, tables};
use crate::summary::{Stop, selected, stop};
use crate::table::{Align, Cell, Column, Table, Value, count, timed_fairness};
use maud::{Markup, html};
use seqbench_record::{CellFiles, Purpose};
use std::collections::BTreeSet;

const RULES: [&str; 3] = [
    "Encoder, readout, blocks, loss, optimizer, clipping and schedule are the harness's, one code for all models.",
    "Where a learning rate is selected, every candidate is tried on tuning seeds and scored on the validation stream; the best \
     mean is chosen. No trial sees the test stream, and nothing is tuned on seeds that are reported.",
    "Every run of a setting is shown: there is no best of n. The rules in full: METHODOLOGY.md, Fairness rules.",
];

pub(super) fn section(told: &[Told<'_>], places: &[Places<'_>]) -> Markup {
    html! {
        section id="fairness" aria-labelledby="fairness-name" {
            h2 id="fairness-name" { "Fairness" }
            ul { @for rule in RULES { li { (rule) } } }
            @for (told, places) in told.iter().zip(places) {
                @let own = table(told, places);
                @if !own.rows.is_empty() {
                    (tables::table(&own, &format!("{}-fairness", told.anchor), Some(places)))
                }
            }
        }
    }
}

fn table(told: &Told<'_>, places: &Places<'_>) -> Table {
    let blocks = || places.blocks.iter().filter(|block| block.all().next().is_some());
    let several = blocks().map(|block| (&block.experiment, &block.task)).collect::<BTreeSet<_>>().len() > 1;
    let column = |name: &str, align: Align, shown: bool, field: &str| Column {
        name: name.into(),
        unit: None,
        align,
        shown,
        secondary: false,
        fields: vec![field.into()],
    };
    Table {
        name: "fairness".into(),
        title: format!("What each model was given: {}", told.chapter.name),
        notes: timed_fairness(&told.summary.throughput).into_iter().collect(),
        columns: vec![
            column("model", Align::Left, true, "model"),
            column("experiment", Align::Left, false, "experiment"),
            column("task", Align::Left, several, "task"),
            column("parameters", Align::Right, true, "parameters"),
            column("seeds", Align::Right, true, "seeds"),
            column("budget (steps)", Align::Right, true, "budget"),
            column("stops", Align::Left, true, "stops"),
            column("learning rate", Align::Left, true, "learning_rate"),
        ],
        rows: blocks().map(row).collect(),
    }
}

fn row(block: &Block<'_>) -> Vec<Cell> {
    let finals: Vec<&CellFiles> =
        block.all().map(|place| place.files).filter(|files| files.cell.purpose == Purpose::Final).collect();
    let any: Vec<&CellFiles> = block.all().map(|place| place.files).collect();
    let word = |text: String| match text.as_str() {
        "" => Cell { text: "–".into(), values: vec![Value::Missing] },
        _ => Cell { values: vec![Value::Text(text.clone())], text },
    };
    let seeds = finals.iter().map(|files| files.cell.labels.seed).collect::<BTreeSet<_>>().len();
    vec![
        word(block.model.clone()),
        word(block.experiment.clone()),
        word(block.task.clone()),
        word(range(&any, "parameters")),
        word(if seeds == 0 { String::new() } else { seeds.to_string() }),
        word(range(&finals, "steps")),
        word(stops(&finals)),
        word(rate(&finals)),
    ]
}

/// Least and largest of a fact over cells.
fn range(cells: &[&CellFiles], fact: &str) -> String {
    let values = || cells.iter().filter_map(|files| files.cell.facts.get(fact).copied());
    let (low, high) =
        values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    match (count(low), count(high)) {
        _ if low > high => String::new(),
        (low, high) if low == high => low,
        (low, high) => format!("{low}–{high}"),
    }
}

fn stops(finals: &[&CellFiles]) -> String {
    match stop(finals) {
        Some(Stop::WholeBudget) => "after its whole budget".into(),
        Some(Stop::Early(limit)) => format!("at validation accuracy ≥ {limit}"),
        None => String::new(),
    }
}

/// The rule, and what it chose.
fn rate(finals: &[&CellFiles]) -> String {
    let mut rates: Vec<f64> =
        finals.iter().filter_map(|files| files.cell.facts.get("learning_rate").copied()).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let rates: Vec<String> = rates.into_iter().map(|rate| Value::Number(rate).plain()).collect();
    match selected(finals) {
        Some(rule) => {
            let noun = if rule.trials == 1 { "trial" } else { "trials" };
            format!("{}: of {} candidates, {} {noun} each", rates.join(", "), rule.candidates, rule.trials)
        }
        None if rates.is_empty() => String::new(),
        None => format!("{}, fixed", rates.join(", ")),
    }
}
