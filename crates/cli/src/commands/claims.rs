//! `seqbench claims`: what results say of sentences from a lecture or a paper, by tests fixed before the results were.

use crate::arguments::{Claims, FailOn};
use crate::claims::{family, stem};
use crate::commands::run::{cells_of, complete};
use crate::failure::{Failure, Outcome};
use crate::stored::Stored;
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_record::{CellFiles, Store};
use seqbench_report::claims::{self, Claim, Decision, decide};
use seqbench_report::table::claims_table;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Runs what is missing, unless results are given, and prints one row a claim.
pub(crate) fn run(arguments: &Claims, quiet: bool, registry: &Registry) -> Outcome {
    let (claims, shown) = family(&arguments.claims)?;
    let decisions: Vec<Decision> = match &arguments.results {
        Some(folder) => decisions(&claims, folder, registry)?,
        None => {
            let mut folders = BTreeMap::new();
            for claim in claims.iter().filter(|claim| shown.contains(&claim.name)) {
                if !folders.contains_key(claim.experiment.as_str()) {
                    let folder = complete(&claim.experiment, arguments.jobs, &claims, quiet, registry)?;
                    folders.insert(claim.experiment.as_str(), folder);
                }
            }
            // Of the rest of the family what stands is read.
            decide_in(&claims, registry, |experiment| {
                let default = Path::new("runs").join(stem(experiment));
                Ok(folders
                    .get(experiment)
                    .cloned()
                    .or_else(|| default.join("cells").is_dir().then_some(default)))
            })?
        }
    };
    let own: Vec<Decision> =
        decisions.into_iter().filter(|decision| shown.contains(&decision.name)).collect();
    terminal::print(claims_table(&own).render(arguments.format.into()).trim_end());
    let fails = |decision: &Decision| match decision.outcome {
        claims::Outcome::Open => true,
        claims::Outcome::Refuted => true,
        claims::Outcome::Inconclusive => arguments.fail_on == FailOn::Inconclusive,
        claims::Outcome::Supported => false,
    };
    if own.iter().any(fails) { Err(Failure::Incomplete) } else { Ok(()) }
}

/// Decides claims by what lies in a folder of results folders: `DIR/<experiment>`, or the one machine's below it.
fn decisions(claims: &[Claim], folder: &Path, registry: &Registry) -> Result<Vec<Decision>, Failure> {
    decide_in(claims, registry, |experiment| below(&folder.join(stem(experiment))))
}

/// Decides claims, each by the results folder that `find` gives for its experiment, or none.
fn decide_in(
    claims: &[Claim],
    registry: &Registry,
    find: impl Fn(&str) -> Result<Option<PathBuf>, Failure>,
) -> Result<Vec<Decision>, Failure> {
    let mut cells: BTreeMap<String, Vec<CellFiles>> = BTreeMap::new();
    for claim in claims {
        if !cells.contains_key(&claim.experiment) {
            let read = match find(&claim.experiment)? {
                Some(folder) => read(&folder, registry)?,
                None => Vec::new(),
            };
            cells.insert(claim.experiment.clone(), read);
        }
    }
    Ok(decide(claims, &|experiment| cells.get(experiment).cloned().unwrap_or_default()))
}

/// The results folder there is; none where nothing is.
fn below(folder: &Path) -> Result<Option<PathBuf>, Failure> {
    if folder.join("cells").is_dir() {
        return Ok(Some(folder.to_owned()));
    }
    let mut machines: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    machines.retain(|path| path.join("cells").is_dir());
    machines.sort();
    match &machines[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        several => Err(Failure::usage(format!(
            "error: {} holds results of {} machines\nhelp: give --results a folder with those of one",
            folder.display(),
            several.len()
        ))),
    }
}

/// The cells of the experiment that a folder keeps; what an earlier version of it left there takes no part.
pub(crate) fn read(folder: &Path, registry: &Registry) -> Result<Vec<CellFiles>, Failure> {
    let store = Store::open(folder);
    match Stored::read(folder)? {
        Some(stored) => cells_of(&stored.plan(&[], registry)?, &store),
        None => {
            let scan = store.scan().with_context(|| format!("cannot read {}", folder.display()))?;
            Ok(scan.cells)
        }
    }
}
