//! `[train]`, and what a model says otherwise.

use super::error::{Result, refuse};
use super::section::{Limits, Section, found, items, real, word};
use crate::spec::{Answers, ClipSpec, CurriculumSpec, OptimizerSpec, Rate, Schedule, TrainSpec};
use seqbench_core::config::{ConfigError, Data, Entry, Value};

/// Keys of `[train]` that every optimizer has.
const COMMON: [&str; 13] = [
    "steps",
    "batch",
    "optimizer",
    "lr",
    "schedule",
    "warmup",
    "final_share",
    "clip",
    "tbptt",
    "stop_at",
    "weight_decay",
    "curriculum",
    "answers",
];
const ADAMW: [&str; 3] = ["beta1", "beta2", "epsilon"];
const SGD: [&str; 1] = ["momentum"];

const MAX_STEPS: u64 = 100_000_000;
const MAX_BATCH: u64 = 65_536;
const MAX_CANDIDATES: usize = 100;
const RATE: Limits = Limits::above(0.0, 1000.0);

/// Every key of `[train]`.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    COMMON.into_iter().chain(ADAMW).chain(SGD)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Adamw,
    Sgd,
}

/// Resolves `[train]` under a model's own `train` table. Adds a line to `notes` where a stated warm-up had to give.
pub(super) fn resolve(
    shared: Option<&Value>,
    defaults: Option<&Value>,
    own: Option<&Value>,
    notes: &mut Vec<String>,
) -> Result<TrainSpec> {
    let merged = merge(shared, defaults, own)?;
    let mut section = Section::new(Some(&merged), "train")?;
    let kind =
        section.word("optimizer", &[("adamw", Kind::Adamw), ("sgd", Kind::Sgd)])?.unwrap_or(Kind::Adamw);
    let weight_decay = section.real("weight_decay", Limits::from(0.0, 1000.0))?.unwrap_or(0.0);
    let optimizer = match kind {
        Kind::Adamw => OptimizerSpec::Adamw {
            beta1: section.real("beta1", Limits::from(0.0, 0.999_999))?.unwrap_or(0.9),
            beta2: section.real("beta2", Limits::from(0.0, 0.999_999))?.unwrap_or(0.999),
            epsilon: section.real("epsilon", Limits::above(0.0, 1.0))?.unwrap_or(1e-8),
            weight_decay,
        },
        Kind::Sgd => OptimizerSpec::Sgd {
            momentum: section.real("momentum", Limits::from(0.0, 0.999_999))?.unwrap_or(0.9),
            weight_decay,
        },
    };
    let steps = section.whole("steps", 1..=MAX_STEPS)?.unwrap_or(1000);
    let stated = section.whole("warmup", 0..=MAX_STEPS)?;
    let warmup = stated.unwrap_or(50).min(steps / 2);
    if let Some(stated) = stated.filter(|stated| *stated > warmup) {
        let note = format!("warmup {stated} is capped at {warmup}, half of {steps} steps");
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let spec = TrainSpec {
        steps,
        batch: section.size("batch", 1..=MAX_BATCH)?.unwrap_or(32),
        optimizer,
        lr: section.take("lr").map(|entry| rate(&entry)).transpose()?.unwrap_or(Rate::Fixed(1e-3)),
        schedule: section
            .word("schedule", &[("cosine", Schedule::Cosine), ("constant", Schedule::Constant)])?
            .unwrap_or(Schedule::Cosine),
        warmup,
        final_share: section.real("final_share", Limits::from(0.0, 1.0))?.unwrap_or(0.05),
        clip: section.take("clip").map(|entry| clip(&entry)).transpose()?.unwrap_or(ClipSpec::Norm(1.0)),
        tbptt: section.size("tbptt", 1..=1 << 30)?,
        stop_at: section.real("stop_at", Limits::above(0.0, 1.0))?,
        curriculum: section.take("curriculum").map(|entry| curriculum(&entry)).transpose()?,
        answers: section
            .word("answers", &[("true", Answers::True), ("shuffled", Answers::Shuffled)])?
            .unwrap_or_default(),
    };
    section.finish()?;
    Ok(spec)
}

/// `[train]`, over what `[defaults]` says of steps and batch, under the model's own. Settings of the shared
/// optimizer do not reach a model that chose another.
fn merge(shared: Option<&Value>, defaults: Option<&Value>, own: Option<&Value>) -> Result<Value> {
    let mut merged = Section::new(shared, "train")?.rest().clone();
    for key in ["steps", "batch"] {
        let Some(entry) = entry_of(defaults, key) else { continue };
        if merged.get(key).is_some() {
            return refuse(format!("`{key}` stands in [train] as well"), &entry.span);
        }
        push(&mut merged, entry);
    }
    let own = Section::new(own, "train")?;
    let own = own.rest();
    let chosen = |table: &Value| table.get("optimizer").and_then(Value::as_str).unwrap_or("adamw").to_owned();
    if own.get("optimizer").is_some() && chosen(own) != chosen(&merged) {
        for key in ADAMW.iter().chain(&SGD) {
            merged.take(key);
        }
    }
    for entry in own.entries().unwrap_or_default() {
        merged.take(&entry.key);
        push(&mut merged, entry);
    }
    Ok(merged)
}

fn entry_of<'a>(table: Option<&'a Value>, key: &str) -> Option<&'a Entry> {
    table?.entries()?.iter().find(|entry| entry.key == key)
}

fn push(table: &mut Value, entry: &Entry) {
    if let Data::Table(entries) = &mut table.data {
        entries.push(entry.clone());
    }
}

fn rate(entry: &Entry) -> Result<Rate> {
    if entry.value.entries().is_none() {
        return match entry.value.data {
            Data::Integer(_) | Data::Float(_) => Ok(Rate::Fixed(real(entry, RATE)?)),
            _ => refuse(
                format!(
                    "`lr` must be a number or {{ select = [...], trials = n }}, found {}",
                    found(&entry.value)
                ),
                &entry.value.span,
            ),
        };
    }
    let mut section = Section::new(Some(&entry.value), "lr")?;
    let span = section.span().clone();
    let Some(list) = section.take("select") else {
        if let Some(first) =
            section.rest().entries().and_then(|entries| entries.iter().find(|e| e.key != "trials"))
        {
            return Err(ConfigError::unknown("key", &first.key, ["select", "trials"], first.span.clone()));
        }
        return refuse("`lr` lacks `select`, the list of candidates", &span);
    };
    let candidates = items(&list)?;
    if candidates.len() > MAX_CANDIDATES {
        return refuse(
            format!("at most {MAX_CANDIDATES} candidates, found {}", candidates.len()),
            &list.value.span,
        );
    }
    let mut select = Vec::new();
    for candidate in &candidates {
        let value = real(candidate, RATE)?;
        if select.contains(&value) {
            return refuse(format!("candidate {value} is given twice"), &candidate.value.span);
        }
        select.push(value);
    }
    // The order of candidates decides nothing, so it enters no identity.
    select.sort_by(f64::total_cmp);
    let trials = section.whole("trials", 1..=1000)?.unwrap_or(2) as u32;
    section.finish()?;
    Ok(Rate::Select { select, trials })
}

fn curriculum(entry: &Entry) -> Result<CurriculumSpec> {
    let mut section = Section::new(Some(&entry.value), "curriculum")?;
    let span = section.span().clone();
    let until = section.real("until", Limits::above(0.0, 1.0))?.unwrap_or(0.5);
    let Some(from) = section.size("from", 1..=1 << 24)? else {
        return refuse("`curriculum` lacks `from`, the longest length at the first step", &span);
    };
    section.finish()?;
    Ok(CurriculumSpec { from, until })
}

fn clip(entry: &Entry) -> Result<ClipSpec> {
    if entry.value.entries().is_none() {
        if matches!(entry.value.data, Data::String(_)) {
            return word("clip", &entry.value, &[("none", ClipSpec::None)]);
        }
        return refuse(
            format!(
                "`clip` must be \"none\", {{ norm = x }} or {{ value = x }}, found {}",
                found(&entry.value)
            ),
            &entry.value.span,
        );
    }
    let mut section = Section::new(Some(&entry.value), "clip")?;
    let span = section.span().clone();
    let norm = section.real("norm", Limits::above(0.0, 1e9))?;
    let value = section.real("value", Limits::above(0.0, 1e9))?;
    section.finish()?;
    match (norm, value) {
        (Some(norm), None) => Ok(ClipSpec::Norm(norm)),
        (None, Some(value)) => Ok(ClipSpec::Value(value)),
        _ => refuse("`clip` needs exactly one of `norm` and `value`", &span),
    }
}
