//! The experiments that come with the program, so that an installed binary runs `seqbench run quick`, and where a name
//! or path on the command line leads.

use crate::failure::Failure;
use anyhow::Context;
use seqbench_core::config::nearest;
use std::path::{Path, PathBuf};

/// Name and text of an experiment.
pub(crate) struct Source {
    /// Name: the stem of its file.
    pub(crate) name: String,
    /// What errors call it.
    pub(crate) path: String,
    /// The TOML.
    pub(crate) text: String,
}

/// (name, text) of every experiment in `experiments/`, in the order in which to meet them.
pub(crate) const EMBEDDED: &[(&str, &str)] = embedded!["experiments":
    "quick",
    "delayed-recall-vs-lag",
    "delayed-recall-far",
    "copying-vs-lag",
    "adding-vs-length",
    "recall-vs-pairs",
    "selective-copying",
    "induction-extrapolation",
    "formal-languages",
    "word-problems",
    "digits",
    "text",
    "initialisation",
    "negative-control",
    "gradients-vs-distance",
    "recurrent-gain",
    "gradient-spectral-radius",
    "gradient-linear-limit",
    "gradient-forget-bias",
    "gradient-ssm-radius",
    "gradient-attention",
    "gradient-residual-vs-plain",
    "gradient-clipping",
    "gradient-through-training",
    "throughput-vs-length",
    "throughput-large",
    "efficiency-full",
    "quick-tuning",
    "yardstick",
    "smoke"
];

/// The built-in experiment that describes the models other frameworks are compared on.
pub(crate) fn yardstick() -> (&'static str, &'static str) {
    let text = EMBEDDED.iter().find(|(name, _)| *name == "yardstick").map_or("", |(_, text)| text);
    ("yardstick.toml (built in)", text)
}

/// Finds an experiment: a file if there is one of that path, else a built-in one of that name.
pub(crate) fn find(argument: &str) -> Result<Source, Failure> {
    let path = Path::new(argument);
    if path.is_file() {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {argument}"))?;
        let name =
            path.file_stem().map_or_else(|| argument.to_owned(), |stem| stem.to_string_lossy().into_owned());
        return Ok(Source { name, path: argument.to_owned(), text });
    }
    if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == argument) {
        return Ok(Source {
            name: (*name).to_owned(),
            path: format!("{name}.toml (built in)"),
            text: (*text).to_owned(),
        });
    }
    let names = || EMBEDDED.iter().map(|(name, _)| *name);
    let mut message = format!("error: no file and no built-in experiment is called `{argument}`");
    message.push_str(&format!("\nhelp: the built-in ones are {}", names().collect::<Vec<_>>().join(", ")));
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(near) = nearest(&stem, names()) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    Err(Failure::Usage(message))
}

/// Finds a results folder: a folder of that path, or `runs/<name>`, or `results/<name>`'s only machine.
pub(crate) fn find_results(argument: &str) -> Result<PathBuf, Failure> {
    let is_results = |path: &Path| path.join("cells").is_dir();
    let direct = PathBuf::from(argument);
    if is_results(&direct) {
        return Ok(direct);
    }
    let run = Path::new("runs").join(argument);
    if is_results(&run) {
        return Ok(run);
    }
    Err(Failure::usage(format!(
        "error: no results in `{argument}` nor in `{}`\nhelp: results are a folder with `cells` in it, made by `seqbench run`",
        run.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_experiments_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
        let mut on_disk: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            // What papers print; nothing of it is run.
            .filter(|name| name != "published")
            .collect();
        on_disk.sort();
        let mut built_in: Vec<String> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
        built_in.sort();
        assert_eq!(on_disk, built_in);
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let Err(Failure::Usage(message)) = find("quik") else { panic!("found") };
        assert!(message.contains("did you mean `quick`?"), "{message}");
    }
}
