//! What a task says a predictor without memory reaches, against what the best constant answer does reach.

use super::sample::nominal;
use super::split::batches;
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
    let references = task.references(task.nominal_length());
    first(&references, "accuracy", "chance")?;
    chance(&batch, task.signature().output, &references)
})];

/// The contracts of finite tasks' references.
pub(crate) const FINITE: &[Check<dyn Finite>] = &[(CHANCE, |task| {
    let indices: Vec<usize> = (0..task.len(Split::Test)).collect();
    let batch = task.batch(Split::Test, &indices);
    let (output, references) = (task.signature().output, task.references());
    match (task.metric(), output) {
        ("accuracy", _) => first(&references, "accuracy", "chance")?,
        ("bits_per_byte", OutputKind::Classes(classes)) => bits(&batch, classes, &references)?,
        ("mse", OutputKind::Regression { .. }) => mean(task, &batch, &references)?,
        (metric, output) => ensure!(false, "its metric is `{metric}`, its answers are {output:?}"),
    }
    if output.has_accuracy() { chance(&batch, output, &references) } else { Ok(()) }
})];

/// Requires that the references begin with the primary metric's trivial value.
fn first(references: &[Reference], metric: &str, name: &str) -> Found {
    let Some(first) = references.first() else {
        ensure!(false, "it states no chance");
        return Ok(());
    };
    let proper = first.metric == metric && (name.is_empty() || first.name == name) && first.value.is_finite();
    let named = if name.is_empty() { String::new() } else { format!("`{name}` with ") };
    ensure!(proper, "the first reference is {first:?}, expected {named}metric `{metric}`");
    Ok(())
}

/// No fixed frequencies cost less than those of the test split itself, and none need cost more than equal ones.
fn bits(batch: &Batch, classes: usize, references: &[Reference]) -> Found {
    first(references, "bits_per_byte", "")?;
    let answers = answers(batch)?;
    let n = answers.len().max(1) as f64;
    let mut counts: BTreeMap<u64, f64> = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry(answer[0] as u64).or_default() += 1.0);
    let entropy: f64 = counts.values().map(|count| count / n * libm::log2(n / count)).sum();
    let (stated, most) = (references[0].value, libm::log2(classes as f64));
    ensure!(
        (entropy * (1.0 - 1e-9)..=most).contains(&stated),
        "the trivial predictor is stated at {stated:.4} bits, one without a context needs {entropy:.4} to {most:.4}"
    );
    Ok(())
}

/// The mean answer of training has the stated squared error on test.
fn mean(task: &dyn Finite, test: &Batch, references: &[Reference]) -> Found {
    first(references, "mse", "mean")?;
    let width = task.signature().output.width();
    let (mut mean, mut n) = (vec![0.0; width], 0.0);
    for batch in batches(task, Split::Train) {
        for answer in answers(&batch)? {
            n += 1.0;
            mean.iter_mut().zip(&answer).for_each(|(mean, value)| *mean += (value - *mean) / n);
        }
    }
    let answers = answers(test)?;
    let squares = answers.iter().flat_map(|answer| answer.iter().zip(&mean).map(|(y, p)| (y - p) * (y - p)));
    let found = squares.sum::<f64>() / (answers.len() * width).max(1) as f64;
    let stated = references[0].value;
    ensure!(
        (found - stated).abs() <= 1e-6 * found.max(1e-30),
        "`mean` is stated at {stated:.6e}, the mean of training has a squared error of {found:.6e} on test"
    );
    Ok(())
}

/// The answers at the scored steps.
fn answers(batch: &Batch) -> Result<Vec<Vec<f64>>, Fault> {
    let steps = batch.scored_steps().into_iter();
    steps.map(|(row, step)| answer(&batch.targets, batch.inputs.time, row, step)).collect()
}

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
    let stated = references.iter().find(|own| own.name == "chance" && own.metric == "accuracy");
    let Some(stated) = stated.filter(|own| (0.0..=1.0).contains(&own.value)) else {
        ensure!(false, "no reference is `chance` with metric `accuracy` in 0..1, among {references:?}");
        return Ok(());
    };
    let chance = stated.value;
    let answers = answers(batch)?;
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
    ensure!(
        best >= chance - deviations(chance),
        "chance is stated as {chance:.4}, the best constant answer is right at {best:.4} of the scored steps"
    );
    Ok(())
}
