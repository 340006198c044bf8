//! `seqbench clean`: removes what is no result.

use crate::arguments::Clean;
use crate::failure::{Failure, Outcome};
use crate::stored::Stored;
use crate::survey::{State, Survey, Wish, cells};
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_record::Store;

/// Removes remains of killed runs, and what is asked for beside them.
pub(crate) fn run(arguments: &Clean, registry: &Registry) -> Outcome {
    for folder in &arguments.results {
        let Some(stored) = Stored::read(folder)? else {
            return Err(Failure::usage(format!("error: there are no results in {}", folder.display())));
        };
        let experiment = stored.plan(&[], registry)?;
        let store = Store::open(folder);
        let survey = Survey::of(&experiment, &store, Wish::default())?;
        let failed = survey.entries.iter().filter(|entry| entry.state == State::Failed);
        let failed: Vec<String> = failed.map(|entry| entry.cell.id.clone()).collect();
        let mut gone: Vec<(&str, Vec<String>)> = Vec::new();
        if arguments.stale {
            gone.push(("stale", survey.stale.clone()));
        }
        if arguments.failed {
            gone.push(("failed", failed));
        }
        let refused = || format!("cannot clean {}", folder.display());
        let verb = if arguments.dry_run { "would remove" } else { "removed" };
        for (kind, ids) in gone {
            if !arguments.dry_run {
                ids.iter().try_for_each(|id| store.delete(id)).with_context(refused)?;
            }
            terminal::print(&format!("{}: {verb} {kind} {}", folder.display(), cells(ids.len())));
        }
        let left = store.remains().with_context(refused)?;
        if !arguments.dry_run {
            store.clear_remains().with_context(refused)?;
        }
        terminal::print(&format!("{}: {verb} {left} remains of killed runs", folder.display()));
    }
    Ok(())
}
