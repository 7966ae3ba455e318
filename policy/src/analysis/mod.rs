//! What a policy says, taken apart: for the tools of those who write policies.
//!
//! Nothing here decides a request; that is the table's business alone, and what is said here about a request was
//! asked of the table. Deliberately not here: files, arguments, printing.

mod finding;
pub mod lint;
mod names;
mod overlap;
mod places;
mod reach;
mod shelf;
mod surroundings;
mod texts;
mod witness;

pub use finding::{Finding, Severity};
pub use surroundings::{Route, Surroundings, Zone};
pub use witness::{Witness, witnesses};
