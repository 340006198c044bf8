//! The program in a folder of its own, and what a run leaves there.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod arrays;

use assert_cmd::Command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An experiment of all built-in architectures and all three measurements that ends within a second.
pub(crate) const TINY: &str = r#"
question = "Does a tiny run end?"

[defaults]
seeds = 2
width = 8

[[model]]
kind = "rnn"

[[model]]
kind = "lstm"

[[model]]
kind = "transformer"
heads = 2

[[model]]
kind = "ssm"

[task]
kind = "delayed-recall"

[sweep]
lag = [3, 7]

[train]
steps = 4
batch = 4

[measure]
accuracy = { test_samples = 16, validation_samples = 8, curve_points = 2 }
gradients = { at = ["init", "end"], samples = 2, per_decade = 2 }
throughput = { modes = ["train", "decode"], lengths = [8], batch = 2, rounds = 5, warmup = 1 }
"#;

/// Cells of [`TINY`]: four models at two lags with two seeds, and the four timed in two modes.
pub(crate) const TINY_CELLS: usize = 4 * 2 * 2 + 4 * 2;

/// A new folder with an experiment `tiny.toml` of this text.
pub(crate) fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), text).unwrap();
    folder
}

/// The program, to be started in that folder, untouched by what is set around the tests.
pub(crate) fn seqbench(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqbench"));
    for variable in ["SEQBENCH_ISA", "NO_COLOR", "CLICOLOR_FORCE", "RAYON_NUM_THREADS"] {
        command.env_remove(variable);
    }
    command.current_dir(folder).args(arguments).timeout(Duration::from_secs(300));
    command
}

/// Runs to success; standard output and error stream.
pub(crate) fn succeed(folder: &Path, arguments: &[&str]) -> (String, String) {
    let ended = seqbench(folder, arguments).assert().success().get_output().clone();
    (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap())
}

/// Every file under a folder, by its path from there.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Identities of the cells in a results folder; anything hidden there (a cell half written) is named as well.
pub(crate) fn cells(results: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(results.join("cells")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// `cell.json` of every cell.
pub(crate) fn records(results: &Path) -> Vec<Value> {
    let path = |id: &String| results.join("cells").join(id).join("cell.json");
    cells(results)
        .iter()
        .map(|id| serde_json::from_slice(&std::fs::read(path(id)).unwrap()).unwrap())
        .collect()
}

/// What must be the same bytes whenever the same experiment is run: rows, records without their provenance, tables
/// that hold nothing timed.
pub(crate) fn facts(results: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut kept = BTreeMap::new();
    for (path, bytes) in files(results) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = match name.as_str() {
            "cell.json" => {
                let mut record: Value = serde_json::from_slice(&bytes).unwrap();
                assert!(record.as_object_mut().unwrap().remove("provenance").is_some());
                serde_json::to_vec(&record).unwrap()
            }
            "score.csv" | "curve.csv" | "profile.csv" | "spectrum.csv" | "trace.csv" => bytes,
            "accuracy.csv" | "reach.csv" | "gradients.csv" if path.starts_with("tables") => bytes,
            _ => continue,
        };
        kept.insert(path, bytes);
    }
    kept
}

/// Writes a file of a cell and its digest, as another program might have: other values, all in order.
pub(crate) fn rewrite(path: &Path, bytes: &[u8]) {
    use sha2::{Digest, Sha256};
    std::fs::write(path, bytes).unwrap();
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let (digests, name) = (path.with_file_name("digests"), path.file_name().unwrap().to_str().unwrap());
    let line =
        |line: &str| if line.ends_with(name) { format!("{sum}  {name}\n") } else { format!("{line}\n") };
    let new: String = std::fs::read_to_string(&digests).unwrap().lines().map(line).collect();
    std::fs::write(&digests, new).unwrap();
}

/// The paths whose bytes differ, or that only one side has.
pub(crate) fn differing(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let paths: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    paths.into_iter().filter(|path| a.get(*path) != b.get(*path)).cloned().collect()
}

/// Draws that are the same every time (splitmix64).
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    pub(crate) fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}
