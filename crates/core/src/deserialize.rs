//! Serde's side of [`crate::config`]: a deserializer over [`Value`] whose errors keep their place.

use crate::config::{ConfigError, Data, Entry, Value};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

/// What was expected, in words where it is one of the language's own types.
fn in_words(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, 0 or more".into(),
        "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number".into(),
        "f64" | "f32" => "a number".into(),
        "a boolean" => "true or false".into(),
        other => other.into(),
    }
}

impl de::Error for ConfigError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        ConfigError::new(message.to_string(), None)
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        ConfigError::new(format!("expected {}, found {found}", in_words(expected)), None)
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        ConfigError::unknown("key", field, expected.iter().copied(), None)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        ConfigError::unknown("value", variant, expected.iter().copied(), None)
    }

    fn missing_field(field: &'static str) -> Self {
        ConfigError::new(format!("missing key `{field}`"), None)
    }
}

/// A value as a source of a typed configuration.
#[derive(Clone, Copy)]
pub(crate) struct At<'a>(pub(crate) &'a Value);

impl<'de> Deserializer<'de> for At<'_> {
    type Error = ConfigError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let span = &self.0.span;
        match &self.0.data {
            Data::Bool(value) => visitor.visit_bool(*value),
            Data::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Data::Float(value) => visitor.visit_f64(*value),
            Data::String(value) => visitor.visit_str(value),
            Data::Array(items) => visitor.visit_seq(Items { rest: items.iter() }),
            Data::Table(entries) => visitor.visit_map(Entries { rest: entries.iter(), current: None }),
        }
        .map_err(|error| error.at(span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        let span = &self.0.span;
        match &self.0.data {
            Data::String(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Data::Table(entries) if entries.len() == 1 => {
                let map = Entries { rest: entries.iter(), current: None };
                visitor.visit_enum(de::value::MapAccessDeserializer::new(map))
            }
            _ => Err(ConfigError::new(format!("expected a word, found {}", self.0.kind()), None)),
        }
        .map_err(|error| error.at(span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Value>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ConfigError> {
        self.rest.next().map(|value| seed.deserialize(At(value))).transpose()
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ConfigError> {
        self.current = self.rest.next();
        let Some(entry) = self.current else { return Ok(None) };
        seed.deserialize(entry.key.as_str().into_deserializer())
            .map(Some)
            .map_err(|error: ConfigError| error.at(&entry.span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ConfigError> {
        let Some(entry) = self.current else {
            return Err(ConfigError::new("a value was asked for before its key", None));
        };
        seed.deserialize(At(&entry.value)).map_err(|error| error.at(&entry.value.span))
    }
}
