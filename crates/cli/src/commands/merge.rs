//! `seqbench merge`: one results folder from several of the same experiment, in whatever order they come.

use crate::arguments::Merge;
use crate::commands::run::{cells_of, write_report};
use crate::failure::{Failure, Outcome};
use crate::stored::Stored;
use crate::survey::{Survey, Wish, cells};
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::plan::Experiment;
use seqbench_record::{Contradiction, Store, merge};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Merges, writes tables and figures, and says what is missing.
pub(crate) fn run(arguments: &Merge, registry: &Registry) -> Outcome {
    let mut sources: Vec<(PathBuf, Experiment)> = Vec::new();
    let output = arguments.output.as_path();
    // What is there already takes part, so that shards may be merged as they end.
    let earlier = Some(output).filter(|output| output.join("cells").is_dir()).map(Path::to_owned);
    for folder in arguments.results.iter().cloned().chain(earlier) {
        match Stored::read(&folder)? {
            Some(stored) => sources.push((folder, stored.plan(&[], registry)?)),
            None => terminal::note(&format!("warning: nothing has run in {}", folder.display())),
        }
    }
    // The same one in any order of the arguments.
    sources.sort_by(|a, b| a.1.text.cmp(&b.1.text).then_with(|| a.0.cmp(&b.0)));
    sources.dedup_by(|a, b| a.0 == b.0);
    let Some((first, experiment)) = sources.first() else {
        return Err(Failure::usage(
            "error: there are no results in these folders\nhelp: run the experiment first",
        ));
    };
    for (folder, other) in &sources[1..] {
        same_plan(first, experiment, folder, other)?;
    }
    let stores: Vec<Store> = sources.iter().map(|(folder, _)| Store::open(folder)).collect();
    let merged = merge(&stores).context("cannot read the results")?;
    for damage in &merged.damaged {
        terminal::note(&format!("warning: {damage}"));
    }
    if !merged.contradictions.is_empty() {
        return Err(Failure::Contradiction(refusal(&merged.contradictions)));
    }
    let store = Store::open(output);
    let write = || -> seqbench_record::Result<()> {
        store.sweep_temporaries()?;
        store.write_experiment(&experiment.text)?;
        for files in &merged.cells {
            // Compared as text: rows may hold NaN, which equals nothing.
            let stands = matches!(store.read(&files.cell.id), Ok(Some(own)) if format!("{own:?}") == format!("{files:?}"));
            if !stands {
                store.write(files)?;
            }
        }
        Ok(())
    };
    write().with_context(|| format!("cannot keep results in {}", output.display()))?;
    let written = cells_of(experiment, &store)?;
    write_report(&written, output)?;
    let survey = Survey::of(experiment, &store, Wish::default())?;
    let wanting = survey.wanting().count();
    let repeated = match merged.repeated {
        0 => String::new(),
        repeated => format!(", {} in more than one folder", cells(repeated)),
    };
    terminal::print(&format!(
        "{} of {} in {}{repeated}",
        survey.entries.len() - wanting,
        cells(survey.entries.len()),
        output.display()
    ));
    if wanting > 0 {
        terminal::note(&format!(
            "{} missing or failed; `status --missing {}` names them",
            cells(wanting),
            output.display()
        ));
        return Err(Failure::Incomplete);
    }
    Ok(())
}

/// Refuses folders of different experiments.
fn same_plan(first: &Path, experiment: &Experiment, folder: &Path, other: &Experiment) -> Outcome {
    let ids = |plan: &Experiment| plan.cells().map(|cell| cell.id.clone()).collect::<BTreeSet<_>>();
    let (own, theirs) = (ids(experiment), ids(other));
    if own == theirs {
        return Ok(());
    }
    Err(Failure::Contradiction(format!(
        "error: {} and {} hold different experiments: {} and {}, of which {} are the same\n\
         help: merge folders that were run with the same configuration and program",
        first.display(),
        folder.display(),
        cells(own.len()),
        cells(theirs.len()),
        own.intersection(&theirs).count()
    )))
}

fn refusal(contradictions: &[Contradiction]) -> String {
    const MOST: usize = 10;
    let mut lines: Vec<String> = contradictions
        .iter()
        .take(MOST)
        .map(|Contradiction { id, folders: [a, b], file }| {
            format!("error: {file} of cell {id} differs between {} and {}", a.display(), b.display())
        })
        .collect();
    if contradictions.len() > MOST {
        lines.push(format!("error: and {} more", contradictions.len() - MOST));
    }
    lines.push(
        "help: nothing was written. The same cell must give the same values: look whether `cell.json` names different programs \
         or instruction sets, and remove the one that is wrong"
            .to_owned(),
    );
    lines.join("\n")
}
