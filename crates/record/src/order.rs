//! The one order in which cells stand everywhere: purpose, model, coordinates, seed, identity.

use crate::schema::{Cell, Coordinate};
use serde_json::Value;
use std::cmp::Ordering;

/// Compares two cells by experiment, purpose, task, model, coordinates, seed and identity.
pub fn cells(a: &Cell, b: &Cell) -> Ordering {
    let (x, y) = (&a.labels, &b.labels);
    a.experiment
        .cmp(&b.experiment)
        .then_with(|| a.purpose.cmp(&b.purpose))
        .then_with(|| x.task.cmp(&y.task))
        .then_with(|| x.model.cmp(&y.model))
        .then_with(|| coordinates(&x.coordinates, &y.coordinates))
        .then_with(|| x.seed.cmp(&y.seed))
        .then_with(|| a.id.cmp(&b.id))
}

/// Compares coordinates from the first on: by key, then by value, fewer before more.
pub fn coordinates(a: &[Coordinate], b: &[Coordinate]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(x, y)| x.key.cmp(&y.key).then_with(|| values(&x.value, &y.value)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Compares two configuration values: numbers by size and before all others, the rest by their canonical text.
pub fn values(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => crate::canonical(a).cmp(&crate::canonical(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_stand_by_size_not_by_text() {
        let mut all = [json!("b"), json!(100), json!(30), json!("a"), json!(2.5)];
        all.sort_by(values);
        assert_eq!(all, [json!(2.5), json!(30), json!(100), json!("a"), json!("b")]);
    }

    #[test]
    fn coordinates_compare_from_the_first_on() {
        let at = |pairs: &[(&str, i32)]| -> Vec<Coordinate> {
            pairs.iter().map(|&(key, value)| Coordinate { key: key.into(), value: json!(value) }).collect()
        };
        assert_eq!(coordinates(&at(&[("lag", 9), ("w", 2)]), &at(&[("lag", 10), ("w", 1)])), Ordering::Less);
        assert_eq!(coordinates(&at(&[("lag", 9)]), &at(&[("lag", 9), ("w", 1)])), Ordering::Less);
        assert_eq!(coordinates(&at(&[("lag", 9)]), &at(&[("lag", 9)])), Ordering::Equal);
    }
}
