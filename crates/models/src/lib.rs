//! One file per architecture, and the built-in registry.
//!
//! An architecture is added by its file and two lines below: its `mod` and its entry.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod alibi;
mod cache;
mod check;
mod discretisation;
mod init;
mod inspect;
mod spectrum;

use seqbench_core::architecture::AnyArchitecture;

pub mod gru;
pub mod lstm;
pub mod mamba;
pub mod rnn;
pub mod ssm;
pub mod transformer;

/// The built-in architectures, in the order in which lists and legends show them.
pub fn builtin() -> Vec<&'static dyn AnyArchitecture> {
    vec![&&rnn::Rnn, &&lstm::Lstm, &&gru::Gru, &&transformer::Transformer, &&ssm::Ssm, &&mamba::Mamba]
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::config::Value;

    #[test]
    fn names_are_distinct_and_everything_is_described() {
        let entries = builtin();
        let names: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry.info().name).collect();
        assert_eq!(names.len(), entries.len());
        for entry in entries {
            let info = entry.info();
            assert!(info.summary.ends_with('.') && info.citation.contains(char::is_numeric), "{}", info.name);
            assert!(info.deviations.iter().all(|text| text.ends_with('.')), "{}", info.name);
        }
    }

    #[test]
    fn defaults_and_resolved_settings_read_back_as_themselves() {
        for entry in builtin() {
            let defaults = entry.defaults();
            assert!(defaults.is_object(), "{}", entry.info().name);
            assert_eq!(entry.configure(&Value::table()).unwrap().resolved(), defaults);
            let again = entry.configure(&Value::from_json(&defaults)).unwrap();
            assert_eq!(again.resolved(), defaults);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        for entry in builtin() {
            let known = entry.defaults();
            let key = known.as_object().unwrap().keys().next().unwrap();
            let value = Value::from_json(&serde_json::json!({ format!("{key}x"): 1 }));
            let message = entry.configure(&value).err().expect("an unknown key").to_string();
            assert!(message.contains(&format!("did you mean `{key}`")), "{message}");
        }
    }
}
