//! The command line as a person meets it: exit codes, messages that help, output that other programs read.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::process::{Command, Stdio};
use support::{TINY, files, folder_with, seqbench, succeed};

#[test]
fn help_and_version_are_no_errors() {
    let folder = folder_with(TINY);
    let commands: [&[&str]; 15] = [
        &["--help"],
        &["-h"],
        &["help", "run"],
        &["list", "--help"],
        &["run", "--help"],
        &["status", "--help"],
        &["table", "--help"],
        &["plot", "--help"],
        &["verify", "--help"],
        &["bench", "--help"],
        &["model", "--help"],
        &["model", "init", "--help"],
        &["model", "forward", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ];
    for command in commands {
        seqbench(folder.path(), command).assert().success().stdout(contains("Usage:")).stderr("");
    }
    let version = concat!("seqbench ", env!("CARGO_PKG_VERSION"), "\n");
    seqbench(folder.path(), &["--version"]).assert().success().stdout(version);
    seqbench(folder.path(), &["--help"])
        .assert()
        .stdout(contains("Exit codes: 0 done").and(contains("worker").not()));
}

#[test]
fn a_mistyped_word_is_answered_with_the_nearest() {
    let folder = folder_with(TINY);
    for (command, meant) in [
        (&["lst"][..], "'list'"),
        (&["run", "tiny.toml", "--jbos", "2"], "'--jobs'"),
        (&["list", "modles"], "did you mean `models`?"),
        (&["run", "quik"], "did you mean `quick`?"),
        (&["status", "quik"], "did you mean `quick`?"),
        (&["verify", "lsmt"], "did you mean `lstm`?"),
        (&["run", "tiny.toml", "--only", "lga=3"], "did you mean `lag`?"),
        (&["table", "tiny", "--format", "cvs"], "csv"),
    ] {
        let ended = seqbench(folder.path(), command).assert().code(2).stdout("");
        ended.stderr(contains(meant).and(contains("error: ")));
    }
    assert_eq!(files(folder.path()).len(), 1, "something was created");
}

#[test]
fn no_command_is_a_usage_error_with_help() {
    let folder = folder_with(TINY);
    seqbench(folder.path(), &[]).assert().code(2).stderr(contains("Usage:"));
    seqbench(folder.path(), &["run"]).assert().code(2).stderr(contains("<EXPERIMENT>"));
    seqbench(folder.path(), &["run", "tiny.toml", "--jobs", "0"])
        .assert()
        .code(2)
        .stderr(contains("1..=1024"));
}

#[test]
fn lists_are_for_people_and_for_programs() {
    let folder = folder_with(TINY);
    let (text, _) = succeed(folder.path(), &["list"]);
    let (json, _) = succeed(folder.path(), &["list", "--json"]);
    let all: Value = serde_json::from_str(&json).unwrap();
    for (kind, known) in [("models", "lstm"), ("tasks", "delayed-recall"), ("experiments", "quick")] {
        let (json, _) = succeed(folder.path(), &["list", kind, "--json"]);
        let own: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(own[kind], all[kind]);
        assert_eq!(own.as_object().unwrap().len(), 1, "{kind} alone");
        let names: Vec<&str> =
            own[kind].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        assert!(names.contains(&known), "{names:?}");
        let (short, _) = succeed(folder.path(), &["list", kind]);
        assert!(names.iter().all(|name| short.contains(name) && text.contains(name)), "{short}");
    }
    for entry in all["models"].as_array().unwrap().iter().chain(all["tasks"].as_array().unwrap()) {
        assert!(entry["defaults"].is_object() && !entry["source"].as_str().unwrap().is_empty(), "{entry}");
    }
}

#[test]
fn a_mistyped_key_is_shown_in_its_line() {
    let folder = folder_with(&TINY.replace("steps = 4", "stpes = 4"));
    let line = TINY.lines().position(|line| line == "steps = 4").unwrap() + 1;
    let expected = contains("error: unknown key `stpes`")
        .and(contains(format!("--> tiny.toml:{line}:1\n")))
        .and(contains(format!("{line} | stpes = 4\n")))
        .and(contains("| ^^^^^\n"))
        .and(contains("expected one of: "))
        .and(contains("did you mean `steps`?"));
    seqbench(folder.path(), &["run", "tiny.toml"]).assert().code(2).stdout("").stderr(expected);
    assert_eq!(files(folder.path()).len(), 1, "something was created");
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_created() {
    let folder = folder_with(TINY);
    for (setting, message) in [
        ("train.lr=nan", "`nan` is no finite number"),
        ("train.lr=-1.0", "`lr`"),
        ("train.lr=inf", "no finite number"),
        ("train.steps=0", "`steps` must be a whole number from 1"),
        ("train.steps=2.5", "`steps`"),
        ("train.batch=1e9", "`batch`"),
        ("defaults.seeds=0", "`seeds` must be a whole number from 1"),
        ("defaults.width=1e9", "`width`"),
        ("sweep.lag=[]", "`lag` must not be empty"),
        ("sweep.lag=[3, 3]", "`lag`"),
        ("sweep.lag=[0]", "`lag`"),
        ("task.kind=partiy", "did you mean `parity`?"),
        ("train.optimizer=adamv", "did you mean `adamw`?"),
        ("trian.steps=4", "unknown key `trian.steps`"),
        ("train.steps", "train.steps"),
    ] {
        let ended =
            seqbench(folder.path(), &["run", "tiny.toml", "--set", setting]).assert().code(2).stdout("");
        ended.stderr(contains(message).and(contains("error: ")).and(contains("--> --set:1:")));
        assert_eq!(files(folder.path()).len(), 1, "{setting}: something was created");
    }
    for text in ["", "a = [1,", "[[model]]\nkind = \"rnn\"\n", "[task]\nkind = \"parity\"\n", "\u{0}"] {
        std::fs::write(folder.path().join("tiny.toml"), text).unwrap();
        seqbench(folder.path(), &["run", "tiny.toml"])
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains("error: "));
        assert_eq!(files(folder.path()).len(), 1, "{text}: something was created");
    }
}

#[test]
fn a_filter_that_leaves_nothing_is_a_usage_error() {
    let folder = folder_with(TINY);
    for filter in ["mamba", "lag=5", "seed=99"] {
        let ended = seqbench(folder.path(), &["run", "tiny.toml", "--only", filter]).assert().code(2);
        ended.stderr(contains(format!("--only {filter}")));
    }
    let both = ["run", "tiny.toml", "--only", "rnn", "--only", "lstm"];
    seqbench(folder.path(), &both).assert().code(2).stderr(contains("leaves no cell"));
    assert_eq!(files(folder.path()).len(), 1, "something was created");
}

#[test]
fn results_that_are_not_there_are_a_usage_error() {
    let folder = folder_with(TINY);
    for command in ["table", "plot"] {
        let ended = seqbench(folder.path(), &[command, "tiny"]).assert().code(2).stdout("");
        ended.stderr(contains("no results in `tiny`").and(contains("seqbench run")));
        std::fs::create_dir_all(folder.path().join("empty/cells")).unwrap();
        seqbench(folder.path(), &[command, "empty"]).assert().code(2).stderr(contains("no finished cell"));
    }
    assert_eq!(files(folder.path()).len(), 1, "something was created");
}

#[test]
fn shells_and_manuals_get_their_texts() {
    let folder = folder_with(TINY);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (script, _) = succeed(folder.path(), &["completions", shell]);
        // The kinds that `list` knows are offered, though it takes other words as well.
        assert!(script.contains("experiments") || !["bash", "zsh", "fish"].contains(&shell), "{shell}");
        assert!(
            script.contains("seqbench") && script.contains("dry-run") && script.contains("status"),
            "{shell}: {script}"
        );
    }
    let (page, _) = succeed(folder.path(), &["man"]);
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    assert!(
        page.contains("EXTRA") && page.contains("list") && page.contains("status") && page.contains("130"),
        "{page}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder_with(TINY);
    succeed(folder.path(), &["run", "tiny.toml", "--only", "rnn", "--quiet"]);
    let commands: [&[&str]; 13] = [
        &["list"],
        &["list", "parity"],
        &["status"],
        &["status", "tiny.toml", "--missing"],
        &["status", "quick", "--json"],
        &["list", "--json"],
        &["--help"],
        &["man"],
        &["completions", "bash"],
        &["table", "tiny", "--format", "json"],
        &["plot", "tiny"],
        &["verify", "ssm"],
        &["run", "tiny.toml", "--dry-run"],
    ];
    for command in commands {
        let mut child = Command::new(env!("CARGO_BIN_EXE_seqbench"))
            .current_dir(folder.path())
            .args(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads from the first byte on.
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let errors = String::from_utf8(ended.stderr).unwrap();
        // That the results are incomplete is said all the same.
        let mut errors = errors.lines().filter(|line| !line.starts_with("warning: runs/tiny: "));
        assert_eq!((ended.status.code(), errors.next()), (Some(0), None), "{command:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_of_the_environment() {
    let folder = folder_with(TINY);
    let ended = seqbench(folder.path(), &["run", "tiny.toml", "--out", "tiny.toml/results"]).assert().code(3);
    ended.stderr(contains("error: ").and(contains("tiny.toml/results")).and(contains("panicked").not()));
    assert_eq!(files(folder.path()).len(), 1, "something was created");
    succeed(folder.path(), &["run", "tiny.toml", "--only", "rnn", "--quiet"]);
    let plots = ["plot", "tiny", "--out", "tiny.toml/plots"];
    seqbench(folder.path(), &plots).assert().code(3).stderr(contains("tiny.toml/plots"));
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let folder = folder_with(TINY);
    for command in [&["list"][..], &["run", "tiny.toml"]] {
        let ended =
            seqbench(folder.path(), command).env("SEQBENCH_ISA", "nonsense").assert().code(2).stdout("");
        ended.stderr(contains("SEQBENCH_ISA=nonsense").and(contains("portable")));
    }
    assert_eq!(files(folder.path()).len(), 1, "something was created");
    seqbench(folder.path(), &["list"]).env("SEQBENCH_ISA", "portable").assert().success();
}

#[test]
fn colours_go_where_they_are_wanted() {
    let folder = folder_with(TINY);
    let colour = contains("\u{1b}[");
    seqbench(folder.path(), &["--help"]).env("CLICOLOR_FORCE", "1").assert().stdout(colour.clone());
    let forced_and_forbidden =
        seqbench(folder.path(), &["--help"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").assert();
    forced_and_forbidden.stdout(colour.clone().not());
    for command in [&["--help"][..], &["list"], &["run", "tiny.toml"]] {
        seqbench(folder.path(), command)
            .assert()
            .success()
            .stdout(colour.clone().not())
            .stderr(colour.clone().not());
    }
}

#[test]
fn every_form_of_a_table_is_read_by_what_reads_such_forms() {
    let folder = folder_with(TINY);
    succeed(folder.path(), &["run", "tiny.toml", "--quiet"]);
    let form = |format: &str| succeed(folder.path(), &["table", "tiny", "--format", format]).0;

    let json: Value = serde_json::from_str(&form("json")).unwrap();
    let tables = json.as_array().unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table["name"].as_str().unwrap()).collect();
    // Whether growth is fitted depends on what was timed.
    assert_eq!(names[..5], ["accuracy", "reach", "gradients", "time-to-accuracy", "throughput"]);

    // One block a table, an empty line between them.
    let csv = form("csv");
    let blocks: Vec<&str> = csv.split("\n\n").collect();
    assert_eq!(blocks.len(), tables.len());
    for (block, table) in blocks.iter().zip(tables) {
        let mut reader = csv::Reader::from_reader(block.as_bytes());
        let header = reader.headers().unwrap().clone();
        assert!(header.iter().any(|name| name == "model"), "{header:?}");
        let rows = reader.records().collect::<Result<Vec<_>, _>>().unwrap().len();
        assert_eq!(rows, table["rows"].as_array().unwrap().len(), "{}", table["name"]);
    }

    let text = form("text");
    assert_eq!(text, succeed(folder.path(), &["table", "tiny"]).0);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let md = form("md");
    let rules = md.lines().filter(|line| line.starts_with('|') && line.contains("---")).count();
    assert_eq!(rules, tables.len(), "{md}");
    let accuracy =
        md.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let bars: Vec<usize> = accuracy.map(|line| line.matches('|').count()).collect();
    assert!(bars.len() == 2 + 8 && bars.iter().all(|count| *count == bars[0]), "{md}");

    let latex = form("latex");
    for (begin, end) in [("\\begin{tabular}", "\\end{tabular}"), ("\\toprule", "\\bottomrule")] {
        assert_eq!(latex.matches(begin).count(), tables.len(), "{latex}");
        assert_eq!(latex.matches(end).count(), tables.len(), "{latex}");
    }
}

#[test]
fn paths_with_blanks_and_other_letters_are_paths_like_any() {
    let outer = folder_with(TINY.split("throughput").next().unwrap());
    let folder = outer.path().join("zwölf Läufe — 十二");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(outer.path().join("tiny.toml"), folder.join("größe 1.toml")).unwrap();
    for (arguments, said) in [
        (&["run", "größe 1.toml", "--shard", "0/2", "--out", "teil a"][..], "teil a"),
        (&["run", "größe 1.toml", "--shard", "1/2", "--out", "teil ß"], "teil ß"),
        (&["merge", "teil a", "teil ß", "-o", "alle läufe"], "alle läufe"),
        (&["run", "größe 1.toml"], "runs/größe 1"),
        (&["status", "größe 1.toml"], "größe 1 (runs/größe 1): complete"),
        (&["status", "alle läufe"], "complete"),
        (&["check", "alle läufe"], "alle läufe"),
        (&["table", "größe 1"], "delayed-recall"),
        (&["plot", "alle läufe", "--out", "bilder ö"], "bilder ö"),
        (&["clean", "alle läufe", "--dry-run"], "would remove"),
    ] {
        let (text, notes) = succeed(&folder, arguments);
        assert!(text.contains(said) || notes.contains(said), "{arguments:?}: {text}{notes}");
    }
    let of = |name: &str| support::facts(&folder.join(name));
    let cells = |name: &str| of(name).into_iter().filter(|(path, _)| path.starts_with("cells")).collect();
    let apart = support::differing(&cells("alle läufe"), &cells("runs/größe 1"));
    assert!(apart.is_empty(), "{apart:?}");
}

#[test]
fn a_narrow_terminal_or_none_at_all_is_no_hindrance() {
    let folder = folder_with(TINY);
    let run = |arguments: &[&str]| {
        let mut command = seqbench(folder.path(), arguments);
        command.env("COLUMNS", "40").env("NO_COLOR", "1").env("TERM", "dumb").write_stdin("");
        let ended = command.assert().success().get_output().clone();
        String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap()
    };
    for arguments in [&["--help"][..], &["run", "--help"], &["status", "--help"]] {
        let text = run(arguments);
        // A line is longer only where a single word is, behind the indentation of its column.
        for line in text.lines().filter(|line| line.chars().count() > 40 && !line.starts_with("Usage:")) {
            assert!(line.split_whitespace().count() <= 4, "{arguments:?}: {line}");
        }
    }
    for arguments in [&["run", "tiny.toml"][..], &["status"], &["table", "tiny"], &["check", "runs/tiny"]] {
        let text = run(arguments);
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{arguments:?}: {text:?}");
    }
}

/// Started by something that closes all three of its streams, a run still ends as it should.
#[test]
#[cfg(unix)]
fn a_run_without_any_stream_ends_all_the_same() {
    let folder = folder_with(TINY);
    let status = Command::new("bash")
        .args(["-c", "exec \"$0\" run tiny.toml --only rnn <&- >&- 2>&-", env!("CARGO_BIN_EXE_seqbench")])
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(support::cells(&folder.path().join("runs/tiny")).len(), 6);
    seqbench(folder.path(), &["check", "runs/tiny"])
        .assert()
        .code(1)
        .stdout(contains("6 of 24 cells missing").not());
}
