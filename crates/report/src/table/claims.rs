//! The table of claims: what was decided, and on what.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, number_cell, number_value, word},
    number,
};
use crate::claims::{Decision, Outcome};

/// One row a claim, in the order given.
pub fn claims_table(decisions: &[Decision]) -> Table {
    let columns = vec![
        column("claim", Align::Left, Show::Always, &["claim"], |row: &Decision| word(&row.claim)),
        column("name", Align::Left, Show::Never, &["name"], |row: &Decision| word(&row.name)),
        column("verdict", Align::Left, Show::Always, &["verdict"], |row: &Decision| word(name(row.outcome))),
        column("effect", Align::Right, Show::Always, &["effect", "low", "high"], effect),
        column("unit", Align::Left, Show::Never, &["unit"], |row: &Decision| word(&row.unit)),
        column("p", Align::Right, Show::Never, &["p"], |row: &Decision| number_cell(row.p, number::short)),
        column("p (Holm)", Align::Right, Show::Filled, &["adjusted_p"], |row: &Decision| {
            number_cell(row.adjusted, spelled_p)
        }),
        column("seeds", Align::Right, Show::Always, &["seeds", "seeds_needed"], seeds),
        column("test", Align::Left, Show::Never, &["test"], |row: &Decision| word(&row.test)),
        column("source", Align::Left, Show::Never, &["source"], |row: &Decision| word(&row.source)),
        column("decided by", Align::Left, Show::Always, &["experiment"], |row: &Decision| {
            word(&row.experiment)
        })
        .secondary(),
        column("notes", Align::Left, Show::Never, &["notes"], |row: &Decision| word(&row.notes.join("; "))),
    ];
    let mut notes: Vec<String> = decisions
        .iter()
        .map(|row| {
            let said =
                if row.notes.is_empty() { String::new() } else { format!(" {}.", row.notes.join("; ")) };
            format!("{}: {}.{said} Decided by {}; {}.", row.name, row.test, row.experiment, row.source)
        })
        .collect();
    notes.push(
        "Effect: the first side less the second, with its two-sided interval, uncorrected; p: of the one-sided test that was \
         fixed beforehand, corrected by Holm over all claims that have one, which alone decides. Refuted: the same test the \
         other way round does. Inconclusive: neither does."
            .into(),
    );
    build::table("claims", "Claims".into(), notes, decisions, columns)
}

/// An outcome as a word.
pub(crate) fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Supported => "supported",
        Outcome::Refuted => "refuted",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Open => "open",
    }
}

fn effect(row: &Decision) -> Cell {
    let mut values = vec![number_value(row.effect)];
    values.extend([row.interval.map(|own| own.low), row.interval.map(|own| own.high)].map(number_value));
    let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
    let text = match (row.effect, row.interval) {
        (Some(effect), Some(interval)) => {
            format!("{} ({} to {}){unit}", signed(effect), signed(interval.low), signed(interval.high))
        }
        (Some(effect), None) => format!("{}{unit}", signed(effect)),
        (None, _) => "–".into(),
    };
    Cell { text, values }
}

fn signed(x: f64) -> String {
    let text = number::short(x);
    if x > 0.0 { format!("+{text}") } else { text }
}

/// `< 0.0001`, `0.0312`, `0.46`.
fn spelled_p(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".into() } else { number::short(p) }
}

fn seeds(row: &Decision) -> Cell {
    let by_seed = row.p.is_some() && row.sides.iter().all(|side| side.values.len() > 1);
    let n = row.sides.first().filter(|_| by_seed).map(|side| side.values.len() as u64);
    let values = [n, row.seeds_needed].map(|count| count.map_or(Value::Missing, Value::Integer)).into();
    let text = match (n, row.seeds_needed) {
        (Some(n), Some(needed)) => format!("{n}, needs {needed}"),
        (Some(n), None) => n.to_string(),
        (None, _) => "–".into(),
    };
    Cell { text, values }
}
