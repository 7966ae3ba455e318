//! What a policy says, taken apart: for the tools of those who write policies.
//!
//! Nothing here decides a request; that is the table's business alone, and what is said here about a request was
//! asked of the table. Deliberately not here: files, arguments, printing.

mod clearances;
mod clearing;
#[cfg(test)]
mod contexts_tests;
mod cost;
mod coverage;
mod diff;
#[cfg(test)]
mod diff_tests;
mod explain;
mod finding;
mod graph;
mod import;
pub mod lint;
#[cfg(test)]
mod lint_laws;
mod names;
mod overlap;
mod places;
mod question;
mod reach;
mod regions;
mod route_parameters;
mod shelf;
mod surroundings;
mod texts;
mod tidy;
mod unused;
mod version;
mod what;
mod who;
mod witness;

pub use clearing::clearing;
pub use coverage::Coverage;
pub use diff::{ClearanceDelta, Delta, Diff, Direction, diff};
pub use explain::{Authored, Change, Explanation, NEAR_MAX, NearRule, RuleLine, explain};
pub use finding::{Finding, Severity};
pub use graph::graph;
pub use import::import;
pub use question::{ArgumentName, argument_names};
pub use surroundings::{Route, Surroundings, Zone};
pub use tidy::tidy;
pub use what::{RuleFor, WhatCan, what_can};
pub use who::{Allowed, WhoCan, who_can};
pub use witness::{Witness, witnesses};
