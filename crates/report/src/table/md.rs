//! A table as Markdown (the tables of GitHub's dialect).

use super::{Align, Table};

/// The title as a heading of the third level, the table, and its notes as paragraphs. Ends in a line break.
pub fn to_md(table: &Table) -> String {
    let shown = table.shown();
    let line = |words: Vec<String>| format!("| {} |\n", words.join(" | "));
    let mut text = format!("### {}\n\n", escaped(&table.title));
    text += &line(shown.iter().map(|(_, column)| escaped(&column.heading())).collect());
    let rule = |align: Align| match align {
        Align::Left => ":---".to_string(),
        Align::Right => "---:".to_string(),
    };
    text += &line(shown.iter().map(|(_, column)| rule(column.align)).collect());
    for row in &table.rows {
        text += &line(shown.iter().map(|(i, _)| escaped(&row[*i].text)).collect());
    }
    for note in &table.notes {
        text += &format!("\n{}\n", escaped(note));
    }
    text
}

/// What would end a cell or start a mark is escaped; a line break becomes a blank.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '<' | '[' | ']' | '~' => escaped.extend(['\\', c]),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}
