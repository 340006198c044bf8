//! Inputs and targets from a file, checked against the model that is to read them.

use super::arrays::{Array, Arrays, Numbers, read};
use seqbench_core::{Batch, Error, InputData, InputKind, Inputs, OutputKind, Result, Signature, Targets};

/// The class of a step that is not scored: PyTorch's `ignore_index`.
const UNSCORED: i64 = -100;
const NAMES: [&str; 4] = ["tokens", "inputs", "targets", "lengths"];

/// Inputs, and what should come out where a file says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// What goes in.
    pub inputs: Inputs,
    /// Length of each sequence without its padding, where given.
    pub lengths: Option<Vec<usize>>,
    /// What should come out, where given.
    pub targets: Option<Targets>,
    /// (row, step) of every scored step, ordered by row, then step.
    pub scored: Vec<(usize, usize)>,
}

impl Examples {
    /// The examples in a file.
    ///
    /// - `tokens`, integers `[batch, time]`, or `inputs`, real numbers `[batch, time, features]`;
    /// - `lengths`, integers `[batch]`, if sequences are padded;
    /// - `targets`: classes `[batch]`, scored at each sequence's last step, or `[batch, time]` with −100 where a step is not
    ///   scored; or real values `[batch, dim]` or `[batch, time, dim]` with NaN there.
    ///
    /// # Errors
    /// The file is neither safetensors nor `.npy`; an array is missing, unknown, of another shape or type, or holds what
    /// the model has no use for.
    pub fn read(bytes: &[u8], signature: Signature) -> Result<Self> {
        let arrays = read(bytes)?;
        if let Some(name) = arrays.keys().find(|name| !NAMES.contains(&name.as_str())) {
            let known = NAMES.join("`, `");
            return Err(Error::invalid(format!("it holds `{name}`; inputs are read from `{known}`")));
        }
        let inputs = inputs(&arrays, signature.input)?;
        let lengths = lengths(&arrays, &inputs)?;
        let end = |row: usize| lengths.as_ref().map_or(inputs.time, |lengths| lengths[row]);
        let (targets, scored) = match arrays.get("targets") {
            None => (None, Vec::new()),
            Some(array) => {
                let (targets, scored) = match signature.output {
                    OutputKind::Classes(classes) => class_targets(array, &inputs, classes, end)?,
                    OutputKind::Regression { dim, .. } => value_targets(array, &inputs, dim, end)?,
                };
                if let Some((row, step)) = scored.iter().find(|(row, step)| *step >= end(*row)) {
                    let length = end(*row);
                    return Err(Error::invalid(format!(
                        "`targets` scores step {step} of sequence {row}, whose length is {length}"
                    )));
                }
                if scored.is_empty() {
                    return Err(Error::invalid("`targets` scores no step"));
                }
                (Some(targets), scored)
            }
        };
        Ok(Examples { inputs, lengths, targets, scored })
    }

    /// The batch a trainer takes, where there are targets. Nothing in it is scored beside the loss.
    pub fn batch(&self) -> Option<Batch> {
        let (batch, time) = (self.inputs.batch, self.inputs.time);
        let mut loss_mask = vec![false; batch * time];
        for (row, step) in &self.scored {
            loss_mask[row * time + step] = true;
        }
        Some(Batch {
            inputs: self.inputs.clone(),
            targets: self.targets.clone()?,
            loss_mask,
            scored: Vec::new(),
            lengths: self.lengths.clone().unwrap_or_else(|| vec![time; batch]),
        })
    }
}

fn inputs(arrays: &Arrays, kind: InputKind) -> Result<Inputs> {
    let (own, other) = match kind {
        InputKind::Tokens(_) => ("tokens", "inputs"),
        InputKind::Features(_) => ("inputs", "tokens"),
    };
    let what = match kind {
        InputKind::Tokens(_) => "`tokens`, integers [batch, time]".to_owned(),
        InputKind::Features(dim) => format!("`inputs`, real numbers [batch, time, {dim}]"),
    };
    if arrays.contains_key(other) {
        return Err(Error::invalid(format!("it holds `{other}`, but this model reads {what}")));
    }
    let array = arrays
        .get(own)
        .ok_or_else(|| Error::invalid(format!("`{own}` is missing: this model reads {what}")))?;
    if array.shape.contains(&0) {
        return Err(Error::shape(format!("`{own}`"), &array.shape, "none of them 0"));
    }
    let (batch, time, data) = match (kind, array.shape.as_slice(), &array.numbers) {
        (InputKind::Tokens(vocabulary), &[batch, time], Numbers::Whole(tokens)) => {
            if let Some(at) = tokens.iter().position(|token| !(0..vocabulary as i64).contains(token)) {
                return Err(Error::invalid(format!(
                    "`tokens`: step {} of sequence {} is {}, outside the vocabulary 0..{vocabulary}",
                    at % time,
                    at / time,
                    tokens[at]
                )));
            }
            (batch, time, InputData::Tokens(tokens.iter().map(|token| *token as u32).collect()))
        }
        (InputKind::Features(dim), &[batch, time, width], Numbers::Real(values)) if width == dim => {
            (batch, time, InputData::Features { dim, values: values.clone() })
        }
        _ => return Err(unfit(own, array, &what)),
    };
    Ok(Inputs { batch, time, data })
}

fn lengths(arrays: &Arrays, inputs: &Inputs) -> Result<Option<Vec<usize>>> {
    let Some(array) = arrays.get("lengths") else { return Ok(None) };
    let Numbers::Whole(lengths) = &array.numbers else {
        return Err(unfit("lengths", array, "integers [batch]"));
    };
    if array.shape != [inputs.batch] {
        return Err(unfit("lengths", array, &format!("integers [{}]", inputs.batch)));
    }
    let time = inputs.time;
    match lengths.iter().find(|length| !(1..=time as i64).contains(length)) {
        Some(length) => Err(Error::invalid(format!("`lengths` has {length}, expected 1 to {time}"))),
        None => Ok(Some(lengths.iter().map(|length| *length as usize).collect())),
    }
}

type Answers = (Targets, Vec<(usize, usize)>);

fn class_targets(
    array: &Array,
    inputs: &Inputs,
    classes: usize,
    end: impl Fn(usize) -> usize,
) -> Result<Answers> {
    let (batch, time) = (inputs.batch, inputs.time);
    let expected = format!("integers [{batch}] or [{batch}, {time}]");
    let Numbers::Whole(given) = &array.numbers else { return Err(unfit("targets", array, &expected)) };
    let places = places(&array.shape, batch, time, end).ok_or_else(|| unfit("targets", array, &expected))?;
    let mut targets = vec![0; batch * time];
    let mut scored = Vec::new();
    for ((row, step), class) in places.into_iter().zip(given) {
        if *class == UNSCORED {
            continue;
        }
        if !(0..classes as i64).contains(class) {
            return Err(Error::invalid(format!(
                "`targets`: sequence {row} has {class}, expected a class of 0..{classes}, or {UNSCORED} for none"
            )));
        }
        targets[row * time + step] = *class as u32;
        scored.push((row, step));
    }
    Ok((Targets::Classes(targets), scored))
}

fn value_targets(
    array: &Array,
    inputs: &Inputs,
    dim: usize,
    end: impl Fn(usize) -> usize,
) -> Result<Answers> {
    let (batch, time) = (inputs.batch, inputs.time);
    let expected = format!("real numbers [{batch}, {dim}] or [{batch}, {time}, {dim}]");
    let refused = || unfit("targets", array, &expected);
    let Numbers::Real(given) = &array.numbers else { return Err(refused()) };
    let Some((width, shape)) = array.shape.split_last().filter(|(width, _)| **width == dim) else {
        return Err(refused());
    };
    let places = places(shape, batch, time, end).ok_or_else(refused)?;
    let mut values = vec![0.0; batch * time * dim];
    let mut scored = Vec::new();
    for ((row, step), answer) in places.into_iter().zip(given.chunks_exact(*width)) {
        if answer.iter().all(|value| value.is_nan()) {
            continue;
        }
        if let Some(value) = answer.iter().find(|value| !value.is_finite()) {
            return Err(Error::invalid(format!(
                "`targets`: sequence {row} has {value}; a step that is not scored is NaN in all its values"
            )));
        }
        let at = (row * time + step) * dim;
        values[at..at + dim].copy_from_slice(answer);
        scored.push((row, step));
    }
    Ok((Targets::Values { dim, values }, scored))
}

/// (row, step) of every entry of an array `[batch]`, each at its sequence's last step, or `[batch, time]`.
fn places(
    shape: &[usize],
    batch: usize,
    time: usize,
    end: impl Fn(usize) -> usize,
) -> Option<Vec<(usize, usize)>> {
    match *shape {
        [rows] if rows == batch => Some((0..batch).map(|row| (row, end(row) - 1)).collect()),
        [rows, steps] if rows == batch && steps == time => {
            Some((0..batch * time).map(|at| (at / time, at % time)).collect())
        }
        _ => None,
    }
}

fn unfit(name: &str, array: &Array, expected: &str) -> Error {
    let kind = array.numbers.kind();
    Error::invalid(format!("`{name}` holds {kind} {:?}, expected {expected}", array.shape))
}
