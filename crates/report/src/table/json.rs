//! A table as JSON: one object a row, every field in full precision.

use super::{Table, Value};
use serde_json::{Map, json};

/// `{"name", "title", "notes", "units", "rows"}`, where `rows` holds one object a row with the fields of every
/// column. A number that JSON cannot hold is the text `inf`, `-inf` or `NaN`. Ends in a line break.
pub fn to_json(table: &Table) -> String {
    let fields: Vec<&String> = table.columns.iter().flat_map(|column| &column.fields).collect();
    let rows: Vec<_> = table
        .rows
        .iter()
        .map(|row| {
            let values = row.iter().flat_map(|cell| &cell.values).map(value);
            fields.iter().map(|field| field.to_string()).zip(values).collect::<Map<_, _>>()
        })
        .collect();
    let units: Map<_, _> = table
        .columns
        .iter()
        .filter_map(|column| Some((column, column.unit.as_ref()?)))
        .flat_map(|(column, unit)| column.fields.iter().map(move |field| (field.clone(), json!(unit))))
        .collect();
    let value = json!({
        "name": table.name, "title": table.title, "notes": table.notes, "units": units, "rows": rows,
    });
    format!("{value:#}\n")
}

fn value(value: &Value) -> serde_json::Value {
    match value {
        Value::Missing => serde_json::Value::Null,
        Value::Text(text) => json!(text),
        Value::Integer(count) => json!(count),
        Value::Flag(flag) => json!(flag),
        Value::Number(x) if x.is_finite() => json!(x),
        Value::Number(_) => json!(value.plain()),
    }
}
