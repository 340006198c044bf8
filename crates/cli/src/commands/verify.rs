//! `seqbench verify`: every contract once, for everything in the registry or for one entry. Nothing is timed.

use crate::arguments::Verify;
use crate::failure::{Failure, Outcome};
use crate::terminal;
use seqbench_core::Registry;
use seqbench_core::config::ConfigError;
use seqbench_harness::contracts::{self, Verdict};
use serde_json::{Value, json};

/// Prints a line for each contract and a summary.
pub(crate) fn run(arguments: &Verify, registry: &Registry) -> Outcome {
    let subjects = chosen(arguments.name.as_deref(), registry)?;
    let mut verdicts = Vec::new();
    for subject in subjects {
        let found = subject();
        if !arguments.json && !found.iter().all(|verdict| terminal::print(&line(verdict))) {
            // Nobody reads any more.
            return Ok(());
        }
        verdicts.extend(found);
    }
    let failed = verdicts.iter().filter(|verdict| verdict.outcome.is_err()).count();
    let passed = verdicts.len() - failed;
    if arguments.json {
        let verdicts: Vec<Value> = verdicts.iter().map(to_json).collect();
        let object = json!({"passed": passed, "failed": failed, "verdicts": verdicts});
        terminal::print(&format!("{object:#}"));
    } else {
        terminal::print(&format!("{passed} passed, {failed} failed"));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Incomplete) }
}

type Subject = Box<dyn Fn() -> Vec<Verdict>>;

fn chosen(name: Option<&str>, registry: &Registry) -> Result<Vec<Subject>, Failure> {
    let wanted = |own: &str| name.is_none_or(|name| name == own);
    let mut subjects: Vec<Subject> = Vec::new();
    for entry in registry.architectures().iter().copied().filter(|entry| wanted(entry.info().name)) {
        subjects.push(Box::new(move || contracts::architecture(entry, &[])));
    }
    for entry in registry.tasks().iter().copied().filter(|entry| wanted(entry.info().name)) {
        subjects.push(Box::new(move || contracts::task(entry, &[])));
    }
    match name {
        Some(name) if subjects.is_empty() => {
            let architectures = registry.architectures().iter().map(|entry| entry.info().name);
            let known = architectures.chain(registry.tasks().iter().map(|entry| entry.info().name));
            let error = ConfigError::unknown("architecture or task", name, known, None);
            Err(Failure::usage(format!("error: {error}")))
        }
        _ => Ok(subjects),
    }
}

fn line(verdict: &Verdict) -> String {
    let Verdict { subject, contract, outcome } = verdict;
    match outcome {
        Ok(()) => format!("pass  {subject}: {}", contract.name),
        Err(found) => format!("FAIL  {subject}: {} — {}; found: {found}", contract.name, contract.meaning),
    }
}

fn to_json(verdict: &Verdict) -> Value {
    json!({
        "subject": verdict.subject,
        "contract": verdict.contract.name,
        "meaning": verdict.contract.meaning,
        "passed": verdict.outcome.is_ok(),
        "found": verdict.outcome.as_ref().err(),
    })
}
