//! Identities: the hash of a resolved configuration, so that the same command again finds its cells.

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// Version of how a configuration is written down to be hashed. The layout of files is no part of it: a cell stays the same
/// cell however its rows are arranged. (Its name in the hashed text is older.)
const IDENTITY_VERSION: u32 = 1;

/// Identity of a value: the first 16 hexadecimal digits of SHA-256 over its [`canonical`] text,
/// [`IDENTITY_VERSION`] and `numerics`, the version that is bumped when the same configuration computes other
/// values.
///
/// The order of keys does not matter, nor does `1` against `1.0`; any other change does.
pub fn hash(value: &Value, numerics: u32) -> String {
    let text = format!("{}\nschema={IDENTITY_VERSION}\nnumerics={numerics}\n", canonical(value));
    hex(&Sha256::digest(text.as_bytes())[..8])
}

/// Hash of bytes, as short as that of a configuration: 16 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

/// Canonical JSON: keys sorted by their bytes, no white space, every number in one form.
///
/// A whole number below 2^53 is written as an integer whether it came as `2` or `2.0`; other numbers as the
/// shortest digits that read back the same, in scientific form (`1e-3`).
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    append(value, &mut text);
    text
}

/// SHA-256 of bytes, as 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn append(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Number(number) => text.push_str(&canonical_number(number)),
        Value::Array(values) => {
            text.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                append(value, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            // Sorted here as well: whether serde_json's map is depends on a feature any crate can switch on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_bytes());
            text.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                append(value, text);
            }
            text.push('}');
        }
    }
}

fn canonical_number(number: &Number) -> String {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = number.as_u64() {
        return whole.to_string();
    }
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    match number.as_f64() {
        Some(x) if x.fract() == 0.0 && x.abs() < WHOLE => (x as i64).to_string(),
        Some(x) => format!("{x:e}"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_text_sorts_keys_and_knows_one_form_of_a_number() {
        let value = json!({"b": [1.0, 0.001, -2.5e300, true, null], "a": {"z": "\"é\n", "y": 2}});
        assert_eq!(canonical(&value), r#"{"a":{"y":2,"z":"\"é\n"},"b":[1,1e-3,-2.5e300,true,null]}"#);
        assert_eq!(canonical(&json!([-0.0, 9007199254740993u64, -7])), "[0,9007199254740993,-7]");
    }

    // printf '{"lr":1e-3,"model":{"kind":"lstm","width":64},"seed":0}\nschema=1\nnumerics=1\n' | sha256sum
    #[test]
    fn golden_identity() {
        let value = json!({"model": {"kind": "lstm", "width": 64}, "lr": 0.001, "seed": 0});
        assert_eq!(hash(&value, 1), "e317c846113aee16");
    }

    #[test]
    fn order_of_keys_and_spelling_of_whole_numbers_do_not_matter() {
        let a: Value = serde_json::from_str(r#"{"a": 1, "b": {"c": 2, "d": 3.0}}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b": {"d": 3, "c": 2.0}, "a": 1e0}"#).unwrap();
        assert_eq!(hash(&a, 7), hash(&b, 7));
    }

    #[test]
    fn any_value_any_key_the_numerics_and_the_nesting_do_matter() {
        let variants = [
            json!({"a": 1, "b": 2}),
            json!({"a": 2, "b": 1}),
            json!({"a": 1, "c": 2}),
            json!({"a": 1, "b": "2"}),
            json!({"a": 1, "b": [2]}),
            json!({"a": 1, "b": 2.0000000000000004}),
            json!({"a": 1, "b": null}),
            json!({"a": 1}),
            json!({"a": {"b": 2}}),
            json!(["a", 1, "b", 2]),
        ];
        let mut hashes: Vec<_> = variants.iter().map(|value| hash(value, 1)).collect();
        hashes.extend(variants.iter().map(|value| hash(value, 2)));
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 2 * variants.len());
    }
}
