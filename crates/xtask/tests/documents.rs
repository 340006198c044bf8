//! What the repository says to people: experiments that state their question, a README whose commands exist, a change
//! log, and nothing that betrays whose machine it was written on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::scan::{scan, words};
use support::{Document, documents, none, paths, read, root};

const MOST_BYTES: u64 = 2 << 20;

/// Experiments whose leading comment leaves out a question, an expectation, its minutes or its command, or names another
/// file.
fn unexplained(file: &Document) -> Vec<String> {
    let comment: Vec<&str> = file.text.lines().take_while(|line| line.starts_with('#')).collect();
    let mut faults = Vec::new();
    for heading in ["Question", "Expectation", "Minutes", "Command"] {
        let start = format!("# {heading}: ");
        let said = comment.iter().find_map(|line| line.strip_prefix(&start)).unwrap_or("");
        let enough = match heading {
            "Minutes" => said.contains(|c: char| c.is_ascii_digit()),
            "Command" => said.contains(&file.path),
            _ => said.split_whitespace().count() >= 3,
        };
        if !enough {
            faults.push(format!("{}: the comment at its top lacks `{start}…`", file.path));
        }
    }
    faults
}

/// Paths that exist on one machine, and that machine's name.
fn machine_facts(file: &Document, host: Option<&str>) -> Vec<String> {
    // Put together here, so that this file holds none of them.
    let folders = ["home", "root", "Users", "work", "tmp", "mnt"];
    let mut faults = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let named = folders.iter().map(|folder| format!("/{folder}/")).find(|path| {
            line.match_indices(path.as_str()).any(|(place, _)| {
                let before = line[..place].chars().next_back();
                let after = line[place + path.len()..].chars().next();
                // A path begins here, and goes on.
                before.is_none_or(|c| !c.is_alphanumeric() && !"/._-}*~".contains(c))
                    && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
            })
        });
        if let Some(path) = named.or_else(|| line.contains(":\\Users\\").then(|| "Users".into())) {
            faults.push(format!("{}:{}: a path of one machine: {path}", file.path, at + 1));
        }
        if host.is_some_and(|host| line.contains(host)) {
            faults.push(format!("{}:{}: the name of a machine", file.path, at + 1));
        }
    }
    faults
}

/// The subcommands of the program: the variants of `Command` that are not hidden.
fn subcommands(arguments: &str) -> Vec<String> {
    let scanned = scan(arguments).code;
    let body = scanned.split_once("enum Command {").map_or("", |(_, rest)| rest);
    let mut found = vec!["help".to_owned()];
    let mut hidden = false;
    for line in body.lines().take_while(|line| !line.starts_with('}')).map(str::trim) {
        if line.starts_with("#[") {
            hidden = line.contains("hide");
        } else if let Some(name) = words(line).next() {
            if !hidden {
                found.push(name.to_lowercase());
            }
            hidden = false;
        }
    }
    found
}

/// Commands in `console` blocks that name no subcommand of the program.
fn unknown_commands(file: &Document, known: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut inside = false;
    for (at, line) in file.text.lines().enumerate() {
        if let Some(info) = line.trim().strip_prefix("```") {
            inside = !inside && info.split_whitespace().next() == Some("console");
            continue;
        }
        let Some(command) = line.trim().strip_prefix("$ ").filter(|_| inside) else { continue };
        let arguments = match command.split_once("seqbench ") {
            Some(("", rest)) => rest,
            _ if command.starts_with("cargo run") => command.split_once(" -- ").map_or("", |(_, rest)| rest),
            _ => continue,
        };
        let word = arguments.split_whitespace().find(|word| !word.starts_with('-'));
        if let Some(word) = word.filter(|word| !known.iter().any(|name| name == word)) {
            faults.push(format!("{}:{}: there is no subcommand `{word}`", file.path, at + 1));
        }
    }
    faults
}

/// A change log that says nothing of what is not released yet.
fn without_unreleased(log: &str) -> bool {
    let section = log.split("\n## ").find(|section| section.starts_with("[Unreleased]"));
    section.is_none_or(|section| !section.lines().any(|line| line.starts_with("- ")))
}

/// Tests and contracts that the table of invariants names and no source defines.
fn unfounded(architecture: &str, sources: &[Document]) -> Vec<String> {
    let table = architecture.split("\n## ").find(|section| section.starts_with("Invariants"));
    let rows = table.unwrap_or("").lines().filter(|line| line.starts_with('|'));
    let holders: Vec<&str> =
        rows.skip(2).filter_map(|row| row.trim_end_matches('|').rsplit('|').next()).collect();
    let defined = |text: &str| sources.iter().any(|file| file.text.contains(text));
    let mut faults = Vec::new();
    for holder in &holders {
        for name in holder.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() > 2) {
            if !defined(&format!("fn {name}()")) {
                faults.push(format!("ARCHITECTURE.md: there is no test `{name}`"));
            }
        }
        for name in holder.split('*').skip(1).step_by(2) {
            if !defined(&format!("name: \"{name}\"")) {
                faults.push(format!("ARCHITECTURE.md: there is no contract *{name}*"));
            }
        }
    }
    if holders.len() < 10 {
        faults.push("ARCHITECTURE.md: the table of invariants is missing".into());
    }
    faults
}

#[test]
fn every_invariant_is_held_by_a_test_that_exists() {
    none(unfounded(&read("ARCHITECTURE.md"), &support::sources()));
}

#[test]
fn every_experiment_says_its_question_expectation_minutes_and_command() {
    // What papers print, and what is claimed, is no experiment.
    let is_experiment = |path: &str| {
        path.ends_with(".toml") && path != "experiments/published.toml" && !path.contains("/claims/")
    };
    let experiments = documents(|path| path.starts_with("experiments/") && is_experiment(path));
    assert!(!experiments.is_empty());
    none(experiments.iter().flat_map(unexplained).collect());
}

#[test]
fn no_file_knows_whose_machine_it_was_written_on() {
    // A plain word is no name to look for: it may stand anywhere.
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| host.len() > 5 && host.contains(|c: char| !c.is_alphabetic()));
    none(documents(|_| true).iter().flat_map(|file| machine_facts(file, host)).collect());
}

#[test]
fn no_file_is_large() {
    let size = |path: &String| std::fs::metadata(root().join(path)).map_or(0, |file| file.len());
    none(paths().into_iter().filter(|path| size(path) > MOST_BYTES).collect());
}

#[test]
fn the_change_log_has_an_unreleased_section() {
    assert!(!without_unreleased(&read("CHANGELOG.md")));
}

#[test]
fn commands_in_documents_exist() {
    let known = subcommands(&read("crates/cli/src/arguments.rs"));
    assert!(known.contains(&"run".into()) && !known.contains(&"worker".into()), "{known:?}");
    for path in ["README.md", "CONTRIBUTING.md", "METHODOLOGY.md", "ARCHITECTURE.md"] {
        none(unknown_commands(&Document::new(path, &read(path)), &known));
    }
    assert!(read("README.md").contains("```console"));
}

#[test]
fn an_experiment_without_its_question_is_found() {
    let good = "# Question: does it all work?\n# Expectation: it does so.\n# Minutes: 1\n\
                # Command: seqbench run experiments/a.toml\n\n[train]\n";
    let faults = |text: &str| unexplained(&Document::new("experiments/a.toml", text)).len();
    assert_eq!(faults(good), 0);
    assert_eq!(faults(""), 4);
    assert_eq!(faults(&good.replace("# Minutes: 1", "# Minutes: few")), 1);
    assert_eq!(faults(&good.replace("a.toml", "b.toml")), 1);
}

#[test]
fn a_path_or_a_machine_is_found() {
    let faults = |text: &str| machine_facts(&Document::new("a.md", text), Some("host-17")).len();
    assert_eq!(faults(&format!("see {}home/ada/x", '/')), 1);
    assert_eq!(faults(&format!("cd \"{}work/main\"", '/')), 1);
    assert_eq!(faults("on host-17"), 1);
    assert_eq!(faults("src/home/x, and tmp/y, and https://a.b/home/"), 0);
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let arguments = "pub(crate) enum Command {\n    /// Doc.\n    Run(Run),\n    #[command(hide = true)]\n    Worker,\n}\n";
    let known = subcommands(arguments);
    assert_eq!(known, ["help", "run"]);
    let faults = |text: &str| unknown_commands(&Document::new("a.md", text), &known).len();
    assert_eq!(faults("```console\n$ seqbench run quick\n$ cargo run --release -- -q run x\n$ ls\n```"), 0);
    assert_eq!(faults("```console\n$ seqbench fly\n$ cargo run --release -- worker\n```"), 2);
    assert_eq!(faults("```text\n$ seqbench fly\n```"), 0);
}

#[test]
fn an_invariant_held_by_nothing_is_found() {
    let rows = |row: &str| format!("# A\n\n## Invariants\n\n| a | b |\n|---|---|\n{}", row.repeat(10));
    let sources = [Document::new("a.rs", "fn one_test_of_this() {}\nname: \"causality\",")];
    let faults = |row: &str| unfounded(&rows(row), &sources).len();
    assert_eq!(faults("| x | `core` `one_test_of_this`, contract *causality* |\n"), 0);
    assert_eq!(faults("| x | `core` `another_test_of_this`, contract *magic* |\n"), 20);
    assert_eq!(unfounded("# A\n", &sources).len(), 1);
}

#[test]
fn an_empty_unreleased_section_is_found() {
    assert!(!without_unreleased("# Log\n\n## [Unreleased]\n\n### Added\n- This.\n"));
    assert!(without_unreleased("# Log\n\n## [Unreleased]\n\n## [0.1.0]\n- That.\n"));
    assert!(without_unreleased("# Log\n"));
}
