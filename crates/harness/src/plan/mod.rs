//! From the text of an experiment to its cells: parsing, overrides, the product of the sweep, limits, identities.
//! Everything that can be refused is refused here, with its place in the text, before anything is created.
//!
//! An experiment is a TOML file:
//!
//! - at the top `question`, `expectation`, and `minutes` on two cores;
//! - `[defaults]`: `seeds` (a number, 5), `seed_range` (`reporting`, or `pilot`), the apparatus of every model that
//!   does not say otherwise (`width` 64, `block` residual, `layers` 1, `mlp` 2, `norm` layer,
//!   `embedding_deviation` 1), `steps` and `batch`;
//! - `[[model]]`: `kind`, a `label`, apparatus keys, `train = { … }`, and the architecture's own keys, flat. For a
//!   hybrid `layers` is a list of tables with a `kind` each;
//! - `[task]` or `[[task]]`: `kind` and the task's own keys;
//! - `[sweep]`: lists by dotted name (`task.lag`, `model.forget_bias`, `train.lr`, `defaults.width`) or by a bare name
//!   that only one section knows. Cells are the product. A key of an architecture or a task sweeps those that know
//!   it, and leaves the others alone;
//! - `[train]`: `steps` 1000, `batch` 32, `optimizer` adamw, `lr` 1e-3 or `{ select, trials }`, `schedule` cosine,
//!   `warmup` 50 (never more than half the steps), `final_share` 0.05, `clip` `{ norm = 1.0 }`, `tbptt`, `stop_at`,
//!   `weight_decay` 0, and `beta1`, `beta2`, `epsilon` or `momentum`; `curriculum` `{ from, until }` (lengths grow from
//!   `from` to the task's own over that share of the steps, 0.5) and `answers` (`true`, or `shuffled` for a negative
//!   control);
//! - `[match]`: `parameters`, `state_bytes` (after `context` steps, the task's own number) or `operations` (of a training
//!   step), a number or the label of the model that the others are matched to. It finds every other model's width, and
//!   then the ratio of its MLP;
//! - `[measure]`: `accuracy`, `gradients`, `throughput`, each true, false or a table, and `max_seconds` of a cell.
//!   `throughput` may be a list of tables; in each, `batch` and `threads` may be lists (a thread count may be `"all"`), and
//!   a mode predicted above `max_pass_seconds` (5) a pass is skipped.

mod cost;
mod document;
mod error;
mod expand;
mod label;
mod matching;
mod measure;
mod model;
mod pass;
mod posed;
mod section;
mod shard;
mod single;
mod source;
mod target;
mod timing;
mod train;

pub use cost::{Forecast, forecast};
pub use error::{Place, PlanError};
pub use pass::{PassCost, pass_cost};
pub use posed::{Posed, pose, trained};
pub use shard::{Shard, TASK_VARIABLES};
pub use single::{Request, Single, Training, single, training};

use crate::spec::CellSpec;
use document::Document;
use seqbench_core::Registry;
use seqbench_core::config::ConfigError;
use seqbench_record::{Labels, Purpose, hash};
use source::Sources;

/// Version of the numerics: part of every identity, bumped when the same configuration computes other values.
pub const NUMERICS_VERSION: u32 = 4;

/// An experiment, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Its name, the stem of its file.
    pub name: String,
    /// The question it asks.
    pub question: String,
    /// What is expected, written before it ran.
    pub expectation: String,
    /// Minutes on two cores.
    pub minutes: Option<f64>,
    /// Its text, overrides appended as comments.
    pub text: String,
    /// What the person should know of how it was read.
    pub notes: Vec<String>,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// What kind of cells a group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// Trials and final cells of one (model, task, sweep point).
    Training,
    /// Timing cells of all models in one mode, length, batch and number of threads, whose rounds are interleaved.
    Timing,
}

/// Cells that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Identity.
    pub id: String,
    /// What it consists of.
    pub kind: GroupKind,
    /// What its cells have in common; seed 0. Of a timing group, what is timed alone.
    pub labels: Labels,
    /// Trials of its selection; none where the rate is given.
    pub trials: Vec<Cell>,
    /// Final or timing cells.
    pub finals: Vec<Cell>,
}

/// One cell, before it has run.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Identity.
    pub id: String,
    /// Identity of what it shares with the cells of other seeds.
    pub group: String,
    /// What it is for.
    pub purpose: Purpose,
    /// For tables and legends.
    pub labels: Labels,
    /// What it does.
    pub spec: CellSpec,
    /// Seconds it will take on one thread, about: within a factor of two of the committed results. Used for order and for
    /// limits only.
    pub predicted_seconds: Option<f64>,
    /// Memory it will hold above that of the bare process, in bytes: of timing cells.
    pub predicted_bytes: Option<f64>,
    /// Why it is skipped: it is predicted above a stated limit.
    pub beyond: Option<String>,
}

impl Experiment {
    /// All cells, trials of a group before its finals.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.groups.iter().flat_map(|group| group.trials.iter().chain(&group.finals))
    }
}

/// Plans an experiment. `name` is the stem of its file, `file` how errors name it; each override is `key=value`,
/// whose value is TOML or else text.
///
/// # Errors
/// Anything about the text that is not as the module's documentation says, or that the registry refuses.
pub fn plan(
    name: &str,
    file: &str,
    text: &str,
    registry: &Registry,
    overrides: &[String],
) -> Result<Experiment, PlanError> {
    let mut sources = Sources::new(file, text);
    let bases: Vec<usize> = overrides.iter().map(|own| sources.push("--set", own)).collect();
    let located = |error: ConfigError| PlanError::from_config(error, &sources);
    let root = source::document(text).map_err(located)?;
    let mut assignments = Vec::new();
    for (own, base) in overrides.iter().zip(bases) {
        assignments.push(source::assignment(own, base).map_err(located)?);
    }
    let document = Document::read(&root, &assignments, registry).map_err(located)?;
    let mut kept = text.to_owned();
    for own in overrides {
        if !kept.ends_with('\n') {
            kept.push('\n');
        }
        kept.push_str(&format!("# --set {}\n", own.replace(['\n', '\r'], " ")));
    }
    let expanded = expand::expand(&document, registry).map_err(located)?;
    Ok(Experiment {
        name: name.to_owned(),
        question: document.question,
        expectation: document.expectation,
        minutes: document.minutes,
        text: kept,
        notes: expanded.notes,
        groups: expanded.groups,
    })
}

/// Identity of a cell: the hash of what it does, and of nothing else.
pub fn identity(spec: &CellSpec) -> String {
    hash(&serde_json::to_value(spec).unwrap_or_default(), NUMERICS_VERSION)
}
