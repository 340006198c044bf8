//! Trials and finals: a pool of workers over one queue, the longest predicted first.

use super::observer::Event;
use super::protocol::{Findings, Job, Progress, Reply, Request};
use super::select::{ValidationScore, best};
use super::{Launcher, Run, Standing, Worker};
use crate::plan::{Cell, Group, GroupKind};
use crate::spec::Rate;
use seqbench_record::{CellFiles, Provenance, Result, Status};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};

/// A cell on its way, and the group that waits for it.
struct Ticket<'a> {
    cell: &'a Cell,
    group: usize,
    rate: Option<f64>,
}

/// A group on its way.
struct Progressing<'a> {
    group: &'a Group,
    /// Trials under way.
    open: usize,
    scores: Vec<ValidationScore>,
    /// Why its trials decide nothing.
    obstacle: Option<(Status, String)>,
}

enum Message {
    Started(usize),
    Progress(usize, Progress),
    Ended(usize, Box<Ended>),
}

type Ended = std::result::Result<(Findings, Provenance), String>;

/// Runs all training groups.
pub(super) fn run<'a>(run: &mut Run<'a>, jobs: usize) -> Result<()> {
    let queue = Queue::default();
    let (sender, receiver) = channel();
    let launcher = run.launcher;
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || work(queue, launcher, &sender));
        }
        drop(sender);
        let result =
            Dispatch { run, queue: &queue, tickets: Vec::new(), groups: Vec::new(), open: 0 }.all(&receiver);
        // Also where the disk has refused: the workers finish what they hold, and take no more.
        queue.close();
        result
    })
}

struct Dispatch<'r, 'a> {
    run: &'r mut Run<'a>,
    queue: &'r Queue,
    tickets: Vec<Ticket<'a>>,
    groups: Vec<Progressing<'a>>,
    /// Tickets that have not ended.
    open: usize,
}

impl<'a> Dispatch<'_, 'a> {
    fn all(&mut self, receiver: &Receiver<Message>) -> Result<()> {
        let experiment = self.run.experiment;
        for group in experiment.groups.iter().filter(|group| group.kind == GroupKind::Training) {
            self.begin(group)?;
        }
        while self.open > 0 {
            let Ok(message) = receiver.recv() else { break };
            match message {
                Message::Started(index) => {
                    let Ticket { cell, rate, .. } = self.tickets[index];
                    self.run.tell(&Event::Started { cell, rate });
                }
                Message::Progress(index, Progress { step, steps, note }) => {
                    let cell = self.tickets[index].cell;
                    self.run.tell(&Event::Progress { cell, step, steps, note: &note });
                }
                Message::Ended(index, ended) => self.end(index, *ended)?,
            }
        }
        Ok(())
    }

    /// Sends a group's trials, or where it has none its finals, on their way.
    fn begin(&mut self, group: &'a Group) -> Result<()> {
        let missing =
            |run: &Run<'_>, cell: &Cell| run.standing.get(cell.id.as_str()) == Some(&Standing::Missing);
        if !group.finals.iter().any(|cell| missing(self.run, cell)) {
            return Ok(());
        }
        let at = self.groups.len();
        self.groups.push(Progressing { group, open: 0, scores: Vec::new(), obstacle: None });
        for cell in &group.trials {
            if missing(self.run, cell) {
                self.groups[at].open += 1;
                self.push(Ticket { cell, group: at, rate: None });
            } else {
                match self.run.store.read(&cell.id)? {
                    Some(files) => self.hear(at, cell, &files),
                    None => {
                        self.groups[at].obstacle = Some((Status::Failed, "a trial is missing".to_owned()))
                    }
                }
            }
        }
        self.settle(at)
    }

    fn push(&mut self, ticket: Ticket<'a>) {
        let seconds = ticket.cell.predicted_seconds.unwrap_or(1.0);
        let job = Job::of(ticket.cell, ticket.rate);
        self.queue.push(Item { seconds, index: self.tickets.len(), job });
        self.tickets.push(ticket);
        self.open += 1;
    }

    fn end(&mut self, index: usize, ended: Ended) -> Result<()> {
        let Ticket { cell, group, rate } = self.tickets[index];
        self.open -= 1;
        let files = match ended {
            Ok((found, provenance)) => self.run.end(cell, rate, found, provenance, Vec::new())?,
            Err(reason) => {
                self.run.end_without(cell, Status::Failed, &reason)?;
                if self.groups[group].open > 0 {
                    self.groups[group].open -= 1;
                    let obstacle = format!("a trial of its selection failed: {reason}");
                    self.groups[group].obstacle = Some((Status::Failed, obstacle));
                    return self.settle(group);
                }
                return Ok(());
            }
        };
        if self.groups[group].open > 0 {
            self.groups[group].open -= 1;
            self.hear(group, cell, &files);
            return self.settle(group);
        }
        Ok(())
    }

    /// Takes a trial's validation score.
    fn hear(&mut self, group: usize, cell: &Cell, files: &CellFiles) {
        let Rate::Fixed(rate) = cell.spec.train.lr else { return };
        let group = &mut self.groups[group];
        match files.cell.status {
            Status::Done | Status::Diverged => group.scores.push(ValidationScore::of(rate, files)),
            status => {
                let reason = files.cell.reason.clone().unwrap_or_default();
                let word = if status == Status::Skipped { "was skipped" } else { "failed" };
                group.obstacle = Some((status, format!("a trial of its selection {word}: {reason}")));
            }
        }
    }

    /// Sends a group's finals on their way once no trial is under way.
    fn settle(&mut self, at: usize) -> Result<()> {
        if self.groups[at].open > 0 {
            return Ok(());
        }
        let group = self.groups[at].group;
        let missing: Vec<&'a Cell> = group
            .finals
            .iter()
            .filter(|cell| self.run.standing.get(cell.id.as_str()) == Some(&Standing::Missing))
            .collect();
        if let Some((status, reason)) = self.groups[at].obstacle.take() {
            for cell in missing {
                self.run.end_without(cell, status, &reason)?;
            }
            return Ok(());
        }
        let rate = best(&self.groups[at].scores);
        if let Some(rate) = rate {
            self.run.tell(&Event::Selected { group, rate, scores: &self.groups[at].scores });
        }
        for cell in missing {
            self.push(Ticket { cell, group: at, rate });
        }
        Ok(())
    }
}

/// One thread of the pool: a worker, and another when it dies.
fn work(queue: &Queue, launcher: &dyn Launcher, sender: &Sender<Message>) {
    let mut worker = None;
    while let Some(Item { index, job, .. }) = queue.next() {
        let mut progress = |progress| sender.send(Message::Progress(index, progress)).is_ok();
        if sender.send(Message::Started(index)).is_err() {
            return;
        }
        let ended = one(&mut worker, launcher, job, &mut progress);
        if sender.send(Message::Ended(index, Box::new(ended))).is_err() {
            return;
        }
    }
}

/// Runs a job on the worker, which is started where there is none.
fn one(
    slot: &mut Option<Worker>,
    launcher: &dyn Launcher,
    job: Job,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Ended {
    let start = || launcher.launch(1).map_err(|error| format!("no worker could be started: {error}"));
    let mut worker = match slot.take() {
        Some(worker) => worker,
        None => start()?,
    };
    let request = Request::Run(job);
    if worker.send(&request).is_err() {
        // It died between two cells, which is no fault of this one.
        worker = start()?;
        if let Err(error) = worker.send(&request) {
            return Err(worker.last_words(&error));
        }
    }
    loop {
        match worker.receive() {
            Ok(Reply::Progress(update)) => {
                progress(update);
            }
            Ok(Reply::Done(encoded)) => {
                *slot = Some(worker);
                return encoded.decode();
            }
            Ok(Reply::Failed(reason)) => {
                *slot = Some(worker);
                return Err(reason);
            }
            Ok(other) => return Err(format!("the worker answered a run with {other:?}")),
            Err(error) => return Err(worker.last_words(&error)),
        }
    }
}

/// Jobs, the longest predicted first.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    items: BinaryHeap<Item>,
    closed: bool,
}

struct Item {
    seconds: f64,
    index: usize,
    job: Job,
}

impl Queue {
    fn push(&self, item: Item) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).items.push(item);
        self.changed.notify_one();
    }

    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.items.clear();
        self.changed.notify_all();
    }

    /// The next job; waits for one. Nothing once closed.
    fn next(&self) -> Option<Item> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(item) = state.items.pop() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.seconds.total_cmp(&other.seconds).then_with(|| other.index.cmp(&self.index))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}
