//! `seqbench compare`: two results of one experiment side by side, what is better, what is worse, and what is not told apart.

use crate::arguments::{Compare, Regression};
use crate::commands::table::{json, read};
use crate::failure::{Failure, Outcome};
use crate::terminal;
use seqbench_record::CellFiles;
use seqbench_report::summary::{Limits, compare};
use seqbench_report::table::{Format, Table, comparison_tables};
use std::collections::BTreeSet;

/// Prints one row for each setting that both have, scores first, then times.
pub(crate) fn run(arguments: &Compare) -> Outcome {
    let of = |results: &String| read(std::slice::from_ref(results));
    let (first, second) = (of(&arguments.first)?, of(&arguments.second)?);
    let names = |cells: &[CellFiles]| {
        let names: BTreeSet<&str> = cells.iter().map(|files| files.cell.experiment.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    if names(&first) != names(&second) {
        return Err(Failure::usage(format!(
            "error: these are different experiments: {} and {}\nhelp: compare two results of one experiment",
            names(&first),
            names(&second)
        )));
    }
    let comparison = compare(&first, &second, Limits::default());
    if comparison.is_empty() {
        return Err(Failure::usage(
            "error: nothing was measured in both\nhelp: compare two results of one experiment",
        ));
    }
    let tables: Vec<Table> = comparison_tables(&comparison);
    let text = match arguments.json {
        true => json(&tables)?,
        false => tables.iter().map(|table| table.render(Format::Text)).collect::<Vec<_>>().join("\n"),
    };
    terminal::print(text.trim_end());
    match arguments.fail_on {
        Some(Regression::Regression) if comparison.regressed() => Err(Failure::Incomplete),
        _ => Ok(()),
    }
}
