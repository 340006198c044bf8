//! `seqbench compare`: two results of the same measurements side by side.

use crate::arguments::Compare;
use crate::commands::table::read;
use crate::failure::{Failure, Outcome};
use crate::terminal;
use seqbench_report::summary::{repeats, summarise};
use seqbench_report::table::{Format, repeat_table};

/// Prints one row for each model, mode and size that both timed.
pub(crate) fn run(arguments: &Compare) -> Outcome {
    let of = |results: &String| read(std::slice::from_ref(results)).map(|cells| summarise(&cells));
    let rows = repeats(&of(&arguments.first)?, &of(&arguments.second)?);
    if rows.is_empty() {
        return Err(Failure::usage(
            "error: nothing was timed in both\nhelp: compare results of one experiment that measures throughput",
        ));
    }
    let table = repeat_table(&rows);
    terminal::print(table.render(if arguments.json { Format::Json } else { Format::Text }).trim_end());
    Ok(())
}
