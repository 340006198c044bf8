//! `[measure]`: what is measured, and how finely.

use super::error::{Result, refuse};
use super::section::{Limits, Section, found, items, whole, word};
use crate::spec::{AccuracySpec, GradientSpec, Mode, Stage, ThroughputSpec};
use seqbench_core::config::{Data, Entry, Value};

/// Sequences longer than this are refused.
pub(super) const MAX_LENGTH: u64 = 1 << 24;

/// What is measured of every group.
pub(super) struct Measure {
    /// Training and scoring.
    pub(super) accuracy: Option<AccuracySpec>,
    /// Gradient probes.
    pub(super) gradients: Option<GradientSpec>,
    /// Timed passes, one mode each.
    pub(super) throughput: Vec<Timed>,
    /// Cells predicted above this are skipped.
    pub(super) max_seconds: Option<f64>,
}

/// Passes of one mode at one size.
pub(super) struct Timed {
    /// What is timed: one mode.
    pub(super) spec: ThroughputSpec,
    /// Skipped where a pass is predicted above this.
    pub(super) max_pass_seconds: f64,
}

impl Timed {
    /// The mode.
    pub(super) fn mode(&self) -> Mode {
        self.spec.modes[0]
    }
}

/// Resolves `[measure]`. Accuracy is measured where nothing else is asked for.
pub(super) fn resolve(value: Option<&Value>) -> Result<Measure> {
    let mut section = Section::new(value, "measure")?;
    let gradients = switched(&mut section, "gradients", read_gradients)?.flatten();
    let throughput = throughput(&mut section)?;
    let default = gradients.is_none() && throughput.is_empty();
    let stated = switched(&mut section, "accuracy", read_accuracy)?;
    let accuracy = match stated {
        Some(stated) => stated,
        None if default => Some(read_accuracy(Section::new(None, "accuracy")?)?),
        None => None,
    };
    let max_seconds = section.real("max_seconds", Limits::above(0.0, 1e9))?;
    let span = section.span().clone();
    section.finish()?;
    if accuracy.is_none() && gradients.is_none() && throughput.is_empty() {
        return refuse("nothing is measured: switch on `accuracy`, `gradients` or `throughput`", &span);
    }
    Ok(Measure { accuracy, gradients, throughput, max_seconds })
}

/// `true`, `false` or a table: the outer option tells whether it was said, the inner one what.
fn switched<T>(
    section: &mut Section,
    key: &str,
    read: impl Fn(Section) -> Result<T>,
) -> Result<Option<Option<T>>> {
    section.take(key).map(|entry| switch(&entry, key, read)).transpose()
}

fn switch<T>(entry: &Entry, key: &str, read: impl Fn(Section) -> Result<T>) -> Result<Option<T>> {
    match &entry.value.data {
        Data::Bool(false) => Ok(None),
        Data::Bool(true) => read(Section::new(None, key)?).map(Some),
        Data::Table(_) => read(Section::new(Some(&entry.value), key)?).map(Some),
        _ => {
            let found = found(&entry.value);
            refuse(format!("`{key}` must be true, false or a table, found {found}"), &entry.value.span)
        }
    }
}

fn read_accuracy(mut section: Section) -> Result<AccuracySpec> {
    let spec = AccuracySpec {
        test_samples: section.size("test_samples", 1..=10_000_000)?.unwrap_or(1024),
        validation_samples: section.size("validation_samples", 1..=10_000_000)?.unwrap_or(256),
        curve_points: section.whole("curve_points", 1..=100_000)?.unwrap_or(20),
        solved: section.real("solved", Limits::above(0.0, 1.0))?.unwrap_or(0.99),
    };
    section.finish()?;
    Ok(spec)
}

fn read_gradients(mut section: Section) -> Result<GradientSpec> {
    let at = section.take("at").map(|entry| distinct(&entry, stage));
    let spec = GradientSpec {
        at: at.transpose()?.unwrap_or_else(|| vec![Stage::Init, Stage::End]),
        samples: section.size("samples", 1..=100_000)?.unwrap_or(32),
        max_distance: section.size("max_distance", 1..=MAX_LENGTH)?,
        per_decade: section.size("per_decade", 1..=1000)?.unwrap_or(8),
        theory: section.flag("theory")?.unwrap_or(false),
        jacobians: section.flag("jacobians")?.unwrap_or(false),
        signals: section.flag("signals")?.unwrap_or(false),
        trace: section.flag("trace")?.unwrap_or(false),
    };
    section.finish()?;
    Ok(spec)
}

/// A moment of training: a word, or a number of steps.
fn stage(item: &Entry) -> Result<Stage> {
    match &item.value.data {
        Data::Integer(_) => Ok(Stage::Step(whole(item, 1..=u64::from(u32::MAX))?)),
        _ => word("at", &item.value, &[("init", Stage::Init), ("end", Stage::End)]).map_err(|mut error| {
            error.expected.push("a number of steps".into());
            error
        }),
    }
}

/// One table, or a list of them: together no cell twice.
fn throughput(section: &mut Section) -> Result<Vec<Timed>> {
    let Some(entry) = section.take("throughput") else { return Ok(Vec::new()) };
    if entry.value.as_array().is_none() {
        return Ok(switch(&entry, "throughput", read_throughput)?.unwrap_or_default());
    }
    let mut all: Vec<Timed> = Vec::new();
    for item in items(&entry)? {
        for timed in read_throughput(Section::new(Some(&item.value), "throughput")?)? {
            if all.iter().any(|own| own.spec == timed.spec) {
                let ThroughputSpec { length, batch, .. } = timed.spec;
                let message = format!(
                    "`{}` at length {length} and batch {batch} stands in `throughput` twice",
                    timed.mode().name()
                );
                return refuse(message, &item.value.span);
            }
            all.push(timed);
        }
    }
    Ok(all)
}

fn read_throughput(mut section: Section) -> Result<Vec<Timed>> {
    let words = [("train", Mode::Train), ("forward", Mode::Forward), ("decode", Mode::Decode)];
    let modes =
        section.take("modes").map(|entry| distinct(&entry, |item| word("modes", &item.value, &words)));
    let modes = modes.transpose()?.unwrap_or_else(|| words.map(|(_, mode)| mode).to_vec());
    let lengths = section.take("lengths").map(|entry| distinct(&entry, |item| whole(item, 1..=MAX_LENGTH)));
    let lengths = lengths.transpose()?.unwrap_or_else(|| vec![64, 256, 1024]);
    let batches = one_or_several(&mut section, "batch", |item| whole(item, 1..=65_536))?;
    let rounds = section.whole("rounds", 1..=100_000)?.unwrap_or(7) as u32;
    let warmup = section.whole("warmup", 0..=100_000)?.unwrap_or(2) as u32;
    let threads = one_or_several(&mut section, "threads", |item| match item.value.as_str() {
        Some(_) => word("threads", &item.value, &[("all", 0)]),
        None => whole(item, 1..=1024),
    })?;
    let max_pass_seconds = section.real("max_pass_seconds", Limits::above(0.0, 1e9))?.unwrap_or(5.0);
    section.finish()?;
    let mut all = Vec::new();
    for threads in threads.unwrap_or_else(|| vec![1]) {
        for &batch in batches.as_deref().unwrap_or(&[8]) {
            for &length in &lengths {
                for &mode in &modes {
                    let (length, batch, threads) = (length as usize, batch as usize, threads as u32);
                    let spec = ThroughputSpec { modes: vec![mode], length, batch, rounds, warmup, threads };
                    all.push(Timed { spec, max_pass_seconds });
                }
            }
        }
    }
    Ok(all)
}

/// A value, or a list of them.
fn one_or_several<T: PartialEq>(
    section: &mut Section,
    key: &str,
    read: impl Fn(&Entry) -> Result<T>,
) -> Result<Option<Vec<T>>> {
    let Some(entry) = section.take(key) else { return Ok(None) };
    match entry.value.as_array() {
        Some(_) => distinct(&entry, read).map(Some),
        None => read(&entry).map(|one| Some(vec![one])),
    }
}

/// The items of a list, read one by one; none may come twice.
fn distinct<T: PartialEq>(entry: &Entry, read: impl Fn(&Entry) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for item in items(entry)? {
        let value = read(&item)?;
        if all.contains(&value) {
            return refuse(
                format!("{} stands in `{}` twice", found(&item.value), entry.key),
                &item.value.span,
            );
        }
        all.push(value);
    }
    Ok(all)
}
