//! What makes results trustworthy as a whole, as rules that are checked before any table is printed.

use crate::claims::hashes;
use crate::failure::Failure;
use crate::stored::Stored;
use crate::survey::{State, Survey, cells};
use seqbench_core::Registry;
use seqbench_harness::plan::{Experiment, NUMERICS_VERSION};
use seqbench_record::{CellFiles, Scan, Store};
use seqbench_report::claims::Claim;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Version of the rules: changed whenever one is added or decides differently.
pub(crate) const RULES_VERSION: u32 = 3;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gravity {
    /// Nothing was found.
    Ok,
    /// Worth knowing.
    Warning,
    /// Tables of these results would mislead.
    Error,
}

/// What one rule found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// Name of the rule.
    pub(crate) rule: &'static str,
    /// How much it matters.
    pub(crate) gravity: Gravity,
    /// What was found, in a sentence.
    pub(crate) text: String,
}

/// Checks what was read of a results folder against the experiment it keeps and the claims stated now.
pub(crate) fn check(
    folder: &Path,
    scan: &Scan,
    stated: &[Claim],
    registry: &Registry,
) -> Result<Vec<Finding>, Failure> {
    let store = Store::open(folder);
    let Some(stored) = Stored::read(folder)? else {
        return Err(Failure::usage(format!(
            "error: there are no results in {}\nhelp: results are a folder with `cells` in it, made by `seqbench run`",
            folder.display()
        )));
    };
    let experiment = stored.plan(&[], registry)?;
    let planned: BTreeSet<&str> = experiment.cells().map(|cell| cell.id.as_str()).collect();
    let own: Vec<&CellFiles> =
        scan.cells.iter().filter(|files| planned.contains(files.cell.id.as_str())).collect();
    let survey = Survey::of_cells(&experiment, &store, &own)?;
    let count = |state: State| survey.entries.iter().filter(|entry| entry.state == state).count();
    let all = survey.entries.len();
    let damaged = scan.damaged.first().map(|error| format!("{}: {error}", cells(scan.damaged.len())));
    let missing = count(State::Missing);
    Ok(vec![
        finding("whole", Gravity::Error, damaged, "every file is what its digest says"),
        finding(
            "complete",
            Gravity::Error,
            (missing > 0).then(|| format!("{missing} of {} missing", cells(all))),
            &format!("all of {} stand", cells(all)),
        ),
        finding(
            "ended",
            Gravity::Error,
            Some(count(State::Failed))
                .filter(|failed| *failed > 0)
                .map(|failed| format!("{} failed", cells(failed))),
            "no cell failed",
        ),
        finding("seeds", Gravity::Error, seeds(&experiment, &own), "every setting has the same seeds"),
        finding(
            "numerics",
            Gravity::Error,
            numerics(&own),
            &format!("all of numerics version {NUMERICS_VERSION}"),
        ),
        finding(
            "revision",
            Gravity::Warning,
            revisions(&own),
            "made by one revision of the code, without changes",
        ),
        finding(
            "instructions",
            Gravity::Warning,
            several(&own, "instruction sets", |files| &files.cell.provenance.isa),
            "made with one instruction set",
        ),
        finding(
            "stale",
            Gravity::Warning,
            Some(survey.stale.len()).filter(|stale| *stale > 0).map(|stale| {
                format!("{} of no cell of this plan (`clean --stale` removes them)", cells(stale))
            }),
            "nothing of another plan",
        ),
        claims(&hashes(stated, &experiment.name), &own),
    ])
}

/// Claims that have changed since cells of their experiment ran, were not stated then, or are not at hand now.
fn claims(stated: &BTreeMap<String, String>, own: &[&CellFiles]) -> Finding {
    let (mut changed, mut later, mut absent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for files in own {
        let then = &files.cell.provenance.claims;
        for (name, hash) in then {
            match stated.get(name) {
                Some(now) if now != hash => changed.insert(name.as_str()),
                Some(_) => false,
                None => absent.insert(name.as_str()),
            };
        }
        later.extend(stated.keys().map(String::as_str).filter(|name| !then.contains_key(*name)));
    }
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    if !changed.is_empty() {
        let text = format!("changed since cells ran, which decide nothing of it now: {}", list(&changed));
        return finding("claims", Gravity::Error, Some(text), "");
    }
    let text = (!later.is_empty()).then(|| format!("stated after cells ran: {}", list(&later)));
    let fine =
        if stated.is_empty() { "no claim is decided here" } else { "as they were stated when cells ran" };
    let fine = match absent.is_empty() {
        true => fine.to_owned(),
        false => format!("{fine}, but for those that take a --claims to be checked: {}", list(&absent)),
    };
    finding("claims", Gravity::Warning, text, &fine)
}

fn finding(rule: &'static str, gravity: Gravity, found: Option<String>, fine: &str) -> Finding {
    match found {
        Some(text) => Finding { rule, gravity, text },
        None => Finding { rule, gravity: Gravity::Ok, text: fine.to_owned() },
    }
}

/// A setting whose finals stand for fewer seeds than others have.
fn seeds(experiment: &Experiment, own: &[&CellFiles]) -> Option<String> {
    let standing: BTreeSet<&str> = own.iter().map(|files| files.cell.id.as_str()).collect();
    let mut uneven = 0;
    for group in &experiment.groups {
        let there = group.finals.iter().filter(|cell| standing.contains(cell.id.as_str())).count();
        uneven += usize::from(there > 0 && there < group.finals.len());
    }
    (uneven > 0)
        .then(|| format!("{uneven} of {} settings have some of their seeds only", experiment.groups.len()))
}

fn numerics(own: &[&CellFiles]) -> Option<String> {
    let other = own.iter().filter(|files| files.cell.numerics != NUMERICS_VERSION).count();
    (other > 0).then(|| format!("{} of another numerics version than {NUMERICS_VERSION}", cells(other)))
}

fn revisions(own: &[&CellFiles]) -> Option<String> {
    let unclean = |files: &&&CellFiles| {
        let revision = &files.cell.provenance.revision;
        revision.ends_with("-dirty") || revision == "unknown"
    };
    match own.iter().filter(unclean).count() {
        0 => several(own, "revisions", |files| &files.cell.provenance.revision),
        unclean => Some(format!("{} made by code that no revision names", cells(unclean))),
    }
}

/// Several values where there should be one, with how many cells have each.
fn several(own: &[&CellFiles], what: &str, of: impl Fn(&CellFiles) -> &String) -> Option<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    own.iter().for_each(|files| *counts.entry(of(files)).or_default() += 1);
    let named: Vec<String> = counts.iter().map(|(value, count)| format!("{value} ({count})")).collect();
    (counts.len() > 1).then(|| format!("{} {what}: {}", counts.len(), named.join(", ")))
}
