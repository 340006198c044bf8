//! Worker processes: this program starts itself. Without a test harness, whose output would stand in the pipe.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stand_in;
mod toy;

use seqbench_harness::clock::RealClock;
use seqbench_harness::plan::plan;
use seqbench_harness::run::{Options, Outcome, ProcessLauncher, Silent, execute};
use seqbench_record::{Status, Store};
use stand_in::{StandIn, serve_stdio};

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("worker") {
        let dies_at = arguments.next();
        serve_stdio(&StandIn { dies_at, ..StandIn::default() }).unwrap();
        return;
    }
    a_panicking_process_is_a_failed_cell_with_its_last_words();
}

fn a_panicking_process_is_a_failed_cell_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let text = "[[model]]\nkind = \"toy\"\n[task]\nkind = \"echo\"\n[sweep]\nlag = [1, 2, 3]\n\
                [measure]\naccuracy = true\nthroughput = { lengths = [8], rounds = 2 }\n";
    let plan = plan("x", "x.toml", text, &toy::registry(), &[]).unwrap();
    let victim = plan.groups[1].finals[2].id.clone();
    let launcher = ProcessLauncher::current(["worker", victim.as_str()]).unwrap();
    let options = Options { jobs: 2, ..Options::default() };
    let outcome = execute(&plan, &store, &launcher, &options, &RealClock::new(), &mut Silent).unwrap();
    assert_eq!(outcome, Outcome { done: 15, failed: 1, ..Outcome::default() });
    let dead = store.read(&victim).unwrap().unwrap().cell;
    assert_eq!(dead.status, Status::Failed);
    assert_eq!(dead.reason.as_deref(), Some("the stand-in dies as told (the worker ended with code 101)"));
    let other = store.read(&plan.groups[1].finals[1].id).unwrap().unwrap().cell;
    assert_eq!((other.provenance.isa.as_str(), other.provenance.threads), ("portable", 1));
}
