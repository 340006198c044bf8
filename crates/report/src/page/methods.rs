//! How numbers are made, in short: the whole of it stands in METHODOLOGY.md, named by section.

use super::{Page, Told};
use maud::{Markup, html};

/// A word of the tables, what it means, the section that says it in full, and tables that use it.
struct Term {
    word: &'static str,
    meaning: &'static str,
    section: &'static str,
    /// Of which chapters it is said; of every page where empty.
    tables: &'static [Of],
}

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Scores,
    Reach,
    Gradients,
    Times,
}

const TERMS: [Term; 9] = [
    Term {
        word: "seed",
        meaning: "the unit of replication: it decides initialisation, training data and their order, and the test samples of \
                  generated tasks. Figures of scores, learning curves and gradients draw every seed's own value.",
        section: "Statistics",
        tables: &[],
    },
    Term {
        word: "± and interval",
        meaning: "Student's t, 95 %, over seeds; none below two. Of a share of runs, such as those solved: Wilson's, 95 %.",
        section: "Statistics",
        tables: &[],
    },
    Term {
        word: "accuracy",
        meaning: "right answers over all scored positions of the test stream, which is scored once, after training.",
        section: "Accuracy",
        tables: &[Of::Scores],
    },
    Term {
        word: "solved",
        meaning: "test accuracy of at least the threshold stated. A diverged run is unsolved and has no value in any mean; \
                  failed and skipped ones count nowhere.",
        section: "Accuracy",
        tables: &[Of::Scores],
    },
    Term {
        word: "chance, trivial",
        meaning: "what guessing reaches, and what the best predictor without the ability asked for does.",
        section: "Accuracy",
        tables: &[Of::Scores],
    },
    Term {
        word: "reach",
        meaning: "the largest value of a sweep that is solved, as is every smaller one, within the stated budget; ≥ where no \
                  larger one was measured, < where not even the smallest is solved.",
        section: "Accuracy",
        tables: &[Of::Reach],
    },
    Term {
        word: "gradient norm",
        meaning: "Euclidean norm of one sample's loss gradient at one scored step, geometric mean over samples; with respect \
                  to a layer's input or to its whole carried state so many steps before.",
        section: "Gradient norms",
        tables: &[Of::Gradients],
    },
    Term {
        word: "decades a step, half-life",
        meaning: "slope of a line through log10 norm against distance, seed by seed, and the steps in which it halves. \
                  Vanishing: a gain per step below 0.99; exploding: above 1.01.",
        section: "Gradient norms",
        tables: &[Of::Gradients],
    },
    Term {
        word: "time of a pass",
        meaning: "median over interleaved rounds, each of which reproduced the outputs of an untimed pass; 10 % and 90 % \
                  quantiles beside it. Noisy: even the quieter attempt was disturbed.",
        section: "Throughput",
        tables: &[Of::Times],
    },
];

pub(super) fn section(page: &Page<'_>, told: &[Told<'_>]) -> Markup {
    let has = |of: &Of| {
        told.iter().any(|told| match of {
            Of::Scores => !told.summary.accuracy.is_empty(),
            Of::Reach => !told.summary.reaches.is_empty(),
            Of::Gradients => !told.summary.profiles.is_empty(),
            Of::Times => !told.summary.throughput.is_empty(),
        })
    };
    let terms = TERMS.iter().filter(|term| term.tables.is_empty() || term.tables.iter().any(has));
    html! {
        section id="methods" aria-labelledby="methods-name" {
            h2 id="methods-name" { "Methods" }
            p { "In short; in full in the repository's " code { "METHODOLOGY.md" } ", in the section named." }
            dl {
                @for term in terms {
                    dt { (term.word) }
                    dd { (term.meaning) " (" cite { "METHODOLOGY.md, " (term.section) } ")" }
                }
                @if !page.decisions.is_empty() {
                    dt { "claim" }
                    dd {
                        "A sentence with a test that was fixed before its results were. Supported: the test rejects the contrary; "
                        "refuted: the same test the other way round rejects the claim; inconclusive: neither; open: cells are "
                        "missing. Adjusted p: after Holm's correction over the claims decided together. The margin is the smallest "
                        "difference that counts."
                    }
                }
            }
            @for paragraph in &page.methods { p { (paragraph) } }
        }
    }
}
