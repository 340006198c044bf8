//! Runs a plan over a store: what is missing, in child processes, trials before the finals they decide, timing cells
//! alone on the machine at the end.
//!
//! Only the parent writes, and the store keeps cells whole, so a run may be killed at any moment and the same command
//! goes on where it stopped. No result depends on the number of jobs.

mod cells;
mod estimate;
mod filter;
pub mod launcher;
mod noise;
mod observer;
mod pool;
pub mod protocol;
mod select;
mod timing;
mod visits;
pub mod worker;
mod write;

pub use cells::Cells;
pub use filter::Filter;
pub use launcher::{Launcher, ProcessLauncher, Worker, environment};
pub use observer::{Event, Observer, Silent};
pub use protocol::{Encoded, Findings, Job, Progress, TimedRound, UnfinishedAt};
pub use select::{ValidationScore, best};
pub use worker::{Timed, Work, end_with_parent, serve};

use crate::clock::Clock;
use crate::machine::Machine;
use crate::plan::{Cell, Experiment, Group, GroupKind};
use estimate::Estimate;
use seqbench_record::{Claim, Result, Status, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cells at once; timing cells always run alone.
    pub jobs: usize,
    /// Cells must pass all of these. A selection's trials run where any of its finals does.
    pub only: Vec<Filter>,
    /// Runs everything again, whatever stands.
    pub fresh: bool,
    /// Runs failed cells again.
    pub retry_failed: bool,
    /// Runs what another process has claimed as well.
    pub steal: bool,
    /// Seconds between two checkpoints of an unfinished cell.
    pub checkpoint_seconds: f64,
    /// Claims that the experiment decides, name and hash, for the cells to record.
    pub claims: BTreeMap<String, String>,
    /// Once set, by a signal say, cells under way are kept as far as they came, and the run ends.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            jobs: 1,
            only: Vec::new(),
            fresh: false,
            retry_failed: false,
            steal: false,
            checkpoint_seconds: 60.0,
            claims: BTreeMap::new(),
            stop: Arc::default(),
        }
    }
}

/// How the cells of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Ran to their end.
    pub done: usize,
    /// Diverged.
    pub diverged: usize,
    /// Failed, in this run or in an earlier one that was not retried.
    pub failed: usize,
    /// Predicted above the stated cost.
    pub skipped: usize,
    /// Stood already.
    pub reused: usize,
    /// Missing, and being run by another process on the same folder.
    pub elsewhere: usize,
    /// Whether the run was told to stop before its end.
    pub stopped: bool,
}

impl Outcome {
    fn count(&mut self, status: Status) {
        match status {
            Status::Done => self.done += 1,
            Status::Diverged => self.diverged += 1,
            Status::Failed => self.failed += 1,
            Status::Skipped => self.skipped += 1,
        }
    }
}

/// What stands between a cell and its running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is to run.
    Missing,
    /// It stands in the store.
    Stands(Status),
    /// It is predicted above the stated cost.
    TooLong,
}

/// What all parts of a run share.
struct Run<'a> {
    experiment: &'a Experiment,
    store: &'a Store,
    options: &'a Options,
    launcher: &'a dyn Launcher,
    machine: &'a dyn Machine,
    observer: &'a mut dyn Observer,
    estimate: Estimate<'a>,
    outcome: Outcome,
    standing: BTreeMap<&'a str, Standing>,
}

/// Runs what is missing of an experiment.
///
/// # Errors
/// The disk refuses. Anything that goes wrong inside a cell is a row, not an error.
pub fn execute(
    experiment: &Experiment,
    store: &Store,
    launcher: &dyn Launcher,
    options: &Options,
    clock: &dyn Clock,
    machine: &dyn Machine,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let wanted = |cell: &Cell| options.only.iter().all(|filter| filter.lets(cell));
    let mut standing = BTreeMap::new();
    for group in &experiment.groups {
        let finals: Vec<&Cell> = group.finals.iter().filter(|cell| wanted(cell)).collect();
        let mut missing = false;
        for cell in finals.iter().copied() {
            let own = stands(store, options, cell)?;
            missing |= own == Standing::Missing;
            standing.insert(cell.id.as_str(), own);
        }
        // Trials decide finals; without a final to run they would decide nothing.
        for cell in group.trials.iter().filter(|_| !finals.is_empty()) {
            let own = stands(store, options, cell)?;
            if missing || own != Standing::Missing {
                standing.insert(cell.id.as_str(), own);
            }
        }
    }
    store.sweep_temporaries()?;
    store.write_experiment(&experiment.text)?;
    let missing =
        experiment.cells().filter(|cell| standing.get(cell.id.as_str()) == Some(&Standing::Missing));
    let estimate = Estimate::new(clock, missing.map(|cell| cell.predicted_seconds));
    let mut run = Run {
        experiment,
        store,
        options,
        launcher,
        machine,
        observer,
        estimate,
        outcome: Outcome::default(),
        standing,
    };
    let (mut missing, mut reused) = (0, 0);
    for own in run.standing.values() {
        match own {
            Standing::Stands(Status::Failed) => run.outcome.failed += 1,
            Standing::Stands(_) => reused += 1,
            Standing::Missing | Standing::TooLong => missing += 1,
        }
    }
    run.outcome.reused = reused;
    run.tell(&Event::Planned { missing, reused });
    for cell in experiment.cells() {
        if run.standing.get(cell.id.as_str()) == Some(&Standing::TooLong) {
            run.end_without(cell, Status::Skipped, cell.beyond.as_deref().unwrap_or_default())?;
        }
    }
    pool::run(&mut run, options.jobs.max(1))?;
    timing::run(&mut run, experiment.groups.iter().filter(|group| group.kind == GroupKind::Timing))?;
    run.outcome.stopped = run.stops();
    Ok(run.outcome)
}

/// Compares a cell with the store. A damaged cell counts as missing.
fn stands(store: &Store, options: &Options, cell: &Cell) -> Result<Standing> {
    let too_long = cell.beyond.is_some();
    let missing = if too_long { Standing::TooLong } else { Standing::Missing };
    if options.fresh {
        return Ok(missing);
    }
    match store.status(&cell.id) {
        Ok(None) => Ok(missing),
        Ok(Some(Status::Failed)) if options.retry_failed => Ok(missing),
        // The limit may have been raised since.
        Ok(Some(Status::Skipped)) if !too_long => Ok(Standing::Missing),
        Ok(Some(status)) => Ok(Standing::Stands(status)),
        Err(error) if error.is_damage() => Ok(missing),
        Err(error) => Err(error),
    }
}

impl<'a> Run<'a> {
    /// Whether a final cell of the group is to run.
    fn misses(&self, group: &Group) -> bool {
        group.finals.iter().any(|cell| self.standing.get(cell.id.as_str()) == Some(&Standing::Missing))
    }

    /// Whether the run has been told to stop.
    fn stops(&self) -> bool {
        self.options.stop.load(Ordering::SeqCst)
    }

    /// Claims a group for this process and looks again at what another has done of it meanwhile; nothing where another
    /// process has it.
    fn claim(&mut self, group: &'a Group) -> Result<Option<Claim>> {
        let claim = match self.store.claim(&group.id)? {
            Some(claim) => claim,
            None if self.options.steal => self.store.steal(&group.id),
            None => return Ok(None),
        };
        for cell in group.trials.iter().chain(&group.finals) {
            // What is to run afresh stands all the while.
            if self.options.fresh || self.standing.get(cell.id.as_str()) != Some(&Standing::Missing) {
                continue;
            }
            let now = stands(self.store, self.options, cell)?;
            match now {
                Standing::Stands(Status::Failed) => self.outcome.failed += 1,
                Standing::Stands(_) => self.outcome.reused += 1,
                Standing::Missing | Standing::TooLong => continue,
            }
            self.standing.insert(cell.id.as_str(), now);
        }
        self.regroup(group)?;
        Ok(Some(claim))
    }

    /// Takes trials that an earlier version of the plan has run into this one's group, by which tables count them.
    fn regroup(&self, group: &Group) -> Result<()> {
        for cell in &group.trials {
            if !matches!(self.standing.get(cell.id.as_str()), Some(Standing::Stands(_))) {
                continue;
            }
            if let Some(mut files) = self.store.read(&cell.id)?.filter(|files| files.cell.group != cell.group)
            {
                files.cell.group.clone_from(&cell.group);
                self.store.write(&files)?;
            }
        }
        Ok(())
    }

    /// Leaves what is missing of a group to the process that has claimed it.
    fn leave(&mut self, group: &Group) {
        let missing = group
            .finals
            .iter()
            .filter(|cell| self.standing.get(cell.id.as_str()) == Some(&Standing::Missing));
        self.outcome.elsewhere += missing.count();
    }

    fn tell(&mut self, event: &Event<'_>) {
        let left = self.estimate.left();
        self.observer.event(event, left);
    }
}
