//! `seqbench choose`: which models fit, how fast they are and how far they reach, from rows that stand.

use crate::arguments::Choose;
use crate::commands::table::read;
use crate::failure::{Failure, Outcome};
use crate::terminal;
use seqbench_report::summary::{Wish, choose, summarise};
use seqbench_report::table::{Format, choose_table};

/// Prints one row a model.
pub(crate) fn run(arguments: &Choose) -> Outcome {
    let summary = summarise(&read(&arguments.results)?);
    let wish = Wish {
        length: arguments.length,
        memory_bytes: arguments.memory,
        batch: arguments.batch,
        threads: arguments.threads,
    };
    if summary.throughput.is_empty() {
        return Err(Failure::usage(
            "error: these results have no timed rounds\nhelp: add those of an experiment that measures throughput, such as \
             `throughput-vs-length`",
        ));
    }
    if !summary.throughput.iter().any(|row| row.threads == wish.threads) {
        let mut threads: Vec<u32> = summary.throughput.iter().map(|row| row.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        let threads: Vec<String> = threads.iter().map(u32::to_string).collect();
        return Err(Failure::usage(format!(
            "error: nothing was timed on {} threads\nhelp: --threads {}",
            wish.threads,
            threads.join(" or ")
        )));
    }
    let table = choose_table(&choose(&summary, &wish), &wish);
    terminal::print(table.render(if arguments.json { Format::Json } else { Format::Text }).trim_end());
    Ok(())
}
