//! `seqbench list`: what there is to run, and the page of each.

use crate::arguments::{Kind, List, Subject};
use crate::experiments::EMBEDDED;
use crate::failure::{Failure, Outcome};
use crate::pages;
use crate::terminal;
use seqbench_core::config::ConfigError;
use seqbench_core::{AnyTask, Registry, TaskInfo};
use seqbench_harness::plan;
use serde_json::{Value, json};

/// Prints architectures, tasks and experiments, or the page of one of them.
pub(crate) fn run(arguments: &List, registry: &Registry) -> Outcome {
    let kind = match &arguments.what {
        Some(Subject::Name(name)) => return one(name, arguments.json, registry),
        Some(Subject::Kind(kind)) => Some(*kind),
        None => None,
    };
    let wanted = |own| kind.is_none_or(|kind| kind == own);
    let sections = [
        (Kind::Models, "models", "Architectures", models(registry)),
        (Kind::Tasks, "tasks", "Tasks", tasks(registry)),
        (Kind::Experiments, "experiments", "Experiments", experiments(registry)),
    ];
    let chosen: Vec<_> = sections.into_iter().filter(|(kind, ..)| wanted(*kind)).collect();
    if arguments.json {
        let object: serde_json::Map<_, _> =
            chosen.into_iter().map(|(_, key, _, entries)| (key.to_owned(), Value::from(entries))).collect();
        terminal::print(&format!("{:#}", Value::from(object)));
        return Ok(());
    }
    for (_, _, title, entries) in chosen {
        terminal::print(&section(title, &entries));
    }
    Ok(())
}

/// Prints the page of an architecture or a task, or the file of a built-in experiment.
fn one(name: &str, json: bool, registry: &Registry) -> Outcome {
    let architecture = registry.architectures().iter().find(|entry| entry.info().name == name);
    let task = registry.tasks().iter().find(|entry| entry.info().name == name);
    let experiment = EMBEDDED.iter().find(|(own, _)| *own == name);
    let (kind, entries, page) = match (architecture, task, experiment) {
        (Some(entry), ..) => ("models", models(registry), pages::architecture(*entry)),
        (_, Some(entry), _) => ("tasks", tasks(registry), pages::task(*entry)),
        (.., Some((_, text))) => ("experiments", experiments(registry), (*text).to_owned()),
        (None, None, None) => {
            let kinds = ["models", "tasks", "experiments"].into_iter();
            let architectures = registry.architectures().iter().map(|entry| entry.info().name);
            let tasks = registry.tasks().iter().map(|entry| entry.info().name);
            let known = kinds.chain(architectures).chain(tasks).chain(EMBEDDED.iter().map(|(name, _)| *name));
            let error = ConfigError::unknown("kind or name", name, known, None);
            return Err(Failure::usage(format!("error: {error}")));
        }
    };
    if !json {
        terminal::print(page.trim_end());
        return Ok(());
    }
    let mut entries: Vec<Value> = entries.into_iter().filter(|entry| entry["name"] == name).collect();
    for entry in &mut entries {
        entry["text"] = page.clone().into();
    }
    terminal::print(&format!("{:#}", json!({ kind: entries })));
    Ok(())
}

/// The committed page of a built-in task. One's own has none, and neither has one that took a built-in one's name.
fn page(info: &TaskInfo) -> Option<String> {
    let own = |entry: &&dyn AnyTask| {
        entry.info().name == info.name && entry.info().documentation == info.documentation
    };
    crate::builtin_tasks().iter().any(own).then(|| format!("docs/tasks/{}.md", info.name))
}

fn models(registry: &Registry) -> Vec<Value> {
    let entry = |entry: &&dyn seqbench_core::AnyArchitecture| {
        let info = entry.info();
        json!({
            "name": info.name, "title": info.title, "summary": info.summary, "source": info.citation,
            "deviations": info.deviations, "defaults": entry.defaults(),
        })
    };
    registry.architectures().iter().map(entry).collect()
}

fn tasks(registry: &Registry) -> Vec<Value> {
    let entry = |entry: &&dyn seqbench_core::AnyTask| {
        let info = entry.info();
        json!({
            "name": info.name, "title": info.title, "summary": info.summary, "separates": info.separates,
            "source": info.citation, "deviations": info.deviations, "defaults": entry.defaults(),
            "page": page(info),
        })
    };
    registry.tasks().iter().map(entry).collect()
}

fn experiments(registry: &Registry) -> Vec<Value> {
    let entry = |(name, text): &(&str, &str)| {
        let plan = plan::plan(name, name, text, registry, &[]).ok();
        json!({
            "name": name,
            "summary": plan.as_ref().map(|plan| plan.question.clone()),
            "source": plan.as_ref().and_then(|plan| plan.minutes).map(minutes),
        })
    };
    EMBEDDED.iter().map(entry).collect()
}

fn minutes(minutes: f64) -> String {
    if minutes == 1.0 {
        "about a minute on two cores".into()
    } else {
        format!("about {minutes} minutes on two cores")
    }
}

fn section(title: &str, entries: &[Value]) -> String {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let width = entries.iter().map(|entry| text(entry, "name").len()).max().unwrap_or(0);
    let mut lines = vec![format!("{title}:")];
    for entry in entries {
        lines.push(format!("  {:width$}  {}", text(entry, "name"), text(entry, "summary")));
        let source = text(entry, "source");
        if !source.is_empty() {
            lines.push(format!("  {:width$}  [{source}]", ""));
        }
        let page = text(entry, "page");
        if !page.is_empty() {
            lines.push(format!("  {:width$}  page: {page}", ""));
        }
        if let Some(defaults) = entry["defaults"].as_object().filter(|defaults| !defaults.is_empty()) {
            // `null` is how a key without a default resolves; nobody writes it.
            let shown = |(key, value): (&String, &Value)| {
                if value.is_null() { key.clone() } else { format!("{key} = {value}") }
            };
            let keys: Vec<String> = defaults.iter().map(shown).collect();
            lines.push(format!("  {:width$}  {}", "", keys.join(", ")));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
