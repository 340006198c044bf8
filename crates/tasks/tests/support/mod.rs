//! What the contract tests share: every built-in task by kind, and answers in one form.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use seqbench_core::config::Value;
use seqbench_core::{
    AnyTask, Batch, Error, Finite, Generated, InputData, Inputs, Instance, OutputKind, Purpose, Stream,
    Targets,
};

/// The task of that name with these settings.
pub(crate) fn configure(
    name: &str,
    settings: serde_json::Value,
) -> Result<(Instance, serde_json::Value), Error> {
    let tasks = seqbench_tasks::builtin();
    let task = tasks.iter().find(|task| task.info().name == name).expect("a built-in task");
    task.configure(&Value::from_json(&settings))
}

fn instances() -> Vec<(&'static dyn AnyTask, Instance)> {
    let tasks = seqbench_tasks::builtin();
    tasks.into_iter().map(|task| (task, task.configure(&Value::table()).unwrap().0)).collect()
}

/// Every generated task with its default settings.
pub(crate) fn generated() -> Vec<(&'static str, Box<dyn Generated>)> {
    let pick = |(task, instance): (&'static dyn AnyTask, Instance)| match instance {
        Instance::Generated(generated) => Some((task.info().name, generated)),
        Instance::Finite(_) => None,
    };
    instances().into_iter().filter_map(pick).collect()
}

/// Every generated task, small and in each of its variants, so that statistics are quick; then the defaults.
pub(crate) fn variants() -> Vec<(String, Box<dyn Generated>)> {
    let settings = [
        ("delayed-recall", serde_json::json!({"lag": 6, "delay": "fixed"})),
        ("copying", serde_json::json!({"lag": 7, "symbols": 5, "span": 3})),
        ("adding", serde_json::json!({"length": 9})),
        ("adding", serde_json::json!({"length": 8, "markers": "anywhere"})),
        ("recall", serde_json::json!({"length": 16, "pairs": 3, "vocab": 18})),
        ("recall", serde_json::json!({"length": 16, "pairs": 3, "vocab": 19, "slots": "published"})),
        ("recall", serde_json::json!({"length": 16, "pairs": 3, "vocab": 18, "filler": "random"})),
        ("selective-copying", serde_json::json!({"length": 10, "span": 3, "symbols": 4})),
        ("induction-heads", serde_json::json!({"length": 8, "test_length": 16, "vocab": 5})),
        ("parity", serde_json::json!({"length": 5, "test_length": 9})),
        ("even-pairs", serde_json::json!({"length": 5, "test_length": 9})),
        ("cycle-navigation", serde_json::json!({"length": 6, "test_length": 9})),
        ("modular-arithmetic", serde_json::json!({"length": 8, "test_length": 12})),
        ("reverse-string", serde_json::json!({"length": 5, "test_length": 9})),
        ("word-problem", serde_json::json!({"length": 6, "group": "z2"})),
        ("word-problem", serde_json::json!({"length": 6, "group": "s3", "test_length": 9})),
        ("word-problem", serde_json::json!({"length": 6, "group": "a5"})),
    ];
    let small = settings.into_iter().map(|(name, settings)| {
        let label = format!("{name} {settings}");
        match configure(name, settings).unwrap().0 {
            Instance::Generated(task) => (label, task),
            Instance::Finite(_) => panic!("{label} is finite"),
        }
    });
    small.chain(generated().into_iter().map(|(name, task)| (name.to_owned(), task))).collect()
}

/// Every finite task with its default settings.
pub(crate) fn finite() -> Vec<(&'static str, Box<dyn Finite>)> {
    let pick = |(task, instance): (&'static dyn AnyTask, Instance)| match instance {
        Instance::Generated(_) => None,
        Instance::Finite(finite) => Some((task.info().name, finite)),
    };
    instances().into_iter().filter_map(pick).collect()
}

/// A batch of (seed, purpose, index 0) at the nominal length.
pub(crate) fn nominal(task: &dyn Generated, seed: u64, purpose: Purpose, rows: usize) -> Batch {
    task.sample(&mut Stream::new(seed, purpose, 0), rows, task.nominal_length())
}

/// The answer at a step, as numbers.
pub(crate) fn answer(targets: &Targets, time: usize, row: usize, step: usize) -> Vec<f64> {
    let at = row * time + step;
    match targets {
        Targets::Classes(classes) => vec![f64::from(classes[at])],
        Targets::Values { dim, values } => {
            values[at * dim..(at + 1) * dim].iter().map(|value| f64::from(*value)).collect()
        }
    }
}

/// Whether two answers count as the same: equal classes, values within the tolerance.
pub(crate) fn same(output: OutputKind, a: &[f64], b: &[f64]) -> bool {
    let tolerance = match output {
        OutputKind::Classes(_) => 0.0,
        OutputKind::Regression { tolerance, .. } => tolerance,
    };
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// The input of a step: its symbol, or the bits of its features.
pub(crate) fn cell(inputs: &Inputs, row: usize, step: usize) -> Vec<u32> {
    let at = row * inputs.time + step;
    match &inputs.data {
        InputData::Tokens(tokens) => vec![tokens[at]],
        InputData::Features { dim, values } => {
            values[at * dim..(at + 1) * dim].iter().map(|value| value.to_bits()).collect()
        }
    }
}

/// The inputs of a row.
pub(crate) fn sequence(batch: &Batch, row: usize) -> Vec<u32> {
    (0..batch.lengths[row]).flat_map(|step| cell(&batch.inputs, row, step)).collect()
}

/// One row of the inputs with what stands at a step replaced by `other`, and whether anything changed. A symbol
/// that already occurs elsewhere in the row is not put there, because a task may demand distinct ones; of real
/// features those that are exactly 0 or 1 in either are marks and stay.
pub(crate) fn replaced(
    inputs: &Inputs,
    row: usize,
    step: usize,
    other: &[u32],
    distinct: bool,
) -> Option<Inputs> {
    let time = inputs.time;
    let mut changed = false;
    let data = match &inputs.data {
        InputData::Tokens(tokens) => {
            let mut tokens = tokens[row * time..(row + 1) * time].to_vec();
            changed |= tokens[step] != other[0] && !(distinct && tokens.contains(&other[0]));
            tokens[step] = other[0];
            InputData::Tokens(tokens)
        }
        InputData::Features { dim, values } => {
            let mut values = values[row * time * dim..(row + 1) * time * dim].to_vec();
            let free = |value: f32| value != 0.0 && value != 1.0;
            for (value, other) in values[step * dim..].iter_mut().zip(other) {
                let other = f32::from_bits(*other);
                if free(*value) && free(other) && *value != other {
                    *value = other;
                    changed = true;
                }
            }
            InputData::Features { dim: *dim, values }
        }
    };
    changed.then_some(Inputs { batch: 1, time, data })
}
