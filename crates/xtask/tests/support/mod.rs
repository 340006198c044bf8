//! Reading the repository, and reading Rust: code apart from comments and literals.

// Every test program uses a part of this module.
#![allow(dead_code)]

pub(crate) mod scan;

use std::fs;
use std::path::{Path, PathBuf};

/// A file, named by its path from the root of the repository with `/` between its parts.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Document { path: path.into(), text: text.into() }
    }

    /// The crate of `crates/<name>/src/…`.
    pub(crate) fn crate_of_source(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        rest.starts_with("src/").then_some(name)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Paths of all files, without what git ignores by the root's `.gitignore` and without git's own; sorted.
pub(crate) fn paths() -> Vec<String> {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let mut skipped: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('/')).collect();
    skipped.push(".git");
    let mut found = Vec::new();
    walk(&root(), "", &skipped, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, prefix: &str, skipped: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if skipped.contains(&path.as_str()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{path}/"), skipped, found);
        } else {
            found.push(path);
        }
    }
}

/// The text of a file that must exist.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files that hold text and satisfy a condition on their path.
pub(crate) fn documents(wanted: impl Fn(&str) -> bool) -> Vec<Document> {
    let text = |path: String| {
        let bytes = fs::read(root().join(&path)).ok()?;
        Some(Document { text: String::from_utf8(bytes).ok()?, path })
    };
    paths().into_iter().filter(|path| wanted(path)).filter_map(text).collect()
}

/// All Rust sources.
pub(crate) fn sources() -> Vec<Document> {
    documents(|path| path.ends_with(".rs"))
}

/// Fails with every fault on a line of its own.
#[track_caller]
pub(crate) fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
