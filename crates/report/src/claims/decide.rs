//! From claims and results to decisions: one test a claim, corrected over the family.

use super::definition::{Condition, Direction, Filter, Test};
use super::quantity::Quantity;
use super::select::{passes, side, words};
use super::{Claim, Decision, Outcome, Side};
use crate::statistics::{
    Alternative, Interval, holm, mean, paired_sign_flip, permutation, seeds_needed, sign_test,
    smallest_flip_p, smallest_p, standard_deviation, student_quantile, student_tail, t_interval, welch,
};
use crate::summary::{Scaling, summarise};
use seqbench_record::CellFiles;
use std::collections::BTreeMap;
use std::fmt;

/// Power at which the seeds needed are given.
const POWER: f64 = 0.8;

/// A claim, and the p-values of its test and of the test the other way round; none where no chance is in it.
struct Found {
    decision: Decision,
    p: Option<[f64; 2]>,
    /// The difference to beat and the deviation about it, to say how many seeds would do.
    effect: Option<(f64, f64)>,
}

/// Decides claims as one family: every p is corrected by Holm (1979) over all claims that have one, whatever is missing
/// counting as 1. `read` gives the cells of an experiment.
pub fn decide(claims: &[Claim], read: &dyn Fn(&str) -> Vec<CellFiles>) -> Vec<Decision> {
    let mut experiments: BTreeMap<&str, Vec<CellFiles>> = BTreeMap::new();
    for claim in claims {
        experiments.entry(&claim.experiment).or_insert_with(|| read(&claim.experiment));
    }
    let found: Vec<Found> =
        claims.iter().map(|claim| examine(claim, &experiments[claim.experiment.as_str()])).collect();
    let has_chance: Vec<bool> = claims.iter().map(|claim| claim.smallest_p().is_some()).collect();
    // Both ways of every test are of the family's size: they exclude each other.
    let adjusted = |way: usize| {
        let family: Vec<f64> = found
            .iter()
            .zip(&has_chance)
            .filter(|(_, chance)| **chance)
            .map(|(found, _)| found.p.map_or(1.0, |p| p[way]))
            .collect();
        let mut adjusted = holm(&family).into_iter();
        has_chance
            .iter()
            .map(|chance| chance.then(|| adjusted.next()).flatten())
            .collect::<Vec<Option<f64>>>()
    };
    let (ahead, back) = (adjusted(0), adjusted(1));
    let settle = |(i, found): (usize, Found)| {
        let Found { mut decision, p, effect } = found;
        let Some(p) = p else { return decision };
        let alpha = 1.0 - decision.confidence;
        let (own, other) = (ahead[i].unwrap_or(1.0), back[i].unwrap_or(1.0));
        // 1 − 0.95 is a little more than 0.05, and a p of 0.05 decides.
        let decides = |p: f64| p <= alpha * (1.0 + 1e-9);
        decision.outcome = match (decides(own), decides(other)) {
            (true, _) => Outcome::Supported,
            (_, true) => Outcome::Refuted,
            _ => Outcome::Inconclusive,
        };
        (decision.p, decision.adjusted) = (Some(p[0]), ahead[i]);
        if decision.outcome == Outcome::Inconclusive
            && let Some((difference, deviation)) = effect
        {
            decision.seeds_needed = seeds_needed(difference, deviation, alpha, POWER, Alternative::Greater);
        }
        decision
    };
    found.into_iter().enumerate().map(settle).collect()
}

/// A claim whose test could not reach its threshold however clear the results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hopeless<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// The smallest p that its design allows, times the number of tests: above one minus its confidence.
    pub p: f64,
    /// Tests of the family. A claim that no chance is in has none.
    pub tests: usize,
}

impl fmt::Display for Hopeless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hopeless { claim, p, tests } = self;
        write!(
            f,
            "claim `{}` cannot be decided: its smallest possible p, corrected for the family of {tests} tests, is {p:.3}, above \
             {:.3}",
            claim.name,
            1.0 - claim.confidence
        )
    }
}

/// Claims that cannot be decided in this family.
pub fn hopeless(claims: &[Claim]) -> Vec<Hopeless<'_>> {
    let tests = claims.iter().filter(|claim| claim.smallest_p().is_some()).count();
    let of = |claim| Some(Hopeless { claim, p: Claim::smallest_p(claim)? * tests as f64, tests });
    claims.iter().filter_map(of).filter(|own| own.p > 1.0 - own.claim.confidence).collect()
}

impl Claim {
    /// The smallest p that its design allows; none where no chance is in it.
    pub fn smallest_p(&self) -> Option<f64> {
        let n = self.seeds;
        match &self.test {
            Test::Sides { paired: false, .. } => Some(smallest_p(n, n, Alternative::Greater)),
            Test::Sides { paired: true, .. } | Test::Number { .. } => {
                Some(smallest_flip_p(n, Alternative::Greater))
            }
            Test::Exponent { .. } => Some(0.0),
            Test::Fact { .. } => None,
        }
    }

    /// The test in words.
    pub fn test_in_words(&self) -> String {
        match &self.test {
            Test::Sides { quantity, of, direction, than, by, paired } => {
                let by = if *by > 0.0 { format!(" by more than {by}") } else { String::new() };
                let how = if *paired { "paired by seed, exact sign flips" } else { "exact permutation test" };
                format!("{quantity}: {} {direction} {}{by} ({how})", words(of), words(than))
            }
            Test::Number { quantity, of, direction, than } => {
                format!("{quantity}: {} {direction} {than} (exact sign test)", words(of))
            }
            Test::Exponent { mode, of, direction, than } => {
                format!(
                    "exponent of time against length, {mode}, {}: {direction} {than} (t test of the slope)",
                    words(of)
                )
            }
            Test::Fact { fact, of, rises } => {
                let how =
                    if *rises { "rises with length for every model" } else { "is the same at every length" };
                format!("{}: {fact} {how} (no chance in it)", words(of))
            }
        }
    }
}

fn open(claim: &Claim) -> Decision {
    let (margin, unit) = match &claim.test {
        Test::Sides { quantity, by, .. } => (*by, quantity.unit()),
        Test::Number { quantity, .. } => (0.0, quantity.unit()),
        Test::Exponent { .. } | Test::Fact { .. } => (0.0, ""),
    };
    Decision {
        name: claim.name.clone(),
        claim: claim.claim.clone(),
        source: claim.source.clone(),
        experiment: claim.experiment.clone(),
        outcome: Outcome::Open,
        test: claim.test_in_words(),
        sides: Vec::new(),
        effect: None,
        interval: None,
        unit: unit.into(),
        margin,
        confidence: claim.confidence,
        p: None,
        adjusted: None,
        seeds_needed: None,
        notes: Vec::new(),
    }
}

fn examine(claim: &Claim, cells: &[CellFiles]) -> Found {
    let mut decision = open(claim);
    let (note, changed) = registration(claim, cells);
    decision.notes.extend(note);
    if changed {
        // What was found may be why it was changed.
        return Found { decision, p: None, effect: None };
    }
    let examined = match &claim.test {
        Test::Sides { quantity, of, direction, than, by, paired } => {
            let asked = Asked { claim, quantity, of, direction: *direction, cells };
            asked.against_side(than, *by, *paired, &mut decision)
        }
        Test::Number { quantity, of, direction, than } => {
            let asked = Asked { claim, quantity, of, direction: *direction, cells };
            asked.against_number(*than, &mut decision)
        }
        Test::Exponent { mode, of, direction, than } => {
            exponent(mode, of, *direction, *than, cells, &mut decision)
        }
        Test::Fact { fact, of, rises } => {
            super::facts::fact(fact, of, *rises, cells, &mut decision).map(|()| (None, None))
        }
    };
    let (mut p, mut effect) = examined.unwrap_or_else(|why| {
        decision.notes.push(why);
        (None, None)
    });
    for condition in &claim.given {
        if let Some(broken) = breaks(claim, condition, cells) {
            decision.notes.push(broken);
            // What the claim is about is not what was run: nothing is shown either way.
            if decision.outcome != Outcome::Open || p.is_some() {
                decision.outcome = Outcome::Inconclusive;
            }
            (p, effect) = (None, None);
        }
    }
    Found { decision, p, effect }
}

type Examined = Result<(Option<[f64; 2]>, Option<(f64, f64)>), String>;

/// The two p-values as seen from the claim's direction.
fn ways(direction: Direction, p: impl Fn(Alternative) -> Option<f64>) -> Result<[f64; 2], String> {
    let (own, other) = match direction {
        Direction::Above => (Alternative::Greater, Alternative::Less),
        Direction::Below => (Alternative::Less, Alternative::Greater),
    };
    match (p(own), p(other)) {
        (Some(own), Some(other)) => Ok([own, other]),
        _ => Err("a value is not finite".into()),
    }
}

/// What a claim about runs asks, and of which cells.
struct Asked<'a> {
    claim: &'a Claim,
    quantity: &'a Quantity,
    of: &'a Filter,
    direction: Direction,
    cells: &'a [CellFiles],
}

impl Asked<'_> {
    fn side(&self, filter: &Filter) -> Result<Side, String> {
        side(self.claim, filter, self.quantity, self.cells)
    }

    fn against_side(&self, than: &Filter, by: f64, paired: bool, decision: &mut Decision) -> Examined {
        let (own, other) = (self.side(self.of)?, self.side(than)?);
        let (a, b) = (plain(&own), plain(&other));
        let margin = if self.direction == Direction::Above { by } else { -by };
        let p = ways(self.direction, |alternative| {
            let test = if paired { paired_sign_flip } else { permutation };
            test(&a, &b, margin, alternative).map(|tested| tested.p)
        })?;
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        let level = self.claim.confidence;
        decision.effect = mean(&differences);
        decision.interval = if paired { t_interval(&differences, level) } else { welch(&a, &b, level) };
        let pooled = |values: &[f64]| standard_deviation(values).unwrap_or(0.0).powi(2);
        let deviation = ((pooled(&a) + pooled(&b)) / 2.0).sqrt();
        let effect = decision.effect.map(|effect| (effect - margin, deviation)).filter(|_| !paired);
        decision.sides = vec![own, other];
        Ok((Some(p), effect))
    }

    fn against_number(&self, than: f64, decision: &mut Decision) -> Examined {
        let own = self.side(self.of)?;
        let values = plain(&own);
        let p = ways(self.direction, |alternative| sign_test(&values, than, alternative))?;
        decision.effect = mean(&values).map(|mean| mean - than);
        decision.interval = t_interval(&values, self.claim.confidence)
            .map(|interval| Interval { low: interval.low - than, high: interval.high - than });
        decision.sides = vec![own];
        Ok((Some(p), None))
    }
}

fn exponent(
    mode: &str,
    of: &Filter,
    direction: Direction,
    than: f64,
    cells: &[CellFiles],
    decision: &mut Decision,
) -> Examined {
    let own: Vec<CellFiles> =
        cells.iter().filter(|files| !files.timings.is_empty() && passes(&files.cell, of)).cloned().collect();
    let scalings = summarise(&own).scalings;
    let fits: Vec<&Scaling> = scalings.iter().filter(|scaling| scaling.mode == mode).collect();
    let [fit] = fits[..] else {
        return Err(match fits.len() {
            0 => format!("no curve of `{}` in mode {mode} has lengths enough to fit", words(of)),
            several => {
                format!("`{}` fits {several} curves: say more of it, such as batch and threads", words(of))
            }
        });
    };
    let growth = &fit.growth;
    let error = growth.exponent_error.ok_or("too few lengths to say how sure the exponent is")?;
    let freedom = growth.points as f64 - 2.0;
    let t = (growth.exponent - than) / error;
    let p = ways(direction, |alternative| {
        student_tail(if alternative == Alternative::Greater { t } else { -t }, freedom)
    })?;
    let half = student_quantile(0.5 + decision.confidence / 2.0, freedom).map(|quantile| quantile * error);
    let effect = growth.exponent - than;
    decision.effect = Some(effect);
    decision.interval = half.map(|half| Interval { low: effect - half, high: effect + half });
    decision.sides = vec![Side {
        name: words(of),
        values: vec![crate::statistics::SeedValue { seed: 0, value: growth.exponent }],
        cells: own.iter().map(|files| files.cell.id.clone()).collect(),
    }];
    decision.notes.push(format!(
        "fitted to {} lengths from {} to {}",
        growth.points, growth.from_length, growth.to_length
    ));
    Ok((Some(p), None))
}

/// Where a condition does not hold.
fn breaks(claim: &Claim, condition: &Condition, cells: &[CellFiles]) -> Option<String> {
    let Condition { quantity, of, direction, than } = condition;
    let own = match side(claim, of, quantity, cells) {
        Ok(own) => own,
        Err(why) => return Some(why),
    };
    let holds = |value: f64| match direction {
        Direction::Above => value > *than,
        Direction::Below => value < *than,
    };
    let broken = plain(&own).into_iter().filter(|value| !holds(*value)).count();
    (broken > 0).then(|| {
        format!(
            "not what the claim is about: {quantity} of {} is not {direction} {than} in {broken} runs",
            words(of)
        )
    })
}

fn plain(side: &Side) -> Vec<f64> {
    side.values.iter().map(|seed| seed.value).collect()
}

/// What is to be said of when the claim was fixed, and whether it has changed since.
fn registration(claim: &Claim, cells: &[CellFiles]) -> (Option<String>, bool) {
    let hash = claim.hash();
    let recorded: Vec<Option<&String>> =
        cells.iter().map(|files| files.cell.provenance.claims.get(&claim.name)).collect();
    let later = recorded.iter().filter(|own| own.is_none()).count();
    let changed = recorded.iter().flatten().filter(|own| ***own != hash).count();
    let all = cells.len();
    let note = match (later, changed) {
        (0, 0) => None,
        (_, 0) => Some(format!("written down after {later} of {all} cells ran: not a prediction")),
        _ => Some(format!(
            "changed after {changed} of {all} cells ran, which decide nothing of it: `run --fresh`"
        )),
    };
    (note, changed > 0)
}
