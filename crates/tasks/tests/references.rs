//! Chance and trivial predictors, measured: what each task states in closed form is what such a predictor gets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use seqbench_core::{Batch, Generated, OutputKind, Purpose, Reference, Split, Stream, Targets};
use support::{answer, finite, variants};

fn reference(references: &[Reference], name: &str, metric: &str) -> Option<f64> {
    let found = references.iter().find(|reference| reference.name == name && reference.metric == metric);
    found.map(|reference| reference.value)
}

/// Enough rows for four thousand scored steps at least.
fn rows(task: &dyn Generated) -> usize {
    let one = task.sample(&mut Stream::new(0, Purpose::Train, 1), 1, task.nominal_length());
    4000usize.div_ceil(one.scored.len())
}

/// Samples to learn a constant from and others to measure it on.
fn halves(task: &dyn Generated) -> [Batch; 2] {
    let rows = rows(task);
    [Purpose::Train, Purpose::Test]
        .map(|purpose| task.sample(&mut Stream::new(0, purpose, 0), rows, task.nominal_length()))
}

fn scored_answers(batch: &Batch) -> Vec<f64> {
    let time = batch.inputs.time;
    batch.scored_steps().iter().map(|(row, step)| answer(&batch.targets, time, *row, *step)[0]).collect()
}

fn most_frequent(answers: &[f64], classes: usize) -> f64 {
    let mut counts = vec![0; classes];
    answers.iter().for_each(|class| counts[*class as usize] += 1);
    (0..classes).max_by_key(|class| counts[*class]).unwrap() as f64
}

fn share(answers: &[f64], right: impl Fn(f64) -> bool) -> f64 {
    answers.iter().filter(|answer| right(**answer)).count() as f64 / answers.len() as f64
}

#[test]
fn the_primary_metrics_trivial_value_stands_first() {
    for (name, task) in variants() {
        for length in task.evaluation_lengths() {
            let references = task.references(length);
            assert_eq!((references[0].name, references[0].metric), ("chance", "accuracy"), "{name}");
            assert!(references.iter().all(|reference| reference.value.is_finite()), "{name}");
        }
    }
    for (name, task) in finite() {
        let references = task.references();
        let expected = match task.metric() {
            "accuracy" => ("chance", "accuracy"),
            "bits_per_byte" => ("unigram", "bits_per_byte"),
            metric => panic!("{name}: {metric}"),
        };
        assert_eq!((references[0].name, references[0].metric), expected, "{name}");
        assert!(references.iter().all(|reference| reference.value.is_finite()), "{name}");
    }
}

#[test]
fn the_best_constant_scores_at_chance() {
    for (name, task) in variants() {
        let [train, test] = halves(&*task);
        let (train, test) = (scored_answers(&train), scored_answers(&test));
        let found = match task.signature().output {
            OutputKind::Classes(classes) => {
                let constant = most_frequent(&train, classes);
                share(&test, |answer| answer == constant)
            }
            OutputKind::Regression { tolerance, .. } => {
                let mean = train.iter().sum::<f64>() / train.len() as f64;
                share(&test, |answer| (answer - mean).abs() < tolerance)
            }
        };
        let chance = task.references(task.nominal_length())[0].value;
        let bound = 4.5 * (chance * (1.0 - chance) / test.len() as f64).sqrt();
        assert!((found - chance).abs() < bound, "{name}: {found} is not {chance} ± {bound}");
    }
}

#[test]
fn always_one_has_the_mean_squared_error_of_adding() {
    for (name, task) in variants().into_iter().filter(|(name, _)| name.starts_with("adding")) {
        let [_, test] = halves(&*task);
        let answers = scored_answers(&test);
        let mse = answers.iter().map(|sum| (sum - 1.0) * (sum - 1.0)).sum::<f64>() / answers.len() as f64;
        let stated = reference(&task.references(task.nominal_length()), "always-one", "mse").unwrap();
        assert_eq!(stated, 1.0 / 6.0);
        // The squared error has deviation √(7/180) ≈ 0.197.
        assert!((mse - stated).abs() < 4.5 * 0.197 / (answers.len() as f64).sqrt(), "{name}: {mse}");
    }
}

/// Mean cross-entropy over the loss steps of `test` when each step's class has the frequency it had in `train`.
fn by_step(train: &Batch, test: &Batch, classes: usize) -> f64 {
    let (Targets::Classes(seen), Targets::Classes(asked)) = (&train.targets, &test.targets) else {
        panic!("classes")
    };
    let time = train.inputs.time;
    let mut counts = vec![0.0f64; time * classes];
    for (row, step) in train.loss_steps() {
        counts[step * classes + seen[row * time + step] as usize] += 1.0;
    }
    let steps = test.loss_steps();
    let nats = |(row, step): &(usize, usize)| {
        let counts = &counts[step * classes..(step + 1) * classes];
        let count = counts[asked[row * time + step] as usize].max(0.5);
        -(count / counts.iter().sum::<f64>().max(1.0)).ln()
    };
    steps.iter().map(nats).sum::<f64>() / steps.len() as f64
}

#[test]
fn a_predictor_that_knows_the_step_alone_has_the_stated_loss() {
    for (name, task) in variants() {
        let OutputKind::Classes(classes) = task.signature().output else { continue };
        let references = task.references(task.nominal_length());
        let stated = reference(&references, "memoryless", "loss_nats")
            .or_else(|| reference(&references, "chance", "loss_nats"))
            .unwrap_or_else(|| panic!("{name} states no loss"));
        // Many values at many places need more samples than this to be counted.
        if classes > 32 {
            continue;
        }
        let batches = [Purpose::Train, Purpose::Test]
            .map(|purpose| task.sample(&mut Stream::new(0, purpose, 0), 20_000, task.nominal_length()));
        let found = by_step(&batches[0], &batches[1], classes);
        assert!((found / stated - 1.0).abs() < 0.02, "{name}: {found} instead of {stated}");
    }
}

#[test]
fn a_value_seen_here_is_right_once_in_n() {
    for (name, task) in variants().into_iter().filter(|(name, _)| name.starts_with("recall")) {
        let [_, test] = halves(&*task);
        let seqbench_core::InputData::Tokens(tokens) = &test.inputs.data else { panic!("symbols") };
        let (time, answers) = (test.inputs.time, scored_answers(&test));
        // Always the value of the second pair.
        let guesses = test.scored_steps().into_iter().map(|(row, _)| f64::from(tokens[row * time + 3]));
        let right = guesses.zip(&answers).filter(|(guess, answer)| guess == *answer).count();
        let found = right as f64 / answers.len() as f64;
        let references = task.references(task.nominal_length());
        let stated = reference(&references, "seen-here", "accuracy").unwrap();
        // Each sequence asks for each pair once, so the share is exact.
        assert!((found - stated).abs() < 1e-9, "{name}: {found} instead of {stated}");
    }
}

#[test]
fn the_majority_of_finite_tasks_is_measured_on_test() {
    for (name, task) in finite().into_iter().filter(|(_, task)| task.metric() == "accuracy") {
        let OutputKind::Classes(classes) = task.signature().output else { continue };
        let answers = |split| {
            let indices: Vec<usize> = (0..task.len(split)).collect();
            scored_answers(&task.batch(split, &indices))
        };
        let constant = most_frequent(&answers(Split::Train), classes);
        let found = share(&answers(Split::Test), |answer| answer == constant);
        let stated = reference(&task.references(), "majority", "accuracy").unwrap();
        let chance = task.references()[0].value;
        assert!((found - stated).abs() < 1e-9, "{name}: {found} instead of {stated}");
        assert_eq!(chance, 1.0 / classes as f64, "{name}");
    }
}
