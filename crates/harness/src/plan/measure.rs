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
    /// Timed passes, once a length; `length` holds the length.
    pub(super) throughput: Vec<ThroughputSpec>,
    /// Cells predicted above this are skipped.
    pub(super) max_seconds: Option<f64>,
}

/// Resolves `[measure]`. Accuracy is measured where nothing else is asked for.
pub(super) fn resolve(value: Option<&Value>) -> Result<Measure> {
    let mut section = Section::new(value, "measure")?;
    let gradients = switched(&mut section, "gradients", read_gradients)?.flatten();
    let throughput = switched(&mut section, "throughput", read_throughput)?.flatten().unwrap_or_default();
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
    let Some(entry) = section.take(key) else { return Ok(None) };
    Ok(Some(match &entry.value.data {
        Data::Bool(false) => None,
        Data::Bool(true) => Some(read(Section::new(None, key)?)?),
        Data::Table(_) => Some(read(Section::new(Some(&entry.value), key)?)?),
        _ => {
            let found = found(&entry.value);
            return refuse(
                format!("`{key}` must be true, false or a table, found {found}"),
                &entry.value.span,
            );
        }
    }))
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
        _ => word("at", &item.value, &[("init", Stage::Init), ("end", Stage::End)]),
    }
}

fn read_throughput(mut section: Section) -> Result<Vec<ThroughputSpec>> {
    let words = [("train", Mode::Train), ("forward", Mode::Forward), ("decode", Mode::Decode)];
    let modes =
        section.take("modes").map(|entry| distinct(&entry, |item| word("modes", &item.value, &words)));
    let modes = modes.transpose()?.unwrap_or_else(|| words.map(|(_, mode)| mode).to_vec());
    let lengths = section.take("lengths").map(|entry| distinct(&entry, |item| whole(item, 1..=MAX_LENGTH)));
    let lengths = lengths.transpose()?.unwrap_or_else(|| vec![64, 256, 1024]);
    let batch = section.size("batch", 1..=65_536)?.unwrap_or(8);
    let rounds = section.whole("rounds", 1..=100_000)?.unwrap_or(7) as u32;
    let warmup = section.whole("warmup", 0..=100_000)?.unwrap_or(2) as u32;
    let threads = section.whole("threads", 1..=1024)?.unwrap_or(1) as u32;
    section.finish()?;
    let of = |length: u64| ThroughputSpec {
        modes: modes.clone(),
        length: length as usize,
        batch,
        rounds,
        warmup,
        threads,
    };
    Ok(lengths.into_iter().map(of).collect())
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
