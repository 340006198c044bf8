//! Claims: sentences from a lecture or a paper, and what results say of them by a test that was fixed before the results
//! were.

mod decision;

pub use decision::{Decision, Outcome, Side};
