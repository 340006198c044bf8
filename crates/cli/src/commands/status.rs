//! `seqbench status`: what stands of experiments, what is missing, and how long it will take. Reads only.

use crate::arguments::Status;
use crate::experiments::{self, EMBEDDED, Source};
use crate::failure::{Failure, Outcome};
use crate::stored::{Stored, name_of};
use crate::survey::{Fate, State, Survey, Wish, cells, lines, purpose, time};
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_core::config::nearest;
use seqbench_harness::plan::{self, Experiment, Shard};
use seqbench_record::{Purpose, Store};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where runs keep their results.
const RUNS: &str = "runs";

/// An experiment and its folder. No plan where nobody says what the folder is of.
struct Subject {
    name: String,
    folder: PathBuf,
    plan: Option<Experiment>,
}

/// Prints where each experiment stands.
pub(crate) fn run(arguments: &Status, registry: &Registry) -> Outcome {
    let subjects = if arguments.subjects.is_empty() {
        all(registry)?
    } else {
        let found = arguments.subjects.iter().map(|argument| find(argument, registry));
        found.collect::<Result<Vec<_>, _>>()?
    };
    let mut objects = Vec::new();
    for subject in &subjects {
        let survey = match &subject.plan {
            Some(plan) => Some(Survey::of(plan, &Store::open(&subject.folder), Wish::default())?),
            None => None,
        };
        if arguments.json {
            objects.push(object(subject, survey.as_ref()));
        } else if let Some(shards) = arguments.shards {
            let wanting =
                subject.plan.iter().map(|plan| wanting_shards(plan, &subject.folder, shards as usize));
            if !wanting
                .collect::<Result<Vec<_>, _>>()?
                .iter()
                .all(|line| line.is_empty() || terminal::print(line))
            {
                break;
            }
        } else if arguments.missing {
            let mut wanting = survey.iter().flat_map(|survey| survey.wanting());
            if !wanting.all(|entry| terminal::print(&entry.cell.id)) {
                break;
            }
        } else if !terminal::print(&text(subject, survey.as_ref())) {
            break;
        }
    }
    if arguments.json {
        terminal::print(&format!("{:#}", json!({ "experiments": objects })));
    } else if subjects.is_empty() && !arguments.missing {
        terminal::print(&format!("nothing has run: there is no results folder in {RUNS}"));
    }
    Ok(())
}

/// Numbers of the shards that have something missing, separated by commas.
fn wanting_shards(plan: &Experiment, folder: &Path, shards: usize) -> Result<String, Failure> {
    let mut numbers: Vec<String> = Vec::new();
    for (number, shard) in Shard::all(shards).enumerate() {
        let part = plan.clone().shard(shard);
        if Survey::of(&part, &Store::open(folder), Wish::default())?.wanting().next().is_some() {
            numbers.push(number.to_string());
        }
    }
    Ok(numbers.join(","))
}

/// Every folder of results below `runs`. One that cannot be understood is named, and hides no other.
fn all(registry: &Registry) -> Result<Vec<Subject>, Failure> {
    let mut folders = Vec::new();
    if Path::new(RUNS).is_dir() {
        let context = || format!("cannot list {RUNS}");
        for entry in std::fs::read_dir(RUNS).with_context(context)? {
            let folder = entry.with_context(context)?.path();
            if folder.join("experiment.toml").is_file() || folder.join("cells").is_dir() {
                folders.push(folder);
            }
        }
    }
    folders.sort();
    let mut subjects = Vec::new();
    for folder in folders {
        match of_folder(&folder, registry) {
            Ok(subject) => subjects.push(subject),
            Err(Failure::Usage(message)) => {
                let message = message.strip_prefix("error: ").unwrap_or(&message);
                terminal::note(&format!("warning: {}: {message}", folder.display()));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(subjects)
}

/// What an argument means: an experiment as `run` would find it, or a results folder, itself or below `runs`.
fn find(argument: &str, registry: &Registry) -> Result<Subject, Failure> {
    let path = Path::new(argument);
    let below = Path::new(RUNS).join(argument);
    if !path.is_dir() && (path.is_file() || EMBEDDED.iter().any(|(name, _)| *name == argument)) {
        let source = experiments::find(argument)?;
        let folder = Path::new(RUNS).join(&source.name);
        return of_source(&source, folder, registry);
    }
    for folder in [path, &below] {
        if folder.is_dir() {
            return of_folder(folder, registry);
        }
    }
    let is_path = path.components().count() > 1 && path.extension().is_none();
    if is_path {
        let name = name_of(path);
        return match EMBEDDED.iter().any(|(own, _)| *own == name) {
            true => of_source(&experiments::find(&name)?, path.to_owned(), registry),
            false => Ok(Subject { name, folder: path.to_owned(), plan: None }),
        };
    }
    Err(unknown(argument))
}

fn unknown(argument: &str) -> Failure {
    let mut names: Vec<String> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
    for entry in std::fs::read_dir(RUNS).into_iter().flatten().flatten() {
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    let near = nearest(argument, names.iter().map(String::as_str));
    let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Failure::usage(format!(
        "error: `{argument}` is no experiment and no results folder, here or in {RUNS}\n\
         help: `status` alone shows all that ran here, `list experiments` what is built in{hint}"
    ))
}

/// A results folder, by the experiment that it keeps.
fn of_folder(folder: &Path, registry: &Registry) -> Result<Subject, Failure> {
    let (name, folder) = (name_of(folder), folder.to_owned());
    let plan = match Stored::read(&folder)? {
        Some(stored) => Some(stored.plan(&[], registry)?),
        None => None,
    };
    Ok(Subject { name, folder, plan })
}

fn of_source(source: &Source, folder: PathBuf, registry: &Registry) -> Result<Subject, Failure> {
    let plan = plan::plan(&source.name, &source.path, &source.text, registry, &[])
        .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Subject { name: source.name.clone(), folder, plan: Some(plan) })
}

fn text(subject: &Subject, survey: Option<&Survey<'_>>) -> String {
    let heading = format!("{} ({})", subject.name, subject.folder.display());
    let Some(survey) = survey else { return format!("{heading}: nothing has run") };
    let (all, wanting) = (survey.entries.len(), survey.wanting().count());
    let nothing = !subject.folder.join("cells").is_dir();
    let standing = match (nothing, wanting) {
        (true, _) => format!("nothing has run of {}", cells(all)),
        (false, 0) => format!("complete, {}", cells(all)),
        (false, wanting) => format!("{} of {} stand", all - wanting, cells(all)),
    };
    let mut said = vec![format!("{heading}: {standing}")];
    said.extend(lines(&survey.counts()));
    let forecast = survey.forecast();
    if survey.number(Fate::Runs) > 0 {
        said.push(format!("left:   about {} of one core, {}", time(forecast.corrected), forecast.basis()));
    }
    if !survey.unfinished.is_empty() {
        said.push(format!(
            "kept:   {} as far as it came, from where a run goes on",
            cells(survey.unfinished.len())
        ));
    }
    let too_long = survey.number(Fate::Skipped);
    if too_long > 0 {
        said.push(format!("{} will be skipped as too long", cells(too_long)));
    }
    if !nothing {
        said.push(format!("spent:  {}", time(survey.spent())));
    }
    if !survey.stale.is_empty() {
        said.push(format!("stale:  {} in the folder, of no cell of this plan", survey.stale.len()));
    }
    said.extend(survey.damage.iter().map(|damage| format!("damage: {damage}")));
    said.join("\n  ")
}

fn object(subject: &Subject, survey: Option<&Survey<'_>>) -> Value {
    let head = json!({ "experiment": subject.name, "folder": subject.folder.display().to_string() });
    let (Value::Object(mut object), Some(survey)) = (head.clone(), survey) else { return head };
    let counts = survey.counts();
    let number = |own, state| counts.get(&own).and_then(|states| states.get(&state)).copied().unwrap_or(0);
    let of = |own| -> Value {
        State::ALL.iter().map(|state| (state.name().to_owned(), Value::from(number(own, *state)))).collect()
    };
    let split: Value = [Purpose::Trial, Purpose::Final, Purpose::Timing]
        .into_iter()
        .map(|own| (purpose(own).to_owned(), of(own)))
        .collect();
    let wanting: Vec<&str> = survey.wanting().map(|entry| entry.cell.id.as_str()).collect();
    let forecast = survey.forecast();
    let facts = json!({
        "cells": survey.entries.len(), "complete": wanting.is_empty(), "counts": split, "wanting": wanting,
        "stale": survey.stale, "unfinished": survey.unfinished, "damage": survey.damage, "to_run": survey.number(Fate::Runs),
        "predicted_seconds_left": forecast.predicted, "corrected_seconds_left": forecast.corrected,
        "corrected_by_cells": forecast.taught_by, "wall_seconds_spent": survey.spent(),
    });
    if let Value::Object(facts) = facts {
        object.extend(facts);
    }
    Value::Object(object)
}
