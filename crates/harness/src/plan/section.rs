//! Reading a table key by key, so that each refusal names its key, its limits and its place.

use super::error::{Result, refuse};
use seqbench_core::config::{ConfigError, Data, Entry, Span, Value};
use std::ops::RangeInclusive;

/// A table being read. Keys that were never asked for are unknown.
pub(super) struct Section {
    table: Value,
    known: Vec<String>,
}

impl Section {
    /// The table, or an empty one where there is none.
    pub(super) fn new(value: Option<&Value>, name: &str) -> Result<Self> {
        let table = value.cloned().unwrap_or_else(Value::table);
        if table.entries().is_none() {
            return refuse(format!("`{name}` must be a table, found {}", table.kind()), &table.span);
        }
        Ok(Section { table, known: Vec::new() })
    }

    pub(super) fn span(&self) -> &Span {
        &self.table.span
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        self.known.push(key.to_owned());
        self.table.take(key)
    }

    /// What has not been taken.
    pub(super) fn rest(&self) -> &Value {
        &self.table
    }

    /// Keys that have been asked for.
    pub(super) fn known(&self) -> &[String] {
        &self.known
    }

    pub(super) fn whole(&mut self, key: &str, limits: RangeInclusive<u64>) -> Result<Option<u64>> {
        self.take(key).map(|entry| whole(&entry, limits)).transpose()
    }

    pub(super) fn size(&mut self, key: &str, limits: RangeInclusive<u64>) -> Result<Option<usize>> {
        Ok(self.whole(key, limits)?.map(|number| number as usize))
    }

    pub(super) fn real(&mut self, key: &str, limits: Limits) -> Result<Option<f64>> {
        self.take(key).map(|entry| real(&entry, limits)).transpose()
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<(String, Span)>> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        match entry.value.as_str() {
            Some(text) => Ok(Some((text.to_owned(), entry.value.span.clone()))),
            None => refuse(format!("`{key}` must be text, found {}", found(&entry.value)), &entry.value.span),
        }
    }

    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        self.take(key).map(|entry| word(key, &entry.value, words)).transpose()
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        match &entry.value.data {
            Data::Bool(value) => Ok(Some(*value)),
            _ => {
                let found = found(&entry.value);
                refuse(format!("`{key}` must be true or false, found {found}"), &entry.value.span)
            }
        }
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Result<()> {
        match self.table.entries().and_then(|entries| entries.first()) {
            None => Ok(()),
            Some(entry) => Err(ConfigError::unknown("key", &entry.key, self.known, entry.span.clone())),
        }
    }
}

/// Limits of a real number.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Least value.
    pub(super) low: f64,
    /// Whether the least value itself is accepted.
    pub(super) closed: bool,
    /// Greatest value.
    pub(super) high: f64,
}

impl Limits {
    /// Above `low` and at most `high`.
    pub(super) const fn above(low: f64, high: f64) -> Self {
        Limits { low, closed: false, high }
    }

    /// From `low` to `high`.
    pub(super) const fn from(low: f64, high: f64) -> Self {
        Limits { low, closed: true, high }
    }
}

/// A whole number within limits.
pub(super) fn whole(entry: &Entry, limits: RangeInclusive<u64>) -> Result<u64> {
    let number = match entry.value.data {
        Data::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    match number {
        Some(number) if limits.contains(&number) => Ok(number),
        _ => {
            let (low, high) = (limits.start(), limits.end());
            let found = found(&entry.value);
            let message =
                format!("`{}` must be a whole number from {low} to {high}, found {found}", entry.key);
            refuse(message, &entry.value.span)
        }
    }
}

/// A number within limits.
pub(super) fn real(entry: &Entry, limits: Limits) -> Result<f64> {
    let number = match entry.value.data {
        Data::Integer(number) => Some(number as f64),
        Data::Float(number) => Some(number),
        _ => None,
    };
    let fits = |x: f64| (x > limits.low || (limits.closed && x == limits.low)) && x <= limits.high;
    match number {
        Some(number) if fits(number) => Ok(number),
        _ => {
            let (low, high, found) = (limits.low, limits.high, found(&entry.value));
            let range = if limits.closed {
                format!("from {low} to {high}")
            } else {
                format!("above {low} and at most {high}")
            };
            refuse(format!("`{}` must be a number {range}, found {found}", entry.key), &entry.value.span)
        }
    }
}

/// One of the words.
pub(super) fn word<T: Copy>(key: &str, value: &Value, words: &[(&str, T)]) -> Result<T> {
    let expected = || words.iter().map(|(word, _)| *word);
    let Some(text) = value.as_str() else {
        let mut error =
            ConfigError::new(format!("`{key}` must be a word, found {}", found(value)), value.span.clone());
        error.expected = expected().map(str::to_owned).collect();
        return Err(error);
    };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            Err(ConfigError::unknown(&format!("value of `{key}`:"), text, expected(), value.span.clone()))
        }
    }
}

/// The items of a list that has at least one, as entries under the list's key.
pub(super) fn items(entry: &Entry) -> Result<Vec<Entry>> {
    let Some(items) = entry.value.as_array() else {
        let message = format!("`{}` must be a list, found {}", entry.key, found(&entry.value));
        return refuse(message, &entry.value.span);
    };
    if items.is_empty() {
        return refuse(format!("`{}` must not be empty", entry.key), &entry.value.span);
    }
    let each =
        |value: &Value| Entry { key: entry.key.clone(), span: entry.span.clone(), value: value.clone() };
    Ok(items.iter().map(each).collect())
}

/// A value as a message names it: numbers themselves, all else by kind.
pub(super) fn found(value: &Value) -> String {
    match &value.data {
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::String(text) => format!("text \"{text}\""),
        _ => value.kind().to_owned(),
    }
}
