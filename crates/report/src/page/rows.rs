//! Every cell of the page: where its files are, how it ended, its main score with all digits and its facts.

use super::Told;
use super::places::{Block, Group, Place, Places};
use crate::statistics::median;
use crate::summary::{Summary, metric_name, spelled, trial_rate, trial_score};
use crate::table::Value;
use maud::{Markup, html};
use seqbench_record::{CellFiles, Purpose, Status};
use std::collections::BTreeMap;

pub(super) fn section(told: &[Told<'_>], places: &[Places<'_>]) -> Markup {
    html! {
        section id="rows" class="rows" aria-labelledby="rows-name" {
            h2 id="rows-name" { "Rows" }
            p {
                "The cells behind every number: one model, one task, one setting and one seed each. A cell's folder holds "
                code { "cell.json" } " with its whole configuration, and a CSV for each kind of fact. Of packed results, "
                code { "cells/packed/" } " holds the same under the cell's identity."
            }
            @for (told, places) in told.iter().zip(places) {
                h3 id={ (told.anchor) "-rows" } { (told.chapter.name) }
                @for block in &places.blocks { (model(told, block)) }
                @if places.blocks.is_empty() { p { "None." } }
            }
        }
    }
}

fn model(told: &Told<'_>, block: &Block<'_>) -> Markup {
    let name = [block.model.as_str(), block.task.as_str()].into_iter().filter(|word| !word.is_empty());
    let folder = told.chapter.folder.trim_end_matches('/');
    html! {
        div id=(block.anchor) {
            h4 { (name.collect::<Vec<_>>().join(" on ")) }
            @for group in &block.groups { (setting(&told.summary, group, folder)) }
            @if !block.timings.is_empty() { (timings(block, folder)) }
        }
    }
}

fn setting(summary: &Summary, group: &Group<'_>, folder: &str) -> Markup {
    let name = group.setting.coordinates_text();
    let count = |purpose: Purpose| group.rows.iter().filter(|own| own.files.cell.purpose == purpose).count();
    let (finals, trials) = (count(Purpose::Final), count(Purpose::Trial));
    let name = if name.is_empty() { "as stated".to_string() } else { name };
    let common = common(&group.rows);
    html! {
        details id=(group.anchor) {
            summary {
                (name) ": "
                @if finals > 0 { (finals) " reported" }
                @if finals > 0 && trials > 0 { ", " }
                @if trials > 0 { (trials) " trials" }
            }
            (facts_line(&common))
            (table(&format!("{} {}", group.setting.model, name), folder, &group.rows, &["purpose", "seed"], &common, |place| {
                let files = place.files;
                let purpose = if files.cell.purpose == Purpose::Final { "reported" } else { "trial" };
                let purpose = match (files.cell.purpose, trial_rate(files)) {
                    (Purpose::Trial, Some(rate)) => format!("{purpose} of rate {}", plain(rate)),
                    _ => purpose.to_string(),
                };
                (vec![purpose, files.cell.labels.seed.to_string()], score(summary, group, files))
            }))
        }
    }
}

fn timings(block: &Block<'_>, folder: &str) -> Markup {
    let common = common(&block.timings);
    html! {
        details id={ (block.anchor) "-times" } {
            summary { "times: " (block.timings.len()) " cells" }
            (facts_line(&common))
            (table(&format!("{}, times", block.model), folder, &block.timings, &["of"], &common, |place| {
                let own = place.files.cell.labels.coordinates.iter();
                let words: Vec<String> = own.map(|own| format!("{}={}", own.key, spelled(&own.value))).collect();
                let ns: Vec<f64> =
                    place.files.timings.iter().filter(|row| row.err.is_empty()).map(|row| row.ns as f64).collect();
                // Of several lengths in one cell a median would be of none.
                let one = place.files.timings.windows(2).all(|pair| {
                    (&pair[0].mode, pair[0].length, pair[0].batch) == (&pair[1].mode, pair[1].length, pair[1].batch)
                });
                let score = median(&ns).filter(|_| one).map(|ns| format!("median {} ns", plain(ns)));
                (vec![words.join(" ")], score)
            }))
        }
    }
}

fn table(
    name: &str,
    folder: &str,
    rows: &[Place<'_>],
    headings: &[&str],
    common: &BTreeMap<&str, f64>,
    told: impl Fn(&Place<'_>) -> (Vec<String>, Option<String>),
) -> Markup {
    html! {
        div class="scroll" role="group" aria-label={ "Cells of " (name) } tabindex="0" {
            table {
                caption class="unseen" { "Cells of " (name) }
                thead {
                    tr {
                        th scope="col" { "files" }
                        @for heading in headings { th scope="col" { (heading) } }
                        @for heading in ["ended", "score", "other facts"] { th scope="col" { (heading) } }
                    }
                }
                tbody {
                    @for place in rows {
                        @let (words, score) = told(place);
                        tr id=(place.anchor) {
                            th scope="row" { code { (folder) "/cells/" (place.files.cell.id) "/" } }
                            @for word in &words { td { (word) } }
                            td { (ended(place.files)) }
                            td { (score.unwrap_or_else(|| "–".into())) }
                            td { (facts(place.files, common)) }
                        }
                    }
                }
            }
        }
    }
}

fn ended(files: &CellFiles) -> String {
    let word = match files.cell.status {
        Status::Done => "done",
        Status::Diverged => "diverged",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
    };
    match &files.cell.reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_string(),
    }
}

/// What tables and figures take of a cell, with all digits.
fn score(summary: &Summary, group: &Group<'_>, files: &CellFiles) -> Option<String> {
    let (metric, value) = match files.cell.purpose {
        Purpose::Trial => {
            let selection = summary.selections.iter().find(|own| own.setting == group.setting)?;
            (&selection.metric, trial_score(files, &selection.metric)?)
        }
        _ => {
            let own = summary.accuracy.iter().find(|own| own.setting == group.setting)?;
            let mut values = own.value.values.iter();
            (&own.metric, values.find(|value| value.seed == files.cell.labels.seed)?.value)
        }
    };
    // A run that diverged has a seed and no value.
    (files.cell.status == Status::Done).then(|| format!("{} {}", metric_name(metric), plain(value)))
}

/// Facts that all cells have alike, said once above them.
fn common<'a>(rows: &[Place<'a>]) -> BTreeMap<&'a str, f64> {
    let Some(first) = rows.first() else { return BTreeMap::new() };
    let facts = first.files.cell.facts.iter();
    let alike = facts.filter(|(name, value)| {
        rows.len() > 1 && rows.iter().all(|own| own.files.cell.facts.get(*name) == Some(value))
    });
    alike.map(|(name, value)| (name.as_str(), *value)).collect()
}

fn facts_line(common: &BTreeMap<&str, f64>) -> Markup {
    let words: Vec<String> = common.iter().map(|(name, value)| format!("{name} {}", plain(*value))).collect();
    html! {
        @if !words.is_empty() { p class="small" { "Of every cell: " (words.join(", ")) "." } }
    }
}

fn facts(files: &CellFiles, common: &BTreeMap<&str, f64>) -> String {
    let own = files.cell.facts.iter().filter(|(name, _)| !common.contains_key(name.as_str()));
    let words: Vec<String> = own.map(|(name, value)| format!("{name} {}", plain(*value))).collect();
    if words.is_empty() { "–".into() } else { words.join(", ") }
}

fn plain(value: f64) -> String {
    Value::Number(value).plain()
}
