//! What every architecture and every task promises, one contract at a time, for any registry entry: the built-in ones
//! and a person's own. `seqbench verify` and the tests run the same code.
//!
//! A contract never panics and times nothing: a panic inside an entry is one more way to break it.

mod appearance;
mod cost;
mod forms;
mod gradient;
mod learning;
mod robustness;
mod sample;
mod score;
mod split;
mod subject;
mod tensors;

use seqbench_core::config::Value;
use seqbench_core::{AnyArchitecture, AnyTask, Instance};
use std::panic::{AssertUnwindSafe, catch_unwind};
use subject::Subject;

/// One promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Its name.
    pub name: &'static str,
    /// What a failure means to the person who wrote the entry.
    pub meaning: &'static str,
}

/// How one entry, under one configuration, stands to one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The entry's name, with the settings that differ from its defaults.
    pub subject: String,
    /// The contract.
    pub contract: Contract,
    /// Nothing, or what was found instead.
    pub outcome: Result<(), String>,
}

/// What a check found wrong.
pub(crate) struct Fault(String);

impl<E: std::fmt::Display> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault(error.to_string())
    }
}

/// What a check returns.
pub(crate) type Found = Result<(), Fault>;

/// A contract and the code that finds out.
type Check<S> = (Contract, fn(&S) -> Found);

/// Returns with a fault unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {{
        // A comparison with what is not a number is false, and so a fault.
        let holds: bool = $condition;
        if !holds {
            return Err($crate::contracts::Fault::from(format!($($message)+)));
        }
    }};
}
pub(crate) use ensure;

const CONFIGURED: Contract = Contract {
    name: "it builds",
    meaning: "with these settings nothing can be measured: either they do not fit together, or `build` demands \
              something of the width that none of the widths tried here has",
};

/// Every contract of an architecture, under its defaults and under each of `settings`.
pub fn architecture(entry: &'static dyn AnyArchitecture, settings: &[Value]) -> Vec<Verdict> {
    let name = entry.info().name;
    let mut verdicts: Vec<Verdict> = appearance::ARCHITECTURE
        .iter()
        .map(|(contract, check)| verdict(name, *contract, || check(&entry)))
        .collect();
    let defaults = Value::table();
    for settings in std::iter::once(&defaults).chain(settings) {
        let label = label(name, settings);
        let mut built = None;
        verdicts.push(verdict(&label, CONFIGURED, || {
            built = Some(Subject::new(entry, settings)?);
            Ok(())
        }));
        let Some(subject) = built else { continue };
        let groups = [
            forms::CONTRACTS,
            gradient::CONTRACTS,
            robustness::CONTRACTS,
            cost::CONTRACTS,
            learning::CONTRACTS,
        ];
        for (contract, check) in groups.into_iter().flatten() {
            verdicts.push(verdict(&label, *contract, || check(&subject)));
        }
    }
    verdicts
}

/// Every contract of a task of its kind, under its defaults and under each of `settings`.
pub fn task(entry: &'static dyn AnyTask, settings: &[Value]) -> Vec<Verdict> {
    let name = entry.info().name;
    let mut verdicts: Vec<Verdict> =
        appearance::TASK.iter().map(|(contract, check)| verdict(name, *contract, || check(&entry))).collect();
    let defaults = Value::table();
    for settings in std::iter::once(&defaults).chain(settings) {
        let label = label(name, settings);
        let mut built = None;
        verdicts.push(verdict(&label, CONFIGURED, || {
            built = Some(entry.configure(settings)?.0);
            Ok(())
        }));
        match built {
            Some(Instance::Generated(task)) => {
                for (contract, check) in sample::CONTRACTS.iter().chain(score::GENERATED) {
                    verdicts.push(verdict(&label, *contract, || check(&*task)));
                }
            }
            Some(Instance::Finite(task)) => {
                for (contract, check) in split::CONTRACTS.iter().chain(score::FINITE) {
                    verdicts.push(verdict(&label, *contract, || check(&*task)));
                }
            }
            None => {}
        }
    }
    verdicts
}

fn label(name: &str, settings: &Value) -> String {
    match settings.entries() {
        Some([]) | None => name.to_owned(),
        Some(_) => format!("{name} {}", settings.to_json()),
    }
}

fn verdict(subject: &str, contract: Contract, check: impl FnOnce() -> Found) -> Verdict {
    let outcome = match catch_unwind(AssertUnwindSafe(check)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Fault(message))) => Err(message),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text =
                text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message");
            Err(format!("it panicked: {text}"))
        }
    };
    Verdict { subject: subject.to_owned(), contract, outcome }
}
