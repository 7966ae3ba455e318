//! `[audit.pseudonyms]` as it is meant.

use std::path::PathBuf;

use hangu_audit::Hidden;

/// Keyed hashes in place of identifiers in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudonyms {
    /// File of the key; a reload may name another one.
    pub key: PathBuf,
    /// What is replaced.
    pub hidden: Hidden,
}
