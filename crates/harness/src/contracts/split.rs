//! Examples of a finite task: whole, found by their indices, and in one split only.

use super::sample::{sequence, whole};
use super::{Check, Contract, Found, ensure};
use seqbench_core::{Batch, Finite, Split};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

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

/// Every example of a split, a part at a time: a large split would not fit the memory at once.
pub(crate) fn batches(task: &dyn Finite, split: Split) -> impl Iterator<Item = Batch> {
    const TOGETHER: usize = 256;
    let n = task.len(split);
    (0..n).step_by(TOGETHER).map(move |first| {
        let indices: Vec<usize> = (first..n.min(first + TOGETHER)).collect();
        task.batch(split, &indices)
    })
}

fn examples_are_whole(task: &(dyn Finite + 'static)) -> Found {
    for (split, name) in SPLITS {
        for batch in batches(task, split) {
            whole(name, &batch, task.signature())?;
            let (time, steps) = (batch.inputs.time, task.steps());
            ensure!(time <= steps, "{name}: an example has {time} steps, `steps` says {steps}");
        }
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
    // Of examples their hashes: two different ones share one of 64 bits less than once in a million such sets.
    let mut seen: HashSet<u64> = HashSet::new();
    for (split, name) in SPLITS {
        ensure!(!task.is_empty(split), "the {name} split is empty");
        let mut own: HashSet<u64> = HashSet::new();
        for batch in batches(task, split) {
            own.extend((0..batch.inputs.batch).map(|row| hashed(&sequence(&batch, row))));
        }
        ensure!(seen.is_disjoint(&own), "an example of the {name} split stands in another one");
        seen.extend(own);
    }
    Ok(())
}

fn hashed(sequence: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    sequence.hash(&mut hasher);
    hasher.finish()
}
