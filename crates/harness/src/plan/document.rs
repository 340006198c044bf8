//! The sections of an experiment, overrides and sweep axes, before any of them is resolved.

use super::error::{Result, refuse};
use super::section::{Section, found, items, whole, word};
use super::target::{self, Place, Target};
use crate::spec::SeedRangeSpec;
use seqbench_core::Registry;
use seqbench_core::config::{ConfigError, Data, Entry, Span, Value};

const MAX_TABLES: usize = 200;
const MAX_SEEDS: u64 = 10_000;

/// An experiment's sections.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) question: String,
    pub(super) expectation: String,
    pub(super) minutes: Option<f64>,
    pub(super) defaults: Option<Value>,
    pub(super) models: Vec<Value>,
    pub(super) tasks: Vec<Value>,
    pub(super) train: Option<Value>,
    pub(super) measure: Option<Value>,
    pub(super) matching: Option<Value>,
    pub(super) axes: Vec<Axis>,
}

/// One axis of the sweep.
#[derive(Clone)]
pub(super) struct Axis {
    /// The name as the experiment spells it.
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) target: Target,
    pub(super) values: Vec<Value>,
}

impl Document {
    /// Reads the sections; each override is its name, the name's place and the value.
    pub(super) fn read(
        root: &Value,
        overrides: &[(String, Span, Value)],
        registry: &Registry,
    ) -> Result<Document> {
        let mut root = root.clone();
        // Overrides of keys at the top first: what follows reads the tables they change.
        let mut document = Self::sections(&root)?;
        let mut axes = root.take("sweep").map(|entry| entry.value).unwrap_or_else(Value::table);
        for (name, span, value) in overrides {
            let target = target::resolve(name, span, &document, registry, true)?;
            if target.place == Place::Top && target.path[0] == "sweep" {
                set_axis(&mut axes, &target.path[1..].join("."), span, value)?;
            } else if let Some(key) = swept(&axes, &target, &document, registry)? {
                set_axis(&mut axes, &key, span, value)?;
            } else if target.place == Place::Top {
                target::set(&mut root, &target.path, value);
                document = Self::sections(&root)?;
            } else {
                document.set(&target, value, registry)?;
                root = document.root(&root);
            }
        }
        document.axes = document.read_axes(&axes, registry)?;
        Ok(document)
    }

    fn sections(root: &Value) -> Result<Document> {
        let mut section = Section::new(Some(root), "experiment")?;
        let text = |section: &mut Section, key: &str| {
            Ok(section.text(key)?.map(|(text, _)| text).unwrap_or_default())
        };
        let question = text(&mut section, "question")?;
        let expectation = text(&mut section, "expectation")?;
        let minutes = section.real("minutes", super::section::Limits::above(0.0, 1e6))?;
        let models = tables(section.take("model"), "model")?;
        let tasks = tables(section.take("task"), "task")?;
        let table = |section: &mut Section, key: &str| match section.take(key) {
            Some(Entry { value, .. }) if value.entries().is_none() => {
                refuse(format!("`{key}` must be a table, found {}", found(&value)), &value.span)
            }
            entry => Ok(entry.map(|entry| entry.value)),
        };
        let defaults = table(&mut section, "defaults")?;
        let train = table(&mut section, "train")?;
        let measure = table(&mut section, "measure")?;
        let matching = table(&mut section, "match")?;
        table(&mut section, "sweep")?;
        let span = section.span().clone();
        section.finish()?;
        if models.is_empty() {
            return refuse("there is no [[model]]", &span);
        }
        if tasks.is_empty() {
            return refuse("there is no [task]", &span);
        }
        Ok(Document {
            question,
            expectation,
            minutes,
            defaults,
            models,
            tasks,
            train,
            measure,
            matching,
            axes: Vec::new(),
        })
    }

    /// The root with this document's tables in it.
    fn root(&self, root: &Value) -> Value {
        let mut root = root.clone();
        let list = |tables: &[Value]| Value::new(Data::Array(tables.to_vec()));
        root.set("model", list(&self.models));
        root.set("task", list(&self.tasks));
        for (key, table) in [("defaults", &self.defaults), ("train", &self.train)] {
            if let Some(table) = table {
                root.set(key, table.clone());
            }
        }
        root
    }

    /// Sets a key everywhere it is known. An override wins over what a model says of its own training.
    fn set(&mut self, target: &Target, value: &Value, registry: &Registry) -> Result<()> {
        match target.place {
            Place::Task => {
                for table in &mut self.tasks {
                    let known = target.key() == "kind"
                        || target::task_keys(table, registry)?.contains(&target.path[0]);
                    if known {
                        target::set(table, &target.path, value);
                    }
                }
            }
            Place::Model => {
                for table in &mut self.models {
                    target::set_model(table, &target.path, value, registry)?;
                }
            }
            Place::Train => {
                self.set_train(&target.path, value);
                for table in &mut self.models {
                    if let Data::Table(entries) = &mut table.data
                        && let Some(own) = entries.iter_mut().find(|entry| entry.key == "train")
                    {
                        own.value.take(target.key());
                    }
                }
            }
            Place::Defaults => {
                target::set(self.defaults.get_or_insert_with(Value::table), &target.path, value);
            }
            Place::Top => {}
        }
        Ok(())
    }

    /// Sets a key of `[train]`, and drops the same from `[defaults]`.
    pub(super) fn set_train(&mut self, path: &[String], value: &Value) {
        if let Some(defaults) = &mut self.defaults {
            defaults.take(&path[0]);
        }
        target::set(self.train.get_or_insert_with(Value::table), path, value);
    }

    fn read_axes(&self, table: &Value, registry: &Registry) -> Result<Vec<Axis>> {
        let mut flat = Vec::new();
        flatten(table, "", &mut flat);
        let mut axes: Vec<Axis> = Vec::new();
        for entry in flat {
            let target = target::resolve(&entry.key, &entry.span, self, registry, false)?;
            if ["kind", "label", "seeds", "seed_range"].contains(&target.key()) {
                let message = format!("`{}` cannot be swept: write several tables instead", entry.key);
                return refuse(message, &entry.span);
            }
            if let Some(other) = axes.iter().find(|axis| axis.target == target) {
                return refuse(format!("`{}` and `{}` are the same key", other.key, entry.key), &entry.span);
            }
            let mut values: Vec<Value> = Vec::new();
            for item in items(&entry)? {
                if values.iter().any(|value| same(value, &item.value)) {
                    let message = format!("{} stands in `{}` twice", found(&item.value), entry.key);
                    return refuse(message, &item.value.span);
                }
                values.push(item.value);
            }
            axes.push(Axis { key: entry.key, span: entry.span, target, values });
        }
        Ok(axes)
    }

    /// How many seeds, of which range; and refuses keys of `[defaults]` that there are not.
    pub(super) fn seeds(&self) -> Result<(u32, SeedRangeSpec)> {
        let mut section = Section::new(self.defaults.as_ref(), "defaults")?;
        let seeds = section.take("seeds").map(|entry| whole(&entry, 1..=MAX_SEEDS)).transpose()?.unwrap_or(5);
        let words = [("reporting", SeedRangeSpec::Reporting), ("pilot", SeedRangeSpec::Pilot)];
        let range =
            section.take("seed_range").map(|entry| word("seed_range", &entry.value, &words)).transpose()?;
        for key in target::DEFAULTS.iter().chain(&super::model::APPARATUS) {
            section.take(key);
        }
        section.finish()?;
        Ok((seeds as u32, range.unwrap_or(SeedRangeSpec::Reporting)))
    }
}

/// One table, or a list of tables.
fn tables(entry: Option<Entry>, name: &str) -> Result<Vec<Value>> {
    let Some(entry) = entry else { return Ok(Vec::new()) };
    let list = match &entry.value.data {
        Data::Array(list) => list.clone(),
        _ => vec![entry.value.clone()],
    };
    if list.len() > MAX_TABLES {
        return refuse(format!("at most {MAX_TABLES} tables [[{name}]], found {}", list.len()), &entry.span);
    }
    match list.iter().find(|value| value.entries().is_none()) {
        Some(other) => refuse(format!("`{name}` must be a table, found {}", found(other)), &other.span),
        None => Ok(list),
    }
}

/// Dotted names of a table of tables, with the place of the last key.
fn flatten(table: &Value, prefix: &str, flat: &mut Vec<Entry>) {
    for entry in table.entries().unwrap_or_default() {
        let key = format!("{prefix}{}", entry.key);
        if entry.value.entries().is_some() {
            flatten(&entry.value, &format!("{key}."), flat);
        } else {
            flat.push(Entry { key, ..entry.clone() });
        }
    }
}

/// The name under which a target is swept already.
fn swept(axes: &Value, target: &Target, document: &Document, registry: &Registry) -> Result<Option<String>> {
    let mut flat = Vec::new();
    flatten(axes, "", &mut flat);
    for entry in flat {
        if target::resolve(&entry.key, &entry.span, document, registry, false)? == *target {
            return Ok(Some(entry.key));
        }
    }
    Ok(None)
}

/// Makes an axis of a value, or of a list of values; it keeps its place among the axes.
fn set_axis(axes: &mut Value, name: &str, span: &Span, value: &Value) -> Result<()> {
    if name.is_empty() {
        return Err(ConfigError::new(
            "an override of the sweep names its key: `sweep.<key>=[...]`",
            span.clone(),
        ));
    }
    let list = match value.data {
        Data::Array(_) => value.clone(),
        _ => Value { data: Data::Array(vec![value.clone()]), span: value.span.clone() },
    };
    let mut flat = Vec::new();
    flatten(axes, "", &mut flat);
    match flat.iter_mut().find(|entry| entry.key == name) {
        Some(entry) => entry.value = list,
        None => flat.push(Entry { key: name.to_owned(), span: span.clone(), value: list }),
    }
    axes.data = Data::Table(flat);
    Ok(())
}

/// Whether two values are the same, wherever they stand: `2` and `2.0` are.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    seqbench_record::canonical(&a.to_json()) == seqbench_record::canonical(&b.to_json())
}
