//! What a bundle says about itself, and who signs: the text under the signatures.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The manifest, as TOML.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The form of the bundle: 1.
    pub(crate) bundle: u32,
    /// Grows with every bundle of a policy; an older one never replaces a newer one.
    pub(crate) epoch: u64,
    /// From when it may serve, RFC 3339.
    pub(crate) not_before: String,
    /// Until when.
    pub(crate) not_after: String,
    /// How many rules there are, so that a cut policy is found.
    pub(crate) rules: usize,
    /// Every other file, in the order of the bundle.
    pub(crate) file: Vec<Listed>,
}

/// One file of the bundle.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    /// 64 lower-case hexadecimal digits.
    pub(crate) sha256: String,
}

impl Listed {
    /// What is to be said of a file.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            bytes: bytes.len(),
            sha256: sha256(bytes),
        }
    }
}

/// The SHA-256 of some bytes in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Seconds since 1970 of a time in RFC 3339.
pub(crate) fn seconds(time: &str) -> Option<i64> {
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(time, format)
        .ok()
        .map(time::OffsetDateTime::unix_timestamp)
}
