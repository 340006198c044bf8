//! Claims over hand-made results: planted effects are found, none is found where there is none, and a design that cannot
//! decide anything is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::*;
use seqbench_report::claims::{Claim, Decision, Outcome, decide, hopeless};
use seqbench_report::statistics::SeedValue;
use seqbench_report::table::{Format, claims_table};
use serde_json::json;

const HEAD: &str = "claim = \"A is more than B.\"\nsource = \"nobody\"\nexperiment = \"quick\"\n";

fn claim(name: &str, rest: &str) -> Claim {
    Claim::parse(name, "x.toml", &format!("{HEAD}{rest}")).unwrap()
}

fn sides(rest: &str) -> Claim {
    let of = "what = \"accuracy\"\nof = { model = \"a\", lag = 30 }\nabove = { model = \"b\", lag = 30 }\n";
    claim("sides", &format!("[test]\n{of}{rest}"))
}

/// Eight seeds a side.
fn runs(model: &str, values: [f64; 8]) -> Vec<CellFiles> {
    let run = |(seed, value): (usize, f64)| {
        let mut files = solved_at(model, 30, seed as u64, value);
        files.cell.facts.insert("primary_length".into(), 30.0);
        files.cell.facts.insert("solved_threshold".into(), 0.95);
        files
    };
    values.into_iter().enumerate().map(run).collect()
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-12)
}

fn only(claim: Claim, cells: &[CellFiles]) -> Decision {
    decide(&[claim], &|_| cells.to_vec()).remove(0)
}

const LOW: [f64; 8] = [0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17];
const HIGH: [f64; 8] = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97];

#[test]
fn a_planted_effect_is_supported_its_contrary_refuted_and_none_inconclusive() {
    let both = |a, b| [runs("a", a), runs("b", b)].concat();
    let found = only(sides("by = 0.5"), &both(HIGH, LOW));
    // One split of 12,870 is as extreme.
    assert_eq!((found.outcome, found.p), (Outcome::Supported, Some(1.0 / 12_870.0)));
    assert!((found.effect.unwrap() - 0.8).abs() < 1e-12 && found.interval.unwrap().low > 0.7);
    assert_eq!((found.sides[0].name.as_str(), found.sides[1].name.as_str()), ("a lag=30", "b lag=30"));
    assert_eq!(found.sides[0].values[3], SeedValue { seed: 3, value: 0.93 });
    assert_eq!(found.sides[0].cells[3], both(HIGH, LOW)[3].cell.id);
    assert_eq!(only(sides("by = 0.5"), &both(LOW, HIGH)).outcome, Outcome::Refuted);
    // An effect there is, and not of the size claimed: the contrary of the claim is shown.
    assert_eq!(only(sides("by = 0.85"), &both(HIGH, LOW)).outcome, Outcome::Refuted);
    let mut mixed = HIGH;
    mixed[..4].copy_from_slice(&LOW[..4]);
    let mut other = LOW;
    other[..3].copy_from_slice(&HIGH[..3]);
    let none = only(sides(""), &both(mixed, other));
    assert_eq!((none.outcome, none.seeds_needed.is_some()), (Outcome::Inconclusive, true));
}

#[test]
fn a_missing_run_leaves_a_claim_open_and_a_diverged_one_counts_as_chance() {
    let mut cells = [runs("a", HIGH), runs("b", LOW)].concat();
    let mut gone = cells.clone();
    gone.remove(2);
    let found = only(sides(""), &gone);
    assert_eq!((found.outcome, found.p), (Outcome::Open, None));
    assert!(found.notes.iter().any(|note| note == "1 of 8 runs of `a lag=30` are missing"), "{found:?}");
    cells[2] = diverged_at("a", 30, 2);
    let found = only(sides(""), &cells);
    assert_eq!(found.sides[0].values[2].value, 0.125);
    // Two settings under one filter are no side.
    let twice = Claim::parse(
        "x",
        "x.toml",
        &format!("{HEAD}[test]\nwhat = \"accuracy\"\nof = {{ lag = 30 }}\nabove = 0.5\n"),
    );
    let found = only(twice.unwrap(), &cells);
    assert!(found.notes.iter().any(|note| note.contains("fits several settings")), "{found:?}");
}

#[test]
fn shares_of_runs_are_compared_as_fishers_test_does() {
    let text = "[test]\nwhat = \"solved\"\nof = { model = \"a\" }\nabove = { model = \"b\" }\n";
    let mut seven = HIGH;
    seven[0] = 0.1;
    let cells = [runs("a", [0.99; 8]), runs("b", seven)].concat();
    // 8 of 8 against 3 of 8 (0.95, 0.96, 0.97): C(8,3)/C(16,11).
    let found = only(claim("x", text), &cells);
    assert!((found.p.unwrap() - 56.0 / 4368.0).abs() < 1e-12, "{found:?}");
}

#[test]
fn one_side_is_held_against_a_number_by_signs() {
    let text = "[test]\nwhat = \"accuracy\"\nof = { model = \"a\" }\nbelow = 0.5\n";
    let found = only(claim("x", text), &runs("a", LOW));
    assert!(found.outcome == Outcome::Supported && close(found.p, 0.5f64.powi(8)), "{found:?}");
    assert_eq!(only(claim("x", text), &runs("a", HIGH)).outcome, Outcome::Refuted);
}

#[test]
fn holm_corrects_over_all_claims_that_have_a_p() {
    let cells = [runs("a", LOW), runs("b", HIGH)].concat();
    let below = "[test]\nwhat = \"accuracy\"\nof = { model = \"a\" }\nbelow = 0.5\n";
    let fact = "[test]\nwhat = \"parameters\"\nof = {}\nis = \"constant\"\n";
    let mut claims: Vec<Claim> = (0..12).map(|_| claim("x", below)).collect();
    claims.push(claim("fact", fact));
    let found = decide(&claims, &|_| cells.clone());
    // 12/256 decides, one more would not.
    assert!(
        found[..12].iter().all(|own| own.outcome == Outcome::Supported && close(own.adjusted, 12.0 / 256.0))
    );
    assert_eq!((found[12].p, hopeless(&claims).len()), (None, 0));
    claims.push(claim("x", below));
    let refused = hopeless(&claims);
    assert_eq!(refused.len(), 13);
    // The fact is no test, and nothing is corrected for it.
    let said = "smallest possible p, corrected for the family of 13 tests, is 0.051, above 0.050";
    assert!(refused[0].to_string().contains(said), "{}", refused[0]);
    let found = decide(&claims, &|_| cells.clone());
    assert!(found[..12].iter().all(|own| own.outcome == Outcome::Inconclusive), "{found:?}");
    // What is missing counts in the family all the same.
    let missing = claim("x", "[test]\nwhat = \"accuracy\"\nof = { model = \"c\" }\nbelow = 0.5\n");
    claims[13] = missing;
    assert_eq!(decide(&claims, &|_| cells.clone())[0].outcome, Outcome::Inconclusive);
}

#[test]
fn slopes_distances_and_conditions_are_read_from_profiles() {
    let run = |seed: u64, slope: f64| {
        let mut files = cell("rnn radius=0.5", seed, &[]);
        files.profiles =
            [0, 1, 2, 4, 8].map(|distance| profile(distance, slope * distance as f64, true)).into();
        let theory = |row: &ProfileRow| ProfileRow { wrt: "theory:h:spectral radius".into(), ..row.clone() };
        files.profiles.extend(files.profiles.iter().map(theory).collect::<Vec<_>>());
        files
    };
    let cells: Vec<CellFiles> = (0..8).map(|seed| run(seed, -0.1 - 0.01 * seed as f64)).collect();
    let vanishes = "[test]\nwhat = \"gradient-slope\"\nof = { model = \"rnn radius=0.5\" }\nbelow = 0\n";
    let given = |than: f64| {
        let of = "of = { model = \"rnn radius=0.5\" }\n";
        format!(
            "[[given]]\nwhat = \"gradient-slope\"\nwrt = \"theory:h:spectral radius\"\n{of}below = {than:?}\n{vanishes}"
        )
    };
    let found = only(claim("x", &given(0.0)), &cells);
    assert_eq!((found.outcome, found.unit.as_str()), (Outcome::Supported, "decades a step"));
    assert!((found.effect.unwrap() + 0.135).abs() < 1e-9, "{found:?}");
    // A condition that some run does not meet: the claim is about something else.
    let found = only(claim("x", &given(-0.125)), &cells);
    assert_eq!((found.outcome, found.p), (Outcome::Inconclusive, None));
    assert!(found.notes.iter().any(|note| note.contains("in 3 runs")), "{found:?}");
    let far = "[test]\nwhat = \"gradient-decades\"\ndistance = 8\nof = { model = \"rnn radius=0.5\" }\nbelow = -0.5\n";
    assert!((only(claim("x", far), &cells).effect.unwrap() + 1.08 - 0.5).abs() < 1e-9);
}

#[test]
fn exponents_and_facts_are_of_lengths() {
    let lengths = [64u64, 128, 256, 512, 1024];
    let curve = |model: &str, power: f64, state: fn(u64) -> f64| -> Vec<CellFiles> {
        let timed_at = |(i, length): (usize, &u64)| {
            let wobble = if i.is_multiple_of(2) { 1.01 } else { 0.99 };
            let ns = (1000.0 * wobble * (*length as f64).powf(power)) as u64;
            let labels = [("length", json!(length)), ("batch", json!(1)), ("threads", json!(1))];
            let mut files = timed(model, &labels, rounds("train", 1, &[(*length, ns)]));
            files.cell.facts.insert("state_bytes".into(), state(*length));
            files
        };
        lengths.iter().enumerate().map(timed_at).collect()
    };
    let cells =
        [curve("rnn", 1.0, |_| 512.0), curve("transformer", 2.0, |length| 64.0 * length as f64)].concat();
    let exponent = |model: &str, than: &str| {
        let of = format!("of = {{ model = \"{model}\", batch = 1 }}\n");
        only(claim("x", &format!("[test]\nwhat = \"exponent\"\nmode = \"train\"\n{of}{than}\n")), &cells)
    };
    let linear = exponent("rnn", "below = 1.2");
    assert_eq!(linear.outcome, Outcome::Supported, "{linear:?}");
    assert!((linear.sides[0].values[0].value - 1.0).abs() < 0.02);
    assert_eq!(exponent("transformer", "above = 1.5").outcome, Outcome::Supported);
    assert_eq!(exponent("transformer", "below = 1.5").outcome, Outcome::Refuted);
    assert_eq!(exponent("gru", "below = 1.5").outcome, Outcome::Open);
    let fact = |of: &str, is: &str| {
        let text = format!("[test]\nwhat = \"state_bytes\"\nof = {{ {of} }}\nis = \"{is}\"\n");
        only(claim("x", &text), &cells)
    };
    assert_eq!(fact("model = \"rnn\"", "constant").outcome, Outcome::Supported);
    assert_eq!(fact("model = \"transformer\"", "rising").outcome, Outcome::Supported);
    let all = fact("model = [\"rnn\", \"transformer\"]", "constant");
    assert_eq!(all.outcome, Outcome::Refuted);
    assert!(all.notes.contains(&"not so for transformer".to_owned()), "{all:?}");
}

#[test]
fn a_claim_that_was_not_fixed_before_says_so() {
    let own = sides("by = 0.5");
    let hash = own.hash();
    let with = |hash: &str, count: usize| {
        let mut cells = [runs("a", HIGH), runs("b", LOW)].concat();
        for files in &mut cells[..count] {
            files.cell.provenance.claims.insert("sides".into(), hash.into());
        }
        let found = only(own.clone(), &cells);
        let changed = count > 0 && hash != own.hash();
        assert_eq!(found.outcome, if changed { Outcome::Open } else { Outcome::Supported });
        found.notes
    };
    assert_eq!(with(&hash, 16), [""; 0]);
    assert_eq!(with(&hash, 12), ["written down after 4 of 16 cells ran: not a prediction"]);
    assert_eq!(
        with("0123456789abcdef", 3),
        ["changed after 3 of 16 cells ran, which decide nothing of it: `run --fresh`"]
    );
    // Layout and comments are not what a claim says; a margin is.
    let text = format!(
        "# A comment.\n{HEAD}\n\n[test]\nwhat = \"accuracy\"\nby = 0.5\n\
                        of = {{ lag = 30, model = \"a\" }}\nabove = {{ lag = 30, model = \"b\" }}\n"
    );
    assert_eq!(Claim::parse("sides", "y.toml", &text).unwrap().hash(), hash);
    assert_ne!(sides("by = 0.4").hash(), hash);
    assert_eq!(hash.len(), 16);
}

#[test]
fn what_is_no_claim_is_refused_with_line_and_remedy() {
    let side = "[test]\nwhat = \"accuracy\"\nof = { model = \"a\" }\n";
    for (rest, line, said) in [
        ("[test]\nwhat = \"acuracy\"\nof = {}\nabove = 0.5\n".to_owned(), 4, "give accuracy, extrapolation"),
        (side.to_owned(), 4, "exactly one of `above`, `below` and `is`"),
        (format!("{side}above = 0.5\nbelow = 0.7\n"), 4, "exactly one of"),
        (format!("{side}above = 0.5\nby = 0.1\n"), 4, "put the margin into the number"),
        (format!("{side}abuve = 0.5\n"), 7, "abuve"),
        (format!("seeds = 5\n{side}above = 0.5\n"), 4, "give 8 or more"),
        (format!("seeds = 8\n{side}above = {{ model = \"b\" }}\npaired = true\n"), 4, "give 10 or more"),
        (format!("confidence = 95\n{side}above = 0.5\n"), 4, "from 0.5 to below 1"),
        ("[test]\nwhat = \"gradient-decades\"\nof = {}\nbelow = 0\n".to_owned(), 4, "give `distance`"),
        (
            format!("[[given]]\nwhat = \"solved\"\nof = {{}}\nis = \"constant\"\n{side}above = 0.5\n"),
            4,
            "a condition is about runs",
        ),
        (String::new(), 1, "test"),
    ] {
        let error = Claim::parse("x", "claims/x.toml", &format!("{HEAD}{rest}")).expect_err(&rest);
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("help: "), "{text}");
        assert!(text.contains(&format!("--> claims/x.toml:{line}\n")), "{line}: {text}");
    }
}

#[test]
fn decisions_are_a_table_in_every_form() {
    let cells = [runs("a", HIGH), runs("b", LOW)].concat();
    let decisions = decide(
        &[sides("by = 0.5"), claim("no", "[test]\nwhat = \"solved\"\nof = { model = \"c\" }\nabove = 0.5\n")],
        &|_| cells.clone(),
    );
    let table = claims_table(&decisions);
    let text = table.render(Format::Text);
    assert!(text.contains("supported") && text.contains("open") && text.contains("+0.800"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let csv = table.render(Format::Csv);
    assert!(csv.contains("adjusted_p") && csv.lines().count() == 3, "{csv}");
    for form in [Format::Md, Format::Latex, Format::Json] {
        assert!(table.render(form).contains("A is more than B"));
    }
}
