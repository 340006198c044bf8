//! Negative controls: what is the same is found to be the same as often as promised, and what differs is found.
//!
//! Everything is simulated from stated seeds. Test by test the shares are held against the level, with the binomial error of
//! the number of simulations; intervals against the coverage that METHODOLOGY.md states.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod simulated;

use cells::{solved_at, timed, timing};
use seqbench_record::{CellFiles, TimingRow};
use seqbench_report::statistics::*;
use seqbench_report::summary::{Finding, Limits, compare};
use simulated::Source;

const ALPHA: f64 = 0.05;

/// Asserts that of so many simulations no more were rejected than the level explains: its share and three standard deviations.
fn holds_its_level(rejected: usize, simulations: usize) {
    let n = simulations as f64;
    let most = n * ALPHA + 3.0 * (n * ALPHA * (1.0 - ALPHA)).sqrt();
    assert!(rejected as f64 <= most, "{rejected} of {simulations} rejected, at most {most:.0}");
    // A test that never rejects holds every level.
    assert!(rejected > 0, "none of {simulations} rejected");
}

/// Six comparisons of one architecture under two names, eight seeds each, corrected together: whether any is rejected.
fn family(source: &mut Source, value: fn(&mut Source) -> f64) -> bool {
    let mut seeds = || (0..8).map(|_| value(source)).collect::<Vec<f64>>();
    let pairs: Vec<_> = (0..6).map(|_| (seeds(), seeds())).collect();
    let p = pairs.iter().map(|(a, b)| permutation(a, b, 0.0, Alternative::TwoSided).unwrap().p);
    holm(&p.collect::<Vec<_>>()).iter().any(|p| *p <= ALPHA)
}

#[test]
fn one_architecture_under_two_names_is_no_difference() {
    let values: [fn(&mut Source) -> f64; 3] = [
        Source::normal,
        // Solved or not, with what is left of noise; and heavy tails.
        |source| if source.uniform() < 0.6 { 1.0 - 0.01 * source.uniform() } else { 0.2 },
        |source| source.exponential().powi(2),
    ];
    for (seed, value) in values.into_iter().enumerate() {
        let mut source = Source::new(seed as u64);
        let rejected = (0..1000).filter(|_| family(&mut source, value)).count();
        holds_its_level(rejected, 1000);
    }
}

/// Four settings of five seeds, accuracies of one program.
fn result(source: &mut Source) -> Vec<CellFiles> {
    let cells = [10, 30, 100, 300].into_iter().flat_map(|lag| (0..5).map(move |seed| (lag, seed)));
    cells.map(|(lag, seed)| solved_at("lstm", lag, seed, 0.5 + 0.1 * source.normal())).collect()
}

#[test]
fn two_results_of_one_program_have_no_regression() {
    let mut source = Source::new(5);
    let found: Vec<_> =
        (0..20).map(|_| compare(&result(&mut source), &result(&mut source), Limits::default())).collect();
    let changed = |own: &&_| {
        let own: &seqbench_report::summary::Comparison = own;
        own.findings().any(|finding| finding != Finding::NoDifference)
    };
    let rejected = found.iter().filter(changed).count();
    // Of 20 at 5 % more than four are rejected three times in a thousand.
    assert!(rejected <= 4, "{rejected}");
    assert!(found.iter().all(|own| own.family == 5 && own.silent == 0));
}

const TIMES: u64 = 24;

/// Times of one program: lengths with three visits of three rounds each, visits some per cent apart, one of the lengths `factor`
/// times as long.
fn times(source: &mut Source, factor: f64) -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for length in 1..=TIMES {
        let mut rounds: Vec<TimingRow> = Vec::new();
        for visit in 0..3 {
            let about = 1e6 * (0.03 * source.normal()).exp() * if length == 1 { factor } else { 1.0 };
            rounds.extend((3 * visit..3 * visit + 3).map(|round| {
                let ns = (about * (0.005 * source.normal()).exp()) as u64;
                TimingRow {
                    visit: Some(visit),
                    pace_ns: Some(40_000),
                    ..timing("train", length, 8, round, ns)
                }
            }));
        }
        cells.push(timed("lstm", &[("length", length.into())], rounds));
    }
    cells
}

#[test]
fn many_times_of_one_program_are_neither_worse_nor_better() {
    const FAMILIES: usize = 400;
    let mut source = Source::new(17);
    // Without a tolerance, which would hide what luck does.
    let limits = Limits { time: 0.0, ..Limits::default() };
    let (mut rejected, mut alone) = (0, 0);
    for _ in 0..FAMILIES {
        let found = compare(&times(&mut source, 1.0), &times(&mut source, 1.0), limits);
        assert_eq!((found.times.len(), found.times_family), (TIMES as usize, TIMES as usize));
        let differs = found.findings().any(|finding| finding != Finding::NoDifference);
        assert!(!differs || found.times.iter().any(|row| row.test.p.unwrap() <= ALPHA));
        rejected += usize::from(differs);
        alone += usize::from(found.times.iter().any(|row| row.test.p.unwrap() <= ALPHA));
    }
    assert!(rejected as f64 <= ALPHA * FAMILIES as f64, "{rejected} of {FAMILIES} families");
    // Each at the level of its own, a third of all comparisons of a program with itself would find something.
    assert!(alone > FAMILIES / 4, "{alone} of {FAMILIES} families");
    let mut worse = |_: &i32| {
        let found = compare(&times(&mut source, 1.0), &times(&mut source, 1.3), Limits::default());
        found.times[0].finding == Finding::Worse
    };
    let found = (0..100).filter(|i| worse(i)).count();
    assert!(found >= 30, "a program that is 30 % slower at one length: {found} of 100");
}

#[test]
fn every_test_holds_its_level() {
    let two = Alternative::TwoSided;
    let mut source = Source::new(11);
    let mut share = |rejects: &mut dyn FnMut(&mut Source) -> bool| {
        let rejected = (0..1000).filter(|_| rejects(&mut source)).count();
        holds_its_level(rejected, 1000);
    };
    let below = |p: f64| p <= ALPHA;
    share(&mut |source| below(sign_flip(&source.normals(8), 0.0, two).unwrap().p));
    share(&mut |source| below(sign_test(&source.normals(12), 0.0, two).unwrap()));
    share(&mut |source| {
        let mut of = |n| Success::new((0..n).filter(|_| source.uniform() < 0.5).count(), n);
        below(fisher_exact(of(12), of(12), two).unwrap())
    });
    share(&mut |source| {
        below(log_rank(&source.waits(8, 1500.0), &source.waits(8, 1500.0), two).unwrap().permuted.p)
    });
    share(&mut |source| {
        let mut tasks =
            || [0.2, 0.5, 0.9].map(|about| source.normals(5).iter().map(|x| x + about).collect()).to_vec();
        below(stratified_permutation(&tasks(), &tasks(), two, 199, 1).unwrap().p)
    });
}

#[test]
fn what_differs_is_found() {
    let mut source = Source::new(21);
    let two = Alternative::TwoSided;
    // Two deviations apart at eight seeds, among five pairs that are alike.
    let mut found = 0;
    for _ in 0..200 {
        let mut p = vec![permutation(&source.about(8, 2.0), &source.normals(8), 0.0, two).unwrap().p];
        p.extend((0..5).map(|_| permutation(&source.normals(8), &source.normals(8), 0.0, two).unwrap().p));
        found += usize::from(holm(&p)[0] <= ALPHA);
    }
    assert!(found >= 140, "{found} of 200");
    let waits = |source: &mut Source| {
        log_rank(&source.waits(8, 8000.0), &source.waits(8, 800.0), Alternative::Greater).unwrap().permuted.p
    };
    let longer = (0..200).filter(|_| waits(&mut source) <= ALPHA).count();
    assert!(longer >= 160, "{longer} of 200");
}

#[test]
fn as_many_seeds_as_are_said_to_be_needed_have_the_power() {
    let mut source = Source::new(31);
    for difference in [1.25, 1.5, 2.0] {
        let n = seeds_needed(difference, 1.0, ALPHA, 0.8, Alternative::TwoSided).unwrap() as usize;
        let p = |source: &mut Source| {
            permutation(&source.about(n, difference), &source.normals(n), 0.0, Alternative::TwoSided)
                .unwrap()
                .p
        };
        let found = (0..1000).filter(|_| p(&mut source) <= ALPHA).count();
        // A permutation test's power is close to the t test's, which the formula is for.
        assert!((740..=900).contains(&found), "{n} seeds a side for {difference}: {found} of 1000");
    }
}
