//! A stand-in for the work of a worker, and a launcher whose workers are threads of this process.

#![allow(dead_code, unreachable_pub)]

use seqbench_harness::run::{Findings, Job, Launcher, Progress, Timed, TimedRound, Work, Worker, serve};
use seqbench_harness::spec::{CellSpec, Mode, Rate};
use seqbench_record::{MemoryRow, Purpose, ScoreRow, Status};
use std::io::{self, BufReader};
use std::sync::{Arc, Mutex};

/// Answers at once with what only the job decides: validation is best at 3e-3, test at 1e-2.
#[derive(Clone, Default)]
pub struct StandIn {
    pub dies_at: Option<String>,
    pub refuses: Option<String>,
    pub diverges: Option<String>,
    pub ran: Arc<Mutex<Vec<String>>>,
}

fn row(split: &str, value: f64) -> ScoreRow {
    ScoreRow { split: split.into(), length: 1, lag: None, metric: "accuracy".into(), value, n: 8 }
}

impl Work for StandIn {
    fn run(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Option<Findings>, String> {
        self.ran.lock().unwrap().push(job.id.clone());
        assert!(self.dies_at.as_ref() != Some(&job.id), "the stand-in dies as told");
        if self.refuses.as_ref() == Some(&job.id) {
            return Err("no, thank you".into());
        }
        progress(Progress { step: 1, steps: 2, note: "half".into() });
        let mut found = Findings::default();
        if self.diverges.as_ref() == Some(&job.id) {
            found.status = Status::Diverged;
            found.reason = Some("the loss became NaN".into());
            return Ok(Some(found));
        }
        let fixed = match job.spec.train.lr {
            Rate::Fixed(rate) => Some(rate),
            Rate::Select { .. } => None,
        };
        let rate = job.rate.or(fixed).unwrap();
        found.scores = vec![row("validation", 1.0 - (rate - 3e-3).abs())];
        if job.purpose == Purpose::Final {
            let seed = job.spec.absolute_seed() as f64 * 1e-6;
            found.scores.push(row("test", rate + 0.9935 + seed));
        }
        found.facts.insert("parameters".into(), 7.0);
        Ok(Some(found))
    }

    fn prepare(&self, spec: &CellSpec, _: u32) -> Result<Box<dyn Timed + '_>, String> {
        let id = seqbench_harness::plan::identity(spec);
        let dies = self.dies_at.as_ref() == Some(&id);
        Ok(Box::new(Bench { id, dies, ran: &self.ran }))
    }

    fn isa(&self) -> String {
        "portable".into()
    }

    fn pace(&self) -> u64 {
        1
    }
}

struct Bench<'a> {
    id: String,
    dies: bool,
    ran: &'a Mutex<Vec<String>>,
}

impl Timed for Bench<'_> {
    fn round(&mut self, _: Mode) -> Result<TimedRound, String> {
        assert!(!self.dies, "the bench dies as told");
        self.ran.lock().unwrap().push(self.id.clone());
        Ok(TimedRound { ns: 5, checksum: "0".into(), err: String::new(), pace_ns: 0 })
    }

    fn finish(self: Box<Self>) -> Result<Findings, String> {
        let memory =
            MemoryRow { mode: "train".into(), length: 1, batch: 1, peak_bytes: 2, baseline_bytes: 1 };
        Ok(Findings { memory: vec![memory], ..Findings::default() })
    }
}

/// Workers that are threads.
pub struct Threads {
    work: StandIn,
}

impl Threads {
    pub fn new(work: StandIn) -> Self {
        Threads { work }
    }

    /// Identities in the order in which they were run; one a timed pass.
    pub fn ran(&self) -> Vec<String> {
        self.work.ran.lock().unwrap().clone()
    }
}

impl Launcher for Threads {
    fn launch(&self, _: u32) -> io::Result<Worker> {
        let (request_end, to) = io::pipe()?;
        let (from, mut reply_end) = io::pipe()?;
        let work = self.work.clone();
        std::thread::spawn(move || serve(&work, &mut BufReader::new(request_end), &mut reply_end));
        Ok(Worker::over(to, from))
    }
}

/// What a child process of a test does.
pub fn serve_stdio(work: &StandIn) -> io::Result<()> {
    serve(work, &mut io::stdin().lock(), &mut io::stdout().lock())
}
