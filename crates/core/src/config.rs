//! A configuration value that knows its place in its file, and the errors that point there.
//!
//! The format is the reader's business (the harness reads TOML); architectures and tasks only declare a typed
//! configuration with `#[serde(default, deny_unknown_fields)]` and get it from [`read`].

use crate::deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Range;

/// Byte offsets in the configuration's text; `None` for what came from elsewhere.
pub type Span = Option<Range<usize>>;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What it is.
    pub data: Data,
    /// Where it stands.
    pub span: Span,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Keys and values in the order of the file.
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub span: Span,
    /// Its value.
    pub value: Value,
}

impl Value {
    /// A value without a place.
    pub fn new(data: Data) -> Self {
        Value { data, span: None }
    }

    /// An empty table without a place.
    pub fn table() -> Self {
        Value::new(Data::Table(Vec::new()))
    }

    /// The entries, where it is a table.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.data {
            Data::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, where it is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Takes a key out of a table.
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let Data::Table(entries) = &mut self.data else { return None };
        let at = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(at))
    }

    /// Sets a key of a table, in its old place where it had one. Nothing happens where it is no table.
    pub fn set(&mut self, key: &str, value: Value) {
        let Data::Table(entries) = &mut self.data else { return };
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => entries.push(Entry { key: key.to_owned(), span: value.span.clone(), value }),
        }
    }

    /// The text, where it is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::String(written) => Some(written),
            _ => None,
        }
    }

    /// The list, where it is one.
    pub fn as_array(&self) -> Option<&[Value]> {
        match &self.data {
            Data::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The same value as JSON, without places.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Bool(value) => (*value).into(),
            Data::Integer(value) => (*value).into(),
            Data::Float(value) => (*value).into(),
            Data::String(value) => value.clone().into(),
            Data::Array(items) => items.iter().map(Value::to_json).collect::<Vec<_>>().into(),
            Data::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// A value without places from JSON; `null` becomes an absent key, or an empty table at the top.
    pub fn from_json(json: &serde_json::Value) -> Self {
        Value::new(match json {
            serde_json::Value::Null => Data::Table(Vec::new()),
            serde_json::Value::Bool(value) => Data::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Data::Integer(integer),
                None => Data::Float(number.as_f64().unwrap_or(0.0)),
            },
            serde_json::Value::String(written) => Data::String(written.clone()),
            serde_json::Value::Array(items) => Data::Array(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(map) => Data::Table(
                map.iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        span: None,
                        value: Value::from_json(value),
                    })
                    .collect(),
            ),
        })
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Bool(_) => "true or false",
            Data::Integer(_) => "a whole number",
            Data::Float(_) => "a number",
            Data::String(_) => "a string",
            Data::Array(_) => "a list",
            Data::Table(_) => "a table",
        }
    }
}

/// Reads a typed configuration.
///
/// # Errors
/// An unknown key or word, a missing key, or a value of the wrong kind, with its place.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, ConfigError> {
    T::deserialize(deserialize::At(value))
}

/// A configuration that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigError {
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What would have been accepted, where that is a closed list.
    pub expected: Vec<String>,
    /// The accepted word nearest to the one found.
    pub nearest: Option<String>,
}

impl ConfigError {
    /// An error with a message and a place.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        ConfigError { message: message.into(), span, expected: Vec::new(), nearest: None }
    }

    /// An error about a word that is none of `expected`.
    pub fn unknown<S: Into<String>>(
        what: &str,
        found: &str,
        expected: impl IntoIterator<Item = S>,
        span: Span,
    ) -> Self {
        let expected: Vec<String> = expected.into_iter().map(Into::into).collect();
        let nearest = nearest(found, expected.iter().map(String::as_str)).map(str::to_owned);
        ConfigError { message: format!("unknown {what} `{found}`"), span, expected, nearest }
    }

    /// The same error at a place, where it has none yet.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        if self.span.is_none() {
            self.span.clone_from(span);
        }
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.expected.is_empty() {
            write!(f, ", expected one of {}", self.expected.join(", "))?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The candidate nearest to a mistyped word, where one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Activation {
        Tanh,
        Relu,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        activation: Activation,
        forget_bias: f64,
        heads: usize,
        radius: Option<f64>,
        sizes: Vec<usize>,
    }

    impl Default for Config {
        fn default() -> Self {
            Config { activation: Activation::Tanh, forget_bias: 1.0, heads: 4, radius: None, sizes: vec![] }
        }
    }

    fn table(entries: &[(&str, Data)]) -> Value {
        let entries = entries
            .iter()
            .enumerate()
            .map(|(i, (key, data))| Entry {
                key: (*key).to_owned(),
                span: Some(i * 10..i * 10 + 3),
                value: Value { data: data.clone(), span: Some(i * 10 + 5..i * 10 + 8) },
            })
            .collect();
        Value { data: Data::Table(entries), span: Some(0..100) }
    }

    #[test]
    fn values_defaults_and_options_are_read() {
        let value = table(&[
            ("activation", Data::String("relu".into())),
            ("forget_bias", Data::Integer(2)),
            ("radius", Data::Float(0.5)),
            ("sizes", Data::Array(vec![Value::new(Data::Integer(3))])),
        ]);
        let config: Config = read(&value).unwrap();
        let expected = Config {
            activation: Activation::Relu,
            forget_bias: 2.0,
            heads: 4,
            radius: Some(0.5),
            sizes: vec![3],
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_misspelt_key_names_itself_its_place_and_the_nearest() {
        let error = read::<Config>(&table(&[("heads", Data::Integer(1)), ("forget_bais", Data::Float(1.0))]))
            .unwrap_err();
        assert_eq!(error.span, Some(10..13));
        assert_eq!(error.nearest.as_deref(), Some("forget_bias"));
        assert!(
            error.to_string().starts_with("unknown key `forget_bais`, expected one of activation"),
            "{error}"
        );
    }

    #[test]
    fn a_misspelt_word_points_at_the_value() {
        let error = read::<Config>(&table(&[("activation", Data::String("tahn".into()))])).unwrap_err();
        assert_eq!(error.span, Some(5..8));
        assert_eq!(error.nearest.as_deref(), Some("tanh"));
    }

    #[test]
    fn a_wrong_kind_and_a_negative_size_point_at_the_value() {
        let error = read::<Config>(&table(&[("heads", Data::String("four".into()))])).unwrap_err();
        assert_eq!(error.span, Some(5..8));
        let error = read::<Config>(&table(&[("heads", Data::Integer(-4))])).unwrap_err();
        assert_eq!(error.span, Some(5..8));
        assert!(error.to_string().contains("-4"), "{error}");
    }

    #[test]
    fn json_and_back_is_the_same() {
        let json = serde_json::json!({"a": 1, "b": [true, 2.5, "x"], "c": {"d": -1}});
        assert_eq!(Value::from_json(&json).to_json(), json);
    }
}
