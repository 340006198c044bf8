//! Worker processes: this program starts itself. Without a test harness, whose output would stand in the pipe.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stand_in;
mod toy;

use seqbench_harness::clock::RealClock;
use seqbench_harness::machine::{RealMachine, UnknownMachine};
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
    if std::env::args().nth(1).as_deref() == Some("burn") {
        burn();
    }
    a_panicking_process_is_a_failed_cell_with_its_last_words();
    #[cfg(target_os = "linux")]
    a_loaded_machine_is_noticed_and_measured_again();
}

/// Keeps a core busy until it is ended, or its parent is.
fn burn() -> ! {
    seqbench_harness::run::end_with_parent();
    loop {
        std::hint::spin_loop();
    }
}

/// Processor time that others use is told by the kernel, so that this depends on no measured time.
#[cfg(target_os = "linux")]
fn a_loaded_machine_is_noticed_and_measured_again() {
    struct Burning(Vec<std::process::Child>);
    impl Drop for Burning {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
    let cores = std::thread::available_parallelism().unwrap().get();
    let program = std::env::current_exe().unwrap();
    let start = || std::process::Command::new(&program).arg("burn").spawn().unwrap();
    let burning = Burning((0..cores).map(|_| start()).collect());

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let text = "[[model]]\nkind = \"toy\"\n[task]\nkind = \"echo\"\n\
                [measure]\nthroughput = { lengths = [8], modes = [\"train\"], rounds = 5 }\n";
    let plan = plan("x", "x.toml", text, &toy::registry(), &[]).unwrap();
    let launcher = ProcessLauncher::current(["worker"]).unwrap();
    let (options, machine) = (Options::default(), RealMachine::new());
    execute(&plan, &store, &launcher, &options, &RealClock::new(), &machine, &mut Silent).unwrap();
    drop(burning);
    let files = store.read(&plan.groups[0].finals[0].id).unwrap().unwrap();
    let value = |name: &str| files.conditions.iter().find(|row| row.name == name).unwrap().value;
    assert!(value("foreign_cores") > 0.2 * cores as f64, "{:?}", files.conditions);
    assert_eq!((value("noisy"), value("attempts")), (1.0, 2.0), "{:?}", files.conditions);
    assert!(value("peak_gflops") > 0.0 && value("bandwidth_gb") > 0.0);
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
    let outcome =
        execute(&plan, &store, &launcher, &options, &RealClock::new(), &UnknownMachine, &mut Silent).unwrap();
    assert_eq!(outcome, Outcome { done: 17, failed: 1, ..Outcome::default() });
    let dead = store.read(&victim).unwrap().unwrap().cell;
    assert_eq!(dead.status, Status::Failed);
    assert_eq!(dead.reason.as_deref(), Some("the stand-in dies as told (the worker ended with code 101)"));
    let other = store.read(&plan.groups[1].finals[1].id).unwrap().unwrap().cell;
    assert_eq!((other.provenance.isa.as_str(), other.provenance.threads), ("portable", 1));
}
