//! Experiments written by hand that cannot be run (`refused.md`), and what the program says of each, word for word.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use support::{files, folder_with, seqbench};

/// A case of the document: its heading, the experiment, and what is said of it.
struct Case {
    heading: String,
    experiment: String,
    said: String,
}

/// Reads one fenced block after another.
fn cases(document: &str) -> Vec<Case> {
    let block = |text: &str, fence: &str| -> String {
        let (_, rest) = text.split_once(&format!("```{fence}\n")).expect(fence);
        rest[..rest.find("```").unwrap()].to_owned()
    };
    let case = |text: &str| Case {
        heading: text.lines().next().unwrap().to_owned(),
        experiment: block(text, "toml"),
        said: block(text, "text"),
    };
    document.split("\n## ").skip(1).map(case).collect()
}

#[test]
fn what_is_said_of_experiments_that_cannot_be_run() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let cases = cases(&document);
    assert!(cases.len() >= 50, "{}", cases.len());
    let (mut anew, mut changed) = (document.split("\n## ").next().unwrap().to_owned(), Vec::new());
    for Case { heading, experiment, said } in &cases {
        let folder = folder_with(experiment);
        let ended = seqbench(folder.path(), &["run", "tiny.toml"]).assert().code(2).stdout("");
        let found = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
        assert!(found.starts_with("error: ") && found.contains("tiny.toml:"), "{heading}: {found}");
        assert_eq!(files(folder.path()).len(), 1, "{heading}: something was created");
        if found != *said {
            changed.push(format!("{heading}: it says now\n{found}"));
        }
        anew += &format!("\n## {heading}\n\n```toml\n{experiment}```\n\n```text\n{found}```\n");
    }
    if std::env::var_os("SEQBENCH_UPDATE").is_some() {
        std::fs::write(&path, anew).unwrap();
    } else {
        assert!(changed.is_empty(), "{}", changed.join("\n"));
        assert_eq!(anew, document, "the document has something else in it");
    }
}
