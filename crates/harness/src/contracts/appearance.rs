//! What an entry says of itself, and how it reads its settings.

use super::{Check, Contract, Fault, Found, ensure};
use seqbench_core::config::{Value, nearest};
use seqbench_core::{AnyArchitecture, AnyTask};
use serde_json::Value as Json;

const DESCRIBED: Contract = Contract {
    name: "it says what it is",
    meaning: "lists, legends and citations are made of the entry's own words: a name is lower-case letters, digits and \
              hyphens; title, summary and citation are not empty",
};

const ROUND_TRIP: Contract = Contract {
    name: "settings come back",
    meaning: "resolved settings do not read back as themselves: a cell's identity would not be that of what ran. \
              Every field of the configuration must serialise to what it is read from",
};

const MISSPELT: Contract = Contract {
    name: "misspelt keys are refused",
    meaning: "a misspelt key is silently ignored, or refused without help: declare \
              `#[serde(default, deny_unknown_fields)]` on the configuration",
};

const LENGTH_KEY: Contract = Contract {
    name: "its length key exists",
    meaning: "`length_key` names no whole-number key of the configuration: nothing can be swept by it",
};

/// The contracts of an architecture's entry.
pub(crate) const ARCHITECTURE: &[Check<&'static dyn AnyArchitecture>] = &[
    (DESCRIBED, |entry| {
        let info = entry.info();
        described(info.name, [info.title, info.summary, info.citation])
    }),
    (ROUND_TRIP, |entry| round_trip(&entry.defaults(), |value| Ok(entry.configure(value)?.resolved()))),
    (MISSPELT, |entry| misspelt(&entry.defaults(), |value| Ok(entry.configure(value)?.resolved()))),
];

/// The contracts of a task's entry.
pub(crate) const TASK: &[Check<&'static dyn AnyTask>] = &[
    (DESCRIBED, |entry| {
        let info = entry.info();
        described(info.name, [info.title, info.summary, info.citation])?;
        ensure!(!info.separates.is_empty(), "it does not say what success shows");
        Ok(())
    }),
    (ROUND_TRIP, |entry| round_trip(&entry.defaults(), |value| Ok(entry.configure(value)?.1))),
    (MISSPELT, |entry| misspelt(&entry.defaults(), |value| Ok(entry.configure(value)?.1))),
    (LENGTH_KEY, |entry| {
        let defaults = entry.defaults();
        let known = entry.info().length_key.is_none_or(|key| defaults[key].is_u64());
        ensure!(known, "there is no whole-number key {:?} among {defaults}", entry.info().length_key);
        Ok(())
    }),
];

fn described(name: &str, texts: [&str; 3]) -> Found {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    ensure!(!name.is_empty() && name.bytes().all(plain), "the name is `{name}`");
    ensure!(texts.iter().all(|text| !text.is_empty()), "title, summary or citation is empty");
    Ok(())
}

fn round_trip(defaults: &Json, resolve: impl Fn(&Value) -> Result<Json, Fault>) -> Found {
    ensure!(defaults.is_object(), "the defaults are no table: {defaults}");
    let empty = resolve(&Value::table())?;
    ensure!(empty == *defaults, "no settings resolve to {empty}, the defaults are {defaults}");
    let whole = resolve(&Value::from_json(defaults))?;
    ensure!(whole == *defaults, "the defaults {defaults} read back as {whole}");
    Ok(())
}

fn misspelt(defaults: &Json, resolve: impl Fn(&Value) -> Result<Json, Fault>) -> Found {
    let keys: Vec<&str> = defaults.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    for key in &keys {
        let wrong = format!("{key}z");
        let table = Value::from_json(&serde_json::json!({ wrong.clone(): 1 }));
        let Err(Fault(message)) = resolve(&table) else {
            ensure!(false, "the key `{wrong}` is accepted");
            continue;
        };
        ensure!(
            message.contains(&format!("`{wrong}`")),
            "the refusal of `{wrong}` does not name it: {message}"
        );
        let meant = nearest(&wrong, keys.iter().copied()).unwrap_or(key);
        let helps = message.contains(&format!("did you mean `{meant}`?"));
        ensure!(helps, "the refusal of `{wrong}` does not propose `{meant}`: {message}");
    }
    Ok(())
}
