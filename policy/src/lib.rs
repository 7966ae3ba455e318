//! Casbin policies, compiled: the strict loader of `model.conf` and `policy.csv`, and the table that answers.
//!
//! Layer: 用 application.
//!
//! Casbin is the language that security teams author in and the oracle that our tests compare with; it does not
//! serve requests. Its enforcers walk every row through a script interpreter, read files leniently and fail open in
//! several ways. Here a file is either understood to the last word or refused with all its problems, and what was
//! understood answers as Casbin does: where Go and Rust casbin agree, their answer; where they differ, Go's, or the
//! file is refused; where they raise an error, deny.
//!
//! Deliberately not here: files, the clock, randomness, HTTP, async. Texts come in, a [`Policy`] comes out.
//!
//! ```
//! use hangu_policy::{Decision, Policy, RBAC_WITH_DOMAINS, Request, Source};
//!
//! let model = Source { name: "model.conf", text: RBAC_WITH_DOMAINS };
//! let rules = Source {
//!     name: "policy.csv",
//!     text: "p, clerk, tax, /returns/:id, GET, allow\ng, alice, clerk, tax\n",
//! };
//! let policy = Policy::compile(model, rules).map_err(|problems| problems[0].clone())?;
//! let request = Request { subject: "alice", domain: "tax", path: "/returns/7", method: "GET", ..Request::default() };
//! assert!(matches!(policy.decide(&request), Decision::Permit(_)));
//! # Ok::<(), hangu_policy::Problem>(())
//! ```

pub mod analysis;
pub mod bounds;
mod clearance;
mod conditions;
mod decision;
mod engine;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod laws;
mod load;
mod model;
mod obligations;
mod overridden;
mod partition;
mod policy;
mod priority;
mod problem;
mod request;
mod role_names;
mod rule;
mod rules;
mod value;

pub use decision::{Decision, Permit, Refusal, RuleId};
pub use engine::eval::EvaluationFault;
pub use obligations::{LogLevel, Obligations};
pub use overridden::Overridden;
pub use partition::PartitionedPolicy;
pub use policy::Policy;
pub use problem::{Problem, Source};
pub use request::{Request, RouteParameter};
pub use rule::RuleView;
pub use value::Value;

/// The model that Hangu ships: roles in domains (`g`), `keyMatch2` paths, methods, deny over allow, and a second
/// relation for clearance (`g2`).
pub const RBAC_WITH_DOMAINS: &str = include_str!("../models/rbac_with_domains.conf");
