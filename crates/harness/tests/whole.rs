//! A whole run of real cells in process: a toy architecture on a toy task is planned, trained, probed, timed, written
//! and read back, twice, with other numbers of jobs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod toy;

use seqbench_harness::clock::FakeClock;
use seqbench_harness::machine::UnknownMachine;
use seqbench_harness::plan::plan;
use seqbench_harness::run::{Cells, Launcher, Options, Outcome, Silent, Worker, execute, serve};
use seqbench_record::{CellFiles, Purpose, Store};
use std::io::{self, BufReader};

struct Threads;

impl Launcher for Threads {
    fn launch(&self, _: u32) -> io::Result<Worker> {
        let (request_end, to) = io::pipe()?;
        let (from, mut reply_end) = io::pipe()?;
        std::thread::spawn(move || {
            let registry = toy::registry();
            serve(&Cells::new(&registry), &mut BufReader::new(request_end), &mut reply_end)
        });
        Ok(Worker::over(to, from))
    }
}

const TEXT: &str = "[defaults]\nseeds = 2\nwidth = 8\nsteps = 6\nbatch = 4\n[[model]]\nkind = \"toy\"\n\
    [[model]]\nkind = \"other\"\nblock = \"plain\"\n[task]\nkind = \"echo\"\n[sweep]\nlag = [2, 3]\n\
    [train]\nlr = { select = [1e-2, 1e-3], trials = 1 }\n\
    [measure]\naccuracy = { test_samples = 32, validation_samples = 16, curve_points = 2 }\n\
    gradients = { samples = 2 }\nthroughput = { lengths = [8], rounds = 2, batch = 2 }\n";

fn cells(jobs: usize) -> Vec<CellFiles> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let plan = plan("x", "x.toml", TEXT, &toy::registry(), &[]).unwrap();
    let options = Options { jobs, ..Options::default() };
    let run = || {
        execute(&plan, &store, &Threads, &options, &FakeClock::new(), &UnknownMachine, &mut Silent).unwrap()
    };
    let all = 4 * (2 + 2) + 2 * 3;
    let reasons = |store: &Store| {
        let cells = store.cells().unwrap();
        cells.into_iter().filter_map(|files| files.cell.reason).collect::<Vec<_>>()
    };
    assert_eq!(run(), Outcome { done: all, ..Outcome::default() }, "{:?}", reasons(&store));
    assert_eq!(run(), Outcome { reused: all, ..Outcome::default() });
    store.cells().unwrap()
}

#[test]
fn a_whole_run_gives_every_kind_of_row_and_the_same_whatever_the_jobs() {
    let (mut one, mut two) = (cells(1), cells(2));
    for files in &one {
        match files.cell.purpose {
            Purpose::Trial => {
                assert!(files.scores.iter().all(|row| row.split == "validation"));
                assert!(!files.curves.is_empty());
            }
            Purpose::Final => {
                assert!(files.scores.iter().any(|row| row.split == "test" && row.metric == "accuracy"));
                assert!(!files.profiles.is_empty() && !files.curves.is_empty());
                assert!(files.cell.references.iter().any(|own| own.name == "chance"));
            }
            Purpose::Timing => {
                assert_eq!(files.timings.len(), 2);
                assert!(files.timings.iter().all(|row| row.err.is_empty()), "{:?}", files.timings);
                assert_eq!(files.memory.len(), 1);
            }
        }
    }
    for files in one.iter_mut().chain(&mut two) {
        files.cell.provenance = Default::default();
        files.timings.iter_mut().for_each(|row| (row.ns, row.pace_ns) = (0, None));
        files.memory.clear();
        files.conditions.clear();
    }
    // Rows hold NaN where a profile has no value; text compares them.
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
}
