//! What every Rust source keeps to: length, a module comment, no leftovers, who may print, who may be unsafe.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::scan::{scan, without_tests, words};
use support::{Document, none, sources};

const MOST_LINES: usize = 500;

fn too_long(files: &[Document]) -> Vec<String> {
    let lines = |file: &Document| file.text.lines().count();
    let long = files.iter().filter(|file| lines(file) > MOST_LINES);
    long.map(|file| format!("{}: {} lines, at most {MOST_LINES}", file.path, lines(file))).collect()
}

/// Files whose first line is no module comment. A script's first line may stand before it.
fn without_module_comment(files: &[Document]) -> Vec<String> {
    let bare = files.iter().filter(|file| {
        let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        !first.starts_with("//! ") || first.len() < 12
    });
    bare.map(|file| format!("{}: does not begin with `//! what it is for`", file.path)).collect()
}

/// Unfinished or switched-off code, in tests too.
fn leftovers(files: &[Document]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        for (at, line) in scan(&file.text).code.lines().enumerate() {
            let found: Vec<&str> = words(line).collect();
            let called = |name: &str| found.contains(&name) && line.contains(&format!("{name}!"));
            let macros = ["todo", "unimplemented", "dbg"].into_iter().filter(|name| called(name));
            let attributes = ["ignore", "should_panic"].into_iter().filter(|name| {
                found.contains(name)
                    && (line.contains(&format!("#[{name}")) || line.contains(&format!(", {name}")))
            });
            let names = macros.chain(attributes);
            faults.extend(names.map(|name| format!("{}:{}: `{name}`", file.path, at + 1)));
        }
    }
    faults
}

/// Printing and exiting outside `cli`, in code that is neither a test nor a build script.
fn prints_or_exits(files: &[Document]) -> Vec<String> {
    const MACROS: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.crate_of_source().is_some_and(|name| name != "cli")) {
        for (at, line) in scan(without_tests(&file.text)).code.lines().enumerate() {
            let found: Vec<&str> = words(line).collect();
            let prints =
                MACROS.iter().any(|name| found.contains(&&name[..name.len() - 1]) && line.contains(name));
            let exits = ["process::exit", "process::abort"].iter().any(|name| line.contains(name));
            let streams = ["stdout", "stderr"].iter().any(|name| line.contains(&format!("io::{name}()")));
            if prints || exits || (streams && !line.contains("is_terminal")) {
                faults.push(format!("{}:{}: only `cli` prints or exits", file.path, at + 1));
            }
        }
    }
    faults
}

/// `unsafe` outside `kernels`, and within it where no comment above says why it is sound.
fn unsafe_without_argument(files: &[Document]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let scanned = scan(&file.text);
        let code: Vec<&str> = scanned.code.lines().collect();
        let text: Vec<&str> = file.text.lines().collect();
        for (at, line) in code.iter().enumerate() {
            let Some((_, after)) =
                line.split_once("unsafe").filter(|_| words(line).any(|word| word == "unsafe"))
            else {
                continue;
            };
            if !file.path.starts_with("crates/kernels/") {
                faults.push(format!("{}:{}: `unsafe` outside kernels", file.path, at + 1));
                continue;
            }
            // A method of an unsafe trait keeps the trait's contract, which its caller knows.
            let of_trait = after.trim_start().starts_with("fn") && inside_unsafe_impl(&code, at);
            if !of_trait && !argued(&text, &code, at) {
                faults.push(format!("{}:{}: `unsafe` without a SAFETY comment", file.path, at + 1));
            }
        }
    }
    faults
}

fn inside_unsafe_impl(code: &[&str], at: usize) -> bool {
    code[..at]
        .iter()
        .rev()
        .find(|line| !line.starts_with([' ', '}']) && !line.trim().is_empty())
        .is_some_and(|line| line.starts_with("unsafe impl"))
}

/// Whether a safety comment stands above a line, with attributes and the beginning of its statement in between.
fn argued(text: &[&str], code: &[&str], at: usize) -> bool {
    let says = |line: &str| line.contains("SAFETY:") || line.contains("# Safety");
    for above in (0..at).rev() {
        let comment = text[above].trim_start().starts_with("//");
        if comment && says(text[above]) {
            return true;
        }
        let ends = code[above].trim_end().ends_with([';', '{', '}']);
        if !comment && (ends || text[above].trim().is_empty()) {
            return false;
        }
    }
    false
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    none(too_long(&sources()));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    none(without_module_comment(&sources()));
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    none(leftovers(&sources()));
}

#[test]
fn only_the_command_line_prints_or_exits() {
    none(prints_or_exits(&sources()));
}

#[test]
fn unsafe_stands_in_kernels_alone_and_says_why_it_is_sound() {
    none(unsafe_without_argument(&sources()));
}

fn one(path: &str, text: &str) -> Vec<Document> {
    vec![Document::new(path, text)]
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(too_long(&one("a.rs", &"\n".repeat(501))).len(), 1);
    assert_eq!(too_long(&one("a.rs", &"\n".repeat(500))), [""; 0]);
}

#[test]
fn a_file_without_a_heading_is_found() {
    assert_eq!(
        without_module_comment(&one("a.rs", "use std::io;\n//! Late, and no use to anyone.")).len(),
        1
    );
    assert_eq!(without_module_comment(&one("a.rs", "//! \n")).len(), 1);
    assert_eq!(without_module_comment(&one("a.rs", "//! Adds numbers.\n")), [""; 0]);
}

#[test]
fn leftovers_are_found_in_code_and_not_in_text() {
    let text = format!("fn a() {{ {}!() }}\n#[{}]\nfn b() {{ {}!(1) }}", "todo", "ignore = \"slow\"", "dbg");
    assert_eq!(leftovers(&one("a.rs", &text)).len(), 3);
    assert_eq!(leftovers(&one("a.rs", "// todo!\nfn a() { b(\"dbg!\"); let ignore = todo; }")), [""; 0]);
}

#[test]
fn printing_is_found_outside_the_command_line_and_outside_tests() {
    let prints = "fn a() { println!(\"x\") }";
    assert_eq!(prints_or_exits(&one("crates/core/src/a.rs", prints)).len(), 1);
    assert_eq!(prints_or_exits(&one("crates/core/src/a.rs", "fn a() { std::process::exit(1) }")).len(), 1);
    assert_eq!(prints_or_exits(&one("crates/cli/src/a.rs", prints)), [""; 0]);
    let in_test = format!("fn b() {{}}\n#[cfg(test)]\nmod tests {{\n{prints}\n}}");
    assert_eq!(prints_or_exits(&one("crates/core/src/a.rs", &in_test)), [""; 0]);
}

#[test]
fn unsafe_without_an_argument_is_found() {
    let bare = "fn a() {\n    unsafe { b() }\n}";
    let argued =
        "fn a() {\n    // SAFETY: b has no precondition.\n    #[allow(unsafe_code)]\n    unsafe { b() }\n}";
    let statement =
        "fn a() {\n    // SAFETY: b has no precondition.\n    let c =\n        unsafe { b() };\n}";
    let another =
        "fn a() {\n    // SAFETY: b has no precondition.\n    unsafe { b() };\n    unsafe { c() }\n}";
    assert_eq!(unsafe_without_argument(&one("crates/kernels/src/a.rs", bare)).len(), 1);
    assert_eq!(unsafe_without_argument(&one("crates/kernels/src/a.rs", argued)), [""; 0]);
    assert_eq!(unsafe_without_argument(&one("crates/kernels/src/a.rs", statement)), [""; 0]);
    assert_eq!(unsafe_without_argument(&one("crates/kernels/src/a.rs", another)).len(), 1);
    assert_eq!(unsafe_without_argument(&one("crates/core/src/a.rs", argued)).len(), 1);
}
