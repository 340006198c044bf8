//! What tables say of what their models were given, from hand-made cells with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod read;

use cells::solved_at;
use read::named;
use seqbench_record::{CellFiles, ConditionRow};
use serde_json::json;

/// Three seeds of a model at a lag, with its parameters and state, trained for so many seconds of one of two threads.
fn runs(model: &str, lag: u64, parameters: f64, state: f64, seconds: [f64; 3]) -> Vec<CellFiles> {
    let run = |(seed, seconds): (u64, f64)| {
        let mut files = solved_at(model, lag, seed, 1.0);
        let facts = [
            ("parameters", parameters),
            ("state_bytes", state),
            ("solved_threshold", 0.99),
            ("steps_to_solve", 500.0),
        ];
        files.cell.facts.extend(facts.map(|(name, value)| (name.to_string(), value)));
        files.cell.config = json!({"train": {"batch": 32, "lr": {"select": [0.1, 0.2, 0.3], "trials": 2}}});
        files.cell.provenance.threads = 2;
        files.cell.provenance.wall_seconds = 100.0;
        let of = |(name, value): (&str, f64)| ConditionRow { name: name.into(), value };
        files.conditions = [("training_seconds", seconds), ("seconds_to_solve", 1.0)].map(of).into();
        files
    };
    (0..).zip(seconds).map(run).collect()
}

fn line(cells: &[CellFiles], table: &str, start: &str) -> Option<String> {
    let notes = named(cells, table).notes;
    let mut found = notes.into_iter().filter(|note| note.starts_with(start));
    let line = found.next();
    assert_eq!(found.next(), None, "said twice");
    line
}

#[test]
fn accuracies_say_in_what_their_models_are_equal() {
    let said = |cells: &[CellFiles]| line(cells, "accuracy", "Models ").unwrap();
    let rnn = runs("rnn", 30, 20_000.0, 256.0, [1.0; 3]);
    let both = [rnn.clone(), runs("lstm", 30, 20_900.0, 512.0, [1.0; 3])].concat();
    assert_eq!(
        said(&both),
        "Models are equal within 5 % in parameters: 20.0 k to 20.9 k; optimizer steps: 3000; sequences a step: 32; trials of the \
         learning rate: 6. They differ in state at the trained length: 256 B to 512 B."
    );
    // 5.5 % more are not equal, nor is half a budget, a smaller batch or more tuning.
    let mut others = runs("lstm", 30, 21_100.0, 256.0, [1.0; 3]);
    for files in &mut others {
        files.cell.facts.insert("steps".into(), 1500.0);
        files.cell.config =
            json!({"train": {"batch": 16, "lr": {"select": [0.1, 0.2, 0.3, 0.4], "trials": 2}}});
    }
    assert_eq!(
        said(&[rnn.clone(), others].concat()),
        "Models are equal within 5 % in state at the trained length: 256 B. They differ in parameters: 20.0 k to 21.1 k; \
         optimizer steps: 1500 to 3000; sequences a step: 16 to 32; trials of the learning rate: 6 to 8."
    );
    assert_eq!(line(&rnn, "accuracy", "Models "), None, "one model is equal to nobody");
}

#[test]
fn models_are_held_against_each_other_where_they_are_farthest_apart() {
    // The state of either grows with the lag; of one model at two lags nothing is unfair.
    let cells = [
        runs("rnn", 30, 20_000.0, 256.0, [1.0; 3]),
        runs("rnn", 100, 20_000.0, 2560.0, [1.0; 3]),
        runs("lstm", 30, 20_000.0, 256.0, [1.0; 3]),
        runs("lstm", 100, 20_000.0, 2560.0, [1.0; 3]),
    ]
    .concat();
    let said = line(&cells, "accuracy", "Models are equal").unwrap();
    assert!(
        said.contains("; state at the trained length of each task and coordinate; optimizer steps: 3000;")
            && !said.contains("differ"),
        "{said}"
    );
    let apart = [cells, runs("transformer", 100, 20_000.0, 51_200.0, [1.0; 3])].concat();
    let said = line(&apart, "accuracy", "Models are equal").unwrap();
    assert!(
        said.ends_with("They differ in state at the trained length (lag=100): 2.56 kB to 51.2 kB."),
        "{said}"
    );
}

#[test]
fn the_time_of_training_stands_below_the_time_to_accuracy() {
    let said = |cells: &[CellFiles]| line(cells, "time-to-accuracy", "Models ");
    // Two threads: twice the seconds, of which the middle one counts.
    let rnn = runs("rnn", 30, 1.0, 1.0, [6.0, 5.0, 90.0]);
    let lstm = |seconds: [f64; 3]| runs("lstm", 30, 1.0, 1.0, seconds);
    assert_eq!(
        said(&[rnn.clone(), lstm([15.0; 3])].concat()).unwrap(),
        "Models differ in CPU time of training, median over runs: rnn 12.0 s, lstm 30.0 s."
    );
    assert_eq!(
        said(&[rnn.clone(), lstm([6.2; 3])].concat()).unwrap(),
        "Models are equal within 5 % in CPU time of training, median over runs: rnn 12.0 s, lstm 12.4 s."
    );
    assert_eq!(said(&rnn), None);
    // A lag that only one of them was run at makes neither slower.
    let longer = runs("rnn", 300, 1.0, 1.0, [600.0; 3]);
    let words = said(&[rnn.clone(), longer, lstm([15.0; 3])].concat()).unwrap();
    assert!(words.ends_with(": rnn 12.0 s, lstm 30.0 s."), "{words}");
    // Of runs that were not timed by themselves, the whole.
    let mut untimed = lstm([15.0; 3]);
    untimed.iter_mut().for_each(|files| files.conditions.clear());
    let words = said(&[rnn, untimed].concat()).unwrap();
    assert!(words.ends_with(": rnn ~ 12.0 s, lstm ~ 200 s."), "{words}");
    let many: Vec<CellFiles> = (1..=7)
        .flat_map(|place| runs(&format!("rnn width={place}"), 30, 1.0, 1.0, [f64::from(8 - place); 3]))
        .collect();
    let words = said(&many).unwrap();
    assert!(words.ends_with(": rnn width=7 2.00 s to rnn width=1 14.0 s."), "{words}");
}
