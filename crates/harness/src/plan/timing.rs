//! Timing cells: every model, and every value of a sweep over models, in every mode at every length, batch and number of
//! threads.

use super::error::{Result, refuse};
use super::expand::{Expansion, Point, product, setting_identity};
use super::measure::Timed;
use super::model::APPARATUS;
use super::pass::pass_cost;
use super::target::Place;
use super::{Cell, Group, GroupKind, NUMERICS_VERSION, cost, identity};
use crate::spec::{
    Answers, CellSpec, MeasureSpec, Mode, Rate, Schedule, SeedRangeSpec, ThroughputSpec, TrainSpec,
};
use seqbench_record::{Coordinate, Labels, Purpose, hash};

/// One group a mode and size. The task gives the kinds of input and output only: it is the first, at the first point of its
/// sweep.
pub(super) fn groups(expansion: &mut Expansion<'_>, range: SeedRangeSpec) -> Result<Vec<Group>> {
    let timed = std::mem::take(&mut expansion.measure.throughput);
    if timed.is_empty() {
        return Ok(Vec::new());
    }
    let document = expansion.document;
    let mut all: Vec<(Timed, Vec<Cell>)> = timed.into_iter().map(|timed| (timed, Vec::new())).collect();
    for model in 0..document.models.len() {
        let axes = expansion.applicable(model, 0)?;
        let of_task: Point<'_> = axes
            .iter()
            .filter(|axis| axis.target.place == Place::Task)
            .map(|axis| (*axis, &axis.values[0]))
            .collect();
        let of_model = axes.into_iter().filter(|axis| {
            let apparatus = APPARATUS.contains(&axis.target.key());
            match axis.target.place {
                Place::Model => axis.target.key() != "train",
                place => place == Place::Defaults && apparatus,
            }
        });
        let of_model = of_model.collect::<Vec<_>>();
        for point in product(&of_model)? {
            let whole: Point<'_> = of_task.iter().chain(&point).copied().collect();
            let mut setting = expansion.setting(model, 0, &whole)?;
            let task_axes: Vec<&str> = of_task.iter().map(|(axis, _)| axis.key.as_str()).collect();
            setting.labels.coordinates.retain(|own| !task_axes.contains(&own.key.as_str()));
            let work = cost::Work { spec: &setting.model.spec, cores: &setting.model.cores };
            for (timed, cells) in &mut all {
                let throughput = &timed.spec;
                let spec = CellSpec {
                    model: setting.model.spec.clone(),
                    task: setting.task.spec.clone(),
                    train: canonical(&setting.train, throughput),
                    measure: MeasureSpec {
                        accuracy: None,
                        gradients: None,
                        throughput: Some(throughput.clone()),
                    },
                    seed_range: range,
                    seed: 0,
                };
                let mut labels = setting.labels.clone();
                labels.coordinates.extend(coordinates(throughput));
                let id = identity(&spec);
                if cells.iter().any(|cell| cell.id == id) {
                    let message = format!("`{}` has the settings of another model", labels.model);
                    return refuse(message, &document.models[model].span);
                }
                let group = setting_identity(&spec);
                let predicted_seconds = Some(work.timing(throughput));
                let beyond = beyond(&work, timed);
                let ThroughputSpec { length, batch, .. } = *throughput;
                let signature = setting.task.signature;
                let cost = pass_cost(&spec.model, signature, timed.mode(), length, batch, expansion.registry);
                let predicted_bytes = cost.ok().map(|cost| cost.memory_bytes);
                let purpose = Purpose::Timing;
                cells.push(Cell {
                    id,
                    group,
                    purpose,
                    labels,
                    spec,
                    predicted_seconds,
                    predicted_bytes,
                    beyond,
                });
            }
        }
    }
    Ok(all.into_iter().map(|(timed, cells)| group(&timed.spec, cells)).collect())
}

fn group(throughput: &ThroughputSpec, finals: Vec<Cell>) -> Group {
    let labels = Labels {
        architecture: String::new(),
        model: String::new(),
        task: String::new(),
        coordinates: coordinates(throughput),
        seed: 0,
    };
    let id = hash(&serde_json::to_value(throughput).unwrap_or_default(), NUMERICS_VERSION);
    Group { id, kind: GroupKind::Timing, labels, trials: Vec::new(), finals }
}

/// What is timed, in the order in which a person would say it.
fn coordinates(throughput: &ThroughputSpec) -> Vec<Coordinate> {
    let threads = match throughput.threads {
        0 => "all".into(),
        threads => threads.into(),
    };
    let mode = throughput.modes.first().map_or("", |mode| mode.name()).into();
    let (length, batch) = (throughput.length.into(), throughput.batch.into());
    [("mode", mode), ("length", length), ("batch", batch), ("threads", threads)]
        .map(|(key, value): (&str, serde_json::Value)| Coordinate { key: key.to_owned(), value })
        .into()
}

/// Why a cell is skipped: a pass of it is predicted above the limit, or its share of what must come before the rounds.
fn beyond(work: &cost::Work<'_>, timed: &Timed) -> Option<String> {
    let ThroughputSpec { length, batch, rounds, .. } = timed.spec;
    let of = |mode| work.pass(mode, length, batch);
    let (mode, limit) = (timed.mode(), timed.max_pass_seconds);
    let pass = of(mode);
    let context = match mode {
        Mode::Decode => of(Mode::Forward) / f64::from(rounds),
        Mode::Train | Mode::Forward => 0.0,
    };
    if pass > limit {
        return Some(format!("predicted {pass:.0} s a pass, above the limit of {limit} s"));
    }
    (context > limit).then(|| {
        format!("its context is predicted to take {context:.0} s a round, above the limit of {limit} s")
    })
}

/// A timed step costs the same at any rate and at any point of a run, so these do not tell timing cells apart; the
/// optimizer, clipping and truncation do.
fn canonical(train: &TrainSpec, throughput: &ThroughputSpec) -> TrainSpec {
    TrainSpec {
        steps: u64::from(throughput.warmup) + u64::from(throughput.rounds),
        batch: throughput.batch,
        lr: Rate::Fixed(1e-3),
        schedule: Schedule::Constant,
        warmup: 0,
        final_share: 1.0,
        stop_at: None,
        curriculum: None,
        answers: Answers::True,
        ..train.clone()
    }
}
