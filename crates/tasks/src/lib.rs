//! One file per task, and the built-in registry. Tasks hand out plain arrays and know no model.
//!
//! Adding a task is one file and two lines here: its `mod` line and its entry in [`builtin`]. The contract tests
//! iterate over the registry and pick it up. Each file's heading defines its task: source, shapes, an example, the
//! lag of an answer, chance, the oracle, deviations and errors.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

use seqbench_core::AnyTask;

mod checks;
mod grid;
mod languages;
mod sequences;
mod weighted;

mod arrays;
mod digits;
mod files;
mod idx;
mod npy;
mod records;

// In the order of reading, which blank lines keep the formatter from sorting.
pub mod delayed_recall;

pub mod copying;

pub mod selective_copying;

pub mod adding;

pub mod recall;

pub mod induction_heads;

pub mod parity;

pub mod even_pairs;

pub mod cycle_navigation;

pub mod modular_arithmetic;

pub mod reverse_string;

pub mod word_problem;

pub mod images;

pub mod text;

pub mod dataset;

/// The built-in tasks, in the order in which lists show them.
pub fn builtin() -> Vec<&'static dyn AnyTask> {
    vec![
        &delayed_recall::DelayedRecall,
        &copying::Copying,
        &selective_copying::SelectiveCopying,
        &adding::Adding,
        &recall::Recall,
        &induction_heads::InductionHeads,
        &parity::Parity,
        &even_pairs::EvenPairs,
        &cycle_navigation::CycleNavigation,
        &modular_arithmetic::ModularArithmetic,
        &reverse_string::ReverseString,
        &word_problem::WordProblem,
        &images::Images,
        &text::Text,
        &dataset::Dataset,
    ]
}
