//! From what a worker found to a cell in the store.

use super::observer::{self, Event};
use super::protocol::Findings;
use super::{Run, Standing};
use crate::plan::{Cell, NUMERICS_VERSION};
use seqbench_record::{
    Cell as Record, CellFiles, Error, Provenance, Result, SCHEMA_VERSION, Status, TimingRow, provenance,
};

impl<'a> Run<'a> {
    /// Writes a cell that has ended, and tells of it. What the store cannot hold becomes a failure in its place.
    pub(super) fn end(
        &mut self,
        cell: &'a Cell,
        rate: Option<f64>,
        found: Findings,
        provenance: Provenance,
        timings: Vec<TimingRow>,
    ) -> Result<CellFiles> {
        let mut files = self.files(cell, rate, found, provenance, timings);
        if let Err(error) = self.store.write(&files) {
            let Error::Unwritable { what, .. } = error else { return Err(error) };
            let provenance = files.cell.provenance.clone();
            files = self.files(cell, rate, failure(what), provenance, Vec::new());
            self.store.write(&files)?;
        }
        self.store.forget_unfinished(&cell.id);
        self.outcome.count(files.cell.status);
        if self.standing.insert(&cell.id, Standing::Stands(files.cell.status)) == Some(Standing::Missing) {
            self.estimate.end(cell.predicted_seconds);
        }
        let line = observer::line(&files);
        self.tell(&Event::Finished { cell, files: &files, line });
        Ok(files)
    }

    /// Writes a cell that no worker has ended: one that failed or is skipped.
    pub(super) fn end_without(&mut self, cell: &'a Cell, status: Status, reason: &str) -> Result<()> {
        let isa = seqbench_kernels::isa::active().name();
        let threads = cell.spec.measure.throughput.as_ref().map_or(1, |throughput| throughput.threads);
        let found = Findings { status, ..failure(reason.to_owned()) };
        self.end(cell, None, found, provenance(isa, threads, 0.0), Vec::new()).map(drop)
    }

    fn files(
        &self,
        cell: &Cell,
        rate: Option<f64>,
        found: Findings,
        provenance: Provenance,
        timings: Vec<TimingRow>,
    ) -> CellFiles {
        let mut facts = found.facts;
        if let Some(rate) = rate {
            facts.entry("learning_rate".to_owned()).or_insert(rate);
        }
        let record = Record {
            schema: SCHEMA_VERSION,
            numerics: NUMERICS_VERSION,
            id: cell.id.clone(),
            group: cell.group.clone(),
            experiment: self.experiment.name.clone(),
            purpose: cell.purpose,
            status: found.status,
            reason: found.reason,
            labels: cell.labels.clone(),
            config: serde_json::to_value(&cell.spec).unwrap_or_default(),
            facts,
            references: found.references,
            provenance: Provenance { claims: self.options.claims.clone(), ..provenance },
        };
        CellFiles {
            cell: record,
            scores: found.scores,
            curves: found.curves,
            profiles: found.profiles,
            spectra: found.spectra,
            traces: found.traces,
            timings,
            memory: found.memory,
            conditions: found.conditions,
        }
    }
}

fn failure(reason: String) -> Findings {
    Findings { status: Status::Failed, reason: Some(reason), ..Findings::default() }
}
