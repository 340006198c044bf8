//! What many JSON values have in common, said once: the cells of an experiment differ in few places of a long configuration.

use serde_json::{Map, Value};

/// What all values agree in: of objects the keys whose values agree, and of those that are objects again the same within.
/// Of one value it is the value.
pub(crate) fn common<'a>(values: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut values = values.into_iter();
    let first = values.next().cloned().unwrap_or_default();
    values.fold(first, |common, value| agreed(common, value).unwrap_or_else(|| Value::Object(Map::new())))
}

fn agreed(common: Value, value: &Value) -> Option<Value> {
    match (common, value) {
        (Value::Object(common), Value::Object(value)) => {
            let within = common.into_iter().filter_map(|(key, own)| {
                let agreed = agreed(own, value.get(&key)?)?;
                Some((key, agreed))
            });
            Some(Value::Object(within.collect()))
        }
        (common, value) => (common == *value).then_some(common),
    }
}

/// What a value has beyond what it has in common with others.
pub(crate) fn beyond(common: &Value, value: &Value) -> Option<Value> {
    match (common, value) {
        (Value::Object(common), Value::Object(value)) => {
            let own = value.iter().filter_map(|(key, own)| match common.get(key) {
                Some(common) => Some((key.clone(), beyond(common, own)?)),
                None => Some((key.clone(), own.clone())),
            });
            let own: Map<String, Value> = own.collect();
            // An empty object of its own is told by the key being there at all.
            (!own.is_empty()).then_some(Value::Object(own))
        }
        (common, value) => (common != value).then(|| value.clone()),
    }
}

/// The value again.
pub(crate) fn together(common: &Value, own: Value) -> Value {
    match (common, own) {
        (Value::Object(common), Value::Object(own)) => {
            let mut whole = common.clone();
            for (key, own) in own {
                let value = match common.get(&key) {
                    Some(common) => together(common, own),
                    None => own,
                };
                whole.insert(key, value);
            }
            Value::Object(whole)
        }
        (_, own) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_said_again() {
        let values = [
            json!({"a": 1, "b": {"c": [1, 2], "d": {}, "e": null}, "f": {"g": 1}}),
            json!({"a": 1, "b": {"c": [1, 3], "d": {}, "e": null}, "h": {}}),
        ];
        let shared = common(&values);
        assert_eq!(shared, json!({"a": 1, "b": {"d": {}, "e": null}}));
        assert_eq!(beyond(&shared, &values[0]), Some(json!({"b": {"c": [1, 2]}, "f": {"g": 1}})));
        assert_eq!(beyond(&shared, &values[1]), Some(json!({"b": {"c": [1, 3]}, "h": {}})));
        assert_eq!(common(&values[..1]), values[0]);
        assert_eq!(beyond(&values[0], &values[0]), None);
        assert_eq!(common([&json!(1), &json!(2)]), json!({}));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(json!(null)), (0..3).prop_map(|n| json!(n)), Just(json!([1])), Just(json!({}))];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map))
        })
    }

    proptest! {
        #[test]
        fn every_object_comes_back(values in prop::collection::vec(prop::collection::btree_map("[a-d]", value(), 0..5), 1..6)) {
            let values: Vec<Value> = values.into_iter().map(|map| json!(map)).collect();
            let shared = common(&values);
            for value in &values {
                let own = beyond(&shared, value).unwrap_or_else(|| json!({}));
                prop_assert_eq!(&together(&shared, own), value);
            }
        }
    }
}
