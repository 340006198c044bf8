//! `seqbench bench`: one model at one size, as one line of CSV that stands beside those of other frameworks.

use crate::arguments::{Bench as Arguments, Mode as Timed};
use crate::failure::{Failure, Outcome};
use crate::single::{self, Subject};
use crate::terminal;
use seqbench_core::Registry;
use seqbench_harness::checkpoint::Checkpoint;
use seqbench_harness::spec::{Mode, ThroughputSpec};
use seqbench_harness::throughput::Bench;
use std::path::Path;

/// Names of the columns: time in milliseconds, memory in mebibytes.
const HEADER: &str = "framework,arch,T,batch,d_model,layers,ms_median,ms_min,peak_rss_mb";

/// Measures, and prints the line.
pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Outcome {
    let Some(threads) = single::with_threads(arguments.threads)? else { return Ok(()) };
    if arguments.peak {
        terminal::print(&format!("{:.1}", seqbench_harness::multiply_add_peak(threads)));
        return Ok(());
    }
    let subject = subject(arguments, registry)?;
    if let (Some(steps), Some(input)) = (arguments.losses, &arguments.input) {
        return losses(&subject.checkpoint, input, steps, registry);
    }
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

fn subject(arguments: &Arguments, registry: &Registry) -> Result<Subject, Failure> {
    let model = arguments.model.as_deref();
    match &arguments.checkpoint {
        Some(path) => single::read(path, model, &arguments.shape, registry),
        None => {
            let horizon = arguments.length as usize;
            single::fresh(model.unwrap_or_default(), &arguments.shape, horizon, registry)
        }
    }
}

/// Trains on one batch over and over, and prints the loss before each step.
fn losses(checkpoint: &Checkpoint, input: &Path, steps: u32, registry: &Registry) -> Outcome {
    let examples = single::examples(input, checkpoint.signature)?;
    let batch = examples.batch().ok_or_else(|| {
        anyhow::anyhow!("{}: there are no `targets`, and so no loss to train on", input.display())
    })?;
    let mut trainer = single::peers_trainer(checkpoint, registry)?;
    for step in 0..u64::from(steps) {
        let report = trainer.step(&batch, step).map_err(single::failure)?;
        if !report.is_finite() {
            terminal::error(&format!(
                "error: step {step}: the loss is {}, its gradient not finite",
                report.loss
            ));
            return Err(Failure::Incomplete);
        }
        if !terminal::print(&nine_digits(report.loss)) {
            break;
        }
    }
    Ok(())
}

/// Nine significant digits: as many as tell any two numbers of single precision apart.
fn nine_digits(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = (8 - magnitude).clamp(0, 300) as usize;
    format!("{value:.decimals$}")
}

fn measure(
    subject: &Subject,
    spec: &ThroughputSpec,
    mode: Mode,
    seed: u64,
    registry: &Registry,
) -> Result<String, Failure> {
    let Subject { checkpoint, training, decay } = subject;
    let build = || checkpoint.trainer(training, *decay, registry);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_have_nine_digits_whatever_their_size() {
        assert_eq!(nine_digits(4.158_883_083_359_672), "4.15888308");
        assert_eq!(nine_digits(0.001_234_567_891), "0.00123456789");
        assert_eq!(nine_digits(1_234.567_891_2), "1234.56789");
        assert_eq!(nine_digits(0.0), "0.00000000");
    }
}
