//! `seqbench status` and the end of a dry run: what they count is what a run then does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::{TINY, TINY_CELLS, cells, files, folder_with, seqbench, succeed};

/// The first experiment of `status --json`.
fn status(folder: &Path, subject: &str) -> Value {
    let (text, _) = succeed(folder, &["status", subject, "--json"]);
    let object: Value = serde_json::from_str(&text).unwrap();
    object["experiments"][0].clone()
}

fn missing(folder: &Path, subject: &str) -> Vec<String> {
    succeed(folder, &["status", subject, "--missing"]).0.lines().map(str::to_owned).collect()
}

/// What a run says it has to do.
fn to_run(notes: &str) -> u64 {
    let line = notes.lines().find(|line| line.contains(" cells to run, ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn nothing_half_and_all_of_an_experiment() {
    let folder = folder_with(TINY);
    let at = folder.path();
    seqbench(at, &["status"]).assert().success().stdout(contains("nothing has run"));
    let (text, _) = succeed(at, &["status", "tiny.toml"]);
    assert!(
        text.starts_with(&format!("tiny (runs/tiny): nothing has run of {TINY_CELLS} cells\n")),
        "{text}"
    );
    assert!(text.contains("final:  16 missing") && text.contains("timing: 8 missing"), "{text}");
    assert!(text.contains("of one core, as predicted"), "{text}");
    assert_eq!(missing(at, "tiny.toml").len(), TINY_CELLS);
    let none = status(at, "tiny.toml");
    assert_eq!((&none["to_run"], &none["complete"]), (&json!(TINY_CELLS), &json!(false)));
    assert_eq!(files(at).len(), 1, "something was created");

    succeed(at, &["run", "tiny.toml", "--only", "rnn", "--quiet"]);
    let before = files(at);
    let (text, _) = succeed(at, &["status"]);
    assert!(text.starts_with(&format!("tiny (runs/tiny): 6 of {TINY_CELLS} cells stand\n")), "{text}");
    assert!(
        text.contains("final:  4 done, 12 missing") && text.contains("timing: 2 done, 6 missing"),
        "{text}"
    );
    assert!(text.contains("corrected by what the 6 cells done here took"), "{text}");
    for subject in ["tiny.toml", "tiny", "runs/tiny"] {
        let half = status(at, subject);
        assert_eq!(half["counts"]["final"]["done"], 4, "{subject}: {half}");
        assert_eq!(half["counts"]["timing"]["missing"], 6, "{subject}: {half}");
        assert!(half["wall_seconds_spent"].as_f64().unwrap() > 0.0, "{half}");
        assert!(half["corrected_seconds_left"].as_f64().unwrap() > 0.0, "{half}");
        let wanting: Vec<&str> =
            half["wanting"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(wanting, missing(at, subject));
        assert_eq!(wanting.len(), TINY_CELLS - 6);
    }
    assert!(before == files(at), "something was changed");

    succeed(at, &["run", "tiny.toml", "--quiet"]);
    let (text, _) = succeed(at, &["status", "tiny"]);
    assert!(text.starts_with(&format!("tiny (runs/tiny): complete, {TINY_CELLS} cells\n")), "{text}");
    assert!(text.contains("spent:  ") && !text.contains("left:"), "{text}");
    assert_eq!(missing(at, "tiny"), [""; 0]);
    let all = status(at, "tiny");
    assert_eq!((&all["to_run"], &all["complete"]), (&json!(0), &json!(true)));
}

#[test]
fn damage_and_what_is_of_another_plan_are_told_apart() {
    let folder = folder_with(TINY);
    let (at, results) = (folder.path(), folder.path().join("runs/tiny"));
    succeed(at, &["run", "tiny.toml", "--quiet", "--only", "rnn"]);
    let damaged = cells(&results)[0].clone();
    fs::write(results.join("cells").join(&damaged).join("cell.json"), "{}").unwrap();
    fs::create_dir(results.join("cells/0123456789abcdef")).unwrap();
    let found = status(at, "tiny");
    let count = |state| {
        ["final", "timing"].map(|own| found["counts"][own][state].as_u64().unwrap()).iter().sum::<u64>()
    };
    assert_eq!((count("damaged"), count("done"), count("missing")), (1, 5, 18), "{found}");
    assert_eq!(found["stale"], json!(["0123456789abcdef"]));
    assert!(missing(at, "tiny").contains(&damaged));
    // One that does not stand has been kept half-way; one that stands needs no more.
    fs::create_dir(results.join("unfinished")).unwrap();
    let standing = cells(&results).into_iter().find(|id| {
        let path = results.join("cells").join(id).join("cell.json");
        fs::read_to_string(path).is_ok_and(|text| text.contains("\"done\""))
    });
    for id in [&missing(at, "tiny")[1], &standing.unwrap()] {
        fs::write(results.join(format!("unfinished/{id}.safetensors")), "x").unwrap();
    }
    let (text, _) = succeed(at, &["status", "tiny"]);
    assert!(text.contains("1 damaged") && text.contains("stale:  1 in the folder"), "{text}");
    assert!(text.contains("kept:   1 cell as far as it came"), "{text}");
}

#[test]
fn a_folder_is_read_with_what_was_overridden() {
    let folder = folder_with(TINY);
    let at = folder.path();
    succeed(at, &["run", "tiny.toml", "--quiet", "--set", "sweep.lag=[3]", "--set", "train.steps=5"]);
    let own = status(at, "runs/tiny");
    assert_eq!((&own["complete"], &own["cells"], &own["stale"]), (&json!(true), &json!(16), &json!([])));
    // The file as it stands has other trained cells and the same timed ones.
    let file = status(at, "tiny.toml");
    assert_eq!(file["counts"]["final"]["done"], 0);
    assert_eq!((&file["counts"]["timing"]["done"], file["stale"].as_array().unwrap().len()), (&json!(8), 8));
}

/// Trials decide finals, and only those.
#[test]
fn what_is_counted_is_what_a_run_does() {
    let text = TINY.replace("steps = 4", "steps = 4\nlr = { select = [1e-3, 1e-2], trials = 1 }");
    assert_ne!(text, TINY);
    let folder = folder_with(&text);
    let (at, results) = (folder.path(), folder.path().join("runs/tiny"));
    // Finals of one seed want the trials of all their groups.
    for filter in ["rnn", "seed=0", "timing"] {
        let run = ["run", "tiny.toml", "--only", filter];
        let (list, _) = succeed(at, &[&run[..], &["--dry-run"]].concat());
        let end = list.lines().last().unwrap().to_owned();
        let (_, notes) = succeed(at, &run);
        assert!(end.contains(&format!(" cells, {} to run", to_run(&notes))), "{filter}: {end}\n{notes}");
    }
    let left = status(at, "tiny")["to_run"].as_u64().unwrap();
    let (_, notes) = succeed(at, &["run", "tiny.toml"]);
    assert_eq!(left, to_run(&notes));
    assert_eq!(status(at, "tiny")["complete"], true);

    // Without its trials a selection whose finals stand is complete all the same.
    let mut trials = 0;
    for id in cells(&results) {
        let record = fs::read_to_string(results.join("cells").join(&id).join("cell.json")).unwrap();
        if record.contains("\"purpose\": \"trial\"") {
            fs::remove_dir_all(results.join("cells").join(&id)).unwrap();
            trials += 1;
        }
    }
    let found = status(at, "tiny");
    assert_eq!((&found["complete"], &found["counts"]["trial"]["unneeded"]), (&json!(true), &json!(trials)));
    let (_, notes) = succeed(at, &["run", "tiny.toml"]);
    assert_eq!(to_run(&notes), 0);
}

#[test]
fn a_dry_run_ends_with_what_it_will_take() {
    let folder = folder_with(TINY);
    let at = folder.path();
    let end = |arguments: &[&str]| {
        let (list, _) = succeed(at, &[&["run", "tiny.toml", "--dry-run"], arguments].concat());
        list.lines().skip(list.lines().count() - 3).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = end(&["--jobs", "2"]);
    assert_eq!(before[..2], ["final:  16 missing", "timing: 8 missing"]);
    assert!(
        before[2].starts_with("24 cells, 24 to run: roughly ")
            && before[2].contains(" with 2 jobs (as predicted")
    );
    succeed(at, &["run", "tiny.toml", "--quiet", "--only", "rnn"]);
    let half = end(&["--jobs", "1"]);
    assert!(
        half[2].contains("24 cells, 18 to run: ") && half[2].contains(" with one job (corrected by"),
        "{half:?}"
    );
    let fresh = end(&["--fresh"]);
    assert!(fresh[2].contains("24 cells, 24 to run: "), "{fresh:?}");
    succeed(at, &["run", "tiny.toml", "--quiet"]);
    assert_eq!(end(&[])[2], "24 cells, 0 to run");
}

#[test]
fn what_is_not_there_has_not_run_and_a_misspelt_name_is_refused() {
    let folder = folder_with(TINY);
    let at = folder.path();
    succeed(at, &["run", "tiny.toml", "--quiet", "--only", "rnn"]);
    for (subject, said) in
        [("quick", "quick (runs/quick): nothing has run of"), ("elsewhere/mine", "nothing has run\n")]
    {
        seqbench(at, &["status", subject]).assert().success().stdout(contains(said)).stderr("");
        assert_eq!(status(at, subject)["experiment"], subject.rsplit('/').next().unwrap());
    }
    for (typed, meant) in [("quik", "quick"), ("tniy", "tiny")] {
        let ended = seqbench(at, &["status", typed]).assert().code(2).stdout("");
        ended.stderr(contains(format!("did you mean `{meant}`?")));
    }
    seqbench(at, &["status", "--json", "--missing"]).assert().code(2).stdout("");
    // A folder that cannot be understood hides no other.
    fs::create_dir_all(at.join("runs/bad")).unwrap();
    fs::write(at.join("runs/bad/experiment.toml"), "stpes = 4\n").unwrap();
    fs::create_dir_all(at.join("runs/bare/cells")).unwrap();
    let ended = seqbench(at, &["status"]).assert().success().stdout(contains("tiny (runs/tiny): 6 of"));
    ended.stderr(contains("warning: runs/bad: ").and(contains("warning: runs/bare: ")));
    seqbench(at, &["status", "runs/bad"]).assert().code(2).stdout("").stderr(contains("stpes"));
}
