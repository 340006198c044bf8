//! The product of models, tasks and sweep points, as groups of cells.

use super::document::{Axis, Document};
use super::error::{Result, refuse};
use super::matching::{self, Goal, Match};
use super::model::{self, APPARATUS, Model};
use super::target::{self, Place};
use super::{Cell, Group, GroupKind, NUMERICS_VERSION, cost, identity, label, measure, timing, train};
use crate::data::Data;
use crate::spec::{Answers, CellSpec, KindSpec, MeasureSpec, Rate, SeedRangeSpec, Stage, TrainSpec};
use seqbench_core::config::{Span, Value};
use seqbench_core::{Instance, Purpose as Drawn, Registry, Signature, Split, Stream};
use seqbench_record::{Coordinate, Labels, Purpose, hash};

/// More cells than this are refused.
const MAX_CELLS: usize = 20_000;

/// All groups of a document.
pub(super) struct Expanded {
    pub(super) notes: Vec<String>,
    pub(super) groups: Vec<Group>,
}

/// What expansion needs at every point, and what it has found so far.
pub(super) struct Expansion<'a> {
    pub(super) document: &'a Document,
    pub(super) registry: &'a Registry,
    pub(super) measure: measure::Measure,
    matching: Option<Match>,
    model_labels: Vec<String>,
    task_labels: Vec<Vec<Coordinate>>,
    notes: Vec<String>,
    tasks: Vec<(String, TaskFacts)>,
    checked: Vec<String>,
}

/// A task, configured.
#[derive(Clone)]
pub(super) struct TaskFacts {
    pub(super) spec: KindSpec,
    /// What goes in and what comes out.
    pub(super) signature: Signature,
    /// Input steps of a sequence.
    pub(super) steps: usize,
    /// Answers in the loss of one sequence.
    pub(super) answers: usize,
    /// Whether its sequences have a nominal length that training may vary.
    generated: bool,
    /// Input steps of a sequence in training, mean over a few draws.
    pub(super) trained_steps: f64,
    /// Validation and test examples there are; no limit where they are drawn.
    pub(super) validated: usize,
    pub(super) tested: usize,
    /// Input steps at every length that the test stream has.
    pub(super) tested_steps: Vec<usize>,
}

/// One value of each axis that applies.
pub(super) type Point<'a> = Vec<(&'a Axis, &'a Value)>;

/// A (model, task, sweep point), resolved.
pub(super) struct Setting {
    pub(super) model: Model,
    pub(super) task: TaskFacts,
    pub(super) train: TrainSpec,
    pub(super) labels: Labels,
}

/// Expands a document.
pub(super) fn expand(document: &Document, registry: &Registry) -> Result<Expanded> {
    let (seeds, range) = document.seeds()?;
    let mut expansion = Expansion {
        document,
        registry,
        measure: measure::resolve(document.measure.as_ref())?,
        matching: matching::resolve(document.matching.as_ref(), &label::models(&document.models, registry)?)?,
        model_labels: label::models(&document.models, registry)?,
        task_labels: label::tasks(&document.tasks),
        notes: Vec::new(),
        tasks: Vec::new(),
        checked: Vec::new(),
    };
    let trains = expansion.measure.accuracy.is_some() || expansion.measure.gradients.is_some();
    let mut groups: Vec<Group> = Vec::new();
    let mut used = vec![false; document.axes.len()];
    let mut cells = 0;
    for task in 0..document.tasks.len() {
        for model in 0..document.models.len() {
            let axes = expansion.applicable(model, task)?;
            for (used, axis) in used.iter_mut().zip(&document.axes) {
                *used |= axes.iter().any(|own| own.target == axis.target);
            }
            for point in product(&axes)? {
                let setting = expansion.setting(model, task, &point)?;
                if !trains {
                    continue;
                }
                let group = expansion.group(setting, seeds, range)?;
                let span = &document.models[model].span;
                if let Some(other) = groups.iter().find(|other| other.id == group.id) {
                    let (own, other) = (&group.labels, &other.labels.model);
                    let message =
                        format!("`{other}` and `{}` have the same settings on `{}`", own.model, own.task);
                    return refuse(message, span);
                }
                cells += group.trials.len() + group.finals.len();
                if cells > MAX_CELLS {
                    return refuse(format!("more than {MAX_CELLS} cells"), span);
                }
                groups.push(group);
            }
        }
    }
    if let Some((axis, _)) = document.axes.iter().zip(used).find(|(_, used)| !used) {
        return refuse(
            format!("`{}` is swept, but no model or task takes it from there", axis.key),
            &axis.span,
        );
    }
    groups.extend(timing::groups(&mut expansion, range)?);
    let limit = expansion.measure.max_seconds.unwrap_or(f64::INFINITY);
    for cell in groups.iter_mut().flat_map(|group| group.trials.iter_mut().chain(&mut group.finals)) {
        if let Some(seconds) = cell.predicted_seconds.filter(|seconds| *seconds > limit) {
            cell.beyond = Some(format!("predicted {seconds:.0} s, above the limit of {limit} s"));
        }
    }
    Ok(Expanded { notes: expansion.notes, groups })
}

impl<'a> Expansion<'a> {
    /// The axes that change anything about this model on this task.
    pub(super) fn applicable(&self, model: usize, task: usize) -> Result<Vec<&'a Axis>> {
        let document: &'a Document = self.document;
        let table = &self.document.models[model];
        let own_train = |key: &str| table.get("train").is_some_and(|own| own.get(key).is_some());
        let plain = {
            let defaults = self.document.defaults.as_ref();
            let block = table.get("block").or_else(|| defaults.and_then(|defaults| defaults.get("block")));
            block.and_then(Value::as_str) == Some("plain")
        };
        let residual_only = |key: &str| plain && ["mlp", "norm"].contains(&key);
        let mut axes = Vec::new();
        for axis in &document.axes {
            let key = axis.target.key();
            let applies = match axis.target.place {
                Place::Task => {
                    let table = &self.document.tasks[task];
                    target::task_keys(table, self.registry)?.iter().any(|own| own == key)
                }
                Place::Model if residual_only(key) => false,
                Place::Model => {
                    let mut scratch = table.clone();
                    target::set_model(&mut scratch, &axis.target.path, &axis.values[0], self.registry)?
                }
                Place::Train => !own_train(key),
                Place::Defaults if APPARATUS.contains(&key) => {
                    table.get(key).is_none() && !residual_only(key)
                }
                Place::Defaults => !own_train(key),
                Place::Top => false,
            };
            if applies {
                axes.push(axis);
            }
        }
        Ok(axes)
    }

    /// Resolves a model on a task at a point.
    pub(super) fn setting(&mut self, model: usize, task: usize, point: &Point<'_>) -> Result<Setting> {
        let mut document = self.document.clone();
        for (axis, value) in point {
            match axis.target.place {
                Place::Task => target::set(&mut document.tasks[task], &axis.target.path, value),
                Place::Model => {
                    let table = &mut document.models[model];
                    target::set_model(table, &axis.target.path, value, self.registry)?;
                }
                Place::Train => document.set_train(&axis.target.path, value),
                Place::Defaults => {
                    let defaults = document.defaults.get_or_insert_with(Value::table);
                    target::set(defaults, &axis.target.path, value);
                }
                Place::Top => {}
            }
        }
        let (model_table, defaults) = (&document.models[model], document.defaults.as_ref());
        let facts = self.task(&document.tasks[task])?;
        let mut resolved = model::resolve(model_table, defaults, self.registry)?;
        if let Some(matching) = self.matching.clone() {
            self.fit(&matching, &mut resolved, model, &document, &facts)?;
        }
        resolved.check(facts.steps, &model_table.span, &mut self.checked)?;
        let own = model_table.get("train");
        let train = train::resolve(document.train.as_ref(), defaults, own, &mut self.notes)?;
        let train_span = own.or(document.train.as_ref()).map_or(&None, |table| &table.span);
        if train.curriculum.is_some() && !facts.generated {
            let message =
                format!("`curriculum` is for lengths that a task draws; {} has none", facts.spec.kind);
            return refuse(message, train_span);
        }
        if train.answers == Answers::Shuffled && train.batch < 2 {
            return refuse("`answers` = \"shuffled\" needs a `batch` of 2 or more to deal among", train_span);
        }
        let labels = self.labels(model, task, point, &resolved, &facts);
        Ok(Setting { model: resolved, task: facts, train, labels })
    }

    /// Gives a model the size that `[match]` asks for, unless it is the one the others are matched to.
    fn fit(
        &mut self,
        matching: &Match,
        resolved: &mut Model,
        model: usize,
        document: &Document,
        facts: &TaskFacts,
    ) -> Result<()> {
        let (table, label) = (&document.models[model], &self.model_labels[model]);
        let defaults = document.defaults.as_ref();
        let goal = match &matching.goal {
            Goal::Number(number) => *number,
            Goal::Model(other) if other == label => return Ok(()),
            Goal::Model(other) => {
                let at = self.model_labels.iter().position(|label| label == other).unwrap_or(model);
                let other = model::resolve(&document.models[at], defaults, self.registry)?;
                matching.of(&other, facts)
            }
        };
        let stated = table.get("width").map(|width| &width.span);
        let shared = defaults.and_then(|defaults| defaults.get("width")).map(|width| &width.span);
        let ignored = stated.or(shared.filter(|_| matches!(matching.goal, Goal::Number(_))));
        if let Some(span) = ignored {
            return refuse("`width` is what [match] finds: drop one of the two", span);
        }
        let reached = matching.fit(resolved, goal, facts, &matching.span)?;
        let note = matching.note(label, &facts.spec.kind, &resolved.spec, reached, goal);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        Ok(())
    }

    fn labels(&self, model: usize, task: usize, point: &Point<'_>, of: &Model, facts: &TaskFacts) -> Labels {
        let mut name = self.model_labels[model].clone();
        let mut coordinates = self.task_labels[task].clone();
        for (axis, value) in point {
            let (target, value) = (&axis.target, value.to_json());
            // What an architecture is set to belongs to its name; the rest are coordinates of the sweep.
            if target.place == Place::Model && !APPARATUS.contains(&target.key()) && target.key() != "train" {
                name = format!("{name} {}", label::word(&axis.key, &value));
            } else {
                coordinates.retain(|own| own.key != target.key());
                coordinates.push(Coordinate { key: axis.key.clone(), value });
            }
        }
        let architecture = of.architecture.clone();
        Labels { architecture, model: name, task: facts.spec.kind.clone(), coordinates, seed: 0 }
    }

    /// Configures a task, once however often it is met.
    fn task(&mut self, table: &Value) -> Result<TaskFacts> {
        let key = table.to_json().to_string();
        if let Some((_, facts)) = self.tasks.iter().find(|(known, _)| *known == key) {
            return Ok(facts.clone());
        }
        let names = || self.registry.tasks().iter().map(|task| task.info().name).collect();
        let (kind, span) = model::kind(table, "task", names)?;
        let mut own = table.clone();
        own.take("kind");
        let task = self.registry.task(&kind, &span)?;
        let (instance, config) = task.configure(&own).map_err(|error| model::placed(error, &table.span))?;
        let steps = instance.steps();
        if steps as u64 > measure::MAX_LENGTH {
            let message = format!("sequences would have {steps} steps; the limit is {}", measure::MAX_LENGTH);
            return refuse(message, &table.span);
        }
        let facts = TaskFacts {
            spec: KindSpec { kind, config },
            signature: instance.signature(),
            steps,
            answers: Data::new(&instance, 0).probe_batch(1).loss_steps().len(),
            generated: matches!(instance, Instance::Generated(_)),
            trained_steps: trained_steps(&instance),
            validated: examples(&instance, Split::Validation),
            tested: examples(&instance, Split::Test),
            tested_steps: tested_steps(&instance),
        };
        self.tasks.push((key, facts.clone()));
        Ok(facts)
    }

    /// Where the rate is given to all models, if it is.
    fn rate_span(&self) -> Span {
        self.document.train.as_ref()?.get("lr")?.span.clone()
    }

    /// Where it is said what is measured.
    fn measure_span(&self) -> Span {
        self.document.measure.as_ref().map(|value| value.span.clone()).unwrap_or_default()
    }

    /// The cells of a setting: trials of its selection, then one final cell a seed.
    fn group(&self, setting: Setting, seeds: u32, range: SeedRangeSpec) -> Result<Group> {
        let Setting { model, task, train, labels } = setting;
        let (accuracy, gradients) = (self.measure.accuracy.clone(), self.measure.gradients.clone());
        let work = cost::Work { spec: &model.spec, cores: &model.cores };
        let run = |accuracy, test| work.training(&task, &train, accuracy, test);
        let trial_seconds = run(accuracy.as_ref(), false);
        let mut seconds = match cost::trains(accuracy.as_ref(), gradients.as_ref()) {
            true => run(accuracy.as_ref(), true),
            false => 0.0,
        };
        if let Some(late) = gradients.iter().flat_map(|probe| &probe.at).find(|stage| match stage {
            Stage::Step(step) => *step >= train.steps,
            Stage::Init | Stage::End => false,
        }) {
            return refuse(
                format!(
                    "`at` names {}, but training has {} steps; `\"end\"` is after the last",
                    late.name().replace("step-", "step "),
                    train.steps
                ),
                &self.measure_span(),
            );
        }
        seconds += gradients.as_ref().map_or(0.0, |probe| work.probes(&task, probe));
        let full = MeasureSpec { accuracy: accuracy.clone(), gradients, throughput: None };
        let spec =
            CellSpec { model: model.spec, task: task.spec, train, measure: full, seed_range: range, seed: 0 };
        let id = setting_identity(&spec);
        let cell = |spec: CellSpec, purpose, seconds| Cell {
            id: identity(&spec),
            group: id.clone(),
            purpose,
            labels: Labels { seed: u64::from(spec.seed), ..labels.clone() },
            spec,
            predicted_seconds: Some(seconds),
            predicted_bytes: None,
            beyond: None,
        };
        let mut trials = Vec::new();
        if let Rate::Select { select, trials: count } = &spec.train.lr {
            if accuracy.is_none() {
                return refuse(
                    "`lr = { select = … }` needs `accuracy`, by which it selects",
                    &self.rate_span(),
                );
            }
            for (rate, seed) in select.iter().flat_map(|rate| (0..*count).map(move |seed| (rate, seed))) {
                let train = TrainSpec { lr: Rate::Fixed(*rate), ..spec.train.clone() };
                let measure = MeasureSpec { accuracy: accuracy.clone(), gradients: None, throughput: None };
                let seed_range = SeedRangeSpec::Tuning;
                let own = CellSpec { train, measure, seed_range, seed, ..spec.clone() };
                trials.push(cell(own, Purpose::Trial, trial_seconds));
            }
        }
        let finals = (0..seeds).map(|seed| cell(CellSpec { seed, ..spec.clone() }, Purpose::Final, seconds));
        let finals = finals.collect();
        Ok(Group { id: id.clone(), kind: GroupKind::Training, labels, trials, finals })
    }
}

/// Draws that a mean length in training is taken over.
const DRAWS: u64 = 64;

fn trained_steps(instance: &Instance) -> f64 {
    match instance {
        Instance::Generated(task) => {
            let steps =
                |draw| task.steps(task.training_length(&mut Stream::new(0, Drawn::Train, draw))) as f64;
            (0..DRAWS).map(steps).sum::<f64>() / DRAWS as f64
        }
        Instance::Finite(task) => task.steps() as f64,
    }
}

fn tested_steps(instance: &Instance) -> Vec<usize> {
    match instance {
        Instance::Generated(task) => {
            task.evaluation_lengths().into_iter().map(|length| task.steps(length)).collect()
        }
        Instance::Finite(task) => vec![task.steps()],
    }
}

fn examples(instance: &Instance, split: Split) -> usize {
    match instance {
        Instance::Generated(_) => usize::MAX,
        Instance::Finite(task) => task.len(split),
    }
}

/// Identity of what the seeds of a setting share.
pub(super) fn setting_identity(spec: &CellSpec) -> String {
    let mut json = serde_json::to_value(spec).unwrap_or_default();
    if let Some(map) = json.as_object_mut() {
        map.remove("seed");
    }
    hash(&json, NUMERICS_VERSION)
}

/// Every combination of one value of each axis; the last axis varies fastest.
pub(super) fn product<'a>(axes: &[&'a Axis]) -> Result<Vec<Point<'a>>> {
    let size = axes.iter().try_fold(1usize, |size, axis| size.checked_mul(axis.values.len()));
    if let Some(axis) = axes.first().filter(|_| size.is_none_or(|size| size > MAX_CELLS)) {
        return refuse(format!("the sweep has more than {MAX_CELLS} points"), &axis.span);
    }
    let mut points: Vec<Point<'a>> = vec![Vec::new()];
    for axis in axes {
        let extend = |point: &Point<'a>| {
            axis.values
                .iter()
                .map(|value| point.iter().copied().chain([(*axis, value)]).collect())
                .collect::<Vec<_>>()
        };
        points = points.iter().flat_map(extend).collect();
    }
    Ok(points)
}
