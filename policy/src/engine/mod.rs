//! Deciding: patterns, roles and the expression that a row must satisfy.

pub(crate) mod eval;
pub(crate) mod expr;
pub(crate) mod pattern;
pub(crate) mod roles;
