//! Sequences made of a file's arrays: their shapes held against each other, every value that is read looked at, and the
//! splits.

use crate::arrays::{Array, Values};
use crate::checks::{MAX_STEPS, MAX_SYMBOLS};
use seqbench_core::{Error, InputData, InputKind, Purpose, Result, Stream, Targets};
use std::collections::BTreeMap;

/// The names of the arrays.
pub(crate) const NAMES: [&str; 5] = ["inputs", "targets", "mask", "lengths", "split"];

/// Sequences without an own split must be this many.
const LEAST: usize = 10;

/// Checked sequences.
#[derive(Debug)]
pub(crate) struct Records {
    /// Steps of the longest there is room for.
    pub(crate) time: usize,
    /// Kind of a step's input.
    pub(crate) input: InputKind,
    /// `[n, time]` or `[n, time, dim]`; zero behind a sequence's end.
    pub(crate) inputs: InputData,
    /// Width of an answer: classes, or values.
    pub(crate) width: usize,
    /// `[n]` or `[n, dim]`, or with `per_step` `[n, time]` or `[n, time, dim]`; zero where none is read.
    pub(crate) targets: Targets,
    /// Whether each step has a target of its own.
    pub(crate) per_step: bool,
    /// `[n, time]`: which steps are scored.
    pub(crate) mask: Option<Vec<bool>>,
    /// `[n]`
    pub(crate) lengths: Vec<usize>,
    /// Sequences of training, validation and test.
    pub(crate) parts: [Vec<usize>; 3],
}

/// The arrays in the making, and what errors call their file.
struct Maker<'a> {
    path: &'a str,
    n: usize,
    time: usize,
    lengths: Vec<usize>,
    mask: Option<Vec<bool>>,
    per_step: bool,
}

/// The sequences of these arrays, of the file at `path`.
///
/// # Errors
/// An array is missing, of a wrong kind or shape, or holds what is none of its values; every message names the array
/// and the remedy.
pub(crate) fn records(
    path: &str,
    mut arrays: BTreeMap<String, Array>,
    per_step: Option<bool>,
) -> Result<Records> {
    let mut take = |name| arrays.remove(name);
    let mut maker = Maker { path, n: 0, time: 0, lengths: Vec::new(), mask: None, per_step: false };
    let needed = |maker: &Maker<'_>, name| maker.refused(name, "is missing; save it with the others");
    let inputs = take("inputs").ok_or_else(|| needed(&maker, "inputs"))?;
    let targets = take("targets").ok_or_else(|| needed(&maker, "targets"))?;
    let (n, time) = match inputs.shape[..] {
        [n, time] | [n, time, _] => (n, time),
        _ => return Err(maker.shape("inputs", &inputs.shape, "[n, time] or [n, time, dim]")),
    };
    if time > MAX_STEPS {
        return Err(maker.refused("inputs", format!("has {time} steps; give {MAX_STEPS} or less")));
    }
    (maker.n, maker.time) = (n, time);
    maker.lengths = maker.lengths(take("lengths"))?;
    let dim;
    (maker.per_step, dim) = maker.layout(&targets, per_step)?;
    maker.mask = maker.mask(take("mask"))?;
    let (input, inputs) = maker.inputs(inputs)?;
    let (width, targets) = maker.targets(targets, dim)?;
    let parts = maker.parts(take("split"))?;
    let Maker { lengths, mask, per_step, .. } = maker;
    Ok(Records { time, input, inputs, width, targets, per_step, mask, lengths, parts })
}

impl Maker<'_> {
    fn refused(&self, name: &str, why: impl std::fmt::Display) -> Error {
        Error::invalid(format!("`path`: {}: array `{name}` {why}", self.path))
    }

    fn shape(&self, name: &str, found: &[usize], expected: &str) -> Error {
        self.refused(name, format!("has shape {found:?}; give {expected}"))
    }

    /// The whole numbers of an array of this shape.
    fn integers(&self, name: &str, array: Array, shape: &[usize], dims: &str) -> Result<Vec<i64>> {
        if array.shape != shape {
            return Err(self.shape(name, &array.shape, &format!("{dims} = {shape:?}")));
        }
        match array.values {
            Values::Integers(values) => Ok(values),
            Values::Reals(_) => Err(self.refused(name, "holds real numbers; save array.astype(numpy.int64)")),
        }
    }

    fn lengths(&self, array: Option<Array>) -> Result<Vec<usize>> {
        let Some(array) = array else { return Ok(vec![self.time; self.n]) };
        let lengths = self.integers("lengths", array, &[self.n], "[n]")?;
        let length = |(row, length): (usize, i64)| match usize::try_from(length) {
            Ok(length) if (1..=self.time).contains(&length) => Ok(length),
            _ => Err(self.refused("lengths", format!("is {length} at [{row}]; give 1 to {}", self.time))),
        };
        lengths.into_iter().enumerate().map(length).collect()
    }

    /// Whether there is a target a step, and the values of one.
    fn layout(&self, targets: &Array, wanted: Option<bool>) -> Result<(bool, usize)> {
        let (n, time) = (self.n, self.time);
        let real = matches!(targets.values, Values::Reals(_));
        let found = match (real, &targets.shape[..]) {
            (_, [count]) if *count == n => (false, 1),
            (false, [count, steps]) if (*count, *steps) == (n, time) => (true, 1),
            (true, [count, values]) if *count == n && *values == time => match wanted {
                Some(true) => (true, 1),
                Some(false) => (false, time),
                None => {
                    return Err(Error::invalid(format!(
                        "`per_step` must say how {} is meant: its array `targets` of shape [{n}, {time}] is one value \
                         for each of {time} steps (true), or {time} values a sequence (false)",
                        self.path
                    )));
                }
            },
            (true, [count, values]) if *count == n => (false, *values),
            (true, [count, steps, values]) if (*count, *steps) == (n, time) => (true, *values),
            (true, shape) => {
                let expected = format!(
                    "real ones of [n], [n, dim], [n, time] or [n, time, dim], n = {n}, time = {time}"
                );
                return Err(self.shape("targets", shape, &expected));
            }
            (false, shape) => {
                let expected = format!("whole ones of [n] or [n, time], n = {n}, time = {time}");
                return Err(self.shape("targets", shape, &expected));
            }
        };
        match wanted {
            Some(wanted) if wanted != found.0 => Err(Error::invalid(format!(
                "`per_step` = {wanted} does not fit {}, whose array `targets` of shape {:?} is {}; leave it out",
                self.path,
                targets.shape,
                if found.0 { "one answer a step" } else { "one answer a sequence" }
            ))),
            _ => Ok(found),
        }
    }

    fn mask(&self, array: Option<Array>) -> Result<Option<Vec<bool>>> {
        let Some(array) = array else { return Ok(None) };
        if !self.per_step {
            let why = "says which steps are scored, but `targets` has one answer a sequence, read at its last step; \
                       leave the mask out, or give a target a step";
            return Err(self.refused("mask", why));
        }
        let marks = self.integers("mask", array, &[self.n, self.time], "[n, time]")?;
        for (row, (marks, length)) in marks.chunks(self.time).zip(&self.lengths).enumerate() {
            if let Some(step) = marks.iter().position(|mark| !matches!(mark, 0 | 1)) {
                let why =
                    format!("is {} at [{row}, {step}]; give 1 where a step is scored, else 0", marks[step]);
                return Err(self.refused("mask", why));
            }
            match marks.iter().rposition(|mark| *mark == 1) {
                None => {
                    return Err(self.refused("mask", format!("scores no step of [{row}]; give one at least")));
                }
                Some(step) if step >= *length => {
                    let why =
                        format!("is 1 at [{row}, {step}], behind the sequence's {length} steps; give 0");
                    return Err(self.refused("mask", why));
                }
                Some(_) => {}
            }
        }
        Ok(Some(marks.into_iter().map(|mark| mark == 1).collect()))
    }

    /// Whether a step has an input that counts.
    fn given(&self, row: usize, step: usize) -> bool {
        step < self.lengths[row]
    }

    /// Whether the target at a place of `targets` is read.
    fn asked(&self, at: usize) -> bool {
        let (row, step) = (at / self.time, at % self.time);
        !self.per_step || self.mask.as_ref().map_or_else(|| self.given(row, step), |mask| mask[at])
    }

    fn inputs(&self, array: Array) -> Result<(InputKind, InputData)> {
        let rank = array.shape.len();
        let dim = array.shape.get(2).copied().unwrap_or(1);
        let given = |at: usize| self.given(at / self.time, at % self.time);
        match array.values {
            Values::Integers(_) if rank == 3 => Err(self.refused(
                "inputs",
                "holds whole numbers in three dimensions; save symbols as [n, time], or features by \
                 array.astype(numpy.float32)",
            )),
            Values::Integers(values) => {
                let (symbols, tokens) =
                    self.classes("inputs", &values, given, |at| self.place(at, 1), "symbols")?;
                Ok((InputKind::Tokens(symbols), InputData::Tokens(tokens)))
            }
            Values::Reals(values) => {
                let place = |at: usize| {
                    let feature = if rank == 3 { format!(", {}", at % dim) } else { String::new() };
                    format!("[{}, {}{feature}]", at / dim / self.time, at / dim % self.time)
                };
                let values = self.reals("inputs", values, |at| given(at / dim), place)?;
                Ok((InputKind::Features(dim), InputData::Features { dim, values }))
            }
        }
    }

    fn targets(&self, array: Array, dim: usize) -> Result<(usize, Targets)> {
        let rank = array.shape.len();
        match array.values {
            Values::Integers(values) => {
                let place = |at| self.place(at, rank - 1);
                let (classes, targets) =
                    self.classes("targets", &values, |at| self.asked(at), place, "classes")?;
                if classes < 2 {
                    let why = "holds one class only, 0; give two or more, or save real values by \
                               array.astype(numpy.float32)";
                    return Err(self.refused("targets", why));
                }
                Ok((classes, Targets::Classes(targets)))
            }
            Values::Reals(values) => {
                let place = |at: usize| match (self.per_step, rank) {
                    (true, 3) => {
                        format!("[{}, {}, {}]", at / dim / self.time, at / dim % self.time, at % dim)
                    }
                    (true, _) => self.place(at, 1),
                    (false, 1) => format!("[{at}]"),
                    (false, _) => format!("[{}, {}]", at / dim, at % dim),
                };
                let values = self.reals("targets", values, |at| self.asked(at / dim), place)?;
                Ok((dim, Targets::Values { dim, values }))
            }
        }
    }

    /// `[row, step]`, or `[row]` of what has one entry a sequence.
    fn place(&self, at: usize, steps: usize) -> String {
        match steps {
            0 => format!("[{at}]"),
            _ => format!("[{}, {}]", at / self.time, at % self.time),
        }
    }

    /// One more than the largest of the numbers that are read, and all of them, zero where none is read.
    fn classes(
        &self,
        name: &str,
        values: &[i64],
        read: impl Fn(usize) -> bool,
        place: impl Fn(usize) -> String,
        what: &str,
    ) -> Result<(usize, Vec<u32>)> {
        let mut found = vec![0; values.len()];
        let mut most = 0;
        for (at, value) in values.iter().enumerate().filter(|(at, _)| read(*at)) {
            match u32::try_from(*value) {
                Ok(class) if (class as usize) < MAX_SYMBOLS => (found[at], most) = (class, most.max(class)),
                _ => {
                    let padding = "`lengths` marks padding, `mask` steps without an answer";
                    let why = format!(
                        "is {value} at {}; number the {what} from 0 to {} at most ({padding})",
                        place(at),
                        MAX_SYMBOLS - 1
                    );
                    return Err(self.refused(name, why));
                }
            }
        }
        Ok((most as usize + 1, found))
    }

    /// The values, zero where none is read.
    fn reals(
        &self,
        name: &str,
        mut values: Vec<f32>,
        read: impl Fn(usize) -> bool,
        place: impl Fn(usize) -> String,
    ) -> Result<Vec<f32>> {
        for (at, value) in values.iter_mut().enumerate() {
            if !read(at) {
                *value = 0.0;
            } else if !value.is_finite() {
                let why = format!("is {value} at {} in single precision; give finite numbers", place(at));
                return Err(self.refused(name, why));
            }
        }
        Ok(values)
    }

    fn parts(&self, array: Option<Array>) -> Result<[Vec<usize>; 3]> {
        let mut parts = [const { Vec::new() }; 3];
        let Some(array) = array else {
            if self.n < LEAST {
                let why =
                    format!("holds {} sequences, too few for three splits; give {LEAST} or more", self.n);
                return Err(self.refused("inputs", why));
            }
            let mut order: Vec<usize> = (0..self.n).collect();
            Stream::named(0, Purpose::Fixture, "dataset.split").shuffle(&mut order);
            let [test, validation] = [self.n / 5, self.n / 10];
            parts[0] = order.split_off(test + validation);
            parts[1] = order.split_off(test);
            parts[2] = order;
            return Ok(parts);
        };
        for (row, part) in self.integers("split", array, &[self.n], "[n]")?.into_iter().enumerate() {
            match usize::try_from(part).ok().and_then(|part| parts.get_mut(part)) {
                Some(rows) => rows.push(row),
                None => {
                    let why =
                        format!("is {part} at [{row}]; give 0 for training, 1 for validation, 2 for test");
                    return Err(self.refused("split", why));
                }
            }
        }
        match parts.iter().position(Vec::is_empty) {
            Some(empty) => {
                Err(self.refused("split", format!("holds no {empty}; give each of 0, 1 and 2 once or more")))
            }
            None => Ok(parts),
        }
    }
}
