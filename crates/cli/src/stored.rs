//! Experiments as results folders keep them: the text that was run, with what was overridden as comments at its end.

use crate::experiments::Source;
use crate::failure::Failure;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::plan::{self, Experiment};
use seqbench_record::Store;
use std::path::Path;

/// A results folder's experiment.
pub(crate) struct Stored {
    pub(crate) source: Source,
    pub(crate) overrides: Vec<String>,
}

impl Stored {
    /// What a folder holds; nothing where nothing has run there.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join("experiment.toml");
        let store = Store::open(folder);
        let Some(text) = store.experiment().context("cannot read the experiment")? else {
            if folder.join("cells").is_dir() {
                return Err(Failure::usage(format!(
                    "error: {} is missing, so that nothing says which cells belong there\n\
                     help: name the experiment instead of its folder",
                    path.display()
                )));
            }
            return Ok(None);
        };
        let (text, overrides) = without_overrides(&text);
        let name = store.experiment_name().unwrap_or_else(|| name_of(folder));
        Ok(Some(Stored { source: Source { name, path: path.display().to_string(), text }, overrides }))
    }

    /// Its plan, with more overrides.
    pub(crate) fn plan(&self, more: &[String], registry: &Registry) -> Result<Experiment, Failure> {
        let Source { name, path, text } = &self.source;
        let overrides: Vec<String> = self.overrides.iter().chain(more).cloned().collect();
        plan::plan(name, path, text, registry, &overrides).map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// The last part of a folder's path.
pub(crate) fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The text of an experiment without the overrides that a run has appended, and these.
fn without_overrides(text: &str) -> (String, Vec<String>) {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut overrides = Vec::new();
    while let Some(own) = lines.last().and_then(|line| line.strip_prefix("# --set ")) {
        overrides.insert(0, own.to_owned());
        lines.pop();
    }
    (lines.join("\n") + "\n", overrides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_taken_from_the_end_alone() {
        let kept = "a = 1\n# --set b=2\nc = 3\n# --set x.y=[1, 2]\n# --set z=4\n";
        let (text, overrides) = without_overrides(kept);
        assert_eq!(text, "a = 1\n# --set b=2\nc = 3\n");
        assert_eq!(overrides, ["x.y=[1, 2]", "z=4"]);
    }
}
