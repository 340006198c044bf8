//! What every task must keep, tested over the registry: a new task is picked up without a line here.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use seqbench_core::config::Value;
use seqbench_core::{
    Batch, Evidence, InputData, InputKind, OutputKind, Purpose, Registry, Signature, Split, Stream, Targets,
};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use support::{answer, cell, finite, generated, nominal, replaced, same, sequence, variants};

/// Checks everything about a batch that does not need the answers' meaning.
fn check(what: &str, batch: &Batch, signature: Signature) {
    assert_eq!(batch.fault(), None, "{what}");
    let time = batch.inputs.time;
    match (&batch.inputs.data, signature.input) {
        (InputData::Tokens(tokens), InputKind::Tokens(vocab)) => {
            assert!(tokens.iter().all(|token| (*token as usize) < vocab), "{what}: a symbol beyond {vocab}");
        }
        (InputData::Features { dim, values }, InputKind::Features(features)) => {
            assert_eq!(*dim, features, "{what}");
            assert!(values.iter().all(|value| value.is_finite()), "{what}");
        }
        _ => panic!("{what}: inputs of another kind than the signature says"),
    }
    match (&batch.targets, signature.output) {
        (Targets::Classes(classes), OutputKind::Classes(count)) => {
            let in_loss = batch.loss_steps();
            let known = |(row, step): &(usize, usize)| (classes[row * time + step] as usize) < count;
            assert!(in_loss.iter().all(known), "{what}: a class beyond {count}");
        }
        (Targets::Values { dim, .. }, OutputKind::Regression { dim: expected, .. }) => {
            assert_eq!(*dim, expected, "{what}");
        }
        _ => panic!("{what}: targets of another kind than the signature says"),
    }
    let rows: BTreeSet<u32> = batch.scored.iter().map(|scored| scored.row).collect();
    assert_eq!(rows.len(), batch.inputs.batch, "{what}: a row without a scored step");
    for scored in &batch.scored {
        let at = scored.row as usize * time + scored.step as usize;
        assert!(batch.loss_mask[at], "{what}: a scored step outside the loss");
        let first = match &scored.evidence {
            Evidence::Steps(steps) => *steps.iter().min().unwrap(),
            Evidence::Span(range) => range.start,
        };
        assert_eq!(scored.lag, scored.step - first, "{what}: lag and evidence disagree");
    }
}

#[test]
fn batches_are_whole_at_any_length_size_and_seed() {
    for (name, task) in variants() {
        let mut lengths = task.evaluation_lengths();
        lengths.extend([0, 1, 2, 3, 17, 64]);
        for length in lengths {
            for (seed, rows) in [(0, 1), (1, 3), (u64::MAX, 17)] {
                let batch = task.sample(&mut Stream::new(seed, Purpose::Train, 0), rows, length);
                check(&format!("{name} at {length}"), &batch, task.signature());
                assert_eq!(batch.inputs.batch, rows, "{name}");
                assert!(batch.inputs.time <= task.steps(length), "{name} at {length}: longer than it says");
            }
        }
    }
}

#[test]
fn an_empty_batch_is_empty() {
    for (name, task) in generated() {
        let batch = nominal(&*task, 0, Purpose::Train, 0);
        assert!(batch.fault().is_none() && batch.scored.is_empty(), "{name}");
    }
    for (name, task) in finite() {
        let batch = task.batch(Split::Train, &[]);
        assert!(batch.fault().is_none() && batch.scored.is_empty(), "{name}");
    }
}

#[test]
fn the_oracle_is_always_right() {
    for (name, task) in variants() {
        for length in task.evaluation_lengths() {
            let batch = task.sample(&mut Stream::new(3, Purpose::Test, 0), 50, length);
            let found = task.oracle(&batch.inputs, &batch.lengths);
            let time = batch.inputs.time;
            for (row, step) in batch.scored_steps() {
                let expected = answer(&batch.targets, time, row, step);
                assert_eq!(answer(&found, time, row, step), expected, "{name} at {length}: {row}, {step}");
            }
        }
    }
}

/// For each scored step of some rows: what the oracle answers once what stands at `step` comes from another row.
fn answers_after_changes(
    task: &dyn seqbench_core::Generated,
    batch: &Batch,
    row: usize,
    step: usize,
    distinct: bool,
) -> Vec<Targets> {
    let others = (0..batch.inputs.batch).filter(|other| *other != row);
    let changed = others
        .map(|other| cell(&batch.inputs, other, step))
        .filter(|put| {
            let real = matches!(batch.inputs.data, InputData::Features { .. });
            real || task.exchangeable(cell(&batch.inputs, row, step)[0], put[0])
        })
        .filter_map(|put| replaced(&batch.inputs, row, step, &put, distinct));
    changed.map(|inputs| task.oracle(&inputs, &batch.lengths[row..=row])).collect()
}

#[test]
fn every_step_of_the_evidence_matters_and_no_other_does() {
    for (name, task) in variants() {
        let output = task.signature().output;
        let rows = 60;
        let batch = nominal(&*task, 5, Purpose::Test, rows);
        let time = batch.inputs.time;
        let mut harmless = 0;
        for scored in batch.scored.iter().filter(|scored| scored.row < 3) {
            let (row, at) = (scored.row as usize, scored.step as usize);
            let expected = answer(&batch.targets, time, row, at);
            for step in 0..batch.lengths[row] {
                let inside = scored.evidence.contains(step as u32);
                let answers =
                    answers_after_changes(&*task, &batch, row, step, !inside && !task.symbols_repeat());
                let kept = |found: &Targets| same(output, &answer(found, time, 0, at), &expected);
                if inside {
                    let flipped = answers.iter().any(|found| !kept(found));
                    assert!(flipped, "{name}: step {step} cannot change the answer at {at}");
                } else {
                    assert!(answers.iter().all(kept), "{name}: step {step} changes the answer at {at}");
                    harmless += answers.len();
                }
            }
        }
        let all = |evidence: &Evidence| matches!(evidence, Evidence::Span(range) if range.len() == time);
        assert!(
            harmless > 0 || batch.scored.iter().all(|scored| scored.row >= 3 || all(&scored.evidence)),
            "{name}: nothing tried"
        );
    }
}

#[test]
fn the_same_stream_gives_the_same_batch_and_another_does_not() {
    for ((name, task), (_, again)) in generated().into_iter().zip(generated()) {
        let first = nominal(&*task, 0, Purpose::Train, 4);
        assert_eq!(first, nominal(&*again, 0, Purpose::Train, 4), "{name}");
        assert_ne!(first, nominal(&*task, 1, Purpose::Train, 4), "{name}");
    }
}

#[test]
fn training_validation_and_test_share_no_sequence() {
    for (name, task) in generated() {
        let mut seen = HashSet::new();
        let mut drawn = 0;
        for purpose in [Purpose::Train, Purpose::Validation, Purpose::Test] {
            for seed in [0, 1] {
                let batch = nominal(&*task, seed, purpose, 500);
                drawn += 500;
                seen.extend((0..500).map(|row| sequence(&batch, row)));
            }
        }
        assert_eq!(seen.len(), drawn, "{name}");
    }
    for (name, task) in finite() {
        let mut seen = HashSet::new();
        for split in [Split::Train, Split::Validation, Split::Test] {
            assert!(!task.is_empty(split), "{name}");
            let indices: Vec<usize> = (0..task.len(split)).collect();
            // A part at a time, and of sequences their hashes: every window of a text would not fit the memory.
            let mut own = HashSet::new();
            for indices in indices.chunks(256) {
                let batch = task.batch(split, indices);
                own.extend((0..indices.len()).map(|row| {
                    let mut hasher = DefaultHasher::new();
                    sequence(&batch, row).hash(&mut hasher);
                    hasher.finish()
                }));
            }
            assert!(seen.is_disjoint(&own), "{name}: {split:?} repeats an example of another split");
            seen.extend(own);
        }
    }
}

#[test]
fn training_lengths_stay_within_the_nominal_one() {
    for (name, task) in variants() {
        let mut rng = Stream::new(0, Purpose::Train, 0);
        for _ in 0..200 {
            let length = task.training_length(&mut rng);
            assert!((1..=task.nominal_length()).contains(&length), "{name}: {length}");
        }
    }
}

#[test]
fn evaluation_holds_the_nominal_length_and_extrapolation_starts_right_after_it() {
    for (name, task) in variants() {
        let lengths = task.evaluation_lengths();
        let longest = task.nominal_length();
        assert!(lengths.contains(&longest), "{name}");
        assert!(lengths.is_sorted_by(|a, b| a < b), "{name}: {lengths:?}");
        // Where training draws its lengths from a range, the first that it never draws is the next one.
        let ranges = (0..200).any(|i| task.training_length(&mut Stream::new(0, Purpose::Train, i)) < longest);
        if let Some(first) = lengths.iter().find(|length| ranges && **length > longest) {
            assert_eq!(*first, longest + 1, "{name}: an unseen length is skipped");
        }
    }
}

#[test]
fn batches_of_finite_tasks_are_whole_and_follow_their_indices() {
    for (name, task) in finite() {
        for split in [Split::Train, Split::Validation, Split::Test] {
            let last = task.len(split) - 1;
            let batch = task.batch(split, &[last, 0, last]);
            check(name, &batch, task.signature());
            assert_eq!(batch.inputs.time, task.steps(), "{name}");
            assert_eq!(sequence(&batch, 0), sequence(&batch, 2), "{name}");
            assert_ne!(sequence(&batch, 0), sequence(&batch, 1), "{name}");
        }
    }
}

#[test]
fn names_are_distinct_and_every_entry_says_what_it_is() {
    let tasks = seqbench_tasks::builtin();
    let registry = Registry::new(&[], &tasks);
    let names: BTreeSet<&str> = tasks.iter().map(|task| task.info().name).collect();
    assert_eq!(names.len(), tasks.len());
    for task in &tasks {
        let info = task.info();
        assert!(registry.task(info.name, &None).is_ok());
        assert!(info.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", info.name);
        for text in [info.title, info.summary, info.separates, info.citation] {
            assert!(!text.is_empty(), "{}", info.name);
        }
        let defaults = task.defaults();
        assert!(info.length_key.is_none_or(|key| defaults[key].is_u64()), "{}: {defaults}", info.name);
    }
}

#[test]
fn configurations_come_back_as_they_were() {
    for task in seqbench_tasks::builtin() {
        let name = task.info().name;
        let defaults = task.defaults();
        assert!(defaults.is_object(), "{name}");
        let (_, empty) = task.configure(&Value::table()).unwrap();
        assert_eq!(empty, defaults, "{name}");
        let (_, whole) = task.configure(&Value::from_json(&defaults)).unwrap();
        assert_eq!(whole, defaults, "{name}");
    }
}

#[test]
fn a_misspelt_key_is_an_error_that_names_the_nearest() {
    for task in seqbench_tasks::builtin() {
        let name = task.info().name;
        for key in task.defaults().as_object().unwrap().keys() {
            let misspelt = format!("{key}z");
            let table = Value::from_json(&serde_json::json!({ misspelt.clone(): 1 }));
            let error = task.configure(&table).err().expect(name).to_string();
            assert!(error.contains(&format!("`{misspelt}`")), "{name}: {error}");
            assert!(error.ends_with(&format!("did you mean `{key}`?")), "{name}: {error}");
        }
    }
}
