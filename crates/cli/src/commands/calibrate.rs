//! `seqbench calibrate`: what this machine can do at most, to hold measured times against.

use crate::arguments::Calibrate;
use crate::commands::cost::{column, number, whole};
use crate::failure::{Failure, Outcome};
use crate::terminal;
use seqbench_harness::{instruction_set, memory_bandwidth, multiply_add_peak};
use seqbench_record::provenance;
use seqbench_report::table::{Format, Table};

/// Measures on one thread and on all cores, and prints a table.
pub(crate) fn run(arguments: &Calibrate) -> Outcome {
    let isa = instruction_set().map_err(|error| Failure::usage(format!("error: {error}")))?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let mut threads = vec![1, cores];
    threads.dedup();
    let rows = threads.into_iter().map(|threads| {
        let (peak, bandwidth) = (multiply_add_peak(threads), memory_bandwidth(threads));
        vec![whole(u64::from(threads)), number(peak), number(bandwidth), number(peak / bandwidth)]
    });
    let table = Table {
        name: "calibration".into(),
        title: "What this machine can do at most".into(),
        notes: vec![
            format!("{}, {isa}.", provenance(isa, 1, 0.0).processor),
            "Peak: single-precision multiply-adds in registers, two operations each. Bandwidth: bytes read and written while \
             copying 64 MiB a thread. The best of what was measured in a few seconds: other work only slows it."
                .into(),
            "Ridge: operations a byte above which a computation is bound by arithmetic, below it by memory (Williams et al. \
             2009)."
                .into(),
        ],
        columns: vec![
            column("threads", None, "threads"),
            column("peak", Some("GFLOP/s"), "peak_gflops"),
            column("bandwidth", Some("GB/s"), "bandwidth_gb"),
            column("ridge", Some("FLOP/B"), "ridge"),
        ],
        rows: rows.collect(),
    };
    terminal::print(table.render(if arguments.json { Format::Json } else { Format::Text }).trim_end());
    Ok(())
}
