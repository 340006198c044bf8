//! One model outside an experiment: the table that `[[model]]` would be, resolved by the code that resolves it there, so
//! that the same keys are known and a mistyped one is answered alike.

use super::error::{PlanError, Result, refuse};
use super::model::{self, OWN};
use super::source::{self, Sources};
use super::train;
use crate::spec::{ModelSpec, Rate, Schedule, TrainSpec};
use seqbench_core::Registry;
use seqbench_core::config::{ConfigError, Data, Entry, Span, Value};

/// A model that is asked for by name.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Registry name of its architecture.
    pub architecture: &'a str,
    /// Width of every layer.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Any other key of a model's table, `key=value` each; wins over what stands elsewhere.
    pub settings: &'a [String],
    /// Steps of the longest sequence expected.
    pub horizon: usize,
    /// An experiment, by the name of its file and its text: the model is then the one of its table with this `kind`, under
    /// its `[defaults]`, and is trained as its `[train]` says.
    pub yardstick: Option<(&'a str, &'a str)>,
}

/// A model, resolved, and how it is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// The model.
    pub model: ModelSpec,
    /// How it is trained.
    pub training: Training,
}

/// How one model is trained: at a constant rate without warm-up, since one step is like another.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Everything but the rate.
    pub spec: TrainSpec,
    /// The learning rate.
    pub rate: f64,
}

/// How an experiment (the name of its file and its text) trains; without one, what every experiment does by default.
///
/// # Errors
/// The text is no experiment, or leaves the rate to be selected.
pub fn training(yardstick: Option<(&str, &str)>) -> std::result::Result<Training, PlanError> {
    let (file, text) = yardstick.unwrap_or_default();
    let read = || {
        let document = source::document(text)?;
        training_of(&document, document.get("train").map_or(&None, |table| &table.span))
    };
    read().map_err(|error| PlanError::from_config(error, &Sources::new(file, text)))
}

fn training_of(document: &Value, place: &Span) -> Result<Training> {
    let spec = train::resolve(document.get("train"), None, None, &mut Vec::new())?;
    let Rate::Fixed(rate) = spec.lr else {
        return refuse("`lr` must be one number where one model is trained", place);
    };
    let schedule = Schedule::Constant;
    let spec = TrainSpec { schedule, warmup: 0, final_share: 1.0, stop_at: None, curriculum: None, ..spec };
    Ok(Training { spec, rate })
}

/// Resolves a model.
///
/// # Errors
/// An architecture that the registry or the yardstick lacks, an unknown key, a value that does not fit.
pub fn single(request: &Request<'_>, registry: &Registry) -> std::result::Result<Single, PlanError> {
    let (file, text) = request.yardstick.unwrap_or(("--model", request.architecture));
    let mut sources = Sources::new(file, text);
    let base = request.yardstick.map_or(0, |_| sources.push("--model", request.architecture));
    let settings: Vec<(&str, usize)> =
        request.settings.iter().map(|own| (own.as_str(), sources.push("--set", own))).collect();
    let place = Some(base..base + request.architecture.len());
    resolve(request, &place, &settings, registry).map_err(|error| PlanError::from_config(error, &sources))
}

fn resolve(
    request: &Request<'_>,
    place: &Span,
    settings: &[(&str, usize)],
    registry: &Registry,
) -> Result<Single> {
    registry.architecture(request.architecture, place)?;
    let document = match request.yardstick {
        Some((_, text)) => source::document(text)?,
        None => Value::table(),
    };
    let mut table = match request.yardstick {
        Some(_) => table_of(&document, request.architecture, place)?,
        None => Value::table(),
    };
    table.span = place.clone();
    table.set("kind", Value { data: Data::String(request.architecture.to_owned()), span: place.clone() });
    table.set("width", Value::new(Data::Integer(request.width as i64)));
    table.set("layers", Value::new(Data::Integer(request.layers as i64)));
    for (text, base) in settings {
        let (key, span, value) = source::assignment(text, *base)?;
        if OWN.contains(&key.as_str()) {
            return refuse(format!("`{key}` is for the tables of an experiment"), &span);
        }
        if key == "layers" && matches!(value.data, Data::Array(_)) {
            return refuse(
                "`layers` must be a number: several architectures are for experiments",
                &value.span,
            );
        }
        table.take(&key);
        if let Data::Table(entries) = &mut table.data {
            entries.push(Entry { key, span, value });
        }
    }
    let model = model::resolve(&table, document.get("defaults"), registry)?;
    model.check(request.horizon, place, &mut Vec::new())?;
    Ok(Single { model: model.spec, training: training_of(&document, place)? })
}

/// The table of an architecture among an experiment's models.
fn table_of(document: &Value, architecture: &str, place: &Span) -> Result<Value> {
    let tables = document.get("model").and_then(Value::as_array).unwrap_or_default();
    let kind = |table: &Value| table.get("kind").and_then(Value::as_str).map(str::to_owned);
    match tables.iter().find(|table| kind(table).as_deref() == Some(architecture)) {
        Some(table) => Ok(table.clone()),
        None => {
            let message = format!("the yardstick says nothing of `{architecture}`");
            let mut error = ConfigError::new(message, place.clone());
            error.expected = tables.iter().filter_map(kind).collect();
            Err(error)
        }
    }
}
