//! Trials and finals: a pool of workers over one queue, the longest predicted first.

use super::observer::Event;
use super::protocol::{Findings, Job, Progress, Reply, Request, UnfinishedAt};
use super::select::{ValidationScore, best};
use super::{Launcher, Run, Standing, Worker};
use crate::plan::{Cell, Group, GroupKind};
use crate::spec::Rate;
use seqbench_record::{CellFiles, Claim, Provenance, Result, Status};
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// Tickets that have not ended; the claim goes with the last.
    left: usize,
    claim: Option<Claim>,
    scores: Vec<ValidationScore>,
    /// Why its trials decide nothing.
    obstacle: Option<(Status, String)>,
}

enum Message {
    Started(usize),
    Progress(usize, Progress),
    Ended(usize, Box<Ended>),
}

/// What a cell found; nothing where it was stopped.
type Ended = std::result::Result<Option<(Findings, Provenance)>, String>;

/// How often the dispatcher looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// How long cells may take to be kept before their processes are ended: their last checkpoints stand.
const PATIENCE: Duration = Duration::from_millis(3500);

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
        let mut dispatch = Dispatch {
            run,
            queue: &queue,
            tickets: Vec::new(),
            groups: Vec::new(),
            open: 0,
            waiting: Vec::new(),
            elsewhere: Vec::new(),
            stopping: None,
        };
        let result = dispatch.all(&receiver, jobs);
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
    /// Groups with something missing that have not begun, the longest last.
    waiting: Vec<&'a Group>,
    /// Groups that another process has claimed.
    elsewhere: Vec<&'a Group>,
    /// Since when it stops.
    stopping: Option<Instant>,
}

impl<'a> Dispatch<'_, 'a> {
    fn all(&mut self, receiver: &Receiver<Message>, jobs: usize) -> Result<()> {
        let experiment = self.run.experiment;
        let groups = experiment.groups.iter().filter(|group| group.kind == GroupKind::Training);
        self.waiting = groups.filter(|group| self.run.misses(group)).collect();
        // Stable, so that of equals the first written comes first.
        self.waiting.reverse();
        self.waiting.sort_by(|a, b| longest(a).total_cmp(&longest(b)));
        loop {
            self.look_whether_to_stop();
            while self.open < jobs
                && let Some(group) = self.waiting.pop()
            {
                self.begin(group)?;
            }
            if self.open == 0 && !self.take_over()? {
                break;
            }
            let message = match receiver.recv_timeout(POLL) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
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
        for group in std::mem::take(&mut self.elsewhere) {
            self.run.leave(group);
        }
        Ok(())
    }

    /// Takes nothing more once the run is told to stop, and has the cells under way kept.
    fn look_whether_to_stop(&mut self) {
        if !self.run.stops() {
            return;
        }
        let since = *self.stopping.get_or_insert_with(Instant::now);
        self.waiting.clear();
        self.elsewhere.clear();
        self.open -= self.queue.close();
        self.queue.tell_workers(since.elapsed() > PATIENCE);
    }

    /// Looks again at what others have claimed: they may be done by now, or dead. Whether there is something to do.
    fn take_over(&mut self) -> Result<bool> {
        for group in std::mem::take(&mut self.elsewhere) {
            self.begin(group)?;
        }
        Ok(self.open > 0)
    }

    /// Claims a group and sends its trials, or where it has none its finals, on their way.
    fn begin(&mut self, group: &'a Group) -> Result<()> {
        let missing =
            |run: &Run<'_>, cell: &Cell| run.standing.get(cell.id.as_str()) == Some(&Standing::Missing);
        let Some(claim) = self.run.claim(group)? else {
            self.elsewhere.push(group);
            return Ok(());
        };
        if !self.run.misses(group) {
            return Ok(());
        }
        let at = self.groups.len();
        self.groups.push(Progressing {
            group,
            open: 0,
            left: 0,
            claim: Some(claim),
            scores: Vec::new(),
            obstacle: None,
        });
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
        if self.run.stops() {
            return;
        }
        let seconds = ticket.cell.predicted_seconds.unwrap_or(1.0);
        let (store, options) = (self.run.store, self.run.options);
        if options.fresh {
            store.forget_unfinished(&ticket.cell.id);
        }
        let path = store.unfinished_path(&ticket.cell.id);
        let unfinished = Some(UnfinishedAt { path, seconds: options.checkpoint_seconds });
        let job = Job { unfinished, ..Job::of(ticket.cell, ticket.rate) };
        self.groups[ticket.group].left += 1;
        self.queue.push(Item { seconds, index: self.tickets.len(), job });
        self.tickets.push(ticket);
        self.open += 1;
    }

    fn end(&mut self, index: usize, ended: Ended) -> Result<()> {
        let group = self.tickets[index].group;
        self.open -= 1;
        self.groups[group].left -= 1;
        self.file(index, ended)?;
        // What follows in the group has been sent on its way by now.
        if self.groups[group].left == 0 {
            self.groups[group].claim = None;
        }
        Ok(())
    }

    /// Writes what has ended, and sends what waited for it on its way.
    fn file(&mut self, index: usize, ended: Ended) -> Result<()> {
        let Ticket { cell, group, rate } = self.tickets[index];
        let files = match ended {
            Ok(None) => {
                // Somebody has stopped the worker alone; the run goes with it.
                self.run.options.stop.store(true, SeqCst);
                return Ok(());
            }
            // Its process was ended, and its last checkpoint stands.
            Err(_) if self.stopping.is_some() => return Ok(()),
            Ok(Some((found, provenance))) => self.run.end(cell, rate, found, provenance, Vec::new())?,
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

/// Seconds of the longest cell of a group, as predicted.
fn longest(group: &Group) -> f64 {
    let cells = group.trials.iter().chain(&group.finals);
    cells.map(|cell| cell.predicted_seconds.unwrap_or(1.0)).fold(0.0, f64::max)
}

/// One thread of the pool: a worker, and another when it dies.
fn work(queue: &Queue, launcher: &dyn Launcher, sender: &Sender<Message>) {
    let mut worker = None;
    while let Some(Item { index, job, .. }) = queue.next() {
        let mut progress = |progress| sender.send(Message::Progress(index, progress)).is_ok();
        if sender.send(Message::Started(index)).is_err() {
            return;
        }
        let ended = one(&mut worker, launcher, job, queue, &mut progress);
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
    queue: &Queue,
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
    let _busy = Busy::new(queue, worker.process());
    loop {
        match worker.receive() {
            Ok(Reply::Progress(update)) => {
                progress(update);
            }
            Ok(Reply::Done(encoded)) => {
                *slot = Some(worker);
                return encoded.decode().map(Some);
            }
            Ok(Reply::Stopped) => return Ok(None),
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
    /// Processes with a cell under way.
    busy: Mutex<BTreeSet<u32>>,
}

/// A process while it has a cell under way.
struct Busy<'q> {
    queue: &'q Queue,
    process: Option<u32>,
}

impl<'q> Busy<'q> {
    fn new(queue: &'q Queue, process: Option<u32>) -> Self {
        queue.busy.lock().unwrap_or_else(PoisonError::into_inner).extend(process);
        Busy { queue, process }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            self.queue.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(process);
        }
    }
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

    /// Gives out nothing more; returns how many jobs nobody has taken.
    fn close(&self) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        let left = state.items.len();
        state.items.clear();
        self.changed.notify_all();
        left
    }

    /// Asks every process with a cell under way to keep it and stop, or ends it.
    fn tell_workers(&self, end: bool) {
        for process in self.busy.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            #[cfg(unix)]
            if let Some(process) = i32::try_from(*process).ok().and_then(rustix::process::Pid::from_raw) {
                let signal = if end { rustix::process::Signal::KILL } else { rustix::process::Signal::TERM };
                // One that has ended meanwhile needs no telling.
                let _ = rustix::process::kill_process(process, signal);
            }
            #[cfg(not(unix))]
            let _ = (process, end);
        }
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
