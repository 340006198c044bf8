//! The texts a plan is made of, the experiment and its overrides, as one space of byte offsets, so that every
//! value knows its place whichever of them it came from.

use super::error::{Place, Result, refuse};
use seqbench_core::config::{ConfigError, Data, Entry, Span, Value};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Texts one after another.
pub(super) struct Sources {
    texts: Vec<Text>,
}

struct Text {
    name: String,
    text: String,
    /// Offset of its first byte.
    base: usize,
}

impl Sources {
    /// The experiment's own text.
    pub(super) fn new(file: &str, text: &str) -> Self {
        Sources { texts: vec![Text { name: file.to_owned(), text: text.to_owned(), base: 0 }] }
    }

    /// Appends a text; returns the offset of its first byte.
    pub(super) fn push(&mut self, name: &str, text: &str) -> usize {
        // One byte apart, so that the end of a text is not the beginning of the next.
        let base = self.texts.iter().map(|own| own.base + own.text.len() + 1).max().unwrap_or(0);
        self.texts.push(Text { name: name.to_owned(), text: text.to_owned(), base });
        base
    }

    /// The place of a span.
    pub(super) fn place(&self, span: &Range<usize>) -> Option<Place> {
        let text = self.texts.iter().rev().find(|own| own.base <= span.start)?;
        let floor = |at: usize| {
            let at = at.saturating_sub(text.base).min(text.text.len());
            (0..=at).rev().find(|at| text.text.is_char_boundary(*at)).unwrap_or(0)
        };
        let (start, end) = (floor(span.start), floor(span.end));
        let line_start = text.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text.text[start..].find('\n').map_or(text.text.len(), |at| start + at);
        let source_line = text.text[line_start..line_end].trim_end_matches('\r').to_owned();
        let width = text.text[start..end.clamp(start, line_end)].chars().count().max(1);
        let line = text.text[..start].matches('\n').count() + 1;
        let column = text.text[line_start..start].chars().count() + 1;
        Some(Place { file: text.name.clone(), span: start..end, line, column, source_line, width })
    }
}

/// The whole document as a table.
pub(super) fn document(text: &str) -> Result<Value> {
    let table = DeTable::parse(text).map_err(|error| syntax(&error, 0))?;
    let span = Some(0..0);
    convert_table(table.get_ref(), 0, span)
}

/// One override, `key=value`: the key with its place, and the value, which is text where it is no TOML.
pub(super) fn assignment(text: &str, base: usize) -> Result<(String, Span, Value)> {
    let Some((key, value)) = text.split_once('=') else {
        return refuse("an override is `key=value`", &Some(base..base + text.len()));
    };
    let at = base + key.len() + 1;
    let span = Some(at..at + value.len());
    let place = Some(base..base + key.trim_end().len());
    let value = match DeValue::parse(value.trim()) {
        Ok(parsed) => {
            let indent = value.len() - value.trim_start().len();
            let mut value = convert(&parsed, at + indent)?;
            value.span = span;
            value
        }
        Err(_) => Value { data: Data::String(value.trim().to_owned()), span },
    };
    Ok((key.trim().to_owned(), place, value))
}

fn syntax(error: &toml::de::Error, base: usize) -> ConfigError {
    let span = error.span().map(|span| base + span.start..base + span.end);
    ConfigError::new(error.message().to_owned(), span)
}

fn convert_table(table: &DeTable<'_>, base: usize, span: Span) -> Result<Value> {
    let mut entries = table
        .iter()
        .map(|(key, value)| {
            let span = base + key.span().start..base + key.span().end;
            Ok(Entry { key: key.get_ref().to_string(), span: Some(span), value: convert(value, base)? })
        })
        .collect::<Result<Vec<_>>>()?;
    // The order of the file, whatever the parser's map makes of it.
    entries.sort_by_key(|entry| entry.span.as_ref().map(|span| span.start));
    Ok(Value { data: Data::Table(entries), span })
}

fn convert(value: &Spanned<DeValue<'_>>, base: usize) -> Result<Value> {
    let span = Some(base + value.span().start..base + value.span().end);
    let data = match value.get_ref() {
        DeValue::String(text) => Data::String(text.to_string()),
        DeValue::Boolean(value) => Data::Bool(*value),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => return refuse(format!("`{}` does not fit 64 bits", number.as_str()), &span),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Data::Float(number),
            _ => return refuse(format!("`{}` is no finite number", number.as_str()), &span),
        },
        DeValue::Datetime(_) => return refuse("dates have no use here", &span),
        DeValue::Array(items) => {
            Data::Array(items.iter().map(|item| convert(item, base)).collect::<Result<_>>()?)
        }
        DeValue::Table(table) => return convert_table(table, base, span),
    };
    Ok(Value { data, span })
}
