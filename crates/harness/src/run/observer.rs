//! What a run tells whoever watches: a progress bar, a log, a test.

use super::select::ValidationScore;
use crate::plan::{Cell, Group};
use seqbench_record::{CellFiles, Status};
use std::time::Duration;

/// Something that has happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The plan has been compared with the store.
    Planned {
        /// Cells that will run, or be skipped.
        missing: usize,
        /// Cells that stand already.
        reused: usize,
    },
    /// A cell has been given to a worker.
    Started {
        /// The cell.
        cell: &'a Cell,
        /// The rate, where a selection found it.
        rate: Option<f64>,
    },
    /// A running cell has moved on.
    Progress {
        /// The cell.
        cell: &'a Cell,
        /// Steps taken.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// A few words on how it goes.
        note: &'a str,
    },
    /// A cell has been written.
    Finished {
        /// The cell.
        cell: &'a Cell,
        /// What was written.
        files: &'a CellFiles,
        /// The same in one line.
        line: String,
    },
    /// A group's trials are in.
    Selected {
        /// The group.
        group: &'a Group,
        /// What its finals run with.
        rate: f64,
        /// What was compared.
        scores: &'a [ValidationScore],
    },
    /// A round of a timing group has been taken.
    Round {
        /// The group.
        group: &'a Group,
        /// Passes taken.
        done: usize,
        /// Passes in all.
        total: usize,
    },
}

/// Watches a run. `left` is the time it will still take, about, once anything can be said of it.
pub trait Observer {
    /// Something has happened.
    fn event(&mut self, event: &Event<'_>, left: Option<Duration>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event<'_>, _: Option<Duration>) {}
}

/// A cell in one line: what it is, how it ended, its first score.
pub(super) fn line(files: &CellFiles) -> String {
    let (cell, labels) = (&files.cell, &files.cell.labels);
    let mut words = vec![labels.model.clone()];
    if !labels.task.is_empty() {
        words.push(labels.task.clone());
    }
    for own in &labels.coordinates {
        let key = own.key.rsplit('.').next().unwrap_or(&own.key);
        let value = own.value.as_str().map_or_else(|| own.value.to_string(), str::to_owned);
        words.push(format!("{key}={value}"));
    }
    words.push(format!("{} seed={}", super::filter::purpose(cell.purpose), labels.seed));
    let status = match cell.status {
        Status::Done => "done",
        Status::Diverged => "diverged",
        Status::Failed => "FAILED",
        Status::Skipped => "skipped",
    };
    let mut line = format!("{}: {status}", words.join(" "));
    if let Some(reason) = &cell.reason {
        line.push_str(&format!(" ({reason})"));
    }
    let primary = cell.facts.get("primary_length").map(|length| *length as u64);
    let wanted = |split: &str| {
        let mut rows = files.scores.iter();
        rows.find(|row| {
            let here = primary.is_none_or(|length| row.length == length);
            here && row.split == split && row.metric == "accuracy" && row.lag.is_none()
        })
    };
    if let Some(row) = wanted("test").or_else(|| wanted("validation")) {
        line.push_str(&format!(", {} accuracy {:.3}", row.split, row.value));
    }
    if cell.provenance.wall_seconds > 0.0 {
        line.push_str(&format!(", {:.1} s", cell.provenance.wall_seconds));
    }
    line
}
