//! Examples of a finite task: whole, found by their indices, and in one split only.

use super::sample::{sequence, whole};
use super::{Check, Contract, Found, ensure};
use seqbench_core::{Finite, Split};
use std::collections::HashSet;

const SPLITS: [(Split, &str); 3] =
    [(Split::Train, "training"), (Split::Validation, "validation"), (Split::Test, "test")];

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<dyn Finite>] = &[
    (
        Contract {
            name: "examples are whole",
            meaning: "an example contradicts itself or the task's signature: something else than the task is trained \
                      or scored",
        },
        examples_are_whole,
    ),
    (
        Contract {
            name: "indices",
            meaning: "an example is not a function of its split and index: epochs repeat some examples and leave \
                      others out",
        },
        indices,
    ),
    (
        Contract {
            name: "splits share nothing",
            meaning: "a split is empty, or an example of one split stands in another: scores measure memory of the \
                      training set",
        },
        splits_share_nothing,
    ),
];

fn examples_are_whole(task: &(dyn Finite + 'static)) -> Found {
    for (split, name) in SPLITS {
        let indices: Vec<usize> = (0..task.len(split)).collect();
        let batch = task.batch(split, &indices);
        whole(name, &batch, task.signature())?;
        let (time, steps) = (batch.inputs.time, task.steps());
        ensure!(time <= steps, "{name}: an example has {time} steps, `steps` says {steps}");
    }
    Ok(())
}

fn indices(task: &(dyn Finite + 'static)) -> Found {
    for (split, name) in SPLITS {
        let Some(last) = task.len(split).checked_sub(1) else { continue };
        let batch = task.batch(split, &[last, 0, last]);
        ensure!(batch.inputs.batch == 3, "{name}: three indices give {} examples", batch.inputs.batch);
        let row = |row| sequence(&batch, row);
        ensure!(row(0) == row(2), "{name}: one index gives two different examples");
        ensure!(last == 0 || row(0) != row(1), "{name}: two indices give the same example");
        let alone = task.batch(split, &[0]);
        ensure!(
            sequence(&alone, 0) == row(1),
            "{name}: an index gives another example alone than among others"
        );
    }
    Ok(())
}

fn splits_share_nothing(task: &(dyn Finite + 'static)) -> Found {
    let mut seen: HashSet<Vec<u32>> = HashSet::new();
    for (split, name) in SPLITS {
        ensure!(!task.is_empty(split), "the {name} split is empty");
        let indices: Vec<usize> = (0..task.len(split)).collect();
        let batch = task.batch(split, &indices);
        let own: HashSet<Vec<u32>> = (0..indices.len()).map(|row| sequence(&batch, row)).collect();
        ensure!(seen.is_disjoint(&own), "an example of the {name} split stands in another one");
        seen.extend(own);
    }
    Ok(())
}
