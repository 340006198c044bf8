//! The pages of tasks: what is printed is what is committed, and says what somebody new wants to know.
//!
//! `SEQBENCH_UPDATE=1 cargo test --release -p seqbench --test pages` writes `docs/tasks` anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use seqbench::pages;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use support::{TINY, folder_with, seqbench, succeed};

const INTRODUCTION: &str = "\
# Tasks

One page a task: its definition, a worked example, how it is scored and what guessing reaches. Make an experiment of one \
by its name: `[task]` with `kind = \"parity\"`. `seqbench list parity` prints the same page.

";

const END: &str = "
*Lag* is the distance from the step that is scored back to the evidence it depends on. *Chance* is what a predictor without
memory reaches, with the task's default configuration. [METHODOLOGY.md](../../METHODOLOGY.md) defines every metric;
[CONTRIBUTING.md](../../CONTRIBUTING.md) says how to add a task.

These files are made of the headings of `crates/tasks/src/*.rs`: edit those, then
`SEQBENCH_UPDATE=1 cargo test --release -p seqbench --test pages`.
";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tasks")
}

/// Every file of the folder, by its name.
fn generated() -> BTreeMap<String, String> {
    let registry = seqbench::builtin();
    let mut files = BTreeMap::new();
    for entry in registry.tasks() {
        files.insert(format!("{}.md", entry.info().name), pages::task(*entry));
    }
    files.insert("README.md".to_owned(), format!("{INTRODUCTION}{}{END}", pages::index(registry.tasks())));
    files
}

fn committed() -> BTreeMap<String, String> {
    let entries = fs::read_dir(docs()).into_iter().flatten().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_committed_pages_are_what_the_tasks_say() {
    let (wanted, found) = (generated(), committed());
    if std::env::var_os("SEQBENCH_UPDATE").is_some() {
        fs::create_dir_all(docs()).unwrap();
        for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
            fs::remove_file(docs().join(name)).unwrap();
        }
        for (name, text) in &wanted {
            fs::write(docs().join(name), text).unwrap();
        }
        return;
    }
    let names: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let stale: Vec<_> = names.into_iter().filter(|name| wanted.get(*name) != found.get(*name)).collect();
    assert!(
        stale.is_empty(),
        "docs/tasks: {stale:?} differ from the sources; the command at the top of this file rewrites them"
    );
}

#[test]
fn every_page_holds_what_somebody_new_wants_to_know() {
    for entry in seqbench::builtin().tasks() {
        let (info, page) = (entry.info(), pages::task(*entry));
        let name = info.name;
        assert!(!info.documentation.is_empty(), "{name} has no page of its own");
        for title in [
            "What it separates",
            "Definition",
            "Example",
            "Metric",
            "Chance",
            "Lag",
            "Configuration",
            "Source",
        ] {
            assert_eq!(page.matches(&format!("\n## {title}\n\n")).count(), 1, "{name}: {title}\n{page}");
        }
        assert!(page.starts_with(&format!("# {}\n\n`{name}`: ", info.title)), "{page}");
        assert!(page.contains(info.separates) && page.contains(info.citation), "{page}");
        for key in entry.defaults().as_object().unwrap().keys() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            let row = row.unwrap_or_else(|| panic!("{name}: no row of {key}"));
            assert!(row.split(" | ").nth(2).is_some_and(|said| said.len() > 4), "{name}: {row} says nothing");
        }
        assert!(!page.contains("//!") && !page.contains("\n# "), "{page}");
    }
}

#[test]
fn a_name_prints_its_page() {
    let folder = folder_with(TINY);
    let (parity, _) = succeed(folder.path(), &["list", "parity"]);
    assert_eq!(parity, generated()["parity.md"]);
    assert!(parity.contains("`1 0 1 1` → `· · · 1`") && parity.contains("| `length` | `40` |"), "{parity}");
    let (lstm, _) = succeed(folder.path(), &["list", "lstm"]);
    assert!(lstm.starts_with("# LSTM\n\n`lstm`: ") && lstm.contains("## Source"), "{lstm}");
    assert!(lstm.contains("| `forget_bias` |"), "{lstm}");
    let (smoke, _) = succeed(folder.path(), &["list", "smoke"]);
    assert!(smoke.contains("[[model]]"), "{smoke}");
    for (name, kind) in [("parity", "tasks"), ("lstm", "models"), ("smoke", "experiments")] {
        let (json, _) = succeed(folder.path(), &["list", name, "--json"]);
        let object: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object[kind].as_array().unwrap().len(), 1, "{json}");
        assert_eq!(object[kind][0]["name"], name);
        let page = object[kind][0]["text"].as_str().unwrap().trim_end();
        assert_eq!(page, succeed(folder.path(), &["list", name]).0.trim_end());
    }
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    let folder = folder_with(TINY);
    for (typed, meant) in [("partiy", "parity"), ("lsmt", "lstm"), ("tsaks", "tasks"), ("somke", "smoke")] {
        let ended = seqbench(folder.path(), &["list", typed]).assert().code(2).stdout("");
        ended.stderr(contains(format!("`{typed}`")).and(contains(format!("did you mean `{meant}`?"))));
    }
}

#[test]
fn lists_link_every_page() {
    let folder = folder_with(TINY);
    let (json, _) = succeed(folder.path(), &["list", "tasks", "--json"]);
    let (text, _) = succeed(folder.path(), &["list", "tasks"]);
    let object: Value = serde_json::from_str(&json).unwrap();
    let wanted = generated();
    for entry in object["tasks"].as_array().unwrap() {
        let page = entry["page"].as_str().unwrap();
        let file = page.strip_prefix("docs/tasks/").unwrap();
        assert!(wanted.contains_key(file), "{page} is no file");
        assert!(text.contains(&format!("page: {page}\n")), "{text}");
    }
}
