//! How often each interval holds what it is of, by simulation, beside what METHODOLOGY.md states of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod simulated;

use seqbench_report::statistics::*;
use simulated::Source;

/// Simulations a row: the standard error of a share of 0.95 is 0.005.
const SIMULATIONS: usize = 2000;
/// A simulation is the same everywhere but for the last bits of logarithms and cosines, which may move a few of them.
const ROUNDING: f64 = 0.006;

/// Of the simulations that gave an interval the share that held the truth, and the share that gave none.
#[derive(Clone)]
struct Row {
    interval: &'static str,
    values: &'static str,
    covered: f64,
    absent: f64,
}

fn row(
    interval: &'static str,
    values: &'static str,
    truth: f64,
    mut simulate: impl FnMut(&mut Source) -> Option<Interval>,
) -> Row {
    let mut source = Source::new(1000);
    let found: Vec<Interval> = (0..SIMULATIONS).filter_map(|_| simulate(&mut source)).collect();
    let held = found.iter().filter(|ends| ends.low <= truth && truth <= ends.high).count();
    let absent = 1.0 - found.len() as f64 / SIMULATIONS as f64;
    Row { interval, values, covered: held as f64 / found.len() as f64, absent }
}

/// Solved or not, 60 : 40, of mean 0.6.
fn bimodal(source: &mut Source, n: usize) -> Vec<f64> {
    (0..n).map(|_| f64::from(u8::from(source.uniform() < 0.6))).collect()
}

fn means() -> Vec<Row> {
    let exponentials =
        |source: &mut Source, n: usize| (0..n).map(|_| source.exponential()).collect::<Vec<f64>>();
    vec![
        row("mean, t", "normal, 3", 0.0, |s| t_interval(&s.normals(3), LEVEL)),
        row("mean, t", "normal, 8", 0.0, |s| t_interval(&s.normals(8), LEVEL)),
        row("mean, t", "solved or not 60 : 40, 5", 0.6, |s| t_interval(&bimodal(s, 5), LEVEL)),
        row("mean, t", "solved or not 60 : 40, 8", 0.6, |s| t_interval(&bimodal(s, 8), LEVEL)),
        row("median, order statistics", "normal, 8", 0.0, |s| median_interval(&s.normals(8), LEVEL)),
        row("median, order statistics", "exponential, 15", std::f64::consts::LN_2, |s| {
            median_interval(&exponentials(s, 15), LEVEL)
        }),
    ]
}

fn rates() -> Vec<Row> {
    let difference = |n: usize, rates: [f64; 2]| {
        move |s: &mut Source| {
            let [a, b] = rates.map(|rate| Success::new(s.successes(n, rate), n));
            newcombe(a, b, LEVEL)
        }
    };
    vec![
        row("rate, Wilson", "5, rate 0.9", 0.9, |s| wilson(s.successes(5, 0.9), 5, LEVEL)),
        row("rate, Wilson", "8, rate 0.5", 0.5, |s| wilson(s.successes(8, 0.5), 8, LEVEL)),
        row("rate, Wilson", "20, rate 0.8", 0.8, |s| wilson(s.successes(20, 0.8), 20, LEVEL)),
        row("difference of rates, Newcombe", "5 v 5, rates 0.9 and 0.5", 0.4, difference(5, [0.9, 0.5])),
        row("difference of rates, Newcombe", "8 v 8, rates 0.8 and 0.8", 0.0, difference(8, [0.8, 0.8])),
        row("difference of rates, Newcombe", "20 v 20, rates 0.9 and 0.5", 0.4, difference(20, [0.9, 0.5])),
    ]
}

fn differences() -> Vec<Row> {
    let scaled = |s: &mut Source, n, scale: f64| s.normals(n).iter().map(|x| scale * x).collect::<Vec<f64>>();
    let skewed = |s: &mut Source, n| (0..n).map(|_| s.exponential()).collect::<Vec<f64>>();
    vec![
        row("difference of means, Welch", "normal, 3 v 3", 0.0, |s| {
            welch(&s.normals(3), &s.normals(3), LEVEL)
        }),
        row("difference of means, Welch", "normal, 8 v 8", 0.0, |s| {
            welch(&s.normals(8), &s.normals(8), LEVEL)
        }),
        row("difference of means, Welch", "normal, 5 v 10, deviations 3 and 1", 0.0, move |s| {
            welch(&scaled(s, 5, 3.0), &s.normals(10), LEVEL)
        }),
        row("difference of means, Welch", "solved or not 60 : 40, 8 v 8", 0.0, |s| {
            welch(&bimodal(s, 8), &bimodal(s, 8), LEVEL)
        }),
        row("difference of means, permutation", "normal, 5 v 5", 0.0, |s| {
            permutation_interval(&s.normals(5), &s.normals(5), LEVEL)
        }),
        row("difference of means, permutation", "exponential, 8 v 8", 0.0, move |s| {
            permutation_interval(&skewed(s, 8), &skewed(s, 8), LEVEL)
        }),
        row("difference of means, permutation", "normal, 5 v 10, deviations 3 and 1", 0.0, move |s| {
            permutation_interval(&scaled(s, 5, 3.0), &s.normals(10), LEVEL)
        }),
    ]
}

/// Six tasks whose scores lie evenly about 0.5, so that their interquartile mean is 0.5 as well.
fn tasks(source: &mut Source, runs: usize) -> Vec<Vec<f64>> {
    let about = [0.2, 0.35, 0.45, 0.55, 0.65, 0.8];
    about.map(|centre| (0..runs).map(|_| centre + 0.1 * source.normal()).collect()).to_vec()
}

fn across_tasks() -> Vec<Row> {
    let one = |runs| move |s: &mut Source| stratified_interval(&tasks(s, runs), LEVEL, 500, s.bits());
    let two = |runs| {
        move |s: &mut Source| stratified_difference(&tasks(s, runs), &tasks(s, runs), LEVEL, 500, s.bits())
    };
    vec![
        row("interquartile mean, bootstrap", "six tasks, 3 runs each", 0.5, one(3)),
        row("interquartile mean, bootstrap", "six tasks, 5 runs each", 0.5, one(5)),
        row("interquartile mean, bootstrap", "six tasks, 10 runs each", 0.5, one(10)),
        row("difference of interquartile means, bootstrap", "six tasks, 5 v 5 runs each", 0.0, two(5)),
        row("difference of interquartile means, bootstrap", "six tasks, 8 v 8 runs each", 0.0, two(8)),
    ]
}

fn waits() -> Vec<Row> {
    let of = |n, mean: f64| {
        move |s: &mut Source| {
            let MedianInterval { low, high } = KaplanMeier::new(&s.waits(n, mean))?.median_interval(LEVEL)?;
            Some(Interval { low, high: high.unwrap_or(f64::INFINITY) })
        }
    };
    let median = |mean: f64| mean * std::f64::consts::LN_2;
    let name = "median time, Kaplan–Meier";
    vec![
        row(name, "exponential, 5, one in twenty cut", median(1000.0), of(5, 1000.0)),
        row(name, "exponential, 8, one in seven cut", median(1500.0), of(8, 1500.0)),
        row(name, "exponential, 8, one in three cut", median(2700.0), of(8, 2700.0)),
        row(name, "exponential, 20, one in three cut", median(2700.0), of(20, 2700.0)),
        // 1500·ln 2 is 1040: evaluated every 300 steps, half have it at 1200.
        row(name, "exponential, 8, seen every 300 steps", 1200.0, |s| {
            let mut seen = s.waits(8, 1500.0);
            seen.iter_mut().for_each(|run| run.time = 300.0 * (run.time / 300.0).ceil());
            let MedianInterval { low, high } = KaplanMeier::new(&seen)?.median_interval(LEVEL)?;
            Some(Interval { low, high: high.unwrap_or(f64::INFINITY) })
        }),
    ]
}

/// The row of the document's table.
fn line(row: &Row) -> String {
    format!("| {} | {} | {:.3} | {:.3} |", row.interval, row.values, row.covered, row.absent)
}

#[test]
fn simulated_coverage_is_what_the_methodology_states() {
    let document = include_str!("../../../METHODOLOGY.md");
    let rows = [means(), rates(), differences(), across_tasks(), waits()].concat();
    let stated = |row: &Row| {
        let start = format!("| {} | {} |", row.interval, row.values);
        let rest = document.lines().find_map(|line| line.strip_prefix(&start))?;
        let cells: Vec<f64> = rest.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
        Some([*cells.first()?, *cells.get(1)?])
    };
    let agrees = |row: &Row| {
        let near = |a: f64, b: f64| (a - b).abs() <= ROUNDING;
        stated(row).is_some_and(|[covered, absent]| near(covered, row.covered) && near(absent, row.absent))
    };
    let table: Vec<String> = rows.iter().map(line).collect();
    assert!(rows.iter().all(agrees), "the table of METHODOLOGY.md should be:\n{}", table.join("\n"));
}
