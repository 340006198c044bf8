//! The statistics beside scipy's and statsmodels': `scripts/golden/significance.py` made the values.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_report::statistics::*;
use serde_json::Value;

const SIDES: [Alternative; 3] = [Alternative::Greater, Alternative::Less, Alternative::TwoSided];

/// The cases of one kind.
fn cases(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("golden/statistics.json")).unwrap();
    let cases = all[name].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{name}");
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|own| own.as_f64().unwrap()).collect()
}

fn number(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

fn ends(found: Interval, case: &Value) {
    close(found.low, number(case, "low"));
    close(found.high, number(case, "high"));
}

#[test]
fn permutation_tests_are_scipys() {
    for case in cases("permutation") {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        for (side, p) in SIDES.into_iter().zip(numbers(&case["p"])) {
            let found = permutation(&a, &b, number(&case, "margin"), side).unwrap();
            assert!(found.exact);
            close(found.p, p);
            assert!(p >= smallest_p(a.len(), b.len(), side) * (1.0 - 1e-9));
        }
    }
}

#[test]
fn inverted_permutation_tests_are_those_of_every_split() {
    for case in cases("inverted") {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        ends(permutation_interval(&a, &b, number(&case, "level")).unwrap(), &case);
    }
}

#[test]
fn flips_and_signs_are_scipys() {
    for case in cases("flips") {
        let values = numbers(&case["values"]);
        let margin = number(&case, "margin");
        for (i, side) in SIDES.into_iter().enumerate() {
            close(sign_flip(&values, margin, side).unwrap().p, numbers(&case["p"])[i]);
            close(sign_test(&values, margin, side).unwrap(), numbers(&case["signs"])[i]);
        }
    }
}

#[test]
fn rates_are_scipys_and_statsmodels() {
    for case in cases("rates") {
        let of = |name: &str| {
            let own = numbers(&case[name]);
            Success::new(own[0] as usize, own[1] as usize)
        };
        let (first, second) = (of("first"), of("second"));
        for (side, p) in SIDES.into_iter().zip(numbers(&case["p"])) {
            close(fisher_exact(first, second, side).unwrap(), p);
        }
        ends(newcombe(first, second, LEVEL).unwrap(), &case);
    }
}

#[test]
fn welchs_interval_is_scipys() {
    for case in cases("welch") {
        ends(welch(&numbers(&case["a"]), &numbers(&case["b"]), LEVEL).unwrap(), &case);
    }
}

#[test]
fn holms_p_are_statsmodels() {
    for case in cases("holm") {
        let found = holm(&numbers(&case["p"]));
        let expected = numbers(&case["adjusted"]);
        assert_eq!(found.len(), expected.len());
        found.into_iter().zip(expected).for_each(|(found, expected)| close(found, expected));
    }
}

/// The script draws with a generator of its own writing: the same integers, the same runs, the same ends.
#[test]
fn bootstraps_are_the_scripts() {
    for case in cases("bootstrap") {
        let tasks: Vec<Vec<f64>> = case["tasks"].as_array().unwrap().iter().map(numbers).collect();
        let [seed, resamples] = ["seed", "resamples"].map(|name| case[name].as_u64().unwrap());
        ends(stratified_interval(&tasks, LEVEL, resamples as usize, seed).unwrap(), &case);
    }
}

fn waited(times: &Value, reached: &Value) -> Vec<Waited> {
    let reached = reached.as_array().unwrap().iter().map(|own| own.as_bool().unwrap());
    numbers(times).into_iter().zip(reached).map(|(time, reached)| Waited { time, reached }).collect()
}

#[test]
fn curves_of_waiting_are_scipys_and_medians_statsmodels() {
    for case in cases("survival") {
        let found = KaplanMeier::new(&waited(&case["times"], &case["reached"])).unwrap();
        let drops: Vec<Vec<f64>> = case["drops"].as_array().unwrap().iter().map(numbers).collect();
        assert_eq!(found.falls.len(), drops.len());
        for (own, drop) in found.falls.iter().zip(&drops) {
            close(own.time, drop[0]);
            close(own.waiting, drop[1]);
        }
        assert_eq!(found.median(), case["median"].as_f64());
        let interval = found.median_interval(LEVEL);
        assert_eq!(interval.map(|own| own.low), case["low"].as_f64());
        assert_eq!(interval.and_then(|own| own.high), case["high"].as_f64());
    }
}

#[test]
fn log_rank_tests_are_scipys() {
    for case in cases("log_rank") {
        let [a, b] = ["a", "b"].map(|side| waited(&case[side][0], &case[side][1]));
        for (side, p) in SIDES.into_iter().zip(numbers(&case["p"])) {
            let found = log_rank(&a, &b, side).unwrap();
            close(found.excess, number(&case, "excess"));
            close(found.z.unwrap().abs(), number(&case, "z"));
            close(found.permuted.p, p);
            if side == Alternative::TwoSided {
                close(found.normal_p.unwrap(), number(&case, "normal_p"));
            }
        }
    }
}

/// The formula is an approximation: within one seed of the noncentral t distribution's, where a permutation test of so few
/// could reach the level at all.
#[test]
fn seeds_are_within_one_of_the_noncentral_t() {
    for case in cases("seeds") {
        let side =
            if case["alternative"] == "greater" { Alternative::Greater } else { Alternative::TwoSided };
        let alpha = number(&case, "alpha");
        let found = seeds_needed(number(&case, "difference"), 1.0, alpha, 0.8, side).unwrap();
        let expected = case["n"].as_u64().unwrap().max(fewest_seeds(alpha, side));
        assert!(found.abs_diff(expected) <= 1, "{found} {case}");
    }
}

/// Bytes that no version may change: results refer to them.
#[test]
fn bootstrap_ends_are_the_same_bytes_for_ever() {
    let tasks =
        vec![vec![0.1, 0.2, 0.4, 0.35, 0.3], vec![0.9, 0.95, 0.7, 1.0, 0.85], vec![0.5, 0.5, 0.6, 0.1, 0.2]];
    let found = stratified_interval(&tasks, LEVEL, 1000, 42).unwrap();
    assert_eq!([found.low.to_bits(), found.high.to_bits()], PINNED);
}

const PINNED: [u64; 2] = [4_600_306_923_368_898_450, 4_603_219_251_127_931_372];
