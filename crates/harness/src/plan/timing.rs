//! Timing cells: every model, and every value of a sweep over models, at every length.

use super::error::{Result, refuse};
use super::expand::{Expansion, Point, product, setting_identity};
use super::model::APPARATUS;
use super::target::Place;
use super::{Cell, Group, GroupKind, NUMERICS_VERSION, cost, identity};
use crate::spec::{Answers, CellSpec, MeasureSpec, Rate, Schedule, SeedRangeSpec, ThroughputSpec, TrainSpec};
use seqbench_record::{Coordinate, Labels, Purpose, hash};

/// One group a length. The task gives the kinds of input and output only: it is the first, at the first point of its
/// sweep.
pub(super) fn groups(expansion: &mut Expansion<'_>, range: SeedRangeSpec) -> Result<Vec<Group>> {
    let lengths = expansion.measure.throughput.clone();
    if lengths.is_empty() {
        return Ok(Vec::new());
    }
    let document = expansion.document;
    let mut all: Vec<(ThroughputSpec, Vec<Cell>)> =
        lengths.into_iter().map(|length| (length, Vec::new())).collect();
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
            for (throughput, cells) in &mut all {
                let seconds =
                    cost::Work { spec: &setting.model.spec, cores: &setting.model.cores }.timing(throughput);
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
                labels.coordinates.push(length_coordinate(throughput));
                let id = identity(&spec);
                if cells.iter().any(|cell| cell.id == id) {
                    let message = format!("`{}` has the settings of another model", labels.model);
                    return refuse(message, &document.models[model].span);
                }
                let group = setting_identity(&spec);
                let predicted_seconds = Some(seconds);
                cells.push(Cell { id, group, purpose: Purpose::Timing, labels, spec, predicted_seconds });
            }
        }
    }
    Ok(all.into_iter().map(|(throughput, cells)| group(&throughput, cells)).collect())
}

fn group(throughput: &ThroughputSpec, finals: Vec<Cell>) -> Group {
    let labels = Labels {
        architecture: String::new(),
        model: String::new(),
        task: String::new(),
        coordinates: vec![length_coordinate(throughput)],
        seed: 0,
    };
    let id = hash(&serde_json::to_value(throughput).unwrap_or_default(), NUMERICS_VERSION);
    Group { id, kind: GroupKind::Timing, labels, trials: Vec::new(), finals }
}

fn length_coordinate(throughput: &ThroughputSpec) -> Coordinate {
    Coordinate { key: "length".to_owned(), value: throughput.length.into() }
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
