//! The harness's own work: its cells and benches behind the worker's trait.

use super::protocol::{Findings, Job, Progress, TimedRound, UnfinishedAt};
use super::worker::{Timed, Work};
use crate::cell::{run_cell, run_kept_cell};
use crate::keep::Keeper;
use crate::spec::{CellSpec, Mode};
use crate::throughput::Bench;
use seqbench_core::{Error, Registry};
use seqbench_kernels::memory;
use seqbench_record::{Purpose, RealDisk};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Runs cells of any architecture and task of a registry.
pub struct Cells<'a> {
    registry: &'a Registry,
    stop: Arc<AtomicBool>,
}

impl<'a> Cells<'a> {
    /// Over this registry.
    pub fn new(registry: &'a Registry) -> Self {
        Self::until(registry, Arc::default())
    }

    /// The same; once `stop` is set, a cell that is kept while unfinished stops after its step.
    pub fn until(registry: &'a Registry, stop: Arc<AtomicBool>) -> Self {
        Cells { registry, stop }
    }
}

/// Bytes that a process that trains may keep beyond what it used: its memory is not what is measured.
const SPARE: usize = 256 << 20;

impl Work for Cells<'_> {
    fn run(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Option<Findings>, String> {
        memory::allow(SPARE);
        let trial = job.purpose == Purpose::Trial;
        let mut told = |step, steps, note| progress(Progress { step, steps, note });
        let Some(UnfinishedAt { path, seconds }) = &job.unfinished else {
            return run_cell(&job.spec, job.rate, trial, self.registry, &mut told).map(Some).map_err(text);
        };
        let every = Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX);
        let mut keeper = Keeper::new(Arc::new(RealDisk), path.clone(), every, Arc::clone(&self.stop));
        let run = format!("{} {:?}", job.id, job.rate.map(f64::to_bits));
        run_kept_cell(&job.spec, job.rate, trial, self.registry, &run, &mut keeper, &mut told).map_err(text)
    }

    fn prepare(&self, spec: &CellSpec, rounds: u32) -> Result<Box<dyn Timed + '_>, String> {
        let mut spec = spec.clone();
        spec.measure.throughput.iter_mut().for_each(|own| own.rounds = rounds);
        Ok(Box::new(Bench::prepare(&spec, self.registry).map_err(text)?))
    }

    fn isa(&self) -> String {
        seqbench_kernels::isa::active().name().to_owned()
    }
}

impl Timed for Bench {
    fn round(&mut self, mode: Mode) -> Result<TimedRound, String> {
        Bench::round(self, mode).map_err(text)
    }

    fn finish(self: Box<Self>) -> Result<Findings, String> {
        let (facts, memory) = Bench::finish(*self);
        Ok(Findings { facts, memory, ..Findings::default() })
    }
}

fn text(error: Error) -> String {
    error.to_string()
}
