//! `seqbench check`: whether results are whole, complete and of one kind.

use crate::arguments::Check;
use crate::check::{Gravity, RULES_VERSION, check};
use crate::claims::{built_in, read, stem};
use crate::failure::{Failure, Outcome};
use crate::stored::Stored;
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_record::Store;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Prints what each rule found; an error of any is exit code 1.
pub(crate) fn run(arguments: &Check, registry: &Registry) -> Outcome {
    let mut stated = built_in()?;
    for path in &arguments.claims {
        stated.push(read(path)?);
    }
    let own = stated.len() - arguments.claims.len();
    let mut experiments: BTreeSet<String> = BTreeSet::new();
    let mut failed = false;
    let mut objects: Vec<Value> = Vec::new();
    for folder in &arguments.results {
        let scan = Store::open(folder).scan().context("cannot read the results")?;
        let findings = check(folder, &scan, &stated, registry)?;
        experiments.extend(Stored::read(folder)?.map(|stored| stored.source.name));
        failed |= findings.iter().any(|finding| finding.gravity == Gravity::Error);
        if arguments.json {
            objects.push(json!({ "folder": folder.display().to_string(), "findings": findings }));
            continue;
        }
        let mut lines = vec![format!("{} (rules version {RULES_VERSION})", folder.display())];
        lines.extend(findings.iter().map(|finding| {
            let word = match finding.gravity {
                Gravity::Ok => "ok",
                Gravity::Warning => "warning",
                Gravity::Error => "error",
            };
            format!("  {word:8} {:13} {}", finding.rule, finding.text)
        }));
        terminal::print(&lines.join("\n"));
    }
    if arguments.json {
        terminal::print(&format!("{:#}", json!({ "rules_version": RULES_VERSION, "results": objects })));
    }
    for (claim, path) in stated[own..].iter().zip(&arguments.claims) {
        if !experiments.contains(&stem(&claim.experiment)) {
            terminal::note(&format!(
                "warning: {path} was held against nothing: `{}` decides it, and none of these folders is of that",
                claim.experiment
            ));
        }
    }
    if failed { Err(Failure::Incomplete) } else { Ok(()) }
}
