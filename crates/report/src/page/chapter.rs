//! One experiment: what it asks, its figures, its tables, its file.

use super::{Told, figure, places::Places, tables};
use crate::plot::figures;
use crate::table::summary_tables;
use maud::{Markup, html};

pub(super) fn section(told: &Told<'_>, places: &Places<'_>) -> Markup {
    let Told { chapter, summary, anchor } = told;
    let (figures, tables) = (figures(chapter.cells), summary_tables(summary));
    html! {
        section id=(anchor) aria-labelledby={ (anchor) "-name" } {
            h2 id={ (anchor) "-name" } { (chapter.name) }
            @if !chapter.question.is_empty() { p class="question" { (chapter.question) } }
            @if !chapter.expectation.is_empty() {
                p { b { "Expected before it ran: " } (chapter.expectation) }
            }
            p class="small" {
                (chapter.cells.len()) " cells in " code { (chapter.folder) } "; "
                a href={ "#" (anchor) "-rows" } { "all of them" } "."
            }
            @if chapter.cells.is_empty() { p { "No cell has run." } }
            @if !figures.is_empty() {
                h3 id={ (anchor) "-figures" } { "Figures" }
                @for (place, own) in figures.iter().enumerate() {
                    (figure::figure(own, &format!("{anchor}-f{}", place + 1)))
                }
            }
            @if !tables.is_empty() {
                h3 id={ (anchor) "-tables" } { "Tables" }
                @for own in &tables {
                    (tables::table(own, &format!("{anchor}-{}", own.name), Some(places)))
                }
            }
            @if let Some(toml) = &chapter.experiment_toml {
                details class="file" {
                    summary { "The experiment's file" }
                    pre tabindex="0" { code { (toml) } }
                }
            }
        }
    }
}
