//! What a dotted or bare name of a sweep or an override means, and setting it.

use super::document::Document;
use super::error::{Result, refuse};
use super::model::{self, APPARATUS, OWN};
use super::train;
use seqbench_core::Registry;
use seqbench_core::config::{ConfigError, Data, Entry, Span, Value, nearest};

/// Keys of `[defaults]` beside the apparatus.
pub(super) const DEFAULTS: [&str; 4] = ["seeds", "seed_range", "steps", "batch"];

/// A section of the experiment that names reach into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Task,
    Model,
    Train,
    Defaults,
    /// A key of the top, `measure` and `sweep` among them: for overrides only.
    Top,
}

/// A key within a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) place: Place,
    /// Keys from the section inwards, at least one.
    pub(super) path: Vec<String>,
}

impl Target {
    /// The key within its section.
    pub(super) fn key(&self) -> &str {
        &self.path[0]
    }
}

/// What a name means in this document. `override_` also admits what can be set but not swept.
pub(super) fn resolve(
    name: &str,
    span: &Span,
    document: &Document,
    registry: &Registry,
    override_: bool,
) -> Result<Target> {
    let path: Vec<String> = name.split('.').map(|part| part.trim().to_owned()).collect();
    if path.iter().any(String::is_empty) {
        return refuse(format!("`{name}` is no dotted name"), span);
    }
    let names = Names::of(document, registry)?;
    let place = match path[0].as_str() {
        "task" => Some(Place::Task),
        "model" => Some(Place::Model),
        "train" => Some(Place::Train),
        "defaults" => Some(Place::Defaults),
        "measure" | "match" | "sweep" if override_ => return Ok(Target { place: Place::Top, path }),
        "question" | "expectation" | "minutes" if override_ && path.len() == 1 => {
            return Ok(Target { place: Place::Top, path });
        }
        _ => None,
    };
    match place {
        Some(place) if path.len() > 1 => sectioned(place, &path, name, span, &names),
        _ => bare(path, name, span, &names, override_),
    }
}

fn sectioned(place: Place, path: &[String], name: &str, span: &Span, names: &Names) -> Result<Target> {
    let known = names.keys(place);
    if !known.contains(&path[1]) {
        let expected = known.iter().map(|key| format!("{}.{key}", path[0]));
        return Err(ConfigError::unknown("key", name, expected, span.clone()));
    }
    Ok(Target { place, path: path[1..].to_vec() })
}

/// Looks a name up in tasks, then `[train]`, then the apparatus, then the architectures; it must be in one only.
fn bare(path: Vec<String>, name: &str, span: &Span, names: &Names, override_: bool) -> Result<Target> {
    let mut found = Vec::new();
    for place in [Place::Task, Place::Train, Place::Model] {
        if names.keys(place).contains(&path[0]) && !OWN.contains(&path[0].as_str()) {
            found.push(place);
        }
    }
    if override_ && found.is_empty() && ["seeds", "seed_range"].contains(&path[0].as_str()) {
        found.push(Place::Defaults);
    }
    match found.as_slice() {
        [place] => Ok(Target { place: *place, path }),
        [] => {
            let all =
                [Place::Task, Place::Train, Place::Model].into_iter().flat_map(|place| names.keys(place));
            let all: Vec<&String> = all.filter(|key| !OWN.contains(&key.as_str())).collect();
            let mut error = ConfigError::new(format!("unknown key `{name}`"), span.clone());
            error.nearest = nearest(&path[0], all.iter().map(|key| key.as_str())).map(str::to_owned);
            error.expected = all.into_iter().cloned().collect();
            Err(error)
        }
        several => {
            let full: Vec<String> = several.iter().map(|place| format!("{}.{name}", place.name())).collect();
            refuse(format!("`{name}` is ambiguous: write {}", full.join(" or ")), span)
        }
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Task => "task",
            Place::Model => "model",
            Place::Train => "train",
            Place::Defaults => "defaults",
            Place::Top => "",
        }
    }
}

/// Keys that each section knows in this document.
struct Names {
    task: Vec<String>,
    model: Vec<String>,
    train: Vec<String>,
    defaults: Vec<String>,
}

impl Names {
    fn of(document: &Document, registry: &Registry) -> Result<Self> {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let mut task = vec!["kind".to_owned()];
        for table in &document.tasks {
            task.extend(task_keys(table, registry)?);
        }
        let mut model = owned(&APPARATUS);
        model.extend(owned(&OWN));
        for table in &document.models {
            for architecture in model::architectures(table, registry)? {
                model.extend(model::architecture_keys(architecture));
            }
        }
        let mut defaults = owned(&APPARATUS);
        defaults.extend(owned(&DEFAULTS));
        let mut names = Names { task, model, train: train::keys().map(str::to_owned).collect(), defaults };
        for keys in [&mut names.task, &mut names.model] {
            let mut seen = Vec::new();
            keys.retain(|key| {
                !seen.contains(key) && {
                    seen.push(key.clone());
                    true
                }
            });
        }
        Ok(names)
    }

    fn keys(&self, place: Place) -> &[String] {
        match place {
            Place::Task => &self.task,
            Place::Model => &self.model,
            Place::Train => &self.train,
            Place::Defaults => &self.defaults,
            Place::Top => &[],
        }
    }
}

/// Keys the task of a table knows.
pub(super) fn task_keys(table: &Value, registry: &Registry) -> Result<Vec<String>> {
    let (kind, span) =
        model::kind(table, "task", || registry.tasks().iter().map(|t| t.info().name).collect())?;
    let defaults = registry.task(&kind, &span)?.defaults();
    Ok(defaults.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default())
}

/// Sets a key in a table or the tables inside it, which appear where they were not.
pub(super) fn set(table: &mut Value, path: &[String], value: &Value) {
    let Some((first, rest)) = path.split_first() else { return };
    let Data::Table(entries) = &mut table.data else { return };
    let position = entries.iter().position(|entry| entry.key == *first);
    let at = position.unwrap_or_else(|| {
        let empty = Value { data: Data::Table(Vec::new()), span: value.span.clone() };
        entries.push(Entry { key: first.clone(), span: value.span.clone(), value: empty });
        entries.len() - 1
    });
    if rest.is_empty() {
        entries[at].value = value.clone();
        return;
    }
    if entries[at].value.entries().is_none() {
        entries[at].value = Value { data: Data::Table(Vec::new()), span: value.span.clone() };
    }
    set(&mut entries[at].value, rest, value);
}

/// Sets a key of a model's table: where `layers` is a list and the key an architecture's own, in every layer that
/// knows it. Returns whether anything knew it.
pub(super) fn set_model(
    table: &mut Value,
    path: &[String],
    value: &Value,
    registry: &Registry,
) -> Result<bool> {
    let key = path[0].as_str();
    if APPARATUS.contains(&key) || OWN.contains(&key) {
        set(table, path, value);
        return Ok(true);
    }
    let architectures = model::architectures(table, registry)?;
    let knows: Vec<bool> = architectures
        .iter()
        .map(|architecture| model::architecture_keys(*architecture).iter().any(|own| own == key))
        .collect();
    let hybrid = matches!(table.get("layers"), Some(Value { data: Data::Array(_), .. }));
    if !hybrid {
        if knows[0] {
            set(table, path, value);
        }
        return Ok(knows[0]);
    }
    let mut layers = table.take("layers");
    if let Some(Entry { value: Value { data: Data::Array(items), .. }, .. }) = &mut layers {
        for (layer, _) in items.iter_mut().zip(&knows).filter(|(_, knows)| **knows) {
            set(layer, path, value);
        }
    }
    if let (Some(layers), Data::Table(entries)) = (layers, &mut table.data) {
        entries.push(layers);
    }
    Ok(knows.contains(&true))
}
