//! A table for LaTeX, with the rules of the booktabs package.

use super::{Align, Table};

/// A `table` environment: caption, booktabs rules, notes below. Needs `\usepackage{booktabs}`.
pub fn to_latex(table: &Table) -> String {
    let shown = table.shown();
    let places: String = shown
        .iter()
        .map(|(_, column)| match column.align {
            Align::Left => 'l',
            Align::Right => 'r',
        })
        .collect();
    let line = |words: Vec<String>| format!("    {} \\\\\n", words.join(" & "));
    let mut text = String::from("\\begin{table}\n  \\centering\n");
    text += &format!("  \\caption{{{}}}\n", escaped(&table.title));
    text += &format!("  \\label{{tab:{}}}\n", table.name);
    text += &format!("  \\begin{{tabular}}{{{places}}}\n    \\toprule\n");
    text += &line(shown.iter().map(|(_, column)| escaped(&column.heading())).collect());
    text += "    \\midrule\n";
    for row in &table.rows {
        text += &line(shown.iter().map(|(i, _)| escaped(&row[*i].text)).collect());
    }
    text += "    \\bottomrule\n  \\end{tabular}\n";
    if !table.notes.is_empty() {
        let notes: Vec<_> = table.notes.iter().map(|note| escaped(note)).collect();
        text += &format!("\n  \\smallskip\n  \\footnotesize {}\n", notes.join(" "));
    }
    text += "\\end{table}\n";
    text
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped += r"\textbackslash{}",
            '~' => escaped += r"\textasciitilde{}",
            '^' => escaped += r"\textasciicircum{}",
            '±' => escaped += r"$\pm$",
            '≥' => escaped += r"$\geq$",
            '∝' => escaped += r"$\propto$",
            'µ' => escaped += r"$\mu$",
            '"' => escaped += "''",
            '<' => escaped += "$<$",
            '>' => escaped += "$>$",
            '–' => escaped += "--",
            // A row that starts with a bracket would be read as an argument of the line break before it.
            '[' => escaped += "{[}",
            ']' => escaped += "{]}",
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}
