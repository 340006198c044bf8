//! Sweeps that are split, stopped, killed, shared and damaged: whatever happens to them on the way, what they end in is the
//! same bytes. `SEQBENCH_SOAK=1` makes the counts those of a soak (see `RELIABILITY.md`).

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::{Draws, cells, differing, facts, files, folder_with, records, rewrite, seqbench, succeed};

/// Twenty-four cells that take a tenth of a second each.
const SWEEP: &str = r#"
[defaults]
seeds = 2
width = 16

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
lag = [3, 7, 11]

[train]
steps = 60
batch = 16
lr = 3e-3

[measure]
accuracy = { test_samples = 64, validation_samples = 16, curve_points = 5 }
gradients = { at = ["init", "end"], samples = 2, per_decade = 2 }
"#;
const CELLS: usize = 24;

/// The count of a soak where it is asked for.
fn count(usual: usize, soak: usize) -> usize {
    if std::env::var_os("SEQBENCH_SOAK").is_some() { soak } else { usual }
}

/// What the sweep finds when nobody disturbs it.
fn undisturbed() -> &'static BTreeMap<PathBuf, Vec<u8>> {
    static FACTS: OnceLock<BTreeMap<PathBuf, Vec<u8>>> = OnceLock::new();
    FACTS.get_or_init(|| {
        let folder = folder_with(SWEEP);
        succeed(folder.path(), &["run", "tiny.toml", "--quiet"]);
        let found = facts(&folder.path().join("runs/tiny"));
        assert_eq!(cells(&folder.path().join("runs/tiny")).len(), CELLS);
        found
    })
}

fn assert_undisturbed(results: &Path, how: &str) {
    let apart = differing(undisturbed(), &facts(results));
    assert!(apart.is_empty(), "{how}: other bytes in {apart:?}");
    // Elsewhere nobody can tell whether the process that wrote something lives, and it stays for an hour.
    let left: Vec<PathBuf> = files(results)
        .into_keys()
        .filter(|path| path.to_string_lossy().contains("/.") || path.starts_with("unfinished"))
        .collect();
    assert!(left.is_empty() || !cfg!(target_os = "linux"), "{how}: left behind {left:?}");
}

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_seqbench"))
        .current_dir(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn shards_merged_in_any_order_are_the_whole() {
    let mut draws = Draws(11);
    for shards in [1, 2, 3, 7, 24, 100] {
        let folder = folder_with(SWEEP);
        let mut parts: Vec<String> = Vec::new();
        for shard in 0..shards {
            let (part, of) = (format!("part-{shard}"), format!("{shard}/{shards}"));
            succeed(folder.path(), &["run", "tiny.toml", "--quiet", "--shard", &of, "--out", &part]);
            // More shards than groups leave some without work, and without a folder.
            if folder.path().join(&part).is_dir() {
                parts.push(part);
            }
        }
        assert_eq!(parts.len(), shards.min(CELLS / 2), "groups of two seeds each");
        for round in 0..3 {
            for at in (1..parts.len()).rev() {
                parts.swap(at, draws.below(at + 1));
            }
            let output = format!("merged-{round}");
            let mut arguments = vec!["merge"];
            arguments.extend(parts.iter().map(String::as_str));
            // One of them twice changes nothing.
            arguments.extend([parts[0].as_str(), "--output", &output]);
            succeed(folder.path(), &arguments);
            assert_undisturbed(&folder.path().join(&output), &format!("{shards} shards"));
        }
        let (text, _) = succeed(folder.path(), &["check", "merged-0"]);
        assert!(text.contains("ok       complete"), "{text}");
    }
}

#[test]
fn a_missing_shard_is_counted_and_a_contradiction_refused() {
    let folder = folder_with(SWEEP);
    let run =
        |arguments: &[&str]| succeed(folder.path(), &[&["run", "tiny.toml", "--quiet"], arguments].concat());
    run(&["--shard", "0/2", "--out", "a"]);
    run(&["--out", "all"]);
    let code = |arguments: &[&str]| {
        let ended = seqbench(folder.path(), arguments).assert().get_output().clone();
        (
            ended.status.code(),
            String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap(),
        )
    };
    let (status, said) = code(&["merge", "a", "-o", "half"]);
    assert!(status == Some(1) && said.contains("of 24 cells") && said.contains("status --missing"), "{said}");
    let (status, said) = code(&["check", "half"]);
    assert!(status == Some(1) && said.contains("error    complete"), "{said}");
    let missing = succeed(folder.path(), &["status", "half", "--missing"]).0;
    let standing = cells(&folder.path().join("half")).len();
    assert_eq!(missing.lines().count() + standing, CELLS);
    // A table of it warns.
    assert!(succeed(folder.path(), &["table", "half"]).1.contains("complete: "));
    // The rest is run where the rest is missing: the folder says of what.
    succeed(folder.path(), &["run", "half", "--quiet"]);
    assert_undisturbed(&folder.path().join("half"), "a shard and the rest");

    // The same cell with other values, its digests in order: as another program might have written it.
    let id = cells(&folder.path().join("a"))[0].clone();
    let path = folder.path().join("a/cells").join(&id).join("score.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, last) = text.trim_end().rsplit_once('\n').unwrap();
    let mut fields: Vec<&str> = last.split(',').collect();
    fields[4] = "0.123";
    rewrite(&path, format!("{head}\n{}\n", fields.join(",")).as_bytes());
    for order in [["a", "all"], ["all", "a"]] {
        let (status, said) = code(&["merge", order[0], order[1], "-o", "refused"]);
        assert!(status == Some(4) && said.contains(&format!("score.csv of cell {id}")), "{said}");
        assert!(!folder.path().join("refused").exists(), "something was written");
    }
    // Other experiments have nothing in common.
    std::fs::write(folder.path().join("other.toml"), SWEEP.replace("steps = 60", "steps = 61")).unwrap();
    succeed(folder.path(), &["run", "other.toml", "--quiet", "--only", "rnn", "--out", "b"]);
    let (status, said) = code(&["merge", "all", "b", "-o", "refused"]);
    assert!(status == Some(4) && said.contains("different experiments"), "{said}");
}

#[test]
fn runs_killed_at_any_moment_end_in_the_same_bytes() {
    let mut draws = Draws(7);
    let (mut kills, wanted) = (0, count(50, 1000));
    while kills < wanted {
        let folder = folder_with(SWEEP);
        loop {
            let mut run = start(folder.path(), &["run", "tiny.toml", "--quiet", "--checkpoint-every", "0"]);
            std::thread::sleep(Duration::from_millis(draws.below(250) as u64));
            if run.try_wait().unwrap().is_some_and(|status| status.success()) {
                break;
            }
            run.kill().unwrap();
            run.wait().unwrap();
            kills += 1;
            if kills >= wanted {
                break;
            }
        }
        succeed(folder.path(), &["run", "tiny.toml", "--quiet"]);
        assert_undisturbed(&folder.path().join("runs/tiny"), &format!("after {kills} kills"));
    }
}

#[test]
fn runs_stopped_by_signals_say_so_in_time_and_go_on_to_the_same_bytes() {
    let mut draws = Draws(5);
    let (mut stops, mut early, wanted) = (0, 0, count(30, 100));
    while stops < wanted {
        let folder = folder_with(SWEEP);
        loop {
            let mut run = start(folder.path(), &["run", "tiny.toml", "--quiet"]);
            // Before this the program may not listen yet, and ends as any would.
            std::thread::sleep(Duration::from_millis(60 + draws.below(300) as u64));
            let signal = ["TERM", "INT", "USR1"][draws.below(3)];
            let pid = run.id().to_string();
            if run.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
            let asked = Instant::now();
            let status = run.wait().unwrap();
            assert!(asked.elapsed() < Duration::from_secs(5), "{signal}: {:?}", asked.elapsed());
            match status.code() {
                Some(75) => stops += 1,
                // On a slow machine it did not listen yet, and ended as any program would.
                None => early += 1,
                // It was at its end.
                Some(0) => break,
                other => panic!("{signal} ended a run with {other:?}, {status:?}"),
            }
            if stops >= wanted {
                break;
            }
        }
        succeed(folder.path(), &["run", "tiny.toml", "--quiet"]);
        assert_undisturbed(&folder.path().join("runs/tiny"), &format!("after {stops} stops"));
        assert!(early <= 10 + stops, "{early} runs did not listen, {stops} did");
    }
}

#[test]
fn a_cell_goes_on_from_its_checkpoint() {
    // One cell that takes seconds: were it begun anew each time, it would never end.
    let long = SWEEP
        .replace("seeds = 2", "seeds = 1")
        .replace("lag = [3, 7, 11]", "lag = [200]")
        .replace("steps = 60", "steps = 150");
    let folder = folder_with(&long);
    let only = ["run", "tiny.toml", "--only", "lstm", "--quiet"];
    succeed(folder.path(), &[&only[..], &["--out", "whole"]].concat());
    let begun = Instant::now();
    let mut stops = 0;
    loop {
        let mut run = start(folder.path(), &only);
        std::thread::sleep(Duration::from_millis(400));
        if run.try_wait().unwrap().is_some() {
            break;
        }
        assert!(Command::new("kill").args(["-s", "TERM", &run.id().to_string()]).status().unwrap().success());
        stops += usize::from(run.wait().unwrap().code() == Some(75));
        assert!(begun.elapsed() < Duration::from_secs(120), "no progress after {stops} stops");
    }
    let (whole, own) = (folder.path().join("whole"), folder.path().join("runs/tiny"));
    succeed(folder.path(), &only);
    let apart = differing(&facts(&whole), &facts(&own));
    assert!(apart.is_empty(), "after {stops} stops other bytes in {apart:?}");
    assert_eq!(records(&own).len(), 1);
}

#[test]
fn four_processes_share_one_folder() {
    for round in 0..count(3, 20) {
        let folder = folder_with(SWEEP);
        let run = ["run", "tiny.toml", "--quiet", "--jobs", "1", "--out", "shared"];
        let mut processes: Vec<Child> = (0..4).map(|_| start(folder.path(), &run)).collect();
        // A reader meanwhile sees whole cells or none.
        while processes.iter_mut().any(|process| process.try_wait().unwrap().is_none()) {
            if folder.path().join("shared/cells").is_dir() {
                let read = seqbench(folder.path(), &["table", "shared", "--format", "json"])
                    .assert()
                    .get_output()
                    .clone();
                let said = String::from_utf8(read.stderr).unwrap();
                assert!(matches!(read.status.code(), Some(0 | 2)) && !said.contains("whole: "), "{said}");
            }
        }
        for process in &mut processes {
            assert!(process.wait().unwrap().success(), "round {round}");
        }
        // Who came last may have left before the others had ended.
        succeed(folder.path(), &run);
        assert_undisturbed(&folder.path().join("shared"), "four processes");
        let claims = folder.path().join("shared/claims");
        assert!(!claims.exists() || std::fs::read_dir(claims).unwrap().count() == 0);
    }
}

#[test]
fn damaged_files_are_named_and_never_read_as_data() {
    let folder = folder_with(SWEEP);
    succeed(
        folder.path(),
        &["run", "tiny.toml", "--quiet", "--only", "ssm", "--only", "lag=7", "--out", "kept"],
    );
    let results = folder.path().join("kept");
    let store = seqbench_record::Store::open(&results);
    let whole = format!("{:?}", store.cells().unwrap());
    let mut draws = Draws(3);
    let all: Vec<(PathBuf, Vec<u8>)> = files(&results.join("cells")).into_iter().collect();
    let look = |path: &Path, bytes: &[u8], how: &str| {
        let path = results.join("cells").join(path);
        std::fs::write(&path, bytes).unwrap();
        let scan = store.scan().unwrap();
        let damaged = scan.damaged.len() == 1 && scan.damaged[0].to_string().contains("kept/cells");
        // A digit of a digest in the other case still says the same.
        assert!(damaged || format!("{:?}", scan.cells) == whole, "{how} of {} went unseen", path.display());
        damaged
    };
    let mut seen = 0;
    for (path, bytes) in &all {
        for cut in 0..16 {
            seen += usize::from(look(path, &bytes[..bytes.len() * cut / 16], "a cut"));
        }
        std::fs::write(results.join("cells").join(path), bytes).unwrap();
    }
    assert_eq!(seen, 16 * all.len());
    for _ in 0..count(1000, 10_000) {
        let (path, bytes) = &all[draws.below(all.len())];
        let mut bent = bytes.clone();
        bent[draws.below(bytes.len())] ^= 1 << draws.below(8);
        look(path, &bent, "a flip");
        std::fs::write(results.join("cells").join(path), bytes).unwrap();
    }
}

#[test]
fn cleaning_removes_what_is_no_result_and_nothing_else() {
    let folder = folder_with(SWEEP);
    let run = |set: &str| {
        succeed(
            folder.path(),
            &[
                "run",
                "tiny.toml",
                "--quiet",
                "--only",
                "rnn",
                "--only",
                "lag=3",
                "--out",
                "out",
                "--set",
                set,
            ],
        );
    };
    run("train.steps=5");
    let old = cells(&folder.path().join("out"));
    run("train.steps=6");
    let both = cells(&folder.path().join("out"));
    assert_eq!((old.len(), both.len()), (2, 4));
    let results = folder.path().join("out");
    std::fs::create_dir_all(results.join("unfinished")).unwrap();
    std::fs::write(results.join("unfinished/x.damaged"), "x").unwrap();
    let before = files(&results);
    let (said, _) = succeed(folder.path(), &["clean", "out", "--stale", "--failed", "--dry-run"]);
    assert!(
        said.contains("would remove stale 2 cells") && said.contains("would remove failed 0 cells"),
        "{said}"
    );
    assert!(said.contains("would remove 1 remains"), "{said}");
    assert!(files(&results) == before, "a dry run removed something");
    succeed(folder.path(), &["clean", "out"]);
    assert!(cells(&results) == both && !results.join("unfinished").exists());
    // The folder is of the last run: what that one does not plan is stale.
    succeed(folder.path(), &["clean", "out", "--stale"]);
    let left = cells(&results);
    assert!(left.len() == 2 && left.iter().all(|id| !old.contains(id)), "{left:?}");
}

#[test]
fn scripts_for_slurm_are_shell_and_say_what_they_were_told() {
    let folder = folder_with(SWEEP);
    let arguments = [
        "slurm",
        "tiny.toml",
        "--shards",
        "5",
        "--out",
        "a folder",
        "--set",
        "train.steps=9",
        "--sbatch=--partition=short",
        "--minutes",
        "30",
    ];
    let (said, _) = succeed(folder.path(), &arguments);
    assert!(said.contains("sbatch --parsable") && said.contains("afterany"), "{said}");
    let scripts = folder.path().join("a folder/slurm");
    let read = |name: &str| std::fs::read_to_string(scripts.join(name)).unwrap();
    let (array, merge) = (read("array.sh"), read("merge.sh"));
    for line in ["#SBATCH --array=0-4", "#SBATCH --requeue", "#SBATCH --time=30", "#SBATCH --partition=short"]
    {
        assert!(array.lines().any(|own| own == line), "no {line} in {array}");
    }
    assert!(array.contains("--shard env/5") && array.contains("--set train.steps=9"), "{array}");
    assert_eq!(read("tiny.toml"), SWEEP);
    for name in ["array.sh", "merge.sh"] {
        assert!(Command::new("bash").arg("-n").arg(scripts.join(name)).status().unwrap().success(), "{name}");
    }
    // As Slurm would run them, one task after another.
    for task in 0..5 {
        let status = Command::new("bash")
            .arg(scripts.join("array.sh"))
            .env("SLURM_ARRAY_TASK_ID", task.to_string())
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "task {task}");
    }
    assert!(
        Command::new("bash").arg(scripts.join("merge.sh")).stdout(Stdio::null()).status().unwrap().success(),
        "{merge}"
    );
    assert_eq!(cells(&folder.path().join("a folder")).len(), CELLS);
    let (missing, _) = succeed(folder.path(), &["status", "a folder", "--missing", "--shards", "5"]);
    assert_eq!(missing, "");
    std::fs::remove_dir_all(folder.path().join("a folder/cells")).unwrap();
    std::fs::create_dir(folder.path().join("a folder/cells")).unwrap();
    let (missing, _) = succeed(folder.path(), &["status", "a folder", "--missing", "--shards", "5"]);
    assert_eq!(missing, "0,1,2,3,4\n");
}
