//! What a legend calls each model, and what tells two tasks of one kind apart.

use super::error::{Result, refuse};
use super::model;
use seqbench_core::Registry;
use seqbench_core::config::{Data, Span, Value};
use seqbench_record::Coordinate;

/// A name for each model: its label, or its architecture and, where several models have that, the settings in
/// which they differ.
pub(super) fn models(tables: &[Value], registry: &Registry) -> Result<Vec<String>> {
    let mut architectures = Vec::new();
    for table in tables {
        let all = model::architectures(table, registry)?;
        let mut names: Vec<&str> = all.iter().map(|architecture| architecture.info().name).collect();
        names.dedup();
        architectures.push(names.join("+"));
    }
    let mut labels: Vec<(String, Span)> = Vec::new();
    for (table, architecture) in tables.iter().zip(&architectures) {
        let (label, span) = match table.get("label") {
            Some(own) => match own.as_str().map(str::trim) {
                Some(text) if !text.is_empty() => (text.to_owned(), own.span.clone()),
                _ => return refuse("`label` must be text, and not empty", &own.span),
            },
            None => {
                let rivals = tables.iter().zip(&architectures);
                let rivals: Vec<&Value> = rivals
                    .filter(|(other, kind)| *kind == architecture && other.get("label").is_none())
                    .map(|(other, _)| other)
                    .collect();
                let mut words = vec![architecture.clone()];
                words.extend(differences(table, &rivals).iter().map(|own| word(&own.key, &own.value)));
                (words.join(" "), table.span.clone())
            }
        };
        if labels.iter().any(|(other, _)| *other == label) {
            return refuse(format!("two models are called `{label}`: give one another `label`"), &span);
        }
        labels.push((label, span));
    }
    Ok(labels.into_iter().map(|(label, _)| label).collect())
}

/// For each task, the settings in which it differs from the others of its kind.
pub(super) fn tasks(tables: &[Value]) -> Vec<Vec<Coordinate>> {
    let kind = |table: &Value| table.get("kind").and_then(Value::as_str).map(str::to_owned);
    tables
        .iter()
        .map(|table| {
            let rivals: Vec<&Value> = tables.iter().filter(|other| kind(other) == kind(table)).collect();
            differences(table, &rivals)
        })
        .collect()
}

/// `key=value`, the key by its last part.
pub(super) fn word(key: &str, value: &serde_json::Value) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    match value {
        serde_json::Value::String(text) => format!("{last}={text}"),
        other => format!("{last}={other}"),
    }
}

/// What a table says and not every rival says the same of.
fn differences(table: &Value, rivals: &[&Value]) -> Vec<Coordinate> {
    let flat: Vec<Vec<Coordinate>> = rivals.iter().map(|rival| flatten(rival, "")).collect();
    let shared = |own: &Coordinate| flat.iter().all(|other| other.contains(own));
    flatten(table, "").into_iter().filter(|own| !shared(own)).collect()
}

fn flatten(table: &Value, prefix: &str) -> Vec<Coordinate> {
    let mut all = Vec::new();
    for entry in table.entries().unwrap_or_default() {
        let key = format!("{prefix}{}", entry.key);
        match &entry.value.data {
            Data::Table(_) => all.extend(flatten(&entry.value, &format!("{key}."))),
            // The layers of a hybrid are its name already.
            Data::Array(_) if entry.key == "layers" => {}
            _ if ["kind", "label"].contains(&entry.key.as_str()) => {}
            _ => all.push(Coordinate { key, value: entry.value.to_json() }),
        }
    }
    all
}
