//! A table for a terminal: borders, within [`TEXT_WIDTH`] characters.

use super::{Align, TEXT_WIDTH, Table};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets::UTF8_FULL_CONDENSED};

/// The title, the table, and its notes below. Ends in a line break.
pub fn to_text(table: &Table) -> String {
    let kept = grid(table, true);
    let fits = kept.lines().all(|line| line.chars().count() <= TEXT_WIDTH.into());
    let grid = if fits { kept } else { grid(table, false) };
    let mut text = format!("{}\n{grid}\n", table.title);
    for note in &table.notes {
        text.push_str(&wrapped(note, TEXT_WIDTH.into()));
    }
    text
}

/// The borders and what stands within. Where there is room to keep them whole, numbers stay on one line, and
/// text and headings wrap between words only.
fn grid(table: &Table, keep_whole: bool) -> String {
    let shown = table.shown();
    let mut grid = comfy_table::Table::new();
    grid.load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(TEXT_WIDTH)
        .set_header(shown.iter().map(|(_, column)| column.heading()));
    for row in &table.rows {
        grid.add_row(shown.iter().map(|(i, _)| row[*i].text.as_str()));
    }
    for (column, (i, shown)) in grid.column_iter_mut().zip(&shown) {
        column.set_cell_alignment(match shown.align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
        if keep_whole {
            let cells = table.rows.iter().map(|row| row[*i].text.as_str());
            let whole = |text: &str| match shown.align {
                Align::Left => longest_word(text),
                Align::Right => text.chars().count(),
            };
            let widest = cells.map(whole).max().unwrap_or(0).max(longest_word(&shown.heading()));
            let with_padding = u16::try_from(widest + 2).unwrap_or(TEXT_WIDTH);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(with_padding)));
        }
    }
    grid.to_string()
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0)
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
