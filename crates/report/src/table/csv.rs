//! A table as CSV: every field in full precision, whether or not people see its column. No title, no notes.

use super::Table;

/// A header of field names and one line a row. Nothing is rounded; what is missing is empty.
pub fn to_csv(table: &Table) -> String {
    let header = table.columns.iter().flat_map(|column| column.fields.iter().cloned()).collect();
    let rows =
        table.rows.iter().map(|row| row.iter().flat_map(|cell| &cell.values).map(|v| v.plain()).collect());
    std::iter::once(header).chain(rows).map(|fields: Vec<String>| line(&fields)).collect()
}

fn line(fields: &[String]) -> String {
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    fields.join(",") + "\n"
}

/// RFC 4180: quotes around what holds a comma, a quote or a line break; quotes within are doubled.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}
