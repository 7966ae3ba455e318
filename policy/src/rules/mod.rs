//! The policy file: from its lines to numbered rows.

pub(crate) mod csv;
pub(crate) mod symbols;
pub(crate) mod table;
