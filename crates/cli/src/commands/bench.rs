//! `seqbench bench`: one model at one size, as one line of CSV that stands beside those of other frameworks.

use crate::arguments::{Bench as Arguments, Mode as Timed};
use crate::failure::{Failure, Outcome};
use crate::single::{self, Subject};
use crate::terminal;
use seqbench_core::Registry;
use seqbench_harness::spec::{Mode, ThroughputSpec};
use seqbench_harness::throughput::Bench;

/// Names of the columns: time in milliseconds, memory in mebibytes.
const HEADER: &str = "framework,arch,T,batch,d_model,layers,ms_median,ms_min,peak_rss_mb";

/// Measures, and prints the line.
pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Outcome {
    let Some(threads) = single::with_threads(arguments.threads)? else { return Ok(()) };
    let subject = single::fresh(&arguments.model, &arguments.shape, arguments.length as usize, registry)?;
    let mode = match arguments.mode {
        Timed::Train => Mode::Train,
        Timed::Forward => Mode::Forward,
        Timed::Decode => Mode::Decode,
    };
    let spec = ThroughputSpec {
        modes: vec![mode],
        length: arguments.length as usize,
        batch: arguments.batch as usize,
        rounds: arguments.rounds,
        warmup: arguments.warmup,
        threads,
    };
    let line = measure(&subject, &spec, mode, arguments.shape.seed, registry)?;
    if arguments.header {
        terminal::print(HEADER);
    }
    terminal::print(&line);
    Ok(())
}

fn measure(
    subject: &Subject,
    spec: &ThroughputSpec,
    mode: Mode,
    seed: u64,
    registry: &Registry,
) -> Result<String, Failure> {
    let Subject { checkpoint, single, decay } = subject;
    let build = || checkpoint.trainer(&single.train, single.rate, *decay, registry);
    let mut bench = Bench::of(spec.clone(), checkpoint.signature, seed, build).map_err(single::failure)?;
    tracing::info!("{} parameters, {} threads", bench.parameters(), spec.threads);
    let mut times = Vec::new();
    for round in 0..spec.rounds {
        let timed = bench.round(mode).map_err(single::failure)?;
        if !timed.err.is_empty() {
            terminal::error(&format!("error: round {round}: {}", timed.err));
            return Err(Failure::Incomplete);
        }
        times.push(timed.ns as f64 / 1e6);
    }
    // The upper of two middle ones, as peers take it.
    times.sort_by(f64::total_cmp);
    let (median, least) = (times[times.len() / 2], times[0]);
    let decimals = if mode == Mode::Decode { 5 } else { 3 };
    let peak = bench.process_peak_bytes();
    let peak = peak.map_or(String::new(), |bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20)));
    Ok(format!(
        "seqbench,{},{},{},{},{},{median:.decimals$},{least:.decimals$},{peak}",
        checkpoint.architecture(),
        spec.length,
        spec.batch,
        checkpoint.model.width,
        checkpoint.model.layers.len(),
    ))
}
