//! Packed results: every command reads them as it read the folders.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use support::{TINY, TINY_CELLS, cells, files, folder_with, seqbench, succeed};

/// What a command says of results, without the line that names the files.
fn said(folder: &Path, arguments: &[&str]) -> String {
    succeed(folder, arguments).0
}

#[test]
fn packed_results_are_the_same_results() {
    let folder = folder_with(TINY);
    let (root, results) = (folder.path(), folder.path().join("out"));
    succeed(root, &["run", "tiny.toml", "--out", "out", "--quiet"]);
    let commands: [&[&str]; 5] = [
        &["table", "out", "--format", "json"],
        &["status", "out"],
        &["check", "out"],
        &["clean", "out", "--stale", "--dry-run"],
        &["compare", "out", "out"],
    ];
    let before = commands.map(|command| said(root, command));
    let written = |name: &str| files(&results.join(name));
    let (tables, plots) = (written("tables"), written("plots"));

    let told = said(root, &["pack", "out"]);
    assert!(told.starts_with(&format!("out: {TINY_CELLS} cells in ")), "{told}");
    assert_eq!(cells(&results), ["packed"]);
    for (command, before) in commands.iter().zip(before) {
        assert_eq!(said(root, command), before, "{command:?}");
    }
    let packed = files(&results.join("cells"));
    let (_, notes) = succeed(root, &["run", "tiny.toml", "--out", "out"]);
    assert!(notes.contains(&format!("0 cells to run, {TINY_CELLS} stand already")), "{notes}");
    assert!(packed == files(&results.join("cells")), "a run that found everything done wrote cells");
    assert!((tables, plots) == (written("tables"), written("plots")));

    // More seeds stand beside the pack until the next one.
    let more = ["run", "tiny.toml", "--out", "out", "--quiet", "--set", "seeds=3"];
    succeed(root, &more);
    assert_eq!(cells(&results).len(), 1 + 8);
    said(root, &["pack", "out"]);
    assert_eq!(cells(&results), ["packed"]);
    let (_, notes) = succeed(root, &["run", "tiny.toml", "--out", "out", "--set", "seeds=3"]);
    assert!(notes.contains(&format!("0 cells to run, {} stand already", TINY_CELLS + 8)), "{notes}");

    // Merging makes folders of them again, with the bytes they had.
    succeed(root, &["run", "tiny.toml", "--out", "twin", "--quiet", "--set", "seeds=3"]);
    said(root, &["merge", "out", "--output", "merged"]);
    let of = |name: &str, file: &str| {
        let all = files(&root.join(name).join("cells"));
        all.into_iter().filter(|(path, _)| path.ends_with(file)).collect::<Vec<_>>()
    };
    for file in ["score.csv", "curve.csv", "profile.csv"] {
        assert!(of("merged", file) == of("twin", file), "{file}");
    }
}

#[test]
fn a_folder_without_results_is_refused_before_any_is_packed() {
    let folder = folder_with(TINY);
    succeed(folder.path(), &["run", "tiny.toml", "--out", "out", "--quiet", "--only", "rnn"]);
    let before = files(&folder.path().join("out"));
    let ended = seqbench(folder.path(), &["pack", "out", "nowhere"]).assert().code(2).get_output().clone();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains("there are no results in nowhere") && told.contains("help: "), "{told}");
    assert!(before == files(&folder.path().join("out")));
}

#[test]
fn a_damaged_pack_is_told_once_before_its_cells_run_again() {
    let folder = folder_with(TINY);
    let (root, results) = (folder.path(), folder.path().join("out"));
    succeed(root, &["run", "tiny.toml", "--out", "out", "--quiet"]);
    said(root, &["pack", "out"]);
    let scores = results.join("cells/packed/score.csv");
    let whole = std::fs::read(&scores).unwrap();
    std::fs::write(&scores, &whole[1..]).unwrap();
    let told = "score.csv: differs from its digest in `digests`; restore the folder from where it came";
    let times = |text: &str| text.matches(told).count();
    assert_eq!(times(&said(root, &["status", "out"])), 1);
    let run = ["run", "tiny.toml", "--out", "out"];
    let (_, notes) = succeed(root, &[&run[..], &["--dry-run"]].concat());
    assert_eq!(times(&notes), 1, "{notes}");
    let (_, notes) = succeed(root, &[&run[..], &["--only", "rnn"]].concat());
    assert!(notes.find(told) < notes.find("cells to run"), "{notes}");
    // Restored, it stands beside what ran meanwhile.
    std::fs::write(&scores, whole).unwrap();
    let (_, notes) = succeed(root, &run);
    assert!(notes.contains(&format!("0 cells to run, {TINY_CELLS} stand already")), "{notes}");
}
