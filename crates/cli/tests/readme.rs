//! The README's commands are run as they stand there, one after another in one folder, as a reader would.
//!
//! A block after `<!-- slow -->` or `<!-- not run: reason -->` is not run; its commands must still be ones that the
//! program has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};
use support::{seqbench, succeed};

/// A `console` block: its commands, and whether they are run.
#[derive(Debug, PartialEq)]
struct Block {
    commands: Vec<String>,
    run: bool,
}

/// The `console` blocks of a document.
fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    let mut run = true;
    for line in text.lines() {
        let line = line.trim();
        if let Some(block) = &mut open {
            if line.starts_with("```") {
                found.extend(open.take());
                run = true;
            } else if let Some(command) = line.strip_prefix("$ ") {
                block.commands.push(command.to_owned());
            }
        } else if line == "```console" {
            open = Some(Block { commands: Vec::new(), run });
        } else if line.starts_with("<!-- slow") || line.starts_with("<!-- not run: ") {
            run = false;
        } else if !line.is_empty() {
            run = true;
        }
    }
    found
}

/// Arguments of a command of this program, without a comment after it; nothing for other programs'.
fn arguments(command: &str) -> Option<Vec<String>> {
    let rest =
        command.strip_prefix("seqbench ").or_else(|| command.strip_prefix("cargo run --release -- "))?;
    let rest = rest.split(" #").next().unwrap_or(rest);
    // Arguments in quotes hold no blanks in the README; the quotes are the shell's.
    Some(rest.split_whitespace().map(|word| word.replace(['\'', '"'], "")).collect())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder that looks like a checkout to the commands.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("experiments"), &folder.path().join("experiments"));
    std::fs::create_dir(folder.path().join("examples")).unwrap();
    let example = "examples/batch.safetensors";
    for file in [example, "README.md"] {
        std::fs::copy(root().join(file), folder.path().join(file)).unwrap();
    }
    // Commands that read results read the committed ones.
    for experiment in ["throughput-vs-length", "delayed-recall-vs-lag"] {
        copy(&root().join("results").join(experiment), &folder.path().join("results").join(experiment));
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// Whether the program has the subcommand and the options that a command names.
fn assert_known(folder: &Path, arguments: &[String]) {
    let subcommand = arguments.first().expect("a subcommand").as_str();
    // `model` has subcommands of its own, which have the options.
    let words = if subcommand == "model" { 2 } else { 1 };
    let command: Vec<&str> = arguments.iter().take(words).map(String::as_str).chain(["--help"]).collect();
    let (help, _) = succeed(folder, &command);
    for option in arguments.iter().filter(|word| word.starts_with("--")) {
        let name = option.split('=').next().unwrap_or(option);
        let known = help.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == name);
        assert!(known, "`{subcommand}` has no option {name}");
    }
    if subcommand == "run" {
        let names = arguments[1..].iter().take_while(|word| !word.starts_with('-'));
        for name in names {
            succeed(folder, &["run", name, "--dry-run"]);
        }
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let folder = checkout();
    let mut ran = 0;
    for block in blocks(&readme) {
        for arguments in block.commands.iter().filter_map(|command| arguments(command)) {
            assert_known(folder.path(), &arguments);
            if block.run {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                seqbench(folder.path(), &arguments).assert().success();
                ran += 1;
            }
        }
    }
    assert!(ran >= 3, "{ran} commands were run");
}

#[test]
fn the_tutorials_commands_are_ones_that_the_program_has() {
    let tutorial = std::fs::read_to_string(root().join("examples/own-architecture/README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for command in blocks(&tutorial).iter().flat_map(|block| &block.commands) {
        let Some(rest) = command.strip_prefix("cargo run --release -p own-architecture -- ") else {
            continue;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (help, _) = succeed(folder.path(), &[words[0], "--help"]);
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "`{}` has no option {option}", words[0]);
        }
        for path in words.iter().filter(|word| word.ends_with(".toml")) {
            assert!(root().join(path).is_file(), "{path} is no file of the repository");
        }
        checked += 1;
    }
    assert!(checked >= 3, "{checked} commands were checked");
}

#[test]
fn blocks_and_commands_are_found() {
    let text = "a\n```console\n$ seqbench list # all\nout\n$ ls\n```\n<!-- slow -->\n\n```console\n$ seqbench run quick\n```\n\
                <!-- not run: why -->\nwords\n```console\n$ cargo run --release -- run a.toml --set 'x=[1,2]'\n```\n```toml\n$ no\n```\n";
    let found = blocks(text);
    let runs: Vec<bool> = found.iter().map(|block| block.run).collect();
    assert_eq!(runs, [true, false, true]);
    assert_eq!(found[0].commands, ["seqbench list # all", "ls"]);
    assert_eq!(arguments(&found[0].commands[0]).unwrap(), ["list"]);
    assert_eq!(arguments("ls"), None);
    assert_eq!(arguments(&found[2].commands[0]).unwrap(), ["run", "a.toml", "--set", "x=[1,2]"]);
}

#[test]
fn the_lectures_commands_and_pictures_are_there() {
    let page = std::fs::read_to_string(root().join("docs/lecture.md")).unwrap();
    let folder = checkout();
    let (mut claims, mut ran) = (0, 0);
    for block in blocks(&page) {
        for arguments in block.commands.iter().filter_map(|command| arguments(command)) {
            assert_known(folder.path(), &arguments);
            if arguments[0] == "run" {
                // Minutes each: its picture below is of the experiment that the command names.
                let picture = format!("](../results/{}/", arguments[1]);
                assert!(page.contains(&picture), "no picture of {}", arguments[1]);
                claims += 1;
            } else {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                succeed(folder.path(), &arguments);
                ran += 1;
            }
        }
    }
    assert!(claims >= 10 && ran == 3, "{claims} {ran}");
    assert_links(&page, &root().join("docs"));
}

#[test]
fn the_readmes_links_lead_somewhere() {
    assert_links(&std::fs::read_to_string(root().join("README.md")).unwrap(), &root());
}

/// Every link into the repository, from a page in a folder, is to something.
fn assert_links(page: &str, folder: &Path) {
    let links = page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let links: Vec<&str> = links.filter(|link| !link.starts_with("http") && !link.starts_with('#')).collect();
    assert!(links.len() > 10);
    for link in links {
        assert!(folder.join(link).exists(), "{link} is not there");
    }
}
