//! A table for a terminal: borders, within [`TEXT_WIDTH`] characters.

use super::{Align, Column, TEXT_WIDTH, Table};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets::UTF8_FULL_CONDENSED};

/// The title, the table, and its notes below. Ends in a line break.
pub fn to_text(table: &Table) -> String {
    let (grid, dropped) = fitted(table);
    let mut text = format!("{}\n{grid}\n", table.title);
    for note in &table.notes {
        text.push_str(&wrapped(note, TEXT_WIDTH.into()));
    }
    if !dropped.is_empty() {
        let note = format!("For want of room without {}: see the other forms.", dropped.join(", "));
        text.push_str(&wrapped(&note, TEXT_WIDTH.into()));
    }
    text
}

/// Whether a terminal has room for a table with every word and number whole and no column left out.
pub(super) fn fits(table: &Table) -> bool {
    is_narrow(&grid(table, &table.shown(), Whole::All))
}

fn is_narrow(grid: &str) -> bool {
    grid.lines().all(|line| line.chars().count() <= TEXT_WIDTH.into())
}

/// The widest form there is room for, and the headings of the columns it lacks: secondary columns give way from the right, then
/// numbers part with what belongs to them, then long words break, then numbers. Short words, such as a finding, stay whole.
fn fitted(table: &Table) -> (String, Vec<String>) {
    let mut shown = table.shown();
    let mut dropped = Vec::new();
    loop {
        let whole = grid(table, &shown, Whole::All);
        if is_narrow(&whole) {
            return (whole, dropped);
        }
        let Some(place) = shown.iter().rposition(|(_, column)| column.secondary) else { break };
        dropped.insert(0, shown.remove(place).1.name.clone());
    }
    let forms = [Whole::Words, Whole::Numbers, Whole::Short, Whole::ShortWords];
    let narrow = forms.into_iter().map(|whole| grid(table, &shown, whole)).find(|form| is_narrow(form));
    (narrow.unwrap_or_else(|| grid(table, &shown, Whole::Nothing)), dropped)
}

/// Longest word that keeps whole while others break: a verdict, not the name of a model with its settings.
const SHORT: usize = 12;

/// What never breaks over lines.
#[derive(Clone, Copy, PartialEq)]
enum Whole {
    /// Numbers with all that belongs to them, and every word.
    All,
    /// Every word, and every number without what belongs to it.
    Words,
    /// Numbers with all that belongs to them, and short words.
    Numbers,
    /// Short words, and short numbers without what belongs to them.
    Short,
    /// Short words.
    ShortWords,
    /// Nothing.
    Nothing,
}

impl Whole {
    /// Characters of a cell's text that stay on one line.
    fn of_cell(self, text: &str, align: Align) -> usize {
        match (self, align) {
            (Whole::All | Whole::Numbers, Align::Right) => text.chars().count(),
            _ => self.of_words(text, align),
        }
    }

    /// The same of a heading, which is words whatever stands below it.
    fn of_words(self, text: &str, align: Align) -> usize {
        let words = || text.split(' ').map(|word| word.chars().count());
        let short = || words().filter(|length| *length <= SHORT).max().unwrap_or(0);
        match (self, align) {
            (Whole::All | Whole::Words, _) | (Whole::Numbers, Align::Right) => words().max().unwrap_or(0),
            (Whole::Numbers | Whole::ShortWords, Align::Left) | (Whole::Short, _) => short(),
            (Whole::ShortWords, Align::Right) | (Whole::Nothing, _) => 0,
        }
    }
}

/// The borders and what stands within. What is not kept whole wraps.
fn grid(table: &Table, shown: &[(usize, &Column)], whole: Whole) -> String {
    let mut grid = comfy_table::Table::new();
    grid.load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(TEXT_WIDTH)
        .set_header(shown.iter().map(|(_, column)| column.heading()));
    for row in &table.rows {
        grid.add_row(shown.iter().map(|(i, _)| row[*i].text.as_str()));
    }
    for (column, (i, shown)) in grid.column_iter_mut().zip(shown) {
        column.set_cell_alignment(match shown.align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
        let cells = table.rows.iter().map(|row| whole.of_cell(&row[*i].text, shown.align));
        let widest = cells.max().unwrap_or(0).max(whole.of_words(&shown.heading(), shown.align));
        if widest > 0 {
            let with_padding = u16::try_from(widest + 2).unwrap_or(TEXT_WIDTH);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(with_padding)));
        }
    }
    grid.to_string()
}

/// Words on lines of at most `width` characters, as far as words are no longer.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push('\n');
            used = 0;
        }
        if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines.push('\n');
    lines
}
