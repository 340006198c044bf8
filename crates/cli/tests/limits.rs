//! Runs under the limits of a machine: a disk that takes no more, too little memory, a place where nothing can be written.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use support::{TINY, cells, differing, facts, files, folder_with, records, seqbench, succeed};

/// Runs the program in a shell that has set limits before.
fn limited(folder: &Path, limits: &str, arguments: &str) -> Output {
    let script = format!("{limits}; exec \"$0\" {arguments}");
    let program = env!("CARGO_BIN_EXE_seqbench");
    Command::new("bash").args(["-c", &script, program]).current_dir(folder).output().unwrap()
}

#[test]
fn a_disk_that_takes_no_more_is_said_and_the_next_run_goes_on() {
    let text = TINY.split("throughput").next().unwrap();
    let folder = folder_with(text);
    succeed(folder.path(), &["run", "tiny.toml", "--quiet", "--out", "whole"]);
    // No file may grow beyond one or two kilobytes: a write comes back short, and the next one fails.
    for kilobytes in [1, 2] {
        let ended = limited(
            folder.path(),
            &format!("trap '' XFSZ; ulimit -f {kilobytes}"),
            "run tiny.toml --quiet --checkpoint-every 0 --out full",
        );
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(3), "{said}");
        assert!(said.contains("full") && said.contains("File too large"), "{said}");
        let scan = seqbench_record::Store::open(folder.path().join("full")).scan().unwrap();
        assert!(scan.cells.is_empty() && scan.damaged.is_empty(), "{scan:?}");
    }
    succeed(folder.path(), &["run", "tiny.toml", "--quiet", "--out", "full"]);
    let apart = differing(&facts(&folder.path().join("whole")), &facts(&folder.path().join("full")));
    assert!(apart.is_empty(), "other bytes in {apart:?}");
    let hidden =
        files(&folder.path().join("full")).into_keys().filter(|path| path.to_string_lossy().contains("/."));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn a_cell_too_large_for_memory_is_a_row_and_the_others_finish() {
    let text = "[[model]]\nkind = \"rnn\"\nwidth = 8\n[[model]]\nkind = \"lstm\"\nwidth = 8192\n[task]\nkind = \"delayed-recall\"\nlag = 3\n\
                [defaults]\nseeds = 1\n[train]\nsteps = 2\nbatch = 2\n[measure]\naccuracy = { test_samples = 4, validation_samples = 4 }\n";
    let folder = folder_with(text);
    let ended = limited(folder.path(), "ulimit -v 2000000", "run tiny.toml --quiet --jobs 1");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut found: Vec<(String, String, String)> = Vec::new();
    for record in records(&folder.path().join("runs/tiny")) {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        found.push((text(&record["labels"]["model"]), text(&record["status"]), text(&record["reason"])));
    }
    found.sort();
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("lstm", "failed"), "{found:?}");
    assert!(found[0].2.contains("memory"), "{found:?}");
    assert_eq!((found[1].0.as_str(), found[1].1.as_str()), ("rnn", "done"), "{found:?}");
}

#[test]
fn where_nothing_can_be_written_nothing_is_trained() {
    let folder = folder_with(TINY);
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let ended =
        seqbench(folder.path(), &["run", "tiny.toml", "--out", "file/results"]).assert().get_output().clone();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("file/results") && !said.contains("rnn"), "{said}");
    assert!(cells(&folder.path().join("file/results")).is_empty());
}

/// Runs a script as root of a namespace of its own, where file systems can be mounted; nothing where the system forbids that.
fn as_root_of_own(folder: &Path, script: &str) -> Option<Output> {
    let unshared = |script: &str| {
        Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "bash",
                "-ec",
                script,
                env!("CARGO_BIN_EXE_seqbench"),
            ])
            .current_dir(folder)
            .output()
    };
    let may = unshared("mkdir -p probe; mount -t tmpfs none probe").is_ok_and(|ended| ended.status.success());
    let _ = std::fs::remove_dir(folder.join("probe"));
    if !may {
        eprintln!("left out: this system lets nobody mount a file system");
    }
    may.then(|| unshared(script).unwrap())
}

#[test]
fn a_full_file_system_is_said_and_what_stands_is_whole() {
    let text = TINY.split("throughput").next().unwrap();
    let folder = folder_with(text);
    succeed(folder.path(), &["run", "tiny.toml", "--quiet", "--out", "whole"]);
    // First too small for everything, then just too small, then large enough: what stood by then is gone on from.
    let script = "mkdir disk; mount -t tmpfs -o size=64k none disk
        for size in 64k 128k 192k 256k 20m; do
            mount -o remount,size=$size disk
            \"$0\" run tiny.toml --quiet --jobs 1 --checkpoint-every 0 --out disk/results >out.txt 2>>err.txt && echo done || echo failed $?
            \"$0\" status disk/results --missing | wc -l
            \"$0\" check disk/results | grep whole || true
        done
        cp -r disk/results kept";
    let Some(ended) = as_root_of_own(folder.path(), script) else { return };
    let said = String::from_utf8(ended.stdout).unwrap();
    let errors = std::fs::read_to_string(folder.path().join("err.txt")).unwrap();
    assert!(ended.status.success(), "{said}{errors}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.starts_with("failed 3\n") && errors.contains("No space left on device"), "{said}{errors}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[lines.len() - 3..lines.len() - 1], ["done", "0"], "{said}");
    assert!(!said.contains("error    whole"), "{said}");
    let missing: Vec<usize> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    assert!(missing.is_sorted_by(|before, after| after <= before), "{missing:?}");
    let apart = differing(&facts(&folder.path().join("whole")), &facts(&folder.path().join("kept")));
    assert!(apart.is_empty(), "other bytes in {apart:?}");
}

#[test]
fn in_a_folder_that_can_only_be_read_nothing_is_trained() {
    let folder = folder_with(TINY);
    succeed(folder.path(), &["run", "tiny.toml", "--quiet", "--only", "rnn", "--out", "disk"]);
    let before = files(&folder.path().join("disk"));
    let script = "mount --bind disk disk; mount -o remount,bind,ro disk
        code=0; \"$0\" run tiny.toml --out disk || code=$?
        \"$0\" table disk >table.txt 2>/dev/null
        exit $code";
    let Some(ended) = as_root_of_own(folder.path(), script) else { return };
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("disk") && said.contains("Read-only file system"), "{said}");
    // Refused before any training starts.
    assert!(!said.contains("loss") && !said.contains("lstm"), "{said}");
    assert!(files(&folder.path().join("disk")) == before);
    // It can still be read.
    assert!(std::fs::read_to_string(folder.path().join("table.txt")).unwrap().contains("rnn"));
}
