//! Running plans with a stand-in for the work: resuming, jobs, failures, selection, interleaving.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stand_in;
mod toy;

use seqbench_harness::clock::FakeClock;
use seqbench_harness::machine::{Activity, Machine, UnknownMachine};
use seqbench_harness::plan::{Experiment, plan};
use seqbench_harness::run::{Event, Filter, Observer, Options, Outcome, Silent, execute};
use seqbench_record::{CellFiles, Purpose, Status, Store};
use stand_in::{StandIn, Threads};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

fn experiment(tail: &str) -> Experiment {
    let text =
        format!("[[model]]\nkind = \"toy\"\n[[model]]\nkind = \"other\"\n[task]\nkind = \"echo\"\n{tail}");
    plan("x", "x.toml", &text, &toy::registry(), &[]).unwrap()
}

fn run(experiment: &Experiment, store: &Store, launcher: &Threads, options: &Options) -> Outcome {
    execute(experiment, store, launcher, options, &FakeClock::new(), &UnknownMachine, &mut Silent).unwrap()
}

/// Everything of a store but what differs from run to run.
fn deterministic(store: &Store) -> Vec<CellFiles> {
    let mut cells = store.cells().unwrap();
    for files in &mut cells {
        files.cell.provenance = Default::default();
        files.timings.clear();
        files.conditions.clear();
    }
    cells
}

const SWEEP: &str = "[sweep]\nlag = [2, 5, 9]\n[defaults]\nseeds = 2\n";

#[test]
fn the_same_command_again_does_only_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let launcher = Threads::new(StandIn::default());
    let short = experiment("[sweep]\nlag = [2, 5]\n[defaults]\nseeds = 2\n");
    assert_eq!(
        run(&short, &store, &launcher, &Options::default()),
        Outcome { done: 8, ..Outcome::default() }
    );
    assert_eq!(
        run(&short, &store, &launcher, &Options::default()),
        Outcome { reused: 8, ..Outcome::default() }
    );
    let long = experiment(SWEEP);
    let outcome = run(&long, &store, &launcher, &Options::default());
    assert_eq!(outcome, Outcome { done: 4, reused: 8, ..Outcome::default() });
    assert_eq!(launcher.ran().len(), 12);

    std::fs::remove_dir_all(store.cell_dir(&long.groups[0].finals[1].id)).unwrap();
    let damaged = store.cell_dir(&long.groups[1].finals[0].id).join("score.csv");
    std::fs::write(damaged, "split\n").unwrap();
    let outcome = run(&long, &store, &launcher, &Options::default());
    assert_eq!(outcome, Outcome { done: 2, reused: 10, ..Outcome::default() });
    let fresh = Options { fresh: true, ..Options::default() };
    assert_eq!(run(&long, &store, &launcher, &fresh), Outcome { done: 12, ..Outcome::default() });
    assert_eq!(store.experiment().unwrap().unwrap(), long.text);
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let tail =
        "[sweep]\nlag = [2, 5]\n[defaults]\nseeds = 3\n[train]\nlr = { select = [1e-2, 1e-3], trials = 2 }\n";
    let of = |jobs| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        let options = Options { jobs, ..Options::default() };
        let outcome = run(&experiment(tail), &store, &Threads::new(StandIn::default()), &options);
        assert_eq!(outcome.done, 4 * (4 + 3));
        deterministic(&store)
    };
    let one = of(1);
    assert_eq!(one, of(2));
    assert_eq!(one, of(5));
}

#[test]
fn a_dying_worker_is_one_failed_cell_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let plan = experiment(SWEEP);
    let victim = plan.groups[2].finals[1].id.clone();
    let launcher = Threads::new(StandIn { dies_at: Some(victim.clone()), ..StandIn::default() });
    let options = Options { jobs: 2, ..Options::default() };
    let outcome = run(&plan, &store, &launcher, &options);
    assert_eq!(outcome, Outcome { done: 11, failed: 1, ..Outcome::default() });
    let dead = store.read(&victim).unwrap().unwrap().cell;
    assert_eq!((dead.status, dead.reason.as_deref()), (Status::Failed, Some("the worker died")));

    let healthy = Threads::new(StandIn::default());
    let outcome = run(&plan, &store, &healthy, &options);
    assert_eq!(outcome, Outcome { failed: 1, reused: 11, ..Outcome::default() });
    let outcome = run(&plan, &store, &healthy, &Options { retry_failed: true, ..options });
    assert_eq!(outcome, Outcome { done: 1, reused: 11, ..Outcome::default() });
    assert_eq!(healthy.ran(), [victim]);
}

#[test]
fn what_the_work_refuses_and_what_diverges_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let plan = experiment("[defaults]\nseeds = 1\n");
    let (refused, diverged) = (plan.groups[0].finals[0].id.clone(), plan.groups[1].finals[0].id.clone());
    let work =
        StandIn { refuses: Some(refused.clone()), diverges: Some(diverged.clone()), ..StandIn::default() };
    let outcome = run(&plan, &store, &Threads::new(work), &Options::default());
    assert_eq!(outcome, Outcome { failed: 1, diverged: 1, ..Outcome::default() });
    assert_eq!(store.read(&refused).unwrap().unwrap().cell.reason.as_deref(), Some("no, thank you"));
    assert_eq!(store.status(&diverged).unwrap(), Some(Status::Diverged));
}

#[test]
fn finals_run_with_the_rate_that_validation_chose() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    // The stand-in's validation accuracy is best at 3e-3, its test accuracy at 1e-2.
    let tail = "[defaults]\nseeds = 2\n[train]\nlr = { select = [1e-3, 1e-2, 3e-3], trials = 2 }\n";
    let plan = experiment(tail);
    run(&plan, &store, &Threads::new(StandIn::default()), &Options { jobs: 2, ..Options::default() });
    let cells = store.cells().unwrap();
    let finals: Vec<_> = cells.iter().filter(|files| files.cell.purpose == Purpose::Final).collect();
    assert_eq!(finals.len(), 4);
    assert!(finals.iter().all(|files| files.cell.facts["learning_rate"] == 3e-3));
    // Trials never saw a test row.
    let mut trials = cells.iter().filter(|files| files.cell.purpose == Purpose::Trial);
    assert!(trials.all(|files| files.scores.iter().all(|row| row.split == "validation")));
    // A missing final is made again from the trials that stand.
    let last = &plan.groups[0].finals[0];
    let before = store.read(&last.id).unwrap().unwrap();
    std::fs::remove_dir_all(store.cell_dir(&last.id)).unwrap();
    let launcher = Threads::new(StandIn::default());
    run(&plan, &store, &launcher, &Options::default());
    assert_eq!(launcher.ran(), std::slice::from_ref(&last.id));
    let after = store.read(&last.id).unwrap().unwrap();
    assert_eq!((after.scores, after.cell.facts), (before.scores, before.cell.facts));
}

#[test]
fn trials_of_an_earlier_plan_count_in_the_group_that_asks_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let launcher = Threads::new(StandIn::default());
    let with = |trials: u32| {
        experiment(&format!(
            "[defaults]\nseeds = 1\n[train]\nlr = {{ select = [1e-3, 1e-2], trials = {trials} }}\n"
        ))
    };
    run(&with(1), &store, &launcher, &Options::default());
    let more = with(3);
    let outcome = run(&more, &store, &launcher, &Options::default());
    // Of two models: two rates once stand, two more seeds of each and the final run.
    assert_eq!(outcome, Outcome { done: 10, reused: 4, ..Outcome::default() });
    for group in &more.groups {
        let cells = store.cells().unwrap();
        let own = cells.iter().filter(|files| files.cell.group == group.id);
        assert_eq!(own.count(), group.trials.len() + group.finals.len());
    }
}

#[test]
fn a_failed_trial_leaves_its_finals_failed_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let plan = experiment("[defaults]\nseeds = 2\n[train]\nlr = { select = [1e-3, 1e-2], trials = 1 }\n");
    let refuses = Some(plan.groups[0].trials[1].id.clone());
    let outcome =
        run(&plan, &store, &Threads::new(StandIn { refuses, ..StandIn::default() }), &Options::default());
    assert_eq!(outcome, Outcome { done: 1 + 4, failed: 1 + 2, ..Outcome::default() });
    let last = store.read(&plan.groups[0].finals[0].id).unwrap().unwrap();
    assert_eq!(last.cell.reason.as_deref(), Some("a trial of its selection failed: no, thank you"));
    let again = Options { retry_failed: true, ..Options::default() };
    let outcome = run(&plan, &store, &Threads::new(StandIn::default()), &again);
    assert_eq!(outcome, Outcome { done: 3, reused: 5, ..Outcome::default() });
}

#[test]
fn cells_predicted_above_the_limit_are_skipped_until_it_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let launcher = Threads::new(StandIn::default());
    let of = |limit: f64| {
        let tail = format!(
            "[sweep]\nlag = [2, 5000]\n[defaults]\nseeds = 1\n[measure]\naccuracy = true\nmax_seconds = {limit}\n"
        );
        experiment(&tail)
    };
    let (tight, loose) = (of(60.0), of(1e9));
    let ids = |plan: &Experiment| plan.cells().map(|cell| cell.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&tight), ids(&loose));
    let outcome = run(&tight, &store, &launcher, &Options::default());
    assert_eq!(outcome, Outcome { done: 2, skipped: 2, ..Outcome::default() });
    let cell = store.read(&tight.groups[1].finals[0].id).unwrap().unwrap().cell;
    assert!(cell.reason.unwrap().starts_with("predicted "));
    let outcome = run(&tight, &store, &launcher, &Options::default());
    assert_eq!(outcome, Outcome { reused: 4, ..Outcome::default() });
    let outcome = run(&loose, &store, &launcher, &Options::default());
    assert_eq!(outcome, Outcome { done: 2, reused: 2, ..Outcome::default() });
}

#[test]
fn timing_rounds_are_interleaved_and_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let tail =
        "[measure]\nthroughput = { modes = [\"train\", \"decode\"], lengths = [16, 32], rounds = 5 }\n";
    let plan = experiment(tail);
    let launcher = Threads::new(StandIn::default());
    let outcome = run(&plan, &store, &launcher, &Options { jobs: 4, ..Options::default() });
    assert_eq!(outcome, Outcome { done: 8, ..Outcome::default() });
    for files in store.cells().unwrap() {
        assert_eq!(files.cell.purpose, Purpose::Timing);
        assert_eq!(files.memory.len(), 1);
        assert_eq!(files.timings.iter().map(|row| row.round).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let mode = &files.cell.labels.coordinates[0].value;
        assert!(files.timings.iter().all(|row| *mode == row.mode.as_str()));
    }
    // Both models of a length take turns: neither has its passes in one stretch.
    let ran = launcher.ran();
    let changes = ran[..10].windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes >= 5, "{ran:?}");
    assert_eq!(ran.len(), 2 * 2 * 2 * 5);
}

/// A machine whose others keep these shares of its four cores busy, one after another, in stretches of a second.
struct Busy(Mutex<VecDeque<f64>>, Mutex<Activity>);

impl Machine for Busy {
    fn peak_gflops(&self, threads: u32) -> Option<f64> {
        Some(100.0 * f64::from(threads))
    }
    fn bandwidth_gb(&self, _: u32) -> Option<f64> {
        None
    }
    fn activity(&self, _: &[u32]) -> Option<Activity> {
        let mut now = self.1.lock().unwrap();
        let share = self.0.lock().unwrap().pop_front().expect("no more looks than expected");
        *now = Activity { at: now.at + 1.0, everybody: now.everybody + 4.0 * share, ..*now };
        Some(*now)
    }
    fn available_bytes(&self) -> Option<u64> {
        None
    }
}

#[test]
fn a_noisy_group_is_measured_again_and_marked_if_it_stays_so() {
    let plan = experiment("[measure]\nthroughput = { lengths = [16], modes = [\"train\"], rounds = 5 }\n");
    // Five rounds are two, two and one. Looks: once before everything, then before and after each attempt at a visit.
    let cases = [
        ([vec![0.0, 0.0, 0.05], vec![0.0, 0.0], vec![0.0, 0.025]], 1.0, 0.0, 0.2),
        ([vec![0.0, 0.0, 0.5, 0.0, 0.0], vec![0.0, 0.0], vec![0.0, 0.0]], 2.0, 0.0, 0.0),
        ([vec![0.0, 0.0, 0.0], vec![0.0, 0.5, 0.0, 0.3], vec![0.0, 0.0]], 2.0, 1.0, 1.2),
        // The quieter attempt is kept.
        ([vec![0.0, 0.0, 0.3, 0.0, 0.5], vec![0.0, 0.0], vec![0.0, 0.0]], 2.0, 1.0, 1.2),
    ];
    for (looks, attempts, noisy, foreign) in cases {
        let looks = looks.concat();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        let launcher = Threads::new(StandIn::default());
        let rounds = 2 * (5 + 2 * (attempts as usize - 1));
        let still = Activity { cores: 4, ..Activity::default() };
        let machine = Busy(Mutex::new(looks.into()), Mutex::new(still));
        let (options, clock) = (Options::default(), FakeClock::new());
        execute(&plan, &store, &launcher, &options, &clock, &machine, &mut Silent).unwrap();
        assert!(machine.0.lock().unwrap().is_empty());
        assert_eq!(launcher.ran().len(), rounds);
        for files in store.cells().unwrap() {
            let value =
                |name: &str| files.conditions.iter().find(|row| row.name == name).map(|row| row.value);
            assert_eq!(files.timings.len(), 5);
            assert_eq!(value("attempts"), Some(attempts));
            assert_eq!(value("noisy"), Some(noisy));
            assert!((value("foreign_cores").unwrap() - foreign).abs() < 1e-9, "{:?}", files.conditions);
            assert_eq!((value("peak_gflops"), value("bandwidth_gb")), (Some(100.0), None));
        }
    }
}

#[test]
fn a_timing_worker_that_dies_takes_only_its_own_cell_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let plan = experiment("[measure]\nthroughput = { lengths = [16], rounds = 2 }\n");
    let dies_at = Some(plan.groups[0].finals[0].id.clone());
    let launcher = Threads::new(StandIn { dies_at, ..StandIn::default() });
    let outcome = run(&plan, &store, &launcher, &Options::default());
    assert_eq!(outcome, Outcome { done: 5, failed: 1, ..Outcome::default() });
    assert_eq!(store.read(&plan.groups[0].finals[1].id).unwrap().unwrap().timings.len(), 2);
}

#[test]
fn filters_restrict_and_name_what_they_do_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let plan = experiment(SWEEP);
    let only = |texts: &[&str]| {
        let only = texts.iter().map(|text| Filter::parse(text, plan.cells()).unwrap()).collect();
        Options { only, ..Options::default() }
    };
    let launcher = Threads::new(StandIn::default());
    assert_eq!(run(&plan, &store, &launcher, &only(&["model=toy", "lag=5,9", "seed=0"])).done, 2);
    assert_eq!(
        run(&plan, &store, &launcher, &only(&["toy"])),
        Outcome { done: 4, reused: 2, ..Outcome::default() }
    );
    assert_eq!(run(&plan, &store, &launcher, &only(&["nothing"])), Outcome::default());
    let error = Filter::parse("lagg=3", plan.cells()).unwrap_err();
    assert!(
        error.starts_with("unknown filter key `lagg`") && error.ends_with("did you mean `lag`?"),
        "{error}"
    );
}

#[test]
fn observers_hear_everything_in_order() {
    #[derive(Default)]
    struct Ear(Vec<String>, Vec<Option<Duration>>);
    impl Observer for Ear {
        fn event(&mut self, event: &Event<'_>, left: Option<Duration>) {
            self.1.push(left);
            self.0.push(match event {
                Event::Planned { missing, reused } => format!("planned {missing} {reused}"),
                Event::Started { rate, .. } => format!("started {rate:?}"),
                Event::Progress { step, steps, note, .. } => format!("{step}/{steps} {note}"),
                Event::Finished { line, .. } => line.split(", 0.").next().unwrap().to_owned(),
                Event::Selected { rate, scores, .. } => format!("selected {rate} of {}", scores.len()),
                Event::Round { done, total, .. } => format!("round {done}/{total}"),
            });
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let text = "[[model]]\nkind = \"toy\"\n[task]\nkind = \"echo\"\n[defaults]\nseeds = 1\n[train]\nlr = { select = [3e-3], trials = 1 }\n";
    let plan = plan("x", "x.toml", text, &toy::registry(), &[]).unwrap();
    let (mut ear, launcher) = (Ear::default(), Threads::new(StandIn::default()));
    let store = Store::open(folder.path());
    execute(&plan, &store, &launcher, &Options::default(), &FakeClock::new(), &UnknownMachine, &mut ear)
        .unwrap();
    let expected = [
        "planned 2 0",
        "started None",
        "1/2 half",
        "toy echo trial seed=0: done, validation accuracy 1.000",
        "selected 0.003 of 1",
        "started Some(0.003)",
        "1/2 half",
        "toy echo final seed=0: done, test accuracy 0.997",
    ];
    assert_eq!(ear.0, expected);
    assert_eq!(ear.1[0], None);
    assert_eq!(*ear.1.last().unwrap(), Some(Duration::ZERO));
}
