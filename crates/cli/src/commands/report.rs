//! `seqbench report`: results as one page that can be handed on.

use crate::arguments::Report;
use crate::claims::built_in;
use crate::commands::claims::read;
use crate::experiments::find_results;
use crate::failure::{Failure, Outcome};
use crate::stored::{Stored, name_of};
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::checkpoint::write_whole;
use seqbench_record::{CellFiles, RealDisk};
use seqbench_report::claims::{Decision, decide};
use seqbench_report::page::{Chapter, Page, html, splice};
use seqbench_report::published::{BUILT_IN, parse};
use seqbench_report::summary::summarise;
use seqbench_report::table::{Format, Table, claims_table, published_table};
use std::path::{Path, PathBuf};

/// One results folder with what it is of.
struct Results {
    name: String,
    folder: PathBuf,
    cells: Vec<CellFiles>,
    toml: Option<String>,
    question: String,
    expectation: String,
}

/// Writes the page, and what it says of claims and published numbers into a document where that was asked for.
pub(crate) fn run(arguments: &Report, registry: &Registry) -> Outcome {
    let results = arguments
        .results
        .iter()
        .map(|argument| one(&find_results(argument)?, registry))
        .collect::<Result<Vec<_>, Failure>>()?;
    let decisions = decisions(&results)?;
    let published = published(&results)?;
    fn chapter(own: &Results) -> Chapter<'_> {
        let Results { name, folder, cells, toml, question, expectation } = own;
        Chapter {
            name: name.clone(),
            question: question.clone(),
            expectation: expectation.clone(),
            folder: folder.display().to_string(),
            cells,
            experiment_toml: toml.clone(),
        }
    }
    let chapters = results.iter().map(chapter).collect();
    let title = match &results[..] {
        [only] => format!("seqbench: {}", only.name),
        several => format!("seqbench: {} experiments", several.len()),
    };
    let page = Page {
        title,
        chapters,
        decisions: decisions.clone(),
        published: published.iter().cloned().collect(),
        methods: Vec::new(),
    };
    let text = html(&page);
    write_whole(&RealDisk, &arguments.output, text.as_bytes())
        .with_context(|| format!("cannot write {}", arguments.output.display()))?;
    if let Some(document) = &arguments.splice {
        spliced(document, &decisions, published.as_ref())?;
    }
    terminal::print(&arguments.output.display().to_string());
    if arguments.open {
        open::that(&arguments.output).context("no program here opens a page")?;
    }
    Ok(())
}

fn one(folder: &Path, registry: &Registry) -> Result<Results, Failure> {
    let cells = read(folder, registry)?;
    if cells.is_empty() {
        return Err(Failure::usage(format!(
            "error: there is no finished cell in {}\nhelp: run the experiment first",
            folder.display()
        )));
    }
    let stored = Stored::read(folder)?;
    let plan = stored.as_ref().map(|stored| stored.plan(&[], registry)).transpose()?;
    let (question, expectation) =
        plan.map_or_else(Default::default, |plan| (plan.question, plan.expectation));
    let name = cells.first().map_or_else(|| name_of(folder), |files| files.cell.experiment.clone());
    Ok(Results {
        name,
        folder: folder.to_owned(),
        cells,
        toml: stored.map(|stored| stored.source.text),
        question,
        expectation,
    })
}

/// The built-in claims that these results decide, corrected over all built-in ones.
fn decisions(results: &[Results]) -> Result<Vec<Decision>, Failure> {
    let of = |experiment: &str| results.iter().find(|own| own.name == experiment);
    let cells = |experiment: &str| of(experiment).map_or_else(Vec::new, |own| own.cells.clone());
    let mut decisions = decide(&built_in()?, &cells);
    decisions.retain(|decision| of(&decision.experiment).is_some());
    Ok(decisions)
}

/// Published numbers beside these results, where any stands beside one.
fn published(results: &[Results]) -> Result<Option<Table>, Failure> {
    let published =
        parse("published.toml (built in)", BUILT_IN).map_err(|error| Failure::usage(error.to_string()))?;
    let cells: Vec<CellFiles> = results.iter().flat_map(|own| own.cells.iter().cloned()).collect();
    let mut table = published_table(&published, &summarise(&cells));
    let measured = table.columns.iter().position(|column| column.name == "reproduced");
    if let Some(place) = measured {
        table.rows.retain(|row| row[place].text != "not tried");
    }
    Ok((!table.rows.is_empty()).then_some(table))
}

/// Puts the Markdown of claims and published numbers between those of their markers that a document has.
fn spliced(document: &Path, decisions: &[Decision], published: Option<&Table>) -> Result<(), Failure> {
    let path = document.display();
    let old = std::fs::read_to_string(document).with_context(|| format!("cannot read {path}"))?;
    let mut claims = claims_table(decisions);
    // What each rests on stands on the page; the last note says what the columns are.
    claims.notes = claims.notes.split_off(claims.notes.len().saturating_sub(1));
    let sections =
        [("claims", Some(claims).filter(|table| !table.rows.is_empty())), ("published", published.cloned())];
    let (mut new, mut found) = (old.clone(), false);
    for (name, table) in sections {
        if !old.contains(&format!("<!-- {name}: begin -->")) {
            continue;
        }
        found = true;
        let text = table.map_or_else(String::new, |table| table.render(Format::Md));
        new = splice(&new, name, &text).map_err(|error| Failure::usage(format!("error: {path}: {error}")))?;
    }
    if !found {
        return Err(Failure::usage(format!(
            "error: {path} has no place for results\n\
             help: put `<!-- claims: begin -->` and `<!-- claims: end -->` into it, or the same of `published`, each on a line of its own"
        )));
    }
    if new != old {
        write_whole(&RealDisk, document, new.as_bytes()).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
