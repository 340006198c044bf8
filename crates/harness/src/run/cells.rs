//! The harness's own work: its cells and benches behind the worker's trait.

use super::protocol::{Findings, Job, Progress, TimedRound};
use super::worker::{Timed, Work};
use crate::cell::run_cell;
use crate::spec::{CellSpec, Mode};
use crate::throughput::Bench;
use seqbench_core::{Error, Registry};
use seqbench_record::Purpose;

/// Runs cells of any architecture and task of a registry.
pub struct Cells<'a> {
    registry: &'a Registry,
}

impl<'a> Cells<'a> {
    /// Over this registry.
    pub fn new(registry: &'a Registry) -> Self {
        Cells { registry }
    }
}

impl Work for Cells<'_> {
    fn run(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Findings, String> {
        let trial = job.purpose == Purpose::Trial;
        let mut told = |step, steps, note| progress(Progress { step, steps, note });
        run_cell(&job.spec, job.rate, trial, self.registry, &mut told).map_err(text)
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
