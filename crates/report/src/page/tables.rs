//! A table as HTML, each row with links to the cells it is made of.

use super::places::{Places, Target};
use crate::table::{Align, Cell, Column, Table};
use maud::{Markup, html};

/// Tables of more rows are folded.
const LONGEST_OPEN: usize = 24;

/// A table under its anchor. Without places its rows lead nowhere.
pub(super) fn table(table: &Table, anchor: &str, places: Option<&Places<'_>>) -> Markup {
    let folded = table.rows.len() > LONGEST_OPEN;
    html! {
        @if folded {
            details class="table" id=(anchor) {
                summary { (table.title) " (" (table.rows.len()) " rows)" }
                (body(table, anchor, places, true))
            }
        } @else {
            div class="table" id=(anchor) { (body(table, anchor, places, false)) }
        }
    }
}

fn body(table: &Table, anchor: &str, places: Option<&Places<'_>>, folded: bool) -> Markup {
    let shown: Vec<(usize, &Column, Option<&str>)> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.shown)
        .map(|(at, column)| (at, column, look(table, at)))
        .collect();
    // Rows whose every entry leads somewhere of its own need no column of links.
    let of_models = table.name == "study";
    let links = places.filter(|_| !of_models);
    let caption = format!("{anchor}-caption");
    html! {
        div class="scroll" role="group" aria-labelledby=(caption) tabindex="0" {
            table {
                caption id=(caption) class=[folded.then_some("unseen")] { span { (table.title) } }
                thead {
                    tr {
                        @for (_, column, look) in &shown {
                            th scope="col" class=[look] { (column.heading()) }
                        }
                        @if links.is_some() { th scope="col" { "cells" } }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (place, (at, column, look)) in shown.iter().enumerate() {
                                @if place == 0 {
                                    th scope="row" class=[look] { (row[*at].text) }
                                } @else {
                                    td class=[look] {
                                        @match entry(table, row, column, places.filter(|_| of_models)) {
                                            Some(target) => a href={ "#" (target.anchor) } { (row[*at].text) },
                                            None => (row[*at].text),
                                        }
                                    }
                                }
                            }
                            @if let Some(places) = links {
                                td { (cells(&places.targets(table, row))) }
                            }
                        }
                    }
                }
            }
        }
        @if !table.notes.is_empty() {
            ul class="notes" { @for note in &table.notes { li { (note) } } }
        }
    }
}

/// In the study a column is a model's.
fn entry(table: &Table, row: &[Cell], column: &Column, places: Option<&Places<'_>>) -> Option<Target> {
    places?.entry(table, row, &column.name)
}

/// Links to cells, with their number: one for each model of the row.
fn cells(targets: &[Target]) -> Markup {
    html! {
        @for (place, target) in targets.iter().enumerate() {
            @if place > 0 { " " }
            a href={ "#" (target.anchor) } {
                (target.cells)
                span class="unseen" {
                    @if target.cells == 1 { " cell of " } @else { " cells of " }
                    (target.model)
                }
            }
        }
        @if targets.is_empty() { "–" }
    }
}

/// Letters from which a column keeps room for some words side by side, however narrow the screen.
const LONG: usize = 24;

/// How a column stands: numbers to the right on one line, long words with room.
fn look(table: &Table, at: usize) -> Option<&'static str> {
    let long = || table.rows.iter().any(|row| row[at].text.chars().count() > LONG);
    match table.columns[at].align {
        Align::Right => Some("number"),
        Align::Left => long().then_some("long"),
    }
}
