//! What stands of an experiment, and what a run would do about the rest: decided as the runner decides it, then counted
//! and turned into the time it will take. Reads only.

use crate::progress::span;
use anyhow::Context;
use seqbench_harness::plan::{Cell, Experiment};
use seqbench_harness::run::Filter;
use seqbench_record::{CellFiles, Purpose, Status, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It ran to its end.
    Done,
    /// Its loss stopped being finite.
    Diverged,
    /// It could not be run.
    Failed,
    /// It was predicted above the stated cost.
    Skipped,
    /// It is not there.
    Missing,
    /// Its files are not what was written.
    Damaged,
    /// A trial that is not there, whose finals all stand.
    Unneeded,
}

impl State {
    pub(crate) const ALL: [State; 7] = [
        State::Done,
        State::Diverged,
        State::Failed,
        State::Skipped,
        State::Missing,
        State::Damaged,
        State::Unneeded,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Diverged => "diverged",
            State::Failed => "failed",
            State::Skipped => "skipped",
            State::Missing => "missing",
            State::Damaged => "damaged",
            State::Unneeded => "unneeded",
        }
    }

    /// Whether a result is wanted that is not there.
    pub(crate) fn is_wanting(self) -> bool {
        matches!(self, State::Failed | State::Missing | State::Damaged)
    }
}

/// The word for a purpose.
pub(crate) fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Trial => "trial",
        Purpose::Final => "final",
        Purpose::Timing => "timing",
    }
}

/// What a run would do with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays as it is.
    Stays,
    /// It runs.
    Runs,
    /// It is marked as too long, and does not run.
    Skipped,
}

/// A cell of the plan.
pub(crate) struct Entry<'a> {
    pub(crate) cell: &'a Cell,
    pub(crate) state: State,
    pub(crate) fate: Fate,
    /// Place of its group in the plan.
    group: usize,
    /// Seconds it took, where it ran.
    wall_seconds: f64,
}

/// What is asked of a run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    pub(crate) only: &'a [Filter],
    pub(crate) fresh: bool,
    pub(crate) retry_failed: bool,
}

/// An experiment beside its folder.
pub(crate) struct Survey<'a> {
    /// Cells that a run would look at, in the order of the plan.
    pub(crate) entries: Vec<Entry<'a>>,
    /// Identities in the folder that are none of the plan's.
    pub(crate) stale: Vec<String>,
    /// Identities of cells that do not stand and have a checkpoint, from which a run goes on.
    pub(crate) unfinished: Vec<String>,
    /// What is wrong with files that do not read, each once, of however many cells they are.
    pub(crate) damage: BTreeSet<String>,
}

/// How many cells of each purpose stand in each state.
pub(crate) type Counts = BTreeMap<Purpose, BTreeMap<State, usize>>;

impl<'a> Survey<'a> {
    /// Compares a plan with a store. Filters hold for finals; their trials come with them.
    pub(crate) fn of(experiment: &'a Experiment, store: &Store, wish: Wish<'_>) -> anyhow::Result<Self> {
        let mut damage = BTreeSet::new();
        let mut survey = Self::compare(experiment, store, wish, |cell| match store.read(&cell.id) {
            Ok(found) => Ok(of_found(found.as_ref(), cell, wish.retry_failed)),
            Err(error) if error.is_damage() => {
                damage.insert(error.to_string());
                Ok((State::Damaged, false, 0.0))
            }
            Err(error) => Err(error).context("cannot read the results"),
        })?;
        survey.damage = damage;
        Ok(survey)
    }

    /// The same of cells that have been read already; damaged ones count as missing.
    pub(crate) fn of_cells(
        experiment: &'a Experiment,
        store: &Store,
        cells: &[&CellFiles],
    ) -> anyhow::Result<Self> {
        let read: BTreeMap<&str, &CellFiles> =
            cells.iter().map(|files| (files.cell.id.as_str(), *files)).collect();
        Self::compare(experiment, store, Wish::default(), |cell| {
            Ok(of_found(read.get(cell.id.as_str()).copied(), cell, false))
        })
    }

    fn compare(
        experiment: &'a Experiment,
        store: &Store,
        wish: Wish<'_>,
        mut find: impl FnMut(&Cell) -> anyhow::Result<(State, bool, f64)>,
    ) -> anyhow::Result<Self> {
        let mut look = |cell: &'a Cell, group| -> anyhow::Result<Entry<'a>> {
            let too_long = cell.beyond.is_some();
            let (state, stands, wall_seconds) = find(cell)?;
            let fate = match (stands && !wish.fresh, too_long) {
                (true, _) => Fate::Stays,
                (false, true) => Fate::Skipped,
                (false, false) => Fate::Runs,
            };
            Ok(Entry { cell, state, fate, group, wall_seconds })
        };
        let mut entries = Vec::new();
        for (at, group) in experiment.groups.iter().enumerate() {
            let wanted = group.finals.iter().filter(|cell| wish.only.iter().all(|filter| filter.lets(cell)));
            let finals = wanted.map(|cell| look(cell, at)).collect::<anyhow::Result<Vec<_>>>()?;
            if finals.is_empty() {
                continue;
            }
            let decides = finals.iter().any(|entry| entry.fate == Fate::Runs);
            for cell in &group.trials {
                let mut entry = look(cell, at)?;
                if !decides && entry.fate == Fate::Runs {
                    entry.fate = Fate::Stays;
                    if matches!(entry.state, State::Missing | State::Damaged) {
                        entry.state = State::Unneeded;
                    }
                }
                entries.push(entry);
            }
            entries.extend(finals);
        }
        let kept =
            |entry: &&Entry<'_>| entry.state.is_wanting() && store.unfinished_path(&entry.cell.id).is_file();
        let unfinished = entries.iter().filter(kept).map(|entry| entry.cell.id.clone()).collect();
        Ok(Survey { entries, stale: stale(experiment, store)?, unfinished, damage: BTreeSet::new() })
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for entry in &self.entries {
            *counts.entry(entry.cell.purpose).or_default().entry(entry.state).or_default() += 1;
        }
        counts
    }

    pub(crate) fn number(&self, fate: Fate) -> usize {
        self.entries.iter().filter(|entry| entry.fate == fate).count()
    }

    pub(crate) fn wanting(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(|entry| entry.state.is_wanting())
    }

    /// Seconds that the cells of the plan took.
    pub(crate) fn spent(&self) -> f64 {
        self.entries.iter().map(|entry| entry.wall_seconds).sum()
    }

    /// What is to run, in time.
    pub(crate) fn forecast(&self) -> Forecast {
        let pace = Pace::of(&self.entries);
        let mut forecast = Forecast { taught_by: pace.cells, ..Forecast::default() };
        // A final waits for its group's trials, so that these two are the shortest a group takes.
        let mut longest: BTreeMap<(usize, Purpose), f64> = BTreeMap::new();
        for Entry { cell, group, .. } in self.entries.iter().filter(|entry| entry.fate == Fate::Runs) {
            let predicted = cell.predicted_seconds.unwrap_or(0.0);
            let corrected = predicted * pace.factor(cell);
            forecast.predicted += predicted;
            forecast.corrected += corrected;
            if cell.purpose == Purpose::Timing {
                forecast.alone += corrected;
            } else {
                let own = longest.entry((*group, cell.purpose)).or_default();
                *own = own.max(corrected);
            }
        }
        let mut chains: BTreeMap<usize, f64> = BTreeMap::new();
        for ((group, _), seconds) in longest {
            *chains.entry(group).or_default() += seconds;
        }
        forecast.chain = chains.into_values().fold(0.0, f64::max);
        forecast
    }
}

/// State of what was found of a cell, whether it stays where nothing else is asked, and what it took.
fn of_found(found: Option<&CellFiles>, cell: &Cell, retry_failed: bool) -> (State, bool, f64) {
    let Some(files) = found else { return (State::Missing, false, 0.0) };
    let too_long = cell.beyond.is_some();
    let seconds = files.cell.provenance.wall_seconds;
    match files.cell.status {
        Status::Done => (State::Done, true, seconds),
        Status::Diverged => (State::Diverged, true, seconds),
        Status::Failed => (State::Failed, !retry_failed, seconds),
        // The limit may have been raised since.
        Status::Skipped if !too_long => (State::Missing, false, seconds),
        Status::Skipped => (State::Skipped, true, seconds),
    }
}

/// Cells in a results folder that are none of the plan's, whole or not.
fn stale(experiment: &Experiment, store: &Store) -> anyhow::Result<Vec<String>> {
    let planned: BTreeSet<&str> = experiment.cells().map(|cell| cell.id.as_str()).collect();
    let found =
        store.ids().with_context(|| format!("cannot list the cells in {}", store.root().display()))?;
    Ok(found.into_iter().filter(|id| !planned.contains(id.as_str())).collect())
}

/// How long cells took against what was predicted.
struct Pace<'a> {
    own: BTreeMap<(&'a str, Purpose), (f64, f64)>,
    all: (f64, f64),
    cells: usize,
}

impl<'a> Pace<'a> {
    fn of(entries: &[Entry<'a>]) -> Self {
        let mut pace = Pace { own: BTreeMap::new(), all: (0.0, 0.0), cells: 0 };
        for Entry { cell, wall_seconds, .. } in entries.iter().filter(|entry| entry.state == State::Done) {
            let predicted = cell.predicted_seconds.unwrap_or(0.0);
            if predicted > 0.0 && *wall_seconds > 0.0 {
                let own = pace.own.entry((cell.labels.architecture.as_str(), cell.purpose)).or_default();
                for sums in [own, &mut pace.all] {
                    sums.0 += wall_seconds;
                    sums.1 += predicted;
                }
                pace.cells += 1;
            }
        }
        pace
    }

    /// By the same architecture and purpose, or else by everything that ran, or else by nothing.
    fn factor(&self, cell: &Cell) -> f64 {
        let own = self.own.get(&(cell.labels.architecture.as_str(), cell.purpose)).unwrap_or(&self.all);
        if own.1 > 0.0 { own.0 / own.1 } else { 1.0 }
    }
}

/// What is to run, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Forecast {
    /// Of one core, as predicted.
    pub(crate) predicted: f64,
    /// Of one core, corrected by what cells took.
    pub(crate) corrected: f64,
    /// By how many cells; none where nothing corrects it.
    pub(crate) taught_by: usize,
    /// Of `corrected`, what runs one after another: timing.
    alone: f64,
    /// The longest that a single group takes however many cores there are.
    chain: f64,
}

impl Forecast {
    /// Seconds on the clock with this many cells at once.
    pub(crate) fn with_jobs(&self, jobs: usize) -> f64 {
        let shared = (self.corrected - self.alone) / jobs.max(1) as f64;
        shared.max(self.chain) + self.alone
    }

    /// What the numbers rest on, in a few words.
    pub(crate) fn basis(&self) -> String {
        match self.taught_by {
            0 => "as predicted; nothing has run here yet that would correct it".to_owned(),
            1 => "corrected by what the cell done here took".to_owned(),
            cells => format!("corrected by what the {cells} cells done here took"),
        }
    }
}

/// A line a purpose: how many cells stand in which state.
pub(crate) fn lines(counts: &Counts) -> Vec<String> {
    let said = |(own, states): (&Purpose, &BTreeMap<State, usize>)| {
        let states: Vec<String> =
            states.iter().map(|(state, number)| format!("{number} {}", state.name())).collect();
        format!("{:8}{}", format!("{}:", purpose(*own)), states.join(", "))
    };
    counts.iter().map(said).collect()
}

/// `1 cell`, `2 cells`.
pub(crate) fn cells(number: usize) -> String {
    format!("{number} {}", if number == 1 { "cell" } else { "cells" })
}

/// Seconds as a person says them.
pub(crate) fn time(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration.as_secs() > 0 => span(duration),
        Ok(_) => "less than a second".to_owned(),
        Err(_) => "more than can be said".to_owned(),
    }
}
