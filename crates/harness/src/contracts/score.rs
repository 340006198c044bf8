//! What a task says a predictor without memory reaches, against what the best constant answer does reach.

use super::sample::nominal;
use super::{Check, Contract, Fault, Found, ensure};
use seqbench_core::{Batch, Finite, Generated, OutputKind, Purpose, Reference, Split, Targets};
use std::collections::BTreeMap;

const CHANCE: Contract = Contract {
    name: "chance",
    meaning: "a constant answer scores otherwise than the task states: what is drawn as the line of chance is none, \
              and a model that learnt nothing looks as if it had, or the other way round",
};

/// The contracts of generated tasks' references.
pub(crate) const GENERATED: &[Check<dyn Generated>] = &[(CHANCE, |task| {
    let batch = nominal(task, 7, Purpose::Test, 0, 2000);
    chance(&batch, task.signature().output, &task.references(task.nominal_length()))
})];

/// The contracts of finite tasks' references.
pub(crate) const FINITE: &[Check<dyn Finite>] = &[(CHANCE, |task| {
    let indices: Vec<usize> = (0..task.len(Split::Test)).collect();
    chance(&task.batch(Split::Test, &indices), task.signature().output, &task.references())
})];

/// The answer at a step, as numbers.
pub(crate) fn answer(targets: &Targets, time: usize, row: usize, step: usize) -> Result<Vec<f64>, Fault> {
    let at = row * time + step;
    let found = match targets {
        Targets::Classes(classes) => classes.get(at).map(|class| vec![f64::from(*class)]),
        Targets::Values { dim, values } => values
            .get(at * dim..(at + 1) * dim)
            .map(|values| values.iter().map(|value| f64::from(*value)).collect()),
    };
    found.ok_or_else(|| Fault::from(format!("there is no target at row {row}, step {step}")))
}

fn chance(batch: &Batch, output: OutputKind, references: &[Reference]) -> Found {
    let Some(first) = references.first() else {
        ensure!(false, "it states no chance");
        return Ok(());
    };
    let proper = first.name == "chance" && first.metric == "accuracy" && (0.0..=1.0).contains(&first.value);
    ensure!(proper, "the first reference is {first:?}, expected `chance` with metric `accuracy`");
    let time = batch.inputs.time;
    let mut answers = Vec::new();
    for (row, step) in batch.scored_steps() {
        answers.push(answer(&batch.targets, time, row, step)?);
    }
    let best = match output {
        OutputKind::Classes(_) => {
            let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
            answers.iter().for_each(|answer| *counts.entry(answer[0] as u64).or_default() += 1);
            counts.values().copied().max().unwrap_or(0) as f64 / answers.len().max(1) as f64
        }
        OutputKind::Regression { tolerance, .. } => {
            let mean: Vec<f64> = (0..output.width())
                .map(|i| answers.iter().map(|answer| answer[i]).sum::<f64>() / answers.len().max(1) as f64)
                .collect();
            let right = |answer: &&Vec<f64>| answer.iter().zip(&mean).all(|(y, p)| (y - p).abs() < tolerance);
            answers.iter().filter(right).count() as f64 / answers.len().max(1) as f64
        }
    };
    let stated = references.iter().filter(|own| own.metric == "accuracy").map(|own| own.value);
    let highest = stated.fold(0.0, f64::max);
    // Scored steps of one sequence may hang together; sequences do not.
    let rows = batch.inputs.batch.max(1) as f64;
    let deviations = |share: f64| 4.0 * (share * (1.0 - share) / rows).sqrt() + 2.0 / rows;
    ensure!(
        best <= highest + deviations(highest),
        "the best constant answer is right at {best:.4} of the scored steps, no stated reference exceeds {highest:.4}"
    );
    let chance = first.value;
    ensure!(
        best >= chance - deviations(chance),
        "chance is stated as {chance:.4}, the best constant answer is right at {best:.4} of the scored steps"
    );
    Ok(())
}
