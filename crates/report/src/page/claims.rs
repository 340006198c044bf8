//! Claims with what was decided of them: the verdict in word and sign, the numbers, every seed, and the cells they came from.

use super::{Told, places::Places, strip};
use crate::claims::{Decision, Outcome, Side};
use crate::table::{Value, short};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Anchors of cells by identity, each with its experiment: one cell may stand in several chapters.
type Cells<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str)>>;

pub(super) fn section(decisions: &[Decision], told: &[Told<'_>], places: &[Places<'_>]) -> Markup {
    let mut cells = Cells::new();
    for place in places.iter().flat_map(Places::all) {
        let cell = &place.files.cell;
        cells.entry(&cell.id).or_default().push((&cell.experiment, &place.anchor));
    }
    html! {
        @if !decisions.is_empty() {
            section id="claims" aria-labelledby="claims-name" {
                h2 id="claims-name" { "Claims" }
                (overview(decisions))
                @if decisions.iter().any(|own| own.adjusted.is_some()) {
                    p class="small" {
                        "p is adjusted over all claims of the family, on this page or not; one whose runs are missing counts as 1."
                    }
                }
                @for (place, decision) in decisions.iter().enumerate() {
                    (claim(decision, &anchor(place), told, &cells))
                }
            }
        }
    }
}

fn anchor(place: usize) -> String {
    format!("claim-{}", place + 1)
}

fn overview(decisions: &[Decision]) -> Markup {
    html! {
        div class="scroll" role="group" aria-labelledby="claims-caption" tabindex="0" {
            table class="verdicts" {
                caption id="claims-caption" { "What the evidence says" }
                thead {
                    tr { @for name in ["claim", "outcome", "effect", "adjusted p"] { th scope="col" { (name) } } }
                }
                tbody {
                    @for (place, own) in decisions.iter().enumerate() {
                        tr {
                            th scope="row" { a href={ "#" (anchor(place)) } { (own.claim) } }
                            td { (verdict(own.outcome)) }
                            td { (effect(own)) }
                            td class="number" { (number(own.adjusted)) }
                        }
                    }
                }
            }
        }
    }
}

fn claim(own: &Decision, anchor: &str, told: &[Told<'_>], cells: &Cells<'_>) -> Markup {
    let chapter = told.iter().find(|told| told.chapter.name == own.experiment);
    html! {
        article class="claim" id=(anchor) aria-labelledby={ (anchor) "-name" } {
            h3 id={ (anchor) "-name" } { (own.claim) }
            p { (verdict(own.outcome)) " " span class="small" { (own.name) } }
            @if let Some(drawing) = strip::strip(own, anchor) { (drawing) }
            dl {
                @if !own.source.is_empty() { dt { "source" } dd { (linked(&own.source)) } }
                dt { "test" } dd { (own.test) }
                @if !own.experiment.is_empty() { dt { "experiment" } dd { @match chapter { Some(told) => a href={ "#" (told.anchor) } { (own.experiment) }, None => (own.experiment) } } }
                @if own.effect.is_some() { dt { "effect" } dd { (effect(own)) } }
                @if own.margin > 0.0 { dt { "margin" } dd { (strip::plain(own.margin)) (unit(own)) } }
                @if own.p.is_some() {
                    dt { "p" }
                    dd { (number(own.p)) "; adjusted " (number(own.adjusted)) "; threshold " (plain_share(1.0 - own.confidence)) }
                    dt { "seeds" }
                    dd {
                        (seeds(own))
                        @if let Some(needed) = own.seeds_needed { "; about " (needed) " a side would decide it" }
                    }
                }
            }
            @if !own.notes.is_empty() { ul class="notes" { @for note in &own.notes { li { (note) } } } }
            @if own.sides.iter().any(|side| !side.values.is_empty()) {
                details {
                    summary { "Every seed and its cell" }
                    @for (place, side) in own.sides.iter().enumerate() {
                        (values(side, &format!("{anchor}-side-{}", place + 1), &own.experiment, cells))
                    }
                }
            }
        }
    }
}

fn values(side: &Side, anchor: &str, experiment: &str, cells: &Cells<'_>) -> Markup {
    html! {
        div class="scroll" role="group" aria-labelledby=(anchor) tabindex="0" {
            table {
                caption id=(anchor) { (side.name) }
                thead { tr { @for name in ["seed", "value", "cell"] { th scope="col" { (name) } } } }
                tbody {
                    @for (place, own) in side.values.iter().enumerate() {
                        tr {
                            th scope="row" class="number" { (own.seed) }
                            td class="number" { (Value::Number(own.value).plain()) }
                            td { (cell(side.cells.get(place), experiment, cells)) }
                        }
                    }
                }
            }
        }
    }
}

/// A link to a cell, in the claim's own experiment where it stands there.
fn cell(id: Option<&String>, experiment: &str, cells: &Cells<'_>) -> Markup {
    let Some(id) = id else { return html! { "–" } };
    let found = cells.get(id.as_str());
    let own = found.and_then(|found| found.iter().find(|(name, _)| *name == experiment).or(found.first()));
    html! {
        @match own {
            Some((_, anchor)) => a href={ "#" (anchor) } { code { (id) } },
            None => { code { (id) } " (not on this page)" },
        }
    }
}

/// Told by word and sign; colour repeats it.
fn verdict(outcome: Outcome) -> Markup {
    let (class, sign, word) = match outcome {
        Outcome::Supported => ("supported", "✓", "supported"),
        Outcome::Refuted => ("refuted", "✗", "refuted"),
        Outcome::Inconclusive => ("inconclusive", "≈", "inconclusive"),
        Outcome::Open => ("open", "…", "open: cells are missing"),
    };
    html! { strong class={ "verdict " (class) } { span aria-hidden="true" { (sign) " " } (word) } }
}

fn effect(own: &Decision) -> String {
    let Some(effect) = own.effect else { return "–".into() };
    let interval = own.interval.map(|ends| {
        format!(
            " [{}, {}] ({}\u{a0}%)",
            short(ends.low),
            short(ends.high),
            plain_share(100.0 * own.confidence)
        )
    });
    format!("{}{}{}", short(effect), unit(own), interval.unwrap_or_default())
}

fn unit(own: &Decision) -> String {
    if own.unit.is_empty() { String::new() } else { format!(" {}", own.unit) }
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".into(), short)
}

/// Without the digits that subtraction from one leaves behind.
fn plain_share(share: f64) -> String {
    Value::Number((share * 1e6).round() / 1e6).plain()
}

fn seeds(own: &Decision) -> String {
    let counts: Vec<String> = own.sides.iter().map(|side| side.values.len().to_string()).collect();
    if counts.is_empty() { "–".into() } else { counts.join(" against ") }
}

/// Text with its addresses as links.
fn linked(text: &str) -> Markup {
    html! {
        @for (place, word) in text.split(' ').enumerate() {
            @if place > 0 { " " }
            @let address = word.trim_end_matches(['.', ',', ';', ')', ']']);
            @if address.starts_with("https://") || address.starts_with("http://") {
                a href=(address) rel="noreferrer" { (address) }
                (word[address.len()..])
            } @else { (word) }
        }
    }
}
