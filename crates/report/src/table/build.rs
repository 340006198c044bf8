//! From typed rows to a [`Table`]: every column is a heading, its fields, and a function from row to cell.

use super::{Align, Cell, Column, Table, Value, number};
use crate::{
    statistics::{Estimate, Interval, Success},
    summary::{Setting, spelled},
};
use seqbench_record::{Coordinate, Provenance};

/// When people see a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Always.
    Always,
    /// Where its cells differ: what all rows share stands in the title, or is not worth a word.
    Varied,
    /// Where its cells differ: what all rows share stands in the notes.
    Common,
    /// Where at least one cell holds something.
    Filled,
    /// Never: for programs only.
    Never,
}

/// A column of rows of type `R`.
pub(super) struct Build<'a, R> {
    name: String,
    unit: Option<String>,
    align: Align,
    show: Show,
    secondary: bool,
    fields: Vec<String>,
    cell: Box<dyn Fn(&R) -> Cell + 'a>,
}

/// A column; its cells must hold one value a field.
pub(super) fn column<'a, R>(
    name: &str,
    align: Align,
    show: Show,
    fields: &[&str],
    cell: impl Fn(&R) -> Cell + 'a,
) -> Build<'a, R> {
    let fields = fields.iter().map(|field| field.to_string()).collect();
    Build { name: name.into(), unit: None, align, show, secondary: false, fields, cell: Box::new(cell) }
}

impl<R> Build<'_, R> {
    /// The same with a unit.
    pub(super) fn in_unit(self, unit: &str) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    /// The same, giving way where a terminal has no room.
    pub(super) fn secondary(self) -> Self {
        Self { secondary: true, ..self }
    }
}

/// The table of rows.
pub(super) fn table<R>(
    name: &str,
    title: String,
    mut notes: Vec<String>,
    rows: &[R],
    columns: Vec<Build<'_, R>>,
) -> Table {
    let cells: Vec<Vec<Cell>> =
        rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row)).collect()).collect();
    let mut common = Vec::new();
    let columns = columns
        .into_iter()
        .enumerate()
        .map(|(i, build)| {
            let mut column = cells.iter().map(|row| &row[i]);
            let shown = match build.show {
                Show::Always => true,
                Show::Never => false,
                Show::Filled => column.any(|cell| cell.values.iter().any(|value| *value != Value::Missing)),
                Show::Varied | Show::Common => {
                    column.next().is_some_and(|first| column.any(|cell| cell.text != first.text))
                }
            };
            if let (Show::Common, false, Some(row)) = (build.show, shown, cells.first())
                && row[i].values.iter().any(|value| *value != Value::Missing)
            {
                common.push(format!("{} {}", build.name, row[i].text));
            }
            let Build { name, unit, align, secondary, fields, .. } = build;
            Column { name, unit, align, shown, secondary, fields }
        })
        .collect();
    if !common.is_empty() {
        notes.insert(0, format!("All rows: {}.", common.join(", ")));
    }
    Table { name: name.into(), title, notes, columns, rows: cells }
}

/// Experiment, task, model and coordinates of rows.
pub(super) fn setting_columns<'a, R: 'a>(settings: &[&Setting], of: fn(&R) -> &Setting) -> Vec<Build<'a, R>> {
    let mut columns = vec![
        column("experiment", Align::Left, Show::Varied, &["experiment"], move |row| {
            word(&of(row).experiment)
        }),
        column("task", Align::Left, Show::Varied, &["task"], move |row| word(&of(row).task)),
        column("model", Align::Left, Show::Always, &["model"], move |row| word(&of(row).model)),
        column("architecture", Align::Left, Show::Never, &["architecture"], move |row| {
            word(&of(row).architecture)
        }),
    ];
    let mut keys: Vec<&str> = Vec::new();
    for coordinate in settings.iter().flat_map(|setting| &setting.coordinates) {
        if !keys.contains(&coordinate.key.as_str()) {
            keys.push(&coordinate.key);
        }
    }
    for key in &keys {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_string();
        let unique = keys.iter().filter(|other| last(other) == last(key)).count() == 1;
        let heading = if unique { last(key) } else { key.to_string() };
        let owned = key.to_string();
        columns.push(column(&heading, Align::Right, Show::Always, &[key], move |row| {
            coordinate(of(row).coordinates.iter().find(|coordinate| coordinate.key == owned))
        }));
    }
    columns.push(column("group", Align::Left, Show::Never, &["group"], move |row| word(&of(row).group)));
    columns
}

/// Whether rows of tasks with different chance stand in one table, where accuracies as such do not compare.
pub(super) fn mixed_chance<R>(rows: &[R], of: impl Fn(&R) -> (&String, Option<f64>)) -> bool {
    let known: Vec<(&String, f64)> = rows
        .iter()
        .filter_map(|row| {
            let (task, chance) = of(row);
            Some((task, chance?))
        })
        .collect();
    known.iter().any(|(task, chance)| known.iter().any(|(other, own)| other != task && own != chance))
}

/// ` on copying` where all rows share a task, else nothing.
pub(super) fn on_task(settings: &[&Setting]) -> String {
    match settings.first() {
        Some(first)
            if !first.task.is_empty() && settings.iter().all(|setting| setting.task == first.task) =>
        {
            format!(" on {}", first.task)
        }
        _ => String::new(),
    }
}

/// Builds and instruction sets, one line; empty for none.
pub(super) fn provenance_note(provenances: &[Provenance], with_machine: bool) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for made in provenances.iter().filter(|made| !made.version.is_empty()) {
        let mut line = format!("seqbench {} {}, {}", made.version, made.revision, made.isa);
        if with_machine {
            line = format!("{line}, {}, {}, {}", made.compiler, made.processor, made.system);
        }
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| format!("Made with {}.", lines.join("; ")))
}

/// Distinct numbers of rows as text, rising: `0.95`, `300, 1000`; to three digits where they have many; none for none.
pub(super) fn distinct(values: impl Iterator<Item = f64>) -> Option<String> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let words: Vec<_> = values.into_iter().map(spelled_short).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn spelled_short(x: f64) -> String {
    const LONG: usize = 8;
    let text = Value::Number(x).plain();
    if text.len() > LONG { number::short(x) } else { text }
}

/// A word.
pub(super) fn word(text: &str) -> Cell {
    if text.is_empty() {
        Cell { text: "–".into(), values: vec![Value::Missing] }
    } else {
        Cell { text: text.into(), values: vec![Value::Text(text.into())] }
    }
}

/// A count.
pub(super) fn integer(count: u64) -> Cell {
    Cell { text: count.to_string(), values: vec![Value::Integer(count)] }
}

/// A number, as `text` spells it for people.
pub(super) fn number_cell(x: Option<f64>, text: impl Fn(f64) -> String) -> Cell {
    Cell { text: x.map_or("–".into(), text), values: vec![number_value(x)] }
}

/// A value, or nothing.
pub(super) fn number_value(x: Option<f64>) -> Value {
    x.map_or(Value::Missing, Value::Number)
}

/// Mean ± half the interval, with fields mean, low, high. `text` spells the mean; the other follows it.
pub(super) fn estimate(estimate: &Estimate, text: impl Fn(f64) -> String) -> Cell {
    let text = match (estimate.mean, estimate.half_width()) {
        (Some(mean), Some(half)) => format!("{} ± {}", text(mean), number::like(&text(mean), half)),
        (Some(mean), None) => text(mean),
        (None, _) => "–".into(),
    };
    let mut values = vec![number_value(estimate.mean)];
    values.extend(ends(estimate.interval));
    Cell { text, values }
}

/// `3/5 (23–88 %)`, with fields k, n, low, high.
pub(super) fn success(success: Option<Success>) -> Cell {
    let Some(success) = success else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 4] };
    };
    let text = match success.interval {
        Some(Interval { low, high }) => {
            format!("{}/{} ({:.0}–{:.0} %)", success.k, success.n, 100.0 * low, 100.0 * high)
        }
        None => "–".into(),
    };
    let mut values = vec![Value::Integer(success.k as u64), Value::Integer(success.n as u64)];
    values.extend(ends(success.interval));
    Cell { text, values }
}

fn ends(interval: Option<Interval>) -> [Value; 2] {
    [number_value(interval.map(|i| i.low)), number_value(interval.map(|i| i.high))]
}

fn coordinate(coordinate: Option<&Coordinate>) -> Cell {
    let Some(coordinate) = coordinate else { return word("") };
    let text = spelled(&coordinate.value);
    match (coordinate.value.as_u64(), coordinate.number()) {
        (Some(whole), _) => integer(whole),
        (None, Some(x)) => number_cell(Some(x), |_| text.clone()),
        (None, None) => word(&text),
    }
}

/// A count with units, such as parameters.
pub(super) fn counted(x: Option<f64>) -> Cell {
    number_cell(x, number::count)
}
