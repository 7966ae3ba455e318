//! Deciding: patterns, roles and the expression that a row must satisfy.

pub(crate) mod cost;
pub(crate) mod dialect;
pub(crate) mod early;
pub(crate) mod eval;
pub(crate) mod expr;
pub(crate) mod extract;
pub(crate) mod glob;
pub(crate) mod index;
pub(crate) mod need;
pub(crate) mod network;
pub(crate) mod paths;
pub(crate) mod pattern;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod role_patterns;
pub(crate) mod roles;
mod rowless;
pub(crate) mod segments;
pub(crate) mod set;
pub(crate) mod spans;
pub(crate) mod table;
pub(crate) mod verdict;
pub(crate) mod windows;
