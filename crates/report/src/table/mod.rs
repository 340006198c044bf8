//! Tables: what a person reads and what a program reads, from the same rows.
//!
//! A [`Table`] is the form between the summary and an output form. Each of its cells holds the text that a
//! person reads (`0.981 ± 0.030`) and the full-precision values behind it (`mean`, `low`, `high`), so that no
//! output form computes anything.

mod accuracy;
mod build;
mod choose;
mod claims;
mod comparison;
mod crossovers;
mod digest;
mod efficiency;
mod extrapolation;
mod fairness;
mod gradients;
mod memory;
mod number;
mod published;
mod reach;
mod repeats;
mod selection;
mod signals;
mod spectrum;
mod study;
mod theory;
mod throughput;
mod time_to_accuracy;
mod training;

mod csv;
mod json;
mod latex;
mod md;
mod text;

pub use accuracy::accuracy_table;
pub use choose::choose_table;
pub use claims::claims_table;
pub use comparison::comparison_tables;
pub use crossovers::crossover_table;
pub use csv::to_csv;
pub use digest::{digest, summary_digest};
pub use efficiency::efficiency_table;
pub use extrapolation::extrapolation_table;
pub(crate) use fairness::fairness as timed_fairness;
pub use gradients::gradient_table;
pub use json::to_json;
pub use latex::to_latex;
pub use md::to_md;
pub use memory::memory_table;
pub use number::{accuracy as accuracy_text, bytes, count, duration, short};
pub use published::published_table;
pub use reach::reach_table;
pub use repeats::repeat_table;
pub use selection::selection_table;
pub use signals::signals_table;
pub use spectrum::spectrum_table;
pub use study::study_table;
pub(crate) use study::{entry_words, shown_words, task_words};
pub use text::to_text;
pub use theory::theory_table;
pub use throughput::{scaling_table, throughput_table};
pub use time_to_accuracy::time_to_accuracy_table;

use crate::summary::{Summary, summarise};
use seqbench_record::CellFiles;

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// A word for file names: `study`, `accuracy`, `reach`, `extrapolation`, `selection`, `gradients`, `theory`,
    /// `spectrum`, `signals`, `time-to-accuracy`, `throughput`, `efficiency`, `scaling`, `crossovers`, `memory`, `choose`,
    /// `repeats`, `published`, `comparison`, `comparison-times`, `claims`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What a reader must know to read it, one sentence or two a line.
    pub notes: Vec<String>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with one cell a column.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Unit, where it has one.
    pub unit: Option<String>,
    /// Where its text stands.
    pub align: Align,
    /// Whether people see it; programs always do.
    pub shown: bool,
    /// Whether it gives way where a terminal has no room for all.
    pub secondary: bool,
    /// Names of the values of its cells.
    pub fields: Vec<String>,
}

impl Column {
    /// Heading with unit, such as `half-life (steps)`.
    pub fn heading(&self) -> String {
        match &self.unit {
            Some(unit) => format!("{} ({unit})", self.name),
            None => self.name.clone(),
        }
    }
}

/// Where text stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// What stands where a row meets a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What people read; `–` for nothing.
    pub text: String,
    /// What programs read: one value a field of the column.
    pub values: Vec<Value>,
}

/// A value of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: an empty CSV field, `null` in JSON.
    Missing,
    /// A word.
    Text(String),
    /// A count.
    Integer(u64),
    /// A number, in full precision.
    Number(f64),
    /// Whether something is so.
    Flag(bool),
}

impl Value {
    /// As text for a machine: the shortest digits that read back the same, `inf`, `-inf`, `NaN`; empty for
    /// nothing.
    pub fn plain(&self) -> String {
        match self {
            Value::Missing => String::new(),
            Value::Text(text) => text.clone(),
            Value::Integer(count) => count.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Number(x) if *x == 0.0 || !x.is_finite() || (1e-5..1e16).contains(&x.abs()) => {
                x.to_string()
            }
            Value::Number(x) => format!("{x:e}"),
        }
    }
}

/// An output form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a terminal, within [`TEXT_WIDTH`] columns.
    Text,
    /// Markdown.
    Md,
    /// Comma-separated values, all fields.
    Csv,
    /// LaTeX, with booktabs.
    Latex,
    /// JSON, all fields.
    Json,
}

/// Widest line of [`to_text`], in characters.
pub const TEXT_WIDTH: u16 = 100;

impl Table {
    /// The table in a form.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => to_text(self),
            Format::Md => to_md(self),
            Format::Csv => to_csv(self),
            Format::Latex => to_latex(self),
            Format::Json => to_json(self),
        }
    }

    /// Whether it is the same whenever the same cells are run again: it holds nothing that was timed.
    pub fn is_deterministic(&self) -> bool {
        const TIMED: [&str; 9] = [
            "time-to-accuracy",
            "throughput",
            "efficiency",
            "scaling",
            "crossovers",
            "memory",
            "choose",
            "repeats",
            "comparison-times",
        ];
        !TIMED.contains(&self.name.as_str())
    }

    /// Columns that people see, with their places.
    fn shown(&self) -> Vec<(usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.shown).collect()
    }
}

/// Every table that has a row: study, accuracy, reach, extrapolation, selection, gradients, theory, spectrum, signals,
/// time-to-accuracy, throughput, efficiency, scaling, crossovers, memory.
pub fn tables(cells: &[CellFiles]) -> Vec<Table> {
    summary_tables(&summarise(cells))
}

/// As [`tables`], of a summary.
pub fn summary_tables(summary: &Summary) -> Vec<Table> {
    let mut tables = vec![
        study_table(summary),
        accuracy_table(summary),
        reach_table(summary),
        extrapolation_table(summary),
        selection_table(summary),
        gradient_table(summary),
        theory_table(summary),
        spectrum_table(summary),
        signals_table(summary),
        time_to_accuracy_table(summary),
        throughput_table(summary),
        efficiency_table(summary),
        scaling_table(summary),
        crossover_table(summary),
        memory_table(summary),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}
