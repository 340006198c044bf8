//! A whole sweep over a disk whose n-th call fails, n = 1, 2, 3 … until it no longer fires; stopped runs; clocks that jump.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stand_in;
mod toy;

use seqbench_harness::clock::{Clock, FakeClock};
use seqbench_harness::machine::UnknownMachine;
use seqbench_harness::plan::{Experiment, plan};
use seqbench_harness::run::{Event, Observer, Options, Outcome, Silent, execute};
use seqbench_record::{CellFiles, FailingDisk, Store};
use stand_in::{StandIn, Threads};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

fn experiment() -> Experiment {
    let text = "[[model]]\nkind = \"toy\"\n[task]\nkind = \"echo\"\n[sweep]\nlag = [2, 5]\n[defaults]\nseeds = 2\n\
                [train]\nlr = { select = [1e-2, 1e-3], trials = 1 }\n";
    plan("x", "x.toml", text, &toy::registry(), &[]).unwrap()
}

fn run(store: &Store, options: &Options) -> seqbench_record::Result<Outcome> {
    let launcher = Threads::new(StandIn::default());
    execute(&experiment(), store, &launcher, options, &FakeClock::new(), &UnknownMachine, &mut Silent)
}

fn found(store: &Store) -> Vec<CellFiles> {
    let mut cells = store.cells().unwrap();
    cells.iter_mut().for_each(|files| files.cell.provenance = Default::default());
    cells
}

/// For every n: a sweep whose n-th call fails, then the same command on a disk that is well again.
fn whatever_fails_the_next_run_mends(failing: fn(usize) -> FailingDisk) {
    let folder = tempfile::tempdir().unwrap();
    let whole = Store::open(folder.path());
    run(&whole, &Options::default()).unwrap();
    let whole = found(&whole);
    assert_eq!(whole.len(), 8);
    let mut refused = 0;
    for n in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(failing(n));
        let first = run(&Store::with_disk(folder.path(), disk.clone()), &Options::default());
        refused += usize::from(first.is_err());
        let real = Store::open(folder.path());
        // Whatever stands is whole, and nothing of it is wrong.
        let standing = found(&real);
        assert!(standing.iter().all(|files| whole.contains(files)), "call {n}");
        run(&real, &Options::default()).unwrap();
        assert_eq!(found(&real), whole, "call {n}");
        let names = std::fs::read_dir(folder.path().join("cells")).unwrap();
        let hidden =
            names.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0, "call {n}");
        if !disk.fired() {
            assert!(n > 100 && refused > 50, "{n} calls, {refused} refused");
            return;
        }
    }
}

#[test]
fn a_sweep_whose_nth_call_fails_once_goes_on() {
    whatever_fails_the_next_run_mends(FailingDisk::once);
}

#[test]
fn a_sweep_that_dies_at_the_nth_call_goes_on() {
    whatever_fails_the_next_run_mends(FailingDisk::from);
}

/// Sets the flag once so many cells have ended.
struct StopsAfter {
    left: usize,
    stop: Arc<AtomicBool>,
}

impl Observer for StopsAfter {
    fn event(&mut self, event: &Event<'_>, _: Option<Duration>) {
        if matches!(event, Event::Finished { .. }) {
            self.left -= 1;
            if self.left == 0 {
                self.stop.store(true, SeqCst);
            }
        }
    }
}

#[test]
fn a_run_that_is_told_to_stop_takes_nothing_more_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let mut stood = 0;
    for left in [1, 3, 2] {
        let options = Options::default();
        let mut observer = StopsAfter { left, stop: Arc::clone(&options.stop) };
        let launcher = Threads::new(StandIn::default());
        let clock = FakeClock::new();
        let outcome =
            execute(&experiment(), &store, &launcher, &options, &clock, &UnknownMachine, &mut observer)
                .unwrap();
        assert!(outcome.stopped);
        let now = found(&store).len();
        // What was under way may still end; the rest does not begin.
        assert!((stood + left..=stood + left + 1).contains(&now), "{now} cells after {stood} and {left}");
        stood = now;
    }
    assert!(!run(&store, &Options::default()).unwrap().stopped);
    assert_eq!(found(&store).len(), 8);
}

/// A clock that jumps an hour back and forth.
struct Jumps(AtomicU64);

impl Clock for Jumps {
    fn now(&self) -> Duration {
        let call = self.0.fetch_add(1, SeqCst);
        let (on, back) = (3600 * u64::from(call.is_multiple_of(2)), 3600 * u64::from(call.is_multiple_of(3)));
        Duration::from_secs(10_000 + call + on - back)
    }
}

#[test]
fn a_clock_that_jumps_changes_no_result() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [steady, jumping] = folders.each_ref().map(|folder| Store::open(folder.path()));
    run(&steady, &Options::default()).unwrap();
    let launcher = Threads::new(StandIn::default());
    let clock = Jumps(AtomicU64::new(0));
    let options = Options::default();
    execute(&experiment(), &jumping, &launcher, &options, &clock, &UnknownMachine, &mut Silent).unwrap();
    assert_eq!(found(&steady), found(&jumping));
}

#[test]
fn what_another_process_has_claimed_is_left_to_it_unless_it_is_stolen() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let group = experiment().groups[0].id.clone();
    let claim = store.claim(&group).unwrap().expect("free");
    let outcome = run(&store, &Options::default()).unwrap();
    assert_eq!((outcome.elsewhere, outcome.done), (2, 4), "its two finals are left");
    let stolen = run(&store, &Options { steal: true, ..Options::default() }).unwrap();
    assert_eq!((stolen.elsewhere, stolen.done), (0, 4));
    drop(claim);
    assert_eq!(run(&store, &Options::default()).unwrap().reused, 8);
}
