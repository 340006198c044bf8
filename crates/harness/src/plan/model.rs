//! `[[model]]`: the apparatus and the cores, resolved from one flat table.

use super::error::{Result, refuse};
use super::section::{Limits, Section, found, items, whole};
use crate::spec::{Block, KindSpec, ModelSpec, Norm};
use candle_core::{DType, Device};
use seqbench_core::config::{ConfigError, Data, Entry, Span, Value};
use seqbench_core::{AnyArchitecture, ConfiguredCore, Dims, Error, Params, Registry};

/// Keys of the apparatus, in a model's table and in `[defaults]`.
pub(super) const APPARATUS: [&str; 6] = ["width", "block", "layers", "mlp", "norm", "embedding_deviation"];
/// Keys of a model's table that are neither apparatus nor the architecture's.
pub(super) const OWN: [&str; 3] = ["kind", "label", "train"];

const MAX_WIDTH: u64 = 16_384;
const MAX_LAYERS: u64 = 256;
/// A model of more parameters is refused.
const MAX_PARAMETERS: usize = 1_000_000_000;
/// A core of more parameters is not built for the check: its settings are only checked when it runs.
const MAX_CHECKED: usize = 1_000_000;

/// A model, resolved.
pub(super) struct Model {
    /// The apparatus and its cores.
    pub(super) spec: ModelSpec,
    /// The cores, configured, from the input upwards.
    pub(super) cores: Vec<Box<dyn ConfiguredCore>>,
    /// Registry name; `+`-joined for a hybrid.
    pub(super) architecture: String,
}

/// The architectures a model's table names: one, or one a layer.
pub(super) fn architectures(table: &Value, registry: &Registry) -> Result<Vec<&'static dyn AnyArchitecture>> {
    match layer_tables(table)? {
        Some(layers) => layers.iter().map(|layer| architecture(&layer.value, registry)).collect(),
        None => Ok(vec![architecture(table, registry)?]),
    }
}

/// Keys an architecture's configuration has.
pub(super) fn architecture_keys(architecture: &dyn AnyArchitecture) -> Vec<String> {
    architecture.defaults().as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// The layers of a hybrid, where `layers` is a list.
fn layer_tables(table: &Value) -> Result<Option<Vec<Entry>>> {
    let entry = table.entries().and_then(|entries| entries.iter().find(|entry| entry.key == "layers"));
    let Some(entry) = entry.filter(|entry| matches!(entry.value.data, Data::Array(_))) else {
        return Ok(None);
    };
    let layers = items(entry)?;
    if layers.len() as u64 > MAX_LAYERS {
        return refuse(format!("at most {MAX_LAYERS} layers, found {}", layers.len()), &entry.value.span);
    }
    Ok(Some(layers))
}

fn architecture(table: &Value, registry: &Registry) -> Result<&'static dyn AnyArchitecture> {
    let kind =
        kind(table, "architecture", || registry.architectures().iter().map(|a| a.info().name).collect())?;
    registry.architecture(&kind.0, &kind.1)
}

/// The `kind` of a table, a name of the registry.
pub(super) fn kind(
    table: &Value,
    what: &str,
    names: impl Fn() -> Vec<&'static str>,
) -> Result<(String, Span)> {
    let expected = |message: String, span: &Span| {
        let mut error = ConfigError::new(message, span.clone());
        error.expected = names().into_iter().map(str::to_owned).collect();
        error
    };
    if table.entries().is_none() {
        return refuse(format!("{what}: a table is needed, found {}", found(table)), &table.span);
    }
    match table.get("kind") {
        None => Err(expected(format!("`kind` is missing, the name of the {what}"), &table.span)),
        Some(value) => match value.as_str() {
            Some(name) => Ok((name.to_owned(), value.span.clone())),
            None => Err(expected(format!("`kind` must be text, found {}", found(value)), &value.span)),
        },
    }
}

/// Resolves a model's table under `[defaults]`.
pub(super) fn resolve(table: &Value, defaults: Option<&Value>, registry: &Registry) -> Result<Model> {
    let hybrid = layer_tables(table)?;
    let architectures = architectures(table, registry)?;
    let mut section = Section::new(Some(&under(table, defaults)), "model")?;
    for key in OWN {
        section.take(key);
    }
    let width = section.size("width", 1..=MAX_WIDTH)?.unwrap_or(64);
    let block = section.word("block", &[("residual", Block::Residual), ("plain", Block::Plain)])?;
    let block = block.unwrap_or(Block::Residual);
    let embedding_deviation = section.real("embedding_deviation", Limits::above(0.0, 100.0))?.unwrap_or(1.0);
    let norm = section.word("norm", &[("layer", Norm::Layer), ("rms", Norm::Rms)])?.unwrap_or(Norm::Layer);
    let own_mlp = table.entries().and_then(|entries| entries.iter().find(|entry| entry.key == "mlp"));
    let mlp = section.real("mlp", Limits::from(0.0, 64.0))?.unwrap_or(2.0);
    let mlp = match (block, own_mlp) {
        (Block::Residual, _) => mlp,
        (Block::Plain, Some(own)) if mlp != 0.0 => {
            return refuse("a plain block has no MLP: drop `mlp`, or set block = \"residual\"", &own.span);
        }
        (Block::Plain, _) => 0.0,
    };
    let layers = section.take("layers");
    let mut configured: Vec<(KindSpec, Box<dyn ConfiguredCore>)> = Vec::new();
    if let Some(layers) = hybrid {
        for (layer, architecture) in layers.iter().zip(&architectures) {
            let mut layer = Section::new(Some(&layer.value), "layers")?;
            layer.take("kind");
            configured.push(configure(&layer, *architecture)?);
        }
        section.finish()?;
    } else {
        let count = layers.map(|entry| whole(&entry, 1..=MAX_LAYERS)).transpose()?.unwrap_or(1);
        for _ in 0..count {
            configured.push(configure(&section, architectures[0])?);
        }
    }
    let mut names: Vec<&str> = architectures.iter().map(|architecture| architecture.info().name).collect();
    names.dedup();
    let architecture = names.join("+");
    let (layers, cores) = configured.into_iter().unzip();
    let spec = ModelSpec { width, block, mlp, norm, embedding_deviation, layers };
    Ok(Model { spec, cores, architecture })
}

/// A model's table with what `[defaults]` says of the apparatus and it does not.
fn under(table: &Value, defaults: Option<&Value>) -> Value {
    let mut merged = table.clone();
    let defaults = defaults.and_then(Value::entries).unwrap_or_default();
    let missing = defaults
        .iter()
        .filter(|entry| APPARATUS.contains(&entry.key.as_str()) && table.get(&entry.key).is_none())
        .cloned();
    if let Data::Table(entries) = &mut merged.data {
        entries.extend(missing);
    }
    merged
}

/// The architecture under what its table still holds.
fn configure(
    section: &Section,
    architecture: &dyn AnyArchitecture,
) -> Result<(KindSpec, Box<dyn ConfiguredCore>)> {
    let own = architecture_keys(architecture);
    let rest = section.rest();
    for entry in rest.entries().unwrap_or_default() {
        if !own.contains(&entry.key) {
            let known = section.known().iter().chain(&own).cloned();
            return Err(ConfigError::unknown("key", &entry.key, known, entry.span.clone()));
        }
    }
    let core = architecture.configure(rest).map_err(|error| placed(error, &rest.span))?;
    let spec = KindSpec { kind: architecture.info().name.to_owned(), config: core.resolved() };
    Ok((spec, core))
}

impl Model {
    /// Refuses what cannot be built for sequences of this many steps. `checked` remembers what has been built.
    pub(super) fn check(&self, horizon: usize, span: &Span, checked: &mut Vec<String>) -> Result<()> {
        let width = self.spec.width;
        let parameters = self.parameters();
        if parameters > MAX_PARAMETERS as f64 {
            let message = format!(
                "the model would have {parameters:.3e} parameters; the limit is {:e}",
                MAX_PARAMETERS as f64
            );
            return refuse(message, span);
        }
        for (core, spec) in self.cores.iter().zip(&self.spec.layers) {
            let key = format!("{} {} {width}", spec.kind, spec.config);
            if core.parameter_count(width) > MAX_CHECKED || checked.contains(&key) {
                continue;
            }
            let params = Params::fresh(0, DType::F32, &Device::Cpu);
            core.build(Dims { dim: width, horizon }, &params).map_err(|error| placed(error, span))?;
            checked.push(key);
        }
        Ok(())
    }

    /// Whether every core takes this width.
    pub(super) fn can_be_built(&self, width: usize, horizon: usize) -> bool {
        let params = || Params::fresh(0, DType::F32, &Device::Cpu);
        let fits = |core: &dyn ConfiguredCore| {
            core.parameter_count(width) > MAX_CHECKED
                || core.build(Dims { dim: width, horizon }, &params()).is_ok()
        };
        self.cores.iter().all(|core| fits(core.as_ref()))
    }

    /// Parameters of cores and MLPs, about.
    pub(super) fn parameters(&self) -> f64 {
        let width = self.spec.width;
        let mlp = 2.0 * self.spec.mlp * (width * width) as f64;
        self.cores.iter().map(|core| core.parameter_count(width) as f64 + mlp).sum()
    }
}

/// An error of the boundary at a place, where it has none of its own.
pub(super) fn placed(error: Error, span: &Span) -> ConfigError {
    match error {
        Error::Config(error) => error.at(span),
        other => ConfigError::new(other.to_string(), span.clone()),
    }
}
