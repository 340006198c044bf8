//! Samples of a generated task: whole, right by their own oracle, drawn from their stream alone, and depending on
//! their evidence and on nothing else.

use super::score::answer;
use super::{Check, Contract, Found, ensure};
use seqbench_core::{
    Batch, Evidence, Generated, InputData, InputKind, Inputs, OutputKind, Purpose, Signature, Stream, Targets,
};
use std::collections::{BTreeSet, HashSet};

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<dyn Generated>] = &[
    (
        Contract {
            name: "batches are whole",
            meaning: "a batch contradicts itself or the task's signature: something else than the task is trained or \
                      scored",
        },
        batches_are_whole,
    ),
    (
        Contract {
            name: "the oracle is right",
            meaning: "the targets do not follow from the inputs, so no model can reach an accuracy of 1; or the oracle \
                      is wrong",
        },
        the_oracle_is_right,
    ),
    (
        Contract {
            name: "the stream decides",
            meaning: "a batch is not a function of its stream: runs cannot be repeated, or every step sees the same \
                      samples",
        },
        the_stream_decides,
    ),
    (
        Contract {
            name: "training, validation and test are apart",
            meaning: "test sequences repeat training sequences more often than fresh draws would: scores measure \
                      memory of the training set",
        },
        streams_are_apart,
    ),
    (
        Contract {
            name: "lengths",
            meaning: "training reaches past the nominal length, or the evaluation leaves it out: what is called \
                      extrapolation is none, or the primary score is missing",
        },
        lengths,
    ),
    (
        Contract {
            name: "evidence",
            meaning: "an answer does not depend on what is declared its evidence, or depends on something else: \
                      accuracy against lag is accuracy against something else",
        },
        evidence,
    ),
];

/// Everything about a batch that does not need the meaning of its answers.
pub(crate) fn whole(what: &str, batch: &Batch, signature: Signature) -> Found {
    if let Some(fault) = batch.fault() {
        ensure!(false, "{what}: {fault}");
    }
    let time = batch.inputs.time;
    match (&batch.inputs.data, signature.input) {
        (InputData::Tokens(tokens), InputKind::Tokens(vocabulary)) => {
            let known = tokens.iter().all(|token| (*token as usize) < vocabulary);
            ensure!(known, "{what}: a symbol beyond the vocabulary of {vocabulary}");
        }
        (InputData::Features { dim, values }, InputKind::Features(features)) => {
            ensure!(*dim == features, "{what}: {dim} features a step, the signature says {features}");
            ensure!(values.iter().all(|value| value.is_finite()), "{what}: an input is not finite");
        }
        _ => ensure!(false, "{what}: inputs of another kind than the signature says"),
    }
    match (&batch.targets, signature.output) {
        (Targets::Classes(classes), OutputKind::Classes(count)) => {
            let known = |(row, step): &(usize, usize)| (classes[row * time + step] as usize) < count;
            ensure!(
                batch.loss_steps().iter().all(known),
                "{what}: a class beyond the {count} of the signature"
            );
        }
        (Targets::Values { dim, .. }, OutputKind::Regression { dim: expected, .. }) => {
            ensure!(*dim == expected, "{what}: {dim} target values a step, the signature says {expected}");
        }
        _ => ensure!(false, "{what}: targets of another kind than the signature says"),
    }
    let rows: BTreeSet<u32> = batch.scored.iter().map(|scored| scored.row).collect();
    ensure!(rows.len() == batch.inputs.batch, "{what}: a sequence without a scored step");
    for scored in &batch.scored {
        let at = scored.row as usize * time + scored.step as usize;
        ensure!(batch.loss_mask[at], "{what}: step {} is scored but not in the loss", scored.step);
        let first = match &scored.evidence {
            Evidence::Steps(steps) => steps.iter().min().copied().unwrap_or(scored.step),
            Evidence::Span(range) => range.start,
        };
        let distance = scored.step - first;
        ensure!(
            scored.lag == distance,
            "{what}: a lag of {}, the evidence is {distance} steps back",
            scored.lag
        );
    }
    Ok(())
}

/// A batch of (seed, purpose, index) at the nominal length.
pub(crate) fn nominal(
    task: &(dyn Generated + 'static),
    seed: u64,
    purpose: Purpose,
    index: u64,
    rows: usize,
) -> Batch {
    task.sample(&mut Stream::new(seed, purpose, index), rows, task.nominal_length())
}

fn batches_are_whole(task: &(dyn Generated + 'static)) -> Found {
    let mut lengths: BTreeSet<usize> = task.evaluation_lengths().into_iter().collect();
    let mut rng = Stream::new(0, Purpose::Train, 0);
    lengths.extend((0..8).map(|_| task.training_length(&mut rng)));
    for length in lengths {
        for (seed, rows) in [(0, 1), (1, 3), (u64::MAX, 17)] {
            let batch = task.sample(&mut Stream::new(seed, Purpose::Train, 0), rows, length);
            whole(&format!("at length {length}"), &batch, task.signature())?;
            ensure!(batch.inputs.batch == rows, "asked for {rows} sequences, got {}", batch.inputs.batch);
            let (time, steps) = (batch.inputs.time, task.steps(length));
            ensure!(time <= steps, "at length {length} a sequence has {time} steps, `steps` says {steps}");
        }
    }
    Ok(())
}

fn the_oracle_is_right(task: &(dyn Generated + 'static)) -> Found {
    for length in task.evaluation_lengths() {
        let batch = task.sample(&mut Stream::new(3, Purpose::Test, 0), 50, length);
        let found = task.oracle(&batch.inputs, &batch.lengths);
        for (row, step) in batch.scored_steps() {
            let time = batch.inputs.time;
            let (own, expected) =
                (answer(&found, time, row, step)?, answer(&batch.targets, time, row, step)?);
            ensure!(
                own == expected,
                "at length {length}, step {step}: the oracle says {own:?}, the target is {expected:?}"
            );
        }
    }
    Ok(())
}

fn the_stream_decides(task: &(dyn Generated + 'static)) -> Found {
    let first = nominal(task, 0, Purpose::Train, 0, 32);
    ensure!(first == nominal(task, 0, Purpose::Train, 0, 32), "one stream gives two different batches");
    for (what, seed, index) in [("another seed", 1, 0), ("another step", 0, 1)] {
        ensure!(first != nominal(task, seed, Purpose::Train, index, 32), "{what} gives the same batch");
    }
    Ok(())
}

fn streams_are_apart(task: &(dyn Generated + 'static)) -> Found {
    const ROWS: usize = 400;
    let draw = |purpose| -> Vec<Vec<u32>> {
        let batch = nominal(task, 0, purpose, 0, ROWS);
        (0..ROWS).map(|row| sequence(&batch, row)).collect()
    };
    let trained: HashSet<Vec<u32>> = draw(Purpose::Train).into_iter().collect();
    // A batch that repeats itself comes from a small space, which is no fault. Two batches have twice the pairs.
    let by_chance = 2.0 * (ROWS - trained.len()) as f64;
    let bound = by_chance + 4.0 * by_chance.sqrt() + 3.0;
    for (what, purpose) in [("validation", Purpose::Validation), ("test", Purpose::Test)] {
        let repeated = draw(purpose).iter().filter(|sequence| trained.contains(*sequence)).count();
        ensure!(
            repeated as f64 <= bound,
            "{repeated} of {ROWS} {what} sequences are training's, by chance it would be about {by_chance}"
        );
    }
    Ok(())
}

fn lengths(task: &(dyn Generated + 'static)) -> Found {
    let longest = task.nominal_length();
    let mut rng = Stream::new(0, Purpose::Train, 0);
    for _ in 0..200 {
        let length = task.training_length(&mut rng);
        ensure!(
            (1..=longest).contains(&length),
            "a training length of {length}, the nominal one is {longest}"
        );
    }
    let lengths = task.evaluation_lengths();
    ensure!(
        lengths.contains(&longest),
        "the nominal length {longest} is not among the evaluated {lengths:?}"
    );
    ensure!(
        lengths.is_sorted_by(|a, b| a < b),
        "the evaluated lengths {lengths:?} are not in ascending order"
    );
    Ok(())
}

fn evidence(task: &(dyn Generated + 'static)) -> Found {
    const ROWS: usize = 40;
    const ANSWERS: usize = 9;
    const STEPS: usize = 48;
    let output = task.signature().output;
    let batch = nominal(task, 5, Purpose::Test, 0, ROWS);
    let time = batch.inputs.time;
    let scored: Vec<_> = batch.scored.iter().filter(|scored| scored.row < 3).collect();
    for scored in scored.iter().step_by(scored.len().div_ceil(ANSWERS).max(1)) {
        let (row, at) = (scored.row as usize, scored.step as usize);
        let expected = answer(&batch.targets, time, row, at)?;
        let length = batch.lengths[row];
        for step in
            (0..length).step_by(length.div_ceil(STEPS).max(1)).chain(nearest_evidence(&scored.evidence))
        {
            let inside = scored.evidence.contains(step as u32);
            let distinct = !inside && !task.symbols_repeat();
            let mut kept = 0;
            let mut changed = 0;
            for other in (0..ROWS).filter(|other| *other != row) {
                let put = cell(&batch.inputs, other, step);
                if !may_stand(task, &batch.inputs, row, step, &put) {
                    continue;
                }
                let Some(inputs) = replaced(&batch.inputs, row, step, &put, distinct) else { continue };
                let found = task.oracle(&inputs, &batch.lengths[row..=row]);
                match same(output, &answer(&found, time, 0, at)?, &expected) {
                    true => kept += 1,
                    false => changed += 1,
                }
            }
            // Without an alternative there is nothing to try.
            ensure!(
                !inside || changed > 0 || kept == 0,
                "step {step} is evidence of the answer at {at}, and cannot change it"
            );
            ensure!(
                inside || changed == 0,
                "step {step} is no evidence of the answer at {at}, and changes it"
            );
        }
    }
    Ok(())
}

/// Whether the task lets this input stand at a step of a row. Features may stand anywhere.
fn may_stand(task: &dyn Generated, inputs: &Inputs, row: usize, step: usize, put: &[u32]) -> bool {
    match &inputs.data {
        InputData::Tokens(tokens) => task.exchangeable(tokens[row * inputs.time + step], put[0]),
        InputData::Features { .. } => true,
    }
}

/// Some steps that are evidence, so that a coarse walk over a long sequence does not miss them all.
fn nearest_evidence(evidence: &Evidence) -> Vec<usize> {
    match evidence {
        Evidence::Steps(steps) => steps.iter().take(8).map(|step| *step as usize).collect(),
        Evidence::Span(range) => vec![range.start as usize],
    }
}

/// Whether two answers count as the same: equal classes, values within the tolerance.
fn same(output: OutputKind, a: &[f64], b: &[f64]) -> bool {
    let tolerance = match output {
        OutputKind::Classes(_) => 0.0,
        OutputKind::Regression { tolerance, .. } => tolerance,
    };
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// The input of a step: its symbol, or the bits of its features.
fn cell(inputs: &Inputs, row: usize, step: usize) -> Vec<u32> {
    let at = row * inputs.time + step;
    match &inputs.data {
        InputData::Tokens(tokens) => vec![tokens[at]],
        InputData::Features { dim, values } => {
            values[at * dim..(at + 1) * dim].iter().map(|value| value.to_bits()).collect()
        }
    }
}

/// The inputs of a row.
pub(crate) fn sequence(batch: &Batch, row: usize) -> Vec<u32> {
    (0..batch.lengths[row]).flat_map(|step| cell(&batch.inputs, row, step)).collect()
}

/// One row of the inputs with what stands at a step replaced by `other`, where that changes anything. With `distinct`
/// a symbol that occurs elsewhere in the row is not put there, because a task may demand distinct ones; of real
/// features those that are exactly 0 or 1 in either are marks and stay.
fn replaced(inputs: &Inputs, row: usize, step: usize, other: &[u32], distinct: bool) -> Option<Inputs> {
    let time = inputs.time;
    let mut changed = false;
    let data = match &inputs.data {
        InputData::Tokens(tokens) => {
            let mut tokens = tokens[row * time..(row + 1) * time].to_vec();
            changed |= tokens[step] != other[0] && !(distinct && tokens.contains(&other[0]));
            tokens[step] = other[0];
            InputData::Tokens(tokens)
        }
        InputData::Features { dim, values } => {
            let mut values = values[row * time * dim..(row + 1) * time * dim].to_vec();
            let free = |value: f32| value != 0.0 && value != 1.0;
            for (value, other) in values[step * dim..].iter_mut().zip(other) {
                let other = f32::from_bits(*other);
                if free(*value) && free(other) && *value != other {
                    *value = other;
                    changed = true;
                }
            }
            InputData::Features { dim: *dim, values }
        }
    };
    changed.then_some(Inputs { batch: 1, time, data })
}
