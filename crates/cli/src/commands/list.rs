//! `seqbench list`: what there is to run.

use crate::arguments::{Kind, List};
use crate::experiments::EMBEDDED;
use crate::failure::Outcome;
use crate::terminal;
use seqbench_core::Registry;
use seqbench_harness::plan;
use serde_json::{Value, json};

/// Prints architectures, tasks and experiments.
pub(crate) fn run(arguments: &List, registry: &Registry) -> Outcome {
    let wanted = |kind| arguments.what.is_none_or(|what| what == kind);
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
