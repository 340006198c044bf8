//! The boundary between the apparatus and what it measures: the core names neither architecture nor task, nobody asks an
//! architecture for its name, and one more of either costs one file and two lines.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::scan::{scan, without_tests, words};
use support::{Document, none, read, sources};

/// The entries of a registry: the name of each file and how often the registry lists it. An entry is a module that the
/// body of `builtin` mentions; the others are helpers.
fn entries(lib: &str) -> Vec<(String, usize)> {
    let code = scan(without_tests(lib)).code;
    let modules = code.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    });
    let body = code.split_once("fn builtin()").map_or("", |(_, body)| body);
    let listed = |module: &str| body.matches(&format!("&{module}::")).count();
    modules
        .map(|module| (listed(&module), module))
        .filter(|(n, _)| *n > 0)
        .map(|(n, module)| (module, n))
        .collect()
}

/// Modules that are public, as entries are, and not listed exactly once; and how many lines name each entry.
fn unlisted(path: &str, lib: &str) -> Vec<String> {
    let code = scan(without_tests(lib)).code;
    let found = entries(lib);
    let public = code.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let missing = public.filter(|module| !found.iter().any(|(entry, _)| entry == module));
    let mut faults: Vec<String> =
        missing.map(|module| format!("{path}: `{module}` is in no registry line")).collect();
    for (entry, times) in &found {
        let lines = code.lines().filter(|line| words(line).any(|word| word == entry)).count();
        if *times != 1 || lines != 2 {
            faults
                .push(format!("{path}: `{entry}` takes {lines} lines and {times} entries, not two and one"));
        }
    }
    faults
}

/// The names a registry's files state in `name: "…"`.
fn registry_names(files: &[Document], folder: &str, lib: &str) -> Vec<String> {
    let own = entries(lib);
    let of_entry = |file: &&Document| {
        let stem = file.path.strip_prefix(folder).and_then(|rest| rest.strip_suffix(".rs"));
        stem.is_some_and(|stem| own.iter().any(|(entry, _)| entry == stem))
    };
    let stated = |file: &Document| {
        let line = without_tests(&file.text).lines().find_map(|line| line.trim().strip_prefix("name: \""))?;
        Some(line.split('"').next().unwrap_or("").to_owned())
    };
    files.iter().filter(of_entry).filter_map(stated).collect()
}

/// Identifiers and literals of the core that name an architecture or a task. Prose may give examples.
fn named_by_core(files: &[Document], names: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.crate_of_source() == Some("core")) {
        let scanned = scan(without_tests(&file.text));
        for (at, line) in scanned.code.lines().enumerate() {
            let parts = |word: &str| word.split('_').map(str::to_lowercase).collect::<Vec<_>>();
            for word in words(line).filter(|word| names.iter().any(|name| is_name(&parts(word), name))) {
                faults.push(format!("{}:{}: `{word}`", file.path, at + 1));
            }
        }
        for (line, literal) in &scanned.literals {
            for name in
                names.iter().filter(|name| literal.split(|c: char| !is_part(c)).any(|word| word == *name))
            {
                faults.push(format!("{}:{line}: \"{name}\"", file.path));
            }
        }
    }
    faults
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// Whether an identifier, cut at its underscores, is a registry name.
fn is_name(parts: &[String], name: &str) -> bool {
    parts.iter().map(String::as_str).eq(name.split('-'))
}

/// String literals equal to an architecture's name, where no architecture may be told from another. An operation of
/// `kernels` may be called as the network it is the recurrence of: its `const NAME` heads error messages.
fn compared(files: &[Document], names: &[String]) -> Vec<String> {
    const CRATES: [&str; 7] = ["core", "kernels", "layers", "harness", "record", "report", "cli"];
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.crate_of_source().is_some_and(|name| CRATES.contains(&name)))
    {
        if file.path.ends_with("/palette.rs") || file.path.ends_with("/tests.rs") {
            continue;
        }
        let scanned = scan(without_tests(&file.text));
        let code: Vec<&str> = scanned.code.lines().collect();
        for (line, literal) in &scanned.literals {
            let operation = file.path.starts_with("crates/kernels/")
                && words(code[line - 1]).eq(["const", "NAME", "static", "str"]);
            if names.contains(literal) && !operation {
                faults.push(format!("{}:{line}: \"{literal}\"", file.path));
            }
        }
    }
    faults
}

const MODELS: &str = "crates/models/src/";
const TASKS: &str = "crates/tasks/src/";

fn names_of(folder: &str) -> Vec<String> {
    let lib = read(&format!("{folder}lib.rs"));
    let names = registry_names(&sources(), folder, &lib);
    assert_eq!(names.len(), entries(&lib).len(), "every entry of {folder} states its name");
    names
}

#[test]
fn an_architecture_or_a_task_is_one_file_and_two_lines() {
    for folder in [MODELS, TASKS] {
        let lib = read(&format!("{folder}lib.rs"));
        assert!(entries(&lib).len() >= 4, "{folder}: {:?}", entries(&lib));
        none(unlisted(folder, &lib));
        none(
            entries(&lib)
                .iter()
                .filter_map(|(entry, _)| {
                    let path = format!("{folder}{entry}.rs");
                    (!support::root().join(&path).is_file()).then(|| format!("{path}: an entry is one file"))
                })
                .collect(),
        );
    }
}

#[test]
fn the_core_names_no_architecture_and_no_task() {
    let names: Vec<String> = names_of(MODELS).into_iter().chain(names_of(TASKS)).collect();
    none(named_by_core(&sources(), &names));
}

#[test]
fn architectures_are_told_apart_by_name_in_the_registry_and_the_legend_alone() {
    none(compared(&sources(), &names_of(MODELS)));
}

const LIB: &str = "mod helper;\npub mod gru;\npub mod lstm;\n\
                   pub fn builtin() -> Vec<&'static dyn A> {\n    vec![\n        &gru::Gru,\n        &lstm::Lstm,\n    ]\n}\n";

#[test]
fn an_entry_that_is_forgotten_or_needs_a_third_line_is_found() {
    assert_eq!(entries(LIB), [("gru".into(), 1), ("lstm".into(), 1)]);
    assert_eq!(unlisted("lib.rs", LIB), [""; 0]);
    assert_eq!(unlisted("lib.rs", &LIB.replace("        &gru::Gru,\n", "")).len(), 1);
    assert_eq!(unlisted("lib.rs", &format!("{LIB}fn extra() {{ gru::extra(); }}\n")).len(), 1);
}

#[test]
fn names_in_the_core_are_found_in_code_and_literals_and_not_in_prose() {
    let names = ["lstm".to_owned(), "delayed-recall".to_owned()];
    let faults = |text: &str| named_by_core(&[Document::new("crates/core/src/a.rs", text)], &names).len();
    assert_eq!(faults("//! An `lstm`, say.\nfn recall() {}"), 0);
    assert_eq!(faults("fn lstm() {}"), 1);
    assert_eq!(faults("let delayed_recall = 1;"), 1);
    assert_eq!(faults("if name == \"delayed-recall\" {}"), 1);
}

#[test]
fn a_comparison_by_name_is_found_outside_tests_and_palette() {
    let names = ["lstm".to_owned()];
    let text = "fn a(name: &str) -> bool {\n    name == \"lstm\"\n}";
    let faults = |path: &str, text: &str| compared(&[Document::new(path, text)], &names).len();
    assert_eq!(faults("crates/harness/src/a.rs", text), 1);
    assert_eq!(faults("crates/report/src/plot/palette.rs", text), 0);
    assert_eq!(faults("crates/models/src/lstm.rs", text), 0);
    let operation = "    const NAME: &'static str = \"lstm\";";
    assert_eq!(faults("crates/kernels/src/lstm.rs", operation), 0);
    assert_eq!(faults("crates/kernels/src/lstm.rs", text), 1);
    assert_eq!(faults("crates/harness/src/a.rs", operation), 1);
    assert_eq!(faults("crates/harness/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{text}\n}}")), 0);
}
