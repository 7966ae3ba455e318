//! A policy bundle: one file with all that a gateway needs to take a policy, signed by as many people as its operator
//! wants to have agreed.
//!
//! The gateway and `hangu policy` open bundles with the same code, so that what one takes the other takes.

pub(crate) mod archive;
pub(crate) mod known;
pub(crate) mod manifest;
pub(crate) mod open;
pub(crate) mod suite;
#[cfg(test)]
mod tests;
