//! The claims that come with the program, so that an installed binary decides them, and those of a person's own.

use crate::failure::Failure;
use crate::stored::name_of;
use anyhow::Context;
use seqbench_core::config::nearest;
use seqbench_report::claims::{Claim, hopeless};
use std::collections::BTreeMap;
use std::path::Path;

/// (name, text) of every claim in `experiments/claims/`, in the order of the lecture.
pub(crate) const EMBEDDED: &[(&str, &str)] = embedded!["experiments/claims":
    "rnn-gradients-vanish",
    "rnn-gradients-explode",
    "clipping-cures-explosion",
    "clipping-cures-no-vanishing",
    "lstm-keeps-gradients-longer",
    "lstm-keeps-gradients-longer-orthogonal",
    "lstm-forget-bias-keeps-gradients",
    "lstm-outreaches-rnn-recall",
    "lstm-outreaches-rnn-adding",
    "lstm-fails-far-back",
    "rnn-works-at-any-length-parity",
    "rnn-works-at-any-length-cycle",
    "parameters-stay",
    "recurrent-state-stays",
    "attention-state-grows",
    "attention-trains-superlinearly",
    "rnn-trains-linearly",
    "lstm-trains-linearly",
    "mamba-trains-linearly",
    "attention-decodes-slower-with-context",
    "lstm-decodes-at-one-cost",
    "attention-recalls-where-fixed-state-fails",
    "time-invariant-ssm-cannot-select",
    "ssm-outreaches-rnn-copying",
    "ssm-outreaches-lstm-copying"
];

/// All built-in claims.
pub(crate) fn built_in() -> Result<Vec<Claim>, Failure> {
    EMBEDDED.iter().map(|(name, text)| parse(name, &format!("{name}.toml (built in)"), text)).collect()
}

/// Name and hash of those claims that an experiment decides.
pub(crate) fn hashes(claims: &[Claim], experiment: &str) -> BTreeMap<String, String> {
    let own = claims.iter().filter(|claim| stem(&claim.experiment) == experiment);
    own.map(|claim| (claim.name.clone(), claim.hash())).collect()
}

/// The name of an experiment that may be given by its file.
pub(crate) fn stem(experiment: &str) -> String {
    experiment.strip_suffix(".toml").map_or_else(|| experiment.to_owned(), |path| name_of(Path::new(path)))
}

/// Which claims to decide together, and the names of those to show: files are a family of their own; built-in claims are
/// one family, whichever are asked for.
///
/// # Errors
/// There is no such claim, a file is none, or a test could not reach its threshold.
pub(crate) fn family(asked: &[String]) -> Result<(Vec<Claim>, Vec<String>), Failure> {
    let is_file = |argument: &&String| Path::new(argument.as_str()).is_file();
    let files: Vec<&String> = asked.iter().filter(is_file).collect();
    if !files.is_empty() && files.len() < asked.len() {
        return Err(Failure::usage(
            "error: files of claims and built-in claims are different families\nhelp: decide them in two commands",
        ));
    }
    let claims = match files.is_empty() {
        true => built_in()?,
        false => files.into_iter().map(|path| read(path)).collect::<Result<_, _>>()?,
    };
    if let Some(refused) = hopeless(&claims).first() {
        return Err(Failure::usage(format!(
            "error: {refused}\nhelp: give it more seeds, or decide fewer claims together"
        )));
    }
    let mut shown: Vec<String> = Vec::new();
    for claim in &claims {
        if shown.contains(&claim.name) {
            return Err(Failure::usage(format!("error: two claims are called `{}`", claim.name)));
        }
        shown.push(claim.name.clone());
    }
    let named: Vec<&String> = asked.iter().filter(|argument| !is_file(argument)).collect();
    for name in &named {
        if !shown.contains(name) {
            let near = nearest(name, shown.iter().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(Failure::usage(format!(
                "error: no file and no built-in claim is called `{name}`\nhelp: the built-in ones are {}{hint}",
                shown.join(", ")
            )));
        }
    }
    if !named.is_empty() {
        shown.retain(|name| named.contains(&name));
    }
    Ok((claims, shown))
}

/// A claim of one's own from its file.
pub(crate) fn read(path: &str) -> Result<Claim, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    parse(&stem.unwrap_or_default(), path, &text)
}

fn parse(name: &str, path: &str, text: &str) -> Result<Claim, Failure> {
    Claim::parse(name, path, text).map_err(|error| Failure::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments;

    #[test]
    fn every_claim_is_built_in_reads_and_can_be_decided() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/claims");
        let mut on_disk: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        on_disk.sort();
        let (claims, shown) = family(&[]).unwrap();
        let mut names: Vec<String> = shown.clone();
        names.sort();
        assert_eq!(names, on_disk);
        for claim in &claims {
            assert!(
                experiments::EMBEDDED.iter().any(|(name, _)| *name == claim.experiment),
                "{}",
                claim.name
            );
            assert_eq!(hashes(&claims, &claim.experiment)[&claim.name], claim.hash());
        }
        let Err(Failure::Usage(said)) = family(&[format!("{}x", shown[0])]) else { panic!("found") };
        assert!(said.contains(&format!("did you mean `{}`?", shown[0])), "{said}");
    }
}
