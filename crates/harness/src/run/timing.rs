//! Timing groups: one process a model, all of them ready, then one pass at a time in a random order over models and
//! modes, so that what the machine does meanwhile falls on all alike.

use super::observer::Event;
use super::protocol::{Job, Reply, Request, TimedRound};
use super::{Run, Standing, Worker};
use crate::plan::{Cell, Group};
use crate::spec::{Mode, ThroughputSpec};
use seqbench_core::{Purpose, Stream};
use seqbench_record::{Result, Status, TimingRow};

/// A cell whose worker is ready.
struct Bench<'a> {
    cell: &'a Cell,
    spec: &'a ThroughputSpec,
    worker: Worker,
    rows: Vec<TimingRow>,
}

/// One pass that is to be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    bench: usize,
    mode: Mode,
    round: u32,
}

/// Runs what is missing of a timing group.
pub(super) fn run<'a>(run: &mut Run<'a>, group: &'a Group) -> Result<()> {
    let mut benches: Vec<Option<Bench<'a>>> = Vec::new();
    for cell in &group.finals {
        let missing = run.standing.get(cell.id.as_str()) == Some(&Standing::Missing);
        let Some(spec) = cell.spec.measure.throughput.as_ref().filter(|_| missing) else { continue };
        run.tell(&Event::Started { cell, rate: None });
        match prepare(run, cell, spec) {
            Ok(worker) => benches.push(Some(Bench { cell, spec, worker, rows: Vec::new() })),
            Err(reason) => run.end_without(cell, Status::Failed, &reason)?,
        }
    }
    let specs: Vec<&ThroughputSpec> = benches.iter().flatten().map(|bench| bench.spec).collect();
    let passes = order(&specs);
    let total = passes.len();
    for (done, pass) in passes.into_iter().enumerate() {
        let Some(bench) = &mut benches[pass.bench] else { continue };
        match take(&mut bench.worker, pass.mode) {
            Ok(round) => bench.rows.push(row(bench.spec, pass, round)),
            Err(trouble) => {
                if let Some(bench) = benches[pass.bench].take() {
                    fail(run, bench, trouble)?;
                }
            }
        }
        run.tell(&Event::Round { group, done: done + 1, total });
    }
    for bench in benches.into_iter().flatten() {
        finish(run, bench)?;
    }
    Ok(())
}

/// What went wrong with a worker: it said so, or it is gone.
enum Trouble {
    Said(String),
    Gone(std::io::Error),
}

fn ask(worker: &mut Worker, request: &Request) -> std::result::Result<Reply, Trouble> {
    worker.send(request).map_err(Trouble::Gone)?;
    loop {
        match worker.receive().map_err(Trouble::Gone)? {
            Reply::Progress(_) => {}
            Reply::Failed(reason) => return Err(Trouble::Said(reason)),
            reply => return Ok(reply),
        }
    }
}

fn unexpected(reply: &Reply) -> Trouble {
    Trouble::Said(format!("the worker answered out of turn with {reply:?}"))
}

fn reason(worker: Worker, trouble: Trouble) -> String {
    match trouble {
        Trouble::Said(reason) => reason,
        Trouble::Gone(error) => worker.last_words(&error),
    }
}

fn prepare(run: &Run<'_>, cell: &Cell, spec: &ThroughputSpec) -> std::result::Result<Worker, String> {
    let started = run.launcher.launch(spec.threads);
    let mut worker = started.map_err(|error| format!("no worker could be started: {error}"))?;
    match ask(&mut worker, &Request::Prepare(Job::of(cell, None))) {
        Ok(Reply::Prepared) => Ok(worker),
        Ok(other) => Err(reason(worker, unexpected(&other))),
        Err(trouble) => Err(reason(worker, trouble)),
    }
}

fn take(worker: &mut Worker, mode: Mode) -> std::result::Result<TimedRound, Trouble> {
    match ask(worker, &Request::Round(mode))? {
        Reply::Round(round) => Ok(round),
        other => Err(unexpected(&other)),
    }
}

fn fail<'a>(run: &mut Run<'a>, bench: Bench<'a>, trouble: Trouble) -> Result<()> {
    let reason = reason(bench.worker, trouble);
    run.end_without(bench.cell, Status::Failed, &reason)
}

fn finish<'a>(run: &mut Run<'a>, mut bench: Bench<'a>) -> Result<()> {
    let found = match ask(&mut bench.worker, &Request::Finish) {
        Ok(Reply::Done(encoded)) => encoded.decode().map_err(Trouble::Said),
        Ok(other) => Err(unexpected(&other)),
        Err(trouble) => Err(trouble),
    };
    match found {
        Ok((found, provenance)) => {
            let mut rows = bench.rows;
            rows.sort_by_key(|row| (row.mode.clone(), row.round));
            run.end(bench.cell, None, found, provenance, rows).map(drop)
        }
        Err(trouble) => fail(run, bench, trouble),
    }
}

fn row(spec: &ThroughputSpec, pass: Pass, round: TimedRound) -> TimingRow {
    TimingRow {
        mode: pass.mode.name().to_owned(),
        length: spec.length as u64,
        batch: spec.batch as u64,
        threads: spec.threads,
        round: pass.round,
        ns: round.ns,
        checksum: round.checksum,
        err: round.err,
    }
}

/// All passes: round by round, within a round every (model, mode) once, in an order drawn anew for each.
fn order(specs: &[&ThroughputSpec]) -> Vec<Pass> {
    let rounds = specs.iter().map(|spec| spec.rounds).max().unwrap_or(0);
    let length = specs.first().map_or(0, |spec| spec.length as u64);
    let mut passes = Vec::new();
    for round in 0..rounds {
        let mut own: Vec<Pass> = specs
            .iter()
            .enumerate()
            .filter(|(_, spec)| round < spec.rounds)
            .flat_map(|(bench, spec)| spec.modes.iter().map(move |mode| Pass { bench, mode: *mode, round }))
            .collect();
        Stream::new(length, Purpose::Timing, u64::from(round)).shuffle(&mut own);
        passes.extend(own);
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_comes_once_a_round_in_an_order_that_changes() {
        let modes = vec![Mode::Train, Mode::Forward, Mode::Decode];
        let spec = ThroughputSpec { modes, length: 64, batch: 8, rounds: 5, warmup: 1, threads: 1 };
        let passes = order(&[&spec, &spec]);
        assert_eq!(passes.len(), 2 * 3 * 5);
        let rounds: Vec<&[Pass]> = passes.chunks(6).collect();
        for (at, round) in rounds.iter().enumerate() {
            let mut seen: Vec<(usize, &str)> =
                round.iter().map(|pass| (pass.bench, pass.mode.name())).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 6);
            assert!(round.iter().all(|pass| pass.round as usize == at));
        }
        let orders: Vec<Vec<(usize, Mode)>> =
            rounds.iter().map(|round| round.iter().map(|pass| (pass.bench, pass.mode)).collect()).collect();
        assert!(orders.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(passes, order(&[&spec, &spec]));
    }
}
