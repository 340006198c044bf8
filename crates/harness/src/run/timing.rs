//! Timing groups: one process a model, all of them ready, then one pass at a time in a random order over models and
//! modes, so that what the machine does meanwhile falls on all alike. The rounds of a group are spread over several visits.
//! A visit during which the machine was not quiet is made again, and the quieter attempt kept. Where memory does not suffice
//! for all of a group at once, it is taken in units; a cell that does not fit by itself is skipped.

use super::noise::{Noise, Watch, slowdown, spread};
use super::observer::Event;
use super::protocol::{Findings, Job, Reply, Request, TimedRound};
use super::visits::{Unit, VISITS, share, together, too_big, windows};
use super::{Run, Standing, Worker};
use crate::machine::Machine;
use crate::plan::{Cell, Group};
use crate::spec::{Mode, ThroughputSpec};
use seqbench_core::{Purpose, Stream};
use seqbench_record::{Claim, ConditionRow, Provenance, Result, Status, TimingRow};
use std::collections::BTreeMap;
use std::ops::Range;

/// Most attempts at a visit.
const ATTEMPTS: u32 = 2;

/// What all timing groups of a run share.
#[derive(Default)]
pub(super) struct Conditions {
    watch: Watch,
    /// What the machine can do at most, by threads: measured once, before the first group that needs it.
    peaks: BTreeMap<u32, Vec<ConditionRow>>,
    /// Least time that the fixed arithmetic ever took, in nanoseconds.
    least_pace: Option<u64>,
}

/// A cell whose worker is ready.
struct Bench<'a> {
    cell: &'a Cell,
    spec: &'a ThroughputSpec,
    worker: Worker,
    rows: Vec<TimingRow>,
}

impl Bench<'_> {
    /// Time of the fixed arithmetic before each round.
    fn paces(&self) -> Vec<u64> {
        self.rows.iter().filter_map(|row| row.pace_ns).filter(|pace| *pace > 0).collect()
    }
}

/// One pass that is to be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    bench: usize,
    mode: Mode,
    round: u32,
}

/// How a cell ended: what it found and where, or why not.
type Ended<'a> = (&'a Cell, std::result::Result<Taken, String>);

/// A cell with its rounds.
struct Taken {
    found: Findings,
    provenance: Provenance,
    rows: Vec<TimingRow>,
    noise: Noise,
}

impl Taken {
    /// With what a later visit took: the rounds follow on, and what disturbed any visit disturbed the cell.
    fn and(mut self, later: Taken) -> Taken {
        self.rows.extend(later.rows);
        self.provenance.wall_seconds += later.provenance.wall_seconds;
        for (own, other) in self.found.memory.iter_mut().zip(later.found.memory) {
            if other.peak_bytes > own.peak_bytes {
                *own = other;
            }
        }
        self.noise = self.noise.worse(&later.noise, spread(&self.rows));
        self
    }
}

/// What a unit's visits have found so far.
#[derive(Default)]
struct Gathered<'a> {
    ended: Vec<Ended<'a>>,
    /// Most attempts at any visit.
    attempts: u32,
}

/// Runs what is missing of the timing groups.
pub(super) fn run<'a>(run: &mut Run<'a>, groups: impl Iterator<Item = &'a Group>) -> Result<()> {
    let mut conditions = Conditions::default();
    let mut all: Vec<Unit<'a>> = Vec::new();
    let mut claims: Vec<Claim> = Vec::new();
    for group in groups.filter(|group| run.misses(group)).collect::<Vec<_>>() {
        match run.claim(group)? {
            Some(claim) => claims.push(claim),
            None => {
                run.leave(group);
                continue;
            }
        }
        all.extend(units(run, group)?);
    }
    for window in windows(&all) {
        let units = &all[window];
        let mut gathered: Vec<Gathered<'a>> = units.iter().map(|_| Gathered::default()).collect();
        for visit in 0..VISITS {
            for (unit, gathered) in units.iter().zip(&mut gathered) {
                // What this window has taken so far is lost: rounds apart are no visit.
                if run.stops() {
                    return Ok(());
                }
                self::visit(run, &mut conditions, unit, gathered, visit);
                if visit + 1 == VISITS && !run.stops() {
                    end(run, &conditions, unit, std::mem::take(gathered))?;
                }
            }
        }
    }
    Ok(())
}

/// What is missing of a group, in units that memory suffices for.
fn units<'a>(run: &mut Run<'a>, group: &'a Group) -> Result<Vec<Unit<'a>>> {
    let is_missing = |cell: &&Cell| run.standing.get(cell.id.as_str()) == Some(&Standing::Missing);
    let mut missing: Vec<&'a Cell> = group.finals.iter().filter(is_missing).collect();
    let available = run.machine.available_bytes();
    for cell in missing.clone() {
        if let Some(reason) = too_big(available, cell.predicted_bytes) {
            run.end_without(cell, Status::Skipped, &reason)?;
            missing.retain(|own| own.id != cell.id);
        }
    }
    let threads = missing.first().and_then(|cell| cell.spec.measure.throughput.as_ref());
    let threads = threads.map_or(1, |spec| threads_of(spec.threads));
    let needs: Vec<f64> = missing.iter().map(|cell| cell.predicted_bytes.unwrap_or(0.0)).collect();
    let stretches = together(available, &needs).into_iter();
    Ok(stretches.map(|stretch| Unit { group, cells: missing[stretch].to_vec(), threads }).collect())
}

/// The rounds of one visit, the quieter of two attempts at them.
fn visit<'a>(
    run: &mut Run<'a>,
    conditions: &mut Conditions,
    unit: &Unit<'a>,
    gathered: &mut Gathered<'a>,
    visit: u32,
) {
    if visit == 0 {
        for cell in &unit.cells {
            run.tell(&Event::Started { cell, rate: None });
        }
    }
    if !conditions.peaks.contains_key(&unit.threads) {
        // What is measured here is long enough to tell what others do.
        conditions.watch.look(run.machine, &[]);
        conditions.peaks.insert(unit.threads, peaks(run.machine, unit.threads));
    }
    let has_failed = |cell: &Cell| gathered.ended.iter().any(|(own, how)| own.id == cell.id && how.is_err());
    let cells: Vec<&'a Cell> = unit.cells.iter().copied().filter(|cell| !has_failed(cell)).collect();
    let rounds = cells.first().and_then(|cell| cell.spec.measure.throughput.as_ref());
    let rounds = rounds.map_or(0..0, |spec| share(spec.rounds, visit));
    if rounds.is_empty() {
        return;
    }
    let mut best: Option<(f64, Vec<Ended<'a>>)> = None;
    let mut attempts = 0;
    while attempts < ATTEMPTS && best.as_ref().is_none_or(|(excess, _)| *excess > 1.0) {
        attempts += 1;
        let ended = attempt(run, conditions, unit.group, &cells, rounds.clone());
        let taken = ended.iter().filter_map(|(_, taken)| taken.as_ref().ok());
        let excess = taken.map(|taken| taken.noise.disturbance()).fold(0.0, f64::max);
        if best.as_ref().is_none_or(|(least, _)| excess < *least) {
            best = Some((excess, ended));
        }
    }
    gathered.attempts = gathered.attempts.max(attempts);
    for (cell, mut how) in best.into_iter().flat_map(|(_, ended)| ended) {
        if let Ok(taken) = &mut how {
            taken.rows.iter_mut().for_each(|row| row.visit = Some(visit));
        }
        let before = gathered.ended.iter().position(|(own, _)| own.id == cell.id);
        let before = before.map(|at| gathered.ended.swap_remove(at).1);
        let joined = match (before, how) {
            (Some(Ok(before)), Ok(taken)) => Ok(before.and(taken)),
            (_, how) => how,
        };
        gathered.ended.push((cell, joined));
    }
}

/// Writes the cells of a unit, in their order.
fn end<'a>(
    run: &mut Run<'a>,
    conditions: &Conditions,
    unit: &Unit<'a>,
    mut gathered: Gathered<'a>,
) -> Result<()> {
    let place = |cell: &Cell| unit.cells.iter().position(|own| own.id == cell.id);
    gathered.ended.sort_by_key(|(cell, _)| place(cell));
    for (cell, how) in gathered.ended {
        match how {
            Ok(Taken { mut found, provenance, rows, noise }) => {
                found.conditions = conditions.peaks.get(&unit.threads).cloned().unwrap_or_default();
                found.conditions.extend(noise.rows(gathered.attempts));
                run.end(cell, None, found, provenance, rows)?;
            }
            Err(reason) => run.end_without(cell, Status::Failed, &reason)?,
        }
    }
    Ok(())
}

/// These rounds of the cells, once.
fn attempt<'a>(
    run: &mut Run<'a>,
    conditions: &mut Conditions,
    group: &Group,
    cells: &[&'a Cell],
    rounds: Range<u32>,
) -> Vec<Ended<'a>> {
    let mut ended: Vec<Ended<'a>> = Vec::new();
    let mut benches: Vec<Option<Bench<'a>>> = Vec::new();
    for &cell in cells {
        let Some(spec) = cell.spec.measure.throughput.as_ref().filter(|_| !run.stops()) else { continue };
        match prepare(run, cell, spec.threads, rounds.len() as u32) {
            Ok(worker) => {
                benches.push(Some(Bench { cell, spec, worker, rows: Vec::new() }));
            }
            Err(reason) => ended.push((cell, Err(reason))),
        }
    }
    let workers: Vec<u32> = benches.iter().flatten().filter_map(|bench| bench.worker.process()).collect();
    conditions.watch.look(run.machine, &workers);
    let specs: Vec<&ThroughputSpec> = benches.iter().flatten().map(|bench| bench.spec).collect();
    let passes = order(&specs, rounds);
    let total = passes.len();
    for (done, pass) in passes.into_iter().enumerate() {
        if run.stops() {
            break;
        }
        let Some(bench) = &mut benches[pass.bench] else { continue };
        match take(&mut bench.worker, pass.mode) {
            Ok(round) => {
                bench.rows.push(row(bench.spec, pass, round));
            }
            Err(trouble) => {
                if let Some(bench) = benches[pass.bench].take() {
                    ended.push((bench.cell, Err(reason(bench.worker, trouble))));
                }
            }
        }
        run.tell(&Event::Round { group, done: done + 1, total });
    }
    let foreign = conditions.watch.foreign(run.machine, &workers);
    let benches: Vec<Bench<'_>> = benches.into_iter().flatten().collect();
    let least = benches.iter().flat_map(Bench::paces).chain(conditions.least_pace).min();
    conditions.least_pace = least;
    for bench in benches {
        let noise = Noise {
            foreign_cores: foreign.map(|(cores, _)| cores),
            cores: foreign.map_or(0, |(_, cores)| cores),
            slowdown: least.map_or(1.0, |least| slowdown(&bench.paces(), least)),
            spread: spread(&bench.rows),
        };
        let cell = bench.cell;
        ended.push((cell, finish(bench, noise)));
    }
    ended
}

/// As many as are meant: 0 stands for all cores.
fn threads_of(stated: u32) -> u32 {
    match stated {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        stated => stated,
    }
}

fn peaks(machine: &dyn Machine, threads: u32) -> Vec<ConditionRow> {
    let measured =
        [("peak_gflops", machine.peak_gflops(threads)), ("bandwidth_gb", machine.bandwidth_gb(threads))];
    let row =
        |(name, value): (&str, Option<f64>)| Some(ConditionRow { name: name.to_owned(), value: value? });
    measured.into_iter().filter_map(row).collect()
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

fn prepare(run: &Run<'_>, cell: &Cell, threads: u32, rounds: u32) -> std::result::Result<Worker, String> {
    let started = run.launcher.launch(threads);
    let mut worker = started.map_err(|error| format!("no worker could be started: {error}"))?;
    match ask(&mut worker, &Request::Prepare(Job::of(cell, None), rounds)) {
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

fn finish(mut bench: Bench<'_>, noise: Noise) -> std::result::Result<Taken, String> {
    let found = match ask(&mut bench.worker, &Request::Finish) {
        Ok(Reply::Done(encoded)) => encoded.decode().map_err(Trouble::Said),
        Ok(other) => Err(unexpected(&other)),
        Err(trouble) => Err(trouble),
    };
    match found {
        Ok((found, provenance)) => {
            let mut rows = bench.rows;
            rows.sort_by_key(|row| (row.mode.clone(), row.round));
            Ok(Taken { found, provenance, rows, noise })
        }
        Err(trouble) => Err(reason(bench.worker, trouble)),
    }
}

fn row(spec: &ThroughputSpec, pass: Pass, round: TimedRound) -> TimingRow {
    TimingRow {
        mode: pass.mode.name().to_owned(),
        length: spec.length as u64,
        batch: spec.batch as u64,
        threads: threads_of(spec.threads),
        round: pass.round,
        ns: round.ns,
        checksum: round.checksum,
        err: round.err,
        visit: None,
        pace_ns: Some(round.pace_ns),
    }
}

/// All passes of these rounds: round by round, within a round every (model, mode) once, in an order drawn anew for each.
fn order(specs: &[&ThroughputSpec], rounds: Range<u32>) -> Vec<Pass> {
    let length = specs.first().map_or(0, |spec| spec.length as u64);
    let mut passes = Vec::new();
    for round in rounds {
        let each = specs.iter().enumerate();
        let mut own: Vec<Pass> = each
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
        let passes = order(&[&spec, &spec], 0..5);
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
        assert_eq!(passes, order(&[&spec, &spec], 0..5));
        // A later visit goes on where the one before it stopped.
        assert_eq!(passes[12..], order(&[&spec, &spec], 2..5));
    }
}
