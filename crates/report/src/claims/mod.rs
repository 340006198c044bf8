//! Claims: sentences from a lecture or a paper, and what results say of them by a test that was fixed before the results
//! were.

mod decide;
mod decision;
mod definition;
mod facts;
mod quantity;
mod select;

pub use decide::{Hopeless, decide, hopeless};
pub use decision::{Decision, Outcome, Side};
pub use definition::{Claim, ClaimError, Condition, Direction, FEWEST_PAIRS, FEWEST_SEEDS, Filter, Test};
pub use quantity::Quantity;
