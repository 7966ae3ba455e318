//! A policy bundle: one file with all that a gateway needs to take a policy, signed by as many people as its operator
//! wants to have agreed.
//!
//! The gateway and `hangu policy` open bundles with the same code, so that what one takes the other takes. Why it
//! is so: `docs/adr/0010-policy-bundles.md`.

pub mod archive;
pub(crate) mod form;
pub(crate) mod known;
mod labels;
pub mod manifest;
pub(crate) mod newest;
pub(crate) mod open;
mod refusal;
pub(crate) mod suite;
#[cfg(test)]
mod tests;

pub use labels::LabelsError;
pub use newest::NewestError;
pub use open::BundleError;
pub use refusal::PolicyRefusal;
